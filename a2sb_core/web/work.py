"""Work of the page, without its layout: inspect and restore one recording or many."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any

from a2sb_core.audio import files
from a2sb_core.audio.choices import Stereo
from a2sb_core.batch.local import FileOutcome, attempt
from a2sb_core.batch.pairing import Pair, plan
from a2sb_core.demo.cases import DemoCase, cases, read_clip
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.interfaces import Corruption, Marks
from a2sb_core.plugins import DamageOption, DamageTextError, default_registry, read_damage
from a2sb_core.restoration.analysis import Analysis, Analyzer
from a2sb_core.restoration.damage import Damage, describe, validated
from a2sb_core.restoration.listener import Listener, NoteCollector, ProgressListener
from a2sb_core.restoration.options import RestoreOptions
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.web.job_process import JobProcess, OnStep
from a2sb_core.web.session import Limits, Session
from a2sb_core.web.view import view

LOOK_MINUTES = 30.0
"""Longest time that the inspection of a recording may take, in minutes."""


@dataclass(frozen=True)
class PageRequest:
    """Settings of a visitor; an empty text or None requests detection or the default."""

    task: str
    model: str
    device: str = "auto"
    texts: Mapping[str, str] = field(default_factory=dict)
    steps: int | None = None
    seed: int = 0
    suffix: str | None = None
    stereo: Stereo = "lr"
    level_db: float = 0.0

    def options(self) -> RestoreOptions:
        """Return the options of the restoration.

        Raises:
            TaskError: a text of the damage is malformed.
        """
        own = [option for option in fields() if option.task == self.task]
        texts = {option.flag: _items(option, self.texts) for option in own}
        try:
            damage = read_damage(own, texts)
        except DamageTextError as error:
            raise TaskError(str(error)) from error
        return RestoreOptions(
            self.task, damage, self.steps, self.seed, stereo=self.stereo, level_db=self.level_db
        )

    def marks(self) -> Marks | None:
        """Return the marks of the specified damage; None if the visitor specified none.

        Raises:
            TaskError: the damage is malformed.
        """
        given = dict(self.options().damage)
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


def check(path: Path, limits: Limits) -> None:
    """Check the length, the channels and the sample rate of a recording by its header.

    Raises:
        AudioError: the recording is too long, or the file is not audio.
    """
    info = files.info(path)
    counted = limits.counted_minutes(info)
    if counted > limits.minutes:
        minutes = info.duration_s / 60
        size = f"{minutes:.1f} minutes long"
        if counted > minutes:
            size += (
                f" and counts as {counted:.1f} minutes of stereo ({info.channels} channels, "
                f"{info.sample_rate / 1000:g} kHz)"
            )
        raise AudioError(
            f"{path.name} is {size}, and the limit of this page is {limits.minutes:g}: restore it "
            "on the command line, which has no limit"
        )


def check_steps(request: PageRequest, limits: Limits) -> None:
    """Check the number of steps.

    Raises:
        TaskError: there are more steps than the page allows.
    """
    if request.steps is not None and request.steps > limits.steps:
        raise TaskError(
            f"{request.steps} steps exceed the limit of this page, which is {limits.steps}"
        )


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
    return found


def _look(
    report: OnStep, room: Path, path: Path, limits: Limits, model: str
) -> tuple[Analysis, dict[str, Any]]:
    check(path, limits)
    found = _analyzer(model).analyze(path)
    return found, view(room, [("before", path)], Marks())


def restore(
    process: JobProcess,
    session: Session,
    path: Path,
    request: PageRequest,
    limits: Limits,
    on_step: OnStep,
) -> RestoredFile:
    """Restore a recording, as ``a2sb restore`` does.

    Raises:
        A2SBError: the recording cannot be restored.
        CancelledError: the visitor cancelled.
    """
    check_steps(request, limits)
    with _room(session) as room:
        pair = plan([path], room, suffix=request.suffix)[0]
        done: RestoredFile = process.run(
            _restore_and_view,
            pair,
            request,
            limits,
            limits=limits,
            stop=session.stop,
            on_step=on_step,
        )
    return done


def _restore_and_view(
    report: OnStep, pair: Pair, request: PageRequest, limits: Limits
) -> RestoredFile:
    started = time.monotonic()
    damage, notes = _restore(report, pair, request, limits)
    seconds = time.monotonic() - started
    shown = damage.marks if damage else Marks()
    data = view(pair.target.parent, [("before", pair.source), ("after", pair.target)], shown)
    sentence = describe(damage)
    text = f"{sentence[0].upper()}{sentence[1:]}. Done in {seconds:.1f} s."
    return RestoredFile(pair.target, data, " ".join((text, *notes)))


def restore_many(
    process: JobProcess,
    session: Session,
    paths: Sequence[str | Path],
    request: PageRequest,
    limits: Limits,
    on_step: OnStep,
) -> Iterator[FileOutcome]:
    """Restore recordings in turn; yield the outcome of each, also of those that were cancelled.

    Raises:
        AudioError: there are no recordings, or too many.
        TaskError: there are too many steps.
    """
    check_steps(request, limits)
    if len(paths) > limits.files:
        raise AudioError(f"{len(paths)} files exceed the limit of this page: {limits.files}")

    def one(pair: Pair, listener: Listener) -> Damage | None:
        damage: Damage | None
        damage, notes = process.run(
            _restore, pair, request, limits, limits=limits, stop=session.stop, on_step=on_step
        )
        for note in notes:
            listener.on_note(note)
        return damage

    for pair in plan([*map(Path, paths)], session.room(), suffix=request.suffix):
        if session.stop.is_set():
            yield FileOutcome(pair, "left")
            continue
        outcome = attempt(pair, one, Listener())
        was_stopped = outcome.status == "failed" and session.stop.is_set()
        yield FileOutcome(pair, "left") if was_stopped else outcome


def _restore(
    report: OnStep, pair: Pair, request: PageRequest, limits: Limits
) -> tuple[Damage | None, list[str]]:
    """Restore a recording, and return its damage and notes."""
    check(pair.source, limits)
    restorer = _restorer(request.model, request.device)
    listener = NoteCollector(ProgressListener(report))
    damage = restorer.restore_file(pair.source, pair.target, request.options(), listener=listener)
    return damage, listener.notes


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


@lru_cache(maxsize=1)
def _restorer(model: str, device: str) -> Restorer:
    return Restorer.from_pretrained(model, device)


@lru_cache(maxsize=4)
def _analyzer(model: str) -> Analyzer:
    return Analyzer(model)
