"""A tiny model of both tasks of the paper, with random weights."""

import json

COMPOSITION = {
    "representation": {"name": "factorized", "n_fft": 256, "hop_length": 64},
    "corruption": {
        "name": "mixture",
        "parts": [{"corruption": "bandwidth"}, {"corruption": "inpainting"}],
    },
    "bridge": "i2sb",
    "prediction": "preconditioned",
    "backbone": {
        "name": "rope_unet",
        "widths": [32, 32],
        "attention_levels": [],
        "heads": 2,
        "res_blocks": 1,
        "groups": 8,
        "patch": 4,
        "dropout": 0.0,
    },
    "sampler": {
        "name": "multidiffusion",
        "window": 64,
        "hop": 32,
        "batch": 16,
        "inner": {"name": "implicit", "steps": 2},
    },
    "loudness_dbfs": -20.0,
}


def composition(**changes):
    """Return a copy of the composition, with other fields."""
    return json.loads(json.dumps(COMPOSITION)) | changes


def save_tiny(folder):
    """Write the folder of a tiny model whose prediction knows the statistics of noise."""
    import torch

    from a2sb_core.config.model import ModelConfig
    from a2sb_core.models.folder import save_model
    from a2sb_core.models.model import Model

    torch.manual_seed(0)
    model = Model(ModelConfig.model_validate(COMPOSITION))
    model.prediction.fit(model.representation.encode(0.1 * torch.randn(4, 44100)))
    return save_model(model, folder)
