"""The contract of a corruption, and the detection of lost packets."""

import torch
from a2sb_packet_loss.packets import PacketLoss

from a2sb_core.interfaces import Recording
from a2sb_core.testing import contract

test_contract = contract("corruption", [PacketLoss.Config()])


def test_lost_packets_are_found():
    """Silence of the length of packets is found, but not silence at the ends."""
    wave = torch.randn(2, 48000, generator=torch.Generator().manual_seed(0))
    for start, stop in ((0, 2000), (9600, 10560), (20000, 20500), (28800, 30720), (46000, 48000)):
        wave[:, start:stop] = 0
    wave[:, 29000:29100] = torch.nan
    found = PacketLoss.Config().build().inspect(Recording.of(wave, 48000))
    assert found.lost_s == ((0.2, 0.22), (0.6, 0.64))
