"""Nothing that a user may write goes undocumented: hooks, kinds, fields, and what is registered."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, create_model
from typer.main import get_command

import a2sb_core.interfaces as interfaces
from a2sb_core.cli import app
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.plugins import default_registry
from a2sb_core.plugins import hooks as hookspecs
from a2sb_core.plugins.component_config import ComponentConfig, FrozenConfig
from a2sb_core.plugins.registry import KINDS, RESOURCE_KINDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def models():
    """Return every configuration: whole ones, and those of the components, with all inside."""
    registry, found = default_registry(), [TrainConfig, ModelConfig, EvaluateConfig]
    for entry in registry.entries():
        if entry.builtin and entry.kind in KINDS:
            component = registry.resolve(entry.kind, entry.name)
            found += [component.Config, getattr(component, "Parameters", component.Config)]
    for model in found:  # grows
        if isinstance(model, type):
            inner = (field.annotation for field in model.model_fields.values())
            found += [one for one in inner if is_model(one) and one not in found]
    return {model for model in found if is_model(model)}


def is_model(annotation):
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def bare(model):
    """Return the fields of a model that nothing describes; ``name`` is told by its base."""
    return [
        f"{model.__module__}.{model.__qualname__}.{name}"
        for name, field in model.model_fields.items()
        if not (field.description or "").strip() and name != "name"
    ]


def test_every_field_of_every_configuration_is_described():
    found = models()
    assert {TrainConfig, TrainConfig.model_fields["optimizer"].annotation} <= found
    assert len(found) > 40
    missing = sorted(name for model in found for name in bare(model))
    assert not missing, "put a string below each of these fields: " + ", ".join(missing)
    assert ComponentConfig.model_fields["name"].description


def test_a_field_without_a_description_is_found():
    told = create_model("Told", __base__=FrozenConfig, gain_db=(float, 0.0), name=(str, "told"))
    assert [name.rpartition(".")[2] for name in bare(told)] == ["gain_db"]


def test_every_class_of_a_configuration_says_what_it_is():
    for model in models():
        assert (inspect.getdoc(model) or "").strip() and "__doc__" in vars(model), model


def test_every_component_has_a_summary_and_a_docstring():
    registry = default_registry()
    for entry in registry.entries():
        assert entry.summary, entry
        if entry.kind in KINDS and entry.builtin:
            component = registry.resolve(entry.kind, entry.name)
            assert component.__doc__, component


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_place_in_the_guide_and_a_complete_example(kind):
    text = (DOCS / "components.md").read_text(encoding="utf-8")
    assert f"<!-- kind: {kind} -->" in text
    module = inspect.getmodule(getattr(interfaces, interface_of(kind)))
    classes = [n for n in ast.parse(inspect.getsource(module)).body if isinstance(n, ast.ClassDef)]
    assert any(">>> class" in (ast.get_docstring(node) or "") for node in classes)


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_component_has_a_line_in_the_reference(kind):
    text = (DOCS / "reference" / "components.md").read_text(encoding="utf-8")
    section = text[text.index(f"{{#{kind}}}") : text.index(f"<!-- components: {kind} -->")]
    for entry in default_registry().entries(kind):
        if entry.builtin:
            assert f"| `{entry.name}` | {entry.summary} |" in section


def interface_of(kind):
    name = "AudioRestorer" if kind == "restorer" else kind.capitalize()
    assert getattr(interfaces, name).kind == kind
    return name


def test_what_is_exported_is_documented():
    for name in interfaces.__all__:
        value = getattr(interfaces, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__ and value.__doc__.strip(), name


def test_the_hook_and_the_kinds_without_classes_are_documented():
    hooks = [value for value in vars(hookspecs).values() if hasattr(value, "a2sb_spec")]
    assert hooks
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for hook in hooks:
        assert hook.__doc__ and f"`{hook.__name__}`" in text
    for kind in RESOURCE_KINDS:
        assert f"`{kind}`" in text


def commands():
    group = get_command(app)
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        yield from (
            [(f"{name} {one}", command) for one, command in inner.items()]
            if inner
            else [(name, command)]
        )


@pytest.mark.parametrize("name,command", [*commands()], ids=[name for name, _ in commands()])
def test_every_command_and_option_has_help(name, command):
    assert command.help
    silent = [parameter.name for parameter in command.params if not parameter.help]
    assert not silent
    first = re.escape(f"a2sb {name}".split(" ")[1])
    assert re.search(rf"a2sb {first}\b", (ROOT / "README.md").read_text(encoding="utf-8"))
