"""A visitor: their folder, what they may ask for, and their wish to stop."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from a2sb_core.errors import A2SBError


class CancelledError(A2SBError):
    """The visitor has had enough."""


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask for."""

    minutes: float = 30.0
    megabytes: int = 500
    files: int = 100


@dataclass
class Session:
    """One tab of a visitor: a folder of its own, and the wish to stop."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def new(cls, root: Path) -> Session:
        """Make a session with an empty folder below ``root``."""
        return cls(Path(tempfile.mkdtemp(prefix="session-", dir=root)))

    def room(self) -> Path:
        """Return an empty folder of this session."""
        return Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))

    def check(self) -> None:
        """Go on, unless the visitor has had enough.

        Raises:
            CancelledError: so it is.
        """
        if self.stop.is_set():
            raise CancelledError("cancelled: nothing was written")

    def close(self) -> None:
        """Stop what runs, and remove all files."""
        self.stop.set()
        shutil.rmtree(self.folder, ignore_errors=True)
