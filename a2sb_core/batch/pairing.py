"""Pairing of many inputs with the files to write."""

from __future__ import annotations

import glob
import os
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from a2sb_core.audio import file_names as names
from a2sb_core.audio.formats import FORMATS, READ_ONLY
from a2sb_core.audio.media import AUDIO_SUFFIXES, is_installed
from a2sb_core.common.files import find_files
from a2sb_core.config.defaults import TEMPLATE
from a2sb_core.errors import AudioError

FIELDS = ("stem", "ext")
"""Fields of a template of names: the input's name without its suffix, and the suffix."""


FALLBACK_SUFFIX = ".flac"
"""Suffix of outputs whose input has a format that can only be read."""


@dataclass(frozen=True)
class Pair:
    """A file to restore, and the file to write."""

    source: Path
    target: Path

    @property
    def output(self) -> str | Path:
        """Name of the result, for people."""
        return self.target

    def exists(self) -> bool:
        """Whether the result exists."""
        return self.target.exists()

    @contextmanager
    def writing(self) -> Iterator[Pair]:
        """Make the folder of the result; yield the pair whose target is to be written."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        yield self


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
        folder: folder of the results; it gets the sub-folders of the folders searched.
        template: names of the results, with :data:`FIELDS` in braces.
        suffix: format to write, such as ``.flac``, in place of each input's own; formats
            that can only be read become :data:`FALLBACK_SUFFIX`.

    Raises:
        AudioError: there is no audio, two inputs would be written to one file, an input
            would be overwritten, a name is not possible on this system, or ``folder`` lies within
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
            f"{', '.join(sorted(readable()))}"
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
            for path in find_files(source, readable()):
                yield path, path.parent.relative_to(source)
        else:
            yield source, Path()  # a named file is tried, whatever its suffix


def _is_audio(path: Path) -> bool:
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in readable() and not is_hidden and not path.is_dir()


def readable() -> set[str]:
    """Return the suffixes that a folder is searched for."""
    return {*FORMATS, *READ_ONLY, *(AUDIO_SUFFIXES if is_installed() else ())}


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
