"""Configuration of an evaluation: clips, protocols, systems and metrics, by name with options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.config.loading import apply_overrides, validate
from a2sb_core.errors import ConfigError
from a2sb_core.plugins import Entry, default_registry
from a2sb_core.plugins.component_config import FrozenConfig

DEGRADED = "degraded"
"""Name of the system that returns the damaged audio as it is."""


def _typical_protocols() -> tuple[str, ...]:
    return default_registry().typical("protocol")


def _typical_systems() -> tuple[str, ...]:
    return (DEFAULT_MODEL, *default_registry().typical("restorer"))


class EvaluateConfig(FrozenConfig):
    """One evaluation."""

    source: Path
    """A folder of audio, a manifest (CSV with a column file_path) or one audio file."""
    output: Path
    """Folder for results, tables and figures; results that it holds are not computed again."""
    split: str = "validation"
    """Split of the manifest that is evaluated."""
    tasks: tuple[str, ...] = Field(default_factory=_typical_protocols)
    """Protocols: ``FAMILY-ARGUMENT`` of a registered family, or names in ``protocols``."""
    protocols: Path | None = None
    """A YAML file that describes further protocols."""
    systems: tuple[str, ...] = Field(default_factory=_typical_systems)
    """Models and restorers: ``NAME``, ``NAME(OPTION=VALUE,...)``, ``MODEL@STEPS``; the option of a
    model is ``backend``."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels in tables for systems as written in ``systems`` (or with ``@STEPS``)."""
    metrics: tuple[str, ...] | None = None
    """Metrics, ``NAME`` or ``NAME(OPTION=VALUE,...)``; by default the typical ones of the built-in
    metrics that can run in this environment."""
    steps: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Numbers of sampler steps; every model is evaluated with each of them."""
    reference: str = DEGRADED
    """The system that the others are compared with clip by clip."""
    channels: Literal["mono", "each"] = "mono"
    """``mono`` takes the mean of the channels of every clip; ``each`` keeps them."""
    held_out: int | None = Field(None, ge=1)
    """Number of files of a folder that are evaluated, the last by path, as training sets them aside
    with ``data.validation_files``; default: all."""
    limit: int | None = Field(None, ge=1)
    """Largest number of clips, the first by name; default: all."""
    seed: int = 0
    """Random seed of the damage, the sampling and the bootstrap intervals."""
    device: str = "auto"
    """Device of the models: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    precision: str = "auto"
    """Precision of the networks: ``auto``, ``fp32`` or ``bf16``."""
    jobs: int = Field(1, ge=1)
    """Number of worker processes."""
    keep_audio: bool = False
    """Write the audio that the systems return."""
    fresh: bool = False
    """Compute everything again and discard earlier results in the output folder."""


@dataclass(frozen=True)
class Spec:
    """A component with options, as written on the command line: ``text`` is its label."""

    text: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)


def split_list(texts: Iterable[str]) -> tuple[str, ...]:
    """Split at commas outside brackets; a text that is an existing path is kept whole.

    Example:
        >>> split_list(["lsd,sispec(exponent=2,n_fft=512)", "visqol"])
        ('lsd', 'sispec(exponent=2,n_fft=512)', 'visqol')
    """
    return tuple(
        part for text in texts for part in ([text] if _is_path(text) else _split(text)) if part
    )


def _is_path(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # longer than a name may be
        return False


def parse_spec(text: str) -> Spec:
    """Parse ``NAME`` or ``NAME(OPTION=VALUE,...)``; values are YAML.

    Raises:
        ConfigError: the text has another form.

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


def build_component(kind: str, spec: Spec) -> tuple[Any, Entry]:
    """Build the registered component of a kind that a text names, with its options.

    Returns:
        The component and its entry in the registry.

    Raises:
        PluginError: no such component is registered.
        ConfigError: an option is unknown or its value is wrong.
    """
    registry = default_registry()
    config_class = registry.resolve(kind, spec.name).Config
    config = validate(config_class, dict(spec.options), spec.text)
    return config.build(), registry.entry(kind, spec.name)


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
