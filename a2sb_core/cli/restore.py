"""``a2sb restore``: one file or many, or a pipe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from a2sb_core.cli import batch, completing
from a2sb_core.cli import dry_run as forecast
from a2sb_core.cli.damage import damage_asked, gaps_of, parameters_asked, sentence
from a2sb_core.cli.engines import (
    AddressOption,
    Engine,
    EngineOption,
    GpusOption,
    RetriesOption,
    WorkersOption,
    engine_asked,
)
from a2sb_core.cli.options import DeviceOption, ModelOption, PrecisionOption
from a2sb_core.cli.output import Progress, print_json, showing
from a2sb_core.cli.sound import (
    BitDepth,
    BitDepthOption,
    ClipMode,
    ClipModeOption,
    Format,
    FormatOption,
    SampleRateOption,
    StereoMode,
    StereoOption,
    as_written,
)

if TYPE_CHECKING:
    from a2sb_core.engine.batch import Pair, RestoreOne
    from a2sb_core.engine.model import Model
    from a2sb_core.engine.restorer import Restorer
    from a2sb_core.interfaces import FrozenConfig


WRITTEN = ("overwrite", "clip_mode", "bit_depth")
"""Options that only matter where something is written."""


def restore(
    sources: Annotated[
        list[Path], typer.Argument(metavar="IN...", help="Audio files, folders, or patterns.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", show_default=False,
                          help="The file to write; for several files a folder, or its URL.")
    ],
    task: Annotated[
        str, typer.Option(show_default=False, autocompletion=completing.tasks,
                          help="bandwidth or inpaint; a model may know more tasks.")
    ],
    cutoff: Annotated[
        str, typer.Option(metavar="auto|HZ", help="bandwidth: where the energy of IN ends.")
    ] = "auto",
    gap: Annotated[
        list[str] | None,
        typer.Option(metavar="auto|START:END", show_default="auto",
                     help="inpaint: a stretch to fill (seconds); repeatable.")
    ] = None,
    gap_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="inpaint: stretches to fill, as CSV or labels of an "
                     "audio editor; {stem}.txt is one beside each IN.")
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Other tasks: what is known of the damage.")
    ] = None,
    model: ModelOption = "small",
    steps: Annotated[
        int | None, typer.Option(min=1, show_default="the model's",
                                 help="More are slower and finer.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    max_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", show_default="a share of what is free",
                                 help="What model and work may take of the device, as 2GB.")
    ] = None,
    compile_network: Annotated[
        bool, typer.Option("--compile", help="Compile the network first: for long recordings.")
    ] = False,
    audio_format: FormatOption = None,
    bit_depth: BitDepthOption = BitDepth.keep,
    sample_rate: SampleRateOption = None,
    stereo: StereoOption = StereoMode.lr,
    clip_mode: ClipModeOption = ClipMode.clamp,
    filename: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="Names in a folder: {stem} and {ext} are IN's.")
    ] = "{stem}.restored{ext}",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out files whose output is there.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would be done: damage, time, memory.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Write what became of each file.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted run of the same settings.")
    ] = False,
    engine: EngineOption = Engine.local,
    address: AddressOption = None,
    workers: WorkersOption = None,
    gpus_per_worker: GpusOption = None,
    retries: RetriesOption = None,
    progress: Annotated[
        Progress, typer.Option(help="auto: a bar or lines; json: a JSON object a line (stderr).")
    ] = Progress.auto,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Restore files: extend their bandwidth, or fill gaps. IN and OUT may be - for a pipe.

    Several files, folders and patterns are restored into the folder OUT with one model; a file that
    fails does not stop the others. Exit codes: 0 all done, 1 error, 2 wrong usage, 3 some files
    failed, 130 interrupted.
    """
    from a2sb_core.engine.batch import InTurn

    asked = damage_asked(task, cutoff, gap, gap_file)
    asked |= {"task": task, "steps": steps, "seed": seed}
    asked["parameters"] = parameters_asked(parameter or [])
    max_bytes = _bytes(max_memory)

    def load() -> Restorer:
        from a2sb_core.engine.restorer import Restorer

        return Restorer.from_pretrained(
            model, device, precision, compile=compile_network, max_bytes=max_bytes
        )

    how = {
        "overwrite": overwrite, "clip_mode": clip_mode.value, "bit_depth": bit_depth.value,
        "output_rate": sample_rate, "stereo": stereo.value,
    }
    is_far = engine is not Engine.local  # a worker that takes another's place goes on
    work = InTurn(lambda: _each(load(), resume or is_far, gap_file, asked | how),
                  skip_existing or not overwrite)
    run = engine_asked(engine, work, address, workers, gpus_per_worker, retries)
    pairs = _pairs(sources, output, filename, audio_format, is_far)
    if dry_run:
        told = pairs or _as_pairs(_single(sources[0], Path(output), filename, audio_format))
        forecast.tell(told, skip_existing, lambda: _look(load(), gap_file, asked | how), as_json)
        return
    if pairs is None:
        pair = _single(sources[0], Path(output), filename, audio_format)
        if skip_existing and pair[1].exists():
            typer.echo(f"{pair[1]} is there already")
            return
        how |= gaps_of(sources[0], gap_file)
        _restore_one(pair, load, _Told(progress, quiet, as_json, model), resume, asked | how)
        return
    if as_json:
        raise typer.BadParameter("for several files use --report", param_hint="--json")
    batch.restore_all(
        pairs, batch.Options(overwrite, skip_existing, report, progress, quiet), run
    )


