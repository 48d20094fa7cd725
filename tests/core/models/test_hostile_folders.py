"""Model folders of strangers, whose files state impossible or huge things."""

import copy
import itertools
import json
import os
import time

import pytest
import torch
from engine_helpers import RATE, noise
from safetensors.torch import load_file, save_file

from a2sb_core.errors import A2SBError, ConfigError, ModelError
from a2sb_core.models.card import read_card
from a2sb_core.models.catalogue import read_facts
from a2sb_core.models.folder import save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.locating import find_model
from a2sb_core.restoration.restorer import Restorer

NAN = float("nan")
SIZES = [
    ("backbone.widths", [10**9] * 4),
    ("backbone.widths", [2**70] * 4),
    ("backbone.widths", [32] * 3000),
    ("backbone.widths", [16_384] * 12),
    ("backbone.res_blocks", 10**9),
    ("backbone.res_blocks", 64),
    ("backbone.fine_blocks", 10**9),
    ("backbone.time_channels", 10**12),
    ("backbone.band_channels", 10**10),
    ("backbone.heads", 10**9),
    ("backbone.groups", 10**9),
    ("backbone.patch", [10**9, 1]),
    ("backbone.dropout", NAN),
    ("representation.n_fft", 2**31),
    ("representation.n_fft", 0),
    ("representation.n_fft", 2**20),
    ("representation.hop_length", 0),
    ("representation.hop_length", -1),
    ("representation.sample_rate", 10**12),
    ("representation.power", NAN),
    ("representation.power", 0),
    ("representation.phase_iterations", 10**9),
    ("bridge.beta_max", NAN),
    ("bridge.beta_max", float("inf")),
    ("bridge.beta_max", -1),
    ("prediction.fill_std", NAN),
    ("prediction.residual", [NAN] * 3),
    ("prediction.residual", [1] * 100_000),
    ("sampler.window", 10**9),
    ("sampler.hop", -8),
    ("sampler.batch", 10**12),
    ("sampler.inner.steps", 10**9),
    ("sampler.inner.t_end", NAN),
    ("sampler.inner.name", "multidiffusion"),
    ("loudness_dbfs", float("inf")),
    ("steps", {"bandwidth": 10**9}),
    ("steps", {"bandwidth": 0}),
    ("corruption.parts", []),
    ("corruption.parts", [{"corruption": "bandwidth"}] * 10_000),
]


@pytest.fixture
def folder(model, tmp_path):
    return save_model(model, tmp_path / "model")


