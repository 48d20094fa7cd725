"""Tags and pictures of audio files: read from one, written into another, whatever their kinds."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mutagen
from mutagen import id3
from mutagen.flac import Picture
from mutagen.mp4 import MP4

from a2sb_core.audio.tag_names import (
    CREDITS,
    ID3_NAMES,
    MP4_NAMES,
    MP4_PAIRS,
    OWN_OF_A_STREAM,
    PICTURE_FIELD,
)

Texts = dict[str, list[str]]
UTF_8 = id3.Encoding.UTF8
FRONT_COVER = 3


@dataclass(frozen=True)
class Tags:
    """What a file says of its music.

    Attributes:
        texts: values by their Vorbis comment names, in lower case; one name may have several.
        pictures: covers and the like.
        frames: those of an ID3 tag as they are, so that nothing is lost from ID3 to ID3.
        id3_version: 3 or 4, of ``frames``.
    """

    texts: Texts = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    frames: list[id3.Frame] = field(default_factory=list)
    id3_version: int = 4

    def __bool__(self) -> bool:
        return bool(self.texts or self.pictures or self.frames)

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Tags:
        """Return tags of plain texts."""
        return cls({name: [text] for name, text in texts.items() if text})


def read_tags(path: Path) -> Tags:
    """Return the tags of a file; none where it has none, or none that can be read.

    What belongs to the encoding and not to the music (encoder, its delay) is left out.
    """
    try:
        file = mutagen.File(path)
    except (mutagen.MutagenError, OSError, ValueError):
        return Tags()
    tags = None if file is None else file.tags
    if tags is None:
        return Tags()
    if isinstance(tags, id3.ID3):
        return _from_id3(tags)
    if isinstance(file, MP4):
        return _from_mp4(tags)
    if hasattr(tags, "as_dict"):  # Vorbis comments: FLAC and Ogg
        return _from_vorbis(tags.as_dict(), getattr(file, "pictures", []))
    return Tags()


def write_tags(path: Path, tags: Tags) -> None:
    """Write tags into a file, in place of those it has.

    Files of kinds that hold none (W64, RF64) stay as they are.

    Raises:
        mutagen.MutagenError, OSError: they can not be written.
    """
    file = mutagen.File(path) if tags else None
    if file is None:
        return
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, id3.ID3):
        _into_id3(file.tags, tags)
        if tags.id3_version == 3:
            file.tags.update_to_v23()
        file.save(v2_version=tags.id3_version)
        return
    file.tags.clear()
    for name, values in tags.texts.items():
        file.tags[name] = values
    if hasattr(file, "add_picture"):
        file.clear_pictures()
        for picture in tags.pictures:
            file.add_picture(picture)
    elif tags.pictures:
        file.tags[PICTURE_FIELD] = [
            base64.b64encode(picture.write()).decode("ascii") for picture in tags.pictures
        ]
    file.save()


def _is_kept(name: str) -> bool:
    return not name.startswith(OWN_OF_A_STREAM)


def _from_vorbis(comments: Mapping[str, list[str]], pictures: list[Picture]) -> Tags:
    texts = {name.lower(): list(values) for name, values in comments.items()}
    found = [*pictures, *_decoded(texts.pop(PICTURE_FIELD, []))]
    return Tags({name: values for name, values in texts.items() if _is_kept(name)}, found)


def _decoded(pictures: Iterable[str]) -> Iterator[Picture]:
    for text in pictures:
        try:
            yield Picture(base64.b64decode(text))
        except (binascii.Error, mutagen.MutagenError, ValueError):
            continue  # one that no program can show


def _from_id3(tag: id3.ID3) -> Tags:
    frames = [
        frame for frame in tag.values()
        if frame.FrameID not in ("TSSE", "TLEN") and _is_kept(_name_of(frame))
    ]
    texts: Texts = {}
    for frame in frames:
        for name, values in _texts_of(frame):
            texts.setdefault(name, []).extend(values)
    pictures = [_picture_of(frame) for frame in frames if isinstance(frame, id3.APIC)]
    return Tags(texts, pictures, frames, 3 if tag.version < (2, 4) else 4)


def _name_of(frame: id3.Frame) -> str:
    return str(getattr(frame, "desc", "")).lower()


def _texts_of(frame: id3.Frame) -> Iterator[tuple[str, list[str]]]:
    """Yield names and values of a frame; several for a list of credits."""
    if isinstance(frame, id3.TXXX):
        yield _name_of(frame), [str(text) for text in frame.text]
    elif isinstance(frame, id3.TIPL | id3.TMCL):
        for role, person in (pair for pair in frame.people if len(pair) == 2):
            yield CREDITS.get(role, "performer"), [person]
    elif isinstance(frame, id3.TCON):
        yield "genre", list(frame.genres)  # numbers of the first version as words
    elif isinstance(frame, id3.USLT):
        yield "lyrics", [str(frame.text)]
    elif frame.FrameID in ID3_NAMES:
        values = getattr(frame, "text", None) or [getattr(frame, "url", "")]
        yield ID3_NAMES[frame.FrameID], [str(value) for value in values]


def _picture_of(frame: Any) -> Picture:
    picture = Picture()
    picture.type, picture.mime = int(frame.type), frame.mime
    picture.desc, picture.data = frame.desc, frame.data
    return picture


def _into_id3(tag: id3.ID3, tags: Tags) -> None:
    tag.clear()
    for frame in tags.frames or _frames_of(tags):
        tag.add(frame)


def _frames_of(tags: Tags) -> Iterator[id3.Frame]:
    ids = {name: key for key, name in ID3_NAMES.items()}
    for name, values in tags.texts.items():
        if name == "lyrics":
            yield id3.USLT(encoding=UTF_8, lang="und", desc="", text="\n".join(values))
        elif name == "comment":
            yield id3.COMM(encoding=UTF_8, lang="und", desc="", text=values)
        elif name in ids:
            yield getattr(id3, ids[name])(encoding=UTF_8, text=values)
        else:
            yield id3.TXXX(encoding=UTF_8, desc=name.upper(), text=values)
    for k, picture in enumerate(tags.pictures):
        # Two pictures of one description would be one.
        desc = picture.desc or (f"{k + 1}" if k else "")
        yield id3.APIC(
            encoding=UTF_8, mime=picture.mime, type=picture.type, desc=desc, data=picture.data
        )


def _from_mp4(tags: Mapping[str, Any]) -> Tags:
    texts: Texts = {}
    for key, values in tags.items():
        name = MP4_NAMES.get(key)
        if key in MP4_PAIRS:
            texts[MP4_PAIRS[key]] = [_pair(*values[0])]
        elif key.startswith("----:"):
            own = key.rpartition(":")[2].lower()
            texts[own] = [bytes(value).decode("utf-8", "replace") for value in values]
        elif name and isinstance(values, list):
            texts[name] = [str(value) for value in values]
        elif name:
            texts[name] = [str(int(values))]
    texts = {name: values for name, values in texts.items() if _is_kept(name)}
    return Tags(texts, [_cover(image) for image in tags.get("covr", [])])


def _pair(number: int, of: int) -> str:
    return f"{number}/{of}" if of else str(number)


def _cover(image: Any) -> Picture:
    picture = Picture()
    is_png = getattr(image, "imageformat", None) == image.FORMAT_PNG
    picture.type, picture.mime = FRONT_COVER, "image/png" if is_png else "image/jpeg"
    picture.data = bytes(image)
    return picture
