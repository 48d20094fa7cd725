"""`a2sb evaluate` on short clips with a tiny model."""

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
def evaluate(a2sb, clips, tmp_path):
    common = ("-o", tmp_path / "out", "--device", "cpu", "--metrics", "lsd,sispec(region=missing)")
    return lambda *arguments, source=clips: a2sb("evaluate", source, *common, *arguments)


@pytest.fixture
def asked(tmp_path, model_folder):
    (tmp_path / "own.yaml").write_text(GAPS)
    tasks = ("--tasks", "bandwidth-4k,holes", "--protocols", tmp_path / "own.yaml", "--limit", 1)
    systems = ("--systems", f"{model_folder},band_replication", "--steps", "1,2")
    return (*tasks, *systems, "--reference", f"{model_folder}@1")


def test_evaluate_prints_and_writes_tables(evaluate, asked, tmp_path, model_folder):
    result = evaluate(*asked)
    assert result.exit_code == 0, result.stderr
    for word in ("bandwidth-4k", "holes", "degraded", "tiny@2", "band_replication", "lsd ↓"):
        assert word in result.stdout
    assert "holes, band_replication" in result.stdout  # a task that the system does not do
    with (tmp_path / "out" / "values.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 + 3
    assert all(float(line["lsd"]) > 0 for line in lines)
    assert f"`{model_folder}@1`" in (tmp_path / "out" / "table.md").read_text()
    assert evaluate(*asked, "--quiet").stdout == ""


@pytest.mark.slow
def test_evaluate_draws_figures(evaluate, asked, tmp_path):
    result = evaluate(*asked, "--figures")
    assert result.exit_code == 0, result.stderr
    pictures = sorted((tmp_path / "out" / "figures").iterdir())
    assert [path.name for path in pictures] == [
        f"{task}_{figure}.png"
        for task in ("bandwidth-4k", "holes")
        for figure in ("0", "magnitudes", "phase_residual")
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tasks", "bandwidth-x"), ("`bandwidth-x`", "kHz", "`4k`")),
        (("--tasks", "hum"), ("`hum`", "bandwidth-4k", "--protocols")),
        (("--systems", "smal"), ("`smal`", "small", "band_replication")),
        (("--metrics", "lds"), ("`lds`", "did you mean `lsd`")),
        (("--reference", "small"), ("`small`", "degraded, silence")),
    ],
)
def test_evaluate_reports_mistakes(evaluate, fails, arguments, words):
    fails(evaluate("--systems", "silence", *arguments), *words)
    fails(evaluate("--steps", "2,x"), "--steps", code=2)


def test_help_needs_no_torch():
    code = (
        "import sys; from a2sb_core.cli import app\n"
        "try: app(['evaluate', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
