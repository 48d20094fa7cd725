"""Installed packages and their versions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PROJECT = "a2sb"
UNKNOWN = "unknown"


def installed_version(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def version_or_unknown(distribution: str = PROJECT) -> str:
    """Return the version of a distribution, by default of this one; ``unknown`` if not installed.

    A source tree of this project that is not installed has no version either.
    """
    return installed_version(distribution) or UNKNOWN
