"""Options of damage, which plugins declare."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from a2sb_core.plugins import DamageOption, DamageTextError, default_registry, read_damage

PARAMETER = "--parameter"


@dataclass(frozen=True)
class DamageTexts:
    """The texts that a user gave for the declared options, by their flags."""

    texts: dict[str, list[str]]

    @classmethod
    def parameters(cls) -> list[inspect.Parameter]:
        """Return the declared options as parameters of a command."""
        return [_parameter(option) for option in default_registry().options]

    @classmethod
    def collect(cls, values: dict[str, Any]) -> DamageTexts:
        """Return the texts for the values of the options.

        An option whose name the command has already gives no list, and is left out.
        """
        declared = default_registry().options
        given = {option.flag: values[option.name] or [] for option in declared}
        return cls({flag: texts for flag, texts in given.items() if isinstance(texts, list)})

    def check(self, tasks: Sequence[str]) -> None:
        """Refuse options of other tasks, where all tasks have options of their own.

        Raises:
            typer.BadParameter: an option belongs to another task.
        """
        declared = default_registry().options
        if not {option.task for option in declared}.issuperset(tasks):
            return
        for option in declared:
            if self.texts.get(option.flag) and option.task not in tasks:
                raise typer.BadParameter(
                    f"it belongs to `--task {option.task}`", param_hint=option.flag
                )

    def of(self, task: str, tasks: Sequence[str]) -> DamageTexts:
        """Return the texts for one of several tasks.

        A task without options of its own gets those that belong to none of the tasks.
        """
        owners = {option.flag: option.task for option in default_registry().options}
        has_own = task in owners.values()
        return DamageTexts(
            {
                flag: texts
                for flag, texts in self.texts.items()
                if owners[flag] == task or not (has_own or owners[flag] in tasks)
            }
        )

    def given(self) -> list[str]:
        """Return the flags of the options that the user gave."""
        return [flag for flag, texts in self.texts.items() if texts]

    def read(self, recording: Path | None = None) -> dict[str, Any]:
        """Return the parameters that the texts specify for a recording.

        Raises:
            typer.BadParameter: a text is malformed.
            AudioError: a file that an option names cannot be read.
        """
        try:
            return read_damage(default_registry().options, self.texts, recording)
        except DamageTextError as error:
            raise typer.BadParameter(str(error), param_hint=error.flag) from error


def _parameter(option: DamageOption) -> inspect.Parameter:
    """Return the parameter of a command for a declared option."""
    text = f"{option.task}: {option.help[:1].lower()}{option.help[1:]}"
    shown: str | bool = False if option.is_file else "auto"
    declared = typer.Option(option.flag, metavar=option.metavar, help=text, show_default=shown)
    kind = inspect.Parameter.KEYWORD_ONLY
    annotation = Annotated[list[str] | None, declared]
    return inspect.Parameter(option.name, kind, default=None, annotation=annotation)


def parameters_of(texts: list[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE, with values as YAML.

    Raises:
        typer.BadParameter: a text is something else.
    """
    import yaml

    read: dict[str, Any] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        try:
            read[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not (name and equals):
            raise typer.BadParameter(
                f"`{text}` is not NAME=VALUE, such as drive_db=6", param_hint=PARAMETER
            )
    return read
