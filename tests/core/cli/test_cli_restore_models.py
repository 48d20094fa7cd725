"""Models that `a2sb restore` refuses."""

import json
import shutil

import pytest


@pytest.fixture
def broken_model(model_folder, tmp_path):
    """Copy the tiny model, with its config changed by a function."""

    def make(change):
        folder = tmp_path / "broken"
        shutil.copytree(model_folder, folder)
        tree = json.loads((folder / "config.json").read_text())
        change(tree)
        (folder / "config.json").write_text(json.dumps(tree))
        return folder

    return make


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree.update(format_version=99), ("format_version", "99")),
        (lambda tree: tree["model"]["bridge"].update(name="i3sb"), ("bridge", "i3sb", "i2sb")),
        (
            lambda tree: tree["model"]["backbone"].update(depth=1),
            ("backbone.depth", "unknown field"),
        ),
        (lambda tree: tree["model"]["backbone"].update(heads="x"), ("backbone.heads", "integer")),
        (lambda tree: tree["model"]["backbone"].update(widths=[64, 64]), ("weights", "do not fit")),
        (lambda tree: tree.pop("model"), ("config.json",)),
    ],
)
def test_models_that_do_not_fit(low_file, tmp_path, a2sb, fails, broken_model, change, words):
    folder = broken_model(change)
    asked = ("--task", "bandwidth", "--model", folder)
    fails(a2sb("restore", low_file, "-o", tmp_path / "out.wav", *asked), "broken", *words)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("name", ["nothing", "./nothing"])
def test_a_model_that_is_not_there(low_file, tmp_path, a2sb, fails, name):
    asked = ("--task", "bandwidth", "--model", name)
    fails(a2sb("restore", low_file, "-o", tmp_path / "out.wav", *asked), "nothing")


def test_a_folder_that_is_no_model(low_file, tmp_path, a2sb, fails):
    asked = ("--task", "bandwidth", "--model", tmp_path)
    result = a2sb("restore", low_file, "-o", tmp_path / "out.wav", *asked)
    fails(result, "is no model folder", "config.json")


def test_weights_that_are_cut_short(low_file, tmp_path, a2sb, fails, broken_model):
    folder = broken_model(lambda tree: None)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    asked = ("--task", "bandwidth", "--model", folder)
    result = a2sb("restore", low_file, "-o", tmp_path / "out.wav", *asked)
    fails(result, "model.safetensors", "read")
