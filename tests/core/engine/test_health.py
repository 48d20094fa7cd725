"""What is looked at on a machine, with what may be wrong there."""

import importlib.metadata
from types import SimpleNamespace

import pytest
import torch
from packaging.requirements import Requirement

from a2sb_core.audio import names
from a2sb_core.engine import hardware, health, installed
from a2sb_core.errors import ModelError
from a2sb_core.plugins.doctor import Finding


def only(checks):
    (check,) = checks
    return check


def by_name(found):
    return {one.name: one for one in found}


@pytest.mark.parametrize(("wanted", "words"), [
    ("numpy<1", "numpy {} is installed; numpy<1 is needed"),
    ("no-such-package>=2", "no-such-package is not installed; no-such-package>=2 is needed"),
])
def test_versions_that_do_not_do(wanted, words):
    (misfit,) = installed.misfits([Requirement(wanted), Requirement("numpy>=1")])
    assert str(misfit) == words.format(importlib.metadata.version("numpy"))


def test_what_is_declared_is_met_here_and_extras_are_no_part_of_it():
    wanted = installed.requirements()
    assert {"torch", "torchaudio", "soundfile", "typer"} <= {one.name for one in wanted}
    assert not list(installed.misfits(wanted))
    assert [one.name for one in installed.requirements("evaluate")] == ["visqol-python"]
    assert "visqol-python" not in {one.name for one in wanted}


def test_a_package_of_a_wrong_version_is_broken_and_told_how_to_mend(monkeypatch):
    monkeypatch.setattr(installed, "requirements", lambda extra="": [Requirement("torch<2")])
    check = by_name(health._packages("auto"))["torch"]
    broken = [one for one in health._packages("auto") if one.state == "broken"]
    assert [one.advice for one in broken] == ["`pip install 'torch<2'`"] and check.name == "torch"


