"""Many files on many machines: a Ray Data job whose workers hold the model."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from a2sb_core.engine.batch import Engine, InTurn, Outcome, Pair
from a2sb_core.errors import A2SBError

LOST = (
    "every worker that tried it was lost: short of memory, perhaps; restore it apart, with "
    "--max-memory"
)


@dataclass(frozen=True)
class OnRay:
    """An engine: restores files on the workers of a Ray cluster, in any order.

    A file whose worker is lost (killed, or its machine gone) is begun again by another one, and
    what failed is tried again when all others are done.

    Args:
        work: what a worker does with a file; it is sent to each, which loads its model.
        address: of the cluster, ``host:port``; by default that of the environment, or one on this
            machine for as long as the work takes.
        workers: how many there are, at most; by default as many as the cluster has room for.
        gpus_per_worker: a share of one, or several; by default one where the cluster has any.
        retries: how often a file that failed is tried again.

    Raises:
        A2SBError: Ray is not installed, there is no cluster at ``address``, or the workers can not
            load the model.
    """

    work: InTurn
    address: str | None = None
    workers: int | None = None
    gpus_per_worker: float | None = None
    retries: int = 1

    def __call__(self, pairs: list[Pair], on_step: Callable[..., None]) -> Iterator[Outcome]:
        """Yield the outcomes as they come; workers tell no progress within a file."""
        with _connected(self.address) as resources:
            gpus = self.gpus_per_worker
            if gpus is None:
                gpus = 1.0 if resources.get("GPU") else 0.0
            workers = self.workers or room(resources, gpus)

            def run(some: list[Pair], on_step: Callable[..., None]) -> Iterator[Outcome]:
                return complete(_on_workers(self.work, some, workers, gpus, self.retries), some)

            yield from retried(run, pairs, on_step, self.retries)


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
    run: Engine, pairs: list[Pair], on_step: Callable[..., None], retries: int
) -> Iterator[Outcome]:
    """Yield what became of each pair; what failed is run again after all others, ``retries`` times.

    Only the last failure of a pair is told.
    """
    for more in reversed(range(retries + 1)):
        failed = []
        for outcome in run(pairs, on_step) if pairs else ():
            if more and outcome.status == "failed":
                failed.append(outcome.pair)
            else:
                yield outcome
        pairs = failed


def complete(outcomes: Iterable[Outcome], pairs: list[Pair]) -> Iterator[Outcome]:
    """Yield outcomes, then a failure for each pair that has none."""
    told = set()
    for outcome in outcomes:
        told.add(outcome.pair)
        yield outcome
    yield from (Outcome(pair, "failed", error=LOST) for pair in pairs if pair not in told)


class Worker:
    """Restores one file after another in a process of the cluster.

    Args:
        work: restores pairs.
        folder: that relative paths are meant from.
    """

    def __init__(self, work: InTurn, folder: str) -> None:
        self.work = work
        with contextlib.suppress(OSError):  # absolute paths do without
            os.chdir(folder)

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        """Return the pickled outcome of a pickled pair, or why no model can be loaded."""
        pair: Pair = pickle.loads(row["pair"])
        try:
            (told,) = self.work([pair], lambda *_: None)
        except A2SBError as error:
            return {"error": pickle.dumps(str(error))}
        return {"outcome": pickle.dumps(told)}


def _on_workers(
    work: InTurn, pairs: list[Pair], workers: int, gpus: float, retries: int
) -> Iterator[Outcome]:
    """Yield what the workers tell; pairs that no worker survived have no outcome."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1  # a lost file is no reason to lose the others
    context.enable_progress_bars = False
    _log_to_files_only("ray.data")
    rows = [{"pair": pickle.dumps(pair)} for pair in pairs]
    with warnings.catch_warnings():
        # Ray Data itself would try for ever what kills each worker that tries it; there is no
        # other way yet to say how often.
        warnings.filterwarnings("ignore", message=".*ray_remote_args", category=DeprecationWarning)
        told = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            Worker, fn_constructor_args=(work, os.getcwd()), max_task_retries=retries,
            **({"num_gpus": gpus} if gpus else {"num_cpus": 1}),  # both is not stable yet
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

    What Ray says of lost workers goes to stderr, the rest into its own logs.

    Raises:
        A2SBError: Ray is not installed, or no cluster answers.
    """
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ImportError as error:
        raise A2SBError("Ray is not installed: pip install 'a2sb[ray]'") from error
    with contextlib.redirect_stdout(sys.stderr):
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False,
                     logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise A2SBError(f"no Ray cluster at {address or 'hand'}: {error}") from error
        try:
            resources: dict[str, Any] = ray.cluster_resources()
            yield resources
        finally:
            ray.shutdown()


def _log_to_files_only(name: str) -> None:
    for handler in logging.getLogger(name).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setLevel(logging.CRITICAL)
