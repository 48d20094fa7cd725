"""Inverse problems: an unconditional denoiser guided by what was recorded."""

import pytest
import torch
from engine_helpers import model_config, noise
from hypothesis import given
from hypothesis import strategies as st
from task_helpers import plane, white

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import BlockPair, Degraded, Measurement, Noise
from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer
from a2sb_tasks.bridges.diffusion import Diffusion
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.declip import Declip
from a2sb_tasks.corruptions.inpainting import Inpainting
from a2sb_tasks.corruptions.sloped_filter import SlopedFilter
from a2sb_tasks.metrics.waveform import SISDR
from a2sb_tasks.representations.mdct import MDCT
from a2sb_tasks.samplers.guided import DPS, PiGDM

RATE, SAMPLES, ROWS = 16000, 8192, 128
DIFFUSION = Diffusion.Config().build()
FRAMES = MDCT.Config(rows=ROWS, sample_rate=RATE, power=1).build()
HZ = FRAMES.grid(1).freqs_hz
VARIANCE = (0.1 / (1 + (HZ / 400) ** 8) + 1e-7).float()[:, None]
"""Variance of each row of the music that the denoiser below knows: smooth and without treble."""
BOTH = pytest.mark.parametrize("sampler", [DPS.Config, PiGDM.Config])


def gaussian(state):
    """The perfect denoiser of x0 ~ N(0, VARIANCE): E[x0 | x_t]."""
    a, _, c = (float(value) for value in DIFFUSION.coefficients(state.t[0].double()))
    return a * VARIANCE / (a * a * VARIANCE + c * c) * state.xt


def drawn(seed=1, items=1):
    """Audio of the distribution that the denoiser knows."""
    count = FRAMES.frames(SAMPLES)
    z = torch.cat([plane(1, 1, ROWS, count, seed=seed + k) for k in range(items)])
    return FRAMES.decode(z * VARIANCE.sqrt(), SAMPLES)


def restored(sampler, corruption, known, damaged):
    """Restore audio by guided sampling with the perfect denoiser."""
    measurement = Measurement(corruption, known, FRAMES, torch.ones(1))
    guided = sampler.guide(gaussian, measurement)
    degraded, start = Degraded(FRAMES.encode(damaged), None), Noise(0, 1, ROWS)
    return FRAMES.decode(sampler.sample(guided, DIFFUSION, degraded, start), SAMPLES)


def gain_db(damaged, audio):
    """Return by how much the SI-SDR of restored audio is larger than that of damaged audio."""
    metric, clean = SISDR.Config().build(), drawn()
    return metric.measure(clean, audio, RATE) - metric.measure(clean, damaged, RATE)


@BOTH
@pytest.mark.parametrize(("drive_db", "least"), [(6.0, 3.0), (9.0, 1.5)])
def test_clipped_peaks_are_restored(sampler, drive_db, least):
    declip = Declip.Config().build()
    damaged = declip.forward(drawn(), declip.Parameters(drive_db=drive_db), RATE)
    known = declip.Parameters(levels=(float(damaged.abs().max()),))
    found = restored(sampler().build(), declip, known, damaged)
    assert gain_db(damaged, found) > 0
    (pair,) = declip.finisher(known, RATE).finish([BlockPair(found, damaged)])
    assert gain_db(damaged, pair.restored) > least


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("sampler", "least"), [(DPS, 1.0), (PiGDM, 5.0)])
def test_a_random_filter_is_undone(sampler, least, seed):
    lowpass = SlopedFilter.Config(low_hz=300, high_hz=900, low_db=6, high_db=18).build()
    damage = lowpass.draw(1.0, torch.Generator().manual_seed(seed))
    damaged = lowpass.forward(drawn(), damage, RATE)
    found = restored(sampler.Config(eta=0).build(), lowpass, damage, damaged)
    assert gain_db(damaged, found) > least


@pytest.mark.parametrize("seed", range(3))
def test_an_unknown_filter_is_estimated_and_undone(seed):
    lowpass = SlopedFilter.Config(low_hz=300, high_hz=900, low_db=6, high_db=18).build()
    damage = lowpass.draw(1.0, torch.Generator().manual_seed(seed))
    damaged = lowpass.forward(drawn(), damage, RATE)
    sampler = PiGDM.Config(eta=0, steps=50).build()
    assert gain_db(damaged, restored(sampler, lowpass, lowpass.Parameters(), damaged)) > 0.5


@given(cutoff_hz=st.floats(1000, 4000), slope_db=st.floats(6, 48), given_hz=st.booleans())
def test_a_filter_is_found_from_the_audio_before_and_after_it(cutoff_hz, slope_db, given_hz):
    lowpass = SlopedFilter.Config().build()
    damage = lowpass.Parameters(cutoff_hz=cutoff_hz, slope_db=slope_db)
    clean = white(SAMPLES)
    known = lowpass.Parameters(cutoff_hz=cutoff_hz if given_hz else None)
    found = lowpass.estimate(lowpass.forward(clean, damage, RATE), clean, known, RATE)
    error_db = [
        20 * torch.fft.rfft(lowpass.response(one, RATE), 512).abs().log10()
        for one in (found, damage)
    ]
    assert float((error_db[0] - error_db[1]).clamp(min=-60)[:200].abs().max()) < 6
    assert found.cutoff_hz == pytest.approx(cutoff_hz, rel=1e-6 if given_hz else 0.25)
    assert lowpass.estimate(clean, clean, damage, RATE) is damage