@pytest.fixture(autouse=True)
def soon():
    """Fail if a folder is not refused within seconds of computation."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 5


def changed(folder, path, value):
    """Write a value to the composition in ``config.json``."""
    tree = json.loads((folder / "config.json").read_text())
    *keys, last = path.split(".")
    place = tree["model"]
    for key in keys:
        place = place[key]
    place[last] = value
    (folder / "config.json").write_text(json.dumps(tree))


@pytest.mark.parametrize(("path", "value"), SIZES, ids=lambda value: str(value)[:30])
def test_impossible_sizes_are_refused(folder, path, value):
    changed(folder, path, value)
    with pytest.raises((ModelError, ConfigError)):
        load_model(folder)


def test_sizes_of_another_network_are_refused_before_memory_is_allocated(folder):
    """A network of 64 experts, each of a gigabyte, would not fit into the memory."""
    expert = {**json.loads((folder / "config.json").read_text())["model"]["backbone"]}
    cuts = [k / 64 for k in range(1, 64)]
    experts = {"name": "experts", "expert": {**expert, "widths": [4096, 4096]}, "cuts": cuts}
    changed(folder, "backbone", experts)
    with pytest.raises(ModelError, match=r"more tensors than there are weights|do not fit"):
        load_model(folder)
    changed(folder, "backbone", {**experts, "expert": experts})
    with pytest.raises(ConfigError, match="cannot consist of experts"):
        load_model(folder)


@pytest.mark.parametrize("part", ["corruption", "sampler"])
def test_parts_within_parts_without_end_are_refused(folder, part):
    tree = json.loads((folder / "config.json").read_text())["model"]
    inner = copy.deepcopy(tree[part])
    for _ in range(100):
        nested = {"parts": [{"corruption": inner}]} if part == "corruption" else {"inner": inner}
        inner = {**tree[part], **nested}
    changed(folder, part, inner)
    with pytest.raises(ModelError, match="nested more than"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "[" * 1_000_000, "nested too deeply"),
        (lambda text: '{"a":' * 100_000, "nested too deeply"),
        (lambda text: text.replace(": 256", ": " + "9" * 5000, 1), "5000 digits"),
        (
            lambda text: text.replace('"n_fft":', '"n_fft": 64, "n_fft":'),
            "`?n_fft.? is given twice",
        ),
        (lambda text: text[:-2] + ', "x": "' + "y" * 3_000_000 + '"}', "more than 1048576 bytes"),
        (lambda text: text.replace('"format_version": 1', '"format_version": true'), "True"),
        (lambda text: "null", "format_version None"),
        (lambda text: text + "\0", "is not valid JSON"),
    ],
)
def test_strange_json_is_refused(folder, change, message):
    path = folder / "config.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(ModelError, match=message) as caught:
        load_model(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "loop"])
def test_what_is_no_regular_file_is_refused(folder, name, kind):
    path = folder / name
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else name)
    with pytest.raises(ModelError, match=r"cannot be read|no model folder"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_another_kind_are_refused(folder, dtype):
    tensors = load_file(folder / "model.safetensors")
    save_file({k: v.to(dtype) for k, v in tensors.items()}, folder / "model.safetensors")
    with pytest.raises(ModelError, match="do not fit"):
        load_model(folder)


def test_a_result_that_is_not_finite_is_an_error(model):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken.backbone.output_projection[2].bias.fill_(1e38)
        broken.prediction.spread.fill_(1e38)
    restorer = Restorer(broken, device="cpu", precision="fp32")
    with pytest.raises(ModelError, match="not finite"):
        restorer.restore(noise(4000), RATE, task="bandwidth", cutoff_hz=5000)


def chain(line):
    """Return lines of YAML, each of which uses the anchor of the line before nine times."""
    letters = "abcdefghi"
    return "".join(
        line.format(b=b, uses=",".join([f"*{a}"] * 9)) for a, b in itertools.pairwise(letters)
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + chain("{b}: &{b} [{uses}]\n"),
        "a: &a {k: 1}\n" + chain("{b}: &{b} {{<<: [{uses}]}}\n"),
        "[" * 20_000,
        "repo: ann/tiny\nx: " + "y" * 20_000_000,
        "repo: ann/tiny\nbytes: " + "9" * 5000,
        "repo: ann/tiny\nbytes: " + "59:" * 5000 + "1",
        "repo: ann/tiny\nrevision: 2020-99-99",
        "!!python/object/apply:os.system ['true']",
        "repo: ann/tiny\nfiles: ['../../../../etc/passwd']",
    ],
    ids=["aliases", "merges", "deep", "long", "digits", "base 60", "date", "python", "path"],
)
def test_a_strange_source_is_refused(folder, text):
    (folder / "source.yaml").write_text(text)
    with pytest.raises(A2SBError) as caught:
        find_model(folder)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "front",
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + chain("{b}: &{b} [{uses}]\n"),
        "[" * 20_000,
        "x: " + "y" * 20_000_000,
        "x: " + "9" * 5000,
        "license: mit\nlicense: other",
        "license: !!python/object/apply:os.system ['true']",
        "model-index: [{name: x, results: [{task: 5}]}]",
        "model-index: [{name: x, results: [{task: {type: a}, dataset: {type: a, name: b}, "
        "metrics: [{type: x, value: 1}], source: 5}]}]",
        "1: 2",
        "\xff",
    ],
    ids=[
        "aliases",
        "deep",
        "long",
        "digits",
        "twice",
        "python",
        "results",
        "link",
        "key",
        "latin1",
    ],
)
def test_a_strange_card_is_refused(folder, front):
    text = f"---\n{front}\n---\n\n# A model\n"
    (folder / "README.md").write_bytes(text.encode("latin1"))
    with pytest.raises(ModelError, match=r"README\.md") as caught:
        read_card(folder)
    assert len(str(caught.value)) < 1000


def test_a_source_shows_nothing_of_other_files(folder, tmp_path):
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    (folder / "source.yaml").write_text("extends: ../secret.yaml\n")
    with pytest.raises(ConfigError, match=r"extends .*unknown field") as caught:
        find_model(folder)
    assert "hunter2" not in str(caught.value) and "password" not in str(caught.value)


def test_a_part_of_another_version_is_reported(folder, caplog):
    tree = json.loads((folder / "config.json").read_text())
    tree["parts"]["bridge"] = "pluggy 0.0.1"
    tree["parts"]["sampler\x1b[2J"] = "absent-dist 3"
    tree["parts"]["backbone"] = "a2sb 0.0.1"
    (folder / "config.json").write_text(json.dumps(tree))
    load_model(folder)
    text = caplog.text
    assert "bridge came from pluggy 0.0.1" in text and "is installed" in text
    assert "absent-dist 3, which is not installed" in text and "a2sb 0.0.1" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("tasks", [5, "gap", {"a": 1}])
def test_tasks_that_are_no_list_are_not_taken(folder, tasks):
    usual = read_facts(folder).tasks
    tree = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(tree | {"tasks": tasks}))
    assert read_facts(folder).tasks == usual
