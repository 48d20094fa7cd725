"""The contract of a corruption of two channels, and the effect of the collapse."""

import torch
from a2sb_mono_collapse.collapse import MonoCollapse

from a2sb_core.testing import contract

test_contract = contract("corruption", [MonoCollapse.Config()])


def test_the_middle_is_kept_and_the_side_is_lost():
    """Left and right become their mean."""
    collapse = MonoCollapse.Config().build()
    wave = torch.tensor([[1.0, 0.0], [0.5, -1.0]])
    mono = collapse.apply(wave, collapse.Parameters(), None, 44100)
    torch.testing.assert_close(mono, torch.tensor([[0.75, -0.5], [0.75, -0.5]]))
