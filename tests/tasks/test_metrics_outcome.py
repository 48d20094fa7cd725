"""Metrics that look at a part of a recording, at the waveform, or at a model's output."""

import math
import sys

import numpy as np
import pytest
import torch
from task_helpers import music, white

from a2sb_core.errors import ConfigError
from a2sb_core.interfaces import A2SBError, Outcome
from a2sb_tasks.metrics.midi import read_midi
from a2sb_tasks.metrics.mos_fit import MOSFit
from a2sb_tasks.metrics.notes import NoteF1
from a2sb_tasks.metrics.phase import PhaseResidual
from a2sb_tasks.metrics.spectral import LSD, SiSpec
from a2sb_tasks.metrics.visqol import Visqol
from a2sb_tasks.metrics.waveform import SISDR
from a2sb_tasks.representations.factorized import Factorized

RATE = 44100


def judge(metric, truth, estimate, parameters, **fields):
    outcome = Outcome(truth, estimate, RATE, "any", parameters)
    return metric.Config(**fields).build().judge(outcome)


def high(wave, cutoff_hz, gain):
    """Scale everything from the cutoff up."""
    spectrum = torch.fft.rfft(wave.double())
    first = round(cutoff_hz * wave.shape[-1] / RATE)
    spectrum[:, first:] *= gain
    return torch.fft.irfft(spectrum, wave.shape[-1]).to(wave)


def test_si_sdr_by_hand():
    """s = (3, 4), e = (4, 3): a = 24/25, a s = (2.88, 3.84), error (1.12, -0.84)."""
    truth, estimate = torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])
    expected = 10 * math.log10((2.88**2 + 3.84**2) / (1.12**2 + 0.84**2))
    assert SISDR.Config().build().measure(truth, estimate, RATE) == pytest.approx(expected)


def test_si_sdr_of_noise_at_a_level():
    truth = white(40_000)
    noise = white(40_000, seed=1)
    noise -= (noise * truth).sum() / truth.square().sum() * truth
    noise *= truth.norm() / noise.norm()
    value = SISDR.Config().build().measure(truth, -3 * (truth + 0.1 * noise), RATE)
    assert value == pytest.approx(20, abs=1e-3)


def test_si_sdr_sees_phase_and_sispec_hardly():
    truth = music(30_000)
    later = torch.roll(truth, 20, dims=-1)
    assert SISDR.Config().build().measure(truth, later, RATE) < 0
    assert SiSpec.Config().build().measure(truth, later, RATE) > 15


def test_lsd_of_the_missing_rows_only():
    """Half as loud above the cutoff: log10(4) there, and less over all rows."""
    truth = white(60_000)
    estimate = high(truth, 8000, 0.5)
    missing = judge(LSD, truth, estimate, {"cutoff_hz": 8200.0}, region="missing")
    assert missing == pytest.approx(2 * math.log10(2), rel=1e-3)
    share = 1 - 8000 / 22050
    everywhere = judge(LSD, truth, estimate, {"cutoff_hz": 8200.0})
    assert everywhere == pytest.approx(2 * math.log10(2) * math.sqrt(share), rel=0.02)


def test_lsd_of_the_missing_frames_only():
    truth = white(80 * 512)
    start, end = 20 * 512 / RATE, 50 * 512 / RATE
    estimate = truth.clone()
    estimate[:, 16 * 512 : 54 * 512] *= 10  # wide enough for all that the frames touch
    value = judge(LSD, truth, estimate, {"gaps_s": [(start, end)]}, region="missing")
    assert value == pytest.approx(2, abs=1e-3)
    assert judge(LSD, truth, estimate, {"gaps_s": [(start, end)]}) < 1.2


def test_sispec_of_the_missing_rows_is_not_hidden_by_the_lows():
    truth = music(60_000)
    estimate = high(truth, 4000, 0.0) + 1e-4 * white(60_000, seed=2)
    parameters = {"cutoff_hz": 4000.0}
    assert judge(SiSpec, truth, estimate, parameters) > 15
    assert judge(SiSpec, truth, estimate, parameters, region="missing") < 0


