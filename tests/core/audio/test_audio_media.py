"""Files that libsndfile does not read: m4a, Matroska, video."""

import mutagen
import numpy as np
import pytest
import soundfile
from audio_signals import tone
from mutagen.asf import ASFByteArrayAttribute

from a2sb_core.audio import files, media, reading
from a2sb_core.audio.tags import read_tags
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
    with pytest.raises(AudioError, match=r"install a2sb\[media\]"):
        files.info(path)


@pytest.mark.parametrize("name", ["in.wma", "in.wv"])
@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3", "wav"])
def test_tags_of_media_files_are_copied(tmp_path, name, suffix):
    codec, kind, samples = {"in.wma": ("wmav2", "asf", "fltp"), "in.wv": ("wavpack", "wv", "s16p")}[
        name
    ]
    source, target = encoded(tmp_path / name, codec, kind, samples), tmp_path / f"out.{suffix}"
    file = mutagen.File(source)
    if file.tags is None:
        file.add_tags()
    names = (
        ("Title", "Author", "WM/TrackNumber", "WM/Genre", "own")
        if codec == "wmav2"
        else ("Title", "Artist", "Track", "Genre", "own")
    )
    for key, text in zip(names, ("Größe", "Ann", "3", "Jazz", "x"), strict=True):
        file.tags[key] = text
    if codec == "wmav2":
        image = b"\x03" + (4).to_bytes(4, "little") + "image/png\0front\0".encode("utf-16-le")
        file.tags["WM/Picture"] = ASFByteArrayAttribute(image + b"\x89PNG")
    file.save()
    wave, about = files.read(source)
    files.write(target, wave, RATE, like=about)
    found = read_tags(target)
    expected = {"title": "Größe", "artist": "Ann", "tracknumber": "3", "genre": "Jazz", "own": "x"}
    assert found.texts == {key: [text] for key, text in expected.items()}
    assert [p.data for p in found.pictures] == ([b"\x89PNG"] if codec == "wmav2" else [])


def tagged_m4a(encode, title=b"TITLE", pairs=None):
    path = encode("a.m4a")
    file = mutagen.File(path)
    file.tags["\xa9nam"] = "TITLE"
    if pairs is not None:
        file.tags["trkn"] = pairs
    file.save()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"TITLE", title.ljust(5)))
    return path


def test_a_title_that_is_not_utf_8(encode, tmp_path):
    path = tagged_m4a(encode, b"caf\xe9")
    wave, about = files.read(path)
    files.write(tmp_path / "out.flac", wave, RATE, like=about)
    assert files.info(tmp_path / "out.flac").frames == about.frames


def test_an_empty_track_number(encode, tmp_path):
    path = tagged_m4a(encode, pairs=[])
    wave, about = files.read(path)
    files.write(tmp_path / "out.flac", wave, RATE, like=about)
    assert files.info(tmp_path / "out.flac").tags["title"] == "TITLE"


