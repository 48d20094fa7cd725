"""The contract of a corruption, and the pitch of a tone on a tape of varying speed."""

import math

import torch
from a2sb_wow_flutter.wow import WowFlutter

from a2sb_core.testing import contract

RATE = 44100

test_contract = contract("corruption", [WowFlutter.Config()])


def test_a_tone_follows_the_speed():
    """The result is the tone at the places that the tape has reached."""
    time_s = torch.arange(RATE, dtype=torch.float64) / RATE
    parameters = WowFlutter.Parameters(depth=0.01, rate_hz=2.0)
    tone = torch.sin(2 * math.pi * 500 * time_s).float()[None]
    played = WowFlutter.Config().build().apply(tone, parameters, None, RATE)
    reached_s = time_s + 0.01 / (4 * math.pi) * torch.sin(4 * math.pi * time_s)
    expected = torch.sin(2 * math.pi * 500 * reached_s).float()[None]
    torch.testing.assert_close(played, expected, atol=1e-3, rtol=0)
