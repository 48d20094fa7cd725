"""Lists of gaps: CSV files, and label files of audio editors."""

from __future__ import annotations

import math
import os
from pathlib import Path

from a2sb_core.errors import AudioError

Gaps = tuple[tuple[float, float], ...]


def read_gaps(path: str | os.PathLike[str]) -> Gaps:
    """Read stretches (start, end) in seconds.

    A line contains the start, the end, and optional further cells, such as a label. Tabs (as in
    labels of Audacity), semicolons or commas separate the cells. Empty lines, lines that begin with
    `#` or a backslash (frequencies of a label in Audacity), and a heading in the first line are
    ignored. Numbers may have decimal commas unless commas separate the cells.

    Raises:
        AudioError: the file cannot be read or contains no gap, or a line is malformed. The message
            states the line.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise AudioError(f"the list of gaps {path} cannot be read: {reason}") from error
    gaps: list[tuple[float, float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "\\")):
            continue
        gap = _gap(line)
        if gap is None and not gaps and number == 1 and not any(c.isdigit() for c in line):
            continue  # a heading
        if gap is None:
            raise AudioError(
                f"{path}, line {number}: `{line}` is not a gap: expected start and end in seconds, "
                "the end after the start, separated by a tab, semicolon or comma"
            )
        gaps.append(gap)
    if not gaps:
        raise AudioError(
            f"{path} contains no gaps: expected a line for each, with start and end in seconds"
        )
    return tuple(sorted(gaps))


def _gap(line: str) -> tuple[float, float] | None:
    separator = next((one for one in ("\t", ";") if one in line), ",")
    cells = [cell.strip().strip('"') for cell in line.split(separator)]
    if separator != ",":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        start, end = float(cells[0]), float(cells[1])
    except (ValueError, IndexError):
        return None
    return (start, end) if 0 <= start < end < math.inf else None
