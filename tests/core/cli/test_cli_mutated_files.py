"""Damaged files through both commands: each is read, or refused in a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import mutated_files  # noqa: E402 - those of the benchmark

SEED = 20


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return mutated_files.clean_files(tmp_path_factory.mktemp("clean"), set())


def test_mutations_depend_on_their_number_only(clean):
    for k in range(len(clean)):
        name, content = mutated_files.mutation(clean, SEED, k)
        assert (name, content) == mutated_files.mutation(clean, SEED, k)
        assert content not in clean.values()


def test_clean_files_are_restored(clean, a2sb, restore, tmp_path):
    for k, (name, content) in enumerate(clean.items()):
        (tmp_path / name).write_bytes(content)
        assert a2sb("analyze", tmp_path / name, "--json").exit_code == 0, name
        if k % 4 == 0:
            target, gap = tmp_path / f"{name}.flac", ("--gap", "0.1:0.12", "--steps", "1")
            assert restore(tmp_path / name, target, *gap, task="inpaint").exit_code == 0, name


def test_mutated_files_are_read_or_refused(clean, a2sb, restore, tmp_path):
    for k in range(len(clean)):
        name, content = mutated_files.mutation(clean, SEED, k)
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / name).write_bytes(content)
        results = [
            a2sb("analyze", folder / name, "--json"),
            restore(folder / name, folder / "out.flac", "--cutoff", "4000", "--steps", "1"),
        ]
        for result in results:
            assert result.exit_code in (0, 1), (name, result)
            assert "unexpected error" not in result.stderr, (name, result)
            assert result.exit_code == 0 or result.stderr, (name, result)
        assert (folder / "out.flac").exists() == (results[1].exit_code == 0)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot fork processes")
def test_mutated_files_stay_within_the_limits_of_time_and_memory():
    command = [sys.executable, BENCHMARKS / "fuzz.py", "--mutations", "250", "--seed", str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed 0" in done.stdout
