"""Recordings that clients have uploaded, each in a folder of its own."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from a2sb_core.audio import file_names
from a2sb_core.common.files import staging_folder
from a2sb_core.common.text import without_folders
from a2sb_core.errors import A2SBError
from a2sb_core.jobs.job_process import JobProcess
from a2sb_core.jobs.limits import MEGABYTE, Limits
from a2sb_core.jobs.visits import DAY_S, Visits
from a2sb_core.service.messages import UploadedRecording
from a2sb_core.service.work import check_upload

T = TypeVar("T")

SILENCE_S = 60.0
"""Longest time in seconds without a part of an upload."""

CHECK_MINUTES = 1.0
"""Longest time that a check of an upload or a request may take, in minutes."""


@dataclass
class Uploads:
    """The uploads in a folder.

    Attributes:
        folder: the folder, which is created.
        limits: limits of a client.
        keep_s: time in seconds after which an upload is removed.
        checking: process that reads the headers of uploads.
        count: number of uploads that were accepted.
        size: size of all uploads in bytes, also of those that were refused.
    """

    folder: Path
    limits: Limits
    keep_s: float
    checking: JobProcess = field(default_factory=JobProcess)
    count: int = 0
    size: int = 0

    def __post_init__(self) -> None:
        """Remove what a killed server has left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)
        self._visits, self._turn = Visits(DAY_S), asyncio.Lock()

    def path(self, id_: str) -> Path | None:
        """Return the file of an upload; None if there is none."""
        folder = self.folder / id_
        if not id_.isalnum() or not folder.is_dir():
            return None
        return next(folder.iterdir(), None)

    async def receive(self, request: Request, name: str, client: str) -> UploadedRecording:
        """Store the body of a request, and check that it is a recording within the limits.

        Raises:
            HTTPException: it is not, or the client went away.
        """
        if fault := _fault(name):
            raise HTTPException(422, f"the name {name!r} {fault}: choose another one")
        await run_in_threadpool(self._sweep)
        id_ = secrets.token_hex(16)
        try:
            with staging_folder(self.folder / id_) as staging:
                size = await self._store(request, staging / name, client)
                info = await self.check(check_upload, staging / name, self.limits)
                staging.rename(self.folder / id_)
        except ClientDisconnect as error:
            raise HTTPException(400, "the upload was not complete") from error
        except OSError as error:
            raise HTTPException(507, f"the upload cannot be stored: {error.strerror}") from error
        self.count += 1
        return UploadedRecording(
            id=id_,
            name=name,
            size=size,
            duration_s=info.duration_s,
            sample_rate=info.sample_rate,
            channels=info.channels,
        )

    async def check(self, job: Callable[..., T], *arguments: Any) -> T:
        """Run a check in the process for it.

        Raises:
            HTTPException: the check fails.
        """
        limits = replace(self.limits, work_minutes=CHECK_MINUTES)
        async with self._turn:  # so that those who wait do not take the threads of other requests
            try:
                found: T = await run_in_threadpool(
                    self.checking.run, job, *arguments, limits=limits, stop=Event()
                )
            except A2SBError as error:
                raise HTTPException(422, without_folders(str(error), self.folder)) from error
        return found

    async def _store(self, request: Request, path: Path, client: str) -> int:
        """Write the body of a request to a file; return its size in bytes."""
        announced = request.headers.get("content-length", "")
        visit = self._visits.begin(client)
        visit.files = 1
        self._refuse(client, 0, int(announced[:20]) if announced[:20].isdecimal() else 0)
        with path.open("wb") as file:
            async for chunk in _steadily(request.stream()):
                visit.size += len(chunk)
                self.size += len(chunk)
                self._refuse(client, visit.size, 0)
                await run_in_threadpool(file.write, chunk)
        if not visit.size:
            raise HTTPException(422, "the request has no body: send the recording as its body")
        return visit.size

    def _refuse(self, client: str, size: int, more: int) -> None:
        if size + more > self.limits.megabytes * MEGABYTE:
            raise HTTPException(
                413,
                f"the upload is larger than {self.limits.megabytes} MB, the limit of this server",
            )
        if reason := self._visits.excess(client, self.limits, more):
            raise HTTPException(429, reason)

    def _sweep(self) -> None:
        """Remove old uploads."""
        before = time.time() - self.keep_s
        for path in self.folder.iterdir():
            if not path.name.startswith(".") and path.stat().st_mtime < before:
                shutil.rmtree(path, ignore_errors=True)


async def _steadily(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of a body.

    Raises:
        HTTPException: nothing arrives for too long.
    """
    try:
        while True:
            yield await asyncio.wait_for(anext(chunks), SILENCE_S)
    except StopAsyncIteration:
        return
    except TimeoutError as error:
        text = f"nothing of the upload has arrived for {SILENCE_S:g} seconds"
        raise HTTPException(408, text) from error


def _fault(name: str) -> str:
    """Return why an upload cannot have a name, or an empty text."""
    if not name or not name.isprintable():
        return "is empty or contains control characters"
    return "is a path" if "/" in name or "\\" in name else file_names.fault(name)
