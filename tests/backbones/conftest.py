"""The published network's numbers, and small networks to test with."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from a2sb_backbones.rope_unet import RoPEUNet

GOLDEN = Path(__file__).parent / "golden"
TINY = {
    "widths": (8, 8, 16),
    "attention_levels": (1,),
    "heads": 2,
    "res_blocks": 1,
    "groups": 4,
    "time_channels": 8,
    "band_channels": 4,
    "dropout": 0.0,
}


def read_shapes(name):
    lines = (GOLDEN / name).read_text().splitlines()
    pairs = (line.split("\t") for line in lines)
    return {key: tuple(int(n) for n in shape.split("x")) for key, shape in pairs}


def formula_weight(key, shape):
    """See golden/README.md."""
    if key.endswith("pos_emb.freqs"):
        return torch.pi * torch.linspace(1, 32, *shape)
    z = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) > 1:
        z = z / np.sqrt(np.prod(shape[1:]))
    else:
        z = (1 if key.endswith("weight") else 0) + 0.1 * z
    return torch.from_numpy(z.astype(np.float32))


@pytest.fixture(scope="session")
def golden():
    arrays = np.load(GOLDEN / "unet_small.npz")
    return {key: torch.from_numpy(arrays[key]) for key in arrays}


@pytest.fixture(scope="session")
def golden_config():
    facts = json.loads((GOLDEN / "unet_small.json").read_text())
    return RoPEUNet.Config(
        widths=facts["hidden_channels"],
        attention_levels=facts["attention_levels"],
        heads=facts["n_attn_heads"],
        res_blocks=facts["num_res_blocks"],
        time_channels=facts["emb_channels"],
        band_channels=facts["band_embedding_dim"],
    )


@pytest.fixture(scope="session")
def golden_state():
    shapes = read_shapes("unet_small_state.tsv")
    return {key: formula_weight(key, shape) for key, shape in shapes.items()}


@pytest.fixture(scope="session")
def full_shapes():
    return read_shapes("unet_full_state.tsv")


@pytest.fixture
def tiny():
    """Make a small network; keyword arguments change its configuration."""

    def make(channels=3, condition_channels=0, seed=0, **changes):
        torch.manual_seed(seed)
        config = RoPEUNet.Config(**{**TINY, **changes})
        return config.build(channels=channels, condition_channels=condition_channels)

    return make
