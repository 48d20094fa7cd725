"""What tests of training share: checkpoints, and their comparison to the bit."""

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read_state(run, step):
    return torch.load(run / f"checkpoint-{step:08d}.pt", weights_only=True)


def read_log(run):
    """The TensorBoard log with all of its entries."""
    sizes = {"audio": 0, "images": 0, "scalars": 0}
    return EventAccumulator(str(run / "tensorboard"), size_guidance=sizes).Reload()


def assert_equal(first, second, place=""):
    """Compare nested states to the bit."""
    assert type(first) is type(second), place
    if isinstance(first, dict):
        assert first.keys() == second.keys(), place
        for key in first:
            assert_equal(first[key], second[key], f"{place}.{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), place
        for k, (one, other) in enumerate(zip(first, second, strict=True)):
            assert_equal(one, other, f"{place}.{k}")
    elif isinstance(first, torch.Tensor):
        torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)
    else:
        assert first == second, place
