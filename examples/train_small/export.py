"""Write the shipped model folder from a trained model: 16-bit weights and current settings.

    python examples/train_small/export.py runs/small/model examples/train_small/train_small.yaml OUT

The weights come from the trained folder. Representation, sampler and other settings come from the
``model`` part of the configuration, so that another number of steps needs no new training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from a2sb_core.config.loading import load_yaml, validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.models.folder import save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model


def main() -> None:
    """Parse the command line and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    config = validate(ModelConfig, load_yaml(options.config)["model"], str(options.config))
    model = Model(config)
    model.load_state_dict(load_model(options.trained).state_dict())
    print(save_model(model, options.output, half=True))


if __name__ == "__main__":
    main()
