"""Script that runs in an environment of the package `audiosr`, and imports nothing of a2sb."""

import argparse
import importlib
import sys
from pathlib import Path

RATE = 48000


def main() -> None:
    """Extend the bandwidth of the WAV files of a folder, with the model loaded once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("inputs", type=Path)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--model", default="basic")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=3.5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.path.pop(0)  # the folder of this script, whose modules would hide the package
    audiosr, soundfile = (importlib.import_module(name) for name in ("audiosr", "soundfile"))
    model = audiosr.build_model(model_name=given.model, device=given.device)
    for path in sorted(given.inputs.glob("*.wav")):
        made = audiosr.super_resolution(
            model, str(path), seed=given.seed, guidance_scale=given.guidance, ddim_steps=given.steps
        )
        soundfile.write(given.outputs / path.name, made.reshape(-1), RATE, subtype="FLOAT")


if __name__ == "__main__":
    main()
