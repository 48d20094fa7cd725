"""Whether all that restoration needs is there and works: what is looked at, and what to do.

Nothing heavy is imported at the top: that PyTorch can not be imported is one of the findings.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from a2sb_core.audio import names
from a2sb_core.engine import hardware, installed
from a2sb_core.errors import A2SBError

State = Literal["ok", "note", "broken"]

SHIPPED_MODEL = "small"
RATE = 44100
CUTOFF_HZ = 4000.0
LITTLE_MEMORY, LITTLE_DISK = 1 << 30, 1 << 30
"""Bytes below which a note is made: a model, PyTorch and minutes of audio take about as much."""

SETTINGS = (
    "A2SB_PLUGINS", "A2SB_STRICT_PLUGINS", "CUDA_VISIBLE_DEVICES", "HF_HOME", "HF_HUB_OFFLINE",
    "OMP_NUM_THREADS", "PYTORCH_ENABLE_MPS_FALLBACK",
)
"""Variables of the environment that change what is found; none of them is a secret."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of it.
        state: ``ok``; ``note``: it works, with a limit worth knowing; ``broken``.
        told: what was found, in words.
        advice: what to do where it is not ``ok``, unless ``told`` says so itself.
        facts: the same for programs: versions, bytes, seconds.
    """

    name: str
    state: State
    told: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Look = Callable[[str], Iterator[Check]]
"""Looks at one thing, given the device asked for."""


def examine(device: str = "auto") -> Iterator[Check]:
    """Look at everything in turn; whatever fails unexpectedly is told as broken.

    Args:
        device: what the self-test computes on.
    """
    for name, look in LOOKS.items():
        try:
            yield from look(device)
        except A2SBError as error:
            yield Check(name, "broken", str(error))  # these say what to do
        except Exception as error:
            yield Check(
                name, "broken", f"{type(error).__name__}: {error}",
                "`pip install --force-reinstall a2sb` brings all packages anew",
            )


def _python(_: str) -> Iterator[Check]:
    told = f"Python {platform.python_version()} on {platform.platform()}"
    yield Check("python", "ok", told, facts={
        "python": platform.python_version(), "platform": platform.platform(),
        "executable": sys.executable,
    })
    if not names.takes_long_paths():
        yield Check("long paths", "note", f"Windows takes paths of at most {names.LONGEST_PATH} "
                    "characters here", "turn on its setting LongPathsEnabled, or keep paths short")
    found = {name: os.environ[name] for name in SETTINGS if name in os.environ}
    if found:
        told = ", ".join(f"{name}={value}" for name, value in found.items())
        yield Check("environment", "ok", f"set in the environment: {told}", facts=found)


def _packages(_: str) -> Iterator[Check]:
    """Compare versions with what this project declares, and import what is compiled."""
    own, wanted = installed.own_version(), installed.requirements()
    if not wanted:
        yield Check("a2sb", "note", f"a2sb {own}: a source tree that is not installed",
                    "`pip install -e .` in it, so that versions can be compared")
    else:
        yield Check("a2sb", "ok", f"a2sb {own}", facts={"version": own})
    for misfit in installed.misfits(wanted):
        yield Check(misfit.name, "broken", f"{misfit}", f"`pip install '{misfit.requirement}'`")
    for name in installed.COMPILED:
        found = installed.version_of(name)
        try:
            importlib.import_module(name)
        except Exception as error:  # a missing library, a wrong one, a CPU without an instruction
            yield Check(name, "broken", f"{name} {found} can not be imported: {error}",
                        f"`pip install --force-reinstall {name}`; on Windows the newest Microsoft "
                        "Visual C++ Redistributable may be missing")
        else:
            yield Check(name, "ok", f"{name} {found}", facts={"version": found})


def _formats(_: str) -> Iterator[Check]:
    """Ask libsndfile, which a system may bring in an old version, for what is to be written."""
    import soundfile

    from a2sb_core.audio.formats import FORMATS

    library = soundfile.__libsndfile_version__
    lacking = sorted(set(FORMATS.values()) - set(soundfile.available_formats()))
    lacking += [] if "OPUS" in soundfile.available_subtypes("OGG") else ["OPUS"]
    facts = {"libsndfile": library, "lacking": lacking}
    if lacking:
        yield Check("formats", "note", f"libsndfile {library} knows no {', '.join(lacking)}",
                    "`pip install --force-reinstall soundfile` brings a newer one with it", facts)
    else:
        yield Check("formats", "ok", f"libsndfile {library} reads and writes all formats",
                    facts=facts)


def _options(_: str) -> Iterator[Check]:
    """Tell of the optional packages."""
    for extra in installed.extras():
        name, there = f"a2sb[{extra.name}]", ", ".join(extra.found)
        if extra.missing:
            there = (f"not installed: {', '.join(extra.missing)} "
                     f"(`pip install 'a2sb[{extra.name}]'` where it is wanted)")
        yield Check(name, "ok", f"{installed.PURPOSES[extra.name]}: {there}",
                    facts={"missing": extra.missing})
    yield _media()


def _media() -> Check:
    """Import PyAV, and tell of the program ffmpeg, which nothing here needs."""
    program = shutil.which("ffmpeg")
    beside = f"; the program ffmpeg is {'there' if program else 'not there'}, and not needed"
    if not installed.version_of("av"):
        return Check("ffmpeg", "ok", "M4A, WMA and video are not read without PyAV" + beside)
    try:
        import av
    except ImportError as error:
        return Check("ffmpeg", "broken", f"PyAV can not be imported: {error}",
                     "`pip install --force-reinstall av`")
    libraries = {name: ".".join(map(str, found)) for name, found in av.library_versions.items()}
    told = f"PyAV brings FFmpeg's libavcodec {libraries.get('libavcodec', '?')}"
    return Check("ffmpeg", "ok", told + beside, facts={"libraries": libraries, "program": program})


def _devices(asked: str) -> Iterator[Check]:
    from a2sb_core.engine.devices import choose_device, choose_precision

    for found in hardware.find_devices():
        yield Check(found.name, "broken" if found.is_broken else "note" if found.advice else "ok",
                    found.told, found.advice, found.facts)
    chosen = choose_device(asked)
    precision = choose_precision(chosen, "auto")
    yield Check("device", "ok", f"--device {asked} is {chosen}, in {precision}",
                facts={"device": str(chosen), "precision": precision})


def _room(_: str) -> Iterator[Check]:
    """Tell of memory, and of the folders that are written to."""
    free, total = hardware.find_memory()
    told = f"{_gigabytes(free)} of {_gigabytes(total)} of memory are free"
    facts = {"free_bytes": free, "total_bytes": total}
    if free < LITTLE_MEMORY:
        yield Check("memory", "note", told, "close other programs, or give --max-memory", facts)
    else:
        yield Check("memory", "ok", told, facts=facts)
    from huggingface_hub import constants

    for name, folder, help_ in (
        ("this folder", Path.cwd(), "write elsewhere with -o"),
        ("temporary files", Path(tempfile.gettempdir()), "set TMPDIR (TEMP on Windows)"),
        ("downloaded models", Path(constants.HF_HUB_CACHE), "set HF_HOME, or give --cache-dir"),
    ):
        yield _folder(name, folder, help_)


def _folder(name: str, folder: Path, help_: str) -> Check:
    """Tell how much a folder, or the nearest one above that is there, may still take."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    facts = {"folder": str(folder), "free_bytes": free}
    if not os.access(there, os.W_OK):
        return Check(name, "note", f"{folder} can not be written to", help_, facts)
    told = f"{_gigabytes(free)} are free in {folder}"
    if free < LITTLE_DISK:
        return Check(name, "note", told, f"make room, or {help_}", facts)
    return Check(name, "ok", told, facts=facts)


