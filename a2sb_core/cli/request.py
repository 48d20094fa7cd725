"""The restoration that a user asked for: one task, or a chain of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from a2sb_core.cli.damage import PARAMETER, DamageTexts, parameters_of
from a2sb_core.cli.options import ModelOptions, RequestOptions, read_size
from a2sb_core.config.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from a2sb_core.restoration.chain import Chain
    from a2sb_core.restoration.options import RestoreOptions
    from a2sb_core.restoration.restorer import Restorer

Value = TypeVar("Value")


@dataclass(frozen=True)
class Request:
    """The steps of a restoration, of which most have only one.

    Attributes:
        chosen: options of the models.
        models: the model of each step.
        options_for: options of each step for a recording; some texts name a file beside it.
    """

    chosen: ModelOptions
    models: tuple[str, ...]
    options_for: Callable[[Path], tuple[RestoreOptions, ...]]

    def loader(self) -> Callable[[], tuple[Restorer, ...]]:
        """Return the function that loads the model of each step, each model once.

        Raises:
            typer.BadParameter: an option is malformed.
        """
        chosen, max_bytes = self.chosen, read_size(self.chosen.max_memory)

        def load() -> tuple[Restorer, ...]:
            from a2sb_core.restoration.chain import load_restorers

            return load_restorers(
                self.models,
                chosen.device,
                chosen.precision,
                compile=chosen.compile_network,
                max_bytes=max_bytes,
                backend=chosen.backend,
            )

        return load

    def chain(self, load: Callable[[], Sequence[Restorer]], recording: Path) -> Chain:
        """Return the chain that restores a recording; its options are read before the models."""
        from a2sb_core.restoration.chain import Chain

        options = self.options_for(recording)
        return Chain(list(zip(load(), options, strict=True)))


def read_request(request: RequestOptions, damage: DamageTexts, chosen: ModelOptions) -> Request:
    """Return the restoration that the options of the command line describe.

    Raises:
        typer.BadParameter: options are malformed, or contradict each other.
        ConfigError: the file of a chain is invalid.
    """
    from a2sb_core.restoration.options import RestoreOptions

    if request.chain is not None:
        return _read_file(request.chain, request, damage, chosen)
    tasks = tuple(request.task or ())
    if not tasks:
        raise typer.BadParameter("name a task, or a file by --chain", param_hint="--task")
    models = _for_each(chosen.model or [DEFAULT_MODEL], len(tasks), "--model")
    steps = _for_each(request.steps or [None], len(tasks), "--steps")
    damage.check(tasks)
    damage.read()  # fail now where a text is malformed
    given = _parameters(request.parameter, tasks)

    def options_for(recording: Path) -> tuple[RestoreOptions, ...]:
        return tuple(
            RestoreOptions(
                task,
                given[task] | damage.of(task, tasks).read(recording),
                steps[number],
                request.seed,
                request.sample_rate if number == len(tasks) - 1 else None,
                request.stereo,
                request.amount,
                request.level if number == 0 else None,
                request.level_db,
            )
            for number, task in enumerate(tasks)
        )

    return Request(chosen, tuple(models), options_for)


def _read_file(
    path: Path, request: RequestOptions, damage: DamageTexts, chosen: ModelOptions
) -> Request:
    """Return the chain of a file, which states everything that the options of a step do."""
    from a2sb_core.config.chain import ChainConfig
    from a2sb_core.config.loading import load_config
    from a2sb_core.restoration.chain import options_of

    usual = RequestOptions(chain=path)
    names = [one.name for one in fields(RequestOptions)]
    extra = [name for name in names if getattr(request, name) != getattr(usual, name)]
    flags = [f"--{name.replace('_', '-')}" for name in extra] + damage.given()
    flags += ["--model"] if chosen.model else []
    if flags:
        raise typer.BadParameter(f"state it for each step in {path}", param_hint=flags[0])
    config = load_config(ChainConfig, path)
    options = tuple(options_of(step) for step in config.chain)
    return Request(chosen, tuple(step.model for step in config.chain), lambda _: options)


def _for_each(values: Sequence[Value], count: int, flag: str) -> Sequence[Value]:
    """Return one value for each step, from as many values or from one for all."""
    if len(values) not in (1, count):
        raise typer.BadParameter(
            f"there are {count} tasks, but {len(values)} values: give one for all or one for each",
            param_hint=flag,
        )
    return list(values) * count if len(values) == 1 else values


def _parameters(texts: list[str] | None, tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read NAME=VALUE or TASK.NAME=VALUE for each task."""
    found: dict[str, dict[str, Any]] = {task: {} for task in tasks}
    for name, value in parameters_of(texts).items():
        task, dot, own = name.partition(".")
        if dot and task in found:
            found[task][own] = value
        elif len(found) == 1:
            found[tasks[0]][name] = value
        else:
            raise typer.BadParameter(
                f"state the task of `{name}`, such as {tasks[0]}.{name}=VALUE", param_hint=PARAMETER
            )
    return found
