"""The scripts that prepare a training set and spend a short loan of a GPU."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "train_small"))

import compose_midi
import on_gpu
import remix

RATE = 44100


def stems(count=3, seconds=1.0):
    rng = np.random.default_rng(0)
    return [
        (0.1 * rng.standard_normal((int(seconds * RATE), 2))).astype(np.float32)
        for _ in range(count)
    ]


def test_the_stems_of_a_piece_are_its_notes():
    piece = compose_midi.compose(3)
    parts = compose_midi.stems(piece)
    assert all(len(part.setup) == 1 and part.notes for part in parts)
    notes = [note for part in parts for note in part.notes]
    assert sorted(map(repr, notes)) == sorted(map(repr, piece.notes))


def test_a_mix_depends_on_the_seed_alone_and_keeps_about_the_level():
    mixed = [remix.remix(stems(), np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert np.array_equal(mixed[0], mixed[1]) and not np.array_equal(mixed[0], mixed[2])
    plain = sum(stems())
    for one in mixed:
        change_db = 10 * np.log10(np.square(one).mean() / np.square(plain).mean())
        assert one.shape == plain.shape and abs(change_db) < 12
    silence = [np.zeros((RATE, 2), dtype=np.float32)]
    assert not remix.remix(silence, np.random.default_rng(0)).any()


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["split", "file_path", "duration", "sample_rate", "group"])
        for number, split in enumerate(("train", "train", "validation")):
            tones = np.sin(np.arange(6 * RATE) * [[0.05], [0.08]]).T
            wave = 0.3 * tones + 0.2 * stems(1, seconds=6)[0]
            soundfile.write(folder / f"{number}.wav", wave, RATE)
            rows.writerow([split, f"{number}.wav", 6.0, RATE, "real"])
    return folder / "manifest.csv"


def test_a_set_is_carried_in_pieces(manifest, tmp_path, capsys):
    carry = tmp_path / "carry"
    assert on_gpu.main(["pack", str(manifest), str(carry), "--piece-mib", "0.1"]) == 0
    pieces = sorted(carry.iterdir())
    assert len(pieces) > 1 and max(path.stat().st_size for path in pieces) <= 0.1 * 2**20
    joined = on_gpu.join(carry, tmp_path / "joined")
    decoded = on_gpu.convert(joined / "manifest.csv", tmp_path / "wav", ".wav", on_gpu.decode_track)
    for number in range(3):
        wave, rate = soundfile.read(decoded.parent / f"{number}.wav")
        truth, _ = soundfile.read(manifest.parent / f"{number}.wav")
        assert rate == RATE and wave.shape == truth.shape
        assert np.corrcoef(wave.ravel(), truth.ravel())[0, 1] > 0.9
    pieces[0].unlink()
    assert on_gpu.main(["join", str(carry), str(tmp_path / "again")]) == 1
    assert "does not hold all pieces" in capsys.readouterr().err
    assert not (tmp_path / "again").exists()
