"""A tiny model, and signals, that the tests of the engine share."""

import numpy as np
import soundfile
import torch

from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig

RATE = 44100


def model_config(**changes):
    """A model small enough to run in milliseconds."""
    fields = {
        "representation": {"name": "factorized", "n_fft": 256, "hop_length": 64},
        "corruption": {
            "name": "mixture",
            "parts": [
                {"corruption": "bandwidth"},
                {"corruption": {"name": "inpainting", "low_s": 0.002, "high_s": 0.01}},
            ],
        },
        "bridge": "i2sb",
        "prediction": "preconditioned",
        "backbone": {
            "name": "rope_unet",
            "widths": (32, 32),
            "groups": 8,
            "heads": 2,
            "attention_levels": (),
            "patch": 4,
        },
        "sampler": {
            "name": "multidiffusion",
            "window": 16,
            "hop": 8,
            "inner": {"name": "implicit", "steps": 2},
        },
    }
    return ModelConfig.model_validate(fields | changes)


def without_dropout():
    """A model whose steps do not depend on how a batch is divided."""
    backbone = {**model_config().backbone.model_dump(), "dropout": 0.0}
    return model_config(backbone=backbone)


def train_config(folder, **changes):
    """A run of a few steps over the audio in ``folder``/audio."""
    fields = {
        "model": model_config(),
        "data": {"source": folder / "audio", "frames": 16, "workers": 0},
        "output": folder / "run",
        "steps": 6,
        "batch_size": 2,
        "device": "cpu",
        "precision": "fp32",
        "optimizer": {"learning_rate": 1e-3},
        "statistics_segments": 4,
        "checkpoint_every": 3,
        "validate_every": 100,
        "ema_decay": 0.5,
        "validation": {"tasks": ()},
    }
    if "data" in changes:
        changes["data"] = fields["data"] | changes["data"]
    return TrainConfig.model_validate(fields | changes)


def noise(samples, channels=1, seed=0):
    return 0.2 * torch.randn(channels, samples, generator=torch.Generator().manual_seed(seed))


def limited(samples, cutoff_hz, rate=RATE, channels=1):
    """Noise that holds nothing above the cutoff."""
    spectrum = torch.fft.rfft(noise(samples, channels))
    spectrum[:, int(cutoff_hz * samples / rate) :] = 0
    return torch.fft.irfft(spectrum, samples)


def write_audio(folder, count=3, seconds=0.3, rate=RATE, channels=1):
    """Write files of noise, each of another level; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"file{k}.wav" for k in range(count)]
    for k, path in enumerate(paths):
        wave = (k + 1) / 2 * noise(int(seconds * rate), channels, seed=k)
        soundfile.write(path, wave.numpy().T, rate, subtype="FLOAT")
    return paths


def write_samples(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.asarray(samples, dtype=np.float32), rate, subtype="FLOAT")
    return path
