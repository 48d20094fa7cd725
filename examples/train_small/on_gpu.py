"""Spend a short loan of one GPU on the training of `small`.

A machine with a GPU may be lent for half an hour, without a network, and with a limit on the size
of what is carried to it. The first command, at home, codes the training set and cuts it into
pieces:

    python examples/train_small/on_gpu.py pack data/small/manifest.csv runs/carry --piece-mib 60

On the GPU, the second command joins the pieces in fast memory, measures how long a step takes,
trains for the rest of the given time, evaluates the model on the validation files, and cuts the
model into pieces that can be carried back:

    python examples/train_small/on_gpu.py train runs/carry runs/gpu --minutes 25

The third command, at home, joins them to a model folder:

    python examples/train_small/on_gpu.py join runs/gpu/carry runs/gpu_model

The set is carried as Ogg Vorbis (about a fifth of its size); the coding removes content above about
20 kHz. Training reads WAV files, which are written once where the pieces are joined.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import soundfile

from a2sb_core.audio.manifests import read_manifest
from a2sb_core.common.files import atomic_folder, atomic_write_text
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.loading import load_config
from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import A2SBError, TrainingError
from a2sb_core.evaluation.reports import write_report
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.evaluation.statistics import summarize
from a2sb_core.training.trainer import Trainer

RECIPE = Path(__file__).with_name("guess.yaml")
PIECE = "piece_{:03d}"
MIB = 2**20
BLOCK = 2**14
"""Samples that are coded at once: libsndfile crashes on Ogg blocks of some minutes."""
TRIAL_STEPS = (4, 20)
"""Two short trainings, whose difference in time is that of the steps alone."""
SHARE = 0.8
"""Share of the time that is left for the training; the rest is for the evaluation."""


def code_track(source: Path, target: Path, quality: float) -> None:
    """Write a file as Ogg Vorbis.

    Args:
        source: audio file.
        target: the Ogg file.
        quality: 0 (smallest) to 1.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(source) as file:
        options = {"format": "OGG", "subtype": "VORBIS", "compression_level": 1 - quality}
        with soundfile.SoundFile(target, "w", file.samplerate, file.channels, **options) as written:
            for block in file.blocks(BLOCK, dtype="float32"):
                written.write(block)


def decode_track(source: Path, target: Path) -> None:
    """Write a coded file as 16-bit WAV."""
    target.parent.mkdir(parents=True, exist_ok=True)
    wave, rate = soundfile.read(source, dtype="float32", always_2d=True)
    soundfile.write(target, wave.clip(-1, 1), rate, subtype="PCM_16")


def convert(
    manifest: Path, out: Path, suffix: str, code: Callable[..., None], *options: Any
) -> Path:
    """Convert all files of a manifest, and write a manifest of the results to ``out``.

    Args:
        manifest: the manifest of the files.
        out: folder of the results.
        suffix: suffix of the results.
        code: function of the source, the target and ``options`` that converts a file.
        *options: further arguments of ``code``.

    Raises:
        TrainingError: the manifest or a file cannot be read.
    """
    rows = read_manifest(manifest, ("split", "file_path", "duration"))
    names = [str(Path(row.fields["file_path"]).with_suffix(suffix)) for row in rows]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(code, row.path, out / name, *options)
            for row, name in zip(rows, names, strict=True)
        ]
        try:
            for job in jobs:
                job.result()
        except (BrokenProcessPool, soundfile.LibsndfileError) as error:
            raise TrainingError(f"a file of {manifest} cannot be converted: {error}") from error
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].fields.keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {**row.fields, "file_path": name} for row, name in zip(rows, names, strict=True)
    )
    atomic_write_text(out / "manifest.csv", text.getvalue())
    return out / "manifest.csv"


def cut(folder: Path, out: Path, piece_bytes: int) -> list[Path]:
    """Write a folder as an archive that is cut into pieces of at most ``piece_bytes``.

    Raises:
        FileExistsError: ``out`` exists.
    """
    with atomic_folder(out) as partial, tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(folder, arcname=".")
        archive.seek(0)
        for number, block in enumerate(iter(lambda: archive.read(piece_bytes), b"")):
            (partial / PIECE.format(number)).write_bytes(block)
    return sorted(out.iterdir())


