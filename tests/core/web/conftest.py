import numpy as np
import pytest
import soundfile

RATE = 44100


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    import torch

    from a2sb_core.config.run import ModelConfig
    from a2sb_core.engine.checkpoint import save_model
    from a2sb_core.engine.model import Model

    torch.manual_seed(0)
    model = Model(ModelConfig.model_validate({
        "representation": {"name": "factorized", "n_fft": 256, "hop_length": 64},
        "corruption": {"name": "mixture",
                       "parts": [{"corruption": "bandwidth"}, {"corruption": "inpainting"}]},
        "bridge": "i2sb", "prediction": "preconditioned",
        "backbone": {"name": "rope_unet", "widths": (32, 32), "attention_levels": (), "heads": 2,
                     "res_blocks": 1, "groups": 8, "patch": 4, "dropout": 0.0},
        "sampler": {"name": "multidiffusion", "window": 64, "hop": 32, "batch": 4,
                    "inner": {"name": "implicit", "steps": 2}},
    }))
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def torn(tmp_path):
    """Noise with half a second of digital silence in the middle."""
    wave = 0.1 * np.random.default_rng(0).standard_normal((3 * RATE, 2))
    wave[RATE : RATE + RATE // 2] = 0
    path = tmp_path / "torn tape ☂.wav"
    soundfile.write(path, wave, RATE, subtype="PCM_24")
    return path


@pytest.fixture
def long(tmp_path):
    """Two minutes of low noise."""
    path = tmp_path / "long.flac"
    rng = np.random.default_rng(1)
    soundfile.write(path, 0.1 * rng.standard_normal(120 * 8000), 8000)
    return path
