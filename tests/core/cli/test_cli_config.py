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


@pytest.fixture
def folder(tmp_path, composition):
    """A model folder without weights, inside the folder of its run."""
    folder = tmp_path / "runs" / "tiny" / "model"
    folder.mkdir(parents=True)
    model = {**composition, "loudness_dbfs": -33.5}
    content = {"format_version": 1, "parts": {"bridge": "a2sb 0.2.0"}, "model": model}
    (folder / "config.json").write_text(json.dumps(content, indent=2))
    return folder


def test_a_model_folder_is_a_configuration(a2sb, folder, run_yaml):
    shown = yaml.safe_load(a2sb("config", "show", folder, "--set", "bridge.beta_max=4").stdout)
    assert (shown["loudness_dbfs"], shown["bridge"]["beta_max"]) == (-33.5, 4.0)
    (folder.parents[2] / "more.yaml").write_text(
        "model: {extends: runs/tiny/model, steps: {inpaint: 7}}\n"
        "data: {source: music}\noutput: runs/y\nsteps: 3\n"
    )
    lines = a2sb("config", "show", "more.yaml", "--origins").stdout.splitlines()
    origins = dict(" ".join(line.split()).split(" # ") for line in lines)
    assert origins["model.loudness_dbfs: -33.5"].startswith("runs/tiny/model/config.json, line ")
    assert origins["model.steps.inpaint: 7"] == "more.yaml, line 1"
    # The shipped model has a name.
    small = a2sb("config", "show", "small", "--origins").stdout
    assert "# model small, line " in small and a2sb("config", "validate", "small").exit_code == 0


def test_sources_that_are_something_else_are_named(a2sb, folder, run_yaml, fails):
    run = folder.parent
    fails(a2sb("config", "show", run), "is not a model folder", f"its folder {folder} is one")
    fails(a2sb("config", "show", "a2sb_onesplit"), "a2sb download a2sb_onesplit")
    fails(a2sb("config", "show", "smoll"), "neither a file, a model folder, a preset nor a model")
    training = a2sb("config", "show", run_yaml, "--type", "model")
    fails(training, "run.yaml describes a training run", "TrainConfig")
    fails(a2sb("train", folder), "describes a model", "`model: {extends: SOURCE}`")
    (folder / "config.json").write_text('{"format_version": 1, "model": [1]}')
    fails(a2sb("config", "show", folder), "config.json: model: expected a mapping")


def test_a_model_folder_cannot_extend_files(a2sb, folder, run_yaml, fails):
    content = json.loads((folder / "config.json").read_text())
    content["model"]["bridge"] = {"extends": str(folder.parents[2] / run_yaml)}
    (folder / "config.json").write_text(json.dumps(content))
    fails(a2sb("config", "show", folder), "bridge")


def test_a_chain_is_a_configuration(a2sb, run_yaml, fails):
    with open("chain.yaml", "w") as file:
        file.write("chain: [{task: inpaint}, {task: bandwidth, steps: 2}]\n")
    shown = yaml.safe_load(a2sb("config", "show", "chain.yaml").stdout)
    assert [step["steps"] for step in shown["chain"]] == [None, 2]
    assert a2sb("config", "validate", "chain.yaml", "--set", "chain.0.amount=0.5").exit_code == 0
    fails(a2sb("config", "validate", "chain.yaml", "--set", "chain.1.steps=0"), "chain.1.steps")
    schema = json.loads(a2sb("config", "schema", "--type", "chain").stdout)
    assert "amount" in schema["$defs"]["ChainStep"]["else"]["properties"]


def test_json_for_programs(a2sb, run_yaml):
    shown = json.loads(a2sb("config", "show", run_yaml, "--origins", "--json").stdout)
    assert shown["steps"] == {"path": "steps", "value": "3", "origin": "run.yaml, line 7"}
    whole = json.loads(a2sb("config", "show", run_yaml, "--json").stdout)
    assert whole["model"]["sampler"]["inner"]["steps"] == 7


def test_errors_tell_file_line_and_nearest_name(a2sb, run_yaml, fails):
    with open(run_yaml, "a") as file:
        file.write("batch_sise: 4\n")
    result = a2sb("config", "validate", run_yaml, "--set", "model.bridge=i3sb")
    fails(
        result,
        "batch_sise (run.yaml, line 8): unknown field; did you mean `batch_size`?",
        "model.bridge (--set): unknown bridge `i3sb`; did you mean `i2sb`?",
    )
