"""Sessions of the page: the folder of a visitor, and an event that cancels."""

from __future__ import annotations

import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Session:
    """One browser tab of a visitor: its folder, and an event that stops its work."""

    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def new(cls, root: Path) -> Session:
        """Create a session with an empty folder below ``root``."""
        return cls(Path(tempfile.mkdtemp(prefix="session-", dir=root)))

    def room(self) -> Path:
        """Return a new empty folder of this session."""
        return Path(tempfile.mkdtemp(prefix="work-", dir=self.folder))

    def close(self) -> None:
        """Stop the running work, and remove all files."""
        self.stop.set()
        shutil.rmtree(self.folder, ignore_errors=True)