def test_si_sdr_of_the_missing_part():
    truth = white(30_000)
    damaged = high(truth, 6000, 0.0)
    parameters = {"cutoff_hz": 6000.0}
    assert judge(SISDR, truth, damaged, parameters, region="missing") < -60
    gapped = truth.clone()
    gapped[:, 4410:8820] += white(4410, seed=3)
    gap = {"gaps_s": [(0.1, 0.2)]}
    assert judge(SISDR, truth, gapped, gap, region="missing") == pytest.approx(0, abs=0.5)
    assert judge(SISDR, truth, gapped, {"gaps_s": [(0.3, 0.4)]}, region="missing") > 99


@pytest.mark.parametrize("metric", [LSD, SiSpec, SISDR])
@pytest.mark.parametrize("parameters", [{}, {"level_db": 3.0}, {"gaps_s": [(5.0, 6.0)]}])
def test_nothing_known_to_be_missing_gives_no_value(metric, parameters):
    truth = music(9000)
    assert judge(metric, truth, truth, parameters, region="missing") is None


def test_a_cutoff_above_the_band_gives_no_value():
    truth = music(9000)
    for metric in (LSD, SiSpec):
        assert judge(metric, truth, truth, {"cutoff_hz": 23_000.0}, region="missing") is None


def test_phase_residual_is_the_mean_of_18():
    """Pairs of norm 1.1 and 0.5: 2 * 0.1^2 and 2 * 0.5^2."""
    z = torch.tensor([[1.0, 1.0], [1.1, 0.3], [0.0, 0.4]])[None, :, :, None]
    residual = Factorized.Config().build().phase_residual(z)
    outcome = Outcome(z, z, RATE, diagnostics={"phase_residual": residual.flatten()})
    assert PhaseResidual.Config().build().judge(outcome) == pytest.approx((0.02 + 0.5) / 2)


def test_phase_residual_of_audio_alone():
    wave = music(900)
    assert PhaseResidual.Config().build().judge(Outcome(wave, wave, RATE)) is None
    with pytest.raises(A2SBError, match="a model's output"):
        PhaseResidual.Config().build().measure(wave, wave, RATE)


@pytest.mark.parametrize(("metric", "package"), [(Visqol, "visqol"), (NoteF1, "basic_pitch")])
def test_a_package_that_is_absent_is_named(metric, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(A2SBError, match="pip install"):
        metric.Config().build().check()


def test_note_f1_counts_pitch_and_onset(monkeypatch):
    pytest.importorskip("mir_eval")
    heard = {}  # by level of the recording

    def notes(*pairs):
        onsets, pitches = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
        return np.stack([onsets, onsets + 0.3], axis=1), pitches

    def hear(self, wave, sample_rate):
        return heard[float(wave.max())]

    monkeypatch.setattr(NoteF1, "notes", hear)

    def f1(truth, estimate):
        heard.update({1.0: notes(*truth), 0.5: notes(*estimate)})
        return NoteF1.Config().build().measure(torch.ones(1, 8), torch.full((1, 8), 0.5), RATE)

    four = [(0.1, 440.0), (0.5, 660.0), (0.9, 880.0), (1.3, 440.0)]
    assert f1(four, four) == 1
    # Three of four: precision 1, recall 3/4.
    assert f1(four, four[:3]) == pytest.approx(6 / 7)
    # One too late, one a semitone off, two right: both are 1/2.
    assert f1(four, [(0.16, 440.0), (0.5, 700.0), *four[2:]]) == pytest.approx(1 / 2)
    assert f1(four, [(0.14, 445.0), *four[1:]]) == 1
    assert [f1([], []), f1(four, []), f1([], four)] == [1, 0, 0]


def test_note_f1_against_a_midi_file(tmp_path, monkeypatch):
    """An excerpt from 2 s of a file whose tempo doubles at 1 s: two notes of it are heard."""
    pytest.importorskip("mir_eval")
    mido = pytest.importorskip("mido")
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=0))  # a beat is 480 ticks
    track.append(mido.Message("note_on", note=60, time=0))
    track.append(mido.Message("note_on", note=60, velocity=0, time=480))
    track.append(mido.MetaMessage("set_tempo", tempo=500_000, time=0))
    track.append(mido.Message("note_on", note=69, time=2 * 480))
    track.append(mido.Message("note_off", note=69, time=480))
    track.append(mido.Message("note_on", note=40, channel=9, time=0))
    track.append(mido.Message("note_on", note=81, time=240))
    path = tmp_path / "piece.mid"
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(path)
    intervals, pitches = read_midi(path)
    np.testing.assert_allclose(intervals, [(0, 1), (2, 2.5), (2.75, 2.751)])
    np.testing.assert_allclose(pitches, [261.6256, 440, 880], rtol=1e-6)
    heard = (np.array([[0.02, 0.4], [0.76, 0.9], [0.9, 1.0]]), np.array([440.0, 880.0, 500.0]))
    monkeypatch.setattr(NoteF1, "notes", lambda self, wave, sample_rate: heard)
    metric = NoteF1.Config(truth="midi").build()
    wave, columns = torch.zeros(1, RATE), {"midi_path": str(path), "midi_start": "2.0"}
    f1 = metric.judge(Outcome(wave, wave, RATE, columns=columns))
    assert f1 == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    with pytest.raises(A2SBError, match="column midi_path"):
        metric.judge(Outcome(wave, wave, RATE))
    with pytest.raises(A2SBError, match="number of seconds, got `soon`"):
        metric.judge(Outcome(wave, wave, RATE, columns={**columns, "midi_start": "soon"}))
    path.write_bytes(b"MThd, but not for long")
    with pytest.raises(A2SBError, match=r"piece\.mid cannot be read as a MIDI file"):
        read_midi(path)


