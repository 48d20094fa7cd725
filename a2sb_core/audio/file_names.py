"""File names that a system refuses, checked before any work is done.

The rules are stated here rather than taken from `pathvalidate`, which counts bytes where Windows
counts UTF-16 units, refuses leading spaces, and overlooks devices such as ``aux .wav``.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import PurePath

WINDOWS = sys.platform == "win32"

LONGEST_NAME = 255
"""Longest file name: in bytes, and on Windows in UTF-16 units."""

LONGEST_PATH = 259
"""Longest path in UTF-16 units on a Windows without its setting LongPathsEnabled."""

_RESERVED = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[1-9\u00b9\u00b2\u00b3]) *(\..*)?",
    re.IGNORECASE | re.DOTALL,
)
"""Names of devices with any suffix: what is written to NUL.wav is lost."""


def fault(name: str, windows: bool | None = None) -> str:
    """Return why a file cannot have a name, or "" if it can.

    Args:
        name: the name without folders.
        windows: whether the rules of Windows apply (default: those of this system).

    Example:
        >>> fault("what?.wav", windows=True)
        "contains '?', which Windows does not allow"
        >>> fault("what?.wav", windows=False)
        ''
    """
    is_windows = WINDOWS if windows is None else windows
    length = _utf16_units(name) if is_windows else len(name.encode("utf-8", "surrogatepass"))
    if length > LONGEST_NAME:
        unit = "characters" if is_windows else "bytes"
        return f"has {length} {unit}, and at most {LONGEST_NAME} are possible"
    if "\0" in name:
        return "contains a NUL character, which no system allows"
    if not is_windows:
        return ""
    if found := _RESERVED.search(name):
        return f"contains {found[0]!r}, which Windows does not allow"
    if found := _DEVICE.fullmatch(name):
        return f"is that of the device {found[1].upper()} on Windows"
    return "ends with a dot or space, which Windows omits" if name[-1:] in (".", " ") else ""


def is_too_long(path: PurePath, windows: bool | None = None, extended: bool | None = None) -> bool:
    """Whether an absolute path is too long for Windows.

    Args:
        path: the path with its folders.
        windows: whether the rules of Windows apply (default: those of this system).
        extended: whether Windows is set to allow long paths (default: its present setting).
    """
    if not (WINDOWS if windows is None else windows) or str(path).startswith("\\\\?\\"):
        return False
    is_extended = takes_long_paths() if extended is None else extended
    return _utf16_units(str(path)) > LONGEST_PATH and not is_extended


def takes_long_paths() -> bool:
    """Whether this system allows paths longer than :data:`LONGEST_PATH`."""
    if sys.platform != "win32":
        return True
    import winreg

    place = r"SYSTEM\CurrentControlSet\Control\FileSystem"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False


def one_key(path: str | os.PathLike[str]) -> str:
    """Return a key that is equal for all paths which some file system takes for the same.

    Such a file system ignores case, and whether an accented letter is one character or two.

    Example:
        >>> one_key("A/é.wav") == one_key("a/é.WAV"), one_key("ss") == one_key("ß")
        (True, False)
    """
    text = unicodedata.normalize("NFC", os.fspath(path))
    upper = ((letter, letter.upper()) for letter in text)
    return "".join(large if len(large) == 1 else letter for letter, large in upper)


def for_libsndfile(path: str | os.PathLike[str]) -> str | bytes:
    """Return a path as soundfile needs it: as bytes, because a name need not be UTF-8.

    Windows has names of characters, which are passed unchanged.
    """
    return os.fspath(path) if WINDOWS else os.fsencode(path)


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
