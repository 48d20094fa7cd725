"""Server that shows the page of a listening test on this machine, and collects the ratings."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.listening.design import PAGE, RATINGS, read_test
from a2sb_core.listening.ratings import COLUMNS, parse_document, read_ratings

LARGEST_REQUEST = 1 << 20
"""Largest body of a request, in bytes."""
TIMEOUT_S = 30.0
"""Longest silence of a visitor within a request."""
LOCK = ".ratings.lock"


class Collection:
    """Ratings of a test in ``ratings.csv``, to which new ones are appended.

    Raises:
        A2SBError: the folder holds no test, or what was collected so far is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.test = read_test(folder)
        self.path = folder / RATINGS
        known = read_ratings(self.test, [self.path]) if self.path.is_file() else []
        self._places = {rating.place for rating in known}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, document: Any) -> int:
        """Keep the ratings of a document of the page; return how many were new.

        The first rating of a stimulus by a participant counts. The new lines reach the disk in one
        write before this returns.

        Raises:
            RatingsError: the document is malformed; nothing of it is kept.
            OSError: the file cannot be written.
        """
        ratings = parse_document(self.test, document, "the request")
        with self._lock:
            new = {one.place: one for one in reversed(ratings) if one.place not in self._places}
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            if not self.path.exists():
                writer.writerow(COLUMNS)
            writer.writerows(one.cells(self.test) for one in reversed(new.values()))
            if new:
                self._append(text.getvalue().encode())
            self._places |= new.keys()
        return len(new)

    def _append(self, content: bytes) -> None:
        """Append to the file; after an error it is as it was before."""
        with self.path.open("ab", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            try:
                if file.write(content) != len(content):
                    raise OSError("the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)
                raise


class Handler(SimpleHTTPRequestHandler):
    """Answers with the files of the page, and takes ratings at ``/ratings``."""

    timeout = TIMEOUT_S

    def __init__(self, *given: Any, collection: Collection, **more: Any) -> None:
        self.collection = collection
        super().__init__(*given, **more)

    def do_POST(self) -> None:
        """Take the ratings of a participant, as JSON."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._answer(HTTPStatus.LENGTH_REQUIRED, "the request has no Content-Length")
            return
        if len(length) > 9 or int(length) > LARGEST_REQUEST:
            text = f"a request has at most {LARGEST_REQUEST} bytes"
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
            return
        body = self.rfile.read(int(length))
        if self.path != "/ratings":
            self._answer(HTTPStatus.NOT_FOUND, "ratings are taken at /ratings")
        # Another site cannot send this type without asking, which is not answered.
        elif self.headers.get_content_type() != "application/json":
            self._answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "ratings are sent as application/json")
        else:
            self._take(body)

    def _take(self, body: bytes) -> None:
        try:
            new = self.collection.add(json.loads(body))
        except (ValueError, RecursionError):
            self._answer(HTTPStatus.BAD_REQUEST, "the request is not valid JSON")
        except A2SBError as error:
            self._answer(HTTPStatus.BAD_REQUEST, str(error))
        except OSError as error:
            reason = error.strerror or str(error)
            self._answer(HTTPStatus.INSUFFICIENT_STORAGE, f"the ratings were not kept: {reason}")
        else:
            self._answer(HTTPStatus.OK, f"{new} new ratings")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        content = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def list_directory(self, path: Any) -> None:
        """Refuse to list a folder."""
        self.send_error(HTTPStatus.NOT_FOUND, "File not found")

    def log_message(self, format: str, *values: Any) -> None:
        """Print nothing."""


@contextmanager
def serve(folder: Path, host: str, port: int) -> Iterator[ThreadingHTTPServer]:
    """Bind a server for a test; its ``serve_forever`` answers requests.

    Args:
        folder: the test.
        host: address to listen at.
        port: port to listen at; 0 takes a free one.

    Yields:
        The server.

    Raises:
        A2SBError: the folder holds no page, another server collects its ratings, or the address is
            not available.
    """
    if not (folder / PAGE).is_dir():
        raise ConfigError(f"{folder} has no page: make the test with --format page")
    try:
        with FileLock(folder / LOCK, timeout=0):
            handler = partial(Handler, collection=Collection(folder), directory=str(folder / PAGE))
            try:
                server = ThreadingHTTPServer((host, port), handler)
            except OSError as error:
                reason = error.strerror or error
                raise A2SBError(
                    f"{host}:{port} is not available: {reason}; choose another --port"
                ) from error
            with server:
                yield server
    except Timeout as error:
        raise A2SBError(f"another server already collects the ratings of {folder}") from error
