"""Storage of audio that is computed once and read several times, in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from a2sb_core.errors import AudioError
from a2sb_core.interfaces.recording import block_samples

IN_MEMORY_BYTES = 1 << 24
"""Size up to which the samples stay in memory."""


class StoredBlocks:
    """Audio as blocks (C, n) of the sizes of a file, which can be iterated over more than once.

    Args:
        blocks: the audio, which is stored now.
        sample_rate: in Hz.
        channels: number of channels, C.
        dtype: type of the samples.

    Attributes:
        samples: length of the audio, in samples.

    Raises:
        AudioError: there is not enough room for the file.
    """

    def __init__(
        self, blocks: Iterable[Tensor], sample_rate: int, channels: int, dtype: torch.dtype
    ) -> None:
        self._size, self._channels = block_samples(sample_rate, channels), channels
        self._dtype = np.dtype("f8" if dtype == torch.float64 else "f4")
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115
        self.samples = 0
        for block in blocks:
            interleaved = np.ascontiguousarray(block.numpy().T, dtype=self._dtype)
            try:
                self._file.write(interleaved.tobytes())
            except OSError as error:
                raise AudioError(
                    f"the temporary folder {tempfile.gettempdir()} cannot hold the result of a "
                    f"step: {error.strerror or error}; free space, or set TMPDIR to another folder"
                ) from error
            self.samples += block.shape[-1]

    def __len__(self) -> int:
        return -(-self.samples // self._size)

    def __contains__(self, block: object) -> bool:
        return False

    def __iter__(self) -> Iterator[Tensor]:
        frame_bytes = self._dtype.itemsize * self._channels
        for first in range(0, self.samples, self._size):
            self._file.seek(first * frame_bytes)
            data = self._file.read(min(self._size, self.samples - first) * frame_bytes)
            flat = np.frombuffer(data, self._dtype).reshape(-1, self._channels)
            yield torch.from_numpy(flat.T.copy())
