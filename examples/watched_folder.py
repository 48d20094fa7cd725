"""Restore every recording that appears in a folder, such as that into which a DAW exports.

python examples/watched_folder.py EXPORTS RESTORED bandwidth  # Ctrl-C ends it

A recording that is exported again is restored again; its earlier result is replaced.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from a2sb_core import RestoreOptions, Restorer
from a2sb_core.errors import A2SBError

SUFFIXES = {".wav", ".flac", ".aif", ".aiff", ".ogg", ".mp3"}
POLL_S = 2.0  # a recording that did not change between two looks is complete


class WatchedFolder:
    """A folder whose recordings are restored into another one, under the same names."""

    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target
        self.seen: dict[Path, tuple[int, int]] = {}
        self.done: dict[Path, tuple[int, int]] = {}
        if source.resolve() == target.resolve():
            sys.exit("the results need a folder of their own")

    def look(self, restorer: Restorer, options: RestoreOptions) -> None:
        """Restore what is complete and has no result yet, and print a line for each file."""
        earlier, self.seen = self.seen, {}
        for path in sorted(self.source.iterdir()):
            if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
                continue
            now, target = path.stat(), self.target / path.name
            self.seen[path] = state = now.st_size, now.st_mtime_ns
            is_known = self.done.get(path) == state
            is_older = target.exists() and now.st_mtime_ns < target.stat().st_mtime_ns
            if earlier.get(path) != state or is_known or is_older:
                continue
            self.done[path] = state  # also after an error, which is reported once
            try:
                found = restorer.restore_file(path, target, options, overwrite=True)
                print(f"{path.name}: {found.describe() if found else 'nothing to restore'}")
            except A2SBError as error:
                print(f"{path.name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    folder = WatchedFolder(Path(sys.argv[1]), Path(sys.argv[2]))
    folder.target.mkdir(parents=True, exist_ok=True)
    loaded, asked = Restorer.from_pretrained("small"), RestoreOptions(sys.argv[3])
    while True:
        folder.look(loaded, asked)
        time.sleep(POLL_S)
