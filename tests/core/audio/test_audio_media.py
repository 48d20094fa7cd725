"""Files that libsndfile does not read: m4a, Matroska, video."""

import numpy as np
import pytest
from audio_signals import tone

from a2sb_core.audio import files, reading
from a2sb_core.errors import AudioError

av = pytest.importorskip("av")
RATE = 44100
WAVE = np.stack([tone(440, 0.3, 50_000), tone(1000, 0.2, 50_000)]).astype(np.float32)
KINDS = {
    # name: codec, container, sample format, rate, depth as it is read
    "a.m4a": ("aac", "mp4", "fltp", RATE, "AAC"),
    "alac16.m4a": ("alac", "mp4", "s16p", RATE, "PCM_16"),
    "alac24.m4a": ("alac", "mp4", "s32p", RATE, "PCM_24"),
    "opus.mp4": ("libopus", "mp4", "flt", 48000, "OPUS"),
    "pcm.mkv": ("pcm_s16le", "matroska", "s16", RATE, "PCM_16"),
}


def as_format(wave, name):
    if name.startswith("s16"):
        wave = np.round(wave * 32768).astype(np.int16)
    elif name == "s32p":
        wave = np.round(wave * 2**23).astype(np.int32) << 8
    return wave if name.endswith("p") else np.ascontiguousarray(wave.T).reshape(1, -1)


@pytest.fixture
def encode(tmp_path):
    """Encode the wave by a codec into a container, with a video beside it where asked for."""

    def make(name, video=False):
        codec, kind, format_name, rate, _ = KINDS[name]
        with av.open(str(tmp_path / name), "w", format=kind) as container:
            container.metadata["title"] = "Größe"
            container.metadata["track"] = "3"
            if video:
                pictures = container.add_stream("mpeg4", rate=25)
                pictures.width = pictures.height = 32
                pictures.pix_fmt = "yuv420p"
            stream = container.add_stream(codec, rate=rate, layout="stereo")
            stream.codec_context.format = format_name
            stream.bit_rate = 256_000  # of the lossy ones
            if video:
                for _ in range(5):
                    blank = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")
                    container.mux(pictures.encode(blank))
                container.mux(pictures.encode(None))
            frame = av.AudioFrame.from_ndarray(as_format(WAVE, format_name), format_name, "stereo")
            frame.sample_rate, frame.pts = rate, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return tmp_path / name

    return make


@pytest.mark.parametrize("name", KINDS)
def test_media_files_are_read_as_others(encode, name):
    path, (*_, rate, subtype) = encode(name), KINDS[name]
    wave, about = files.read(path)
    assert (about.sample_rate, about.channels, about.subtype) == (rate, 2, subtype)
    assert wave.dtype == np.float32 and wave.shape == (2, about.frames)
    # Containers round the end to a millisecond or so.
    assert about.frames == pytest.approx(50_000, abs=0.001 * rate)
    assert about.tags["title"] == "Größe"
    together = np.concatenate(list(files.read_blocks(path, 7001)), axis=1)
    np.testing.assert_array_equal(together, wave)
    middle = slice(5000, 40_000)
    tolerance = {"AAC": 0.02, "OPUS": 0.02, "PCM_16": 2**-16, "PCM_24": 2**-24}[subtype]
    assert np.abs(wave[:, middle] - WAVE[:, middle]).max() <= tolerance


def test_the_sound_of_a_video_is_read(encode):
    wave, about = files.read(encode("pcm.mkv", video=True))
    assert about.frames == 50_000
    assert np.abs(wave - WAVE).max() <= 2**-16


def test_blocks_are_of_the_size_asked_for(encode):
    sizes = [block.shape[1] for block in files.read_blocks(encode("alac16.m4a"), 12_000)]
    assert sizes == [12_000] * 4 + [2000]


def test_broken_media_files_are_told(encode, tmp_path):
    whole = encode("pcm.mkv").read_bytes()
    (tmp_path / "short.mkv").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.mkv").write_bytes(whole[:40])
    (tmp_path / "text.m4a").write_text("no audio")
    (tmp_path / "empty.m4a").touch()
    half = encode("a.m4a").read_bytes()
    (tmp_path / "half.m4a").write_bytes(half[: len(half) // 2])
    for name in ("none.mkv", "text.m4a", "empty.m4a", "half.m4a"):
        with pytest.raises(AudioError, match=name):
            files.read(tmp_path / name)
    try:
        wave, _ = files.read(tmp_path / "short.mkv")
    except AudioError as error:
        assert "short.mkv is truncated" in str(error)
    else:
        assert wave.shape[1] < 30_000  # a stream: no header tells its length


def test_without_pyav_it_is_told_what_is_needed(encode, monkeypatch):
    path = encode("a.m4a")
    monkeypatch.setattr(reading, "is_installed", lambda: False)
    with pytest.raises(AudioError, match=r"with a2sb\[media\] installed"):
        files.info(path)
