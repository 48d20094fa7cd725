"""Damaged and hostile audio files end in one sentence, and tags never cost the audio."""

import os
import re
import struct
import sys

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import id3
from mutagen.flac import Picture

from a2sb_core.audio import files, tag_writing
from a2sb_core.audio.tags import Tags, read_tags, write_tags
from a2sb_core.errors import AudioError
from a2sb_core.interfaces.recording import block_samples
from a2sb_core.restoration.sources import AudioSource

RATE = 44100
WAVE = np.full((2, 4800), 0.1, dtype=np.float32)


def wav(rate=8000, channels=1, data=b"\1\2" * 4000):
    """Return a WAV of 16 bits with any numbers in its header."""
    width = 2 * channels
    kind = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * width & 0xFFFFFFFF, width, 16)
    body = b"WAVEfmt " + kind + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def mp3(path, *frames):
    files.write(path, WAVE, RATE)
    tag = id3.ID3()
    for frame in frames:
        tag.add(frame)
    tag.save(path)
    return path


def field(name):
    return id3.TXXX(encoding=3, desc=name, text=["x"])


def cover(size):
    return id3.APIC(encoding=3, mime="image/jpeg", type=3, desc="c", data=b"\xff\xd8" + b"x" * size)


def copied(source, target):
    about = files.info(source)
    with files.AudioWriter(target, 48000, 2, like=about) as writer:
        writer.write(WAVE)
    return writer.tag_notes


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus"])
@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (field("Größe"), "größe"),
        (field("a=b"), "a=b"),
        (field("~x"), "~x"),
        (field("\u65e5\u672c"), "\u65e5\u672c"),
        (field(""), "without a name"),
        (field("\x1b[31m"), "\\x1b[31m"),
        (cover(20_000_000), "20.0 MB"),
    ],
    ids=["umlaut", "equals", "tilde", "Japanese", "empty", "escape", "cover"],
)
def test_a_tag_that_the_format_cannot_hold_is_left_out_with_a_note(tmp_path, suffix, frame, word):
    source = mp3(tmp_path / "in.mp3", id3.TIT2(encoding=3, text=["T"]), frame)
    target = tmp_path / f"out.{suffix}"
    (note,) = copied(source, target)
    assert word in note and "\x1b" not in note
    assert read_tags(target).texts == {"title": ["T"]}
    assert not read_tags(target).pictures
    assert files.read(target)[0].shape == WAVE.shape


@pytest.mark.parametrize("suffix", ["mp3", "wav", "aiff"])
def test_id3_holds_every_name(tmp_path, suffix):
    source = mp3(tmp_path / "in.mp3", field("Größe"), field("a=b"), field(""))
    assert copied(source, tmp_path / f"out.{suffix}") == []


@pytest.mark.parametrize("suffix", ["w64", "rf64"])
def test_formats_without_tags_say_so(tmp_path, suffix):
    source = mp3(tmp_path / "in.mp3", id3.TIT2(encoding=3, text=["T"]), field("own"))
    (note,) = copied(source, tmp_path / f"out.{suffix}")
    assert "own" in note
    assert ("title" in note) == (suffix == "w64")


def test_comments_of_flac_have_a_largest_size(tmp_path):
    source = tmp_path / "in.wav"
    soundfile.write(source, WAVE.T, RATE)
    write_tags(source, Tags({"title": ["T"], "comment": ["x" * 17_000_000]}))
    (note,) = copied(source, tmp_path / "out.flac")
    assert "comment" in note
    assert read_tags(tmp_path / "out.flac").texts == {"title": ["T"]}


@pytest.mark.parametrize(
    "error", [mutagen.MutagenError("odd"), OSError(28, "No space"), IndexError()]
)
def test_tags_that_cannot_be_written_become_a_note(tmp_path, monkeypatch, error):
    source = mp3(tmp_path / "in.mp3", id3.TIT2(encoding=3, text=["T"]))

    def fail(path, tags):
        if tags:
            raise error

    monkeypatch.setattr(tag_writing, "write_tags", fail)
    notes = copied(source, tmp_path / "out.flac")
    assert "could not be written" in notes[-1]
    assert files.read(tmp_path / "out.flac")[0].shape == WAVE.shape


def test_a_picture_fits_into_flac_and_not_into_the_comment_of_ogg(tmp_path):
    source, picture = tmp_path / "in.flac", Picture()
    files.write(source, WAVE, RATE)
    picture.data, picture.mime = b"x" * 14_000_000, "image/png"
    write_tags(source, Tags({}, [picture]))
    assert copied(source, tmp_path / "out.flac") == []
    assert len(read_tags(tmp_path / "out.flac").pictures) == 1
    assert "14.0 MB" in copied(source, tmp_path / "out.ogg")[0]


@pytest.mark.parametrize("rate", [1, 10, 400, 2**28, 2**31 - 1])
def test_a_sample_rate_beyond_all_reason_is_refused(tmp_path, rate):
    path = tmp_path / "in.wav"
    path.write_bytes(wav(rate))
    for reader in (files.info, files.read, AudioSource.open):
        with pytest.raises(AudioError, match=f"{rate} Hz"):
            reader(path)


