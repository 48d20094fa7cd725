"""From YAML and overrides to a configuration, and back."""

import json
import math
from pathlib import Path

import jsonschema
import pytest
from config_parts import Wrapper, parts  # noqa: F401
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from a2sb_core.config.loading import apply_overrides, dump, load_yaml, to_yaml, validate
from a2sb_core.config.schema import json_schema
from a2sb_core.errors import ConfigError, PluginError
from a2sb_core.plugins.component_config import AnyBridge, AnySampler, FrozenConfig


class Data(FrozenConfig):
    source: Path = Path("music")
    gain_db: float = Field(0.0, ge=0)


class Run(FrozenConfig):
    sampler: AnySampler
    bridge: AnyBridge | None = None
    more: tuple[AnySampler, ...] = ()
    data: Data = Data()
    label: str = ""
    seed: int = 0


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("make", [str, Path])
def test_load_yaml_reads_a_file(tmp_path, make):
    path = write(tmp_path, "a: {b: [1, x, é]}\n# c\nd:\n")
    assert load_yaml(make(path)) == {"a": {"b": [1, "x", "é"]}, "d": None}


def test_load_yaml_reads_a_preset_unless_there_is_a_file(tmp_path, monkeypatch):
    assert load_yaml("quick") == {"sampler": "plain"}
    assert load_yaml("a2sb:quick") == {"sampler": "plain"}
    monkeypatch.chdir(tmp_path)
    Path("quick").write_text("seed: 3")
    assert load_yaml("quick") == {"seed": 3}


def test_load_yaml_tells_both_possibilities():
    message = r"`quik` is neither .*`quick`\?\nknown names: quick$"
    with pytest.raises(ConfigError, match=message):
        load_yaml("quik")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml.*cannot be read"):
        load_yaml(Path("nowhere.yaml"))


def test_empty_file_is_an_empty_tree(tmp_path):
    assert load_yaml(write(tmp_path, "# nothing\n")) == {}


@pytest.mark.parametrize("text", ["- 1\n", "word\n", "3\n"])
def test_file_must_hold_a_mapping(tmp_path, text):
    with pytest.raises(ConfigError, match=r"run\.yaml: expected a mapping of fields; got "):
        load_yaml(write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, 2),
        ("a: 1\n  b: 2\n", 2, 4),
        ("a: @x\n", 1, 4),
        ("a: !py 1", 1, 4),
    ],
)
def test_syntax_errors_tell_file_line_and_column(tmp_path, text, line, column):
    with pytest.raises(ConfigError, match=rf"run\.yaml, line {line}, column {column}: \w+"):
        load_yaml(write(tmp_path, text))


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", "b:\n- 1\n- {x: 1, a: 1, a: 1}\n"])
def test_duplicate_keys_are_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=r"run\.yaml, line 3, column \d+: the key `a` is given"):
        load_yaml(write(tmp_path, text))


def test_merge_keys_override_without_being_duplicates(tmp_path):
    text = "base: &b {x: 1, y: 1}\nmid: &m {<<: *b, x: 2}\ntop: {<<: *m, y: 3}\n"
    assert load_yaml(write(tmp_path, text))["top"] == {"x": 2, "y": 3}


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "run.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_yaml(tmp_path / "run.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("8E3", 8e3),
        ("1.5e2", 150.0),
        (".5e1", 5.0),
        ("-2e+1", -20.0),
        ("1e", "1e"),
        ("e5", "e5"),
        ("1e-4x", "1e-4x"),
        ("'1e-4'", "1e-4"),
        ("12", 12),
    ],
)
def test_numbers_with_exponents(text, value):
    changed = apply_overrides({}, [f"a={text}"])["a"]
    assert (type(changed), changed) == (type(value), value)


def test_overrides_set_in_order_and_leave_the_tree_alone():
    tree = {"sampler": {"name": "wrapper", "inner": {"name": "plain"}}, "data": None}
    before = json.dumps(tree)
    changed = apply_overrides(
        tree,
        [
            "sampler.inner.steps=5",
            "sampler.inner.steps=7",
            "data.gain_db=2",
            "new.path=[1, a]",
            "label=a=b",
            "bridge=",
        ],
    )
    assert changed == {
        "sampler": {"name": "wrapper", "inner": {"name": "plain", "steps": 7}},
        "data": {"gain_db": 2},
        "new": {"path": [1, "a"]},
        "label": "a=b",
        "bridge": None,
    }
    assert json.dumps(tree) == before


