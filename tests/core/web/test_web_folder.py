"""Folders of pages that ended without removing them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from a2sb_core.web.folder import PREFIX, page_folder, remove_stale

HOLD = """
import sys
from a2sb_core.web.folder import page_folder
with page_folder() as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_folders_of_killed_pages_are_removed_and_those_of_running_ones_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    killed, running = held
    try:
        gone, kept = (process.stdout.readline().strip() for process in held)
        killed.kill()
        killed.wait()
        assert os.path.isdir(gone)
        with page_folder() as own:
            assert not os.path.exists(gone)
            assert os.path.isdir(kept) and own.is_dir()
        assert not own.exists()
    finally:
        for process in held:
            process.communicate()
    assert running.returncode == 0 and list(tmp_path.iterdir()) == []


def test_folders_without_a_lock_are_removed_when_old_and_links_are_left(tmp_path):
    young, old, foreign = (tmp_path / f"{PREFIX}{name}" for name in ("young", "old", "link"))
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").write_text("music")
    young.mkdir()
    old.mkdir()
    foreign.symlink_to(tmp_path / "music")
    ago = time.time() - 2 * 24 * 3600
    for path in (old, tmp_path / "music"):
        os.utime(path, (ago, ago))
    remove_stale(tmp_path)
    assert young.is_dir() and not old.exists() and foreign.is_symlink()
    assert (tmp_path / "music" / "song.wav").is_file()
