import json

import pytest
import torch
from engine_helpers import RATE, model_config, noise
from safetensors.torch import load_file, save_file

from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.models.folder import read_config, save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.locating import find_model
from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer


@pytest.fixture
def folder(model, tmp_path):
    return save_model(model, tmp_path / "model")


def change_json(folder, change):
    tree = json.loads((folder / "config.json").read_text())
    change(tree)
    (folder / "config.json").write_text(json.dumps(tree))


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_saving_and_loading_restores_alike(restorer, tmp_path):
    restorer.save_pretrained(tmp_path / "model")
    again = Restorer.from_pretrained(tmp_path / "model", device="cpu", precision="fp32")
    wave = noise(4000)
    damages = {"bandwidth": {"cutoff_hz": 5000}, "inpaint": {"gaps_s": [(0.03, 0.04)]}}
    for task, damage in damages.items():
        first, second = (r.restore(wave, RATE, task=task, **damage) for r in (restorer, again))
        assert torch.equal(first, second)


def test_everything_of_a_model_is_kept(tmp_path):
    config = model_config(loudness_dbfs=-23.0, steps={"inpaint": 7})
    model = Model(config)
    model.prediction.fit(torch.randn(4, 3, 128, 9))
    loaded = load_model(save_model(model, tmp_path / "deep" / "model"))
    assert loaded.config == config
    assert not loaded.training
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


def test_the_network_can_be_stored_in_16_bits(model, folder, tmp_path):
    half = save_model(model, tmp_path / "half", half=True)
    sizes = [(path / "model.safetensors").stat().st_size for path in (folder, half)]
    assert sizes[1] < 0.6 * sizes[0]
    for key, value in load_model(half).state_dict().items():
        assert value.dtype == torch.float32
        expected = model.state_dict()[key]
        if key.startswith("backbone."):
            expected = expected.half().float()
        assert torch.equal(value, expected), key


