"""JSON Schemas of configurations, for editors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.json_schema import models_json_schema

from a2sb_core.config.loading import ASIDE, EXTENDS
from a2sb_core.errors import PluginError
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.component_config import PLACE, ComponentConfig


def json_schema(config_class: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a configuration, for editors.

    A field that holds a component accepts every component of its kind, as a bare name or with its
    own fields. All components are imported; broken ones are left out.
    """
    components: dict[str, dict[str, type[BaseModel]]] = {}
    models = {config_class}
    while missing := {kind for m in models for kind in _kinds(m)} - components.keys():
        for kind in sorted(missing):
            components[kind] = dict(_configs(kind))
            models |= set(components[kind].values())
    in_order = sorted(models, key=lambda model: f"{model.__module__}.{model.__qualname__}")
    refs, schema = models_json_schema([(model, "validation") for model in in_order])
    definitions = schema.setdefault("$defs", {})
    for kind, named in components.items():
        choices: list[dict[str, Any]] = [{"enum": list(named)}]
        for name, config in named.items():
            choices.append(refs[config, "validation"])
            _call(name, definitions[choices[-1]["$ref"].rpartition("/")[2]])
        definitions[kind] = {"anyOf": choices}
    for place in _places(definitions):
        place["$ref"] = f"#/$defs/{place.pop(PLACE)}"
    _allow_extending(definitions)
    _allow_aside(definitions, refs[config_class, "validation"]["$ref"])
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **refs[config_class, "validation"], "$defs": definitions}


def _allow_extending(definitions: dict[str, Any]) -> None:
    """Allow every mapping to extend another one, and then to omit fields, also in inner mappings.

    ``NAME.part`` is the definition of NAME in which every field is optional.
    """
    for name, definition in list(definitions.items()):
        part = _partial(definition)
        definitions[f"{name}.part"] = part
        if "properties" not in definition:
            continue
        part["properties"][EXTENDS] = {
            "type": "string",
            "description": "File or model folder (relative to this file), preset or model that the "
            "mapping extends.",
        }
        definitions[name] = {
            "if": {"type": "object", "required": [EXTENDS]},
            "then": {"$ref": f"#/$defs/{name}.part"},
            "else": {
                **definition,
                "properties": {**definition["properties"], EXTENDS: part["properties"][EXTENDS]},
            },
        }


def _allow_aside(definitions: dict[str, Any], ref: str) -> None:
    """Allow keys at the top level of a file that only hold YAML anchors."""
    name = ref.rpartition("/")[2]
    for whole in (definitions[name]["else"], definitions[f"{name}.part"]):
        whole["patternProperties"] = {f"^{ASIDE}": True}


def _partial(node: Any) -> Any:
    """Copy a definition without ``required``, with references to definitions of parts."""
    if isinstance(node, list):
        return [_partial(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    copied = {
        key: _partial(inner)
        for key, inner in node.items()
        if not (key == "required" and isinstance(inner, list))
    }
    reference = copied.get("$ref")
    if isinstance(reference, str):
        copied["$ref"] = f"{reference}.part"
    return copied


def _configs(kind: str) -> Iterator[tuple[str, type[BaseModel]]]:
    registry = default_registry()
    for name in registry.names(kind):
        with contextlib.suppress(PluginError, PydanticInvalidForJsonSchema, PydanticUserError):
            config = registry.resolve(kind, name).Config
            config.model_json_schema()
            yield name, config


def _kinds(model: type[BaseModel]) -> set[str]:
    return {place[PLACE] for place in _places(model.model_json_schema())}


def _places(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the marks of ComponentField in a schema, at any depth."""
    if isinstance(node, dict) and isinstance(node.get(PLACE), str):
        yield node
    elif isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _places(inner)


def _call(name: str, definition: dict[str, Any]) -> None:
    """Require the ``name`` in the definition of a component."""
    field = definition["properties"]["name"]
    field["description"] = ComponentConfig.model_fields["name"].description
    names = field.setdefault("enum", [])
    names.append(name)
    definition["title"] = " or ".join(names)
    definition["required"] = sorted({"name", *definition.get("required", [])})
