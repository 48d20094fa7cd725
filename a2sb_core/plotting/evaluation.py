"""Figures of an evaluation, as PNG files, in the manner of the paper's Figures 2 to 6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from a2sb_core.audio import files
from a2sb_core.common.text import slug
from a2sb_core.config.evaluation import DEGRADED
from a2sb_core.evaluation.clips import ClipFile
from a2sb_core.evaluation.profiles import EXPONENTS
from a2sb_core.evaluation.protocols import NamedProtocol
from a2sb_core.evaluation.results import Result
from a2sb_core.evaluation.runner import Evaluation, EvaluationReport
from a2sb_core.plotting.spectrograms import spectrogram_figure

MARGIN_S = 0.6
"""Time around the first damaged stretch that a spectrogram shows, in seconds."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
"""Colours of systems that colour-blind readers can tell apart (Okabe and Ito)."""
WHISKERS = (0.001, 0.25, 0.5, 0.75, 0.999)
"""Quantiles of a box: whiskers, quartiles and median."""

Array = npt.NDArray[np.float64]


def draw(report: EvaluationReport, evaluation: Evaluation, folder: Path, clips: int) -> list[Path]:
    """Draw all figures for which the report has data.

    Args:
        report: result of the evaluation, with the audio of the first clips kept.
        evaluation: its protocols and clips.
        folder: is created if needed.
        clips: number of clips whose spectrograms are drawn.

    Returns:
        The paths of the figures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for protocol in evaluation.protocols:
        for clip in evaluation.clips[:clips]:
            written += _draw_spectrograms(report, evaluation, clip, protocol, folder)
        restored = {name: report.restored(protocol.name, name) for name in report.systems}
        restored = {name: results for name, results in restored.items() if results}
        stem = slug(protocol.name)
        if restored:
            path = folder / f"{stem}_magnitudes.png"
            written.append(_draw_magnitudes(restored, protocol.name, path))
        found = [
            one for results in restored.values() for result in results for one in result.histograms
        ]
        for name in dict.fromkeys(found):
            pooled = {s: pool for s, results in restored.items() if (pool := _pool(results, name))}
            path = folder / f"{stem}_{slug(name)}.png"
            written.append(_draw_boxes(pooled, protocol.name, name, path))
    return written


def _draw_spectrograms(
    report: EvaluationReport,
    evaluation: Evaluation,
    clip: ClipFile,
    protocol: NamedProtocol,
    folder: Path,
) -> list[Path]:
    """Draw the truth, the damaged audio and the systems side by side."""
    places = {system: (clip.name, protocol.name, system) for system in report.systems}
    kept = {name: report.audio[place] for name, place in places.items() if place in report.audio}
    if not kept:
        return []
    truth, damaged, rate = evaluation.damage(clip, protocol)
    panels = [
        ("truth", truth.numpy()),
        *((name, files.read(path)[0]) for name, path in kept.items()),
    ]
    shown_s = None
    if damaged.marks.stretches_s:
        start, end = damaged.marks.stretches_s[0]
        shown_s = (max(0.0, start - MARGIN_S), min(end + MARGIN_S, truth.shape[-1] / rate))
    path = folder / f"{slug(protocol.name)}_{slug(str(Path(clip.name).with_suffix('')))}.png"
    title = f"{protocol.name}: {clip.name}"
    spectrogram_figure(path, title, panels, rate, damaged.marks, shown_s)
    return [path]


def _draw_magnitudes(restored: dict[str, list[Result]], task: str, path: Path) -> Path:
    """Draw the mean magnitude of each system over frequency, and that of the truth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.6), dpi=110, layout="constrained")
    axis = figure.subplots()
    first = next(iter(restored.values()))
    truth = _curve(first, lambda result: result.true_profile)
    axis.plot(*truth, color="black", linewidth=2.2, label="truth")
    for k, (system, results) in enumerate(restored.items()):
        style: dict[str, Any] = {"color": COLOURS[(k - 1) % len(COLOURS)]}
        if system == DEGRADED:
            style = {"color": "0.6", "linestyle": "--"}
        curve = _curve(results, lambda result: result.profile)
        axis.plot(*curve, linewidth=1.5, label=system, **style)
    top_db = axis.get_ylim()[1]
    axis.set_ylim(max(axis.get_ylim()[0], top_db - 100), top_db)
    axis.set_xlim(0, first[0].sample_rate / 2000)
    axis.set_title(f"{task}: mean magnitude")
    axis.set_xlabel("frequency (kHz)")
    axis.set_ylabel("magnitude (dB)")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    figure.savefig(path)
    return path


def _curve(
    results: Sequence[Result], profile_of: Callable[[Result], list[float]]
) -> tuple[Array, Array]:
    """Return the mean over clips of the most common sample rate: kHz, and dB."""
    rates = [result.sample_rate for result in results]
    rate = max(set(rates), key=rates.count)
    profiles = [profile_of(result) for result in results if result.sample_rate == rate]
    mean = np.mean(profiles, axis=0)
    centres_khz = (np.arange(len(mean)) + 0.5) * rate / 2000 / len(mean)
    return centres_khz, 20 * np.log10(np.maximum(mean, 1e-10))


def _draw_boxes(
    pooled: dict[str, tuple[list[float], Array]], task: str, name: str, path: Path
) -> Path:
    """Draw box plots of a diagnostic by band, one panel for each system."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 5.5 * len(pooled), 4.6), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(pooled), sharey=True, squeeze=False)[0]
    for axis, (system, (edges_hz, counts)) in zip(axes, pooled.items(), strict=True):
        boxes = {k: box for k, band in enumerate(counts) if (box := quantile_box(band))}
        axis.bxp(
            list(boxes.values()),
            positions=list(boxes),
            showfliers=False,
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": "#9ecae1"},
            medianprops={"color": "black"},
        )
        labels = [f"{low / 1000:.1f}-{high / 1000:.1f}" for low, high in pairwise(edges_hz)]
        axis.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
        axis.set_xlim(-0.6, len(labels) - 0.4)
        axis.set_yscale("log")
        axis.set_title(f"{task}: {system}")
        axis.set_xlabel("band (kHz)")
        axis.grid(axis="y", alpha=0.25)
    axes[0].set_ylabel(f"{name.replace('_', ' ')}; whiskers: 0.1 and 99.9 %")
    figure.savefig(path)
    return path


def _pool(results: Sequence[Result], name: str) -> tuple[list[float], Array] | None:
    """Add up the histograms of the clips that have the same bands."""
    found = [result.histograms[name] for result in results if name in result.histograms]
    if not found:
        return None
    edges_hz: list[float] = found[0]["edges_hz"]
    same = [one["counts"] for one in found if one["edges_hz"] == edges_hz]
    return edges_hz, np.sum(same, axis=0)


def quantile_box(counts: Array) -> dict[str, Any] | None:
    """Return the quantiles ``WHISKERS`` of a histogram over ``EXPONENTS`` for matplotlib's ``bxp``.

    None for an empty histogram.
    """
    if not counts.sum():
        return None
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    low, q1, median, q3, high = (10 ** float(np.interp(q, share, EXPONENTS)) for q in WHISKERS)
    return {"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high, "fliers": []}
