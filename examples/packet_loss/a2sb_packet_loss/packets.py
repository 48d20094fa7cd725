"""Packet loss: packets of a stream are lost and read as silence."""

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor

from a2sb_core.interfaces import FrozenConfig, Grid, MaskCorruption, Recording, Stretches


class PacketLoss(MaskCorruption["PacketLoss.Parameters"]):
    """All rows are missing while a packet is lost."""

    task = "conceal"

    class Config(MaskCorruption.Config):
        name: str = "packet_loss"
        packet_s: float = Field(0.02, gt=0)
        """Length of a packet, in seconds."""

    class Parameters(FrozenConfig):
        lost_s: Stretches
        """Lost stretches (start, end), in seconds."""

    def draw(self, duration_s: float, generator: torch.Generator) -> Parameters:
        """Lose a tenth of the packets, the second one among them."""
        packet_s = min(self.config.packet_s, duration_s / 3)
        lost = torch.rand(int(duration_s / packet_s), generator=generator) < 0.1
        lost[0], lost[1] = False, True
        starts = [packet_s * number for number in lost.nonzero()[:, 0].tolist()]
        return self.Parameters(lost_s=tuple((start, start + packet_s) for start in starts))

    def stretches(self, parameters: Parameters) -> Stretches:
        return parameters.lost_s

    def missing(self, grid: Grid, parameters: Parameters) -> Tensor:
        frames, reach = grid.times_s < 0, grid.frame_s / 2 - 1e-9
        for start, end in parameters.lost_s:
            frames |= (grid.times_s > start - reach) & (grid.times_s < end + reach)
        return frames[None].expand(grid.shape)

    def inspect(self, recording: Recording, given: Parameters | None = None) -> Parameters | None:
        """Find packets without a sample other than zero or NaN, in all channels."""
        lost = given.lost_s if given else tuple(self._silences(recording))
        return super().inspect(recording, self.Parameters(lost_s=lost)) if lost else None

    def _silences(self, recording: Recording) -> Iterator[tuple[float, float]]:
        """Yield the silences of at least a packet that begin and end within the recording."""
        place, start, is_silent = 0, 0, True
        for block in recording.raw_blocks():
            silent = (block.nan_to_num() == 0).all(dim=0).int()
            changes = torch.diff(silent, prepend=silent.new_tensor([is_silent])).nonzero()[:, 0]
            for change in (place + changes).tolist():
                span = start / recording.sample_rate, change / recording.sample_rate
                if is_silent and start and span[1] - span[0] >= 0.9 * self.config.packet_s:
                    yield span
                start, is_silent = change, not is_silent
            place += block.shape[-1]
