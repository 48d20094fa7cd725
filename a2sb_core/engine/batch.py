"""Many files: which there are, where each result goes, and what became of each."""

from __future__ import annotations

import glob
import os
import string
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from a2sb_core.audio import names
from a2sb_core.audio.formats import FORMATS
from a2sb_core.audio.media import AUDIO_SUFFIXES, is_installed
from a2sb_core.errors import A2SBError, AudioError

if TYPE_CHECKING:
    from a2sb_core.interfaces import FrozenConfig

FIELDS = ("stem", "ext")
"""What a template of names may hold: the input's name without its suffix, and that with its dot."""

TEMPLATE = "{stem}.restored{ext}"

FALLBACK_SUFFIX = ".flac"
"""Of what is written where the input's own format can only be read."""

Status = Literal["restored", "nothing", "skipped", "failed", "left"]


@dataclass(frozen=True)
class Pair:
    """A file to restore, and the file to write."""

    source: Path
    target: Path

    @property
    def output(self) -> str | Path:
        """What the result is called."""
        return self.target

    def exists(self) -> bool:
        """Whether the result is there."""
        return self.target.exists()

    @contextmanager
    def writing(self) -> Iterator[Pair]:
        """Make room for the result; yield the pair whose target is to be written."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        yield self


@dataclass(frozen=True)
class Outcome:
    """What became of a pair.

    Attributes:
        pair: the files.
        status: ``restored``; ``nothing`` was damaged, so a copy was made; ``skipped``, as the
            target was there; ``failed``; or ``left`` undone, as the run was interrupted.
        seconds: that it took.
        found: the damage, as JSON holds it.
        error: why it failed.
        notes: what was done to the result, such as limiting its peaks.
    """

    pair: Pair
    status: Status
    seconds: float = 0.0
    found: dict[str, object] | None = None
    error: str = ""
    notes: tuple[str, ...] = ()


RestoreOne = Callable[[Pair, Callable[..., None], Callable[[str], None]], "FrozenConfig | None"]
"""Restores a pair, telling its progress (done, of) and notes on the result."""

Engine = Callable[[list[Pair], Callable[..., None]], Iterator[Outcome]]
"""Restores pairs, in any order, and yields what became of each; tells the progress (done, of)."""


class InTurn:
    """An engine: restores files one after another in this process.

    Args:
        load: loads the model; called when the first file needs it.
        skip_existing: leave out what is there.
    """

    def __init__(self, load: Callable[[], RestoreOne], skip_existing: bool) -> None:
        self.load, self.skip_existing = load, skip_existing
        self._restore: RestoreOne | None = None

    def __call__(self, pairs: list[Pair], on_step: Callable[..., None]) -> Iterator[Outcome]:
        """Yield the outcomes in the order of the pairs."""
        for pair in pairs:
            try:
                is_there = self.skip_existing and pair.exists()
            except (A2SBError, OSError) as error:
                yield Outcome(pair, "failed", error=_reason(error))
                continue
            if is_there:
                yield Outcome(pair, "skipped")
            else:
                self._restore = self._restore or self.load()
                yield attempt(pair, self._restore, on_step)


def attempt(pair: Pair, restore: RestoreOne, on_step: Callable[..., None]) -> Outcome:
    """Restore one file of many: whatever fails, the others are not to suffer."""
    started, notes = time.monotonic(), list[str]()
    try:
        with pair.writing() as local:
            found = restore(local, on_step, notes.append)
    except Exception as error:
        return Outcome(pair, "failed", time.monotonic() - started, error=_reason(error))
    told = None if found is None else found.model_dump(mode="json")
    status: Status = "nothing" if found is None else "restored"
    return Outcome(pair, status, time.monotonic() - started, told, notes=tuple(notes))


def _reason(error: Exception) -> str:
    if isinstance(error, A2SBError | OSError):
        return "; ".join((str(error), *getattr(error, "__notes__", [])))
    return f"unexpected error: {type(error).__name__}: {error}"


def is_many(sources: Iterable[Path]) -> bool:
    """Whether these are more than one file: several, a folder, or a pattern such as ``*.wav``."""
    first, *more = sources
    return bool(more) or first.is_dir() or _is_pattern(first)


def plan(
    sources: Iterable[Path], folder: Path, template: str = TEMPLATE, suffix: str | None = None
) -> list[Pair]:
    """Return each audio file of ``sources`` with the file to write, in order.

    Args:
        sources: files, folders, which are searched to the bottom, and glob patterns. Hidden files
            and linked folders are left out.
        folder: where results go; the sub-folders of a folder are made again in it.
        template: of their names, with :data:`FIELDS` in braces.
        suffix: of the format to write, such as ``.flac``, in place of each input's own; formats
            that can only be read become :data:`FALLBACK_SUFFIX`.

    Raises:
        AudioError: there is nothing to restore, two inputs would be written to one file, an input
            would be written over, a name can not be had on this system, or ``folder`` lies within
            a folder to be searched.
    """
    _check_template(template)
    pairs, seen = [], set()
    for source, place in _found(sources, folder):
        if source.resolve() in seen:
            continue
        seen.add(source.resolve())
        own = source.suffix if source.suffix.lower() in FORMATS else FALLBACK_SUFFIX
        name = template.format(stem=source.stem, ext=suffix or own)
        if fault := names.fault(name):
            raise AudioError(
                f"{source} would be written as `{name}`: that name {fault}; choose another "
                "--filename, or rename the input"
            )
        pairs.append(Pair(source, folder / place / name))
    if not pairs:
        raise AudioError(
            f"found no audio in: {', '.join(map(str, sources))}; known formats: "
            f"{', '.join(sorted(_readable()))}"
        )
    _check_targets(pairs)
    return pairs


def _check_template(template: str) -> None:
    try:
        parsed = string.Formatter().parse(template)
        fields = {name for _, name, _, _ in parsed if name is not None}
    except ValueError as error:
        raise AudioError(f"the file name `{template}` is no template: {error}") from error
    unknown = sorted(fields - set(FIELDS))
    if unknown or "/" in template or os.sep in template or not template:
        what = f"does not know {{{unknown[0]}}}" if unknown else "must be a name, not a path"
        raise AudioError(f"the file name `{template}` {what}; it may hold {{stem}} and {{ext}}")


def _is_pattern(path: Path) -> bool:
    return not path.exists() and glob.has_magic(str(path))


def _found(sources: Iterable[Path], folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield audio files, and the sub-folder that each belongs in."""
    for source in sources:
        if _is_pattern(source):
            matched = map(Path, sorted(glob.glob(str(source), recursive=True)))
            yield from ((path, Path()) for path in matched if _is_audio(path))
        elif source.is_dir():
            if folder.resolve().is_relative_to(source.resolve()):
                raise AudioError(
                    f"the output folder {folder} lies within {source}: another run would restore "
                    "what this one wrote; name a folder outside"
                )
            yield from _within(source)
        else:
            yield source, Path()  # what is named is tried, whatever its suffix


def _within(folder: Path) -> Iterator[tuple[Path, Path]]:
    for name, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        inner = Path(name)
        for path in (inner / file for file in sorted(files)):
            if _is_audio(path):
                yield path, inner.relative_to(folder)


def _is_audio(path: Path) -> bool:
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in _readable() and not is_hidden and not path.is_dir()


def _readable() -> set[str]:
    """Return the suffixes that a folder is searched for."""
    return {*FORMATS, *(AUDIO_SUFFIXES if is_installed() else ())}


def _check_targets(pairs: list[Pair]) -> None:
    by_target: dict[str, Path] = {}
    for pair in pairs:
        other = by_target.setdefault(names.one_key(pair.target), pair.source)
        if other is not pair.source:
            raise AudioError(
                f"{other} and {pair.source} would both be written to {pair.target}; restore them "
                "apart, or choose another --filename"
            )
    sources = {names.one_key(pair.source.resolve()) for pair in pairs}
    for pair in pairs:
        if names.one_key(pair.target.resolve()) in sources:
            raise AudioError(
                f"{pair.target} is an input itself; choose another folder or --filename"
            )
