"""The record of the training run that a model came from: ``run.json`` beside its weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUN_NAME = "run.json"


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the record of the run that trained the model of a folder.

    Returns:
        The record, or None if the folder has none or it is not a JSON object.
    """
    try:
        found: Any = json.loads((folder / RUN_NAME).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
