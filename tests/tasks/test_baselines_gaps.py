import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import snr_db, white

from a2sb_core.interfaces import TaskError
from a2sb_tasks.baselines.autoregressive import Autoregressive, burg, extrapolate, interpolate
from a2sb_tasks.baselines.gaps import gap_samples
from a2sb_tasks.baselines.passages import PassageFiller
from a2sb_tasks.baselines.silence import Silence
from a2sb_tasks.baselines.sparse import Sparse, keep_largest

RATE = 8000
GAP_S = (0.5, 0.6)
QUICK = {
    "autoregressive": {"order": 128, "context": 2048},
    "sparse": {"rounds": 60},
    "similar_passage": {},
}
BUILDS = {"autoregressive": Autoregressive, "sparse": Sparse, "similar_passage": PassageFiller}


def tones(length=RATE, channels=1, seed=0):
    """Sinusoids that begin before the audio and go on after it."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / RATE
    wave = sum(
        rng.uniform(0.05, 0.2, (channels, 1)) * np.sin(2 * np.pi * hz * time + rng.uniform(0, 6))
        for hz in (110.3, 443.1, 661.7, 1204.2, 2930.9)
    )
    return torch.from_numpy(wave).float()


def build(name):
    return BUILDS[name].Config(**QUICK[name]).build()


def restore(name, wave, *gaps_s):
    damaged = wave.clone()
    for start, stop in gap_samples(gaps_s, RATE, wave.shape[-1]):
        damaged[:, start:stop] = 0
    return damaged, build(name).restore_audio(damaged, RATE, "inpaint", {"gaps_s": gaps_s})


def inside(wave, gap_s=GAP_S):
    return wave[:, round(gap_s[0] * RATE) : round(gap_s[1] * RATE)]


@pytest.mark.parametrize(("name", "least_db"), [("autoregressive", 40), ("sparse", 20)])
def test_tones_go_through_a_gap(name, least_db):
    wave = tones()
    _, restored = restore(name, wave, GAP_S)
    assert snr_db(inside(wave), inside(restored)) > least_db


@pytest.mark.parametrize("name", list(QUICK))
def test_what_is_known_stays_to_the_bit(name):
    wave = tones(channels=2) + 0.1 * white(RATE, 2)
    damaged, restored = restore(name, wave, GAP_S, (0.7, 0.72))
    known = torch.ones(RATE, dtype=torch.bool)
    for start, stop in gap_samples((GAP_S, (0.7, 0.72)), RATE, RATE):
        known[start:stop] = False
    assert torch.equal(restored[:, known], damaged[:, known])
    assert (restored[:, ~known] != 0).float().mean() > 0.99
    assert damaged[:, ~known].abs().max() == 0  # the input is not written to
    assert restored.dtype == wave.dtype


@pytest.mark.parametrize("name", ["autoregressive", "sparse"])
def test_channels_are_restored_by_themselves(name):
    wave = torch.cat([tones(), tones(seed=1)])
    _, both = restore(name, wave, GAP_S)
    _, second = restore(name, wave[1:], GAP_S)
    assert torch.allclose(both[1:], second)


@pytest.mark.parametrize("name", list(QUICK))
def test_the_level_scales_and_noise_does_not_explode(name):
    wave = white(RATE)
    _, restored = restore(name, wave, GAP_S)
    _, louder = restore(name, 4 * wave, GAP_S)
    assert snr_db(4 * restored, louder) > 60
    assert inside(restored).square().mean() < 2 * wave.square().mean()


@pytest.mark.parametrize("name", ["autoregressive", "sparse"])
def test_two_gaps_that_see_each_other(name):
    wave, gaps_s = tones(), ((0.4, 0.44), (0.5, 0.54))
    _, restored = restore(name, wave, *gaps_s)
    for gap_s in gaps_s:
        assert snr_db(inside(wave, gap_s), inside(restored, gap_s)) > 12


@pytest.mark.parametrize("name", list(QUICK))
@pytest.mark.parametrize("gap_s", [(0.0, 0.02), (0.98, 1.0), (0.0, 1.0), (0.001, 0.9995)])
def test_gaps_at_the_ends(name, gap_s):
    wave = tones()
    _, restored = restore(name, wave, gap_s)
    assert restored.shape == wave.shape
    assert torch.isfinite(restored).all()
    assert inside(restored, gap_s).abs().max() < 2


def test_music_that_repeats_is_filled_with_what_was_there():
    wave = (0.1 * white(RATE // 2, 2)).repeat(1, 8)
    _, restored = restore("similar_passage", wave, (0.7, 0.9))
    assert snr_db(wave[:, 6000:6800], restored[:, 6000:6800]) > 30


def test_autoregressive_continues_tones_at_an_end():
    wave = tones()
    for gap_s in ((0.0, 0.02), (0.98, 1.0)):
        _, restored = restore("autoregressive", wave, gap_s)
        assert snr_db(inside(wave, gap_s), inside(restored, gap_s)) > 20


@pytest.mark.parametrize("name", list(QUICK))
def test_silence_stays_silent(name):
    _, restored = restore(name, torch.zeros(1, RATE), GAP_S)
    assert not restored.any()


@pytest.mark.parametrize("name", list(QUICK))
@pytest.mark.parametrize(
    ("task", "parameters"), [("bandwidth", {"cutoff_hz": 4000.0}), ("inpaint", {})]
)
def test_another_task_is_refused(name, task, parameters):
    with pytest.raises(TaskError, match=rf"{name} .*`inpaint`"):
        build(name).restore_audio(white(900), RATE, task, parameters)


def test_burg_finds_the_model_of_a_process():
    """x_n = 1.5 x_{n-1} - 0.8 x_{n-2} + e_n, in two segments."""
    rng = np.random.default_rng(0)
    segments = []
    for _ in range(2):
        x = np.zeros(20_000)
        for n, e in enumerate(rng.standard_normal(20_000)):
            x[n] = 1.5 * x[n - 1] - 0.8 * x[n - 2] + e
        segments.append(x)
    np.testing.assert_allclose(burg(segments, 3), [1, -1.5, 0.8, 0], atol=0.03)


@given(st.integers(0, 1000), st.integers(1, 30))
def test_burg_gives_stable_models(seed, order):
    segment = np.cumsum(np.random.default_rng(seed).standard_normal(200))
    assert np.abs(np.roots(burg([segment], order))).max() < 1 + 1e-6


@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 20))
def test_the_interpolation_has_the_least_excitation(seed, order, length):
    """The same as least squares on the full matrix."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal(80)
    model = burg([rng.standard_normal(80)], order)
    start, stop = 30, 30 + length
    rows = np.arange(start, stop + order)
    matrix = np.zeros((len(rows), 80))
    for k in range(order + 1):
        matrix[np.arange(len(rows)), rows - k] = model[k]
    known = wave.copy()
    known[start:stop] = 0
    expected, *_ = np.linalg.lstsq(matrix[:, start:stop], -matrix @ known, rcond=None)
    np.testing.assert_allclose(interpolate(known, start, stop, model), expected, atol=1e-6)


