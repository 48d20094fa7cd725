"""``a2sb demo``: damage a clip in two ways, restore it, show and measure the difference."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli.options import DeviceOption, ModelOption
from a2sb_core.cli.output import console, progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from a2sb_core.engine.restorer import Restorer

    Array = npt.NDArray[np.float32]

CLIP = "demo_clip.ogg"
CUTOFF_HZ = 4000
GAPS_S = ((2.0, 2.3), (4.6, 4.9), (7.2, 7.5))
SHOWN_S = (1.6, 5.3)
"""The part of the clip in the picture of its gaps: so short that something is to be seen."""
METRICS = {"lsd": "LSD (lower is better)", "sispec": "SiSpec, dB", "visqol": "ViSQOL (1 to 5)"}


class Format(StrEnum):
    """What audio is written as."""

    wav = "wav"
    flac = "flac"
    ogg = "ogg"


@dataclass(frozen=True)
class Case:
    """One kind of damage: what is asked of the restorer, and the damaged clip."""

    task: str
    title: str
    damaged: Array
    asked: dict[str, Any] = field(default_factory=dict)
    shown_s: tuple[float, float] | None = None


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to write.")
    ] = Path("demo_output"),
    model: ModelOption = "small",
    steps: Annotated[
        int | None, typer.Option(min=1, show_default="the model's", help="Network evaluations.")
    ] = None,
    device: DeviceOption = "auto",
    audio_format: Annotated[
        Format, typer.Option("--format", help="Of the audio that is written.")
    ] = Format.wav,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> None:
    """Damage a clip in two ways, restore it, and write audio, spectrograms and figures of merit."""
    from importlib import resources

    from a2sb_core.audio import files
    from a2sb_core.cli.figures import spectrogram_figure
    from a2sb_core.engine.restorer import Restorer

    with resources.as_file(resources.files("a2sb_core.cli") / CLIP) as clip:
        truth, info = files.read(clip)
    rate = info.sample_rate
    restorer = Restorer.from_pretrained(model, device)
    output.mkdir(parents=True, exist_ok=True)
    suffix = f".{audio_format.value}"
    written = [_write(output / f"truth{suffix}", truth, rate)]
    measured: dict[str, list[tuple[float, float]]] = {}
    for case in cases(truth, rate):
        restored = _restore(restorer, case, rate, steps, quiet)
        written.append(_write(output / f"{case.task}_damaged{suffix}", case.damaged, rate))
        written.append(_write(output / f"{case.task}_restored{suffix}", restored, rate))
        picture = output / f"{case.task}.png"
        panels = [("truth", truth), ("degraded", case.damaged), ("restored", restored)]
        gaps_s = case.asked.get("gaps_s", ())
        spectrogram_figure(picture, case.title, panels, rate, gaps_s, case.shown_s)
        written.append(picture)
        measured[case.task] = _compare(truth, case.damaged, restored, rate)
    if not quiet:
        _print_table(measured)
        typer.echo("\nwrote:\n" + "\n".join(f"  {path}" for path in written))


def cases(truth: Array, sample_rate: int) -> list[Case]:
    """Damage a clip (channels, samples): without its highs, and with gaps of silence."""
    from a2sb_core.audio.resample import resample

    low = resample(truth, sample_rate, 2 * CUTOFF_HZ)
    gapped = truth.copy()
    for start, end in GAPS_S:
        gapped[:, round(start * sample_rate) : round(end * sample_rate)] = 0
    return [
        Case("bandwidth", f"Bandwidth extension from {CUTOFF_HZ / 1000:g} kHz",
             resample(low, 2 * CUTOFF_HZ, sample_rate, truth.shape[1])),
        Case("inpaint", "Inpainting of gaps of 300 ms", gapped, {"gaps_s": GAPS_S},
             SHOWN_S),
    ]


def _restore(restorer: Restorer, case: Case, rate: int, steps: int | None, quiet: bool) -> Array:
    with progress(case.task, quiet) as on_step:
        return restorer.restore(
            case.damaged, rate, task=case.task, steps=steps, progress=on_step, **case.asked
        )


def _write(path: Path, wave: Array, rate: int) -> Path:
    from a2sb_core.audio import files

    files.write(path, wave, rate, overwrite=True)
    return path


def _compare(truth: Array, damaged: Array, restored: Array, rate: int) -> list[tuple[float, float]]:
    """Measure the damaged and the restored clip; NaN where a metric is not available."""
    import torch

    from a2sb_core.errors import A2SBError
    from a2sb_core.plugins import default_registry

    values = []
    for name in METRICS:
        try:
            metric = default_registry().resolve("metric", name).Config().build()
            pair = [
                metric.measure(torch.from_numpy(truth), torch.from_numpy(wave), rate)
                for wave in (damaged, restored)
            ]
        except A2SBError:
            pair = [float("nan")] * 2
        values.append((pair[0], pair[1]))
    return values


def _print_table(measured: dict[str, list[tuple[float, float]]]) -> None:
    from rich.table import Table

    table = Table("task", "clip", box=None, pad_edge=False)
    for title in METRICS.values():
        table.add_column(title, justify="right")
    for task, pairs in measured.items():
        for name, values in zip(("degraded", "restored"), zip(*pairs, strict=True), strict=True):
            figures = ["-" if value != value else f"{value:.2f}" for value in values]
            table.add_row(task, name, *figures)
    console().print(table, highlight=False)
