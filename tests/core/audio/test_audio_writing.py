import os
import time

import numpy as np
import pytest
import soundfile
import torch
from audio_signals import listing, random_wave
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from a2sb_core.audio import files
from a2sb_core.audio.files import AudioWriter
from a2sb_core.audio.formats import TAGS
from a2sb_core.audio.writing import to_depth
from a2sb_core.errors import AudioError

RATE = 44100
BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
INTEGER_FILES = [
    ("wav", "PCM_U8"), ("wav", "PCM_16"), ("wav", "PCM_24"), ("flac", "PCM_S8"),
    ("flac", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_S8"), ("aiff", "PCM_16"),
    ("aiff", "PCM_24"), ("w64", "PCM_16"), ("w64", "PCM_24"), ("rf64", "PCM_16"),
    ("rf64", "PCM_24"),
]  # fmt: skip
FLOAT_FILES = [("wav", "FLOAT"), ("aiff", "FLOAT"), ("w64", "FLOAT"), ("rf64", "FLOAT")]


def raw(path):
    return soundfile.read(path, dtype="int32", always_2d=True)[0]


@pytest.mark.parametrize(("suffix", "subtype"), INTEGER_FILES)
def test_untouched_integers_stay_the_same(tmp_path, suffix, subtype):
    bits = BITS[subtype]
    limit = 1 << (bits - 1)
    values = np.random.default_rng(0).integers(-limit, limit, (2, 5000))
    values[:, :4] = [-limit, limit - 1, 0, -1]
    source, target = tmp_path / f"source.{suffix}", tmp_path / f"target.{suffix}"
    soundfile.write(source, (values << (32 - bits)).astype(np.int32).T, RATE, subtype)
    wave, about = files.read(source)
    files.write(target, wave, about.sample_rate, like=about)
    np.testing.assert_array_equal(raw(target), raw(source))
    assert files.info(target).subtype == subtype


@pytest.mark.parametrize(("suffix", "subtype"), FLOAT_FILES)
@pytest.mark.parametrize("clip_mode", ["clamp", "rescale", "none"])
def test_float_is_written_bit_for_bit(tmp_path, suffix, subtype, clip_mode):
    wave = random_wave(peak=3.0)
    wave[:, 0] = [1e-30, -0.0]
    path = tmp_path / f"out.{suffix}"
    files.write(path, wave, RATE, subtype=subtype, clip_mode=clip_mode)
    back, about = files.read(path)
    np.testing.assert_array_equal(back.view(np.int32), wave.view(np.int32))
    assert about.subtype == subtype


@pytest.mark.parametrize(("suffix", "subtype"), FLOAT_FILES)
def test_the_same_samples_give_the_same_bytes_at_any_time(tmp_path, suffix, subtype):
    wave = random_wave(2, 5000)
    paths = [tmp_path / f"{name}.{suffix}" for name in ("a", "b")]
    for path, pause_s in zip(paths, (1.1, 0), strict=True):
        files.write(path, wave, RATE, subtype=subtype)
        time.sleep(pause_s)  # time stamps in files count seconds
    first, second = (path.read_bytes() for path in paths)
    assert first == second


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    hnp.arrays(np.float32, (1, 20), elements=st.floats(-1.5, 1.5, width=32)),
    st.sampled_from([*BITS, "PCM_32"]),
)
def test_rounding_is_to_the_nearest_integer(wave, subtype):
    bits = BITS.get(subtype, 32)
    scale = 2.0 ** (bits - 1)
    written = to_depth(wave, subtype).astype(np.float64)
    levels = written if bits == 16 else written / 2.0 ** (32 - bits)
    exact = np.clip(wave.astype(np.float64) * scale, -scale, scale - 1)
    assert np.abs(levels - exact).max() <= 0.5
    assert levels.min() >= -scale
    assert levels.max() <= scale - 1


@pytest.mark.parametrize(
    ("like", "suffix", "expected"),
    [
        ("PCM_16", "flac", "PCM_16"), ("PCM_24", "flac", "PCM_24"), ("PCM_32", "flac", "PCM_24"),
        ("FLOAT", "flac", "PCM_24"), ("PCM_U8", "flac", "PCM_S8"), ("PCM_S8", "wav", "PCM_U8"),
        ("DOUBLE", "wav", "DOUBLE"), ("PCM_16", "ogg", "VORBIS"),
        ("PCM_16", "mp3", "MPEG_LAYER_III"), ("VORBIS", "ogg", "VORBIS"),
        ("VORBIS", "flac", "PCM_24"), ("VORBIS", "wav", "FLOAT"), ("ULAW", "wav", "PCM_16"),
        ("MPEG_LAYER_III", "wav", "FLOAT"), ("MS_ADPCM", "wav", "PCM_16"),
        ("ALAC_16", "flac", "PCM_16"), ("OPUS", "mp3", "MPEG_LAYER_III"),
    ],
)  # fmt: skip
def test_the_depth_is_kept_where_the_format_holds_it(tmp_path, like, suffix, expected):
    about = files.AudioInfo(tmp_path / "x", RATE, 2, 3000, like, "?", {})
    path = tmp_path / f"out.{suffix}"
    files.write(path, random_wave(), RATE, like=about)
    assert files.info(path).subtype == expected


