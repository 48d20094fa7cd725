"""Laws of converters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from a2sb_core.errors import ModelError
from a2sb_core.interfaces.converter import Converter
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call

KIND = "converter"
GARBAGE = (b"", b"not a checkpoint", bytes(range(256)) * 40)


def build(case: Case) -> Converter:
    """Make the component."""
    made: Converter = case.config.build()
    return made


@contextmanager
def _garbage() -> Iterator[list[Path]]:
    """Make files that are no checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"garbage{i}.ckpt" for i in range(len(GARBAGE))]
        for path, contents in zip(paths, GARBAGE, strict=True):
            path.write_bytes(contents)
        yield paths


def _refusal(case: Case, paths: list[Path]) -> str:
    """Return the message with which files are refused."""
    try:
        build(case).convert(paths)
    except ModelError as error:
        return str(error)
    except Exception as error:
        require(
            False,
            f"a file that is no checkpoint raises {type(error).__name__} ({error}): "
            "raise a ModelError that names the file",
        )
    require(False, "a file that is no checkpoint is taken: raise a ModelError")
    return ""


def calls(case: Case) -> list[Call]:
    """Uses of a converter: how it refuses."""

    def run() -> str:
        with _garbage() as paths:
            return _refusal(case, paths[1:2]).replace(str(paths[1].parent), "")

    return [Call("convert", run, is_batched=False)]


@law(KIND)
def licence_is_stated(case: Case) -> None:
    """``notice`` states the licence of the weights."""
    notice = getattr(build(case), "notice", None)
    require(
        isinstance(notice, str) and len(notice.strip()) > 10,
        f"notice is {notice!r}: say under which licence those weights are",
    )


@law(KIND)
def foreign_files_are_refused(case: Case) -> None:
    """A file that is no checkpoint is refused with a ModelError that names it."""
    with _garbage() as paths:
        for path in paths:
            message = _refusal(case, [path])
            require(path.name in message, f"the message does not name the file: {message}")
        _refusal(case, [])
        missing = paths[0].with_name("not_there.ckpt")
        require(missing.name in _refusal(case, [missing]), "a file that is absent is not named")


@law(KIND)
def every_weight_is_read(case: Case) -> None:
    """Every weight of the network is read from the checkpoint, if the case can write one."""
    if case.checkpoint is None:
        return
    networks = []
    for seed in (0, 1):
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            sources = list(case.checkpoint(Path(folder), seed))
            networks.append(dict(build(case).convert(sources).backbone.named_parameters()))
    one, other = networks
    left = [name for name in one if torch.equal(one[name], other[name])]
    require(
        not left,
        f"{', '.join(left[:5])} ({len(left)} in all) have the same values for two checkpoints "
        "whose weights all differ: they are not read",
    )


@law(KIND)
def sources_are_left_alone(case: Case) -> None:
    """The source files are not changed, and no files are added beside them."""
    with _garbage() as paths:
        for path in paths:
            _refusal(case, [path])
        found = {path.name: path.read_bytes() for path in paths[0].parent.iterdir()}
    wanted = {path.name: contents for path, contents in zip(paths, GARBAGE, strict=True)}
    require(found == wanted, "files beside the sources, or the sources themselves, were changed")