def test_an_item_of_a_list_goes_by_its_number():
    tree = {"parts": [{"weight": 1, "part": "a"}, {"weight": 2}], "range": [0, 1]}
    changed = apply_overrides(tree, ["parts.0.weight=5", "range.1=0.5", "parts.1.part.steps=3"])
    assert changed == {
        "parts": [{"weight": 5, "part": "a"}, {"weight": 2, "part": {"steps": 3}}],
        "range": [0, 0.5],
    }
    with pytest.raises(ConfigError, match=r"`parts` is .*not a mapping"):
        apply_overrides(tree, ["parts.2.weight=5"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("list.1=5", r"`list` is \[1\], not a mapping; .*`list=\{\.\.\.\}`"),
        ("deep.a.b.c=5", r"`deep\.a` is 1, not a mapping"),
        ("seed", "expected"),
        ("=5", "expected"),
        ("a..b=5", "expected"),
        ("seed=[1", "override `seed=.1`, line 1, column"),
        ("x={a: 1, a: 2}", "given twice"),
    ],
)
def test_malformed_overrides(override, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides({"sampler": "plain", "list": [1], "deep": {"a": 1}}, [override])


def test_overrides_of_components():
    tree = {"sampler": "plain", "other": {"name": "wrapper", "inner": {"name": "plain"}}}
    assert apply_overrides(tree, ["sampler.steps=5", "sampler.rate=2"])["sampler"] == {
        "name": "plain",
        "steps": 5,
        "rate": 2,
    }
    assert apply_overrides(tree, ["other.name=plain", "other.steps=5"])["other"] == {
        "name": "plain",
        "steps": 5,
    }
    assert apply_overrides(tree, ["other.name=wrapper"]) == tree
    assert apply_overrides(tree, ["other.inner=plain"])["other"]["inner"] == "plain"


KEY = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cc", "Cn", "Cs", "Zl", "Zp"]), max_size=12),
    st.from_regex(r"-?[0-9.]{0,3}[eE]?[-+]?[0-9]{0,2}", fullmatch=True),
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(KEY, min_size=1, max_size=4), SCALAR)
def test_any_value_can_be_set_at_any_path(path, value):
    node = apply_overrides({}, [f"{'.'.join(path)}={json.dumps(value, ensure_ascii=False)}"])
    for key in path:
        node = node[key]
    assert node == value and type(node) is type(value)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
    | st.from_regex(r"[-+]?[0-9._]{0,3}[eE]?[-+]?[0-9]{0,2}", fullmatch=True),
    st.integers(),
    st.floats(min_value=0),
)
@example("\x85a\u2028b\nc", 0, math.inf)
@example("1e4", 0, 1e-5)
def test_yaml_round_trip(tmp_path_factory, label, seed, gain_db):
    run = Run(
        sampler={"name": "wrapper", "inner": {"name": "plain", "steps": 3}},
        bridge="line",
        more=["plain"],
        data={"source": "/x/é", "gain_db": gain_db},
        label=label,
        seed=seed,
    )
    path = tmp_path_factory.getbasetemp() / "round_trip.yaml"
    path.write_text(to_yaml(run), encoding="utf-8")
    assert validate(Run, load_yaml(path), path) == run


def test_dump_is_plain_and_names_every_component():
    run = Run(sampler={"name": "wrapper", "inner": "plain"}, bridge="line")
    tree = dump(run)
    assert json.loads(json.dumps(tree)) == tree
    assert tree["sampler"]["inner"] == {"name": "plain", "steps": 50, "rate": 1.0, "mode": "slow"}
    assert (tree["sampler"]["name"], tree["bridge"]) == ("wrapper", {"name": "line"})
    assert tree["data"]["source"] == "music"
    assert validate(Run, tree, "dumped") == run


def test_qualified_names_survive():
    run = Run(sampler="a2sb:plain")
    assert dump(run)["sampler"]["name"] == "a2sb:plain"
    assert validate(Run, dump(run), "dumped") == run


