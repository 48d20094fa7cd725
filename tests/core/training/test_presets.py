"""Every preset is shown by the command line, and trains at a tiny size."""

import pytest
import torch
import yaml
from engine_helpers import train_config
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.config.loading import load_config
from a2sb_core.config.model import ModelConfig
from a2sb_core.models.loading import load_model
from a2sb_core.plugins import default_registry
from a2sb_core.training.trainer import Trainer

PRESETS = [entry.name for entry in default_registry().entries("preset") if entry.builtin]
TINY = {
    "n_fft": 256,
    "hop_length": 64,
    "widths": [32, 32, 32],
    "attention_levels": [1],
    "heads": 2,
    "res_blocks": 1,
    "patch": 2,
    "window": 16,
    "hop": 8,
    "low_s": 0.002,
    "high_s": 0.01,
}


def tiny(value):
    """Replace the sizes in a configuration."""
    if isinstance(value, list):
        return [tiny(inner) for inner in value]
    if isinstance(value, dict):
        return {key: TINY.get(key, tiny(inner)) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_and_trains(name, folder):
    shown = CliRunner().invoke(app, ["config", "show", name])
    assert shown.exit_code == 0, shown.stderr
    config = ModelConfig.model_validate(yaml.safe_load(shown.stdout))
    assert config == load_config(ModelConfig, name)
    small = ModelConfig.model_validate(tiny(config.model_dump(mode="json")))
    settings = train_config(folder, model=small, steps=2, statistics_segments=2)
    Trainer(settings).run()
    model = load_model(settings.output / "model")
    assert model.config == small
    assert all(torch.isfinite(weight).all() for weight in model.state_dict().values())


def parameters(name):
    config = load_config(ModelConfig, name).backbone
    with torch.device("meta"):
        return sum(weight.numel() for weight in config.build(channels=3).parameters())


def test_the_sizes_of_the_networks():
    assert parameters("paper") == 565_544_851
    assert parameters("paper-2") == parameters("paper-release") == 2 * 565_544_851
    assert parameters("paper-4") == 4 * 565_544_851
    assert parameters("paper-1b") == 1_016_675_859