def _plugins(_: str) -> Iterator[Check]:
    from a2sb_core.plugins import default_registry
    from a2sb_core.plugins.doctor import examine as examine_plugins

    registry = default_registry()
    findings = examine_plugins(registry)
    faults = sum(finding.is_broken for finding in findings)
    notes = len(findings) - faults
    names = {entry.distribution for entry in registry.entries() if not entry.builtin}
    told = f"{len(names)} installed distributions add something: {faults} faults, {notes} notes"
    facts = {"distributions": len(names), "faults": faults, "notes": notes}
    state: State = "broken" if faults else "note" if notes else "ok"
    advice = "`a2sb plugins doctor` tells which, and what to do" if findings else ""
    yield Check("plugins", state, told, advice, facts)


def _self_test(device: str) -> Iterator[Check]:
    """Restore a third of a second of made sound, of 4 kHz, with the shipped model."""
    import numpy as np

    from a2sb_core.engine.restorer import Restorer

    times_s = np.arange(RATE // 3) / RATE
    tones = 110 * np.arange(1, round(CUTOFF_HZ / 110))
    sound = np.sin(2 * np.pi * tones[:, None] * times_s).sum(axis=0, keepdims=True) / 100
    started = time.monotonic()
    restorer = Restorer.from_pretrained(SHIPPED_MODEL, device)
    restored = restorer.restore(
        sound.astype(np.float32), RATE, task="bandwidth", cutoff_hz=CUTOFF_HZ, steps=2
    )
    seconds = time.monotonic() - started
    where = f"{restorer.device} in {restorer.precision}"
    problem = judge(sound, restored)
    if problem:
        yield Check("self-test", "broken", f"on {where} the result {problem}",
                    "`--device cpu` or `--precision fp32` may work; `a2sb doctor --device cpu` "
                    "tells whether the processor does")
    else:
        yield Check("self-test", "ok", f"`{SHIPPED_MODEL}` restored {times_s.size / RATE:.2f} s on "
                    f"{where}, {seconds:.1f} s with loading", facts={"seconds": seconds})


def judge(damaged: Any, restored: Any) -> str:
    """Say what is wrong with the highs that were added to sound (channels, samples); "": nothing.

    Example:
        >>> import numpy as np
        >>> judge(np.zeros((1, 8)), np.zeros((1, 7)))
        'has the shape (1, 7), and the sound (1, 8)'
        >>> judge(np.zeros((1, 8)), np.zeros((1, 8)))
        'is the sound itself: nothing was added'
    """
    import numpy as np

    if restored.shape != damaged.shape:
        return f"has the shape {restored.shape}, and the sound {damaged.shape}"
    if not np.isfinite(restored).all():
        return "is not finite"
    if np.allclose(restored, damaged, atol=1e-6):
        return "is the sound itself: nothing was added"
    loud = float(np.abs(restored).max())
    return f"is far too loud, with a peak of {loud:.3g}" if loud > 10 else ""


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB"


LOOKS: dict[str, Look] = {
    "python": _python, "packages": _packages, "formats": _formats, "options": _options,
    "devices": _devices, "room": _room, "plugins": _plugins, "self-test": _self_test,
}
