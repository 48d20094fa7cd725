"""The account of a training run: what was run, with which versions, on which data."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import a2sb_core
from a2sb_core.config.run import DataConfig, TrainConfig
from a2sb_core.engine.checkpoint import describe
from a2sb_core.engine.sources import Source
from a2sb_core.engine.systems import file_hash

RUN_NAME = "run.json"
PACKAGES = ("a2sb", "accelerate", "numpy", "safetensors", "soundfile", "soxr")


def describe_run(
    config: TrainConfig, sources: Sequence[Source], step: int, processes: int, device: str,
    earlier: Path | None = None,
) -> dict[str, Any]:
    """Return the account of a run that starts, or goes on, at ``step``.

    The sessions of the account ``earlier`` stand before the present one.
    """
    session = {
        "from_step": step,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "processes": processes,
        "versions": _versions(),
        "parts": describe(config.model)["parts"],
        "git": _commit(Path(a2sb_core.__file__).parent),
        "git_here": _commit(Path.cwd()),
        "data": _describe_data(config.data, sources),
    }
    before = _sessions(earlier) if earlier is not None and step > 0 else []
    return {"config": config.model_dump(mode="json"), "sessions": [*before, session]}


def to_json(account: dict[str, Any]) -> str:
    """Return an account as text."""
    return json.dumps(account, indent=2) + "\n"


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the account beside a model's weights; None: there is none."""
    try:
        found: Any = json.loads((folder / RUN_NAME).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _sessions(file: Path) -> list[Any]:
    account = read_run(file.parent) or {}
    return list(account.get("sessions", []))


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "torch": torch.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    if torch.version.cuda:
        found["cuda"] = torch.version.cuda
    return found


def _commit(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of a folder that git keeps; ``changed``: files differ from it."""
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


def _describe_data(config: DataConfig, sources: Sequence[Source]) -> dict[str, Any]:
    paths = [config.source] if config.source else [part.path for part in config.sources]
    return {
        "sources": [{"path": str(path), "sha256": _hash(path)} for path in paths],
        "files": len(sources),
        "hours": round(sum(source.duration_s for source in sources) / 3600, 3),
    }


def _hash(source: Path) -> str:
    """Hash a manifest; of a folder, the names and sizes of all its files."""
    if source.is_file():
        return file_hash(source)
    listing = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file():
            name = path.relative_to(source).as_posix()
            listing.update(f"{name}\0{path.stat().st_size}\n".encode())
    return listing.hexdigest()
