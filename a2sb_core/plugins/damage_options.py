"""Damage options: texts that specify the parameters of a corruption, read without torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a2sb_core.plugins.foreign_code import foreign_code

AUTO = "auto"
"""Text that requests to find the damage."""

STEM = "{stem}"
"""Placeholder for the name of the recording in the path of a file."""


class DamageTextError(ValueError):
    """The text of the option ``flag`` is malformed."""

    def __init__(self, flag: str, message: str) -> None:
        super().__init__(message)
        self.flag = flag


@dataclass(frozen=True)
class DamageOption:
    """One parameter of a damage, as an option of the command line and a field of the page.

    Attributes:
        task: the task whose damage it describes.
        parameter: the field of the corruption's ``Parameters`` that it sets.
        flag: the option, such as ``--cutoff``.
        metavar: placeholder of the value in help texts, such as ``HZ``.
        help: help text, which states the parameter and its unit.
        label: title of the field on the page; if it is empty, there is no field.
        parse: ``module:function`` that converts a text to a value; it raises ValueError with a
            sentence for people. The module must not import torch.
        show: ``module:function`` that converts a value to a text that ``parse`` reads.
        is_list: whether the parameter is a tuple; each use of the option then adds an element.
        is_file: whether the text is the path of a file from which ``parse`` reads the whole value;
            ``{stem}`` in it stands for the name of the recording without its suffix.
    """

    task: str
    parameter: str
    flag: str
    metavar: str
    help: str
    parse: str
    show: str = "builtins:str"
    label: str = ""
    is_list: bool = False
    is_file: bool = False

    @property
    def name(self) -> str:
        """Flag as a Python name, such as ``gap_file``."""
        return self.flag.lstrip("-").replace("-", "_")

    def read(self, texts: Sequence[str], recording: Path | None = None) -> Any | None:
        """Return the value that texts specify; None if they request to find the damage.

        Raises:
            DamageTextError: a text is malformed.
            AudioError: a file cannot be read.
        """
        given = [text.strip() for text in texts if text.strip()]
        if not given or given == [AUTO]:
            return None
        if self.is_file and recording is None and any(STEM in text for text in given):
            return None
        try:
            values = [_load(self.parse)(self._expanded(text, recording)) for text in given]
        except ValueError as error:
            raise DamageTextError(self.flag, str(error)) from error
        return values if self.is_list else values[-1]

    def text(self, value: Any) -> str:
        """Return a value as text, with one line for each element."""
        values = value if self.is_list else [value]
        return "\n".join(_load(self.show)(element) for element in values)

    def _expanded(self, text: str, recording: Path | None) -> str:
        if not self.is_file or STEM not in text or recording is None:
            return text
        return str(recording.parent / text.replace(STEM, recording.stem))


def read_damage(
    options: Iterable[DamageOption],
    texts: Mapping[str, Sequence[str]],
    recording: Path | None = None,
) -> dict[str, Any]:
    """Return the parameters that texts specify.

    Args:
        options: the available options.
        texts: the texts of each option, by its flag.
        recording: the file to restore, for options that name a file in its folder.

    Raises:
        DamageTextError: a text is malformed, or two options set one parameter.
        AudioError: a file cannot be read.
    """
    values: dict[str, Any] = {}
    for option in options:
        value = option.read(texts.get(option.flag, ()), recording)
        if value is None:
            continue
        if option.parameter in values:
            raise DamageTextError(
                option.flag, "another option sets the same parameter; use only one of them"
            )
        values[option.parameter] = value
    return values


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    with foreign_code():
        return getattr(importlib.import_module(module), name)
