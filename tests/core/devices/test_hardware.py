"""Reports on devices and memory of machines that are not this one."""

import shutil
from types import SimpleNamespace

import psutil
import pytest
import torch

from a2sb_core.devices import memory
from a2sb_core.devices.hardware import find_devices

MPS = torch.device("mps")


def found():
    return {one.name: one for one in find_devices()}


@pytest.fixture
def gpu(monkeypatch):
    """A GPU as PyTorch describes it; its tensors are made on the CPU."""
    ones = torch.ones
    stand_in = SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: 1,
        get_device_name=lambda index: "G",
        mem_get_info=lambda index: (4e9, 8e9),
    )
    monkeypatch.setattr(torch, "cuda", stand_in)
    monkeypatch.setattr(torch, "ones", lambda *size, device: ones(*size))
    return stand_in


def test_a_gpu_with_much_and_with_little_memory(gpu):
    one = found()["cuda:0"]
    assert not one.advice and one.facts == {"free_bytes": 4e9, "total_bytes": 8e9}
    gpu.mem_get_info = lambda index: (1e8, 8e9)
    assert found()["cuda:0"].advice


def test_a_gpu_that_fails_or_computes_wrong_results_is_broken(gpu, monkeypatch):
    def fail(*size, device):
        raise RuntimeError("no kernel image is available\nfor execution")

    for compute in (fail, lambda *size, device: torch.zeros(*size)):
        monkeypatch.setattr(torch, "ones", compute)
        one = found()["cuda:0"]
        assert one.is_broken and "--device cpu" in one.advice


@pytest.mark.parametrize(("built", "words"), [("13.0", "CUDA 13.0"), (None, "without CUDA")])
def test_a_driver_without_a_gpu_is_reported(monkeypatch, built, words):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    assert words in found()["cuda"].message and found()["cuda"].advice


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        ("3000", "1000", (2000, 3000)),
        ("3000", "4000", (0, 3000)),
        ("max", "1", (5000, 8000)),
        ("9000000", "1", (5000, 8000)),
        (None, "1", (5000, 8000)),
    ],
)
def test_memory_is_that_of_the_container(limit, used, expected, monkeypatch, tmp_path):
    machine = SimpleNamespace(available=5000, total=8000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text(used)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert memory.host_memory() == expected
    assert memory.free_bytes(torch.device("cpu")) == expected[0]


@pytest.fixture
def allocator(monkeypatch):
    """The allocator of an Apple GPU with 8 GiB, 1 GiB of them in use."""
    stand_in = SimpleNamespace(
        recommended_max_memory=lambda: 8 << 30,
        driver_allocated_memory=lambda: 1 << 30,
        empty_cache=lambda: None,
        synchronize=lambda: None,
    )
    monkeypatch.setattr(torch, "mps", stand_in)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    return stand_in


def test_an_apple_gpu_takes_only_its_share_of_the_machines_memory(allocator, monkeypatch):
    machine = SimpleNamespace(available=3 << 30, total=16 << 30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(memory, "CGROUP", memory.CGROUP / "absent")
    assert memory.free_bytes(MPS) == 3 << 30
    allocator.recommended_max_memory = lambda: 2 << 30
    assert memory.free_bytes(MPS) == 1 << 30
    allocator.driver_allocated_memory = lambda: 5 << 30
    assert memory.free_bytes(MPS) == 0
    assert found()["mps"].advice


def test_the_peak_on_an_apple_gpu_is_the_growth_of_its_allocator(allocator):
    held = iter((100, 700))
    allocator.driver_allocated_memory = lambda: next(held)
    assert memory.peak_bytes(MPS, lambda: None) == 600
    released = []
    allocator.empty_cache = lambda: released.append(True)
    memory.release(MPS)
    assert released == [True]


def test_the_peak_on_the_cpu_is_at_least_what_the_work_holds():
    held = []
    size = 64 << 20
    peak = memory.peak_bytes(torch.device("cpu"), lambda: held.append(bytearray(b"1" * size)))
    assert peak > size / 2


def test_memory_that_ran_out_is_told_from_other_errors():
    for text in ("MPS backend out of memory (MPS allocated: 8.00 GB)", "can't allocate memory"):
        assert memory.ran_out(RuntimeError(text))
    assert memory.ran_out(MemoryError()) and memory.ran_out(torch.OutOfMemoryError(""))
    assert not memory.ran_out(RuntimeError("shapes differ"))
