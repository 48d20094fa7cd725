"""Restore a folder in one process: remove clicks, fill listed gaps, extend the bandwidth.

python examples/restore_folder.py IN OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from a2sb_core import Chain, RestoreOptions, Restorer
from a2sb_core.errors import A2SBError

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}


def steps_for(path: Path) -> list[RestoreOptions]:
    """Return the steps for a file; NAME.txt beside it may list gaps as START END, in seconds."""
    steps = [RestoreOptions("inpaint")]  # finds clicks and dropouts
    labels = path.with_suffix(".txt")
    if labels.exists():
        gaps = np.loadtxt(labels, usecols=(0, 1), ndmin=2)
        steps.append(RestoreOptions("inpaint", {"gaps_s": gaps.tolist()}))
    return [*steps, RestoreOptions("bandwidth")]


def restore_folder(restorer: Restorer, source: Path, target: Path) -> int:
    """Restore all files of a folder into another one; return the number of failures."""
    target.mkdir(parents=True, exist_ok=True)
    failures = 0
    for path in sorted(source.iterdir()):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            chain = Chain([(restorer, options) for options in steps_for(path)])
            found = chain.restore_file(path, target / path.name, overwrite=True)
        except (A2SBError, ValueError) as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failures += 1
        else:
            print(f"{path.name}: {found.describe() if found else 'nothing to restore'}")
    return failures


if __name__ == "__main__":
    folders = Path(sys.argv[1]), Path(sys.argv[2])
    sys.exit(bool(restore_folder(Restorer.from_pretrained("small"), *folders)))
