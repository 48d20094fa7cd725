"""The choice of a device and its precision."""

import pytest
import torch

from a2sb_core.devices.choice import choose_device, choose_precision
from a2sb_core.errors import ModelError

MPS = torch.device("mps")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(0, False, "cpu"), (2, False, "cuda"), (0, True, "mps"), (2, True, "cuda")],
)
def test_the_best_device_is_taken(cuda, mps, chosen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto").type == chosen
    assert choose_device("cpu").type == "cpu"
    for name, here in (
        ("cuda", cuda),
        ("cuda:1", cuda > 1),
        ("cuda:2", False),
        ("mps", mps),
        ("mps:0", mps),
        ("mps:1", False),
    ):
        if here:
            assert choose_device(name) == torch.device(name)
        else:
            with pytest.raises(ModelError, match="is not available on this machine"):
                choose_device(name)


def test_precision_of_an_apple_device_is_single():
    assert choose_precision(MPS, "auto") == "fp32"
    assert torch.amp.is_autocast_available("mps")  # it may be asked for all the same


def test_the_choice_of_a_precision_draws_no_random_numbers():
    choose_precision.__globals__["_gains_by_bf16"].cache_clear()
    torch.manual_seed(0)
    choose_precision(torch.device("cpu"), "auto")
    drawn = torch.rand(())
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(()))
