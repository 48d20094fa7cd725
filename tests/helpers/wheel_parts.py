"""The wheel of the project, built without a network from the files that the Dockerfile copies."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf8")
COPIES = re.findall(r"^COPY (?!--from)(.+) (\S+)$", DOCKERFILE, re.MULTILINE)
SOURCES = [source for sources, _ in COPIES for source in sources.split()]


def build_wheel(folder):
    """Build the wheel in a folder, and return its path."""
    for source in SOURCES:
        path = ROOT / source
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / "source" / source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-index", "-w", folder / "made", folder / "source"], check=True)
    (wheel,) = (folder / "made").glob("*.whl")
    return wheel
