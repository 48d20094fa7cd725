"""Which of the packages that this project declares are installed, and in which version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement

OWN = "a2sb"
COMPILED = ("numpy", "torch", "torchaudio", "soundfile", "soxr")
"""Packages with libraries of their own, whose import is what goes wrong."""

PURPOSES = {
    "evaluate": "the metric visqol", "media": "reading M4A, WMA, video and more",
    "notes": "the metric note_f1", "ray": "`a2sb restore --engine ray`",
    "web": "the page of `a2sb web`",
}
"""What the optional packages are for, by the name of the extra."""


@dataclass(frozen=True)
class Misfit:
    """A package that is missing, or of a version that does not do."""

    name: str
    requirement: str
    found: str

    def __str__(self) -> str:
        found = f" {self.found} is installed" if self.found else " is not installed"
        return f"{self.name}{found}; {self.requirement} is needed"


@dataclass(frozen=True)
class Extra:
    """An optional part, with the packages of it that are there and that are not."""

    name: str
    found: tuple[str, ...]
    missing: tuple[str, ...]


def version_of(name: str) -> str:
    """Return the version of an installed distribution, or an empty text."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def own_version() -> str:
    """Return the version of this project."""
    return version_of(OWN) or "of a source tree"


def requirements(extra: str = "") -> list[Requirement]:
    """Return what must be installed on this machine, or only what an extra adds."""
    try:
        declared = [Requirement(text) for text in requires(OWN) or ()]
    except PackageNotFoundError:
        return []
    always = [one for one in declared if one.marker is None or one.marker.evaluate({"extra": ""})]
    if not extra:
        return always
    return [one for one in declared
            if one not in always and one.marker and one.marker.evaluate({"extra": extra})]


def misfits(wanted: Iterable[Requirement]) -> Iterator[Misfit]:
    """Yield the requirements that are not met."""
    for one in wanted:
        found = version_of(one.name)
        if not found or not one.specifier.contains(found, prereleases=True):
            yield Misfit(one.name, f"{one.name}{one.specifier}", found)


def extras() -> Iterator[Extra]:
    """Yield the optional parts that users may want: those with a purpose."""
    try:
        declared = metadata(OWN).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        declared = []
    for name in sorted(set(declared) & PURPOSES.keys()):
        wanted = requirements(name)
        missing = {misfit.name for misfit in misfits(wanted)}
        there = [one.name for one in wanted if one.name not in missing]
        yield Extra(name, tuple(f"{one} {version_of(one)}" for one in there),
                    tuple(one.name for one in wanted if one.name in missing))