@dataclass(frozen=True)
class _Told:
    """What is printed of one file."""

    progress: Progress
    quiet: bool
    as_json: bool
    model: str


def _pairs(
    sources: list[Path], output: str, filename: str, audio_format: Format | None, is_far: bool
) -> list[Pair] | None:
    """Return what is to be done for many files, or elsewhere; None for a single one here."""
    from a2sb_core.engine.batch import is_many, plan
    from a2sb_core.engine.remote import is_url, plan_at

    is_piped = [str(source) for source in sources] == ["-"]
    suffix = audio_format and f".{audio_format.value}"
    if is_far or is_url(output):
        if is_piped or output == "-":
            raise typer.BadParameter("a pipe is restored on this machine, into a pipe or file")
    elif is_piped or not is_many(sources):
        return None
    if is_url(output):
        return plan_at(sources, output, filename, suffix)
    if Path(output).exists() and not Path(output).is_dir():
        raise typer.BadParameter(f"{output} is a file; several files need a folder",
                                 param_hint="--output")
    return plan(sources, Path(output), filename, suffix)


def _single(
    source: Path, output: Path, filename: str, audio_format: Format | None
) -> tuple[Path, Path]:
    from a2sb_core.engine.batch import plan

    if not output.is_dir():
        return source, as_written(output, audio_format)
    suffix = audio_format and f".{audio_format.value}"
    return source, plan([source], output, filename, suffix)[0].target


def _as_pairs(pair: tuple[Path, Path]) -> list[Pair]:
    from a2sb_core.engine.batch import Pair

    if "-" in map(str, pair):
        raise typer.BadParameter("a pipe can not be looked into beforehand",
                                 param_hint="--dry-run")
    return [Pair(*pair)]


def _look(restorer: Restorer, gap_file: str | None, options: dict[str, Any]) -> forecast.Look:
    """Return what looks into one file."""
    from a2sb_core.engine.forecast import Forecaster

    forecaster = Forecaster(restorer)
    known = {name: value for name, value in options.items() if name not in WRITTEN}
    return lambda source: forecaster.forecast(source, **known, **gaps_of(source, gap_file))


def _each(
    restorer: Restorer, resume: bool, gap_file: str | None, options: dict[str, Any]
) -> RestoreOne:
    """Return what restores one of many files."""
    from a2sb_core.engine.part import part_path

    def restore_one(
        pair: Pair, on_step: Callable[..., None], on_note: Callable[[str], None]
    ) -> FrozenConfig | None:
        is_begun = resume and part_path(pair.target).exists()
        return restorer.restore_file(
            pair.source, pair.target, resume=is_begun, progress=on_step, on_note=on_note,
            **options, **gaps_of(pair.source, gap_file),
        )

    return restore_one


def _restore_one(
    pair: tuple[Path, Path], load: Callable[[], Restorer], told: _Told, resume: bool,
    options: dict[str, Any],
) -> None:
    """Restore a single file or a pipe, and tell about it."""
    source, target = pair
    is_piped, is_told = str(target) == "-", not (told.quiet or told.as_json)

    from a2sb_core.engine.filing import check_paths

    check_paths(source, target, overwrite=options["overwrite"], resume=resume)
    restorer, started = load(), time.monotonic()
    notes: list[str] = []

    def tell(found: FrozenConfig | None) -> None:
        if is_told:
            typer.echo(sentence(_as_dict(found)), err=is_piped)

    with showing(told.progress, told.quiet) as on_step:
        found = restorer.restore_file(
            source, target, resume=resume, progress=on_step, on_damage=tell, on_note=notes.append,
            **options,
        )
    seconds = time.monotonic() - started
    if is_told:
        typer.echo(": ".join((f"wrote {target} in {seconds:.1f} s", *notes)), err=is_piped)
    if told.as_json:
        steps = options["steps"] or _default_steps(restorer.model, options["task"])
        print_json({
            "input": source, "output": target, "task": options["task"], "found": _as_dict(found),
            "restored": found is not None, "seconds": round(seconds, 3), "model": told.model,
            "steps": steps, "seed": options["seed"], "notes": notes,
        }, err=is_piped)


def _as_dict(found: FrozenConfig | None) -> dict[str, Any] | None:
    return None if found is None else found.model_dump(mode="json")


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        raise typer.BadParameter(
            f"`{text}` is not a size such as 500MB or 2GB", param_hint="--max-memory"
        ) from None


def _default_steps(model: Model, task: str) -> int | None:
    """Return the number of steps that the model takes for a task where none is asked for."""
    sampler = model.sampler.config
    own = getattr(sampler, "steps", None) or getattr(
        getattr(sampler, "inner", None), "steps", None
    )
    return model.config.steps.get(task, own)
