"""Sound is kept as it was, unless it is asked for otherwise."""

import json

import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC, Picture

from a2sb_core.audio.tags import read_tags

RATE = 44100
TITLE = 'Größe "1" 日本'


def write(path, wave, rate=RATE, subtype="PCM_16"):
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def about(path):
    info = soundfile.info(path)
    return info.format, info.subtype, info.samplerate, info.channels, info.frames


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate", "channels"),
    [
        ("wav", "PCM_16", 44100, 2),
        ("wav", "PCM_24", 48000, 1),
        ("wav", "PCM_32", 96000, 2),
        ("wav", "FLOAT", 44100, 3),
        ("flac", "PCM_16", 48000, 2),
        ("flac", "PCM_24", 44100, 2),
        ("ogg", "VORBIS", 44100, 2),
        ("mp3", "MPEG_LAYER_III", 44100, 1),
    ],
)
def test_format_rate_depth_channels_and_length_are_kept(
    tmp_path, music, restore, suffix, subtype, rate, channels
):
    wave = music(0.8, channels, rate, cutoff_hz=4000)
    source = write(tmp_path / f"in.{suffix}", wave, rate, subtype)
    target = tmp_path / f"out.{suffix}"
    result = restore(source, target, "--steps", 1)
    assert result.exit_code == 0, result.stderr
    assert about(target) == about(source)
    assert not np.array_equal(soundfile.read(target)[0], soundfile.read(source)[0])


def test_flac_of_24_bits_with_tags_and_cover_comes_out_so(tmp_path, music, restore):
    source, target = tmp_path / "in.flac", tmp_path / "out.flac"
    write(source, music(0.8, 2, cutoff_hz=4000), subtype="PCM_24")
    picture = Picture()
    picture.type, picture.mime, picture.desc, picture.data = 3, "image/png", "c", b"\x89PNG" * 999
    tagged = FLAC(source)
    tagged["title"], tagged["artist"], tagged["mood"] = [TITLE], ["A", "B"], ["calm"]
    tagged.add_picture(picture)
    tagged.save()
    result = restore(source, target)
    assert result.exit_code == 0, result.stderr
    before, after = mutagen.File(source), mutagen.File(target)
    assert dict(after.tags) == dict(before.tags)
    assert [p.data for p in after.pictures] == [picture.data]
    assert (after.info.bits_per_sample, after.info.channels) == (24, 2)
    assert after.info.total_samples == before.info.total_samples


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--bit-depth", "24"), ("WAV", "PCM_24", 44100, 2)),
        (("--bit-depth", "float"), ("WAV", "FLOAT", 44100, 2)),
        (("--sample-rate", "48000"), ("WAV", "PCM_16", 48000, 2)),
        (("--stereo", "mono", "--bit-depth", "32"), ("WAV", "PCM_32", 44100, 1)),
        (("--stereo", "ms"), ("WAV", "PCM_16", 44100, 2)),
        (("--format", "flac"), ("FLAC", "PCM_16", 44100, 2)),
        (("--format", "mp3"), ("MP3", "MPEG_LAYER_III", 44100, 2)),
    ],
)
def test_another_sound_is_written_where_it_is_asked_for(
    low_file, tmp_path, restore, arguments, expected
):
    (tmp_path / "to").mkdir()
    name = arguments[1] if arguments[0] == "--format" else "wav"
    target = tmp_path / "to" / f"out.{name}"
    result = restore(low_file, target, *arguments, "--steps", 1)
    assert result.exit_code == 0, result.stderr
    assert about(target)[:4] == expected
    seconds = soundfile.info(target).frames / expected[2]
    assert seconds == pytest.approx(soundfile.info(low_file).duration, abs=0.06)


def test_a_file_without_damage_is_written_as_asked_too(tmp_path, music, restore):
    source = write(tmp_path / "in.wav", music(0.8))
    result = restore(source, tmp_path / "out.wav", "--bit-depth", "24", "--stereo", "mono")
    assert "nothing to restore" in result.stdout
    assert about(tmp_path / "out.wav")[1:4] == ("PCM_24", RATE, 1)