def test_extrapolation_by_hand():
    """x_n = 2 cos(w) x_{n-1} - x_{n-2} is a tone."""
    w = 0.3
    tone = np.sin(w * np.arange(60) + 0.5)
    model = np.array([1, -2 * np.cos(w), 1])
    np.testing.assert_allclose(extrapolate(tone[:20], model, 40), tone[20:], atol=1e-9)


def test_keep_largest():
    values = np.array([1j, -3, 2, 0.5])
    np.testing.assert_array_equal(keep_largest(values, 2), [0, -3, 2, 0])
    np.testing.assert_array_equal(keep_largest(values, 4), values)


def test_gap_samples_join_and_stay_within():
    assert gap_samples([(0.5, 0.6), (0.1, 0.2), (0.2, 0.3)], 100, 55) == [(10, 30), (50, 55)]
    assert gap_samples([(0.9, 1.0)], 100, 55) == []


def test_silence_is_the_identity():
    wave = white(900, 2)
    assert torch.equal(Silence.Config().build().restore_audio(wave, RATE, "any", {}), wave)


@pytest.mark.parametrize("name", ["autoregressive", "sparse"])
def test_a_gap_beyond_the_end_changes_nothing(name):
    wave = tones()
    _, restored = restore(name, wave, (wave.shape[-1] / RATE + 1, wave.shape[-1] / RATE + 2))
    assert torch.equal(restored, wave)
