"""`a2sb restore` with several tasks, which are a chain."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml

RATE = 44100
CPU = ("--device", "cpu")


@pytest.fixture
def torn_file(tmp_path, music):
    """Return a file with a gap, whose energy ends at 4 kHz."""
    path = tmp_path / "in" / "torn.wav"
    path.parent.mkdir()
    wave = music(cutoff_hz=4000)
    wave[22050:24255] = 0
    soundfile.write(path, wave, RATE, subtype="FLOAT")
    return path


@pytest.fixture
def chain(a2sb, model_folder):
    """Run `a2sb restore` with two tasks."""

    def run(source, target, *arguments):
        tasks = ("--task", "inpaint", "--task", "bandwidth", "--model", model_folder)
        return a2sb("restore", source, "-o", target, *tasks, *CPU, *arguments)

    return run


@pytest.fixture
def by_hand(a2sb, model_folder, tmp_path):
    """Restore in two runs, and return the result."""

    def run(source, first=(), second=()):
        between, target = tmp_path / "between.wav", tmp_path / "by_hand.wav"
        for start, end, task, more in (
            (source, between, "inpaint", first),
            (between, target, "bandwidth", second),
        ):
            arguments = ("--task", task, "--model", model_folder, *CPU, *more)
            result = a2sb("restore", start, "-o", end, *arguments)
            assert result.exit_code == 0, result.stderr
        return soundfile.read(target)[0]

    return run


def test_several_tasks_are_a_chain(chain, by_hand, torn_file, tmp_path):
    result = chain(torn_file, tmp_path / "out.wav")
    assert result.exit_code == 0, result.stderr
    filling, extending, written = result.stdout.splitlines()
    assert "filling 1 gap" in filling
    assert "extending above" in extending
    assert written.startswith("wrote")
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], by_hand(torn_file))


def test_each_task_has_its_own_options(chain, by_hand, torn_file, tmp_path):
    gap, cutoff = ("--gap", "0.5:0.56"), ("--cutoff", 3000)
    more = ("--parameter", "bandwidth.edge_hz=2900", "--steps", 1, "--steps", 3, "--json")
    result = chain(torn_file, tmp_path / "out.wav", *gap, *cutoff, *more)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert [one["task"] for one in told["chain"]] == ["inpaint", "bandwidth"]
    assert [one["steps"] for one in told["chain"]] == [1, 3]
    assert told["chain"][0]["found"]["gaps_s"] == [[0.5, 0.56]]
    assert told["chain"][1]["found"] == {"cutoff_hz": 3000.0, "edge_hz": 2900.0}
    assert told["restored"] is True
    edge = ("--parameter", "edge_hz=2900")
    expected = by_hand(torn_file, (*gap, "--steps", 1), (*cutoff, *edge, "--steps", 3))
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], expected)


def test_a_chain_comes_from_a_file(a2sb, by_hand, torn_file, tmp_path, model_folder):
    path = tmp_path / "chain.yaml"
    steps = [{"task": task, "model": str(model_folder)} for task in ("inpaint", "bandwidth")]
    path.write_text(yaml.safe_dump({"chain": steps}))
    result = a2sb("restore", torn_file, "-o", tmp_path / "out.wav", "--chain", path, *CPU)
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(soundfile.read(tmp_path / "out.wav")[0], by_hand(torn_file))


def test_many_files_are_chained_and_reported(chain, by_hand, torn_file, tmp_path, music):
    soundfile.write(torn_file.with_name("whole.wav"), music(), RATE)
    report, folder = tmp_path / "run.json", tmp_path / "out"
    result = chain(torn_file.parent, folder, "--report", report)
    assert result.exit_code == 0, result.stderr
    torn, whole = json.loads(report.read_text())["files"]
    assert (torn["status"], whole["status"]) == ("restored", "nothing")
    filled, extended = torn["found"]["chain"]
    assert filled["task"] == "inpaint" and len(filled["found"]["gaps_s"]) == 1
    assert extended["found"]["cutoff_hz"] == pytest.approx(4000, rel=0.03)
    expected = by_hand(torn_file)
    assert np.array_equal(soundfile.read(folder / "torn.restored.wav")[0], expected)


def test_a_dry_run_tells_each_step(chain, torn_file, tmp_path):
    result = chain(torn_file, tmp_path / "out.wav", "--dry-run", "--json")
    assert result.exit_code == 0, result.stderr
    (one,) = json.loads(result.stdout)["files"]
    assert one["status"] == "restored" and one["seconds"] > 0 and one["bytes"] > 1e6
    assert "filling 1 gap" in one["description"] and "; then energy ends" in one["description"]
    assert not (tmp_path / "out.wav").exists()


def test_a_pipe_is_chained(torn_file, by_hand, model_folder):
    command = (
        *(sys.executable, "-c", "import sys; from a2sb_core.cli import main; sys.exit(main())"),
        *("restore", "-", "-o", "-", "--task", "inpaint", "--task", "bandwidth"),
        *("--gap", "0.5:0.55", "--cutoff", "4000", "--model", str(model_folder), *CPU),
    )
    with torn_file.open("rb") as stream:
        result = subprocess.run(command, stdin=stream, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr
    restored, rate = soundfile.read(io.BytesIO(result.stdout))
    expected = by_hand(torn_file, ("--gap", "0.5:0.55"), ("--cutoff", "4000"))
    assert rate == RATE
    # The level is measured in the beginning only.
    np.testing.assert_allclose(restored, expected, atol=0.01)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--steps", "1", "--steps", "2", "--steps", "3"), ("2 tasks, but 3 values",)),
        (("--parameter", "edge_hz=3"), ("inpaint.edge_hz=VALUE",)),
        (("--chain", "chain.yaml"), ("for each step in chain.yaml",)),
    ],
    ids=["steps", "parameter", "file and options"],
)
def test_contradictory_options_are_refused(chain, torn_file, tmp_path, fails, arguments, words):
    fails(chain(torn_file, tmp_path / "out.wav", *arguments), *words, code=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gap", "3:4"), ("step 1 of the chain (inpaint)", "does not lie within the audio")),
        (("--cutoff", "40000"), ("step 2 of the chain (bandwidth)", "40000 Hz")),
        (("--task", "nonsense"), ("step 3 of the chain (nonsense)", "inpaint")),
    ],
    ids=["gap", "cutoff", "task"],
)
def test_a_chain_that_cannot_work_is_refused(chain, torn_file, tmp_path, fails, arguments, words):
    fails(chain(torn_file, tmp_path / "out.wav", *arguments), *words)


def test_a_task_is_required(a2sb, torn_file, tmp_path, fails):
    fails(a2sb("restore", torn_file, "-o", tmp_path / "out.wav"), "--chain", code=2)
