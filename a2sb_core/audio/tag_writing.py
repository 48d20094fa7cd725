"""Tags of an output file: those that its format can hold, and notes about the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import soundfile
from mutagen import MutagenError
from mutagen.flac import FLAC

from a2sb_core.audio.file_names import for_libsndfile
from a2sb_core.audio.formats import TAGS
from a2sb_core.audio.headers import append_chunks, production_chunks
from a2sb_core.audio.tags import Tags, read_tags, write_tags
from a2sb_core.common.text import format_bytes, printable
from a2sb_core.errors import AudioError

# Containers whose tags libsndfile writes as chunks of plain text; mutagen writes all other tags.
CHUNKED_CONTAINERS = ("WAV", "WAVEX", "RF64", "AIFF")
TAGLESS_CONTAINERS = ("RF64", "W64")
VORBIS_CONTAINERS = ("FLAC", "OGG")
# Formats that hold the chunks of a WAV, and those that hold the cue sheet of a FLAC.
TIMED_CONTAINERS = (("WAV", "WAVEX"), ("FLAC",))
CUE_SHEET = "cue sheet"
# A block of FLAC has less than 16 MiB, and few programs read longer comments in Ogg; the margin is
# for the lengths of the texts.
LARGEST_BLOCK = (1 << 24) - (1 << 16)
# Number of names that a note lists.
SHOWN_NAMES = 5


class OutputTags:
    """The tags of an output file; a tag that cannot be written never prevents the output.

    Args:
        container: format of the output by libsndfile's name.
        plain: texts by the names of `formats.TAGS`.
        source: file whose tags and pictures are copied; None to write only ``plain``.
        is_same_time: whether the samples of the output are those of the source in time, so that
            its cue points and loops are valid.

    Attributes:
        notes: sentences for people about tags that are left out.

    Raises:
        AudioError: a name in ``plain`` is unknown.
    """

    def __init__(
        self,
        container: str,
        plain: Mapping[str, str],
        source: Path | None,
        is_same_time: bool = False,
    ) -> None:
        self.container = container
        self.plain = _known(plain)
        self.tags = Tags() if source is None else read_tags(source)
        left_out: list[str] = []
        if container in VORBIS_CONTAINERS:
            self.tags, left_out = fit_vorbis(self.tags, has_picture_blocks=container == "FLAC")
        elif container in TAGLESS_CONTAINERS:
            names = self.tags.texts.keys() | self.plain.keys()
            left_out = sorted(names - set(TAGS if container == "RF64" else ()))
            left_out += ["a picture"] * len(self.tags.pictures)
        self.notes = [_note(container, left_out)] if left_out else []
        timed = {} if source is None else _timed(source)
        self._timed = {
            name: content
            for name, content in timed.items()
            if content and is_same_time and container in TIMED_CONTAINERS[name == CUE_SHEET]
        }
        self._note_lost(timed.keys() - self._timed.keys())

    def write_chunks(self, file: soundfile.SoundFile) -> None:
        """Write plain texts into a new file of a format that stores them as chunks."""
        if self.container not in CHUNKED_CONTAINERS:
            return
        first = {name: self.tags.texts[name][0] for name in TAGS if self.tags.texts.get(name)}
        for name, text in (self.plain | first).items():
            # The format does not support the name, or the text cannot be encoded.
            with contextlib.suppress(soundfile.SoundFileError, ValueError):
                setattr(file, name, text)

    def write(self, path: Path) -> None:
        """Write the tags into a complete file; those that cannot be written become a note.

        Raises:
            AudioError: the attempt damaged the file.
        """
        self._write_texts(path)
        try:
            if sheet := self._timed.get(CUE_SHEET):
                file = FLAC(path)
                file.metadata_blocks.append(sheet)
                file.save()
            elif self._timed:
                append_chunks(path, self._timed)
        except (MutagenError, OSError):
            self._note_lost(self._timed)

    def _note_lost(self, names: Iterable[str]) -> None:
        if lost := ", ".join(name.strip() for name in sorted(names)):
            self.notes.append(f"not copied from the input: {lost}")

    def _write_texts(self, path: Path) -> None:
        plain = Tags() if self.container in ("WAV", "WAVEX") else Tags.of(self.plain)
        tags = self.tags or plain
        if self.container in TAGLESS_CONTAINERS or not tags:
            return
        frames = _frames(path)
        for choice, left_out in (
            (tags, ""),
            (Tags(tags.texts), "pictures and special tags"),
            (plain, "tags"),
            (Tags(), "tags"),  # writes nothing
        ):
            try:
                write_tags(path, choice)
            except Exception as error:  # mutagen raises exceptions of many kinds
                reason = printable(str(error) or type(error).__name__)
            else:
                if left_out:
                    self.notes.append(f"the {left_out} could not be written ({reason})")
                return
            if _frames(path) != frames:
                raise AudioError(f"{path} was damaged while its tags were written: {reason}")


def fit_vorbis(tags: Tags, has_picture_blocks: bool) -> tuple[Tags, list[str]]:
    """Return the tags that Vorbis comments can hold, and descriptions of the others.

    Args:
        tags: tags of any file.
        has_picture_blocks: whether pictures have blocks of their own, as in FLAC. Those of Ogg are
            part of the comments, in base 64.
    """
    room, texts, pictures, left_out = LARGEST_BLOCK, {}, [], list[str]()
    for name, values in tags.texts.items():
        size = sum(len(name) + len(text.encode("utf8", "replace")) + 8 for text in values)
        if _is_vorbis_name(name) and size <= room:
            texts[name], room = values, room - size
        else:
            left_out.append(name)
    for picture in tags.pictures:
        size = len(picture.write())
        needed = size if has_picture_blocks else size * 4 // 3 + 100
        if needed > (LARGEST_BLOCK if has_picture_blocks else room):
            left_out.append(f"a picture of {format_bytes(size)}")
            continue
        pictures.append(picture)
        room -= 0 if has_picture_blocks else needed
    return replace(tags, texts=texts, pictures=pictures), left_out


def _is_vorbis_name(name: str) -> bool:
    return bool(name) and all(" " <= letter <= "}" and letter != "=" for letter in name)


def _note(container: str, left_out: Iterable[str]) -> str:
    names = [printable(name) or "one without a name" for name in left_out]
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return (
        f"{container} cannot hold all tags of the input; left out: "
        f"{', '.join(names[:SHOWN_NAMES])}{more}"
    )


def _timed(source: Path) -> dict[str, Any]:
    """Return what refers to the samples of a file: chunks of a WAV, the cue sheet of a FLAC."""
    try:
        with source.open("rb") as file:
            is_flac = file.read(4) == b"fLaC"
        sheet = FLAC(source).cuesheet if is_flac else None
        return production_chunks(source) if sheet is None else {CUE_SHEET: sheet}
    except Exception:  # mutagen raises exceptions of many kinds
        return {}


def _known(tags: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(tags) - set(TAGS))
    if unknown:
        raise AudioError(f"unknown tags {', '.join(unknown)}; known tags: {', '.join(TAGS)}")
    return {name: text for name, text in tags.items() if text}


def _frames(path: Path) -> int:
    return int(soundfile.info(for_libsndfile(path)).frames)
