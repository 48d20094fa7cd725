"""What users say of the damage: cutoff, gaps, parameters; and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

AUTO = "auto"


def damage_asked(
    task: str, cutoff: str, gaps: list[str] | None, gap_file: str | None
) -> dict[str, Any]:
    """Read what the user says is missing; nothing means: find it."""
    asked: dict[str, Any] = {}
    if cutoff != AUTO:
        asked["cutoff_hz"] = _hertz(cutoff)
    stretches = [gap for gap in gaps or [] if gap != AUTO]
    if stretches:
        asked["gaps_s"] = [_seconds(gap) for gap in stretches]
    if stretches and (len(stretches) < len(gaps or []) or gap_file):
        raise typer.BadParameter(
            "give stretches, or `auto`, or a --gap-file, not several of them", param_hint="--gap"
        )
    if task == "bandwidth" and (gaps or gap_file):
        raise typer.BadParameter("belongs to `--task inpaint`", param_hint="--gap")
    if task == "inpaint" and cutoff != AUTO:
        raise typer.BadParameter("belongs to `--task bandwidth`", param_hint="--cutoff")
    return asked


def gaps_of(source: Path, gap_file: str | None) -> dict[str, Any]:
    """Read the list of gaps of an input; ``{stem}`` names a file beside it.

    Raises:
        AudioError: it can not be read, or holds something else.
    """
    if gap_file is None:
        return {}
    from a2sb_core.audio.gap_lists import read_gaps

    if "{stem}" in gap_file:
        return {"gaps_s": read_gaps(source.parent / gap_file.replace("{stem}", source.stem))}
    return {"gaps_s": read_gaps(gap_file)}


def parameters_asked(texts: list[str]) -> dict[str, Any]:
    """Read NAME=VALUE; values are YAML."""
    import yaml

    read: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            read[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not (name and equals):
            raise typer.BadParameter(
                f"`{text}` is not NAME=VALUE, such as drive_db=6", param_hint="--parameter"
            )
    return read


def sentence(found: dict[str, Any] | None) -> str:
    """Tell what will be restored."""
    if found is None:
        return "found nothing to restore: the audio is copied as it is"
    if "cutoff_hz" in found:
        return f"energy ends at {found['cutoff_hz']:.0f} Hz, extending above"
    if "gaps_s" in found:
        gaps = found["gaps_s"]
        total_s = sum(end - start for start, end in gaps)
        return f"filling {len(gaps)} gap{'s' * (len(gaps) > 1)}, {total_s:.4g} s in all"
    known = [f"{name} = {value}" for name, value in found.items() if value is not None]
    return f"restoring: {', '.join(known)}" if known else "restoring all of the audio"


def _hertz(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise typer.BadParameter(
            f"`{text}` is neither `auto` nor a frequency in Hz above 0", param_hint="--cutoff"
        )
    return value


def _seconds(text: str) -> tuple[float, float]:
    start_text, _, end_text = text.partition(":")
    try:
        start, end = float(start_text), float(end_text)
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is neither `auto` nor START:END in seconds, such as 1.5:1.8",
            param_hint="--gap",
        ) from None
    if not 0 <= start < end < float("inf"):
        raise typer.BadParameter(
            f"`{text}`: a gap must start at 0 s or later and end after its start",
            param_hint="--gap",
        )
    return start, end
