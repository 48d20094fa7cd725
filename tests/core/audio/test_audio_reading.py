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
    with pytest.raises(AudioError, match=r"cannot be read as audio.*\.flac"):
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
    with pytest.raises(AudioError, match=r"only 0\.[3-6]\d\d s of the 1\.000 s"):
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


def with_data_size(path, size):
    """Change the size of the samples that a header declares."""
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "size", [0, 2_000_000_000, 0x7FFFF000, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF - 36, 0x80000000]
)
@READERS
def test_a_wav_from_a_pipe_does_not_know_its_size(tmp_path, reader, size):
    path = make(tmp_path / "in.wav", subtype="PCM_16")
    expected = files.read(path)[0]
    reader(with_data_size(path, size))
    np.testing.assert_array_equal(files.read(path)[0], expected)


@pytest.mark.parametrize(
    ("suffix", "name"), [("rf64", b"ds64"), ("w64", b"data\xf3"), ("aiff", b"SSND")]
)
def test_other_formats_from_a_pipe_do_not_know_their_size(tmp_path, suffix, name):
    path = make(tmp_path / f"in.{suffix}", subtype="PCM_16")
    expected = files.read(path)[0]
    content = bytearray(path.read_bytes())
    sizes = {
        "rf64": (8, bytes(24)),
        "w64": (16, b"\xff" * 7 + b"\x7f"),
        "aiff": (4, b"\x7f\0\0\x08"),
    }
    offset, size = sizes[suffix]
    place = content.index(name) + offset
    content[place : place + len(size)] = size
    path.write_bytes(content)
    np.testing.assert_array_equal(files.read(path)[0], expected)


@READERS
def test_a_wav_of_tags_has_no_samples(tmp_path, reader):
    path = tmp_path / "in.wav"
    soundfile.write(path, np.zeros((0, 2)), RATE)
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 4) + b"INFO")
    with pytest.raises(AudioError, match="no samples"):
        reader(path)


@READERS
def test_a_size_that_is_no_placeholder_is_missed(tmp_path, reader):
    path = with_data_size(make(tmp_path / "in.wav", subtype="PCM_16"), 1_234_567_888)
    with pytest.raises(AudioError, match="truncated"):
        reader(path)


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


def write_mp3(path, *parts):
    """Write an MP3 of a variable bit rate, which follows the music."""
    channels = len(parts[0])
    with soundfile.SoundFile(
        path, "w", RATE, channels, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    ) as file:
        file.write(np.concatenate(parts, axis=1).T)
    return path.read_bytes()


@pytest.mark.parametrize("is_loud_first", [True, False])
def test_a_variable_mp3_without_its_length_is_whole(tmp_path, is_loud_first):
    """libsndfile only guesses its length: too short if loud music is first, else too long."""
    path = tmp_path / "in.mp3"
    parts = [random_wave(), np.zeros((2, 5 * RATE), dtype=np.float32)]
    content = write_mp3(path, *(parts if is_loud_first else parts[::-1]))
    expected = files.read(path)[0]
    path.write_bytes(content[content.index(b"\xff\xfb", 100) :])
    whole, about = files.read(path)
    guess = soundfile.info(path).frames
    assert guess < 0.8 * about.frames if is_loud_first else guess > 1.2 * about.frames
    assert whole.shape == (2, about.frames) and about.frames % 1152 == 0
    delay = 576 + 529  # of the encoder, which the first frame declared, and of the decoder
    rest = whole[:, delay : delay + expected.shape[1]]
    np.testing.assert_allclose(rest, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("between", [b"", b"ID3\4\0\0\0\0\x10\0", b"TAG"], ids=["", "ID3", "ID3v1"])
def test_concatenated_mp3_files_are_read_to_the_end(tmp_path, channels, between):
    """The first frame declares only the length of the first file."""
    waves = [random_wave(channels), 0.5 * random_wave(channels, RATE // 2)]
    contents = [write_mp3(tmp_path / f"{k}.mp3", wave) for k, wave in enumerate(waves)]
    path = tmp_path / "both.mp3"
    padding = {b"I": 2048, b"T": 125}.get(between[:1], 0)
    path.write_bytes(contents[0] + between + bytes(padding) + contents[1])
    whole, about = files.read(path)
    first, second = (files.read(tmp_path / f"{k}.mp3")[0] for k in range(2))
    assert whole.shape[1] == about.frames >= first.shape[1] + second.shape[1]
    np.testing.assert_allclose(whole[:, : RATE - 1000], first[:, : RATE - 1000], atol=1e-6)
    frames = about.frames - second.shape[1]
    lags = range(frames - 3000, frames + 1)
    at = next(
        k for k in lags if np.abs(whole[:, k : k + RATE // 2] - second)[:, 2000:9000].max() < 1e-6
    )
    assert at >= first.shape[1]
    assert sum(block.shape[1] for block in files.read_blocks(path, 10_000)) == about.frames


def test_concatenated_mp3_files_of_different_kinds_are_refused(tmp_path):
    contents = [write_mp3(tmp_path / f"{n}.mp3", random_wave(n)) for n in (1, 2)]
    (tmp_path / "both.mp3").write_bytes(b"".join(contents))
    with pytest.raises(AudioError, match="different sample rates or channels"):
        files.info(tmp_path / "both.mp3")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_to_its_last_link(tmp_path, subtype):
    """Concatenated files are one valid file, of which libsndfile reads only the first."""
    parts = [tmp_path / f"{k}.ogg" for k in range(3)]
    for k, part in enumerate(parts):
        wave = random_wave(2, 10_000 + 7000 * k).T
        soundfile.write(part, wave, 48_000, subtype, format="OGG")
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(b"".join(part.read_bytes() for part in parts))
    whole, about = files.read(chained)
    expected = np.concatenate([files.read(part)[0] for part in parts], axis=1)
    assert about.frames == expected.shape[1]
    np.testing.assert_array_equal(whole, expected)
    assert [b.shape[1] for b in files.read_blocks(chained, 20_000)] == [20_000, 20_000, 11_000]


def test_chained_ogg_of_different_rates_is_refused(tmp_path):
    for rate in (44_100, 48_000):
        soundfile.write(tmp_path / f"{rate}.ogg", random_wave().T, rate)
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(
        (tmp_path / "44100.ogg").read_bytes() + (tmp_path / "48000.ogg").read_bytes()
    )
    with pytest.raises(AudioError, match="different sample rates"):
        files.info(chained)


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
        "import sys; import a2sb_core.audio.files, a2sb_core.audio.resampling; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
