"""Detection of gaps: all detectors, applied to a recording of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from a2sb_core.interfaces import FloatArray, as_numpy
from a2sb_tasks.detection.clicks import click_runs
from a2sb_tasks.detection.finding import Finding, Run
from a2sb_tasks.detection.noise import noise_runs
from a2sb_tasks.detection.repeats import repeated_runs
from a2sb_tasks.detection.silence import nan_runs, silent_runs, stuck_runs

DETECTORS: dict[str, Callable[[FloatArray, int], list[Run]]] = {
    "nan": nan_runs,
    "silence": silent_runs,
    "noise": noise_runs,
    "stuck": stuck_runs,
    "repeat": repeated_runs,
    "click": click_runs,
}
"""Detectors by name; each maps audio (C, T) and its rate in Hz to runs of samples."""

LOOK_S = 20.0
"""Seconds that are analysed at once."""
CONTEXT_S = 3.0
"""Seconds of context on both sides, which exceed the context that any detector needs."""


def find_gaps(blocks: Iterable[FloatArray], sample_rate: int) -> list[Finding]:
    """Find damaged stretches in audio that arrives in blocks (C, n), in order of time.

    A stretch that several detectors find is reported once, for the first of :data:`DETECTORS`.
    Memory does not grow with the length, and the result does not depend on the sizes of blocks.
    """
    found: list[Finding] = []
    for view in _views(blocks, sample_rate):
        for finding in view.findings():
            if not any(_meet(finding, other) for other in found[-8:]):
                found.append(finding)
            elif finding.detector == "nan" and found[-1].detector == "nan":
                found[-1] = Finding("nan", found[-1].start_s, max(found[-1].end_s, finding.end_s))
    return found


def _meet(one: Finding, other: Finding) -> bool:
    return one.start_s <= other.end_s and other.start_s <= one.end_s


@dataclass(frozen=True)
class _View:
    """A part of a recording, with its context.

    Attributes:
        wave: audio (C, n) of the part and its context.
        first: index of the first sample of ``wave`` in the recording.
        start: index of the first sample of the part in ``wave``.
        end: index of the sample after the part in ``wave``.
        sample_rate: sample rate in Hz.
    """

    wave: FloatArray
    first: int
    start: int
    end: int
    sample_rate: int

    def findings(self) -> list[Finding]:
        """Return the findings that begin in the part, in order of time; NaN is cut to the part."""
        found: list[tuple[Run, str]] = []
        clean = self.wave
        for name, detector in DETECTORS.items():
            for start, end in detector(clean, self.sample_rate):
                if name == "nan":
                    start, end = max(start, self.start), min(end, self.end)
                if self.start <= start < self.end and start < end:
                    found = [*found, ((start, end), name)]
            if name == "nan":
                clean = np.nan_to_num(self.wave, nan=0.0, posinf=0.0, neginf=0.0)
        rank = list(DETECTORS)
        ordered: list[Finding] = []
        for (start, end), name in sorted(found, key=lambda item: rank.index(item[1])):
            finding = Finding(
                name, (self.first + start) / self.sample_rate, (self.first + end) / self.sample_rate
            )
            if not any(_meet(finding, other) for other in ordered):
                ordered.append(finding)
        return sorted(ordered, key=lambda finding: finding.start_s)


def _views(blocks: Iterable[FloatArray], sample_rate: int) -> Iterator[_View]:
    look, context = round(LOOK_S * sample_rate), round(CONTEXT_S * sample_rate)
    held: list[FloatArray] = []
    first, start, length = 0, 0, 0  # samples: start of ``held``, start of the part, length so far
    for block in blocks:
        held.append(as_numpy(block))
        length += held[-1].shape[1]
        while length - start >= look + context:
            wave = np.concatenate(held, axis=1)
            end = start + look
            yield _View(
                wave[:, : end + context - first], first, start - first, end - first, sample_rate
            )
            start, kept = end, max(0, end - context)
            held, first = [wave[:, kept - first :]], kept
    if held and start < length:
        wave = np.concatenate(held, axis=1)
        yield _View(wave, first, start - first, length - first, sample_rate)
