"""Options that commands take, each with its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from a2sb_core.audio.choices import AudioFormat, BitDepth, ClipMode, Stereo
from a2sb_core.cli import completion
from a2sb_core.common.limits import LOUDEST_DB, SOFTEST_DB
from a2sb_core.config.defaults import DEFAULT_MODEL, TEMPLATE, BackendName

ProgressStyle = Literal["auto", "json"]
EngineName = Literal["local", "ray"]

ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, or the name of a preset.",
        autocompletion=completion.configurations,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change a field; repeatable."),
]
ModelOption = Annotated[
    str,
    typer.Option(
        help="Name of a model, a model folder, or a hub id.", autocompletion=completion.models
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="Device to compute on: auto, cpu, cuda, cuda:1 or mps.",
        autocompletion=completion.devices,
    ),
]
HostOption = Annotated[
    str, typer.Option(help="Address to listen at; 127.0.0.1: this machine only, 0.0.0.0: all.")
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        help="Precision of the network: auto, fp32 or bf16.", autocompletion=completion.precisions
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]

SourcesArgument = Annotated[
    list[Path], typer.Argument(metavar="IN...", help="Audio files, folders, patterns; - is stdin.")
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="OUT",
        show_default=False,
        help="File to write, - for stdout; for several files a folder, or its URL.",
    ),
]


@dataclass(frozen=True)
class RequestOptions:
    """The restoration that is wanted."""

    task: Annotated[
        list[str] | None,
        typer.Option(
            show_default=False,
            autocompletion=completion.tasks,
            help="Task of the model; `a2sb models` lists the tasks of each. Several tasks are a "
            "chain: each restores the result of the one before.",
        ),
    ] = None
    chain: Annotated[
        Path | None,
        typer.Option(
            metavar="YAML", help="File that describes a chain of restorations, in place of --task."
        ),
    ] = None
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Another parameter of the damage, by its name; repeatable. In a chain: "
            "TASK.NAME=VALUE.",
        ),
    ] = None
    steps: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            show_default="the model's",
            help="Evaluations of the network; more are slower and finer. In a chain: one value, or "
            "one for each task.",
        ),
    ] = None
    seed: Annotated[
        int, typer.Option(help="Seed of the noise; the same seed gives the same result.")
    ] = 0
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="HZ",
            show_default="that of the input, or what the task needs",
            help="Sample rate of the output in Hz.",
        ),
    ] = None
    stereo: Annotated[
        Stereo,
        typer.Option(
            help="Channels to restore: left and right, middle and side, or their mean as one."
        ),
    ] = "lr"
    amount: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of the change in the output: 0 is the input, 1 all of it."
        ),
    ] = 1.0
    level_db: Annotated[
        float,
        typer.Option(
            min=SOFTEST_DB,
            max=LOUDEST_DB,
            metavar="DB",
            help="Gain in dB of what the restoration adds, such as 3 for louder treble.",
        ),
    ] = 0.0
    level: Annotated[
        float | None,
        typer.Option(
            metavar="DBFS",
            show_default="measured",
            help="Root-mean-square level of the undamaged audio in dBFS, for a pipe whose "
            "beginning is quieter than the rest.",
        ),
    ] = None


@dataclass(frozen=True)
class ModelOptions:
    """The model, and the device that it runs on."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            show_default=DEFAULT_MODEL,
            help="Name of a model, a model folder, or a hub id. In a chain: one model, or one for "
            "each task.",
            autocompletion=completion.models,
        ),
    ] = None
    device: DeviceOption = "auto"
    precision: PrecisionOption = "auto"
    backend: Annotated[
        BackendName,
        typer.Option(
            help="Backend of the network: PyTorch, or ONNX Runtime on the CPU, in 8 bits with "
            "onnx-int8."
        ),
    ] = "torch"
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            show_default="a share of the free memory of a GPU",
            help="Largest memory of the device for the model and its work, such as 2GB. A "
            "restoration that would take more is refused.",
        ),
    ] = None
    compile_network: Annotated[
        bool, typer.Option("--compile", help="Compile the network first, for long recordings.")
    ] = False


@dataclass(frozen=True)
class FileOptions:
    """The files that are written."""

    audio_format: Annotated[
        AudioFormat | None,
        typer.Option("--format", show_default="by the name of OUT", help="Format of the output."),
    ] = None
    bit_depth: Annotated[
        BitDepth,
        typer.Option(
            help="Bits of a sample; keep: those of the input, where the output's format holds them."
        ),
    ] = "keep"
    clip_mode: Annotated[
        ClipMode, typer.Option(help="Treatment of a result that exceeds full scale.")
    ] = "clamp"
    filename: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="Names of outputs in a folder; {stem} and {ext} are those of the input.",
        ),
    ] = TEMPLATE
    overwrite: OverwriteOption = False
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out inputs whose output exists.")
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run of the same settings.")
    ] = False

    @property
    def suffix(self) -> str | None:
        """Suffix of the format, where one is wanted."""
        return self.audio_format and f".{self.audio_format}"


@dataclass(frozen=True)
class EngineOptions:
    """The processes that restore many files."""

    engine: Annotated[
        EngineName, typer.Option(help="Where many files are restored: here, or on a Ray cluster.")
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            show_default="$RAY_ADDRESS, or this machine",
            help="ray: address of the cluster.",
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default="as many as there is room for",
            help="ray: number of processes that hold the model.",
        ),
    ] = None
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            min=0,
            show_default="1 if there are any",
            help="ray: GPUs of each worker; 0.5 lets two share one.",
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            min=0, show_default="1", help="ray: number of times that a failed file is tried again."
        ),
    ] = None


@dataclass(frozen=True)
class ShownOptions:
    """Output on the terminal, and reports."""

    progress: Annotated[
        ProgressStyle,
        typer.Option(help="Progress on stderr: auto is a bar or lines, json is an object a line."),
    ] = "auto"
    quiet: QuietOption = False
    as_json: JsonOption = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only report the damage, the time and the memory needed."),
    ] = False
    report: Annotated[
        Path | None, typer.Option(metavar="JSON", help="File to write a report on each input to.")
    ] = None


def read_size(text: str | None) -> int | None:
    """Return the bytes of a value of --max-memory such as 2GB; None for None."""
    if text is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise typer.BadParameter(
            f"`{text}` is not a size such as 500MB or 2GB", param_hint="--max-memory"
        ) from None
