import pytest
import torch
from engine_helpers import model_config

from a2sb_core.models.model import Model
from a2sb_core.restoration.restorer import Restorer


@pytest.fixture(scope="module")
def model():
    """A model with random weights."""
    torch.manual_seed(0)
    return Model(model_config()).eval()


@pytest.fixture(scope="module")
def restorer(model):
    return Restorer(model, device="cpu", precision="fp32")
