"""`a2sb plugins show`: everything that a user can set of a component."""

import json

import pytest
from site_helpers import HOOK, write_distribution
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.plugins import KINDS, default_registry, reset

PLUGIN = f"""{HOOK}    summary = "hum \\x1b[31mcovers"
    registrar.add("corruption", "hum", "a2sb_hum_parts:Hum", summary)
    registrar.add_option(
        "hum", "mains_hz", "--mains", metavar="HZ", help="Mains in Hz.", parse="builtins:float"
    )
"""
PARTS = """
from typing import Literal
from pydantic import Field
from a2sb_core.interfaces import AnyBridge, FrozenConfig, MaskCorruption

class Width(FrozenConfig):
    low_hz: float = Field(30.0, gt=0, le=90)
    \"\"\"Lowest width
    in Hz.\"\"\"

class Hum(MaskCorruption):
    \"\"\"Hum of the mains, see :class:`Width`.\"\"\"
    task = "hum"

    class Config(MaskCorruption.Config):
        name: str = "hum"
        width: Width = Width()
        kinds: tuple[Literal["a", "b"], ...] = Field(("a",), min_length=1)
        inner: AnyBridge

    class Parameters(FrozenConfig):
        mains_hz: float = Field(gt=0)
        \"\"\"Frequency of the mains, in Hz.\"\"\"
"""


def show(*words):
    result = CliRunner().invoke(app, ["plugins", "show", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return result


@pytest.fixture
def hum(site):
    write_distribution(site, "a2sb-hum", PLUGIN, part=PARTS)
    reset()


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_component_is_shown(kind):
    registry = default_registry()
    for entry in registry.entries(kind):
        text = show(kind, entry.name).stdout
        component = registry.resolve(kind, entry.name)
        assert text.startswith(f"{kind} {entry.name}: {entry.summary}\n")
        fields = {**component.Config.model_fields}
        parameters = getattr(component, "Parameters", None)
        fields |= parameters.model_fields if isinstance(parameters, type) else {}
        for name in fields.keys() - {"name"}:
            assert f"\n    {name}: " in text, (entry, name)


def test_a_component_of_a_stranger_is_shown_completely(hum):
    text = show("hum").stdout
    for line in (
        "corruption hum: hum \\x1b[31mcovers",
        "  Hum of the mains, see `Width`.",
        "  plugin: main of a2sb-hum 1.2",
        "  task: hum",
        "    width.low_hz: number, > 0, ≤ 90; default 30.0",
        "      Lowest width in Hz.",
        '    kinds: list of `a` or `b`, length ≥ 1; default ["a"]',
        "    inner: bridge; required",
        "    mains_hz: number, > 0; required",
        "      Frequency of the mains, in Hz.",
        "  option --mains HZ, sets mains_hz",
        "      Mains in Hz.",
    ):
        assert line in text.splitlines(), (line, text)
    assert show("a2sb-hum:hum").stdout == show("corruption", "hum").stdout == text
    (found,) = json.loads(show("hum", "--json").stdout)["components"]
    assert (found["kind"], found["version"], found["task"]) == ("corruption", "1.2", "hum")
    assert found["parameters"][0] == {
        "name": "mains_hz",
        "values": "number, > 0",
        "default": None,
        "meaning": "Frequency of the mains, in Hz.",
    }


def test_a_name_of_several_kinds_is_shown_for_each():
    text = show("bandwidth").stdout
    assert text.startswith("corruption bandwidth: ") and "\n\nprotocol bandwidth: " in text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["implict"], 1, "did you mean `implicit` (sampler)?"),
        (["sampler", "implict"], 1, "did you mean `implicit`?"),
        (["smapler", "implicit"], 1, "unknown kind `smapler`"),
        (["nothing like it"], 1, "a2sb plugins list"),
        (["sampler", "implicit", "ode"], 2, "KIND and a NAME"),
    ],
)
def test_mistakes_are_answered_with_similar_names(words, code, message):
    result = show(*words)
    assert result.exit_code == code and message in result.output
