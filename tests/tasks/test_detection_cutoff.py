import dataclasses
import pickle

import numpy as np
import pytest
import soxr
import torch
from audio_signals import (
    CONDITIONS,
    LOW_PASSES,
    RATE,
    by_fft,
    by_resampling,
    dithered,
    hissing,
    limited,
    noise,
    quantized,
    tone,
)

from a2sb_core.errors import AudioError
from a2sb_core.interfaces import Recording
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.detection import cutoff as bandwidth
from a2sb_tasks.detection.cutoff import CutoffDetector

EDGES_HZ = (3000, 4000, 6000, 8000, 11000, 12000, 16000)


def detect_cutoff(blocks, rate=RATE):
    detector = CutoffDetector(rate)
    for block in blocks:
        detector.push(block)
    return detector.estimate()


def cutoff_of(wave, rate=RATE):
    return detect_cutoff([np.asarray(wave, dtype=np.float32)], rate)


def is_near(found, edge_hz):
    return found.cutoff_hz is not None and 0.97 * edge_hz <= found.cutoff_hz <= 1.01 * edge_hz


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["white", "pink", "music"])
@pytest.mark.parametrize("edge_hz", EDGES_HZ)
@pytest.mark.parametrize("low_pass", LOW_PASSES)
def test_the_edge_is_found(low_pass, edge_hz, kind, condition):
    found = cutoff_of(CONDITIONS[condition](limited(low_pass, edge_hz, kind)))
    assert is_near(found, edge_hz), found.reason
    assert found.drop_db >= 20
    assert f"energy ends at {found.cutoff_hz:.0f} Hz" in found.reason


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("kind", ["white", "pink", "music"])
@pytest.mark.parametrize("edge_hz", [None, 19000, 20500])
def test_a_full_band_is_left_alone(edge_hz, kind, condition):
    wave = noise(kind) if edge_hz is None else limited("fft", edge_hz, kind)
    found = cutoff_of(CONDITIONS[condition](wave))
    assert found.cutoff_hz is None
    assert "nothing to extend" in found.reason


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 48000, 96000, 192000])
@pytest.mark.parametrize("source_rate", [None, 44100])
def test_a_file_full_to_its_own_nyquist_is_full(rate, source_rate):
    wave = noise("white", 2.0, source_rate or rate)
    if source_rate:
        wave = soxr.resample(wave.T, source_rate, rate, quality="VHQ").T
    assert cutoff_of(wave, rate).cutoff_hz is None


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000])
def test_a_low_rate_shows_as_cutoff_at_a_higher_one(rate):
    found = cutoff_of(by_resampling(noise("music"), rate // 2))
    assert is_near(found, rate / 2)


@pytest.mark.parametrize(("rate", "edge_hz"), [(8000, 3400), (22050, 8000), (192000, 16000)])
def test_an_edge_is_found_at_other_rates(rate, edge_hz):
    assert is_near(cutoff_of(limited("fft", edge_hz, "music", 2.0, rate), rate), edge_hz)


def rolled_off(db_per_octave):
    spectrum = np.fft.rfft(noise("white"))
    freqs_hz = np.maximum(np.fft.rfftfreq(noise("white").shape[1], 1 / RATE), 1.0)
    spectrum *= np.minimum(1.0, (freqs_hz / 3000) ** (-db_per_octave / 6.02))
    wave = np.fft.irfft(spectrum)
    return 0.5 * wave / np.abs(wave).max()


@pytest.mark.parametrize("finish", [quantized, dithered, hissing])
@pytest.mark.parametrize("db_per_octave", [12, 24, 48])
def test_a_gradual_roll_off_is_no_edge(db_per_octave, finish):
    found = cutoff_of(finish(rolled_off(db_per_octave)))
    assert found.cutoff_hz is None
    assert found.drop_db < 20


def melody(partials):
    """Three voices of plain harmonics, a new note each quarter of a second."""
    time_s = np.arange(3 * RATE) / RATE
    step = np.exp2(np.floor(4 * time_s) % 12 / 12)
    voices = [
        np.sin(2 * np.pi * f * step * k * time_s) / k
        for f in (220, 277)
        for k in range(1, partials)
    ]
    return 0.1 * np.sum(voices, axis=0)[None]


@pytest.mark.parametrize("finish", [np.asarray, dithered, hissing])
@pytest.mark.parametrize(
    "wave",
    [
        tone(440, 0.5, 3 * RATE)[None],
        tone(5000, 0.5, 3 * RATE)[None],
        sum(tone(330 * k, 0.2 / k, 3 * RATE) for k in range(1, 25))[None],
        melody(12),
    ],
    ids=["440 Hz", "5 kHz", "one note", "melody"],
)
def test_sparse_tones_are_no_edge(wave, finish):
    found = cutoff_of(finish(wave))
    assert found.cutoff_hz is None
    assert "no sharp edge" in found.reason or "nothing to extend" in found.reason


def with_hats(wave, every_s):
    """Short bursts over the whole band, at a tenth of the amplitude."""
    mixed = wave.copy()
    burst = 0.1 * noise("white", 0.05)
    for start in range(RATE, wave.shape[1] - RATE, round(every_s * RATE)):
        mixed[:, start : start + burst.shape[1]] += burst
    return mixed


def test_rare_energy_above_counts():
    wave = limited("fft", 8000, "music", 20.0)
    assert is_near(cutoff_of(wave), 8000)
    assert cutoff_of(with_hats(wave, 2.0)).cutoff_hz is None


def test_a_click_a_line_tone_an_offset_and_holes_do_not_count():
    wave = limited("fft", 8000, "music", 8.0)
    click = wave.copy()
    click[:, 100_000] += 0.8
    holes = wave.copy()
    nan = wave.astype(np.float32)
    for start in range(RATE, 8 * RATE, RATE):
        holes[:, start : start + 3000] = 0
        nan[:, start : start + 3000] = np.nan
    line_tone = wave + tone(15_734, 0.02, wave.shape[1])
    for changed in (click, line_tone, wave + 0.3, holes, nan):
        assert is_near(cutoff_of(changed), 8000)


def test_one_full_channel_makes_a_full_file():
    stereo = np.concatenate([limited("fft", 8000, "pink"), noise("pink")])
    assert cutoff_of(stereo).cutoff_hz is None
    assert is_near(cutoff_of(stereo[:1]), 8000)


@pytest.mark.parametrize(
    ("edges_hz", "words"),
    [
        ((4000, None), ["left channel alone ends at 4"]),
        ((None, 8000), ["right channel alone ends at 8"]),
        ((4000, 12_000), ["left channel alone ends at 4"]),
        ((8000, 8000), []),
        ((None, None), []),
    ],
)
def test_a_channel_that_is_narrower_is_told(edges_hz, words):
    pair = noise("pink", channels=2)
    wave = np.concatenate(
        [
            one if edge is None else by_fft(one, edge)
            for one, edge in zip(pair[:, None], edges_hz, strict=True)
        ]
    )
    notes = []
    recording = Recording.of(torch.from_numpy(wave).float(), RATE)
    Bandwidth.Config().build().inspect(dataclasses.replace(recording, note=notes.append))
    assert len(notes) == 1 + len(words)
    assert all(word in note for word, note in zip(words, notes[1:], strict=True))


def test_the_level_of_the_file_does_not_matter():
    wave = limited("fft", 8000)
    assert cutoff_of(wave * 1e-3).cutoff_hz == pytest.approx(cutoff_of(wave).cutoff_hz, rel=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 5000])
def test_too_short(samples):
    found = cutoff_of(np.ones((2, samples)))
    assert found.cutoff_hz is None
    assert "too short" in found.reason


@pytest.mark.parametrize("level", [0.0, 1e-8])
def test_silence(level):
    found = cutoff_of(level * noise("white"))
    assert found.cutoff_hz is None
    assert "silent" in found.reason


def test_blocks_tensors_and_arrays_agree():
    wave = limited("resampled", 8000, "pink", 3.0, RATE, 2).astype(np.float32)
    whole = detect_cutoff([wave])
    pieces = np.split(wave, [1, 2, 5000, 5001, 90_000], axis=1)
    for other in (
        detect_cutoff(pieces),
        detect_cutoff([torch.from_numpy(wave)]),
        detect_cutoff([torch.from_numpy(piece) for piece in pieces]),
    ):
        assert other.cutoff_hz == whole.cutoff_hz
        np.testing.assert_array_equal(other.level_db, whole.level_db)


def test_the_profile_shows_the_level_per_hertz():
    rms = 0.1
    wave = rms * np.random.default_rng(0).standard_normal((1, 5 * RATE))
    found = cutoff_of(wave)
    assert found.freqs_hz.shape == found.level_db.shape
    assert found.freqs_hz[0] == 0
    assert found.freqs_hz[-1] == pytest.approx(RATE / 2)
    # White noise spreads its power over the band; the loudest frames reach some 5 dB more.
    mean_db = 20 * np.log10(rms) - 10 * np.log10(RATE / 2)
    assert mean_db + 2 < np.median(found.level_db) < mean_db + 8


def test_a_long_recording_takes_no_more_memory_and_all_of_it_counts(monkeypatch):
    monkeypatch.setattr(bandwidth, "MAX_FRAMES", 30)
    dull, full = (wave.astype(np.float32) for wave in (limited("fft", 8000), noise("white")))
    for bright in (None, 0, 4, 9):
        detector, sizes = CutoffDetector(RATE), []
        for k in range(10):
            detector.push(full if k == bright else dull)
            sizes.append(len(pickle.dumps(detector)))
        assert max(sizes) < 2.2 * sizes[4]
        found = detector.estimate()
        assert is_near(found, 8000) if bright is None else found.cutoff_hz is None


def test_what_can_not_be_judged_is_refused():
    with pytest.raises(AudioError, match=r"\(channels, samples\)"):
        detect_cutoff([np.zeros(1000, dtype=np.float32)])
    with pytest.raises(AudioError, match="floating-point"):
        detect_cutoff([np.zeros((1, 1000), dtype=np.int16)])
    with pytest.raises(AudioError, match="sample rate"):
        detect_cutoff([], 0)
    with pytest.raises(AudioError, match="2 channels follows one of 1"):
        detect_cutoff([np.zeros((1, 10)), np.zeros((2, 10))])


def test_a_brick_wall_with_gentle_tones_above_ends_at_the_wall():
    """An FM pilot tone."""
    wave = by_fft(noise("pink"), 15_000)
    assert is_near(cutoff_of(wave + tone(19_000, 0.01, wave.shape[1])), 15_000)