def test_a_source_tree_that_is_not_installed_is_told(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    for name in ("requires", "version", "metadata"):
        monkeypatch.setattr(installed, name, absent)
    check = by_name(health._packages("auto"))["a2sb"]
    assert check.state == "note" and "not installed" in check.told
    assert list(installed.extras()) == []


def test_extras_tell_what_they_are_for_and_what_lacks(monkeypatch):
    monkeypatch.setattr(installed, "misfits", lambda wanted: [
        installed.Misfit(one.name, str(one), "") for one in wanted if one.name == "visqol-python"])
    check = by_name(health._options("auto"))["a2sb[evaluate]"]
    assert check.state == "ok" and "pip install 'a2sb[evaluate]'" in check.told
    assert check.facts == {"missing": ("visqol-python",)}


def test_an_old_libsndfile_is_told(monkeypatch):
    import soundfile

    there = {name: text for name, text in soundfile.available_formats().items() if name != "MP3"}
    monkeypatch.setattr(soundfile, "available_formats", lambda: there)
    check = only(health._formats("auto"))
    assert check.state == "note" and "knows no MP3" in check.told
    assert check.facts["lacking"] == ["MP3"]


def test_little_memory_and_room_are_notes(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "find_memory", lambda: (5e8, 8e9))
    monkeypatch.setattr(health.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    found = by_name(health._room("auto"))
    assert {check.state for check in found.values()} == {"note"}
    assert "0.5 GB of 8.0 GB" in found["memory"].told and "--max-memory" in found["memory"].advice
    assert found["this folder"].advice == "make room, or write elsewhere with -o"


@pytest.mark.parametrize(("limit", "used", "expected"), [
    ("3000", "1000", (2000, 3000)), ("3000", "4000", (0, 3000)), ("max", "1", (5000, 8000)),
    ("9000000", "1", (5000, 8000)), (None, "1", (5000, 8000)),
])
def test_memory_is_that_of_the_container(limit, used, expected, monkeypatch, tmp_path):
    memory = SimpleNamespace(available=5000, total=8000)
    monkeypatch.setattr(hardware.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(hardware, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text(used)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert hardware.find_memory() == expected


def test_a_windows_of_short_paths_is_told(monkeypatch):
    assert "long paths" not in by_name(health._python("auto"))
    monkeypatch.setattr(names, "takes_long_paths", lambda: False)
    check = by_name(health._python("auto"))["long paths"]
    assert check.state == "note" and "LongPathsEnabled" in check.advice


def test_folders_that_are_not_there_yet_and_those_of_others(monkeypatch, tmp_path):
    assert health._folder("x", tmp_path / "a/b", "").state == "ok"
    monkeypatch.setattr(health.os, "access", lambda path, mode: False)
    assert "can not be written to" in health._folder("x", tmp_path, "").told


def test_plugins_are_counted_with_a_pointer(monkeypatch):
    findings = [Finding("a", "b", "1", "what", "do"), Finding("a", "b", "1", "w", "d", False)]
    monkeypatch.setattr("a2sb_core.plugins.doctor.examine", lambda registry: findings)
    check = only(health._plugins("auto"))
    assert check.state == "broken" and check.told.endswith("1 faults, 1 notes")
    assert "a2sb plugins doctor" in check.advice


@pytest.mark.parametrize(("error", "told"), [
    (ValueError("odd"), "ValueError: odd"), (ModelError("do this"), "do this"),
])
def test_a_look_that_fails_is_a_finding_and_stops_no_other(monkeypatch, error, told):
    def fail(device):
        raise error
        yield

    later = health.Check("later", "ok", "fine")
    monkeypatch.setattr(health, "LOOKS", {"odd": fail, "later": lambda device: iter([later])})
    broken, other = health.examine()
    assert (broken.name, broken.state, broken.told) == ("odd", "broken", told)
    assert other is later


@pytest.fixture
def gpu(monkeypatch):
    """A GPU: what PyTorch says of it; tensors on it are made elsewhere."""
    ones = torch.ones
    stand_in = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 1, get_device_name=lambda index: "G",
        mem_get_info=lambda index: (4e9, 8e9),
    )
    monkeypatch.setattr(torch, "cuda", stand_in)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones(*size))
    monkeypatch.setattr(hardware, "version_of", lambda name: "")
    return stand_in


def test_a_gpu(gpu):
    found = by_name(hardware.find_devices())["cuda:0"]
    assert found.told == "G, CUDA 13.0, 4.0 GB of 8.0 GB are free"
    assert not found.advice and found.facts == {"free_bytes": 4e9, "total_bytes": 8e9}
    gpu.mem_get_info = lambda index: (1e8, 8e9)
    assert "other programs" in by_name(hardware.find_devices())["cuda:0"].advice


def test_a_gpu_that_does_not_compute(gpu, monkeypatch):
    def fail(*size, device):
        raise RuntimeError("no kernel image is available\nfor execution")

    monkeypatch.setattr(torch, "ones", fail)
    found = by_name(hardware.find_devices())["cuda:0"]
    assert found.is_broken and found.told.endswith("does not compute: no kernel image is available")
    monkeypatch.setattr(torch, "ones", lambda *size, device: torch.zeros(*size))
    assert "computes wrongly" in by_name(hardware.find_devices())["cuda:0"].told


@pytest.mark.parametrize(("built", "words"), [
    ("13.0", ("built for CUDA 13.0", "update the driver")),
    (None, ("built without CUDA", "force-reinstall torch")),
])
def test_a_driver_whose_gpu_is_not_seen(monkeypatch, built, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(hardware.shutil, "which", lambda name: f"/bin/{name}")
    found = by_name(hardware.find_devices())["cuda"]
    assert words[0] in found.told and words[1] in found.advice


def test_xformers_is_imported_on_cuda_only(gpu, monkeypatch):
    asked = []

    def fetch(name):
        asked.append(name)
        raise ImportError("built for another PyTorch")

    monkeypatch.setattr(hardware, "version_of", lambda name: "0.0.35")
    monkeypatch.setattr(hardware.importlib, "import_module", fetch)
    found = by_name(hardware.find_devices())["xformers"]
    assert asked == ["xformers.ops"] and "can not be imported" in found.told and found.advice
    gpu.is_available = lambda: False
    asked.clear()
    assert "on CUDA only" in by_name(hardware.find_devices())["xformers"].told and not asked


def test_an_apple_gpu_is_said_to_be_untested(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = by_name(hardware.find_devices())["mps"]
    assert "not been tested" in found.told and "--device cpu" in found.advice
