"""Train an envelope model, and compare its errors on held-out music with simple estimates.

    python examples/train_small/train_envelope.py data/small/manifest.csv envelope.safetensors

The manifest is that of prepare_data.py. The weights have the format of the shipped ones,
a2sb_tasks/envelope/envelope.safetensors. A network that was trained with the guess `replication`
needs the envelope model that it was trained with.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from envelope_data import Augmentation, Track, load_tracks, spectrogram
from envelope_errors import baselines, by_model, by_shipped_model, table
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from a2sb_core.common.files import atomic_write
from a2sb_core.errors import A2SBError, TrainingError
from a2sb_tasks.envelope.model import EnvelopeModel

CUTOFFS_HZ = (4000.0, 8000.0)
SIZE, STRETCHES = 32, 96
"""Items of a batch, and stretches of an item."""
RATE, WEIGHT_DECAY, DECAY, DROPOUT = 2e-3, 0.1, 0.995, 0.2
"""Learning rate, weight decay, decay of the moving average, and probability of dropout."""


def laplace_loss(mean: Tensor, spread: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean negative log-likelihood of Laplace distributions.

    Args:
        mean: expected levels in dB.
        spread: scales of the distributions in dB, > 0.
        target: true levels in dB.
        weight: weights of the levels.
    """
    losses = (target - mean).abs() / spread + (2 * spread).log()
    return (losses * weight).sum() / weight.sum().clamp(min=1e-9)


def train(
    tracks: Sequence[Track], width: int, steps: int, real_weight: float, seed: int
) -> EnvelopeModel:
    """Train a model; the result has the moving average of its weights, in evaluation mode.

    Raises:
        TrainingError: there are no tracks, or the loss is not finite.
    """
    if not tracks:
        raise TrainingError("the manifest lists no track of the split `train`")
    torch.manual_seed(seed)
    data = Augmentation(tracks, real_weight, SIZE, STRETCHES, seed)
    model = EnvelopeModel(width, DROPOUT)
    average = AveragedModel(model, multi_avg_fn=_average)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    started, recent = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        loss = _step(model, optimizer, data)
        schedule.step()
        average.update_parameters(model)
        recent += (loss - recent) / min(step, 100)
        if step % max(1, steps // 10) == 0:
            print(f"step {step}: loss {recent:.3f}, {time.monotonic() - started:.0f} s", flush=True)
    trained: EnvelopeModel = average.module
    return trained.eval().requires_grad_(False)


def _step(model: EnvelopeModel, optimizer: torch.optim.Optimizer, data: Augmentation) -> float:
    batch = data.draw()
    mean, spread = model(batch.levels, batch.share)
    loss = laplace_loss(mean, spread, batch.target, batch.weight)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError("the loss is not finite: check the audio files of the manifest")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return value


def _average(averages: Iterable[Tensor], values: Iterable[Tensor], count: Tensor | int) -> None:
    """Update a moving average that forgets the first steps quickly."""
    share = max(1 - DECAY, 9 / (float(count) + 10))
    for average, value in zip(averages, values, strict=True):
        average.lerp_(value, share)


def save(model: EnvelopeModel, path: Path) -> None:
    """Write the weights in half precision."""
    weights = {name: value.half() for name, value in model.state_dict().items()}
    with atomic_write(path) as partial:
        save_file(weights, partial)


def compare(model: EnvelopeModel | None, training: Sequence[Track], paths: Sequence[Path]) -> None:
    """Print the errors on audio files of the model, of the shipped one, and of the baselines."""
    powers = [spectrogram(path) for path in paths]
    for cutoff_hz in CUTOFFS_HZ:
        estimates = dict(baselines(training, cutoff_hz))
        estimates["shipped model"] = by_shipped_model
        if model is not None:
            estimates["trained model"] = by_model(model)
        print(table(estimates, powers, cutoff_hz), end="\n\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="manifest of the training set")
    parser.add_argument("output", type=Path, help="safetensors file of the weights")
    parser.add_argument(
        "--cache", type=Path, help="levels of the tracks (default: beside MANIFEST)"
    )
    parser.add_argument("--steps", type=int, default=1500, help="0: only compare (default: 1500)")
    parser.add_argument("--width", type=int, default=96, help="channels (default: 96)")
    parser.add_argument(
        "--real-weight", type=float, default=3.0, help="weight of real music (default: 3)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--clips", type=Path, nargs="*", help="files (default: validation split)")
    options = parser.parse_args(arguments)
    cache = options.cache or options.manifest.with_name("envelope_levels.npz")
    try:
        tracks = load_tracks(options.manifest, cache)
        training = [track for track in tracks if track.split == "train"]
        model = None
        if options.steps:
            model = train(training, options.width, options.steps, options.real_weight, options.seed)
            save(model, options.output)
        held_out = [t.path for t in tracks if t.split == "validation" and t.group == "real"]
        compare(model, training, options.clips or held_out)
    except A2SBError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
