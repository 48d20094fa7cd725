"""The folder of a running page, and the removal of those that were left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "a2sb-web-"
LOCK = "running.lock"
UNLOCKED_S = 24 * 3600
"""Age in seconds from which a folder without a lock counts as left behind."""


@contextmanager
def page_folder() -> Iterator[Path]:
    """Create the folder of a page for as long as it runs; remove those of pages that are gone.

    The system releases the lock in the folder when the process ends, however it ends.
    """
    remove_stale(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
    lock = FileLock(folder / LOCK)
    try:
        with lock:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale(parent: Path) -> None:
    """Remove the folders of pages whose processes are gone."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_own(folder) and _is_stale(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_own(folder: Path) -> bool:
    """Return whether this user owns a folder, which others cannot prepare with links."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # Windows reports 0 for all files
    return folder.is_dir() and not folder.is_symlink() and folder.lstat().st_uid == user


def _is_stale(folder: Path) -> bool:
    path = folder / LOCK
    if not path.exists():
        return time.time() - folder.stat().st_mtime > UNLOCKED_S
    try:
        with FileLock(path, timeout=0):
            return True
    except Timeout:
        return False
