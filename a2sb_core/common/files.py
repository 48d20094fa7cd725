"""Files: written in one step, hashed, and found in folders."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from a2sb_core.errors import A2SBError

PARTIAL_PATTERN = ".a2sb-*.part"
"""Names of the files that a killed process may leave behind."""

ORPHANED_AFTER_S = 86_400.0
"""Age from which such a file cannot belong to a running process."""

_TEMPORARY = re.compile(r"\.a2sb-[0-9a-f]{16}\.(part|spool)")
"""Names of temporary files: those of :func:`partial_path`, and what is written beside them."""


def partial_path(target: Path) -> Path:
    """Return a new hidden name in the folder of ``target``, to write its content to at first."""
    return target.with_name(f".a2sb-{secrets.token_hex(8)}.part")


def remove_orphans(folder: Path) -> list[Path]:
    """Remove the temporary files that killed processes left in a folder; return their paths.

    A file is left if it, or another one of the same process, was written within a day.
    """
    by_process: dict[str, list[tuple[Path, float]]] = defaultdict(list)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                modified_s = entry.stat(follow_symlinks=False).st_mtime
                by_process[Path(entry.name).stem].append((Path(entry.path), modified_s))
    oldest = time.time() - ORPHANED_AFTER_S
    removed = []
    for files in by_process.values():
        if max(modified_s for _, modified_s in files) < oldest:
            for path, _ in files:
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed.append(path)
    return removed


def put_in_place(partial: str | os.PathLike[str], target: Path) -> None:
    """Rename a complete file to its final name and replace the file that has this name.

    Raises:
        A2SBError: another program has the old file open (Windows), or it is write-protected.
    """
    try:
        os.replace(partial, target)
    except PermissionError as error:
        raise A2SBError(
            f"{target} cannot be replaced: {error.strerror}; close the program that has it open, "
            "such as a player, or choose another name"
        ) from error


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Write a file that appears under its name only when it is complete.

    Yields:
        The path of a temporary file in the same folder, which the caller writes. It replaces
        ``target`` at the end, or is removed if an exception is raised.

    Raises:
        OSError: the file cannot be written.
        A2SBError: as :func:`put_in_place`.
    """
    partial = partial_path(target)
    try:
        yield partial
        put_in_place(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file as :func:`atomic_write`."""
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf8")


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """Make a hidden folder beside ``target``, which is removed at the end if it is still there.

    Yields:
        Its path. The caller fills the folder and renames it to ``target`` when it is complete.

    Raises:
        OSError: the folder cannot be made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        staging.chmod(0o755)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def atomic_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder that appears under its name only when it is complete.

    If the folder exists and ``overwrite`` is set, the new files replace those of the same name;
    other files in it stay.

    Yields:
        The path of a new folder beside ``target``, which the caller fills. It becomes ``target`` at
        the end, or is removed if an exception is raised.

    Raises:
        A2SBError: the folder exists and ``overwrite`` is not set, or it cannot be written.
    """
    if target.exists() and not overwrite:
        raise A2SBError(f"{target} exists already; choose another folder")
    try:
        with staging_folder(target) as staging:
            yield staging
            if target.is_dir():
                for path in staging.iterdir():
                    put_in_place(path, target / path.name)
            else:
                staging.rename(target)
    except OSError as error:
        raise A2SBError(f"{target} cannot be written: {error.strerror or error}") from error


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits.

    Raises:
        A2SBError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise A2SBError(f"{path} cannot be read: {error.strerror or error}") from error


def read_limited(path: Any, limit: int) -> str:
    """Return the UTF-8 text of a file or resource.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has more than ``limit`` bytes, or is not UTF-8.
    """
    with path.open("rb") as file:
        content: bytes = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit} bytes")
    return content.decode("utf8")


def hold_out(paths: list[Path], count: int) -> tuple[list[Path], list[Path]]:
    """Divide the files of a folder into those for training, at least one, and the ``count`` last.

    Example:
        >>> hold_out(["a.wav", "b.wav", "c.wav"], 1)
        (['a.wav', 'b.wav'], ['c.wav'])
    """
    cut = max(1, len(paths) - count)
    return paths[:cut], paths[cut:]


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files in a folder and its subfolders that have one of the suffixes, sorted.

    Hidden files and folders, whose names start with a dot, are skipped. Links to folders are not
    followed; a broken link counts as a file, so that the caller reports it.

    Args:
        folder: the folder to search.
        suffixes: suffixes in lower case, with their dot.
    """
    found: list[Path] = []
    for name, folders, files in os.walk(folder):
        folders[:] = (one for one in folders if not one.startswith("."))
        paths = (Path(name, file) for file in files if not file.startswith("."))
        found += (path for path in paths if path.suffix.lower() in suffixes)
    return sorted(found)