def test_a_depth_can_be_asked_for(tmp_path):
    about = files.AudioInfo(tmp_path / "x", RATE, 2, 3000, "PCM_16", "WAV", {})
    files.write(tmp_path / "a.wav", random_wave(), RATE, like=about, subtype="pcm_24")
    assert files.info(tmp_path / "a.wav").subtype == "PCM_24"
    with pytest.raises(AudioError, match=r"FLAC .*`FLOAT`.*PCM_16, PCM_24"):
        files.write(tmp_path / "a.flac", random_wave(), RATE, subtype="FLOAT")
    files.write(tmp_path / "b.wav", random_wave(), RATE)
    assert files.info(tmp_path / "b.wav").subtype == "FLOAT"


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "w64", "rf64", "mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_comes_back(tmp_path, suffix, channels):
    time_s = np.arange(RATE) / RATE
    wave = np.stack([0.5 * np.sin(2 * np.pi * f * time_s) for f in (440, 1000)][:channels])
    path = tmp_path / f"out.{suffix.upper()}"
    files.write(path, wave, RATE)
    back, about = files.read(path)
    assert back.shape == wave.shape
    assert back.dtype == np.float32
    assert (about.sample_rate, about.channels, about.frames) == (RATE, channels, RATE)
    assert about.duration_s == 1.0
    assert np.abs(back - wave)[:, 2000:-2000].max() < (0.05 if suffix in ("ogg", "mp3") else 1e-6)


TAG_TEXTS = {name: f"{name} Größe 日本 é" for name in TAGS} | {
    "date": "1999",
    "tracknumber": "7",
    "copyright": "1999 A. N. Other",  # AIFF holds it as ASCII only
}


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        ("wav", {"license"}), ("rf64", {"license"}), ("flac", set()), ("ogg", set()),
        ("mp3", {"license"}), ("w64", set(TAGS)),
        ("aiff", {"album", "date", "genre", "tracknumber", "license"}),
    ],
)  # fmt: skip
def test_tags_are_copied(tmp_path, suffix, lost):
    source = tmp_path / "source.flac"
    files.write(source, random_wave(), RATE, tags=TAG_TEXTS)
    target = tmp_path / f"target.{suffix}"
    files.write(target, random_wave(), RATE, like=files.info(source))
    expected = {name: text for name, text in TAG_TEXTS.items() if name not in lost}
    assert files.info(target).tags == expected
    assert files.read(target)[0].shape == (2, 3000)


def test_tags_can_be_given_or_left_out(tmp_path):
    about = files.AudioInfo(tmp_path / "x", RATE, 2, 3000, "PCM_16", "WAV", {"title": "old"})
    for name, tags, expected in (
        ("a", {"title": "new"}, {"title": "new"}),
        ("b", {}, {}),
        ("c", None, {"title": "old"}),
    ):
        path = tmp_path / f"{name}.flac"
        files.write(path, random_wave(), RATE, like=about, tags=tags)
        assert files.info(path).tags == expected
    with pytest.raises(AudioError, match="unknown tags mood"):
        files.write(tmp_path / "d.flac", random_wave(), RATE, tags={"mood": "sad"})


def in_two_blocks(path, wave, **options):
    with AudioWriter(path, RATE, wave.shape[0], **options) as writer:
        writer.write(wave[:, :1000])
        writer.write(torch.from_numpy(wave[:, 1000:]))


def reduced(folder, wave, name="out.wav", depth="PCM_16", like="PCM_24", parts=1):
    about = files.AudioInfo(folder / "x", RATE, len(wave), wave.shape[1], like, "WAV", {})
    with AudioWriter(folder / name, RATE, len(wave), like=about, subtype=depth) as writer:
        for part in np.array_split(wave, parts, axis=1):
            writer.write(part)
    return files.read(folder / name)[0]


def test_fewer_bits_are_dithered(tmp_path):
    """A tone of a quarter of a bit survives, and the noise is that of triangular dither."""
    tone = np.sin(2 * np.pi * 441 * np.arange(4 * RATE) / RATE)
    wave = (tone * 0.25 / 32768)[None].astype(np.float32)
    back = reduced(tmp_path, wave)
    amplitude = 2 * np.mean(back[0] * tone) * 32768
    assert amplitude == pytest.approx(0.25, rel=0.05)
    noise = (back - wave) * 32768
    # Triangular dither (1/6 of a squared bit) and rounding (1/12) make a quarter.
    assert np.var(noise) == pytest.approx(0.25, rel=0.05)
    assert np.abs(noise).max() <= 1.5
    np.testing.assert_array_equal(reduced(tmp_path, wave, "parts.wav", parts=7), back)


