import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

RATE = 44100
GAPS = "holes: {corruption: inpainting, parameters: {gaps_s: [[0.3, 0.33]]}}"


@pytest.fixture
def clips(tmp_path, music):
    folder = tmp_path / "clips"
    folder.mkdir()
    for k in range(2):
        soundfile.write(folder / f"{k}.wav", music(0.6, seed=k), RATE)
    return folder


@pytest.fixture
def evaluate(a2sb, clips, tmp_path, model_folder):
    def run(*arguments, source=clips):
        return a2sb("evaluate", source, "-o", tmp_path / "out", "--device", "cpu",
                    "--metrics", "lsd,sispec(region=missing)", *arguments)

    return run


@pytest.fixture
def asked(tmp_path, model_folder):
    (tmp_path / "own.yaml").write_text(GAPS)
    return (
        "--tasks", "bandwidth-4k,holes", "--protocols", tmp_path / "own.yaml", "--limit", 1,
        "--systems", f"{model_folder},band_replication", "--steps", "1,2",
        "--reference", f"{model_folder}@1",
    )


def test_evaluate_prints_and_writes_tables(evaluate, asked, tmp_path, model_folder):
    result = evaluate(*asked)
    assert result.exit_code == 0, result.stderr
    for word in ("bandwidth-4k", "holes", "degraded", "tiny@2", "band_replication", "lsd ↓"):
        assert word in result.stdout
    assert "not done: holes, band_replication" in result.stdout
    with (tmp_path / "out" / "values.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 + 3
    assert all(float(line["lsd"]) > 0 for line in lines)
    table = (tmp_path / "out" / "table.md").read_text()
    assert f"Differences to `{model_folder}@1`" in table
    assert evaluate(*asked, "--quiet").stdout == ""


@pytest.mark.slow
def test_evaluate_draws_figures(evaluate, asked, tmp_path):
    result = evaluate(*asked, "--figures")
    assert result.exit_code == 0, result.stderr
    pictures = sorted((tmp_path / "out" / "figures").iterdir())
    assert [path.name for path in pictures] == [
        f"{task}_{what}.png" for task in ("bandwidth-4k", "holes")
        for what in ("0", "magnitudes", "phase")
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert all(str(path) in result.stdout for path in pictures)


def test_evaluate_json_counts_what_was_computed(evaluate):
    asked = ("--tasks", "bandwidth-8k", "--systems", "band_replication", "--json")
    first, second = (json.loads(evaluate(*asked).stdout) for _ in range(2))
    assert (first["computed"], second["computed"]) == (4, 0)
    assert first["rows"] == second["rows"]
    assert [row["system"] for row in first["rows"]] == ["degraded", "band_replication"]
    lsd = first["rows"][1]["metrics"]["lsd"]
    assert lsd["difference"] < 0 and lsd["interval"][1] < 0


def test_evaluate_goes_on_after_a_failure(evaluate, clips):
    soundfile.write(clips / "nan.wav", np.full(9000, np.nan), RATE, subtype="FLOAT")
    result = evaluate("--tasks", "bandwidth-4k", "--systems", "silence")
    assert result.exit_code == 1
    assert "nan.wav, bandwidth-4k, silence" in result.stderr and "NaN" in result.stderr
    assert "silence" in result.stdout and "3 clips" in result.stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (("--tasks", "bandwidth-x"), ("unknown task `bandwidth-x`", "bandwidth-4k")),
    (("--systems", "smal"), ("no model `smal`", "small", "band_replication")),
    (("--metrics", "lds"), ("unknown metric `lds`", "did you mean `lsd`")),
    (("--reference", "small"), ("none of the systems",)),
])
def test_evaluate_tells_what_is_wrong(evaluate, fails, arguments, words):
    fails(evaluate("--systems", "silence", *arguments), *words)


def test_evaluate_of_sources_without_clips(evaluate, fails, tmp_path):
    (tmp_path / "empty").mkdir()
    fails(evaluate(source=tmp_path / "empty"), "no audio", "empty")
    manifest = tmp_path / "list.csv"
    manifest.write_text("split,file_path\nvalidation,none.wav\n")
    fails(evaluate(source=manifest), "none.wav", "missing")
    fails(evaluate("--steps", "2,x"), "--steps", code=2)


def test_help_needs_no_torch():
    code = (
        "import sys; from a2sb_core.cli import app\n"
        "try: app(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
