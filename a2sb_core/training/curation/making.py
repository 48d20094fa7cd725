"""Manifests for training from copies of public data sets."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

from a2sb_core.common.files import atomic_folder
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.evaluation.reports import table, write_csv
from a2sb_core.restoration.analysis import Analyzer
from a2sb_core.training.curation.licences import PERMISSIVE
from a2sb_core.training.curation.public_sets import Described, PublicSet, PublicSets, describe_files

HEADER = ("split", "file_path", "duration", "sample_rate", "group", "level_dbfs")
SHORTEST_S = 3.0
"""Shortest file that is used: about one segment of the paper."""

OnFile = Callable[[int, str, int], None]
"""Function that receives the number of files of a set, its name, and the number that is done."""


@dataclass(frozen=True)
class Measured:
    """A file with its duration in seconds, its true bandwidth in Hz and its level in dB."""

    file: Described
    duration_s: float = 0.0
    bandwidth_hz: float = 0.0
    level_dbfs: float = 0.0
    problem: str = ""


@dataclass
class CuratedSet:
    """The files of a set that are used, and those that are left out, with the reasons."""

    name: str
    about: PublicSet
    used: list[Measured] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def hours(self) -> float:
        """Duration of the files that are used."""
        return sum(one.duration_s for one in self.used) / 3600


@dataclass(frozen=True)
class Rules:
    """Rules of the choice.

    Attributes:
        allowed: licences of files that are used.
        licences: licences that the user states for whole sets, by name.
        min_hz: lowest bandwidth in Hz.
        validation: share of the authors (or files without one) that are for validation.
        jobs: number of processes that measure files.
    """

    allowed: Sequence[str] = PERMISSIVE
    licences: Mapping[str, str] = field(default_factory=dict)
    min_hz: float = 0.0
    validation: float = 0.01
    jobs: int = 1


def curate(
    known: PublicSets,
    folders: Mapping[str, Path],
    output: Path,
    rules: Rules,
    on_file: OnFile | None = None,
) -> list[CuratedSet]:
    """Write a manifest for each set, ``ATTRIBUTION.md``, ``left_out.csv`` and ``TABLE.md``.

    Args:
        known: descriptions of the sets.
        folders: copies of sets, by name.
        output: folder to make.
        rules: rules of the choice.
        on_file: called after each file.

    Raises:
        ConfigError: a set is unknown.
        TrainingError: a folder does not hold its set.
        A2SBError: the output exists, or a file cannot be written.
    """
    for name in [*folders, *rules.licences]:
        if name not in known.sets:
            raise ConfigError(f"unknown data set `{name}`; known: {', '.join(known.sets)}")
    files = {
        name: list(describe_files(known.sets[name], folder, rules.licences.get(name, "")))
        for name, folder in folders.items()
    }
    with atomic_folder(output) as staging:
        curated = []
        for name, described in files.items():
            report = partial(on_file, len(described), name) if on_file else None
            measured = _measured(described, rules, known.measured_by)
            curated.append(_choose(name, known.sets[name], measured, rules, report))
        _write(staging, curated, rules)
    return curated


def _measured(files: Sequence[Described], rules: Rules, task: str) -> Iterator[Measured]:
    """Measure the files whose licence is allowed, in order; the others are returned as they are."""
    measure = partial(_measure, allowed=tuple(rules.allowed), task=task)
    if rules.jobs <= 1:
        yield from map(measure, files)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(rules.jobs, context) as pool:
        yield from pool.map(measure, files, chunksize=8)


@cache
def _analyzer() -> Analyzer:
    return Analyzer(DEFAULT_MODEL)


def _measure(file: Described, allowed: Sequence[str], task: str) -> Measured:
    if file.licence not in allowed:
        return Measured(file, problem=f"licence: {file.licence}")
    try:
        found = _analyzer().analyze(file.path, (task,) if task else ())
    except A2SBError as error:
        return Measured(file, problem=str(error))
    damages = [one.damage for one in found.findings if one.damage]
    limits = [hz for damage in damages for hz in damage.marks.frequencies_hz]
    bandwidth_hz = min([*limits, found.info.sample_rate / 2])
    return Measured(file, found.info.duration_s or 0.0, bandwidth_hz, found.rms_dbfs)


def _choose(
    name: str,
    about: PublicSet,
    measured: Iterator[Measured],
    rules: Rules,
    report: Callable[[int], None] | None,
) -> CuratedSet:
    made = CuratedSet(name, about)
    for count, one in enumerate(measured, 1):
        if problem := one.problem or _problem(one, rules):
            made.left_out.append((one.file.path, problem))
        else:
            made.used.append(one)
        if report is not None:
            report(count)
    return made


def _problem(one: Measured, rules: Rules) -> str:
    if one.duration_s < SHORTEST_S:
        return f"it lasts {one.duration_s:.1f} s, less than {SHORTEST_S:g} s"
    if one.level_dbfs < -100:
        return "it is silent"
    if one.bandwidth_hz < rules.min_hz:
        return f"its content ends at {one.bandwidth_hz:.0f} Hz"
    return ""


def _split(one: Measured, share: float) -> str:
    """Return the split of a file; those of an author are in the same one."""
    key = one.file.author or one.file.path.name
    digest = hashlib.sha256(key.encode("utf8", "surrogateescape")).digest()
    return "validation" if int.from_bytes(digest[:6]) < share * 2**48 else "train"


def _write(folder: Path, curated: Sequence[CuratedSet], rules: Rules) -> None:
    for made in curated:
        rows = [
            (
                _split(one, rules.validation),
                one.file.path.absolute(),
                f"{one.duration_s:.3f}",
                round(2 * one.bandwidth_hz),
                made.name,
                f"{one.level_dbfs:.2f}",
            )
            for one in made.used
        ]
        write_csv(folder / f"{made.name}.csv", [HEADER, *rows])
    left_out = [(made.name, path, why) for made in curated for path, why in made.left_out]
    write_csv(folder / "left_out.csv", [("set", "file_path", "reason"), *left_out])
    (folder / "ATTRIBUTION.md").write_text(_attribution(curated), encoding="utf8")
    (folder / "TABLE.md").write_text(summary(curated) + "\n", encoding="utf8")


def summary(curated: Sequence[CuratedSet]) -> str:
    """Return a Markdown table of the sets: files, hours, median bandwidth, files left out."""
    rows = []
    for made in curated:
        widths = sorted(one.bandwidth_hz for one in made.used)
        middle = f"{widths[len(widths) // 2] / 1000:.1f} kHz" if widths else ""
        stages = ", ".join(made.about.stages)
        counts = str(len(made.used)), f"{made.hours:.2f}", middle, str(len(made.left_out))
        rows.append([made.name, stages, *counts])
    return table(["set", "stages", "files", "hours", "median bandwidth", "left out"], rows)


def _attribution(curated: Sequence[CuratedSet]) -> str:
    """Return the credits of all files that are used."""
    parts = ["# Attribution\n\nThe training data are from these sets."]
    for made in curated:
        home = f" ({made.about.home})" if made.about.home else ""
        licences = ", ".join(sorted({one.file.licence for one in made.used})) or "none is used"
        parts.append(f"## {made.about.title}{home}\n\nLicences of the files: {licences}.")
        credits = [(one.file.path.name, _credit(one.file)) for one in made.used]
        rows = [[name, *credit] for name, credit in credits if any(credit[:3])]
        if rows:
            parts.append(table(["file", "author", "title", "source", "licence"], rows))
    return "\n\n".join(parts) + "\n"


def _credit(file: Described) -> list[str]:
    fields = (file.author, file.title, file.source, file.licence)
    return [" ".join(text.replace("|", "/").split()) for text in fields]
