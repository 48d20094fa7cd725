"""``a2sb train``: a training run from a configuration."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from a2sb_core.cli.options import ConfigArgument, QuietOption, SetOption
from a2sb_core.cli.output import progress

SMOOTHING = 0.05
"""Weight of the newest loss in the smoothed one that is shown."""


def train(
    source: ConfigArgument,
    overrides: SetOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Resume from the newest checkpoint of the output folder, or start over.",
        ),
    ] = True,
    quiet: QuietOption = False,
) -> None:
    """Train a model. Paths in the configuration are relative to the current folder.

    For several GPUs: accelerate launch --multi_gpu --num_processes 8 --no_python a2sb train CONFIG
    (with --use_fsdp in place of --multi_gpu, the weights are sharded over them).
    """
    from a2sb_core.config.loading import load_config
    from a2sb_core.config.training import TrainConfig

    config = load_config(TrainConfig, source, overrides or [])

    from a2sb_core.training.trainer import Trainer

    trainer = Trainer(config)
    quiet = quiet or not trainer.accelerator.is_main_process
    with progress("training", quiet) as show, _log(quiet):
        smooth: float | None = None

        def on_step(step: int, loss: float) -> None:
            nonlocal smooth
            smooth = loss if smooth is None else smooth + SMOOTHING * (loss - smooth)
            show(step, config.steps, f"loss {smooth:.4f}")

        trainer.run(resume, on_step)
    if not quiet:
        typer.echo(f"wrote {config.output / 'model'}")


@contextmanager
def _log(quiet: bool) -> Iterator[None]:
    """Print the log of the trainer: all of it, or only warnings."""
    log, handler = logging.getLogger("a2sb_core"), logging.StreamHandler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
