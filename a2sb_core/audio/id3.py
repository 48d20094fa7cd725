"""Tags of MP3 files. libsndfile writes them as Latin-1, which garbles most of the world's names."""

from __future__ import annotations

from collections.abc import Mapping

FRAMES = {
    "title": b"TIT2",
    "artist": b"TPE1",
    "album": b"TALB",
    "date": b"TDRC",
    "genre": b"TCON",
    "tracknumber": b"TRCK",
    "copyright": b"TCOP",
    "comment": b"COMM",
}
UTF_8 = b"\x03"


def id3_tag(tags: Mapping[str, str]) -> bytes:
    """Return the ID3v2.4 tag to put before an MP3 stream; empty where there is nothing to say."""
    body = b"".join(_frame(FRAMES[name], text) for name, text in tags.items() if name in FRAMES)
    return b"ID3\x04\x00\x00" + _size(len(body)) + body if body else b""


def _frame(name: bytes, text: str) -> bytes:
    # A comment has a language and an empty description before its text.
    prefix = b"und\x00" if name == b"COMM" else b""
    data = UTF_8 + prefix + text.encode("utf-8", "replace")
    return name + _size(len(data)) + b"\x00\x00" + data


def _size(value: int) -> bytes:
    """Seven bits a byte, so that a size never looks like the start of an MP3 frame."""
    return bytes(value >> shift & 127 for shift in (21, 14, 7, 0))
