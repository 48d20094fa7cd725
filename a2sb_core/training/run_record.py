"""Writing the record of a training run: its configuration, versions, device and data."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import a2sb_core
from a2sb_core.common.files import atomic_write_text, file_hash
from a2sb_core.common.packages import version_or_unknown
from a2sb_core.config.training import DataConfig, TrainConfig
from a2sb_core.models.folder import describe
from a2sb_core.models.run_record import read_run
from a2sb_core.plugins.code_digests import plugin_code
from a2sb_core.training.data.sources import TrainingFile

log = logging.getLogger(__name__)

PACKAGES = ("a2sb", "accelerate", "numpy", "safetensors", "soundfile", "soxr")


def write_record(
    path: Path,
    config: TrainConfig,
    files: Sequence[TrainingFile],
    *,
    step: int,
    processes: int,
    device: str,
    precision: str,
) -> str:
    """Write the record of a run that starts, or resumes, at ``step``; returns its text.

    A resumed run keeps the sessions that the record already has and adds its own. The log reports
    if the code of a plugin has changed since.
    """
    session = {
        "from_step": step,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "precision": precision,
        "processes": processes,
        "versions": _versions(),
        "parts": describe(config.model)["parts"],
        "code": plugin_code(config.model),
        "git": _commit(Path(a2sb_core.__file__).parent),
        "git_here": _commit(Path.cwd()),
        "data": _describe_data(config.data, files),
    }
    earlier = (read_run(path.parent) or {}).get("sessions", []) if step > 0 else []
    if any(one.get("code", session["code"]) != session["code"] for one in earlier):
        log.warning("%s: the code of a plugin has changed since the run began", path.parent)
    record = {"config": config.model_dump(mode="json"), "sessions": [*earlier, session]}
    text = json.dumps(record, indent=2) + "\n"
    atomic_write_text(path, text)
    return text


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__}
    found |= {name: version_or_unknown(name) for name in PACKAGES}
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def _commit(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of a folder and whether tracked files differ from it.

    None: git does not track the folder.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout.strip()

    try:
        if not git("ls-files", "."):
            return None  # an installed package inside somebody's repository
        changed = bool(git("status", "--porcelain", "--untracked-files=no", "."))
        return {"commit": git("rev-parse", "HEAD"), "changed": changed}
    except (OSError, subprocess.SubprocessError):
        return None


def _describe_data(config: DataConfig, files: Sequence[TrainingFile]) -> dict[str, Any]:
    paths = [config.source] if config.source else [part.path for part in config.sources]
    return {
        "sources": [{"path": str(path), "sha256": _hash(path)} for path in paths],
        "files": len(files),
        "hours": round(sum(file.duration_s for file in files) / 3600, 3),
    }


def _hash(source: Path) -> str:
    """Hash a manifest, or the names and sizes of all files of a folder."""
    if source.is_file():
        return file_hash(source)
    listing = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            name = path.relative_to(source).as_posix()
            listing.update(f"{name}\0{path.stat().st_size}\n".encode())
    return listing.hexdigest()
