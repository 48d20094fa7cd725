"""Work of the page, without its layout: inspect and restore one recording or many."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any

from a2sb_core.audio import files
from a2sb_core.audio.choices import Stereo
from a2sb_core.batch.local import FileOutcome, Status
from a2sb_core.batch.pairing import plan
from a2sb_core.common.files import put_in_place
from a2sb_core.demo.cases import DemoCase, cases, read_clip
from a2sb_core.errors import A2SBError, AudioError, TaskError
from a2sb_core.interfaces import Corruption, Marks
from a2sb_core.jobs import restoring
from a2sb_core.jobs.job_process import CancelledError, JobProcess, OnStep
from a2sb_core.jobs.limits import Limits
from a2sb_core.jobs.queue import JobQueue
from a2sb_core.jobs.records import Job, JobOutcome
from a2sb_core.jobs.request import RestoreRequest
from a2sb_core.jobs.restoring import check_recording
from a2sb_core.plugins import DamageOption, DamageTextError, default_registry, read_damage
from a2sb_core.restoration.analysis import Analysis, Analyzer
from a2sb_core.restoration.damage import validated
from a2sb_core.web.session import Session
from a2sb_core.web.view import located, view

OnChange = Callable[[Job], None]
SHOWN = "shown"
"""Purpose of a job whose result is shown in the player."""
LOOK_MINUTES = 30.0
"""Longest time that the inspection of a recording may take, in minutes."""


@dataclass(frozen=True)
class PageRequest:
    """Settings of a visitor; an empty text or None requests detection or the default."""

    task: str
    model: str
    texts: Mapping[str, str] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0
    suffix: str | None = None
    stereo: Stereo = "lr"
    level_db: float = 0.0

    def request(self) -> RestoreRequest:
        """Return the request of a job.

        Raises:
            TaskError: a text of the damage is malformed.
        """
        own = [option for option in fields() if option.task == self.task]
        texts = {option.flag: _items(option, self.texts) for option in own}
        try:
            damage = read_damage(own, texts)
        except DamageTextError as error:
            raise TaskError(str(error)) from error
        return RestoreRequest(
            task=self.task,
            model=self.model,
            damage=damage,
            steps=self.steps,
            seed=self.seed,
            format=self.suffix.lstrip(".") if self.suffix else None,
            stereo=self.stereo,
            level_db=self.level_db,
        )

    def job(self, limits: Limits, purpose: str = "") -> dict[str, Any]:
        """Return what the queue stores.

        Raises:
            TaskError: a text of the damage is malformed, or there are too many steps.
        """
        request = self.request()
        request.check(limits)
        return {"request": request.model_dump(mode="json"), "purpose": purpose}

    def marks(self) -> Marks | None:
        """Return the marks of the specified damage; None if the visitor specified none.

        Raises:
            TaskError: the damage is malformed.
        """
        given = dict(self.request().damage)
        if not given:
            return None
        corruption = corruption_of(self.model).for_task(self.task)
        return corruption.marks(validated(corruption, given))


@dataclass(frozen=True)
class RestoredFile:
    """A result: the file, the data of the player, and a sentence about it."""

    target: Path
    view: dict[str, Any]
    text: str


def fields() -> list[DamageOption]:
    """Return the options of damage that have a field on the page."""
    return [option for option in default_registry().options if option.label]


def tasks(model: str) -> list[tuple[str, str]]:
    """Return the label and the name of each task of a model.

    Raises:
        ModelError: the model is not found.
    """
    corruption = corruption_of(model)
    served = ((name, corruption.for_task(name).label) for name in corruption.tasks())
    return [(label or name, name) for name, label in served]


def corruption_of(model: str) -> Corruption:
    """Return the damage that a model restores."""
    return _analyzer(model).corruption


def look(
    process: JobProcess, session: Session, path: Path, limits: Limits, model: str, stop: Event
) -> tuple[Analysis, dict[str, Any]]:
    """Return the damage of a recording, and the data of the player.

    Raises:
        AudioError: the file is not audio, or too long.
        CancelledError: ``stop`` is set.
    """
    limits = replace(limits, work_minutes=min(limits.work_minutes, LOOK_MINUTES))
    with _room(session) as room:
        found: tuple[Analysis, dict[str, Any]] = process.run(
            _look, room, path, limits, model, limits=limits, stop=stop
        )
    return found[0], located(found[1], room)


def _look(
    report: OnStep, room: Path, path: Path, limits: Limits, model: str
) -> tuple[Analysis, dict[str, Any]]:
    check_recording(path, limits)
    found = _analyzer(model).analyze(path)
    return found, view(room, [("before", path)], Marks())


def restore(
    queue: JobQueue, session: Session, path: Path, request: PageRequest, on_change: OnChange
) -> RestoredFile:
    """Restore a recording, as ``a2sb restore`` does.

    Raises:
        A2SBError: the recording cannot be restored.
        CancelledError: the visitor cancelled.
    """
    with _room(session) as room:
        outcome = _do(queue, session, path, request.job(queue.limits, SHOWN), room, on_change)
    data = located(outcome.data["view"], room)
    return RestoredFile(room / outcome.target, data, " ".join((outcome.text, *outcome.notes)))


def restore_many(
    queue: JobQueue,
    session: Session,
    paths: Sequence[str | Path],
    request: PageRequest,
    on_change: OnChange,
) -> Iterator[FileOutcome]:
    """Restore recordings in turn; yield the outcome of each, also of those that were cancelled.

    Raises:
        AudioError: there are no recordings, or too many.
        TaskError: there are too many steps.
    """
    asked, limits = request.job(queue.limits), queue.limits
    if len(paths) > limits.files:
        raise AudioError(f"{len(paths)} files exceed the limit of this server: {limits.files}")
    for pair in plan([*map(Path, paths)], session.room(), suffix=request.suffix):
        started = time.monotonic()
        try:
            with _room(session) as room:
                done = _do(queue, session, pair.source, asked, room, on_change)
                put_in_place(room / done.target, pair.target)
        except CancelledError:
            yield FileOutcome(pair, "left")
        except (A2SBError, OSError) as error:
            yield FileOutcome(pair, "failed", time.monotonic() - started, error=str(error))
        else:
            damage = done.data["damage"]
            status: Status = "nothing" if damage is None else "restored"
            seconds = done.ended - (done.started or done.ended)
            yield FileOutcome(pair, status, seconds, damage, notes=tuple(done.notes))


def _do(
    queue: JobQueue,
    session: Session,
    path: Path,
    asked: dict[str, Any],
    room: Path,
    on_change: OnChange,
) -> JobOutcome:
    """Wait for a job of a session, and move its files to ``room``; return its outcome."""
    if session.stop.is_set():
        raise CancelledError
    id_ = queue.submit(path, asked, owner=session.folder.name).ticket.id
    try:
        outcome = queue.wait(id_, session.stop, on_change).outcome
        assert outcome is not None
        if outcome.state == "cancelled":
            raise CancelledError
        if outcome.state == "failed":
            raise A2SBError(outcome.error)
        for made in queue.result(id_).iterdir():
            put_in_place(made, room / made.name)
        return outcome
    finally:
        queue.drop(id_)


def restored(
    report: OnStep, source: Path, room: Path, asked: dict[str, Any], *, limits: Limits, device: str
) -> JobOutcome:
    """Do a job of the page in a worker: restore a recording, and make the data of the player."""
    request = RestoreRequest.model_validate(asked["request"])
    pair, damage, outcome = restoring.restore(report, source, room, request, limits, device)
    if asked["purpose"] != SHOWN:
        return outcome
    shown = damage.marks if damage else Marks()
    data = view(room, [("before", pair.source), ("after", pair.target)], shown)
    return outcome.model_copy(update={"data": outcome.data | {"view": data}})


@contextmanager
def _room(session: Session) -> Iterator[Path]:
    """Create a folder of a session, which is removed if the work in it fails."""
    room = session.room()
    try:
        yield room
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise


def pack(session: Session, outcomes: list[FileOutcome]) -> Path | None:
    """Pack all results into a ZIP file and return its path; None if there are no results."""
    targets = [one.pair.target for one in outcomes if one.status in ("restored", "nothing")]
    if not targets:
        return None
    path = session.room() / "restored.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for target in targets:
            archive.write(target, target.name)
    return path


@lru_cache(maxsize=1)
def examples() -> tuple[DemoCase, ...]:
    """Return the shipped clip with each kind of damage of the demo."""
    return tuple(cases(*read_clip()))


def example(session: Session, case: DemoCase) -> Path:
    """Write an example to a file, and return its path."""
    path = session.room() / f"example_{case.task}.flac"
    files.write(path, case.damaged, read_clip()[1])
    return path


def _items(option: DamageOption, texts: Mapping[str, str]) -> list[str]:
    """Return the elements of a field, which white space or commas separate."""
    text = texts.get(option.flag, "")
    return text.replace(",", " ").split() if option.is_list else [text]


@lru_cache(maxsize=4)
def _analyzer(model: str) -> Analyzer:
    return Analyzer(model)
