"""Limits of transfers from a hub: names, bytes, pace, time, and room on the disk."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.common.text import format_bytes, format_seconds
from a2sb_core.errors import ModelError

RESTARTS = 5
"""How often a download may start again."""

COMMIT = re.compile(r"[0-9a-f]{40}")
_ETAG = re.compile(r"(W/)?\"?([0-9a-f]{40}|[0-9a-f]{64})\"?")


@dataclass(frozen=True)
class Pace:
    """The slowest transfer that is waited for.

    Attributes:
        bytes_per_s: bytes per second, as the mean of each period.
        period_s: length of a period in seconds.
        total_s: largest duration of a download or request in seconds.
    """

    bytes_per_s: float = 1000.0
    period_s: float = 60.0
    total_s: float = 86_400.0


DEFAULT_PACE = Pace()


def most_bytes(expected: int) -> int:
    """Return how many bytes are accepted if a size is announced; a download may start again."""
    return 2 * expected + (1 << 20)


def require_room(folder: Path, needed: int) -> None:
    """Check that a folder, which need not exist yet, has room for a download.

    Raises:
        ModelError: it has not.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise ModelError(
            f"the download needs {format_bytes(needed)}, but {folder} has room for only "
            f"{format_bytes(free)}: make room, or set HF_HOME to a folder on another disk"
        )


def progress(total_bytes: int) -> Any:
    """Return a class of progress bars that end a download which never comes to an end.

    huggingface_hub resumes as long as data comes. A server that breaks off and does not support
    ranges sends everything from the start each time, which the bar sees as a step back. A file
    that is longer than the hub says is ended too.
    """
    from huggingface_hub.utils.tqdm import tqdm

    class Progress(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        restarts = 0
        received = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            self.restarts += (n or 0) < 0
            self.received += n or 0
            if self.restarts > RESTARTS:
                raise ConnectionError("all attempts broke off")
            if self.received > most_bytes(total_bytes):
                raise ConnectionError("the hub sends more than it announced")
            return bool(super().update(n))

    return Progress


@contextmanager
def limited_transfers(most: int, pace: Pace) -> Iterator[None]:
    """Check the answers of the hub.

    Refused are answers whose ETag or commit, which name files in the cache, could be paths. Answers
    of more than ``most`` bytes, and answers that are too slow, are broken off. All files come over
    plain HTTP, since the transfers of hf_xet cannot be checked.
    """
    from huggingface_hub import constants, get_session

    end = time.monotonic() + pace.total_s

    def check(response: Any) -> None:
        if response.request.method == "HEAD":  # only these answers name files
            _check_names(response.headers)
        else:
            response.stream = _limited(response, most, pace, end)

    session = get_session()
    before = session.event_hooks
    session.event_hooks = {**before, "response": [*before["response"], check]}
    was_disabled, constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_XET, True
    try:
        yield
    finally:
        session.event_hooks = before
        constants.HF_HUB_DISABLE_XET = was_disabled


def _check_names(headers: Any) -> None:
    for header, pattern in (("ETag", _ETAG), ("X-Linked-ETag", _ETAG), ("X-Repo-Commit", COMMIT)):
        value = headers.get(header)
        if value is not None and not pattern.fullmatch(value):
            raise ModelError(f"the hub sent an invalid {header}: {value!r}")


def _limited(response: Any, most: int, pace: Pace, end: float) -> Any:
    """Return the body of a response, which breaks off at a limit."""
    body = response.stream
    # The class of whichever package of the httpx family huggingface_hub uses.
    base: Any = sys.modules[type(response).__module__.partition(".")[0]].SyncByteStream

    class LimitedBody(base):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            total, recent, since = 0, 0, time.monotonic()
            for chunk in body:
                total, recent, now = total + len(chunk), recent + len(chunk), time.monotonic()
                if total > most:
                    raise ConnectionError("the hub sends more than it announced")
                if now > end:
                    raise ConnectionError(f"it took more than {format_seconds(pace.total_s)}")
                if now - since > pace.period_s:
                    if recent < pace.bytes_per_s * (now - since):
                        raise ConnectionError(
                            f"the hub sends less than {format_bytes(pace.bytes_per_s)} a second"
                        )
                    recent, since = 0, now
                yield chunk

        def close(self) -> None:
            body.close()

    return LimitedBody()
