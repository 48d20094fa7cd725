"""Restoration of many files in this process, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from a2sb_core.batch.pairing import Pair
from a2sb_core.errors import A2SBError

if TYPE_CHECKING:
    from a2sb_core.restoration.chain import ChainDamage
    from a2sb_core.restoration.damage import Damage
    from a2sb_core.restoration.listener import Listener

Status = Literal["restored", "nothing", "skipped", "failed", "left"]


@dataclass(frozen=True)
class FileOutcome:
    """The outcome of one of many files.

    Attributes:
        pair: the files.
        status: ``restored``; ``nothing`` was damaged, so a copy was made; ``skipped``, as the
            target exists; ``failed``; or ``left`` undone, as the run was interrupted.
        seconds: duration of the work.
        found: the damage, as JSON holds it.
        error: the reason of a failure.
        notes: remarks on the result, such as that its peaks were limited.
    """

    pair: Pair
    status: Status
    seconds: float = 0.0
    found: dict[str, object] | None = None
    error: str = ""
    notes: tuple[str, ...] = ()


RestoreOne = Callable[[Pair, "Listener"], "Damage | ChainDamage | None"]
"""Restores a pair, and reports to a listener."""

Engine = Callable[[list[Pair], "Listener"], Iterator[FileOutcome]]
"""Restores pairs, in any order, and yields the outcome of each."""


class InTurn:
    """An engine that restores files one after another in this process.

    Args:
        load: loads the model; called when the first file needs it.
        skip_existing: leave out pairs whose output exists.
    """

    def __init__(self, load: Callable[[], RestoreOne], skip_existing: bool) -> None:
        self.load, self.skip_existing = load, skip_existing
        self._restore: RestoreOne | None = None

    def __call__(self, pairs: list[Pair], listener: Listener) -> Iterator[FileOutcome]:
        """Yield the outcomes in the order of the pairs."""
        for pair in pairs:
            try:
                exists = self.skip_existing and pair.exists()
            except (A2SBError, OSError) as error:
                yield FileOutcome(pair, "failed", error=_reason(error))
                continue
            if exists:
                yield FileOutcome(pair, "skipped")
            else:
                self._restore = self._restore or self.load()
                yield attempt(pair, self._restore, listener)


def attempt(pair: Pair, restore: RestoreOne, listener: Listener) -> FileOutcome:
    """Restore one of many files; a failure becomes its outcome, so that the others go on."""
    from a2sb_core.restoration.listener import NoteCollector

    started, collector = time.monotonic(), NoteCollector(listener)
    try:
        with pair.writing() as local:
            damage = restore(local, collector)
    except Exception as error:
        return FileOutcome(pair, "failed", time.monotonic() - started, error=_reason(error))
    found = None if damage is None else damage.as_dict()
    status: Status = "nothing" if damage is None else "restored"
    seconds = time.monotonic() - started
    return FileOutcome(pair, status, seconds, found, notes=tuple(collector.notes))


def _reason(error: Exception) -> str:
    if isinstance(error, A2SBError | OSError):
        return "; ".join((str(error), *getattr(error, "__notes__", [])))
    return f"unexpected error: {type(error).__name__}: {error}"