def test_the_name_gets_the_suffix_of_the_format(low_file, tmp_path, a2sb, model_folder):
    result = a2sb(
        "restore",
        low_file,
        "-o",
        tmp_path / "new",
        "--task",
        "bandwidth",
        "--model",
        model_folder,
        "--format",
        "flac",
        "--steps",
        1,
    )
    assert result.exit_code == 0, result.stderr
    assert about(tmp_path / "new.flac")[0] == "FLAC"


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("out.wav", ("--format", "flac"), ("out.flac", "--format")),
        ("-", ("--format", "wav"), ("a pipe is WAV",)),
        ("out.wav", ("--bit-depth", "12"), ("--bit-depth", "'12'")),
        ("out.wav", ("--stereo", "surround"), ("--stereo",)),
        ("out.wav", ("--sample-rate", "0"), ("--sample-rate",)),
    ],
)
def test_what_can_not_be_written_is_wrong_usage(
    low_file, tmp_path, restore, fails, target, arguments, words
):
    fails(
        restore(low_file, target if target == "-" else tmp_path / target, *arguments),
        *words,
        code=2,
    )


@pytest.mark.parametrize(
    ("mode", "note"), [("clamp", "limited"), ("rescale", "lowered by"), ("none", "limited")]
)
def test_it_is_told_what_was_done_above_full_scale(tmp_path, music, restore, mode, note):
    loud = music(0.8, 1, cutoff_hz=4000)
    source = write(tmp_path / "in.wav", np.clip(loud / np.abs(loud).max(), -1, 0.9999))
    arguments = ("--clip-mode", mode, "--steps", 1)
    told = restore(source, tmp_path / "out.wav", *arguments)
    assert note in told.stdout
    told = restore(source, tmp_path / "json.wav", *arguments, "--json")
    assert note in json.loads(told.stdout)["notes"][0]


def test_many_files_in_one_format(tmp_path, music, a2sb, model_folder):
    (tmp_path / "music").mkdir()
    for name, subtype in (("a.wav", "PCM_24"), ("b.ogg", "VORBIS")):
        write(tmp_path / "music" / name, music(0.6, 1, cutoff_hz=4000), subtype=subtype)
    result = a2sb(
        "restore",
        tmp_path / "music",
        "-o",
        tmp_path / "out",
        "--task",
        "bandwidth",
        "--model",
        model_folder,
        "--steps",
        1,
        "--format",
        "flac",
        "--report",
        tmp_path / "run.json",
    )
    assert result.exit_code == 0, result.stderr
    found = {path.name: about(path)[:2] for path in (tmp_path / "out").iterdir()}
    assert found == {"a.restored.flac": ("FLAC", "PCM_24"), "b.restored.flac": ("FLAC", "PCM_24")}
    assert all("notes" in one for one in json.loads((tmp_path / "run.json").read_text())["files"])


def test_what_can_only_be_read_becomes_flac(tmp_path, music, a2sb, model_folder):
    av = pytest.importorskip("av")
    (tmp_path / "music").mkdir()
    wave = music(0.6, 1, cutoff_hz=4000).T.astype(np.float32)
    with av.open(str(tmp_path / "music" / "a.m4a"), "w", format="mp4") as container:
        container.metadata["title"] = TITLE
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave), "fltp", "mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    asked = ("--task", "bandwidth", "--model", model_folder, "--steps", 1)
    result = a2sb("restore", tmp_path / "music", "-o", tmp_path / "out", *asked)
    assert result.exit_code == 0, result.stderr
    written = tmp_path / "out" / "a.restored.flac"
    assert about(written)[:4] == ("FLAC", "PCM_24", RATE, 1)
    assert read_tags(written).texts["title"] == [TITLE]
    result = a2sb("restore", tmp_path / "music" / "a.m4a", "-o", tmp_path / "b.m4a", *asked)
    assert result.exit_code == 1
    assert "cannot be written; use one of" in result.stderr


def test_the_amount_of_the_change_is_asked_for(tmp_path, low_file, restore, fails):
    results = []
    for amount in (0, 0.5, 1):
        target = tmp_path / f"{amount}.wav"
        done = restore(low_file, target, "--amount", amount, "--bit-depth", "float", "--steps", 1)
        assert done.exit_code == 0, done.stderr
        results.append(soundfile.read(target)[0])
    nothing, half, whole = results
    assert np.array_equal(nothing, soundfile.read(low_file)[0])
    np.testing.assert_allclose(half, (nothing + whole) / 2, atol=1e-6)
    assert np.abs(whole - nothing).max() > 1e-3
    fails(restore(low_file, tmp_path / "out.wav", "--amount", 2), "--amount", code=2)
