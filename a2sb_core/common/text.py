"""Sizes, durations and names as text."""

from __future__ import annotations

import os
import re
from pathlib import Path


def slug(text: str) -> str:
    """Return a text as a part of a file name: other characters become underscores.

    Example:
        >>> slug("gap-300 / small@16")
        'gap-300_small@16'
    """
    return re.sub(r"[^\w.@=-]+", "_", text)


def format_bytes(count: float) -> str:
    """Return a size in decimal units.

    Example:
        >>> format_bytes(24_100_000), format_bytes(12)
        ('24.1 MB', '12 B')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.{1 if count < 100 * size else 0}f} {unit}"
    return f"{count:.0f} B"


def format_seconds(seconds: float) -> str:
    """Return a duration in whole seconds, minutes or tenths of an hour.

    Example:
        >>> format_seconds(42), format_seconds(300), format_seconds(9000)
        ('42 s', '5 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def format_count(count: float) -> str:
    """Return a number of parameters in millions.

    Example:
        >>> format_count(12_100_000)
        '12.1 M'
    """
    return f"{count / 1e6:.1f} M"


def printable_text(text: str) -> str:
    r"""Return a text of several lines, with control characters and bytes that are no text escaped.

    Example:
        >>> printable_text("one\x1b[31m\ntwo")
        'one\\x1b[31m\ntwo'
    """
    return "\n".join(printable(line) for line in text.split("\n"))


def printable(path: str | os.PathLike[str]) -> str:
    r"""Return a path for people, with line breaks and bytes that are no text escaped.

    Example:
        >>> printable("two\nlines.wav")
        'two\\nlines.wav'
    """
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def without_folders(text: str, root: Path) -> str:
    """Return a text in which paths below ``root`` are shortened to the names of the files.

    >>> without_folders("/tmp/x/up/1/my tape.wav is empty", Path("/tmp/x"))
    'my tape.wav is empty'
    """
    return re.sub(re.escape(str(root)) + r"/(?:[^/\s]+/)*", "", text)
