"""Signals, measures and small doubles that the tests of the tasks share."""

import math

import torch

from a2sb_core.interfaces import Grid, Item


def white(length, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(batch, length, generator=generator)


def music(length, batch=1, sample_rate=44100):
    """Chords of decaying harmonics over a bass, with a few clicks; another pitch in each item."""
    time = torch.arange(length) / sample_rate
    waves = []
    for k in range(batch):
        wave = 0.2 * torch.sin(2 * math.pi * 55 * (k + 1) * time)
        for harmonic in range(1, 12):
            pitch = 220 * 2 ** (k / 12) * harmonic
            wave += 0.3 / harmonic * torch.sin(2 * math.pi * pitch * time + harmonic)
        wave *= torch.exp(-3 * (time % 0.25))
        wave[:: max(1, length // 3)] += 0.2
        waves.append(wave)
    return 0.5 * torch.stack(waves)


def without_lows(wave, share=0.1):
    """Remove the lowest tenth of the spectrum and fade both ends, so that no DC row is needed."""
    length = wave.shape[-1]
    spectrum = torch.fft.rfft(wave.double())
    spectrum[..., : int(share * spectrum.shape[-1])] = 0
    fade = length // 4
    ramp = 0.5 - 0.5 * torch.cos(math.pi * (torch.arange(fade, dtype=torch.float64) + 0.5) / fade)
    window = torch.cat([ramp, torch.ones(length - 2 * fade), ramp.flip(0)])
    return torch.fft.irfft(spectrum, length).mul(window).to(wave.dtype)


def snr_db(truth, estimate):
    error = (truth.double() - estimate.double()).square().sum()
    return float(10 * torch.log10(truth.double().square().sum() / error.clamp(min=1e-300)))


def plane(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def grid(freqs_hz, times_s, frame_s=0.0, sample_rate=44100):
    return Grid(
        sample_rate,
        torch.as_tensor(freqs_hz, dtype=torch.float64),
        torch.as_tensor(times_s, dtype=torch.float64),
        frame_s,
    )


def item(representation, wave):
    return Item(wave, representation.encode(wave), representation)


class Counting:
    """A denoiser that answers with ``x0``, and counts the windows it is shown."""

    def __init__(self, x0):
        self.x0, self.windows, self.calls, self.times = x0, 0, 0, []

    def __call__(self, state):
        assert state.t.shape == (len(state.xt),)
        self.calls += 1
        self.windows += len(state.xt)
        self.times.append(float(state.t[0]))
        return self.x0.expand_as(state.xt) if self.x0.numel() == 1 else self.x0
