import os
import struct

import numpy as np
import pytest
import soundfile

from a2sb_core.audio import files
from a2sb_core.errors import AudioError

RATE = 44100
READERS = pytest.mark.parametrize(
    "reader",
    [files.info, files.read, lambda path: list(files.read_blocks(path, 1000))],
    ids=["info", "read", "read_blocks"],
)


def random_wave(channels=2, samples=RATE):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, samples))
    return wave.astype(np.float32)


def make(path, **options):
    soundfile.write(path, random_wave().T, RATE, **options)
    return path


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
@pytest.mark.parametrize("frames", [1, 777, RATE, 10**6])
def test_blocks_together_are_the_whole(tmp_path, suffix, frames):
    path = make(tmp_path / f"in.{suffix}")
    if frames == 1:
        soundfile.write(path, random_wave(2, 2000).T, RATE)
    blocks = list(files.read_blocks(path, frames))
    whole, about = files.read(path)
    assert all(block.shape[1] == frames for block in blocks[:-1])
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)
    assert about == files.info(path)
    assert about.path == path


def test_integers_are_scaled_exactly(tmp_path):
    values = np.array([[-32768, -1, 0, 1, 32767]], dtype=np.int16)
    soundfile.write(tmp_path / "in.wav", values.T, RATE, "PCM_16")
    wave, _ = files.read(tmp_path / "in.wav")
    np.testing.assert_array_equal(wave, values.astype(np.float32) / 32768)


@READERS
def test_a_missing_file(tmp_path, reader):
    with pytest.raises(AudioError, match=r"nothing\.wav does not exist"):
        reader(tmp_path / "nothing.wav")


@READERS
def test_a_folder(tmp_path, reader):
    with pytest.raises(AudioError, match="is a folder"):
        reader(tmp_path)


@READERS
@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "raw"])
def test_an_empty_file(tmp_path, reader, suffix):
    path = tmp_path / f"in.{suffix}"
    path.touch()
    with pytest.raises(AudioError, match=r"empty \(0 bytes\)"):
        reader(path)


@READERS
@pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg", "w64", "flac", "mp3"])
def test_a_header_without_samples(tmp_path, reader, suffix):
    path = tmp_path / f"in.{suffix}"
    soundfile.write(path, np.zeros((0, 2)), RATE)
    with pytest.raises(AudioError, match=r"no samples|empty"):
        reader(path)


@READERS
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "raw", "txt"])
def test_no_audio_inside(tmp_path, reader, suffix):
    path = tmp_path / f"in.{suffix}"
    path.write_text("This is no audio.\n" * 100)
    with pytest.raises(AudioError, match=r"can not be read as audio.*\.flac"):
        reader(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path):
    path = make(tmp_path / "in.wav")
    path.chmod(0)
    with pytest.raises(AudioError, match="ermission"):
        files.read(path)


@READERS
@pytest.mark.parametrize("suffix", ["wav", "aiff", "w64", "rf64", "ogg"])
def test_a_truncated_file(tmp_path, reader, suffix):
    with pytest.raises(AudioError, match=r"truncated or damaged: only 0\.\d+ s") as caught:
        reader(cut(make(tmp_path / f"in.{suffix}")))
    if suffix != "ogg":
        assert "only 0.500 s" in str(caught.value) or "only 0.499 s" in str(caught.value)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_truncated_file_of_a_compressed_format(tmp_path, suffix):
    path = cut(make(tmp_path / f"in.{suffix}"))
    with pytest.raises(AudioError, match=r"only 0\.[3-6]\d\d s of the 1\.000 s its header"):
        files.read(path)
    taken = []
    with pytest.raises(AudioError, match="truncated"):
        for block in files.read_blocks(path, 1000):
            taken.append(block.shape[1])
    assert sum(taken) > 10_000


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM"])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "w64"])
def test_whole_files_are_not_called_truncated(tmp_path, suffix, subtype):
    path = make(tmp_path / f"in.{suffix}", subtype=subtype)
    with path.open("ab") as file:
        file.write(b"more that does not belong here")
    assert files.read(path)[0].shape[1] >= RATE


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0x80000000])
def test_a_wav_from_a_pipe_does_not_know_its_size(tmp_path, size):
    path = make(tmp_path / "in.wav", subtype="PCM_16")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    assert files.read(path)[0].shape == (2, RATE)


def without_length(flac):
    """Clear the count of samples, as encoders that write to a pipe leave it."""
    content = bytearray(flac.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    flac.write_bytes(content)
    return flac


def test_a_flac_from_a_pipe_does_not_know_its_length(tmp_path):
    path = without_length(make(tmp_path / "in.flac"))
    assert files.info(path).frames == RATE
    whole, _ = files.read(path)
    np.testing.assert_allclose(whole, random_wave(), atol=2**-15)
    assert sum(block.shape[1] for block in files.read_blocks(path, 1000)) == RATE


def test_a_variable_mp3_without_its_length_is_whole(tmp_path):
    """libsndfile only guesses its length, by far too long here."""
    path = tmp_path / "in.mp3"
    loud, quiet = random_wave(), np.zeros((2, 5 * RATE), dtype=np.float32)
    with soundfile.SoundFile(
        path, "w", RATE, 2, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    ) as file:
        file.write(np.concatenate([quiet, loud, quiet], axis=1).T)
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\xff\xfb", 100) :])
    about = files.info(path)
    assert soundfile.info(path).frames > 1.2 * about.frames
    assert about.duration_s == pytest.approx(11, abs=0.2)
    assert files.read(path)[0].shape == (2, about.frames)


def test_a_header_that_promises_the_moon(tmp_path):
    path = make(tmp_path / "in.flac")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"truncated|memory"):
        files.read(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(bad):
    wave = random_wave(2, 1000)
    files.check_finite(wave, "it", sample_rate=1000)
    wave[1, 250] = bad
    wave[0, 600:603] = bad
    with pytest.raises(
        AudioError, match=r"it: 4 of 2000 samples .* the first at 7\.250 s in channel 2"
    ):
        files.check_finite(wave, "it", sample_rate=1000, start_s=7.0)


def test_opposite_infinities_are_seen():
    wave = np.array([[np.inf, -np.inf, 0.0]])
    with pytest.raises(AudioError, match="2 of 3"):
        files.check_finite(wave, "it", sample_rate=10)


def test_loud_numbers_are_numbers():
    files.check_finite(np.full((2, 100), 3e38, dtype=np.float32), "it", sample_rate=10)
    files.check_finite(np.full((2, 100), 1e308), "it", sample_rate=10)


def test_nothing_here_needs_torch():
    import subprocess
    import sys

    code = (
        "import sys; import a2sb_core.audio.files, a2sb_core.audio.bandwidth; "
        "import a2sb_core.audio.resample; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
