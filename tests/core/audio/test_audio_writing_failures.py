"""Refused targets and failed writes, which leave nothing behind."""

import numpy as np
import pytest
from audio_signals import listing, random_wave

from a2sb_core.audio import files, writing
from a2sb_core.audio.files import AudioWriter
from a2sb_core.errors import AudioError

RATE = 44100


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("clip_mode", ["clamp", "rescale"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, suffix, clip_mode, error):
    with (
        pytest.raises(error),
        AudioWriter(tmp_path / f"out.{suffix}", RATE, 2, clip_mode=clip_mode) as writer,
    ):
        writer.write(random_wave())
        meanwhile = listing(tmp_path)
        raise error
    assert meanwhile
    assert all(name.startswith(".") for name in meanwhile)
    assert listing(tmp_path) == []


def test_an_exception_keeps_the_existing_file(tmp_path):
    path = tmp_path / "out.wav"
    path.write_bytes(b"precious")
    wave = random_wave()
    wave[1, 2000] = np.nan
    with pytest.raises(AudioError, match=r"at 0\.045 s in channel 2"):
        files.write(path, wave, RATE, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert listing(tmp_path) == ["out.wav"]


def test_an_existing_file_is_replaced_only_on_demand(tmp_path):
    path = tmp_path / "out.wav"
    path.write_bytes(b"precious")
    with pytest.raises(AudioError, match="exists already"):
        files.write(path, random_wave(), RATE)
    assert path.read_bytes() == b"precious"
    files.write(path, random_wave(), RATE, overwrite=True)
    assert files.info(path).frames == 3000
    assert listing(tmp_path) == ["out.wav"]


def test_a_file_that_comes_up_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out.wav"
    with pytest.raises(AudioError, match="exists already"), AudioWriter(path, RATE, 2) as writer:
        writer.write(random_wave())
        path.write_bytes(b"precious")
    assert path.read_bytes() == b"precious"
    assert listing(tmp_path) == ["out.wav"]


def test_the_source_is_never_the_target(tmp_path):
    path = tmp_path / "out.wav"
    files.write(path, random_wave(), RATE)
    with pytest.raises(AudioError, match="input itself"):
        files.check_target(path, overwrite=True, source=tmp_path / "." / "out.wav")


def test_a_missing_folder_is_not_made_unasked(tmp_path):
    with pytest.raises(AudioError, match="mkdir -p"):
        files.write(tmp_path / "no" / "out.wav", random_wave(), RATE)
    assert listing(tmp_path) == []


def test_bad_targets_are_refused(tmp_path):
    with pytest.raises(AudioError, match=r"`\.xyz`.*\.flac.*\.wav"):
        files.write(tmp_path / "out.xyz", random_wave(), RATE)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioError, match="is a folder"):
        files.write(tmp_path / "folder.wav", random_wave(), RATE)
    with pytest.raises(AudioError, match="no samples"):
        files.write(tmp_path / "out.wav", random_wave()[:, :0], RATE)
    with pytest.raises(AudioError, match="transpose"):
        files.write(tmp_path / "out.wav", random_wave().T, RATE)
    with pytest.raises(AudioError, match=r"\(channels, samples\)"):
        files.write(tmp_path / "out.wav", random_wave()[0], RATE)
    with pytest.raises(AudioError, match=r"6 channels at 96000 Hz.*\.wav"):
        files.write(tmp_path / "out.mp3", random_wave(6), 96000)
    with (
        pytest.raises(AudioError, match="a block has 1"),
        AudioWriter(tmp_path / "out.wav", RATE, 2) as writer,
    ):
        writer.write(random_wave(1))
    assert listing(tmp_path) == ["folder.wav"]


def test_a_wav_beyond_its_limit_becomes_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "LARGEST_BYTES", 10_000)
    wave = random_wave(2, 3000)
    files.write(tmp_path / "large.wav", wave, RATE, subtype="PCM_16")
    files.write(tmp_path / "small.wav", wave[:, :2000], RATE, subtype="PCM_16")
    assert files.info(tmp_path / "large.wav").format == "RF64"
    assert files.info(tmp_path / "small.wav").format == "WAV"
    np.testing.assert_allclose(files.read(tmp_path / "large.wav")[0], wave, atol=2**-14)
    like = files.AudioInfo(tmp_path, RATE // 2, 2, 1500, "PCM_16", "WAV", {})
    with AudioWriter(tmp_path / "like.wav", RATE, 2, like=like) as writer:
        writer.write(wave)
    assert files.info(tmp_path / "like.wav").format == "RF64"


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_a_stream_does_not_wrap_the_size(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(writing, "LARGEST_BYTES", 10_000)
    with (
        pytest.raises(AudioError, match=r"4 GB.*\.w64"),
        AudioWriter(tmp_path / f"out.{suffix}", RATE, 2, subtype="PCM_16") as writer,
    ):
        for _ in range(3):
            writer.write(random_wave(2, 1000))
    assert listing(tmp_path) == []


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("clip_mode", ["clamp", "rescale"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path, suffix, clip_mode):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    wave = random_wave(2, 200_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(AudioError, match="cannot be written"):
            files.write(tmp_path / f"out.{suffix}", wave, RATE, clip_mode=clip_mode)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert listing(tmp_path) == []