@given(seed=st.integers(0, 2**16), cutoff_hz=st.floats(500, 6000), length=st.integers(400, 4000))
def test_linear_damage_is_its_own_adjoint(seed, cutoff_hz, length):
    """<A u, v> = <u, A v> for symmetric filters and for masks."""
    lowpass, bandwidth = SlopedFilter.Config().build(), Bandwidth.Config().build()
    gaps = Inpainting.Config().build()
    trials = (
        (lowpass, lowpass.Parameters(cutoff_hz=cutoff_hz, slope_db=seed % 40)),
        (bandwidth, bandwidth.Parameters(cutoff_hz=cutoff_hz)),
        (gaps, gaps.Parameters(gaps_s=((0.1 * length / RATE, 0.4 * length / RATE),))),
    )
    u, v = (white(length, 2, seed=seed + k).double() for k in range(2))
    for corruption, known in trials:
        forwards = float((corruption.forward(u, known, RATE) * v).sum())
        backwards = float((u * corruption.forward(v, known, RATE)).sum())
        assert forwards == pytest.approx(backwards, rel=1e-9, abs=1e-9)


@BOTH
def test_known_rows_and_frames_are_met_and_the_network_is_not_told_of_them(sampler):
    """For x0_hat = x_t/2, a step of the least error meets the known content, other values stay."""
    xt, x1 = plane(3, 2, 4, 6), plane(3, 2, 4, 6, seed=1)
    missing = plane(3, 1, 4, 6, seed=2) > 0
    state = Degraded(x1, missing).state(xt, 0.5)

    def half(state):
        assert state.missing is None
        return 0.5 * state.xt

    measurement = Measurement(None, None, FRAMES, torch.ones(1))
    with torch.no_grad():
        free, near, met = (
            sampler(strength=one).build().guide(half, measurement)(state)
            if one
            else half(Degraded(x1, None).state(xt, 0.5))
            for one in (0.0, 0.3, 1.0)
        )
    known = ~missing.expand_as(xt)
    torch.testing.assert_close(met[known], x1[known], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close((near - free)[known], 0.3 * (met - free)[known], atol=1e-4, rtol=0)
    torch.testing.assert_close(met[~known], free[~known])
    assert not met.requires_grad


def test_channels_and_levels_are_those_of_the_recording():
    """Each channel is clipped at its own level, whatever the gains of the model are."""
    declip = Declip.Config().build()
    clean, levels, gains = drawn(items=2), (0.05, 0.1), torch.tensor([3.0, -0.5])
    x1 = FRAMES.encode(declip.forward(clean, declip.Parameters(levels=levels), RATE))
    scaled = gains[:, None, None, None]
    windows = torch.cat([x1 * scaled] * 2)
    measurement = Measurement(declip, declip.Parameters(levels=levels), FRAMES, gains)
    x0 = torch.cat([FRAMES.encode(clean) * scaled] * 2)
    observed, damage = measurement.compare(Degraded(windows, None).state(windows, 0.5), x0)
    length = (x0.shape[-1] - 1) * ROWS
    inner = slice(ROWS, length - ROWS)  # frames of the ends alias
    torch.testing.assert_close(damage(x0)[:, inner], observed[:, inner], atol=1e-5, rtol=1e-4)


def unconditional(**inner):
    parts = [
        {"corruption": "everything"},
        *({"weight": 0, "corruption": name} for name in ("declip", "denoise", "bandwidth")),
    ]
    config = model_config(
        representation={"name": "mdct", "rows": 64},
        corruption={"name": "mixture", "parts": parts + [{"weight": 0, "corruption": "lowpass"}]},
        bridge="diffusion",
        sampler={"name": "multidiffusion", "window": 32, "hop": 16, "inner": inner},
    )
    torch.manual_seed(0)
    return Restorer(Model(config), "cpu", "fp32")


@BOTH
@pytest.mark.parametrize(
    ("task", "more"), [("declip", {}), ("lowpass", {"cutoff_hz": 3000.0}), ("bandwidth", {})]
)
def test_a_model_restores_recordings_of_any_damage_by_guidance(sampler, task, more):
    """Guidance changes the result, which does not depend on memory and is closer to the input."""
    wave = noise(12000, 2).clamp(-0.3, 0.3)
    more = {"cutoff_hz": 6000.0} if task == "bandwidth" else more
    name = sampler.model_fields["name"].default
    results = []
    for strength in (0.0, 1.0):
        restorer = unconditional(name=name, steps=3, strength=strength)
        results.append(restorer.restore(wave, 44100, task=task, **more))
        if strength:
            restorer.memory.max_bytes = 200_000_000
            again = restorer.restore(wave, 44100, task=task, **more)
            torch.testing.assert_close(again, results[-1], rtol=0, atol=1e-4)
    assert not torch.equal(*results)
    assert torch.isfinite(results[1]).all()


def test_damage_that_cannot_be_differentiated_is_an_error():
    restorer = unconditional(name="dps", steps=2)
    with pytest.raises(TaskError, match=r"`denoise`.*has no method `forward`"):
        restorer.restore(noise(4000), 44100, task="denoise")


def test_parameters_of_the_damage_are_used_by_guidance_only():
    wave = noise(4000)
    with pytest.raises(TaskError, match="does not use the parameter `cutoff_hz`"):
        unconditional(name="implicit", steps=2).restore(
            wave, 44100, task="lowpass", cutoff_hz=3000.0
        )
    guided = unconditional(name="pigdm", steps=2)
    one, other = (
        guided.restore(wave, 44100, task="lowpass", cutoff_hz=hz) for hz in (1000.0, 6000.0)
    )
    assert not torch.equal(one, other)


def test_the_backward_pass_counts_in_the_estimate_of_memory():
    def estimate(**inner):
        restorer = unconditional(steps=2, **inner)
        wave = noise(20000).clamp(-0.3, 0.3)
        plan = restorer.prepare([wave], 44100, task="declip", samples=20000).plan
        return restorer.memory.estimate(plan)

    assert estimate(name="dps") > estimate(name="implicit")
