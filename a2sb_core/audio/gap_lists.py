"""Lists of gaps: CSV files, and label files of audio editors."""

from __future__ import annotations

import math
import os
from pathlib import Path

from a2sb_core.errors import AudioError

Gaps = tuple[tuple[float, float], ...]


def read_gaps(path: str | os.PathLike[str]) -> Gaps:
    """Read stretches (start, end) in seconds.

    A line holds start and end, and whatever else, such as a label, apart by tabs (as Audacity
    exports labels), semicolons or commas. Empty lines, lines that begin with `#` or a backslash
    (Audacity's frequencies of a label), and a heading in the first line are passed over. Apart from
    comma-separated files, decimals may have a comma.

    Raises:
        AudioError: the file can not be read, holds no gap, or a line is wrong; it names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise AudioError(f"the list of gaps {path} can not be read: {reason}") from error
    gaps: list[tuple[float, float]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(("#", "\\")):
            continue
        gap = _gap(line)
        if gap is None and not gaps and number == 1 and not any(c.isdigit() for c in line):
            continue  # a heading
        if gap is None:
            raise AudioError(
                f"{path}, line {number}: `{line}` is no gap: start and end in seconds, the end "
                "after the start, apart by a tab, semicolon or comma"
            )
        gaps.append(gap)
    if not gaps:
        raise AudioError(f"{path} holds no gaps: a line for each, start and end in seconds")
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
