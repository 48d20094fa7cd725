"""Configurations that build on others: what is laid over what, and where a value came from."""

from pathlib import Path

import jsonschema
import pytest
from config_parts import parts  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.config.loading import load_config, load_tree, load_yaml, trace, validate
from a2sb_core.config.schema import json_schema
from a2sb_core.config.tree import Node, merge
from a2sb_core.errors import ConfigError
from a2sb_core.plugins.component_config import AnyBridge, AnySampler, FrozenConfig


class Data(FrozenConfig):
    source: Path
    gain_db: float = 0.0


class Run(FrozenConfig):
    sampler: AnySampler
    bridge: AnyBridge | None = None
    data: Data | None = None
    label: str = ""


def write(folder, **files):
    """Write NAME.yaml for each; returns the folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


# merging

KEYS = st.sampled_from(["name", "a", "b", "c"])
TREES = st.recursive(
    st.none()
    | st.integers(0, 3)
    | st.sampled_from(["x", "y"])
    | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(KEYS, TREES, max_size=3)


def merged(base, over):
    return merge(Node.of(base), Node.of(over)).plain()


@given(MAPPINGS)
def test_merging_with_itself_or_nothing_changes_nothing(tree):
    assert merged(tree, tree) == tree
    assert merged(tree, {}) == tree
    assert merged({}, tree) == tree


@given(MAPPINGS, MAPPINGS)
def test_what_is_laid_over_is_in_the_result(base, over):
    result = merged(base, over)
    for key, value in over.items():
        if not isinstance(value, dict | str):
            assert result[key] == value
    assert result.keys() <= base.keys() | over.keys()
    assert merged(result, over) == result


@pytest.mark.parametrize(
    ("base", "over", "result"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {"a": None}),
        ({"s": {"name": "x", "k": 1}}, {"s": {"name": "y", "m": 2}}, {"s": {"name": "y", "m": 2}}),
        (
            {"s": {"name": "x", "k": 1}},
            {"s": {"name": "x", "m": 2}},
            {"s": {"name": "x", "k": 1, "m": 2}},
        ),
        ({"s": {"name": "x", "k": 1}}, {"s": "x"}, {"s": {"name": "x", "k": 1}}),
        ({"s": {"name": "x", "k": 1}}, {"s": "y"}, {"s": {"name": "y"}}),
        ({"s": "x"}, {"s": {"k": 1}}, {"s": {"name": "x", "k": 1}}),
        ({"s": "x"}, {"s": "y"}, {"s": "y"}),
        (
            {"s": {"name": "x", "in": {"name": "u", "k": 1}}},
            {"s": {"in": "v"}},
            {"s": {"name": "x", "in": {"name": "v"}}},
        ),
    ],
)
def test_rules_of_merging(base, over, result):
    assert merged(base, over) == result


# files


def test_chain_of_files_is_relative_to_each_file(tmp_path, monkeypatch):
    write(
        tmp_path,
        top="extends: deep/mid.yaml\nlabel: top\n",
        deep__mid="extends: ../base.yaml\nsampler: {steps: 7}\nlabel: mid\n",
        base="sampler: {name: plain, rate: 2}\ndata: {source: music, gain_db: 3}\n",
    )
    monkeypatch.chdir(tmp_path)
    config = load_config(Run, "top.yaml", ["data.gain_db=4"])
    assert (config.sampler.steps, config.sampler.rate, config.label) == (7, 2.0, "top")
    found = {line.path: line.origin for line in trace(config, load_tree("top.yaml", ["label=x"]))}
    assert found == {
        "sampler.name": "base.yaml, line 1",
        "sampler.steps": "deep/mid.yaml, line 2",
        "sampler.rate": "base.yaml, line 1",
        "sampler.mode": "default",
        "bridge": "default",
        "data.source": "base.yaml, line 2",
        "data.gain_db": "base.yaml, line 2",
        "label": "--set",
    }


def test_any_mapping_may_extend_a_preset_or_a_file(tmp_path):
    write(
        tmp_path,
        top="extends: quick\ndata:\n  extends: data.yaml\n  gain_db: 1\n",
        data="source: music\ngain_db: 9\n",
    )
    tree = load_tree(tmp_path / "top.yaml")
    assert tree.plain() == {"sampler": "plain", "data": {"source": "music", "gain_db": 1}}
    assert tree.origin_of(["sampler", "name"]) == "preset quick, line 1"
    assert tree.origin_of(["data", "source"]) == f"{tmp_path / 'data.yaml'}, line 1"


def test_a_file_beside_it_comes_before_a_preset(tmp_path):
    (tmp_path / "quick").write_text("label: file")
    write(tmp_path, top="extends: quick\n")
    assert load_yaml(tmp_path / "top.yaml") == {"label": "file"}


def test_anchors_and_merge_keys_tell_the_line_of_the_value(tmp_path):
    write(
        tmp_path,
        run=(
            "sampler: &fast\n  name: plain\n  steps: 2\n"
            "bridge: line\n"
            "label: &word hello\n"
            "more:\n- {<<: *fast, steps: 3}\n- *word\n"
        ),
    )
    tree = load_tree(tmp_path / "run.yaml")
    assert tree.plain()["more"] == [{"name": "plain", "steps": 3}, "hello"]
    lines = [
        tree.origin_of(path).rpartition(" ")[2]
        for path in (
            ("more", 0, "name"),
            ("more", 0, "steps"),
            ("sampler", "steps"),
            ("bridge", "name"),
        )
    ]
    assert lines == ["2", "7", "3", "4"]


def test_keys_aside_hold_anchors_and_nothing_else(tmp_path):
    write(
        tmp_path,
        base="x-slow: &slow {name: plain, steps: 9}\nsampler: *slow\n",
        top="extends: base.yaml\nx-label: &label hello\nlabel: *label\n",
    )
    tree = load_tree(tmp_path / "top.yaml")
    assert tree.plain() == {"sampler": {"name": "plain", "steps": 9}, "label": "hello"}
    write(tmp_path, deep="data: {x-a: 1}\n")
    assert load_yaml(tmp_path / "deep.yaml") == {"data": {"x-a": 1}}  # refused where it is checked


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"top": "extends: top.yaml"}, r"circle: .*top\.yaml -> .*top\.yaml$"),
        (
            {"top": "extends: b.yaml", "b": "a: {extends: top.yaml}"},
            r"circle: .*top\.yaml -> .*b\.yaml -> .*top\.yaml$",
        ),
        (
            {"top": "a: 1\nextends: quik"},
            r"top\.yaml, line 2: extends: `quik` .*did you mean `quick`",
        ),
        ({"top": "extends: [a, b]"}, r"top\.yaml, line 1: extends: expected a path or a name"),
        ({"top": "extends: b.yaml", "b": "- 1"}, r"b\.yaml: expected a mapping of fields"),
        ({"top": "extends: b.yaml", "b": "a: 1\na: 2"}, r"b\.yaml, line 2, .*given twice"),
        ({"top": "a: &x [*x]"}, r"top\.yaml, line 1, column 4: an anchor contains itself"),
        ({"top": "? [1]\n: 2"}, r"top\.yaml, line 1, column 3: a key must be a single value"),
    ],
)
def test_errors_of_extending(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(ConfigError, match=message):
        load_tree(tmp_path / "top.yaml")


def test_problems_are_told_where_they_were_given(tmp_path, monkeypatch):
    write(
        tmp_path,
        top="extends: base.yaml\nsampler:\n  stepz: 3\nbridge: lime\ndata: {}\n",
        base="sampler:\n  name: plain\n  steps: 0\n",
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load_config(Run, "top.yaml", ["label=[]"])
    text = str(caught.value)
    for place in (
        "sampler.steps (base.yaml, line 3)",
        "sampler.stepz (top.yaml, line 3)",
        "bridge (top.yaml, line 4)",
        "data.source (top.yaml, line 5)",
        "label (--set)",
    ):
        assert f"- {place}: " in text


# schema


@pytest.mark.parametrize(
    ("tree", "valid"),
    [
        ({"extends": "a.yaml"}, True),
        ({"extends": "a.yaml", "sampler": {"steps": 3}}, True),
        ({"extends": "a.yaml", "sampler": {"inner": {"steps": 3}}}, True),
        ({"extends": "a.yaml", "sampler": {"name": "plain", "steps": 3}, "data": {}}, True),
        ({"sampler": "plain", "data": {"extends": "d.yaml"}}, True),
        ({"sampler": {"extends": "s.yaml", "steps": 3}}, True),
        ({"extends": "a.yaml", "sampler": {"stepz": 3}}, False),
        ({"extends": "a.yaml", "sampler": {"name": "plian"}}, False),
        ({"extends": "a.yaml", "sampler": {"name": "plain", "inner": "plain"}}, False),
        ({"extends": "a.yaml", "sead": 3}, False),
        ({"extends": 3}, False),
        ({"sampler": {"steps": 3}, "data": {"extends": "d.yaml"}}, False),
        ({"sampler": "plain", "data": {}}, False),
    ],
)
def test_schema_allows_parts_below_what_extends(tree, valid):
    schema = json_schema(Run)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(tree) == valid


def test_extending_is_not_a_field_of_a_configuration():
    with pytest.raises(ConfigError, match="extends: unknown field"):
        validate(Run, {"sampler": "plain", "extends": "a.yaml"}, "x")
