"""All names that configurations may use: fields of runs, components and their fields.

Run as a script, this writes them to ``public_names.txt``, which a test compares with the code.
"""

import json
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.registry import KINDS, RESOURCE_KINDS

SNAPSHOT = Path(__file__).with_suffix(".txt")


def public_names():
    """Return a line for each name: components and resources, and fields with their defaults."""
    lines = []
    for name, config in (
        ("train", TrainConfig),
        ("model", ModelConfig),
        ("evaluate", EvaluateConfig),
    ):
        lines += _fields(name, config)
    registry = default_registry()
    for entry in registry.entries():
        if not entry.builtin:
            continue
        name = f"{entry.kind} {entry.name}"
        lines.append(name)
        if entry.kind in KINDS:
            component = registry.resolve(entry.kind, entry.name)
            lines += _fields(name, component.Config)
            if hasattr(component, "Parameters"):
                lines += _fields(f"{name}, parameters", component.Parameters)
        else:
            assert entry.kind in RESOURCE_KINDS
    return sorted(set(lines))


def _fields(prefix, config):
    lines = []
    for name, field in config.model_fields.items():
        if name == "name":
            continue
        for inner in _models(field.annotation):
            lines += _fields(f"{prefix}.{name}", inner)
        if field.is_required():
            lines.append(f"{prefix}.{name} (required)")
        else:
            default = to_jsonable_python(field.get_default(call_default_factory=True))
            lines.append(f"{prefix}.{name} = {json.dumps(default, sort_keys=True)}")
    return lines


def _models(annotation):
    """Return the configurations that an annotation holds, in tuples and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [] if "name" in annotation.model_fields else [annotation]
    return [model for inner in get_args(annotation) for model in _models(inner)]


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(public_names()) + "\n")
    print(f"wrote {SNAPSHOT}")
