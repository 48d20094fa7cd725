"""The denoiser in ONNX Runtime equals that of PyTorch, and files that do not fit are refused."""

import shutil

import numpy as np
import pytest
import torch
from tiny_model import composition, save_tiny

from a2sb_core.config.loading import validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import State
from a2sb_core.models import onnx_export
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.models.onnx_export import export_onnx
from a2sb_core.models.onnx_runtime import OnnxAbout, OnnxRuntime
from a2sb_core.restoration.restorer import Restorer

RATE, WINDOW = 44100, 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a model folder with its exported file."""
    folder = save_tiny(tmp_path_factory.mktemp("onnx") / "tiny")
    export_onnx(load_model(folder), folder / "model.onnx")
    return folder


@pytest.mark.parametrize("items", [1, 3])
def test_the_denoiser_is_that_of_pytorch(folder, items):
    model, runtime = load_model(folder), OnnxRuntime(folder / "model.onnx")
    torch.manual_seed(1)
    sizes = items, 3, model.representation.rows, WINDOW
    missing = torch.rand(items, 1, *sizes[2:]) < 0.5
    state = State(torch.randn(sizes), torch.rand(items), torch.randn(sizes), missing)
    with torch.no_grad():
        expected, found = (m.denoiser()(state) for m in (model, model.evaluated_by(runtime)))
    assert (found - expected).abs().max() < 1e-4


def test_a_restoration_is_that_of_pytorch(folder):
    wave = 0.1 * np.random.default_rng(0).standard_normal((2, RATE // 2)).astype(np.float32)
    by_torch = Restorer.from_pretrained(folder, "cpu", "fp32")
    by_onnx = Restorer.from_pretrained(folder, backend="onnx", max_bytes=2_000_000_000)
    for task, damage in {
        "bandwidth": {"cutoff_hz": 4000},
        "inpaint": {"gaps_s": [(0.2, 0.3)]},
    }.items():
        first, second = (r.restore(wave, RATE, task=task, **damage) for r in (by_torch, by_onnx))
        assert np.abs(first - second).max() < 1e-4
        assert np.abs(first - wave).max() > 1e-3


def test_the_cache_is_filled_once_and_int8_is_smaller_and_close(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path))
    wave = 0.1 * np.random.default_rng(0).standard_normal(RATE // 4)
    results = [
        Restorer.from_pretrained(folder, backend=backend).restore(
            wave, RATE, task="bandwidth", cutoff_hz=4000
        )
        for backend in ("onnx", "onnx-int8", "onnx-int8")
    ]
    (made,) = tmp_path.rglob("*.onnx")
    assert made.name == "model-int8.onnx"
    assert made.stat().st_size < (folder / "model.onnx").stat().st_size
    assert np.array_equal(results[1], results[2])
    error = np.linalg.norm(results[1] - results[0]) / np.linalg.norm(results[0] - wave)
    assert 0 < error < 0.3


@pytest.mark.slow
def test_a_conditioned_network_takes_the_damage(tmp_path):
    fields = composition(condition_on=["cutoff_hz"])
    torch.manual_seed(0)
    model = Model(validate(ModelConfig, fields, "the test")).eval()
    export_onnx(model, tmp_path / "m.onnx")
    other = model.evaluated_by(OnnxRuntime(tmp_path / "m.onnx"))
    x = torch.randn(2, 3, model.representation.rows, WINDOW)
    state = State(x, torch.full((2,), 0.5), x, torch.ones_like(x[:, :1], dtype=torch.bool))
    with torch.no_grad():
        values = [m.denoiser({"cutoff_hz": c})(state) for c in (0.1, 0.9) for m in (model, other)]
    assert (values[0] - values[1]).abs().max() < 1e-4
    assert (values[2] - values[3]).abs().max() < 1e-4
    assert (values[0] - values[2]).abs().max() > 1e-3


@pytest.mark.slow
def test_large_weights_go_to_a_second_file(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "MOST_WEIGHT_BYTES", 0)
    done = export_onnx(load_model(folder), tmp_path / "large.onnx")
    assert {path.name for path in tmp_path.iterdir()} == {"large.onnx", "large.onnx.data"}
    assert done.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert done.difference < 1e-4


def changed(folder, tmp_path):
    """Return the folder of another model with the file of this one."""
    copy = shutil.copytree(folder, tmp_path / "other")
    model = load_model(folder)
    with torch.no_grad():
        next(model.backbone.parameters()).add_(0.1)
    Restorer(model, "cpu", "fp32").save_pretrained(tmp_path / "new")
    shutil.copy(tmp_path / "new" / "model.safetensors", copy)
    return copy


def test_files_that_do_not_fit_are_refused(folder, tmp_path):
    with pytest.raises(ModelError, match="exported from another model"):
        Restorer.from_pretrained(changed(folder, tmp_path), backend="onnx")
    with pytest.raises(ModelError, match=r"no file .*a2sb export"):
        OnnxRuntime(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be loaded"):
        OnnxRuntime(tmp_path / "broken.onnx")
    shutil.copytree(folder, tmp_path / "named")
    (tmp_path / "named" / "model.onnx").rename(tmp_path / "named" / "model-int8.onnx")
    with pytest.raises(ModelError, match=r"rename it to model\.onnx"):
        Restorer.from_pretrained(tmp_path / "named", backend="onnx-int8")
    with pytest.raises(ModelError, match="exists already"):
        export_onnx(load_model(folder), folder / "model.onnx")
    with pytest.raises(ModelError, match=r"ends in \.onnx"):
        export_onnx(load_model(folder), tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "cuda"}, "device cpu"),
        ({"precision": "bf16"}, "precision fp32"),
        ({"compile": True}, "compiled"),
        ({"backend": "tensorflow"}, "torch, onnx, onnx-int8"),
    ],
)
def test_options_that_a_backend_does_not_have(folder, options, words):
    with pytest.raises(ModelError, match=words):
        Restorer.from_pretrained(folder, **{"backend": "onnx", **options})


def test_a_sampler_without_windows_has_no_file():
    model = Model(validate(ModelConfig, composition(sampler={"name": "implicit"}), "the test"))
    with pytest.raises(ModelError, match="whole recordings"):
        OnnxAbout.of(model)


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_the_command(folder, tmp_path, monkeypatch, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ModelError, match=r"pip install 'a2sb\[onnx\]'"):
        export_onnx(load_model(folder), tmp_path / "m.onnx")
