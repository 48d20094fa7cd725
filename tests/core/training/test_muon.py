"""The optimizer muon."""

import copy

import pytest
import torch
from torch import nn

from a2sb_core.training.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (1, 4)])
def test_singular_values_are_brought_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalized(matrix)
    values = torch.linalg.svdvals(found)
    assert found.shape == shape and bool(((values > 0.5) & (values < 1.5)).all())
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert torch.nn.functional.cosine_similarity(found.flatten(), (u @ v).flatten(), 0) > 0.95


def test_a_zero_gradient_gives_a_zero_update():
    assert not orthogonalized(torch.zeros(3, 4)).any()


def steps(optimizer, network, inputs, count):
    losses = []
    for _ in range(count):
        loss = (network(inputs).mean(dim=(2, 3)) - inputs.mean(dim=(1, 2, 3))[:, None]).square()
        loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.mean().detach()))
    return losses


def test_kernels_and_biases_learn_and_a_state_resumes_exactly():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 8, 3), nn.GELU(), nn.Conv2d(8, 3, 3))
    inputs = torch.randn(4, 2, 8, 8)
    optimizer = Muon(network.parameters(), 0.02, (0.9, 0.95), 0.0)
    losses = steps(optimizer, network, inputs, 40)
    assert losses[-1] < 0.2 * losses[0]
    other = nn.Sequential(nn.Conv2d(2, 8, 3), nn.GELU(), nn.Conv2d(8, 3, 3))
    other.load_state_dict(network.state_dict())
    resumed = Muon(other.parameters(), 0.02, (0.9, 0.95), 0.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(optimizer, network, inputs, 3) == steps(resumed, other, inputs, 3)
