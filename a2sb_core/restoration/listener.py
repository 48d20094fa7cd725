"""Listener: receives the events of a restoration."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from a2sb_core.restoration.damage import Damage


class Listener:
    """Receives the damage, the progress and the notes of a restoration.

    Every method does nothing; override those of interest. An exception that a method raises ends
    the restoration.
    """

    def on_damage(self, damage: Damage | None) -> None:
        """Receive the damage (None if there is none) before the restoration begins."""

    def on_progress(self, done: int, of: int) -> None:
        """Receive the number of finished frames, and their total (0 if it is unknown)."""

    def on_note(self, text: str) -> None:
        """Receive a sentence for people, such as a note about clipping."""

    def on_sampled(self, z: Tensor) -> None:
        """Receive a stretch of the sampled representation (B, ch, F, W) before it is decoded."""


class ProgressListener(Listener):
    """Passes the progress (done, of) to a function."""

    def __init__(self, on_progress: Callable[[int, int], None]) -> None:
        self._call = on_progress

    def on_progress(self, done: int, of: int) -> None:
        """Call the function."""
        self._call(done, of)


class NoteCollector(Listener):
    """Collects the notes, and passes the other events on to another listener.

    Attributes:
        notes: all notes so far.
    """

    def __init__(self, inner: Listener | None = None) -> None:
        self.inner = inner or Listener()
        self.notes: list[str] = []

    def on_damage(self, damage: Damage | None) -> None:
        """Pass the damage on."""
        self.inner.on_damage(damage)

    def on_progress(self, done: int, of: int) -> None:
        """Pass the progress on."""
        self.inner.on_progress(done, of)

    def on_sampled(self, z: Tensor) -> None:
        """Pass the sampled representation on."""
        self.inner.on_sampled(z)

    def on_note(self, text: str) -> None:
        """Store a note."""
        self.notes.append(text)
