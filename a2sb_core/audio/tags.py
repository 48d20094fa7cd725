"""Tags and pictures of audio files, copied between files of any formats."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mutagen
from mutagen import id3
from mutagen.apev2 import APETextValue, APEv2
from mutagen.asf import ASFTags
from mutagen.flac import Picture
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4

from a2sb_core.audio.tag_names import (
    APE_NAMES,
    ASF_NAMES,
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
    """Tags and pictures of a file.

    Attributes:
        texts: values by their Vorbis comment names, in lower case; a name may have several values.
        pictures: pictures, such as the cover.
        frames: unchanged frames of an ID3 tag, so that nothing is lost between ID3 tags.
        id3_version: minor version of ID3 of ``frames``, 3 or 4.
    """

    texts: Texts = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    frames: list[id3.Frame] = field(default_factory=list)
    id3_version: int = 4

    def __bool__(self) -> bool:
        return bool(self.texts or self.pictures or self.frames)

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Tags:
        """Create tags from plain texts."""
        return cls({name: [text] for name, text in texts.items() if text})


def read_tags(path: Path) -> Tags:
    """Return the tags of a file; they are empty if the file has no readable tags.

    Tags that describe the encoding and not the music, such as the encoder, are left out.
    """
    try:
        return _read(path)
    except Exception:  # mutagen raises exceptions of many kinds for damaged tags
        return Tags()


def _read(path: Path) -> Tags:
    file = mutagen.File(path)
    if isinstance(file, MP3) and file.tags is None:
        return _from_ape(APEv2(path))
    tags = None if file is None else file.tags
    if tags is None:
        return Tags()
    if isinstance(tags, id3.ID3):
        return _from_id3(tags)
    if isinstance(file, MP4):
        return _from_mp4(tags)
    if isinstance(tags, APEv2):  # such as WavPack
        return _from_ape(tags)
    if isinstance(tags, ASFTags):
        return _from_asf(tags)
    if hasattr(tags, "as_dict"):  # Vorbis comments: FLAC and Ogg
        return _from_vorbis(tags.as_dict(), getattr(file, "pictures", []))
    return Tags()


def write_tags(path: Path, tags: Tags) -> None:
    """Replace the tags of a file.

    Files of formats without tags (W64, RF64) are not changed.

    Raises:
        mutagen.MutagenError, OSError: the tags cannot be written.
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
    # Assigning to a name searches all names, which takes minutes for thousands of tags.
    file.tags.extend((name, text) for name, values in tags.texts.items() for text in values)
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
            continue  # a picture that no program can show


def _from_id3(tag: id3.ID3) -> Tags:
    frames = [
        frame
        for frame in tag.values()
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
    """Yield the names and values of a frame; a list of credits has several names."""
    if isinstance(frame, id3.TXXX):
        yield _name_of(frame), [str(text) for text in frame.text]
    elif isinstance(frame, id3.TIPL | id3.TMCL):
        for role, person in (pair for pair in frame.people if len(pair) == 2):
            yield CREDITS.get(role, "performer"), [person]
    elif isinstance(frame, id3.TCON):
        yield "genre", list(frame.genres)  # converts the numeric genres of ID3v1 to words
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
        # ID3 allows only one picture for each description.
        desc = picture.desc or (f"{k + 1}" if k else "")
        yield id3.APIC(
            encoding=UTF_8, mime=picture.mime, type=picture.type, desc=desc, data=picture.data
        )


def _from_ape(tags: APEv2) -> Tags:
    named = {APE_NAMES.get(name.lower(), name.lower()): value for name, value in tags.items()}
    texts = {name: list(value) for name, value in named.items() if isinstance(value, APETextValue)}
    return Tags({name: values for name, values in texts.items() if _is_kept(name)})


def _from_asf(tags: ASFTags) -> Tags:
    """Return the tags of a WMA file; they are pairs of a name and a value."""
    texts: Texts = {}
    pictures: list[Picture] = []
    for key, values in tags.as_dict().items():
        name = ASF_NAMES.get(key, key.lower().removeprefix("wm/"))
        if key == "WM/Picture":
            pictures.extend(_asf_picture(value.value) for value in values)
        elif _is_kept(name):
            found = [str(value) for value in values if not isinstance(value.value, bytes)]
            texts[name] = [text for text in found if text]
    return Tags({name: values for name, values in texts.items() if values}, pictures)


def _asf_picture(content: bytes) -> Picture:
    """Return a picture: its type, its size, two texts that end with NUL, and the data."""
    kind, size = struct.unpack_from("<BI", content)
    mime, desc, *_ = content[5 : len(content) - size].decode("utf-16-le").split("\0")
    picture = Picture()
    picture.type, picture.mime, picture.desc = kind, mime, desc
    picture.data = content[len(content) - size :]
    return picture


def _from_mp4(tags: Mapping[str, Any]) -> Tags:
    texts: Texts = {}
    for key, values in tags.items():
        name = MP4_NAMES.get(key)
        if key in MP4_PAIRS:
            texts[MP4_PAIRS[key]] = [_pair(*pair) for pair in values[:1]]
        elif key.startswith("----:"):
            own = key.rpartition(":")[2].lower()
            texts[own] = [bytes(value).decode("utf-8", "replace") for value in values]
        elif name and isinstance(values, list):
            texts[name] = [str(value) for value in values]
        elif name:
            texts[name] = [str(int(values))]
    texts = {name: values for name, values in texts.items() if values and _is_kept(name)}
    return Tags(texts, [_cover(image) for image in tags.get("covr", [])])


def _pair(number: int, of: int) -> str:
    return f"{number}/{of}" if of else str(number)


def _cover(image: Any) -> Picture:
    picture = Picture()
    is_png = getattr(image, "imageformat", None) == image.FORMAT_PNG
    picture.type, picture.mime = FRONT_COVER, "image/png" if is_png else "image/jpeg"
    picture.data = bytes(image)
    return picture
