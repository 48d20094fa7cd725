"""The contract of a corruption, and the effect of clipping."""

import torch
from a2sb_declip.clipping import Clipping

from a2sb_core.testing import contract

test_contract = contract("corruption", [Clipping.Config()])


def test_six_decibels_halve_the_peak():
    """A drive of 6 dB leaves half of the peak."""
    wave = torch.tensor([[0.1, -0.2, 0.8]])
    parameters = Clipping.Parameters(drive_db=6.0206)
    clipped = Clipping.Config().build().apply(wave, parameters, None, 44100)
    torch.testing.assert_close(clipped, torch.tensor([[0.1, -0.2, 0.4]]))
