"""The scripts under examples/, as a reader would use them."""

import importlib
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, limited, write_samples
from tiny_model import save_tiny

from a2sb_core import RestoreOptions, Restorer

EXAMPLES = Path(__file__).parents[3] / "examples"
EXTEND = RestoreOptions("bandwidth", {"cutoff_hz": 3000.0})


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    return Restorer.from_pretrained(save_tiny(tmp_path_factory.mktemp("models") / "tiny"), "cpu")


@pytest.fixture
def script(monkeypatch):
    """Import a script by its name."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_script_is_short(path):
    assert len(path.read_text().splitlines()) <= 60


def test_a_folder_is_restored(script, restorer, tmp_path, capsys):
    source, target = tmp_path / "in", tmp_path / "out"
    wave = limited(RATE, 3000, channels=2)
    write_samples(source / "low.wav", wave.T)
    write_samples(source / "listed.wav", wave.T)
    (source / "listed.txt").write_text("0.5\t0.53\tscratch\n")
    (source / "broken.wav").write_bytes(b"no audio")
    write_samples(source / "malformed.wav", wave.T)
    (source / "malformed.txt").write_text("no numbers\n")
    (source / "notes.md").write_text("no audio either")
    assert script("restore_folder").restore_folder(restorer, source, target) == 2
    told = capsys.readouterr()
    assert "broken.wav" in told.err and "malformed.wav" in told.err
    assert "filling 1 gap" in told.out and "extending above" in told.out
    assert sorted(path.name for path in target.iterdir()) == ["listed.wav", "low.wav"]
    low, listed = (soundfile.read(target / name)[0] for name in ("low.wav", "listed.wav"))
    assert low.shape == listed.shape == (RATE, 2)
    assert np.abs(low - listed).max() > 1e-3


def test_a_live_source_is_restored(script, restorer):
    live, wave = script("live"), limited(2 * RATE, 3000)
    source = live.Source()

    def play():
        for block in torch.split(wave, live.BLOCK, dim=-1):
            buffer = block.numpy().T.copy()
            source.callback(buffer, len(buffer), None, None)
            buffer[:] = 7  # the card reuses it
        source.end()

    thread = threading.Thread(target=play)
    thread.start()
    restored = np.concatenate(list(live.restored(restorer, source, EXTEND)))
    thread.join()
    blocks = iter(torch.split(wave, live.BLOCK, dim=-1))
    expected = torch.cat(list(restorer.prepare(blocks, RATE, EXTEND).run()), dim=-1)
    assert np.array_equal(restored, expected.numpy().T)


def test_a_watched_folder_is_restored_when_a_recording_is_complete(
    script, restorer, tmp_path, capsys
):
    watched = script("watched_folder").WatchedFolder
    source, target = tmp_path / "exports", tmp_path / "restored"
    folder = watched(source, target)
    target.mkdir()
    path = write_samples(source / "mix.wav", limited(RATE, 3000, channels=2).T)
    (source / "notes.txt").write_text("no audio")
    (source / ".mix.wav").write_bytes(b"hidden")
    whole = path.read_bytes()

    def look(folder=folder):
        folder.look(restorer, EXTEND)
        return capsys.readouterr()

    path.write_bytes(whole[:1000])
    assert look() == ("", "")
    path.write_bytes(whole)  # it grows while it is exported
    assert look() == ("", "") and not list(target.iterdir())
    assert look().out == "mix.wav: energy ends at 3000 Hz, extending above\n"
    restorer.restore_file(path, tmp_path / "own.wav", EXTEND)
    assert (target / "mix.wav").read_bytes() == (tmp_path / "own.wav").read_bytes()
    assert look() == ("", "")
    again = watched(source, target)  # finds the result of the first one
    assert look(again) == look(again) == ("", "")
    write_samples(path, limited(RATE // 2, 3000, channels=2).T)
    (source / "broken.wav").write_bytes(b"no audio")
    look()
    shown = look()
    assert "mix.wav: " in shown.out and "broken.wav" in shown.err
    assert soundfile.info(target / "mix.wav").frames == RATE // 2
    assert look() == ("", "") and [one.name for one in target.iterdir()] == ["mix.wav"]
    with pytest.raises(SystemExit, match="a folder of their own"):
        watched(source, source)