def join(pieces: Path, out: Path) -> Path:
    """Unpack the pieces of a folder in their order.

    Raises:
        TrainingError: there are no pieces, one is missing, or they are damaged.
        FileExistsError: ``out`` exists.
    """
    found = sorted(pieces.glob("piece_*"))
    if not found or [path.name for path in found] != [PIECE.format(i) for i in range(len(found))]:
        raise TrainingError(f"{pieces} does not hold all pieces: carry {PIECE.format(0)} and on")
    with atomic_folder(out) as partial, tempfile.TemporaryFile() as archive:
        for path in found:
            archive.write(path.read_bytes())
        archive.seek(0)
        try:
            with tarfile.open(fileobj=archive) as tar:
                tar.extractall(partial, filter="data")
        except tarfile.TarError as error:
            raise TrainingError(f"the pieces in {pieces} are incomplete or damaged") from error
    return out


def timed(config: TrainConfig, folder: Path, steps: int) -> float:
    """Return the time in seconds of a short training."""
    update = {"output": folder, "steps": steps, "validate_every": steps + 1}
    short = config.model_copy(update=update)
    start = time.monotonic()
    Trainer(short).run()
    return time.monotonic() - start


def steps_within(config: TrainConfig, folder: Path, seconds: float) -> int:
    """Return the number of training steps that fit into a time.

    Raises:
        TrainingError: the time is too short for any.
    """
    few, more = (timed(config, folder / f"{steps}", steps) for steps in TRIAL_STEPS)
    each = max((more - few) / (TRIAL_STEPS[1] - TRIAL_STEPS[0]), 1e-3)
    left = seconds - few - more
    steps = math.floor(left / each)
    print(f"a step takes {each:.2f} s: {max(steps, 0)} steps fit", flush=True)
    if steps < 1:
        raise TrainingError(f"{seconds / 60:.1f} minutes are too few: give more --minutes")
    return steps


def train(pieces: Path, out: Path, minutes: float, overrides: Sequence[str]) -> list[Path]:
    """Train for a given time and return the pieces of the model.

    Raises:
        A2SBError: the configuration, the pieces or the time do not allow it.
    """
    end = time.monotonic() + 60 * minutes
    fast = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=fast) as scratch:
        coded = join(pieces, Path(scratch, "coded"))
        manifest = convert(coded / "manifest.csv", Path(scratch, "set"), ".wav", decode_track)
        shutil.rmtree(coded)
        own = [f"data.source={manifest}", f"output={out / 'run'}", *overrides]
        config = load_config(TrainConfig, RECIPE, own)
        steps = steps_within(config, Path(scratch, "trials"), SHARE * (end - time.monotonic()))
        Trainer(config.model_copy(update={"steps": steps, "validate_every": steps})).run()
        model = out / "run" / "model"
        systems = ("small", str(model))
        evaluated = EvaluateConfig(source=manifest, output=out / "results", systems=systems)
        report = Evaluation(evaluated).run()
        write_report(report, summarize(report), evaluated.output)
    print((evaluated.output / "table.md").read_text(), flush=True)
    return cut(model, out / "carry", 15 * MIB)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 after an error, which is printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="code a training set and cut it into pieces")
    pack.add_argument("manifest", type=Path, help="manifest of the set")
    pack.add_argument("out", type=Path, help="new folder of the pieces")
    pack.add_argument("--piece-mib", type=float, default=60, help="largest piece, in MiB")
    pack.add_argument("--quality", type=float, default=0.45, help="quality of Ogg Vorbis, 0 to 1")
    run = commands.add_parser("train", help="train on the pieces for a given time")
    run.add_argument("pieces", type=Path, help="folder of the pieces")
    run.add_argument("out", type=Path, help="folder of the run")
    run.add_argument("--minutes", type=float, default=25, help="time for everything")
    run.add_argument(
        "--set", action="append", default=[], help="field of the configuration, as of a2sb train"
    )
    back = commands.add_parser("join", help="join the pieces of a folder")
    back.add_argument("pieces", type=Path, help="folder of the pieces")
    back.add_argument("out", type=Path, help="new folder")
    options = parser.parse_args(arguments)
    try:
        if options.command == "pack":
            with tempfile.TemporaryDirectory() as scratch:
                convert(options.manifest, Path(scratch), ".ogg", code_track, options.quality)
                made = cut(Path(scratch), options.out, int(options.piece_mib * MIB))
        elif options.command == "train":
            made = train(options.pieces, options.out, options.minutes, options.set)
        else:
            made = [join(options.pieces, options.out)]
    except (A2SBError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join(map(str, made)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
