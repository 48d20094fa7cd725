"""The checks of `a2sb doctor`: versions, devices, plugins and a test restoration.

No module that may fail to import is imported at the top: a PyTorch that cannot be imported is a
finding, and the other checks still run.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Any, Literal

from packaging.requirements import Requirement

from a2sb_core.common.packages import PROJECT, installed_version, version_or_unknown
from a2sb_core.common.text import format_bytes
from a2sb_core.config.defaults import DEFAULT_MODEL
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    import numpy as np

CheckState = Literal["ok", "note", "broken"]

COMPILED = ("numpy", "torch", "torchaudio", "soundfile", "soxr")
"""Packages with compiled libraries, whose import may fail although they are installed."""

LITTLE_BYTES = 1 << 30
"""Free memory below which a note is made: a model and PyTorch take about as much."""

TEST_S = 0.3
"""Length of the recording that the self-test restores, in seconds."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: name of the check.
        state: ``ok``; ``note``: it works, with a limit worth knowing; ``broken``.
        message: the finding in words.
        advice: action to take if the state is not ``ok``, unless the message says it.
        facts: the finding for programs: versions, bytes, seconds.
    """

    name: str
    state: CheckState
    message: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def examine(device: str = "auto") -> Iterator[Check]:
    """Run all checks; a check that fails unexpectedly is reported as broken.

    Args:
        device: the device of the self-test: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    """
    for name, check in CHECKS.items():
        try:
            yield from check(device)
        except A2SBError as error:
            yield Check(name, "broken", str(error))  # its message says what to do
        except Exception as error:
            advice = f"`pip install --force-reinstall {PROJECT}` installs all packages again"
            yield Check(name, "broken", f"{type(error).__name__}: {error}", advice)


def _python(_: str) -> Iterator[Check]:
    found, system = platform.python_version(), platform.platform()
    facts = {"python": found, "platform": system, "executable": sys.executable}
    yield Check("python", "ok", f"Python {found} on {system}", facts=facts)


def _packages(_: str) -> Iterator[Check]:
    """Compare versions with those that the project declares, and import compiled packages."""
    yield Check(PROJECT, "ok", version_or_unknown(), facts={"version": version_or_unknown()})
    for wanted in _unmet():
        found = installed_version(wanted.name)
        message = f"{found} is installed" if found else "it is not installed"
        need = f"{wanted.name}{wanted.specifier}"
        yield Check(
            wanted.name, "broken", f"{message}; {need} is needed", f"`pip install '{need}'`"
        )
    for name in COMPILED:
        found = version_or_unknown(name)
        try:
            importlib.import_module(name)
        except Exception as error:  # a missing or wrong library, or an old CPU
            advice = (
                f"`pip install --force-reinstall {name}`; on Windows the Microsoft Visual C++ "
                "Redistributable may be missing"
            )
            yield Check(name, "broken", f"{found} cannot be imported: {error}", advice)
        else:
            yield Check(name, "ok", found, facts={"version": found})


def _unmet() -> Iterator[Requirement]:
    """Yield the requirements of the project that this machine does not meet."""
    try:
        declared = map(Requirement, metadata(PROJECT).get_all("Requires-Dist") or ())
    except PackageNotFoundError:  # a source tree that is not installed
        return
    for one in declared:
        found = installed_version(one.name)
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        if found is None or not one.specifier.contains(found, prereleases=True):
            yield one


def _devices(asked: str) -> Iterator[Check]:
    from a2sb_core.devices.choice import choose_device, choose_precision
    from a2sb_core.devices.hardware import find_devices
    from a2sb_core.devices.memory import host_memory

    for found in find_devices():
        state: CheckState = "broken" if found.is_broken else "note" if found.advice else "ok"
        yield Check(found.name, state, found.message, found.advice, found.facts)
    free, total = host_memory()
    message = f"{format_bytes(free)} of {format_bytes(total)} free"
    facts: dict[str, Any] = {"free_bytes": free, "total_bytes": total}
    if free < LITTLE_BYTES:
        yield Check("memory", "note", message, "close other programs, or use --max-memory", facts)
    else:
        yield Check("memory", "ok", message, facts=facts)
    chosen = choose_device(asked)
    precision = choose_precision(chosen, "auto")
    facts = {"device": str(chosen), "precision": precision}
    yield Check("device", "ok", f"--device {asked} means {chosen} in {precision}", facts=facts)


def _plugins(_: str) -> Iterator[Check]:
    from a2sb_core.plugins import default_registry
    from a2sb_core.plugins.diagnosis import examine as examine_plugins

    registry = default_registry()
    findings = examine_plugins(registry)
    faults = sum(finding.is_broken for finding in findings)
    others = len({entry.distribution for entry in registry.entries() if not entry.builtin})
    facts = {"distributions": others, "faults": faults, "notes": len(findings) - faults}
    message = "{distributions} other distributions; {faults} faults, {notes} notes".format(**facts)
    state: CheckState = "broken" if faults else "note" if findings else "ok"
    advice = "`a2sb plugins doctor` lists them" if findings else ""
    yield Check("plugins", state, message, advice, facts)


def _self_test(device: str) -> Iterator[Check]:
    """Restore a short noise with the default model, as damage of the first of its tasks."""
    import numpy as np
    import torch

    from a2sb_core.restoration.options import RestoreOptions
    from a2sb_core.restoration.restorer import Restorer

    started = time.monotonic()
    restorer = Restorer.from_pretrained(DEFAULT_MODEL, device)
    rate, corruption = restorer.model.representation.sample_rate, restorer.model.corruption
    task = corruption.tasks()[0]
    damage = corruption.for_task(task).draw(TEST_S, torch.Generator().manual_seed(0))
    size = (1, round(TEST_S * rate))
    sound = np.random.default_rng(0).normal(0, 0.1, size).astype(np.float32)
    restored = restorer.restore(sound, rate, RestoreOptions(task, damage.model_dump(), steps=2))
    seconds = time.monotonic() - started
    message = (
        f"`{DEFAULT_MODEL}` ({task}) on {restorer.device} in {restorer.precision}, "
        f"{seconds:.1f} s with loading"
    )
    problem = fault_of(sound, restored)
    if problem:
        advice = "try --device cpu or --precision fp32; `a2sb doctor --device cpu` tests the CPU"
        yield Check("self-test", "broken", f"the result {problem}: {message}", advice)
    else:
        yield Check("self-test", "ok", message, facts={"seconds": seconds})


def fault_of(damaged: np.ndarray, restored: np.ndarray) -> str:
    """Return what is wrong with the restoration of a recording (channels, samples), or "".

    Example:
        >>> import numpy as np
        >>> fault_of(np.zeros((1, 8)), np.zeros((1, 7)))
        'has the shape (1, 7) instead of (1, 8)'
        >>> fault_of(np.zeros((1, 8)), np.zeros((1, 8)))
        'is identical to the input'
    """
    import numpy as np

    if restored.shape != damaged.shape:
        return f"has the shape {restored.shape} instead of {damaged.shape}"
    if not np.isfinite(restored).all():
        return "is not finite"
    if np.allclose(restored, damaged, atol=1e-6):
        return "is identical to the input"
    loudest = float(np.abs(restored).max())
    return f"is far too loud, with a peak of {loudest:.3g}" if loudest > 10 else ""


CHECKS: dict[str, Callable[[str], Iterator[Check]]] = {
    "python": _python,
    "packages": _packages,
    "devices": _devices,
    "plugins": _plugins,
    "self-test": _self_test,
}
"""The checks by name; each is given the device of the self-test."""