def melody(*onsets_s, hz=(440.0, 523.25, 659.26, 783.99)):
    """Notes of 0.4 s that ring off."""
    time = torch.arange(3 * RATE) / RATE
    wave = torch.zeros_like(time)
    for onset_s, pitch in zip(onsets_s, hz, strict=False):
        since = (time - onset_s).clamp(min=0)
        rings = (since > 0) & (since < 0.4)
        note = sum(torch.sin(2 * math.pi * k * pitch * since) / k for k in (1, 2, 3))
        wave += 0.2 * rings * note * torch.exp(-4 * since)
    return wave[None]


@pytest.mark.slow
def test_note_f1_counts_notes():
    pytest.importorskip("basic_pitch")
    metric = NoteF1.Config().build()
    metric.check()
    truth = melody(0.2, 0.8, 1.4, 2.0)
    assert metric.measure(truth, truth, RATE) == 1
    missing = metric.measure(truth, melody(0.2, 0.8, 1.4), RATE)
    late = metric.measure(truth, melody(0.2, 0.8, 1.6, 2.2), RATE)
    assert 0 < late < missing < 1
    assert metric.measure(truth, 0 * truth, RATE) == 0
    assert metric.measure(0 * truth, 0 * truth, RATE) == 1


@pytest.mark.slow
def test_visqol_orders_damage():
    pytest.importorskip("visqol")
    truth = music(3 * RATE)
    metric = Visqol.Config().build()
    metric.check()
    values = [metric.measure(truth, high(truth, hz, 0.0), RATE) for hz in (1000, 6000)]
    equal = metric.measure(truth, truth, RATE)
    assert 1 <= values[0] < values[1] <= equal
    assert equal == pytest.approx(4.732, abs=0.01)
    assert np.isfinite(values).all()


def test_mos_fit_is_the_sum_of_its_terms():
    truth = music(900)
    estimate = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    lsd, sispec = (
        metric.Config().build().measure(truth, estimate, RATE) for metric in (LSD, SiSpec)
    )
    fit = MOSFit.Config(intercept=4.0, lsd=-0.5, sispec=0.02).build()
    fit.check()  # without ViSQOL, no package is needed
    assert fit.measure(truth, estimate, RATE) == pytest.approx(4 - 0.5 * lsd + 0.02 * sispec)
    with pytest.raises(ConfigError, match="at least one"):
        MOSFit.Config(intercept=3.0)
