"""Requests that the server refuses, and the headers of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from starlette.formparsers import MultiPartException

from a2sb_core.jobs.hosts import AllowedHosts
from a2sb_core.jobs.limits import MEGABYTE, Limits
from a2sb_core.jobs.visits import DAY_S, Visit, Visits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Refusal = Callable[[Visit, int], str]

LOGIN, LOGINS, LOGIN_PERIOD_S = "/login", 5, 60.0
"""Path of the login, and the largest number of failed attempts of an address within a period."""
LARGEST_FORM = 16 * MEGABYTE
"""Largest body in bytes of a request that uploads no files."""
FILES = ("/gradio_api/file=", "/gradio_api/file/")
FETCHES = re.compile(r"/gradio_api/(?:file[=/]\s*[a-z][a-z0-9+.-]+:/|proxy=)", re.IGNORECASE)
"""Paths that would make the server fetch other addresses."""
MULTIPART = re.compile(r"multipart/form-data;\s*boundary=(\"?)([\w'()+,./:=?-]{1,70})\1")
PLAYED = ("audio/flac", "audio/x-flac", "image/png")
"""Types of the files of the player; all others are sent as plain data."""
FILE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
}


def guarded(limits: Limits, hosts: AllowedHosts) -> Callable[[Any], Any]:
    """Return a lifespan of the server that puts the :class:`Guard` before all else.

    A middleware would stand behind gradio's own, which answers preflight requests of any origin.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Guard(app.middleware_stack, limits, hosts)
        yield

    return lifespan


