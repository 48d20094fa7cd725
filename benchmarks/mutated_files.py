"""Clean files of all formats that are read, and mutations of them."""

from __future__ import annotations

import os
import random
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

RATE = 22_050
# soundfile: format and subtype by the name of the file.
PLAIN = {
    "pcm16.wav": ("WAV", "PCM_16"), "pcm24.wav": ("WAV", "PCM_24"), "float.wav": ("WAV", "FLOAT"),
    "pcm8.wav": ("WAV", "PCM_U8"), "ulaw.wav": ("WAV", "ULAW"), "ima.wav": ("WAV", "IMA_ADPCM"),
    "extensible.wav": ("WAVEX", "PCM_32"), "a.aiff": ("AIFF", "PCM_16"),
    "a.flac": ("FLAC", "PCM_16"),
    "a.ogg": ("OGG", "VORBIS"), "a.opus": ("OGG", "OPUS"), "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "a.w64": ("W64", "PCM_16"), "a.rf64": ("RF64", "PCM_16"), "a.au": ("AU", "PCM_16"),
    "a.caf": ("CAF", "PCM_16"),
}  # fmt: skip
# PyAV: container, codec and sample format.
MEDIA = {
    "a.m4a": ("mp4", "aac", "fltp"), "alac.m4a": ("mp4", "alac", "s16p"),
    "a.aac": ("adts", "aac", "fltp"), "a.wma": ("asf", "wmav2", "fltp"),
    "a.mka": ("matroska", "pcm_s16le", "s16"), "a.ac3": ("ac3", "ac3", "fltp"),
    "a.wv": ("wv", "wavpack", "s16p"), "flac.ogg": ("ogg", "flac", "s16"),
}  # fmt: skip
EXTREMES = [
    struct.pack(order + code, value)
    for order in "<>"
    for code, values in {
        "B": (0, 1, 127, 128, 255),
        "H": (0, 1, 255, 1024, 1025, 32767, 32768, 65535),
        "I": (0, 1, 2, 10, 400, 2**28, 2_000_000_000, 2**31 - 1, 2**31, 2**32 - 37, 2**32 - 1),
        "Q": (0, 1, 23, 24, 2**31, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1),
    }.items()
    for value in values
]
RATES = (0, 1, 2, 10, 100, 400, 999, 655_350, 10**6, 2**28, 2**31 - 1, 2**32 - 1)
TEXTS = (
    b"\xff\xfe\xfd\xc0\x80",
    b"a\0b",
    b"\x1b[31m",
    b"\xed\xa0\x80",
    b"=",
    b"\r\n",
    "日本".encode(),
)
# Names of chunks, boxes, frames of tags and pages.
NAMES = re.compile(rb"[A-Za-z\xa9][A-Za-z0-9 ]{3}")


def clean_files(folder: Path, formats: set[str]) -> dict[str, bytes]:
    """Write clean files of some suffixes (default: all), and return their contents by name."""
    rng = np.random.default_rng(0)
    time_s = np.arange(int(0.4 * RATE)) / RATE
    tones = np.stack([0.2 * np.sin(2 * np.pi * hz * time_s) for hz in (440, 660)])
    wave = (tones + 0.02 * rng.standard_normal(tones.shape)).astype(np.float32)
    wave[:, 4000:4400] = 0
    from a2sb_core.audio.media import is_installed

    known = [*PLAIN, *(MEDIA if is_installed() else ())]
    chosen = [name for name in known if name.rpartition(".")[2] in formats] or known
    for name in chosen:
        if name in PLAIN:
            write_plain(folder / name, wave, *PLAIN[name])
        else:
            _media(folder / name, wave, *MEDIA[name])
    return {name: (folder / name).read_bytes() for name in chosen}


def write_plain(path: Path, wave: Any, kind: str, subtype: str) -> None:
    """Write a wave (channels, samples) in a format of soundfile, with tags and a picture."""
    import soundfile

    from a2sb_core.audio.tags import Picture, Tags, write_tags

    rate = 48_000 if subtype == "OPUS" else RATE
    soundfile.write(path, wave.T, rate, subtype, format=kind)
    picture = Picture()
    picture.data, picture.mime, picture.type = b"\x89PNG" + bytes(60), "image/png", 3
    texts = {"title": ["A title"], "artist": ["One", "Two"], "own": ["text"]}
    if kind in ("WAV", "AIFF", "FLAC", "OGG", "MP3"):
        write_tags(path, Tags(texts, [picture]))


