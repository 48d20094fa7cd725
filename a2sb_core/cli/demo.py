"""``a2sb demo``: damage a clip in two ways, restore it, show and measure the difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from a2sb_core.audio.choices import AudioFormat
from a2sb_core.cli.options import DeviceOption, ModelOption, QuietOption
from a2sb_core.cli.output import console, progress
from a2sb_core.config.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from a2sb_core.demo.cases import DemoCase
    from a2sb_core.restoration.restorer import Restorer

    Array = npt.NDArray[np.float32]

METRICS = {"lsd": "LSD (lower is better)", "sispec": "SiSpec, dB", "visqol": "ViSQOL (1 to 4.73)"}


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write to.")
    ] = Path("demo_output"),
    model: ModelOption = DEFAULT_MODEL,
    steps: Annotated[
        int | None,
        typer.Option(min=1, show_default="the model's", help="Evaluations of the network."),
    ] = None,
    device: DeviceOption = "auto",
    audio_format: Annotated[
        AudioFormat, typer.Option("--format", help="Format of the audio files.")
    ] = "wav",
    quiet: QuietOption = False,
) -> None:
    """Damage a clip in two ways, restore it, and write audio, spectrograms and figures of merit."""
    from a2sb_core.demo.cases import cases, read_clip
    from a2sb_core.interfaces import Marks
    from a2sb_core.plotting.spectrograms import spectrogram_figure
    from a2sb_core.restoration.restorer import Restorer

    truth, rate = read_clip()
    restorer = Restorer.from_pretrained(model, device)
    output.mkdir(parents=True, exist_ok=True)
    suffix = f".{audio_format}"
    written = [_write(output / f"truth{suffix}", truth, rate)]
    measured: dict[str, list[tuple[float, float]]] = {}
    for case in cases(truth, rate):
        restored = _restore(restorer, case, rate, steps, quiet)
        written.append(_write(output / f"{case.task}_damaged{suffix}", case.damaged, rate))
        written.append(_write(output / f"{case.task}_restored{suffix}", restored, rate))
        picture = output / f"{case.task}.png"
        panels = [("truth", truth), ("degraded", case.damaged), ("restored", restored)]
        marks = Marks(stretches_s=case.damage.get("gaps_s", ()))
        spectrogram_figure(picture, case.title, panels, rate, marks, case.shown_s)
        written.append(picture)
        measured[case.task] = _compare(truth, case.damaged, restored, rate)
    if not quiet:
        _print_table(measured)
        typer.echo("\nwrote:\n" + "\n".join(f"  {path}" for path in written))


def _restore(
    restorer: Restorer, case: DemoCase, rate: int, steps: int | None, quiet: bool
) -> Array:
    from a2sb_core.restoration.listener import ProgressListener

    with progress(case.task, quiet) as on_step:
        return restorer.restore(
            case.damaged,
            rate,
            task=case.task,
            steps=steps,
            listener=ProgressListener(on_step),
            **case.damage,
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
