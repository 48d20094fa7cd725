"""Restoration of many recordings in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from a2sb_core.errors import A2SBError, AudioError

Value = TypeVar("Value")

THREADS_PER_WORKER = 4
"""Threads that one recording keeps busy on a CPU; more of them mostly wait for each other."""

MOST_WORKERS = 4
"""Recordings at a time beyond this number contend for the interpreter and for memory."""


def one_for_each(values: Any, count: int, what: str) -> Sequence[Any]:
    """Return one value for each recording, from a sequence or from one value for all.

    Raises:
        AudioError: the sequence has another length.
    """
    if not isinstance(values, Sequence):
        return [values] * count
    if len(values) != count:
        raise AudioError(
            f"there are {count} recordings, but {len(values)} {what}: give one for all, or one "
            "for each"
        )
    return values


def usual_workers(device: torch.device) -> int:
    """Return the number of recordings that are restored at a time."""
    if device.type != "cpu":
        return 2
    return max(1, min(MOST_WORKERS, torch.get_num_threads() // THREADS_PER_WORKER))


def map_recordings(restore: Callable[[int], Value], count: int, workers: int) -> list[Value]:
    """Call a function for the recordings 0 to ``count - 1`` in threads; return its values in order.

    The first error ends the work.

    Raises:
        AudioError: there is no worker.
        A2SBError: a recording cannot be restored; the message states its index.
    """
    if workers < 1:
        raise AudioError(f"workers must be at least 1, got {workers}")

    def call(index: int) -> Value:
        try:
            return restore(index)
        except A2SBError as error:
            raise type(error)(f"recording {index}: {error}") from error

    if workers == 1:
        return [call(index) for index in range(count)]
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(call, index) for index in range(count)]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
