"""What the page does, without the page: look at a recording, restore it, restore many."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from a2sb_core.audio import files
from a2sb_core.audio.resample import resample
from a2sb_core.cli.analyze import SEEN_RATE, examine
from a2sb_core.cli.damage import sentence
from a2sb_core.cli.demo import CLIP, cases
from a2sb_core.cli.figures import TICKS_HZ, place, spectrogram_images
from a2sb_core.engine.batch import Outcome, Pair, attempt, plan
from a2sb_core.engine.restorer import Restorer
from a2sb_core.errors import A2SBError, AudioError, TaskError

PREVIEW_BLOCK = 1 << 17
HEARD_CHANNELS = 2


class CancelledError(A2SBError):
    """The user has had enough."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for."""

    minutes: float = 30.0
    megabytes: int = 500
    files: int = 100


@dataclass
class Session:
    """One visitor: a folder of their own, and the wish to stop."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def new(cls, root: Path) -> Session:
        """Make a session with an empty folder below ``root``."""
        return cls(Path(tempfile.mkdtemp(prefix="session-", dir=root)))

    def room(self) -> Path:
        """Return an empty folder of this session."""
        return Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))

    def close(self) -> None:
        """Stop what runs, and remove all files."""
        self.stop.set()
        shutil.rmtree(self.folder, ignore_errors=True)


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
        known: dict[str, Any] = {"task": self.task, "steps": self.steps, "seed": self.seed,
                                 "stereo": self.stereo}
        if self.task == "bandwidth":
            known["cutoff_hz"] = parse_number(self.cutoff, "the cutoff")
        if self.task == "inpaint":
            known["gaps_s"] = parse_gaps(self.gaps) or None
        return known


@dataclass(frozen=True)
class Restored:
    """A result: the file, the same as it is heard and seen, and what is said of it."""

    target: Path
    view: dict[str, Any]
    told: str


OnStep = Callable[[int, int], None]


def parse_gaps(text: str) -> list[tuple[float, float]]:
    """Read stretches ``START:END`` in seconds, one a line or separated by commas.

    Raises:
        TaskError: one is malformed.
    """
    gaps = []
    for part in text.replace(",", "\n").split():
        start, _, end = part.partition(":")
        try:
            gaps.append((float(start), float(end)))
        except ValueError:
            raise TaskError(f"`{part}` is not START:END in seconds, such as 1.5:1.8") from None
    return gaps


def parse_number(text: str, what: str) -> float | None:
    """Read a number above 0; empty gives None.

    Raises:
        TaskError: it is none.
    """
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < math.inf:
        raise TaskError(f"{what} is a number above 0, or empty; got `{text.strip()}`")
    return number


def check(path: Path, limits: Limits) -> None:
    """Refuse what is no audio, or too long.

    Raises:
        AudioError: so it is.
    """
    minutes = files.info(path).duration_s / 60
    if minutes > limits.minutes:
        raise AudioError(
            f"{path.name} is {minutes:.0f} minutes long, and this page takes {limits.minutes:g}: "
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
    session.stop.clear()
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
    """Restore recordings in turn; yields what became of each, and ends where it is cancelled.

    Raises:
        AudioError: there are none, or too many.
    """
    if len(paths) > limits.files:
        raise AudioError(f"{len(paths)} files are more than this page takes: {limits.files}")
    session.stop.clear()

    def one(pair: Pair, step: OnStep, note: Callable[[str], None]) -> Any:
        check(pair.source, limits)
        return _restorer(asked.model, asked.device).restore_file(
            pair.source, pair.target, progress=_watched(session, step), on_note=note,
            **asked.options(),
        )

    for pair in plan(paths, session.room(), suffix=asked.suffix):
        if session.stop.is_set():
            return
        yield attempt(pair, one, on_step)


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
    with resources.as_file(resources.files("a2sb_core.cli") / CLIP) as clip:
        truth, info = files.read(clip)
    (damaged,) = (case.damaged for case in cases(truth, info.sample_rate) if case.task == task)
    path = session.room() / f"example_{task}.flac"
    files.write(path, damaged, info.sample_rate)
    return path


def view(
    room: Path, versions: list[tuple[str, Path]], cutoff_hz: float | None, gaps_s: Any
) -> dict[str, Any]:
    """Make what the page plays and shows: sound and picture of each version, and marks."""
    read = [files.read(path) for _, path in versions]
    rate = max(SEEN_RATE, *(info.sample_rate for _, info in read))
    shown, heard = [], []
    for (name, _), (wave, info) in zip(versions, read, strict=True):
        wave = np.nan_to_num(wave, nan=0.0, posinf=0.0, neginf=0.0)
        shown.append(resample(wave.mean(axis=0, keepdims=True), info.sample_rate, rate))
        sound = np.clip(wave[:HEARD_CHANNELS].T, -1, 1)
        soundfile.write(room / f"{name}.flac", sound, info.sample_rate, subtype="PCM_16")
        heard.append({"name": name, "audio": str(room / f"{name}.flac"),
                      "image": str(room / f"{name}.png")})
    spectrogram_images([Path(one["image"]) for one in heard], shown, rate)
    return {
        "versions": heard, "duration_s": read[0][1].duration_s, "sample_rate": rate,
        "ticks": [{"label": f"{hz / 1000:g}", "at": place(hz, rate)}
                  for hz in TICKS_HZ if hz < rate / 2],
        **marks(rate, cutoff_hz, gaps_s),
    }


def marks(sample_rate: int, cutoff_hz: float | None, gaps_s: Any) -> dict[str, Any]:
    """Return the marks of a view: the cutoff as a height, and the gaps."""
    is_seen = cutoff_hz is not None and 0 < cutoff_hz < sample_rate / 2
    return {
        "cutoff": place(cutoff_hz, sample_rate) if cutoff_hz and is_seen else None,
        "gaps_s": [list(gap) for gap in gaps_s],
    }


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
        if session.stop.is_set():
            raise CancelledError("cancelled: nothing was written")
        on_step(done, of)

    return watched


@lru_cache(maxsize=1)
def _restorer(model: str, device: str) -> Restorer:
    return Restorer.from_pretrained(model, device)