def encoded(path, codec, kind, format_name="fltp", wave=WAVE, rate=RATE):
    """Encode a wave into a file of any suffix."""
    with av.open(str(path), "w", format=kind) as container:
        layout = "stereo" if len(wave) == 2 else "mono"
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = format_name
        stream.bit_rate = 128_000  # of the lossy ones
        for start in range(0, wave.shape[1], 2048):
            part = as_format(wave[:, start : start + 2048], format_name)
            frame = av.AudioFrame.from_ndarray(part, format_name, layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_a_bare_stream_of_aac_has_all_its_samples(tmp_path):
    """Its length is not declared; FFmpeg estimates it from the bit rate."""
    rng = np.random.default_rng(0)
    quiet = np.concatenate([np.zeros((1, 100_000)), rng.uniform(-0.5, 0.5, (1, 50_000))], axis=1)
    path = encoded(tmp_path / "in.aac", "aac", "adts", wave=quiet.astype(np.float32))
    frames = sum(block.shape[1] for block in files.read_blocks(path, 10_000))
    assert frames == files.info(path).frames >= 150_000
    with av.open(str(path)) as container:
        assert frames == sum(frame.samples for frame in container.decode(audio=0))


def test_a_codec_that_libsndfile_lacks_is_read_whatever_the_suffix(tmp_path):
    path = encoded(tmp_path / "in.wav", "ac3", "wav", rate=48_000)
    assert files.info(path).frames >= 50_000


@pytest.mark.parametrize("suffix", ["mp3", "wav", "flac", "ogg", "opus", "aiff", "w64", "rf64"])
@pytest.mark.parametrize("kind", ["mp4", "adts", "matroska"])
def test_a_wrong_suffix_does_not_matter(tmp_path, kind, suffix):
    right, wrong = (encoded(tmp_path / name, "aac", kind) for name in ("right.mka", f"in.{suffix}"))
    np.testing.assert_array_equal(files.read(wrong)[0], files.read(right)[0])
    assert files.info(wrong).frames >= 50_000


def test_concatenated_mp3_files_are_decoded_as_by_a_full_decoder(tmp_path):
    for name, samples in (("first", WAVE), ("second", WAVE[:, :20_000])):
        files.write(tmp_path / f"{name}.mp3", samples, RATE)
    path = tmp_path / "both.mp3"
    path.write_bytes(b"".join((tmp_path / f"{k}.mp3").read_bytes() for k in ("first", "second")))
    with av.open(str(path)) as container:
        full = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    np.testing.assert_allclose(files.read(path)[0], full, atol=1e-5)


def test_flac_in_ogg(tmp_path):
    path = encoded(tmp_path / "in.ogg", "flac", "ogg", "s16")
    wave, about = files.read(path)
    assert (about.subtype, about.frames) == ("PCM_16", 50_000)
    assert np.abs(wave - WAVE).max() <= 2**-16


def test_broadcast_wave_of_64_bits(tmp_path):
    path = tmp_path / "in.wav"
    soundfile.write(path, WAVE.T, RATE, "PCM_16", format="RF64")
    content = path.read_bytes()
    expected = files.read(path)[0]
    path.write_bytes(b"BW64" + content[4:])
    np.testing.assert_array_equal(files.read(path)[0], expected)


def crc(content, bits, polynomial):
    """Return the checksum of FLAC."""
    value = 0
    for byte in content:
        value ^= byte << (bits - 8)
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> (bits - 1) & 1 else 0)
            value &= (1 << bits) - 1
    return value.to_bytes(bits // 8, "big")


def flac(values, bits):
    """Return a FLAC file of one channel in one frame without compression."""
    count = len(values)
    size = count.to_bytes(2, "big")
    about = RATE << 44 | (bits - 1) << 36 | count
    header = size + size + bytes(6) + about.to_bytes(8, "big") + bytes(16)
    frame = b"\xff\xf8\x70\x00\x00" + (count - 1).to_bytes(2, "big")
    frame += crc(frame, 8, 0x07) + b"\x02"
    text = "".join(f"{value & (1 << bits) - 1:0{bits}b}" for value in values)
    text += "0" * (-len(text) % 8)
    frame += int(text, 2).to_bytes(len(text) // 8, "big")
    return b"fLaC\x80\0\0\x22" + header + frame + crc(frame, 16, 0x8005)


@pytest.mark.parametrize("bits", [12, 16, 20, 24])
def test_flac_of_any_bits(tmp_path, bits):
    limit = 1 << (bits - 1)
    values = np.random.default_rng(0).integers(-limit, limit, 4000)
    (tmp_path / "in.flac").write_bytes(flac(values.tolist(), bits))
    wave, about = files.read(tmp_path / "in.flac")
    assert about.subtype == ("PCM_16" if bits <= 16 else "PCM_24")
    np.testing.assert_array_equal(wave, values[None] / np.float32(limit))


@pytest.mark.parametrize(("name", "codec", "kind"), [("in.wv", "wavpack", "wv")])
def test_what_follows_the_music_is_ignored(tmp_path, name, codec, kind):
    path = encoded(tmp_path / name, codec, kind, "s16p")
    expected = files.read(path)[0]
    with path.open("ab") as file:
        file.write(b"more that does not belong here" * 20)
    np.testing.assert_array_equal(files.read(path)[0], expected)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match="truncated"):
        files.read(path)


def test_a_container_without_samples_is_an_error(tmp_path):
    for name, kind, codec in (("a.mka", "matroska", "aac"), ("a.m4a", "mp4", "aac")):
        with av.open(str(tmp_path / name), "w", format=kind) as container:
            container.add_stream(codec, rate=RATE, layout="mono")
            container.start_encoding()
        with pytest.raises(AudioError, match=name):
            files.info(tmp_path / name)


@pytest.mark.parametrize("name", KINDS)
def test_mutated_media_files_are_read_or_refused_in_a_sentence(encode, name):
    rng, path = np.random.default_rng(0), encode(name)
    whole = path.read_bytes()
    for trial in range(12):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), 1 + 4 * trial):
            content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            files.read(path)
        except AudioError as error:
            assert str(path) in str(error)


def test_more_channels_than_ffmpeg_has_planes(tmp_path):
    wave = np.linspace(-1, 1, 34 * 1000, dtype=np.float32).reshape(1000, 34)
    soundfile.write(tmp_path / "many.wav", wave, RATE, subtype="FLOAT")
    about = media.media_info(tmp_path / "many.wav")
    assert (about.channels, about.frames) == (34, 1000)
    np.testing.assert_array_equal(np.concatenate([*media.media_blocks(about, 300)], axis=1), wave.T)