def test_hundreds_of_channels_are_refused(tmp_path):
    path = tmp_path / "in.wav"
    path.write_bytes(wav(channels=1024, data=b"\1\2" * 10_240))
    with pytest.raises(AudioError, match="1024 channels"):
        files.info(path)
    path.write_bytes(wav(channels=64, data=b"\1\2" * 6400))
    assert files.info(path).channels == 64


def test_a_length_of_centuries_is_refused(tmp_path):
    path = tmp_path / "in.flac"
    soundfile.write(path, np.zeros((1000, 8)), 8000)
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(AudioError):
        files.read(path)


def test_blocks_hold_few_seconds_and_few_samples():
    assert block_samples(44_100, 2) == 1 << 17
    assert block_samples(1000, 1) == 3000
    assert block_samples(192_000, 256) * 256 <= 1 << 21


@pytest.mark.parametrize("size", [0, 24, 2**40, 2**59 + 8, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("chunk", [b"data", b"fmt ", b"junk"])
def test_sizes_of_w64_chunks(tmp_path, size, chunk):
    path = tmp_path / "in.w64"
    soundfile.write(path, WAVE.T, RATE, "PCM_16")
    content = bytearray(path.read_bytes())
    place = content.index(b"data")
    if chunk == b"junk":
        content[place:place] = b"junk" + content[place + 4 : place + 16] + struct.pack("<Q", size)
    else:
        place = content.index(chunk)
        content[place + 16 : place + 24] = struct.pack("<Q", size)
    path.write_bytes(content)
    try:
        files.read(path)
    except AudioError as error:
        assert "in.w64" in str(error)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "w64", "opus"])
def test_mutated_files_are_read_or_refused_in_a_sentence(tmp_path, suffix):
    rng = np.random.default_rng(len(suffix))
    path = tmp_path / f"in.{suffix}"
    files.write(path, WAVE, 48000, tags={"title": "T"})
    whole = path.read_bytes()
    for trial in range(30):
        content = bytearray(whole)
        for place in rng.integers(0, min(len(content), 160), 1 + trial % 8):
            content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            files.info(path)
            read_tags(path)
            for _ in files.read_blocks(path, 1 << 16, exact=True):
                pass
        except AudioError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("name", ["a\0b.wav", "\0"])
def test_a_name_with_nul(tmp_path, name):
    with pytest.raises(AudioError):
        files.info(tmp_path / name)
    with pytest.raises(AudioError, match="NUL"):
        files.check_target(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_names_need_not_be_utf_8(tmp_path, suffix):
    folder = tmp_path / os.fsdecode(b"dos\xe9")
    folder.mkdir()
    source, target = (folder / os.fsdecode(b"caf\xe9%d." % k + suffix.encode()) for k in (1, 2))
    files.write(source, WAVE, 48000, tags={"title": "T"})
    wave, about = files.read(source)
    files.write(target, wave, 48000, like=about)
    assert files.info(target).tags["title"] == "T"


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "word"),
    [
        ("opus", 44_100, 2, "48000"),
        ("mp3", 96_000, 2, "48000"),
        ("mp3", 40_000, 2, "44100"),
        ("mp3", 44_100, 3, r"\.wav"),
        ("flac", 44_100, 9, r"\.wav"),
        ("flac", 96_001, 2, "96010"),
        ("flac", 700_000, 2, "655350"),
        ("ogg", 200_001, 2, "200000"),
        ("ogg", 44_100, 256, r"\.wav"),
    ],
)
def test_what_an_encoder_cannot_hold_is_refused_before_the_work(
    tmp_path, suffix, rate, channels, word
):
    with pytest.raises(AudioError, match=word):
        files.AudioWriter(tmp_path / f"out.{suffix}", rate, channels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("suffix", "rate"), [("flac", 65_535), ("flac", 655_350), ("ogg", 200_000), ("ogg", 1000)]
)
def test_extreme_rates_are_written(tmp_path, suffix, rate):
    files.write(tmp_path / f"out.{suffix}", WAVE, rate)
    about = files.info(tmp_path / f"out.{suffix}")
    assert (about.sample_rate, about.frames) == (rate, WAVE.shape[1])


@pytest.mark.parametrize(("subtype", "size"), [("FLOAT", "1e+38"), ("DOUBLE", "1e+300")])
def test_samples_beyond_all_reason_are_refused(tmp_path, subtype, size):
    path = tmp_path / "in.wav"
    soundfile.write(path, np.full((1000, 1), float(size)), RATE, subtype)
    with pytest.raises(AudioError, match=re.escape(size)):
        list(files.read_blocks(path, 100, exact=True))


@pytest.mark.parametrize("subtype", ["PCM_32", "DOUBLE", "PCM_24"])
def test_exact_blocks_hold_every_bit(tmp_path, subtype):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    values = np.random.default_rng(0).integers(-(2**31), 2**31, (5000, 2)).astype(np.int32)
    content = values / 2.0**31 if subtype == "DOUBLE" else values
    soundfile.write(source, content, RATE, subtype)
    about = files.info(source)
    with files.AudioWriter(target, RATE, 2, like=about) as writer:
        for block in files.read_blocks(source, 777, exact=True):
            assert block.dtype == (np.float32 if subtype == "PCM_24" else np.float64)
            writer.write(block)
    before, after = (soundfile.read(path, dtype="int32")[0] for path in (source, target))
    np.testing.assert_array_equal(after, before)
