"""Restore live audio: a sound card fills a queue, and the restored blocks are played.

pip install sounddevice
python examples/live.py 4000  # the cutoff in Hz
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator

import numpy as np

from a2sb_core import RestoreOptions, Restorer

RATE, BLOCK = 44100, 2048


class Source:
    """Blocks (channels, samples) that a callback adds, and a loop over them waits for."""

    def __init__(self) -> None:
        self.blocks: queue.SimpleQueue[np.ndarray | None] = queue.SimpleQueue()

    def callback(self, data: np.ndarray, *_: object) -> None:
        """Add samples (samples, channels), as a stream of sounddevice calls it."""
        self.blocks.put(data.T.astype(np.float32))  # a copy, because the card reuses its buffer

    def end(self) -> None:
        """End the loop after the blocks so far."""
        self.blocks.put(None)

    def __iter__(self) -> Iterator[np.ndarray]:
        while (block := self.blocks.get()) is not None:
            yield block


def restored(restorer: Restorer, source: Source, options: RestoreOptions) -> Iterator[np.ndarray]:
    """Yield restored blocks (samples, channels) while the source goes on."""
    restoration = restorer.prepare(iter(source), RATE, options)
    print(f"latency: at most {restoration.latency_s:.1f} s, and the time of the work")
    yield from (block.numpy().T for block in restoration.run())


def main() -> None:
    """Restore the default input to the default output until Ctrl-C."""
    import sounddevice

    options = RestoreOptions("bandwidth", {"cutoff_hz": float(sys.argv[1])})
    restorer, source = Restorer.from_pretrained("small"), Source()
    card = {"samplerate": RATE, "blocksize": BLOCK, "channels": 1, "dtype": "float32"}
    heard = sounddevice.InputStream(callback=source.callback, **card)
    with heard, sounddevice.OutputStream(**card) as played:
        for block in restored(restorer, source, options):
            played.write(np.ascontiguousarray(block))


if __name__ == "__main__":
    main()