class RefusedError(Exception):
    """A request is refused with a status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Guard:
    """Checks requests before the page sees them, and hardens the headers of its answers.

    Args:
        app: the page.
        limits: limits of a visitor, who is known by the address.
        hosts: hosts that the page answers for.
    """

    def __init__(self, app: App, limits: Limits, hosts: AllowedHosts) -> None:
        self.app, self.limits, self.hosts = app, limits, hosts
        self.logins, self.uploads = Visits(LOGIN_PERIOD_S), Visits(DAY_S)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            headers = self._checked_headers(scope)
            body = self._body(scope, headers, receive)
        except RefusedError as error:
            await _refuse(error, send)
            return
        await self.app(scope, body, self._answers(scope, body, send))

    def _checked_headers(self, scope: Message) -> dict[str, str]:
        """Return the headers of a request that comes from an allowed place."""
        pairs = [
            (key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]
        ]
        named = [value for key, value in pairs if key == "host"]
        if len(named) != 1 or not self.hosts.accepts(named[0]):
            raise RefusedError(403, "this host is not served: `--allow-host NAME` allows a name")
        if any(
            key == "origin" and not self.hosts.accepts_origin(value, named[0])
            for key, value in pairs
        ):
            raise RefusedError(
                403, "requests of other sites are refused: `--allow-host NAME` allows one"
            )
        if FETCHES.match(scope["path"]):
            raise RefusedError(403, "this server fetches nothing from other addresses")
        return dict(reversed(pairs))  # the first of equal names, as gradio reads them

    def _body(self, scope: Message, headers: dict[str, str], receive: Receive) -> Body:
        """Return the body of a request, which ends with an error at the limits."""
        visitor = _visitor(scope)
        if _is_login(scope):
            if len(self.logins.of(visitor)) >= LOGINS:
                raise RefusedError(429, "too many attempts to log in: try again in a minute")
            self.logins.begin(visitor)
        kind = headers.get("content-type", "")
        if _is_login(scope) or not kind.lower().lstrip().startswith("multipart/"):
            body = Body(receive, Visit(), _form_refusal)
        elif match := MULTIPART.fullmatch(kind):
            refusal = partial(self._upload_refusal, visitor)
            if reason := refusal(Visit(files=1), 0):
                raise RefusedError(413, reason)
            visit = self.uploads.begin(visitor)
            body = Body(receive, visit, refusal, f"--{match[2]}".encode("latin-1"))
        else:
            raise RefusedError(400, "the upload is malformed")
        body.announce(headers.get("content-length", ""))
        return body

    def _upload_refusal(self, visitor: str, visit: Visit, more: int) -> str:
        """Return why an upload with ``more`` further bytes exceeds the limits, or an empty text."""
        if visit.files > self.limits.files:
            return (
                f"more than {self.limits.files} files in an upload exceed the limit of this server"
            )
        return self.uploads.excess(visitor, self.limits, more)

    def _answers(self, scope: Message, body: Body, send: Send) -> Send:
        """Return a function that sends the answer with hardened headers."""

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                if body.is_refused:
                    message["status"] = 413
                if _is_login(scope) and message["status"] < 400:
                    self.logins.clear(_visitor(scope))
                message["headers"] = _hardened(scope["path"], message.get("headers", ()))
            await send(message)

        return hardened


class Body:
    """The body of a request, counted while it is read.

    Args:
        receive: yields the messages of the request.
        visit: receives the number of bytes and of files.
        refusal: returns why the visit and a number of further bytes exceed a limit, or an empty
            text.
        boundary: mark before each file, and at the end.
    """

    def __init__(
        self, receive: Receive, visit: Visit, refusal: Refusal, boundary: bytes = b""
    ) -> None:
        self.receive, self.visit, self.refusal, self.boundary = receive, visit, refusal, boundary
        self.is_refused, self._marks, self._tail = False, 0, b""

    def announce(self, length: str) -> None:
        """Check the announced length.

        Raises:
            RefusedError: it exceeds a limit.
        """
        if length[:20].isdecimal() and (reason := self.refusal(self.visit, int(length[:20]))):
            raise RefusedError(413, reason)

    async def __call__(self) -> Message:
        """Return the next message.

        Raises:
            MultiPartException: the body exceeds a limit; gradio then removes what it has stored.
        """
        message = await self.receive()
        if message["type"] == "http.request":
            self._count(message.get("body", b""))
        return message

    def _count(self, chunk: bytes) -> None:
        self.visit.size += len(chunk)
        if self.boundary:
            data = self._tail + chunk
            self._marks += data.count(self.boundary)
            self._tail = data[max(0, len(data) - len(self.boundary) + 1) :]
            self.visit.files = max(0, self._marks - 1)
        if reason := self.refusal(self.visit, 0):
            self.is_refused = True
            raise MultiPartException(reason)


def _form_refusal(visit: Visit, more: int) -> str:
    is_large = visit.size + more > LARGEST_FORM
    return f"the request is larger than {LARGEST_FORM // MEGABYTE} MB" if is_large else ""


def _visitor(scope: Message) -> str:
    """Return the address of a visitor."""
    return str((scope.get("client") or ("",))[0])


def _is_login(scope: Message) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/") == LOGIN)


def _hardened(path: str, headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with strict cookies; files are never shown as a page."""
    pairs = [(key.lower(), value) for key, value in headers]
    kept = [(key, _strict(value) if key == b"set-cookie" else value) for key, value in pairs]
    if not path.startswith(FILES):
        return kept
    given = dict(pairs)
    placed = given.get(b"content-disposition", b"attachment")
    fixed = {key.encode(): value.encode() for key, value in FILE_HEADERS.items()}
    fixed[b"content-disposition"] = re.sub(rb"^\s*[\w-]+", b"attachment", placed)
    kind = given.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind not in PLAYED:
        fixed[b"content-type"] = b"application/octet-stream"
    return [*((key, value) for key, value in kept if key not in fixed), *fixed.items()]


def _strict(cookie: bytes) -> bytes:
    """Return a cookie that browsers send with requests of this site only."""
    return re.sub(rb"(?i);\s*samesite=[^;]*", b"", cookie) + b"; SameSite=strict"


async def _refuse(error: RefusedError, send: Send) -> None:
    content = json.dumps({"detail": error.text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
