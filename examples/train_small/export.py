"""Make the folder that is shipped from a trained model: the weights in 16 bits, the settings anew.

    python examples/train_small/export.py runs/small/model examples/train_small/train_small.yaml OUT

The weights come from the trained folder, representation, sampler and the like from the ``model``
part of the configuration, so that steps chosen after training need no training of their own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from a2sb_core.config.load import load_yaml, validate
from a2sb_core.config.run import ModelConfig
from a2sb_core.engine.checkpoint import load_model, save_model
from a2sb_core.engine.model import Model


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
