"""Figures of an evaluation, as PNG files: those of the paper's kinds (its Figures 2 to 6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from a2sb_core.audio import files
from a2sb_core.cli.figures import spectrogram_figure
from a2sb_core.engine.clips import Clip
from a2sb_core.engine.evaluation import Evaluation, Report
from a2sb_core.engine.profiles import EXPONENTS
from a2sb_core.engine.protocols import Protocol
from a2sb_core.engine.results import Result

MARGIN_S = 0.6
"""Around the first gap, what a spectrogram shows."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
"""Of systems; they can be told apart by the colour-blind (Okabe and Ito)."""
WHISKERS = (0.001, 0.25, 0.5, 0.75, 0.999)

Array = npt.NDArray[np.float64]


def draw(report: Report, evaluation: Evaluation, folder: Path, clips: int) -> list[Path]:
    """Draw all figures for which there is something to draw; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for protocol in evaluation.protocols:
        for clip in evaluation.clips[:clips]:
            written += _spectrograms(report, evaluation, clip, protocol, folder)
        written += _magnitudes(report, protocol, folder / f"{_stem(protocol.name)}_magnitudes.png")
        written += _phases(report, protocol, folder / f"{_stem(protocol.name)}_phase.png")
    return written


def _spectrograms(
    report: Report, evaluation: Evaluation, clip: Clip, protocol: Protocol, folder: Path
) -> list[Path]:
    """Truth, damaged audio and systems side by side."""
    places = [(system, (clip.name, protocol.name, system)) for system in report.systems]
    kept = [(system, report.audio[place]) for system, place in places if place in report.audio]
    if not kept:
        return []
    truth, damaged, rate = evaluation.damage(clip, protocol)
    panels = [("truth", truth.numpy()), *((name, files.read(path)[0]) for name, path in kept)]
    gaps_s = damaged.parameters.get("gaps_s", ())
    shown_s = None
    if gaps_s:
        start, end = gaps_s[0]
        shown_s = (max(0.0, start - MARGIN_S), min(end + MARGIN_S, truth.shape[-1] / rate))
    path = folder / f"{_stem(protocol.name)}_{_stem(str(Path(clip.name).with_suffix('')))}.png"
    spectrogram_figure(path, f"{protocol.name}: {clip.name}", panels, rate, gaps_s, shown_s)
    return [path]


def _magnitudes(report: Report, protocol: Protocol, path: Path) -> list[Path]:
    """Mean magnitude by frequency: too much or too little of a band is seen at once."""
    from matplotlib.figure import Figure

    found = {system: _results(report, protocol, system) for system in report.systems}
    found = {system: results for system, results in found.items() if results}
    if not found:
        return []
    figure = Figure(figsize=(8, 4.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    first = next(iter(found.values()))
    axis.plot(*_curve(first, "true_profile"), color="black", linewidth=2.2, label="truth")
    for k, (system, results) in enumerate(found.items()):
        style: dict[str, Any] = {"color": COLOURS[(k - 1) % len(COLOURS)]}
        if system == "degraded":
            style = {"color": "0.6", "linestyle": "--"}
        axis.plot(*_curve(results, "profile"), linewidth=1.5, label=system, **style)
    top_db = axis.get_ylim()[1]
    axis.set_ylim(max(axis.get_ylim()[0], top_db - 100), top_db)
    axis.set_xlim(0, first[0].sample_rate / 2000)
    where = ", in the gaps" if protocol.task == "inpaint" else ""
    axis.set_title(f"{protocol.name}: mean magnitude{where}")
    axis.set_xlabel("frequency (kHz)")
    axis.set_ylabel("magnitude (dB)")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    figure.savefig(path)
    return [path]


def _curve(results: Sequence[Result], name: str) -> tuple[Array, Array]:
    """Mean over clips of the most common rate: kHz, and dB."""
    rates = [result.sample_rate for result in results]
    rate = max(set(rates), key=rates.count)
    profiles = [getattr(result, name) for result in results if result.sample_rate == rate]
    mean = np.mean(profiles, axis=0)
    centres_khz = (np.arange(len(mean)) + 0.5) * rate / 2000 / len(mean)
    return centres_khz, 20 * np.log10(np.maximum(mean, 1e-10))


def _phases(report: Report, protocol: Protocol, path: Path) -> list[Path]:
    """Box plots of the phase residual (18) by band, one panel a system, pooled over clips."""
    from matplotlib.figure import Figure

    found = {system: _results(report, protocol, system) for system in report.systems}
    pooled = {system: pool for system, results in found.items() if (pool := _pool(results))}
    if not pooled:
        return []
    figure = Figure(figsize=(1.5 + 5.5 * len(pooled), 4.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(pooled), sharey=True, squeeze=False)[0]
    for axis, (system, (edges_hz, counts)) in zip(axes, pooled.items(), strict=True):
        boxes = [_box(band) for band in counts]
        places = [k for k, box in enumerate(boxes) if box]
        axis.bxp(
            [box for box in boxes if box], positions=places, showfliers=False, widths=0.6,
            patch_artist=True, boxprops={"facecolor": "#9ecae1"},
            medianprops={"color": "black"},
        )
        labels = [
            f"{low / 1000:.1f}-{high / 1000:.1f}"
            for low, high in pairwise(edges_hz)
        ]
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axis.set_xlim(-0.6, len(labels) - 0.4)
        axis.set_yscale("log")
        axis.set_title(f"{protocol.name}: {system}")
        axis.set_xlabel("band (kHz)")
        axis.grid(axis="y", alpha=0.25)
    axes[0].set_ylabel("phase residual (18); whiskers: 0.1 and 99.9 %")
    figure.savefig(path)
    return [path]


def _pool(results: Sequence[Result]) -> tuple[list[float], Array] | None:
    """Add up the histograms of clips that have the same bands."""
    phases = [result.phase for result in results if result.phase]
    if not phases:
        return None
    edges_hz: list[float] = phases[0]["edges_hz"]
    same = [phase["counts"] for phase in phases if phase["edges_hz"] == edges_hz]
    return edges_hz, np.sum(same, axis=0)


def _box(counts: Array) -> dict[str, Any] | None:
    """Quantiles of a histogram over ``EXPONENTS``, as matplotlib's ``bxp`` wants them."""
    if not counts.sum():
        return None
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    low, q1, median, q3, high = (10 ** float(np.interp(q, share, EXPONENTS)) for q in WHISKERS)
    return {"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high, "fliers": []}


def _results(report: Report, protocol: Protocol, system: str) -> list[Result]:
    results = [report.results.get((clip, protocol.name, system)) for clip in report.clips]
    return [result for result in results if result and not result.skipped]


def _stem(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)
