"""Many files on many machines: a Ray Data job whose workers hold the model."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import re
import socket
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from a2sb_core.batch.local import Engine, FileOutcome, InTurn
from a2sb_core.batch.pairing import Pair
from a2sb_core.errors import A2SBError
from a2sb_core.restoration.listener import Listener

LOST = (
    "every worker that tried it was lost: short of memory, perhaps; restore it apart, with "
    "--max-memory"
)
CLUSTER_ADDRESS = re.compile(r"(?:ray://)?\[?(?P<host>[^/\]]+?)\]?:(?P<port>\d{1,5})")
ANSWER_S = 5.0
"""Seconds within which the machine of a cluster must accept a connection."""


@dataclass(frozen=True)
class OnRay:
    """An engine that restores files on the workers of a Ray cluster, in any order.

    A file whose worker is lost (killed, or its machine gone) is begun again by another
    one, and failed files are tried again when all others are done.

    Args:
        work: the engine of a worker; each worker gets a copy, which loads its own model.
        address: address of the cluster, ``host:port``; by default that of the environment, or a
            cluster on this machine for as long as the work takes.
        workers: largest number of workers; by default as many as the cluster has room for.
        gpus_per_worker: GPUs of a worker, also less than one; by default 1 where there are any.
        retries: number of times that a failed file is tried again.

    Raises:
        A2SBError: Ray is not installed, there is no cluster at ``address``, or the workers cannot
            load the model.
    """

    work: InTurn
    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None
    retries: int = 1

    def __call__(self, pairs: list[Pair], listener: Listener) -> Iterator[FileOutcome]:
        """Yield the outcomes as they arrive; workers report no progress within a file."""
        with _connected(self.address) as resources:
            gpus = self.gpus_per_worker
            if gpus is None:
                gpus = 1.0 if resources.get("GPU") else 0.0
            workers = self.workers or room(resources, gpus)

            def run(some: list[Pair], listener: Listener) -> Iterator[FileOutcome]:
                return complete(_on_workers(self.work, some, workers, gpus, self.retries), some)

            yield from retried(run, pairs, listener, self.retries)


def room(resources: Mapping[str, float], gpus_per_worker: float) -> int:
    """Return how many workers a cluster has room for: by its GPUs, or by its processor cores.

    Example:
        >>> room({"CPU": 64, "GPU": 4}, gpus_per_worker=0.5), room({"CPU": 64}, 0)
        (8, 64)
    """
    if gpus_per_worker:
        return max(1, int(resources.get("GPU", 0) / gpus_per_worker))
    return max(1, int(resources.get("CPU", 0)))


def retried(
    run: Engine, pairs: list[Pair], listener: Listener, retries: int
) -> Iterator[FileOutcome]:
    """Yield the outcome of each pair; failed ones are run again after all others.

    Only the last failure of a pair is reported.
    """
    for more in reversed(range(retries + 1)):
        failed = []
        for outcome in run(pairs, listener) if pairs else ():
            if more and outcome.status == "failed":
                failed.append(outcome.pair)
            else:
                yield outcome
        pairs = failed


def complete(outcomes: Iterable[FileOutcome], pairs: list[Pair]) -> Iterator[FileOutcome]:
    """Yield outcomes, then a failure for each pair that has none."""
    told = set()
    for outcome in outcomes:
        told.add(outcome.pair)
        yield outcome
    yield from (FileOutcome(pair, "failed", error=LOST) for pair in pairs if pair not in told)


class Worker:
    """Restores one file after another in a process of the cluster.

    Args:
        work: restores pairs.
        folder: folder that relative paths start from.
    """

    def __init__(self, work: InTurn, folder: str) -> None:
        self.work = work
        with contextlib.suppress(OSError):  # absolute paths do without
            os.chdir(folder)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Return the pickled outcome of a pickled pair, or why no model can be loaded."""
        pair: Pair = pickle.loads(row["pair"])
        try:
            (told,) = self.work([pair], Listener())
        except A2SBError as error:
            return {"error": pickle.dumps(str(error))}
        return {"outcome": pickle.dumps(told)}


def _on_workers(
    work: InTurn, pairs: list[Pair], workers: int, gpus: float, retries: int
) -> Iterator[FileOutcome]:
    """Yield the outcomes of the workers; pairs that no worker survived have none."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1  # a lost file is no reason to lose the others
    context.enable_progress_bars = False
    _log_to_files_only("ray.data")
    rows = [{"pair": pickle.dumps(pair)} for pair in pairs]
    with warnings.catch_warnings():
        # Ray Data itself would retry a pair for ever that kills each worker; there is no other way
        # yet to limit that.
        warnings.filterwarnings("ignore", message=".*ray_remote_args", category=DeprecationWarning)
        told = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker,
            fn_constructor_args=(work, os.getcwd()),
            max_task_retries=retries,
            **({"num_gpus": gpus} if gpus else {"num_cpus": 1}),  # Ray does not take both
            compute=ray.data.ActorPoolStrategy(
                size=min(workers, len(rows)), max_tasks_in_flight_per_actor=1
            ),
        )
    for row in told.iter_rows():
        if "error" in row:
            raise A2SBError(pickle.loads(row["error"]))
        yield pickle.loads(row["outcome"])


@contextmanager
def _connected(address: str | None) -> Iterator[dict[str, float]]:
    """Connect to a cluster, or start one; yield its resources.

    Messages of Ray about lost workers go to stderr, the others into its own logs.

    Raises:
        A2SBError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise A2SBError("Ray is not installed: pip install 'a2sb[ray]'") from error
    check_reachable(address or os.environ.get("RAY_ADDRESS"))
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(
                address=address,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise A2SBError(f"there is no Ray cluster at {address or 'hand'}: {error}") from error
        try:
            resources: dict[str, Any] = ray.cluster_resources()
            yield resources
        finally:
            ray.shutdown()


def check_reachable(address: str | None) -> None:
    """Check that something accepts connections at an address, for which Ray itself waits minutes.

    Args:
        address: ``host:port`` or ``ray://host:port``; other forms, such as ``auto``, and None are
            left to Ray.

    Raises:
        A2SBError: nothing answers.
    """
    if not (match := CLUSTER_ADDRESS.fullmatch(address or "")):
        return
    try:
        with socket.create_connection((match["host"], int(match["port"])), timeout=ANSWER_S):
            return
    except (OSError, OverflowError, UnicodeError) as error:
        raise A2SBError(f"there is no Ray cluster at {address}: {error}") from error


def _log_to_files_only(name: str) -> None:
    for handler in logging.getLogger(name).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
