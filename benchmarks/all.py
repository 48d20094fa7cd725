"""One table of ratios: the shipped model at its defaults, its parts, and peers, in one run.

    python benchmarks/all.py [--seconds 10] [--rounds 3] [--device auto]

All works alternate on the same noise below 4 kHz, so that a change of the machine affects all.
`x` is the time relative to that of the shipped model, on audio in memory. Algorithm 1 is the
sampling of the paper, step by step over the whole recording. The plain UNet has convolutions only,
about as many parameters as the shipped network, and evaluates the same windows at the resolution of
that network's finest level.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import soundfile
import torch
from record import paired_seconds, write
from torch import Tensor, nn

from a2sb_core import Restorer
from a2sb_core.devices.choice import choose_autocast
from a2sb_core.interfaces import Item, Noise, WindowSampler

RATE = 44100
CUTOFF_HZ = 4000


class PlainUNet(nn.Module):
    """A UNet of pairs of 3x3 convolutions, with strided convolutions between its levels."""

    def __init__(self, channels: int, widths: tuple[int, ...] = (128, 192, 320, 416)) -> None:
        super().__init__()
        sizes = list(itertools.pairwise(widths))
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(self._pair(a, a) for a in widths)
        self.halve = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in sizes)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in sizes)
        self.up = nn.ModuleList(self._pair(2 * a, a) for a in widths[:-1])
        self.last = nn.Conv2d(widths[0], channels, 3, padding=1)

    @staticmethod
    def _pair(inner: int, outer: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inner, outer, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(outer, outer, 3, padding=1),
            nn.SiLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, W) to the same shape."""
        h, skips = self.first(x), []
        for down, halve in zip(self.down, self.halve, strict=False):
            h = down(h)
            skips.append(h)
            h = halve(h)
        h = self.down[-1](h)
        for grow, up, skip in zip(
            reversed(self.grow), reversed(self.up), reversed(skips), strict=True
        ):
            h = up(torch.cat([grow(h), skip], dim=1))
        return self.last(h)


def noise(seconds: float) -> Tensor:
    """Return noise below the cutoff, (1, T)."""
    samples = int(seconds * RATE)
    wave = torch.randn(1, samples, generator=torch.Generator().manual_seed(0))
    spectrum = torch.fft.rfft(wave)
    spectrum[:, int(CUTOFF_HZ * seconds) :] = 0
    return 0.1 * torch.fft.irfft(spectrum, samples)


def works(restorer: Restorer, wave: Tensor, folder: Path) -> dict[str, Callable[[], object]]:
    """Return the works by name; the first is the one that all are compared with."""
    model, device = restorer.model, restorer.device
    representation, sampler = model.representation, model.sampler
    assert isinstance(sampler, WindowSampler) and sampler.window
    soundfile.write(folder / "in.wav", wave[0].numpy(), RATE)
    with torch.no_grad():
        z = representation.encode(wave.to(device))
    drawn = Noise(0, representation.channels, representation.rows, device)
    corruption = model.corruption.for_task("bandwidth")
    parameters = corruption.observed(cutoff_hz=CUTOFF_HZ)
    item = Item(wave.to(device), z, representation)
    windows = -(-z.shape[-1] // (sampler.window // 2))
    plain = PlainUNet(96).to(device).eval()
    x = torch.randn(4, 96, representation.rows // 32, sampler.window, device=device)

    def evaluated(work: Callable[[], Tensor]) -> Callable[[], float]:
        def run() -> float:
            with torch.no_grad(), choose_autocast(device, restorer.precision):
                return float(work().sum())

        return run

    def algorithm_1() -> Tensor:
        degraded = corruption.observe(item, parameters, drawn)
        return sampler.sample(model.denoiser(), model.bridge, degraded, drawn)

    def file_to_file() -> None:
        target = folder / "out.wav"
        restorer.restore_file(
            folder / "in.wav", target, task="bandwidth", cutoff_hz=CUTOFF_HZ, overwrite=True
        )

    def encode_decode() -> float:
        with torch.no_grad():
            coded = representation.encode(wave.to(device))
            return float(representation.decode(coded, wave.shape[-1]).sum())

    return {
        "shipped model": lambda: restorer.restore(
            wave, RATE, task="bandwidth", cutoff_hz=CUTOFF_HZ
        ),
        "shipped model, file to file": file_to_file,
        "Algorithm 1, step by step": evaluated(algorithm_1),
        "plain UNet of the same size": evaluated(
            lambda: torch.stack([plain(x).sum() for _ in range(-(-windows // 4))])
        ),
        "encode and decode": encode_decode,
    }


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    restorer = Restorer.from_pretrained("small", options.device)
    with tempfile.TemporaryDirectory() as folder:
        calls = works(restorer, noise(options.seconds), Path(folder))
        seconds = paired_seconds(calls, options.rounds)
    base, rows = next(iter(seconds.values())), []
    for name, own in seconds.items():
        row = {"work": name, "ratio": own / base, "times_real_time": options.seconds / own}
        print(f"{name:30} x {own / base:5.2f}   {options.seconds / own:7.1f} times real time")
        rows.append(row)
    size = sum(p.numel() for p in PlainUNet(96).parameters())
    own_size = sum(p.numel() for p in restorer.model.backbone.parameters())
    print(f"parameters: shipped {own_size / 1e6:.1f} M, plain UNet {size / 1e6:.1f} M")
    write(options.output, "all", {"device": str(restorer.device), "seconds": options.seconds}, rows)


if __name__ == "__main__":
    main()