@pytest.mark.parametrize(
    ("like", "depth", "is_dithered"),
    [
        ("PCM_24", "PCM_16", True),
        ("FLOAT", "PCM_16", True),
        ("VORBIS", "PCM_16", True),
        ("PCM_16", "PCM_U8", True),
        ("PCM_16", "PCM_16", False),
        ("ALAC_16", "PCM_16", False),
        ("ULAW", "PCM_16", False),
        ("FLOAT", "PCM_24", False),
        ("PCM_16", "PCM_24", False),
    ],
)
def test_dither_is_for_bits_that_are_lost(tmp_path, like, depth, is_dithered):
    wave = np.full((1, 5000), 64 / 32768 if depth == "PCM_16" else 0.5, dtype=np.float32)
    wave[:, :100] = 0
    back = reduced(tmp_path, wave, depth=depth, like=like)
    assert (len(np.unique(back[0, 100:])) > 1) == is_dithered
    assert not back[0, :100].any()  # silence stays silent


@pytest.mark.parametrize(
    ("suffix", "subtype", "mode", "said"),
    [
        ("wav", "PCM_16", "clamp", "6.02 dB and was limited"),
        ("wav", "PCM_16", "none", "6.02 dB and was limited"),
        ("wav", "PCM_24", "rescale", "lowered by 6.02 dB"),
        ("ogg", "VORBIS", "none", "6.02 dB and was not changed"),
        ("wav", "FLOAT", "clamp", None),
    ],
)
def test_it_is_told_what_was_done_above_full_scale(tmp_path, suffix, subtype, mode, said):
    for peak, expected in ((2.0, said), (1.0, None)):
        wave = np.array([[0.0, peak, -0.5] * 1000], dtype=np.float32)
        path = tmp_path / f"{peak}.{suffix}"
        with AudioWriter(path, RATE, 1, subtype=subtype, clip_mode=mode) as writer:
            writer.write(wave)
        assert writer.clip_note is None if expected is None else expected in writer.clip_note


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize(
    "write_all", [in_two_blocks, lambda p, w, **o: files.write(p, w, RATE, **o)]
)
def test_clip_modes_of_integers(tmp_path, suffix, write_all):
    wave = random_wave(peak=2.0)
    peak = np.abs(wave).max()
    results = {}
    for mode in ("clamp", "rescale", "none"):
        path = tmp_path / f"{mode}.{suffix}"
        write_all(path, wave, subtype="PCM_24", clip_mode=mode)
        results[mode] = files.read(path)[0]
    np.testing.assert_allclose(results["clamp"], wave.clip(-1, 1), atol=2**-22)
    np.testing.assert_allclose(results["rescale"], wave / peak, atol=2**-22)
    np.testing.assert_array_equal(results["none"], results["clamp"])
    assert listing(tmp_path) == sorted(f"{mode}.{suffix}" for mode in results)


def test_nothing_is_rescaled_below_full_scale(tmp_path):
    wave = random_wave(peak=0.5)
    in_two_blocks(tmp_path / "out.wav", wave, subtype="PCM_32", clip_mode="rescale")
    np.testing.assert_allclose(files.read(tmp_path / "out.wav")[0], wave, atol=2**-30)


def test_a_lossy_format_is_clamped_unless_told_otherwise(tmp_path):
    time_s = np.arange(RATE) / RATE
    wave = (1.5 * np.sin(2 * np.pi * 300 * time_s))[None]
    peaks = {}
    for mode in ("clamp", "rescale", "none"):
        files.write(tmp_path / f"{mode}.ogg", wave, RATE, clip_mode=mode)
        peaks[mode] = np.abs(files.read(tmp_path / f"{mode}.ogg")[0]).max()
    assert peaks["none"] > 1.4
    assert max(peaks["clamp"], peaks["rescale"]) < 1.25


def test_an_unknown_clip_mode_is_refused(tmp_path):
    with pytest.raises(AudioError, match="clamp, rescale, none"):
        files.write(tmp_path / "out.wav", random_wave(), RATE, clip_mode="limit")


def test_a_new_file_has_the_rights_of_new_files(tmp_path):
    files.write(tmp_path / "out.wav", random_wave(), RATE)
    (tmp_path / "plain").touch()
    assert os.stat(tmp_path / "out.wav").st_mode == os.stat(tmp_path / "plain").st_mode


def test_extensible_wav_stays_so(tmp_path):
    wave = random_wave(6)
    soundfile.write(tmp_path / "in.wav", wave.T, RATE, "PCM_24", format="WAVEX")
    about = files.info(tmp_path / "in.wav")
    files.write(tmp_path / "out.wav", wave, RATE, like=about)
    assert (files.info(tmp_path / "out.wav").format, about.channels) == ("WAVEX", 6)


def test_an_mp3_starts_with_its_tag(tmp_path):
    files.write(tmp_path / "out.mp3", random_wave(1, RATE), RATE, tags={"title": "é"})
    assert (tmp_path / "out.mp3").read_bytes()[:4] == b"ID3\x04"
    assert files.read(tmp_path / "out.mp3")[0].shape == (1, RATE)
