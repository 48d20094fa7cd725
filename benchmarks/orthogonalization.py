"""Phase orthogonalization, (12) to (16): closed form against the SVD of each bin.

Options: [--seconds 1] [--rounds 5].
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from record import paired_seconds, write
from torch import Tensor

from a2sb_tasks.representations.factorized import Factorized


def by_svd(z: Tensor) -> Tensor:
    """Project (B, 3, F, W) by U V^T of each bin's R = [[X2, -X3], [X3, X2]], as (12) to (16)."""
    x2, x3 = z[:, 1], z[:, 2]
    rows = torch.stack([torch.stack([x2, -x3], dim=-1), torch.stack([x3, x2], dim=-1)], dim=-2)
    u, _, v = torch.linalg.svd(rows)
    rotation = u @ v
    return torch.stack([z[:, 0].clamp(min=0), rotation[..., 0, 0], rotation[..., 1, 0]], dim=1)


def main() -> None:
    """Measure both computations, print the figures and write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="length of the audio")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("benchmark_output"))
    options = parser.parse_args()
    representation = Factorized.Config().build()
    frames = representation.frames(round(options.seconds * representation.sample_rate))
    z = torch.randn(1, 3, representation.rows, frames, generator=torch.Generator().manual_seed(0))
    difference = float((representation.project(z) - by_svd(z)).abs().max())
    seconds = paired_seconds(
        {"closed form": lambda: representation.project(z), "SVD of each bin": lambda: by_svd(z)},
        options.rounds,
    )
    ratio = seconds["SVD of each bin"] / seconds["closed form"]
    rows = [{"method": name, "seconds": value} for name, value in seconds.items()]
    about = {"audio_s": options.seconds, "largest_difference": difference, "ratio": ratio}
    write(options.output, "orthogonalization", about, rows)
    print(
        f"{options.seconds:g} s of audio: closed form {1000 * seconds['closed form']:.1f} ms, "
        f"SVD of each bin {ratio:.0f} times as long; largest difference {difference:.1e}"
    )


if __name__ == "__main__":
    main()
