"""The contract of a corruption, and the number of levels that are left."""

import torch
from a2sb_bit_depth.quantizing import BitDepth

from a2sb_core.testing import contract

test_contract = contract("corruption", [BitDepth.Config()])


def test_three_bits_leave_four_steps_on_each_side():
    """The peak is kept, and every sample is a multiple of a quarter of it."""
    wave = torch.linspace(-0.8, 0.8, 101)[None]
    rounded = BitDepth.Config().build().apply(wave, BitDepth.Parameters(bits=3), None, 44100)
    assert len(rounded.unique()) == 9
    torch.testing.assert_close(rounded.amax(), wave.amax())
    assert float((rounded - wave).abs().max()) <= 0.1001
