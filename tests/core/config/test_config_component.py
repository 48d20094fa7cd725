"""A field that holds a component: what it accepts, and where its errors point."""

import pytest
from config_parts import Line, Plain, Wrapper, parts  # noqa: F401
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from a2sb_core.errors import ConfigError
from a2sb_core.plugins.component_config import AnyBridge, AnySampler, FrozenConfig


class Run(FrozenConfig):
    sampler: AnySampler
    bridge: AnyBridge | None = None
    more: tuple[AnySampler, ...] = ()
    named: dict[str, AnySampler] = {}  # noqa: RUF012


def wrapper(inner, **fields):
    return {"name": "wrapper", "inner": inner, **fields}


def problems(**fields):
    """Path, type and message of each error."""
    with pytest.raises(ValidationError) as caught:
        Run.model_validate(fields)
    return [(error["loc"], error["type"], error["msg"]) for error in caught.value.errors()]


@pytest.mark.parametrize(
    "value", ["plain", {"name": "plain"}, {"name": "a2sb:plain"}, Plain.Config()]
)
def test_accepts_a_name_a_mapping_or_a_configuration(value):
    config = Run(sampler=value).sampler
    assert type(config) is Plain.Config
    assert type(config.build()) is Plain


def test_holds_components_at_any_depth():
    run = Run(
        sampler=wrapper(wrapper({"name": "plain", "steps": 3})),
        bridge="line",
        more=["plain"],
        named={"a": {"name": "plain", "steps": 9}},
    )
    assert run.sampler.inner.inner == Plain.Config(steps=3)
    assert (type(run.bridge), run.more) == (Line.Config, (Plain.Config(),))
    assert run.named["a"].steps == 9


@pytest.mark.parametrize(
    ("sampler", "loc"),
    [
        ({"name": "plain", "steps": "many"}, ("sampler", "steps")),
        (wrapper({"name": "plain", "steps": 0}), ("sampler", "inner", "steps")),
        (wrapper("plain", window={"size": "x"}), ("sampler", "window", "size")),
        (wrapper("plain", window={}), ("sampler", "window", "size")),
        ({"name": "wrapper"}, ("sampler", "inner")),
        (wrapper({"name": "plian"}), ("sampler", "inner", "name")),
        (wrapper("plian"), ("sampler", "inner")),
        (wrapper({"steps": 3}), ("sampler", "inner")),
        (wrapper(3), ("sampler", "inner")),
        ({"name": "broken"}, ("sampler", "name")),
        (wrapper(Line.Config()), ("sampler", "inner")),
    ],
)
def test_errors_point_at_the_field(sampler, loc):
    assert [problem[0] for problem in problems(sampler=sampler)] == [loc]


def test_errors_in_collections_point_at_the_element():
    more = ["plain", {"name": "plain", "steps": 0}]
    found = problems(sampler="plain", more=more, named={"k": "q"})
    assert [loc for loc, *_ in found] == [("more", 1, "steps"), ("named", "k")]


def test_all_problems_are_told_at_once():
    sampler = wrapper({"name": "plain", "steps": 0, "stepz": 1}, windw=1)
    assert [loc for loc, *_ in problems(sampler=sampler, bridge="lime", x=1)] == [
        ("sampler", "inner", "steps"),
        ("sampler", "inner", "stepz"),
        ("sampler", "windw"),
        ("bridge",),
        ("x",),
    ]


def test_unknown_name_gives_the_message_of_the_registry():
    ((_, kind, message),) = problems(sampler={"name": "plian"})
    assert kind == "component"
    assert message.splitlines() == [
        "unknown sampler `plian`; did you mean `plain`?",
        "known names: broken, plain, wrapper",
    ]


def test_broken_component_says_what_is_broken():
    ((_, _, message),) = problems(sampler="broken")
    assert "the sampler `broken` (`config_parts:Missing`)" in message
    assert "AttributeError" in message


def test_other_kind_is_refused():
    ((_, _, message),) = problems(sampler=Line.Config())
    assert message == "expected a sampler; got a bridge"
    ((_, _, message),) = problems(sampler="line")
    assert "unknown sampler `line`" in message


def test_value_that_names_nothing_lists_the_names():
    for value in (3, None, [], {}, {"name": 5}, {"name": None}):
        ((_, _, message),) = problems(sampler=value)
        assert message.startswith("expected the name of a sampler, or a mapping with a `name`")
        assert message.endswith("known names: broken, plain, wrapper")


def test_unknown_field_tells_the_nearest_and_all_known():
    ((_, kind, message),) = problems(sampler={"name": "plain", "stpes": 3})
    assert kind == "unknown_field"
    assert message == ("unknown field; did you mean `steps`? known fields: name, steps, rate, mode")


def test_unknown_field_of_a_plain_model_lists_no_fields_of_another():
    class Model(BaseModel):
        model_config = ConfigDict(extra="forbid")

    class Holder(FrozenConfig):
        model: Model

    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"model": {"modle": 1}})
    ((loc, kind),) = [(error["loc"], error["type"]) for error in caught.value.errors()]
    assert (loc, kind) == (("model", "modle"), "extra_forbidden")


def test_braces_in_a_name_are_harmless():
    ((loc, _, message),) = problems(sampler={"name": "{plain} {0}"})
    assert loc == ("sampler", "name")
    assert "unknown sampler `{plain} {0}`" in message


def test_checks_of_a_nested_configuration_point_at_it():
    ((loc, kind, message),) = problems(sampler=wrapper("plain", window={"size": 4, "hop": 3}))
    assert (loc, kind) == (("sampler", "window"), "value_error")
    assert "hop 3 must divide size 4" in message


def test_configurations_are_immutable_and_do_not_change_their_input():
    tree = wrapper({"name": "plain"})
    run = Run(sampler=tree)
    assert tree == wrapper({"name": "plain"})
    with pytest.raises(ValidationError, match="frozen"):
        run.sampler.inner.steps = 3


def test_errors_of_a_constructor_are_those_of_the_project():
    inner = {"name": "plain", "stpes": 0}
    with pytest.raises(ConfigError) as caught:
        Run(sampler=wrapper(inner, window={"size": 0.5}), bridge="lime")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value.__cause__, ValidationError)
    title, *lines = str(caught.value).splitlines()
    assert title == "Run: 3 problems"
    assert lines[0].startswith("- sampler.inner.stpes: unknown field; did you mean `steps`?")
    assert lines[1].startswith("- sampler.window.size: ") and lines[1].endswith("; got 0.5")
    assert lines[2].startswith("- bridge: unknown bridge `lime`")
    with pytest.raises(ConfigError, match=r"^Plain\.Config: 1 problem\n- steps: .*; got 0$"):
        Plain.Config(steps=0)


def test_a_validator_may_create_other_configurations():
    class Holder(FrozenConfig):
        steps: int

        @model_validator(mode="after")
        def _check(self):
            Plain.Config(steps=self.steps)
            return self

    class Outer(FrozenConfig):
        holder: Holder

    with pytest.raises(ConfigError, match=r"Outer: 1 problem\n- holder: Plain\.Config: 1 "):
        Outer(holder={"steps": 0})


def test_ready_configurations_hold_components_too():
    assert Run(sampler=Wrapper.Config(inner="plain")).sampler.inner == Plain.Config()
