"""Outputs at URLs: folders that fsspec knows, such as ``s3://bucket/restored``."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.audio.formats import FORMATS
from a2sb_core.batch.pairing import Pair, plan
from a2sb_core.config.defaults import TEMPLATE
from a2sb_core.errors import AudioError


def is_url(text: str) -> bool:
    """Whether a text is a URL and no path."""
    return "://" in text


@dataclass(frozen=True)
class RemotePair(Pair):
    """A file to restore, and the URL of the result.

    The result is written into a folder of its own on this machine, and uploaded once it
    is complete.

    Attributes:
        target: name of the result.
        url: URL of the result.
    """

    url: str

    @property
    def output(self) -> str:
        """Name of the result, for people."""
        return self.url

    def exists(self) -> bool:
        """Whether the result exists.

        Raises:
            AudioError: the store does not answer.
        """
        files, path = filesystem(self.url)
        try:
            return bool(files.exists(path))
        except Exception as error:
            raise AudioError(_fault(self.url, "looked for", error)) from error

    @contextmanager
    def writing(self) -> Iterator[Pair]:
        """Yield a pair on this machine, whose target is then uploaded.

        Raises:
            AudioError: the upload failed.
        """
        with tempfile.TemporaryDirectory(prefix="a2sb-") as folder:
            local = Path(folder) / self.target.name
            yield Pair(self.source, local)
            upload(local, self.url)


def plan_at(
    sources: Iterable[Path], url: str, template: str = TEMPLATE, suffix: str | None = None
) -> list[Pair]:
    """Return the files to restore into the folder ``url``; see :func:`plan`.

    Raises:
        AudioError: as for :func:`plan`, or the URL cannot be that of a folder.
    """
    if Path(url).suffix.lower() in FORMATS:
        raise AudioError(
            f"{url} looks like a file; name a folder, and set names of files by --filename"
        )
    files, root = filesystem(url)
    is_here = "file" in files.protocol
    folder = Path(root) if is_here else Path(os.sep, url)  # no source lies in it
    return [
        RemotePair(
            pair.source,
            Path(pair.target.name),
            f"{url.rstrip('/')}/{pair.target.relative_to(folder).as_posix()}",
        )
        for pair in plan(sources, folder, template, suffix)
    ]


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of fsspec for a URL, and the path in it.

    Raises:
        AudioError: there is none for such URLs, or it is not installed.
    """
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise AudioError(f"{url} cannot be used: {error}") from error
    return files, path


def upload(local: Path, url: str) -> None:
    """Upload a file under another name, then rename it, so that it appears when complete.

    Raises:
        AudioError: the upload failed.
    """
    files, path = filesystem(url)
    folder, _, name = path.rpartition("/")
    partial = f"{folder}/.a2sb-{uuid.uuid4().hex}-{name}"
    try:
        files.makedirs(folder, exist_ok=True)
        files.put_file(os.fspath(local), partial)
        files.mv(partial, path)
    except Exception as error:
        with contextlib.suppress(Exception):
            files.rm_file(partial)
        raise AudioError(_fault(url, "written", error)) from error


def _fault(url: str, done: str, error: Exception) -> str:
    """Each store has errors of its own."""
    return f"{url} cannot be {done}: {type(error).__name__}: {error}"
