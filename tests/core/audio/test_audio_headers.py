"""Chunks of WAV and RF64, written by hand."""

import struct

import pytest

from a2sb_core.audio.headers import missing_bytes, production_chunks

SAMPLES = bytes(2000)


def wav(kind, cut=0):
    """A file whose cue points follow the samples, without the last ``cut`` bytes."""
    size = 0xFFFFFFFF if kind == b"RF64" else len(SAMPLES)
    large = struct.pack("<QQQI", 0, len(SAMPLES), 0, 0)
    chunks = [(b"fmt ", 16, struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))]
    chunks += [(b"ds64", len(large), large)] if kind == b"RF64" else []
    chunks += [(b"data", size, SAMPLES), (b"cue ", 4, bytes(4))]
    body = b"".join(name + struct.pack("<I", size) + content for name, size, content in chunks)
    content = kind + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + body
    return content[: len(content) - cut]


@pytest.mark.parametrize("kind", [b"RIFF", b"RF64"])
def test_chunks_after_the_samples_are_found(tmp_path, kind):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(kind))
    assert production_chunks(path) == {"cue ": bytes(4)} and missing_bytes(path) == 0
    path.write_bytes(wav(kind, cut=1012))
    assert production_chunks(path) == {} and missing_bytes(path) == 1000
