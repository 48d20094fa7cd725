"""`a2sb config show`: where every value came from."""

import json

import pytest
import yaml


@pytest.fixture
def run_yaml(tmp_path, monkeypatch):
    """A configuration on top of a preset, in the current folder."""
    (tmp_path / "run.yaml").write_text(
        "model:\n  extends: paper\n  sampler:\n    inner: {steps: 7}\n"
        "data: {source: music}\noutput: runs/x\nsteps: 3\n"
    )
    monkeypatch.chdir(tmp_path)
    return "run.yaml"


def test_origins_are_told_for_every_value(a2sb, run_yaml):
    changes = ("--set", "steps=5", "--set", "model.bridge.beta_max=2")
    shown = a2sb("config", "show", run_yaml, "--origins", *changes).stdout
    lines = dict(line.split("  # ") for line in shown.splitlines())
    found = {text.strip(): origin for text, origin in lines.items()}
    assert found["model.sampler.inner.steps: 7"] == "run.yaml, line 4"
    assert found["model.sampler.window: 256"].startswith("preset paper, line ")
    assert found["steps: 5"] == found["model.bridge.beta_max: 2.0"] == "--set"
    assert found["batch_size: 16"] == "default"
    # What is printed is YAML of the same values.
    flat = yaml.safe_load(shown)
    whole = yaml.safe_load(a2sb("config", "show", run_yaml, *changes).stdout)
    assert flat["model.backbone.widths"] == whole["model"]["backbone"]["widths"]
    assert flat["data.source"] == "music"


def test_json_for_programs(a2sb, run_yaml):
    shown = json.loads(a2sb("config", "show", run_yaml, "--origins", "--json").stdout)
    assert shown["steps"] == {"path": "steps", "value": "3", "origin": "run.yaml, line 7"}
    whole = json.loads(a2sb("config", "show", run_yaml, "--json").stdout)
    assert whole["model"]["sampler"]["inner"]["steps"] == 7


def test_errors_tell_file_line_and_nearest_name(a2sb, run_yaml, fails):
    with open(run_yaml, "a") as file:
        file.write("batch_sise: 4\n")
    result = a2sb("config", "validate", run_yaml, "--set", "model.bridge=i3sb")
    fails(result, "batch_sise (run.yaml, line 8): unknown field; did you mean `batch_size`?",
          "model.bridge (--set): unknown bridge `i3sb`; did you mean `i2sb`?")
