"""Mono collapse: both channels of a stereo recording are their mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import Tensor

from a2sb_core.interfaces import (
    BlockPair,
    ComponentConfig,
    Finisher,
    FrozenConfig,
    Noise,
    WaveformCorruption,
)


class MonoCollapse(WaveformCorruption):
    """Replaces left and right by their mean, so that the side is lost."""

    task, label, audio_channels = "widen", "Restore stereo", 2

    class Config(ComponentConfig):
        """Configuration without settings."""

        name: str = "mono_collapse"

    class Parameters(FrozenConfig):
        """The damage has no parameters."""

    def apply(self, wave: Tensor, parameters: Parameters, noise: Noise, sample_rate: int) -> Tensor:
        """Collapse pairs of channels (2 B, T)."""
        pairs = wave.reshape(-1, 2, wave.shape[-1])
        return pairs.mean(dim=1, keepdim=True).expand_as(pairs).flatten(0, 1)

    def finisher(self, parameters: Parameters, sample_rate: int) -> Finisher:
        """Keep the mean of the recording, and add only the restored side."""
        return _KeepMiddle()


class _KeepMiddle(Finisher):
    def finish(self, blocks: Iterable[BlockPair], first: int = 0) -> Iterator[BlockPair]:
        for restored, damaged in blocks:
            change = (damaged - restored).mean(dim=0)
            yield BlockPair(restored + change, damaged)