def test_validate_gives_one_error_with_a_line_for_each_problem():
    tree = {
        "sampler": {"name": "wrapper", "inner": {"name": "plain", "steps": "many", "mod": "fast"}},
        "bridge": {"name": "lime"},
        "more": [{"name": "plain", "mode": "quick"}],
        "data": {"gain_db": -1},
        "sead": 3,
    }
    with pytest.raises(ConfigError) as caught:
        validate(Run, tree, "run.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == "run.yaml: 6 problems"
    for path, hint in {
        "sampler.inner.steps": "'many'",
        "sampler.inner.mod": "did you mean `mode`?",
        "bridge.name": "did you mean `line`?",
        "more.0.mode": "'slow' or 'fast'",
        "data.gain_db": "-1",
        "sead": "did you mean `seed`?",
    }.items():
        assert any(line.startswith(f"- {path}: ") and hint in line for line in lines), path


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        ({}, "- sampler: "),
        ([1], "- the whole: "),
        (
            {"sampler": {"name": "wrapper", "inner": "plain", "window": {"size": 4, "hop": 3}}},
            "- sampler.window: hop 3 must divide size 4",
        ),
    ],
)
def test_validate_single_problem(tree, line):
    with pytest.raises(ConfigError) as caught:
        validate(Run, tree, "x")
    head, problem = str(caught.value).splitlines()
    assert head == "x: 1 problem" and problem.startswith(line)


SCHEMA_CASES = [
    ({"sampler": "plain"}, True),
    ({"sampler": {"name": "plain", "steps": 3}}, True),
    ({"sampler": {"name": "wrapper", "inner": {"name": "wrapper", "inner": "plain"}}}, True),
    ({"sampler": "plain", "bridge": None, "more": ["plain", {"name": "plain"}]}, True),
    ({"sampler": "plain", "bridge": {"name": "line"}, "data": {"gain_db": 3}}, True),
    ({}, False),
    ({"sampler": "plian"}, False),
    ({"sampler": {"steps": 3}}, False),
    ({"sampler": {"name": "line"}}, False),
    ({"sampler": "line"}, False),
    ({"sampler": {"name": "plain", "step": 3}}, False),
    ({"sampler": {"name": "plain", "inner": "plain"}}, False),
    ({"sampler": {"name": "wrapper", "inner": {"name": "plain", "steps": "many"}}}, False),
    ({"sampler": "broken"}, False),
    ({"sampler": "plain", "more": [{"name": "plain", "mode": "quick"}]}, False),
    ({"sampler": "plain", "sead": 1}, False),
]


@pytest.mark.parametrize(("tree", "valid"), SCHEMA_CASES)
def test_schema_agrees_with_validation(tree, valid):
    schema = json_schema(Run)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(tree) == valid
    if valid:
        validate(Run, tree, "x")
    else:
        with pytest.raises(ConfigError):
            validate(Run, tree, "x")


def test_schema_offers_names_and_fields_once():
    schema = json_schema(Run)
    names, *choices = schema["$defs"]["sampler"]["anyOf"]
    assert names == {"enum": ["plain", "wrapper"]}
    assert len(choices) == 2
    assert "a2sb-component" not in json.dumps(schema)
    assert set(schema["$defs"]) >= {"sampler", "bridge", "Data", "Run"}


def test_schema_of_a_component_itself():
    schema = json_schema(Wrapper.Config)
    check = jsonschema.Draft202012Validator(schema)
    assert check.is_valid({"name": "wrapper", "inner": {"name": "plain"}})
    assert not check.is_valid({"name": "wrapper", "inner": {"name": "line"}})
    assert check.is_valid({"name": "wrapper", "inner": "plain", "bridge": "line"})
    assert not check.is_valid({"name": "wrapper", "inner": "plain", "bridge": "plain"})


def test_schema_follows_components_of_components():
    class Holder(FrozenConfig):
        sampler: AnySampler

    check = jsonschema.Draft202012Validator(json_schema(Holder))
    sampler = {"name": "wrapper", "inner": "plain", "bridge": {"name": "line"}}
    assert check.is_valid({"sampler": sampler})
    assert not check.is_valid({"sampler": {**sampler, "bridge": {"name": "plain"}}})


def test_schema_without_components():
    schema = json_schema(Data)
    assert jsonschema.Draft202012Validator(schema).is_valid({"gain_db": 1})
    assert not jsonschema.Draft202012Validator(schema).is_valid({"gain": 1})


def test_broken_preset_is_the_error_of_its_plugin(tmp_path):
    (tmp_path / "packages" / "config_presets" / "quick.yaml").unlink()
    with pytest.raises(PluginError, match=r"the preset `quick` .* is broken"):
        load_yaml("quick")


def test_floats_that_are_not_finite_survive():
    run = Run(sampler={"name": "plain", "rate": math.inf})
    assert "rate: .inf" in to_yaml(run)
    assert validate(Run, json.loads(json.dumps(dump(run))), "x") == run
