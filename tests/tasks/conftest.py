from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture
def golden():
    """Load the numbers of the published system by name, as tensors."""

    def load(name):
        with np.load(Path(__file__).parent / "golden" / f"{name}.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays}

    return load