def test_a_folder_holds_two_files_and_says_where_its_parts_came_from(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    tree = json.loads((folder / "config.json").read_text())
    assert tree["format_version"] == 1
    assert set(tree["parts"]) == {
        "representation",
        "corruption",
        "corruption.parts.0.corruption",
        "corruption.parts.1.corruption",
        "bridge",
        "prediction",
        "backbone",
        "sampler",
        "sampler.inner",
    }
    assert all(tree["parts"].values())
    inner = tree["model"]["sampler"]["inner"]
    assert (inner["name"], inner["steps"], inner["eta"]) == ("implicit", 2, 0.0)
    assert read_config(folder) == model_config()


def test_a_folder_of_an_older_version_loads_to_the_bit(model, folder):
    """Older folders list no tasks, and no parts or version of the framework."""
    change_json(folder, lambda tree: [tree.pop(key) for key in ("tasks", "parts", "a2sb_version")])
    loaded = load_model(folder)
    assert loaded.config == model.config
    assert all(
        torch.equal(value, model.state_dict()[k]) for k, value in loaded.state_dict().items()
    )


def test_the_default_number_of_steps_is_that_of_the_task_or_the_sampler():
    model = Model(model_config(steps={"inpaint": 7}))
    assert (model.steps_for("inpaint"), model.steps_for("bandwidth")) == (7, 2)


def test_an_existing_folder_stays(model, folder):
    (folder / "notes.txt").write_text("precious")
    with pytest.raises(ModelError, match="exists already"):
        save_model(model, folder)
    with pytest.raises(ModelError, match="exists already"):
        Restorer(model, device="cpu").save_pretrained(folder)
    assert (folder / "notes.txt").read_text() == "precious"
    save_model(model, folder, overwrite=True)
    assert load_model(folder).config == model.config


def test_saving_that_fails_leaves_nothing_behind(model, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("a2sb_core.models.folder.save_file", fail)
    with pytest.raises(OSError, match="full"):
        save_model(model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_config_of_another_version_names_who_wrote_it(folder):
    change_json(folder, lambda tree: tree.update(format_version=2, a2sb_version="9.9"))
    with pytest.raises(ModelError, match=r"format_version 2, .* reads 1; .*\(9\.9\)"):
        load_model(folder)
    change_json(folder, lambda tree: tree.pop("format_version"))
    with pytest.raises(ModelError, match="format_version None"):
        load_model(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not valid JSON"), ("[]", "format_version None"), ("\udcff", "is not valid JSON")],
)
def test_a_config_that_is_none_is_named(folder, text, message):
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=f"config.json.*{message}"):
        load_model(folder)


def test_a_config_with_wrong_fields_tells_the_path(folder):
    def change(tree):
        tree["model"]["backbone"]["width"] = 3
        tree["model"]["bridge"]["name"] = "i2bs"

    change_json(folder, change)
    with pytest.raises(ConfigError, match=r"backbone\.width: unknown field; did you mean `widths`"):
        load_model(folder)
    with pytest.raises(ConfigError, match=r"bridge\.name: .*did you mean `i2sb`"):
        load_model(folder)


def test_a_part_that_is_not_here_is_told_with_its_plugin(folder):
    def change(tree):
        tree["model"]["sampler"]["inner"] = {"name": "leap"}
        tree["parts"]["sampler.inner"] = "a2sb-leap 0.3"
        tree["parts"]["bridge"] = "pluggy 0.0.1"

    change_json(folder, change)
    with pytest.raises(ConfigError, match="unknown sampler `leap`") as caught:
        read_config(folder)
    *_, bridge, sampler = str(caught.value).splitlines()
    assert bridge.startswith("- bridge came from pluggy 0.0.1")
    assert sampler.startswith("- sampler.inner came from a2sb-leap 0.3")
    assert "only if you know and trust it" in sampler and "pip install" not in sampler


def test_a_folder_without_parts_of_a_model_is_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"is no model folder: it has no config\.json"):
        load_model(folder)


def test_weights_that_are_cut_off_are_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"model\.safetensors cannot be read"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("prediction.mean"), "prediction.mean is missing"),
        (lambda tensors: tensors.update(extra=torch.ones(1)), "extra is unknown"),
        (
            lambda tensors: tensors.update({"prediction.mean": torch.ones(3, 5, 1)}),
            r"prediction.mean is \(3, 5, 1\) and should be \(3, 128, 1\)",
        ),
        (lambda tensors: tensors["prediction.mean"].fill_(torch.nan), "prediction.mean holds"),
        (lambda tensors: tensors.update({"prediction.mean": torch.ones(3, 128, 1).bool()}), "type"),
        (lambda tensors: [tensors.pop(key) for key in list(tensors)[:8]], "is missing and 3 more$"),
    ],
)
def test_weights_that_do_not_fit_are_told_one_by_one(folder, change, message):
    change_weights(folder, change)
    with pytest.raises(ModelError, match=f"do not fit its config.json: .*{message}"):
        load_model(folder)


def test_an_unknown_name_is_answered_with_what_there_is(tmp_path):
    with pytest.raises(ModelError, match=r"there is no model `tiny`: .*nor a hub id"):
        Restorer.from_pretrained("tiny")
    for path in (tmp_path / "absent", "./absent", "a/b/c"):
        with pytest.raises(ModelError, match="there is no model"):
            find_model(path)


def test_a_registered_name_is_not_a_folder_of_the_same_name(tmp_path, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    assert (find_model("small") / "config.json").is_file()
    folder.rename(tmp_path / "named")
    (tmp_path / "small").rmdir()
    (tmp_path / "named").rename("small")
    assert find_model("./small").samefile(tmp_path / "small")
    assert not find_model("small").samefile(tmp_path / "small")


def test_an_absent_device_is_refused_before_anything_is_loaded(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("loaded")

    monkeypatch.setattr("a2sb_core.restoration.restorer.find_model", fail)
    with pytest.raises(ModelError, match="`cuda:99` is not available on this machine"):
        Restorer.from_pretrained("tiny", device="cuda:99")
