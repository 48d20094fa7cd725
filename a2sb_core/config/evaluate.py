"""What an evaluation compares: systems, tasks and metrics by name, with options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from a2sb_core.config.component import FrozenConfig
from a2sb_core.config.load import apply_overrides
from a2sb_core.errors import ConfigError

TASKS = ("bandwidth-4k", "bandwidth-8k", "gap-300")
SYSTEMS = ("small", "band_replication")
METRICS = ("lsd", "sispec", "sispec(exponent=2)", "lsd(region=missing)",
           "sispec(region=missing)", "visqol")


class EvaluateConfig(FrozenConfig):
    """One evaluation."""

    source: Path
    """A folder of audio, a manifest (CSV with a column file_path) or one audio file."""
    output: Path
    """The folder that takes results, tables and figures; what it holds is not computed again."""
    split: str = "validation"
    """Rows of the manifest that are taken."""
    tasks: tuple[str, ...] = TASKS
    """Protocols: ``bandwidth-4k``, ``gap-300`` and their like, or names in ``protocols``."""
    protocols: Path | None = None
    """A YAML file of protocols of one's own."""
    systems: tuple[str, ...] = SYSTEMS
    """Models and restorers: ``NAME``, ``NAME(OPTION=VALUE,...)``, ``MODEL@STEPS``."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Names in tables, of systems as they stand in ``systems`` (or with ``@STEPS``)."""
    metrics: tuple[str, ...] | None = None
    """Registered metrics, ``NAME`` or ``NAME(OPTION=VALUE,...)``; by default those of ``METRICS``
    that can run here."""
    steps: tuple[int, ...] = ()
    """Every model stands in the table once for each of these numbers of steps."""
    reference: str = "degraded"
    """The system that the others are compared with clip by clip."""
    channels: Literal["mono", "each"] = "mono"
    """``mono`` takes the mean of the channels of every clip; ``each`` keeps them."""
    limit: int | None = Field(None, ge=1)
    """Take only so many clips, the first by name."""
    seed: int = 0
    """Of what is random in damage and sampling."""
    device: str = "auto"
    """Of the models: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    precision: str = "auto"
    """Of the networks: ``auto``, ``fp32`` or ``bf16``."""
    jobs: int = Field(1, ge=1)
    """Processes that work at once."""
    keep_audio: bool = False
    """Write what the systems return."""
    fresh: bool = False
    """Compute everything, whatever the output holds."""

    @field_validator("steps")
    @classmethod
    def _positive(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if any(step < 1 for step in steps):
            raise ValueError("steps must be at least 1")
        return steps


@dataclass(frozen=True)
class Spec:
    """A part with options, as written on the command line: ``text`` is its label."""

    text: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)


def split_list(texts: Iterable[str]) -> tuple[str, ...]:
    """Split at commas that no bracket encloses; a text that is a path stays whole.

    Example:
        >>> split_list(["lsd,sispec(exponent=2,n_fft=512)", "visqol"])
        ('lsd', 'sispec(exponent=2,n_fft=512)', 'visqol')
    """
    return tuple(
        part for text in texts
        for part in ([text] if _is_path(text) else _split(text)) if part
    )


def _is_path(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # longer than a name may be
        return False


def parse_spec(text: str) -> Spec:
    """Read ``NAME`` or ``NAME(OPTION=VALUE,...)``; values are YAML.

    Raises:
        ConfigError: it is written otherwise.

    Example:
        >>> parse_spec("sispec(exponent=2)")
        Spec(text='sispec(exponent=2)', name='sispec', options={'exponent': 2})
    """
    if Path(text).exists() or "(" not in text:
        return Spec(text, text)
    name, _, inner = text.partition("(")
    if not name or not inner.endswith(")"):
        raise ConfigError(f"`{text}` is not NAME or NAME(OPTION=VALUE,...)")
    return Spec(text, name, apply_overrides({}, [part for part in _split(inner[:-1]) if part]))


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
