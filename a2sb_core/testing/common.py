"""Laws of every kind."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from a2sb_core.config.loading import load_yaml, to_yaml
from a2sb_core.errors import PluginError
from a2sb_core.plugins import Entry, default_registry
from a2sb_core.testing.compare import equal, leaves, require_close
from a2sb_core.testing.laws import EVERY_KIND, Case, law, module_of, require
from a2sb_core.testing.parts import Call

TOLERANCE = 1e-4  # of batches: convolutions of other sizes round otherwise


def calls(case: Case) -> list[Call]:
    """Return the uses of a component, made anew."""
    made: list[Call] = module_of(case.kind).calls(case)
    return made


def run(call: Call) -> Any:
    """Use a component on copies of the inputs."""
    with torch.no_grad():
        return call.run(*(x.clone() for x in call.inputs))


@law(EVERY_KIND)
def registered_without_torch(case: Case) -> None:
    """It is registered under the name in Config, and listing it does not import torch."""
    found = [entry for entry in default_registry().entries(case.kind) if _is_of(entry, case)]
    names = [entry.name for entry in found]
    declared = type(case.config).model_fields["name"].default
    require(
        not names or declared in names,
        f"Config.name is `{declared}` by default, but registered is: {', '.join(names)}",
    )
    for entry in found:
        require(
            not _imports_torch(entry.distribution, tuple(path for path in sys.path if path)),
            f"listing the plugins of {entry.distribution} imports torch: let the module of the "
            "entry point import nothing but `hookimpl`, and give targets as text",
        )


def _is_of(entry: Entry, case: Case) -> bool:
    """Whether an entry stands for the component of a case."""
    component = case.config.component
    if entry.target.partition(":")[2] != component.__qualname__:
        return False
    try:
        return default_registry().resolve(entry.kind, entry.qualified) is component
    except PluginError:
        return False


@cache
def _imports_torch(distribution: str, paths: tuple[str, ...]) -> bool:
    """Whether looking for the plugins of a distribution on these paths imports torch."""
    code = (
        "import sys; from a2sb_core.plugins import default_registry; default_registry(); "
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    path = os.pathsep.join(paths)
    environment = {**os.environ, "A2SB_PLUGINS": distribution, "PYTHONPATH": path}
    environment.pop("A2SB_STRICT_PLUGINS", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    return done.returncode == 3


@law(EVERY_KIND)
def config_round_trips(case: Case) -> None:
    """A configuration is unchanged after it is written as JSON or YAML, read and built."""
    config, kind = case.config, type(case.config)
    require(
        kind.model_validate(json.loads(config.model_dump_json())) == config,
        "what the configuration writes as JSON reads as another configuration",
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(to_yaml(config), encoding="utf-8")
        again = load_yaml(path)
    require(
        kind.model_validate(again) == config,
        "what the configuration writes as YAML reads as another configuration",
    )
    component = module_of(case.kind).build(case)
    require(
        component.config == config,
        "the component's `config` is another: call `super().__init__(config)`",
    )


@law(EVERY_KIND)
def config_refuses_unknown_fields(case: Case) -> None:
    """A misspelt field is an error, not ignored."""
    fields = {**case.config.model_dump(), "no_such_field": 1}
    try:
        type(case.config).model_validate(fields)
    except ValidationError:
        return
    require(False, "Config takes a field that it does not have: leave `extra` forbidden")


@law(EVERY_KIND)
def same_seed_same_result(case: Case) -> None:
    """The same inputs and seeds give the same result bit for bit."""
    first = [run(call) for call in calls(case)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(271828)
        kept = random.getstate(), np.random.get_state()
        random.seed(271828)
        np.random.seed(271828)
        try:
            second = [run(call) for call in calls(case)]
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])
    for call, one, other in zip(calls(case), first, second, strict=True):
        require(
            equal(one, other),
            f"{call.what} gives another result the second time: draw only from the generator or "
            "noise that is passed in",
        )


@law(EVERY_KIND)
def earlier_use_changes_nothing(case: Case) -> None:
    """The result does not depend on what the component was used for before."""
    fresh = [run(call) for call in calls(case)]
    used = calls(case)
    for call in used:
        with torch.no_grad():
            call.run(*(x.flip(-1) if x.ndim > 1 else x.clone() for x in call.inputs))
    for call, one in zip(used, fresh, strict=True):
        require(
            equal(run(call), one),
            f"{call.what} gives another result after it was used for something else: keep nothing "
            "of earlier inputs",
        )


@law(EVERY_KIND)
def inputs_are_not_changed(case: Case) -> None:
    """A component leaves its inputs as they are."""
    for call in calls(case):
        given = [x.clone() for x in call.inputs]
        with torch.no_grad():
            call.run(*given)
        for x, before in zip(given, call.inputs, strict=True):
            require(equal(x, before), f"{call.what} changes its input: work on a copy")


@law(EVERY_KIND)
def global_randomness_is_untouched(case: Case) -> None:
    """No global random state is drawn from or seeded."""
    for call in calls(case):
        torch.rand(()), np.random.rand(), random.random()  # no seed gives the states before
        before = _global_states()
        run(call)
        for name, state in _global_states().items():
            require(
                equal(state, before[name]),
                f"{call.what} draws from, or seeds, the global randomness of {name}: use the "
                "generator or noise that is passed in",
            )


def _global_states() -> dict[str, Any]:
    keys, place = np.random.get_state(legacy=False)["state"].values()
    return {
        "torch": torch.get_rng_state(),
        "numpy": (keys.tolist(), place),
        "random": random.getstate(),
    }


@law(EVERY_KIND)
def float32_stays_float32(case: Case) -> None:
    """Inputs in single precision give results in single precision."""
    for call in calls(case):
        for x in leaves(run(call)):
            if isinstance(x, Tensor) and x.is_floating_point():
                require(
                    x.dtype == torch.float32,
                    f"{call.what} makes {x.dtype} of float32: a constant or time in double "
                    "precision gets in",
                )


@law(EVERY_KIND)
def batch_equals_singles(case: Case) -> None:
    """A batch gives the same results as each of its items alone."""
    for call in calls(case):
        if not call.is_batched:
            continue
        whole = leaves(run(call))
        for i in range(len(call.inputs[0])):
            with torch.no_grad():
                single = leaves(call.run(*(x[i : i + 1].clone() for x in call.inputs)))
            for one, all_items in zip(single, whole, strict=True):
                if isinstance(one, Tensor) and one.ndim:
                    part = all_items if len(all_items) == 1 else all_items[i : i + 1]
                    what = f"{call.what}, item {i} alone and in a batch"
                    require_close(one, part, TOLERANCE, what)
