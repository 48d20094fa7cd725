"""What the page does, without the page: look at a recording, restore it, restore many."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer

from a2sb_core.audio import files
from a2sb_core.cli.analyze import examine
from a2sb_core.cli.damage import AUTO, damage_asked, sentence
from a2sb_core.cli.demo import cases
from a2sb_core.engine.batch import Outcome, Pair, attempt, plan
from a2sb_core.engine.restorer import Restorer
from a2sb_core.errors import AudioError, TaskError
from a2sb_core.web.session import Limits, Session
from a2sb_core.web.view import clip, view


@dataclass(frozen=True)
class Asked:
    """What the visitor has set; empty and None mean: find it, or the default."""

    task: str
    model: str = "small"
    device: str = "auto"
    cutoff: str = ""
    gaps: str = ""
    steps: int | None = None
    seed: int = 0
    suffix: str | None = None
    stereo: str = "lr"

    def options(self) -> dict[str, Any]:
        """Return the options of :meth:`Restorer.restore_file`.

        Raises:
            TaskError: cutoff or gaps can not be read.
        """
        hertz = self.cutoff.strip() if self.task == "bandwidth" else ""
        gaps = self.gaps.replace(",", " ").split() if self.task == "inpaint" else []
        try:
            damage = damage_asked(self.task, hertz or AUTO, gaps, None)
        except typer.BadParameter as error:
            raise TaskError(error.message) from error
        return {"task": self.task, "steps": self.steps, "seed": self.seed, "stereo": self.stereo,
                **damage}


@dataclass(frozen=True)
class Restored:
    """A result: the file, the same as it is heard and seen, and what is said of it."""

    target: Path
    view: dict[str, Any]
    told: str


OnStep = Callable[[int, int], None]


def check(path: Path, limits: Limits) -> None:
    """Refuse what is no audio, or too long: its header tells, so ten hours are refused at once.

    Raises:
        AudioError: so it is.
    """
    minutes = files.info(path).duration_s / 60
    if minutes > limits.minutes:
        raise AudioError(
            f"{path.name} is {minutes:.1f} minutes long, and this page takes {limits.minutes:g}: "
            "restore it on the command line, which takes any length"
        )


def look(session: Session, path: Path, limits: Limits) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what was found in a recording, and its view.

    Raises:
        AudioError: it is no audio, or too long.
    """
    check(path, limits)
    found = examine(path)
    gaps_s = [(gap["start_s"], gap["end_s"]) for gap in found["gaps"]]
    return found, view(session.room(), [("before", path)], found["cutoff_hz"], gaps_s)


def restore(
    session: Session, path: Path, asked: Asked, limits: Limits, on_step: OnStep
) -> Restored:
    """Restore a recording, as ``a2sb restore`` does.

    Raises:
        A2SBError: it can not be done; CancelledError: it was not to be.
    """
    session.check()
    check(path, limits)
    room, started = session.room(), time.monotonic()
    try:
        pair = plan([path], room, suffix=asked.suffix)[0]
        found, notes = _restore(session, pair, asked, on_step)
        seconds = time.monotonic() - started
        known = found or {}
        shown = view(room, [("before", path), ("after", pair.target)], known.get("cutoff_hz"),
                     known.get("gaps_s") or ())
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise
    said = sentence(found)
    told = f"{said[0].upper()}{said[1:]}. Done in {seconds:.1f} s."
    return Restored(pair.target, shown, " ".join((told, *notes)))


def restore_many(
    session: Session, paths: list[Path], asked: Asked, limits: Limits, on_step: OnStep
) -> Iterator[Outcome]:
    """Restore recordings in turn; yields what became of each, those left when cancelled, too.

    Raises:
        AudioError: there are none, or too many.
    """
    if len(paths) > limits.files:
        raise AudioError(f"{len(paths)} files are more than this page takes: {limits.files}")

    def one(pair: Pair, step: OnStep, note: Callable[[str], None]) -> Any:
        check(pair.source, limits)
        return _restorer(asked.model, asked.device).restore_file(
            pair.source, pair.target, progress=_watched(session, step), on_note=note,
            **asked.options(),
        )

    for pair in plan(paths, session.room(), suffix=asked.suffix):
        outcome = Outcome(pair, "left") if session.stop.is_set() else attempt(pair, one, on_step)
        was_stopped = outcome.status == "failed" and session.stop.is_set()
        yield Outcome(pair, "left") if was_stopped else outcome


def pack(session: Session, outcomes: list[Outcome]) -> Path | None:
    """Put all that was restored into one ZIP file; None: nothing was."""
    targets = [one.pair.target for one in outcomes if one.status in ("restored", "nothing")]
    if not targets:
        return None
    path = session.room() / "restored.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for target in targets:
            archive.write(target, target.name)
    return path


def example(session: Session, task: str) -> Path:
    """Write the shipped clip, damaged for a task, and return it."""
    truth, rate = clip()
    (damaged,) = (case.damaged for case in cases(truth, rate) if case.task == task)
    path = session.room() / f"example_{task}.flac"
    files.write(path, damaged, rate)
    return path


def _restore(
    session: Session, pair: Pair, asked: Asked, on_step: OnStep
) -> tuple[dict[str, Any] | None, list[str]]:
    notes: list[str] = []
    found = _restorer(asked.model, asked.device).restore_file(
        pair.source, pair.target, progress=_watched(session, on_step), on_note=notes.append,
        **asked.options(),
    )
    return None if found is None else found.model_dump(mode="json"), notes


def _watched(session: Session, on_step: OnStep) -> OnStep:
    """Return ``on_step``, ending the work where the session asks for it."""

    def watched(done: int, of: int) -> None:
        session.check()
        on_step(done, of)

    return watched


@lru_cache(maxsize=1)
def _restorer(model: str, device: str) -> Restorer:
    return Restorer.from_pretrained(model, device)
