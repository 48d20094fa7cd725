"""Names that a system takes for no file, told before any work is done."""

from __future__ import annotations

import os
import sys
import unicodedata
from pathlib import PurePath

WINDOWS = sys.platform == "win32"

RESERVED = frozenset('<>:"/\\|?*')
DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in "123456789¹²³"]
)
"""What Windows takes for a device, whatever suffix follows: what is written to NUL.wav is gone."""

LONGEST_NAME = 255
"""Bytes, and on Windows units of UTF-16."""

LONGEST_PATH = 259
"""Characters, on a Windows that is not set to take more."""


def fault(name: str, windows: bool | None = None) -> str:
    """Say why a file can not have a name (of its own, without folders); "": it can.

    Args:
        name: of the file.
        windows: whether it is to be one of Windows; by default, whether this is Windows.

    Example:
        >>> fault("what?.wav", windows=True)
        'holds `?`, which Windows does not take'
        >>> fault("what?.wav", windows=False)
        ''
    """
    is_windows = WINDOWS if windows is None else windows
    length = len(name.encode("utf-16-le", "surrogatepass")) // 2 if is_windows else len(
        name.encode("utf-8", "surrogatepass"))
    if length > LONGEST_NAME:
        unit = "characters" if is_windows else "bytes"
        return f"is {length} {unit} long, and at most {LONGEST_NAME} will do"
    return _fault_on_windows(name) if is_windows else ""


def _fault_on_windows(name: str) -> str:
    wrong = sorted({letter for letter in name if letter in RESERVED or letter < " "})
    if wrong:
        listed = " ".join(f"`{letter.encode('unicode_escape').decode()}`" for letter in wrong)
        return f"holds {listed}, which Windows does not take"
    device = name.partition(".")[0].rstrip(" ").upper()
    if device in DEVICES:
        return f"is that of the device {device} on Windows"
    return "ends with a dot or space, which Windows leaves out" if name[-1:] in (".", " ") else ""


def is_too_long(path: PurePath, windows: bool | None = None, extended: bool | None = None) -> bool:
    """Whether Windows does not take an absolute path for its length.

    Args:
        path: with its folders.
        windows: whether it is one of Windows; by default, whether this is Windows.
        extended: whether Windows is set to take long ones; by default, as it is.
    """
    if not (WINDOWS if windows is None else windows) or str(path).startswith("\\\\?\\"):
        return False
    length = len(str(path).encode("utf-16-le", "surrogatepass")) // 2
    return length > LONGEST_PATH and not (takes_long_paths() if extended is None else extended)


def takes_long_paths() -> bool:
    """Whether paths may be longer than :data:`LONGEST_PATH`."""
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
    """Return a key that is one for all paths that some file system takes for one.

    Such do not tell upper from lower case, nor a letter with an accent from a letter and an accent.

    Example:
        >>> one_key("A/é.wav") == one_key("a/é.WAV"), one_key("ss") == one_key("ß")
        (True, False)
    """
    text = unicodedata.normalize("NFC", os.fspath(path))
    upper = ((letter, letter.upper()) for letter in text)
    return "".join(large if len(large) == 1 else letter for letter, large in upper)