def _media(path: Path, wave: Any, container: str, codec: str, samples: str) -> None:
    import av

    if samples.startswith("s16"):
        wave = (wave * 32767).astype(np.int16)
    packed = wave if samples.endswith("p") else np.ascontiguousarray(wave.T).reshape(1, -1)
    rate = 44_100 if codec in ("wmav2", "ac3") else RATE
    with av.open(os.fspath(path), "w", format=container) as file:
        file.metadata["title"] = "A title"
        stream = file.add_stream(codec, rate=rate, layout="stereo")
        stream.codec_context.format = samples
        stream.bit_rate = 128_000  # of the lossy ones
        frame = av.AudioFrame.from_ndarray(packed, samples, "stereo")
        frame.sample_rate, frame.pts = rate, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def mutation(files: dict[str, bytes], seed: int, k: int) -> tuple[str, bytes]:
    """Return the name and the content of mutation ``k``; all files have their turn."""
    rng = random.Random(f"{seed} {k}")
    name = sorted(files)[k % len(files)]
    content = bytearray(files[name])
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        if len(content) > 8:
            content = rng.choice(CHANGES)(content, rng)
    if rng.random() < 0.05:
        content = content[: len(content) // 2] + files[rng.choice(sorted(files))]
    stem, _, suffix = name.rpartition(".")
    if rng.random() < 0.07:
        suffix = rng.choice(sorted(files)).rpartition(".")[2]
    return f"{k:05}_{stem}.{suffix}", bytes(content)


def _place(content: bytearray, rng: random.Random) -> int:
    """Draw a place, in most cases in the header."""
    return rng.randrange(len(content) if rng.random() < 0.5 else min(len(content), 200))


def _cut(content: bytearray, rng: random.Random) -> bytearray:
    return content[: rng.choice((1, 4, 12, 44, 100, rng.randrange(len(content)), len(content) - 1))]


def _flip(content: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 1, 2, 8, 30))):
        content[_place(content, rng)] ^= 1 << rng.randrange(8)
    return content


def _extreme(content: bytearray, rng: random.Random) -> bytearray:
    place, value = _place(content, rng), rng.choice(EXTREMES)
    content[place : place + len(value)] = value
    return content


def _chunk_size(content: bytearray, rng: random.Random) -> bytearray:
    """Change the numbers before or after the name of a chunk."""
    names = [found.start() for found in NAMES.finditer(content[: 1 << 14])]
    if names:
        value = rng.choice([value for value in EXTREMES if len(value) >= 4])
        place = rng.choice(names[:40]) + rng.choice((4, 4, 4, -4, 8, 16))
        content[max(0, place) : max(0, place) + len(value)] = value
    return content


def _rate(content: bytearray, rng: random.Random) -> bytearray:
    for order in "<>":
        place = content.find(struct.pack(order + "I", RATE))
        if place >= 0:
            content[place : place + 4] = struct.pack(order + "I", rng.choice(RATES))
            return content
    return _extreme(content, rng)


def _insert(content: bytearray, rng: random.Random) -> bytearray:
    place, size = _place(content, rng), rng.choice((1, 7, 64, 4096, 100_000))
    block = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size), content[:size]))
    return content[:place] + block + content[place:]


def _exchange(content: bytearray, rng: random.Random) -> bytearray:
    """Exchange two neighbouring blocks, at names of chunks where there are any."""
    places = [found.start() for found in NAMES.finditer(content[: 1 << 14])][:40]
    places += [rng.randrange(len(content)) for _ in range(3)]
    first, second, third = sorted(rng.sample(places, 3))
    return content[:first] + content[second:third] + content[first:second] + content[third:]


def _repeat(content: bytearray, rng: random.Random) -> bytearray:
    first, second = sorted(rng.randrange(len(content)) for _ in range(2))
    block = rng.choice((content, content[first:second]))
    return content[:second] + block * rng.choice((1, 2, 9)) + content[second:]


def _drop(content: bytearray, rng: random.Random) -> bytearray:
    place = _place(content, rng)
    del content[place : place + rng.choice((1, 2, 4, 100, 1000))]
    return content


def _tag(content: bytearray, rng: random.Random) -> bytearray:
    places = [found.start() for found in re.finditer(rb"A title|A\0 \0t|One|own|text", content)]
    place = rng.choice(places) if places else _place(content, rng)
    text = rng.choice(TEXTS)
    place = max(0, place - rng.choice((0, 0, 4, 8)))
    content[place : place + len(text)] = text
    return content


CHANGES = (
    _cut, _flip, _flip, _extreme, _extreme, _chunk_size, _chunk_size, _rate, _insert, _exchange,
    _repeat, _drop, _tag,
)  # fmt: skip
