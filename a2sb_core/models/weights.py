"""Weights of a model folder, which are compared with its configuration before allocation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ModelError
from a2sb_core.models.model import Model, condition_channels

Shapes = Mapping[str, tuple[int, ...]]

LEARNED = ("prediction", "backbone")
STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""Floating-point types of stored weights."""


def load_weights(config: ModelConfig, path: Path) -> Model:
    """Build the model of a configuration, and load its weights.

    The header of the file states the shape of every tensor. A configuration of another network is
    therefore refused before its memory is allocated, whatever sizes it states.

    Raises:
        ModelError: the file cannot be read, or does not fit the configuration.
    """
    header = _read_header(path)
    try:
        expected = _learned_shapes(config, at_most=2 * len(header) + 100)
        if expected is not None:
            found = {key: v for key, v in header.items() if key.partition(".")[0] in LEARNED}
            _refuse(_differences(found, expected), path)
        model = Model(config)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError) as error:
        raise ModelError(f"the model of {path.parent} cannot be built: {error}") from error
    tensors = load_file(path)
    state = model.state_dict()
    problems = _differences(header, {key: tuple(value.shape) for key, value in state.items()})
    problems += [
        f"{key} holds values of another type or values that are not finite"
        for key, value in sorted(tensors.items())
        if key in state and not _is_sound(value, state[key])
    ]
    _refuse(problems, path)
    model.load_state_dict(tensors)
    return model


def _read_header(path: Path) -> Shapes:
    """Return the shapes of all tensors, without reading the tensors."""
    if path.exists() and not path.is_file():  # reading a pipe or a device might never end
        raise ModelError(f"{path} cannot be read: it is not a regular file")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def _learned_shapes(config: ModelConfig, at_most: int) -> Shapes | None:
    """Return the shapes of what is learned; None for a network that needs memory to be built."""
    representation = config.representation.build()
    channels, rows = representation.channels, representation.rows
    try:
        with torch.device("meta"), _limited(at_most):
            prediction = config.prediction.build(channels=channels, rows=rows)
            backbone = config.backbone.build(
                channels=channels, condition_channels=condition_channels(config, prediction)
            )
    except RuntimeError:  # a constructor that computes with the values of its tensors
        return None
    learned = nn.ModuleDict({"prediction": prediction, "backbone": backbone})
    return {key: tuple(value.shape) for key, value in learned.state_dict().items()}


@contextmanager
def _limited(parameters: int) -> Iterator[None]:
    """End the construction of modules with more parameter tensors than a limit."""
    made, thread = 0, threading.get_ident()

    def count(*_: object) -> None:
        nonlocal made
        made += threading.get_ident() == thread
        if made > parameters:
            raise ModelError("the configuration describes more tensors than there are weights")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def _differences(found: Shapes, wanted: Shapes) -> list[str]:
    problems = [f"{key} is missing" for key in sorted(wanted.keys() - found.keys())]
    problems += [f"{key} is unknown" for key in sorted(found.keys() - wanted.keys())]
    return problems + [
        f"{key} is {found[key]} and should be {wanted[key]}"
        for key in sorted(wanted.keys() & found.keys())
        if wanted[key] != found[key]
    ]


def _is_sound(value: Tensor, own: Tensor) -> bool:
    """Whether a stored tensor holds finite values of the kind that its place needs."""
    if not own.is_floating_point():
        return not value.is_floating_point() and not value.is_complex()
    return value.dtype in STORED and bool(torch.isfinite(value).all())


def _refuse(problems: list[str], path: Path) -> None:
    """Raise an error that lists the first problems, if there are any."""
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ModelError(
            f"the weights in {path.parent} do not fit its config.json: "
            f"{'; '.join(problems[:5])}{more}"
        )
