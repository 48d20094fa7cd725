"""The report of a batch: the outcome of each file, for programs and for people."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from a2sb_core.batch.local import FileOutcome
from a2sb_core.common.files import atomic_write_text
from a2sb_core.common.text import printable
from a2sb_core.errors import AudioError


def as_dict(outcome: FileOutcome) -> dict[str, Any]:
    """Return an outcome for JSON."""
    return {
        "input": printable(outcome.pair.source),
        "output": printable(outcome.pair.output),
        "status": outcome.status,
        "found": outcome.found,
        "error": printable(outcome.error) or None,
        "seconds": round(outcome.seconds, 3),
        "notes": [printable(note) for note in outcome.notes],
    }


def failure(outcome: FileOutcome) -> str:
    """Return the reason of a failure, with the name of the file."""
    name, error = printable(outcome.pair.source), printable(outcome.error)
    return error if name in error else f"{name}: {error}"


def check_report(path: Path) -> None:
    """Check that a report can be written, before any work is done.

    Raises:
        AudioError: it cannot.
    """
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise AudioError(
            f"the report {path} cannot be written: its folder is missing or read-only, or it is a "
            "folder itself; choose another path"
        )


def write_report(path: Path, outcomes: list[FileOutcome], seconds: float) -> None:
    """Write the outcomes of a batch as JSON, which replaces an earlier report.

    Raises:
        AudioError: it cannot be written.
    """
    counts = Counter(outcome.status for outcome in outcomes)
    report = {
        "seconds": round(seconds, 3),
        "counts": dict(counts),
        "files": [as_dict(outcome) for outcome in outcomes],
    }
    try:
        atomic_write_text(path, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise AudioError(f"the report {path} cannot be written: {error.strerror}") from error
