"""Options of what is written: format, depth, rate, channels, and what exceeds full scale."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """Formats by the names people know them by; each is the suffix of its files."""

    wav = "wav"
    flac = "flac"
    ogg = "ogg"
    mp3 = "mp3"


class BitDepth(StrEnum):
    """Depths of the samples."""

    keep = "keep"
    int16 = "16"
    int24 = "24"
    int32 = "32"
    float32 = "float"


class ClipMode(StrEnum):
    """What is done to a result that exceeds full scale."""

    clamp = "clamp"
    rescale = "rescale"
    none = "none"


class StereoMode(StrEnum):
    """What of two channels is restored."""

    lr = "lr"
    ms = "ms"
    mono = "mono"


FormatOption = Annotated[
    Format | None,
    typer.Option("--format", show_default="IN's, or as OUT is named", help="Of what is written.")
]
BitDepthOption = Annotated[
    BitDepth, typer.Option(help="Of what is written; keep: IN's, where the format holds it.")
]
SampleRateOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="HZ", show_default="IN's; bandwidth: the model's at least",
                 help="Of what is written.")
]
ClipModeOption = Annotated[
    ClipMode, typer.Option(help="What is done where the result exceeds full scale.")
]
StereoOption = Annotated[
    StereoMode,
    typer.Option(help="Restore left and right, middle and side, or their mean as one channel.")
]


def as_written(output: Path, audio_format: Format | None) -> Path:
    """Return the file to write in a format, its suffix added where there is none.

    Raises:
        typer.BadParameter: it is named as another format, or is a pipe.
    """
    if audio_format is None:
        return output
    suffix = f".{audio_format.value}"
    if str(output) == "-":
        raise typer.BadParameter("a pipe is WAV; leave it out", param_hint="--format")
    if not output.suffix:
        return output.with_name(output.name + suffix)
    if output.suffix.lower() != suffix:
        raise typer.BadParameter(
            f"{output} is named as another format than {audio_format.value}; name it "
            f"{output.with_suffix(suffix).name}, or leave out --format", param_hint="--format"
        )
    return output
