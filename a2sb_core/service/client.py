"""A client of the service, with the standard library."""

from __future__ import annotations

import json
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from a2sb_core.common.files import atomic_write
from a2sb_core.errors import A2SBError
from a2sb_core.jobs.limits import MEGABYTE
from a2sb_core.jobs.request import RestoreRequest
from a2sb_core.service.messages import (
    Health,
    JobStatus,
    ServedLimits,
    ServedModel,
    UploadedRecording,
)

TRIES, WAIT_S = 6, 2.0
"""Number of times that a request is sent whose connection fails, and seconds between them."""


class ServiceError(A2SBError):
    """The service refused a request; ``status`` is that of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class NoAnswerError(A2SBError):
    """The service does not answer."""


class Client:
    """Restores recordings with a service.

    Args:
        url: address of the service.
        token: token of the client, if the service needs one.
        timeout_s: longest time without an answer, in seconds; longer than 15, the time between the
            events of a job.

    Every method raises :class:`ServiceError` if the service refuses a request, and
    :class:`NoAnswerError` if it does not answer.

    Example:
        >>> client = Client("http://127.0.0.1:8000")
        >>> client.restore("old.wav", "new.wav", "bandwidth", cutoff_hz=4000)  # doctest: +SKIP
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", token: str | None = None, timeout_s: float = 60.0
    ) -> None:
        self.url, self.timeout_s = url.rstrip("/"), timeout_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def health(self) -> Health:
        """Return the state of the server."""
        return Health.model_validate(self._json("GET", "/health"))

    def models(self) -> list[ServedModel]:
        """Return the models of the server."""
        return [ServedModel.model_validate(one) for one in self._json("GET", "/models")]

    def limits(self) -> ServedLimits:
        """Return the limits of the server."""
        return ServedLimits.model_validate(self._json("GET", "/limits"))

    def upload(self, path: str | Path) -> UploadedRecording:
        """Upload a recording.

        Raises:
            A2SBError: the file cannot be read, or exceeds a limit of the server.
        """
        path = Path(path)
        try:
            size = path.stat().st_size
            most = self.limits().megabytes
            if size > most * MEGABYTE:
                raise ServiceError(413, f"{path} is larger than {most} MB, the limit of the server")
            with path.open("rb") as file:
                query = urlencode({"name": path.name})
                headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
                answer = self._json("POST", f"/uploads?{query}", file, headers)
        except FileNotFoundError as error:
            raise A2SBError(f"{path} does not exist") from error
        return UploadedRecording.model_validate(answer)

    def submit(self, upload: UploadedRecording | str, task: str, **settings: Any) -> JobStatus:
        """Add a job; a connection that fails never adds it twice.

        Args:
            upload: the recording, or the ``id`` of its upload.
            task: task of the model.
            **settings: fields of :class:`~a2sb_core.jobs.request.RestoreRequest`; every other
                keyword is a parameter of the damage.
        """
        known = RestoreRequest.model_fields
        asked = {name: value for name, value in settings.items() if name in known}
        damage = {name: value for name, value in settings.items() if name not in known}
        asked["damage"] = asked.get("damage", {}) | damage
        asked |= {"task": task, "upload": upload if isinstance(upload, str) else upload.id}
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(16)}
        body = json.dumps(asked).encode()
        answer = self._again(lambda: self._json("POST", "/jobs", body, headers))
        return JobStatus.model_validate(answer)

    def jobs(self) -> list[JobStatus]:
        """Return the jobs of this client, in the order of their arrival."""
        return [JobStatus.model_validate(one) for one in self._json("GET", "/jobs")]

    def job(self, id_: str) -> JobStatus:
        """Return the state of a job."""
        return JobStatus.model_validate(self._json("GET", f"/jobs/{quote(id_)}"))

    def events(self, id_: str) -> Iterator[JobStatus]:
        """Yield the state of a job whenever it changes, until the job has ended.

        A connection that fails is made again.
        """
        last, failed = None, 0
        while last is None or not last.is_over:
            try:
                with self._open("GET", f"/jobs/{quote(id_)}/events") as answer:
                    for line in answer:
                        if line.startswith(b"data: "):
                            last, failed = JobStatus.model_validate_json(line[6:]), 0
                            yield last
            except NoAnswerError:
                failed += 1
                if failed == TRIES:
                    raise
                time.sleep(WAIT_S)

    def wait(self, id_: str, on_change: Callable[[JobStatus], None] | None = None) -> JobStatus:
        """Wait for the end of a job, and return it.

        Args:
            id_: the job.
            on_change: receives the state of the job whenever it changes.
        """
        for job in self.events(id_):
            if on_change is not None:
                on_change(job)
        return job

    def download(self, id_: str, target: str | Path, overwrite: bool = False) -> Path:
        """Write the result of a job to a file, and return its path.

        Raises:
            A2SBError: the file exists and ``overwrite`` is not set, or the job has no result.
        """
        target = Path(target)
        if target.exists() and not overwrite:
            raise A2SBError(f"{target} exists already: choose another name, or set `overwrite`")

        def fetch() -> None:
            path = f"/jobs/{quote(id_)}/result"
            with atomic_write(target) as partial, self._open("GET", path) as answer:
                with partial.open("wb") as file:
                    shutil.copyfileobj(answer, file)
                if answer.length:
                    raise NoAnswerError(f"{self.url} ended the download of {target}")

        self._again(fetch)
        return target

    def cancel(self, id_: str) -> JobStatus:
        """Cancel a job, unless it has ended; one that runs ends soon afterwards."""
        return JobStatus.model_validate(self._json("POST", f"/jobs/{quote(id_)}/cancel"))

    def remove(self, id_: str) -> None:
        """Remove a job that has ended, and its result."""
        with self._open("DELETE", f"/jobs/{quote(id_)}"):
            pass

    def restore(
        self,
        source: str | Path,
        target: str | Path,
        task: str,
        *,
        overwrite: bool = False,
        on_change: Callable[[JobStatus], None] | None = None,
        **settings: Any,
    ) -> JobStatus:
        """Restore a file to another one, and return the finished job.

        Args:
            source: an audio file.
            target: file to write. Its format is that of ``source``, or ``format``.
            task: task of the model.
            overwrite: replace an existing file.
            on_change: receives the state of the job whenever it changes.
            **settings: see :meth:`submit`.

        Raises:
            A2SBError: the recording cannot be restored, or the target exists.
        """
        if Path(target).exists() and not overwrite:
            raise A2SBError(f"{target} exists already: choose another name, or set `overwrite`")
        job = self.wait(self.submit(self.upload(source), task, **settings).id, on_change)
        if job.state != "done":
            raise A2SBError(f"{source} was not restored, the job is {job.state}: {job.error}")
        self.download(job.id, target, overwrite)
        return job

    def _json(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        with self._open(method, path, body, headers) as answer:
            return json.load(answer)

    @contextmanager
    def _open(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Iterator[HTTPResponse]:
        request = urllib.request.Request(
            self.url + path, body, self._headers | (headers or {}), method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise ServiceError(error.code, _detail(error)) from error
        except (urllib.error.URLError, ConnectionError, TimeoutError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise NoAnswerError(f"{self.url} does not answer: {reason}") from error

    def _again(self, ask: Callable[[], Any]) -> Any:
        """Repeat a request whose connection fails."""
        for rest in reversed(range(TRIES)):
            try:
                return ask()
            except NoAnswerError:
                if not rest:
                    raise
                time.sleep(WAIT_S)


def _detail(error: urllib.error.HTTPError) -> str:
    """Return the reason of a refusal."""
    try:
        return str(json.load(error)["detail"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return f"the service answers {error.code} {error.reason}"
