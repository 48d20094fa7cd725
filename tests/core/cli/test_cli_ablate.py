"""`a2sb ablate` on a tiny model."""

import json

import pytest
import soundfile
import yaml

RATE = 44100


@pytest.fixture
def base_yaml(tmp_path, composition, music):
    (tmp_path / "audio").mkdir()
    for k in range(2):
        soundfile.write(tmp_path / "audio" / f"{k}.wav", music(0.6, seed=k), RATE)
    (tmp_path / "list.csv").write_text(
        "split,file_path,duration\ntrain,audio/0.wav,0.6\nvalidation,audio/1.wav,0.6\n"
    )
    path = tmp_path / "base.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "model": composition,
                "output": str(tmp_path / "base"),
                "steps": 2,
                "batch_size": 2,
                "data": {"source": str(tmp_path / "list.csv"), "frames": 16, "workers": 0},
                "statistics_segments": 2,
                "validation": {"tasks": []},
                "device": "cpu",
            }
        )
    )
    return path


@pytest.fixture
def ablate(a2sb, base_yaml, tmp_path):
    common = ("--device", "cpu", "--metrics", "lsd", "--tasks", "bandwidth-8k")
    return lambda *more: a2sb("ablate", base_yaml, "-o", tmp_path / "out", *common, *more)


def test_ablate_trains_evaluates_and_draws(ablate, tmp_path):
    result = ablate("--vary", "sampler.steps=1,2")
    assert result.exit_code == 0, result.stderr
    assert "| task | sampler.steps | lsd ↓ | x real time |" in result.stdout
    assert result.stderr.count("to train") == 1
    out = tmp_path / "out"
    assert (out / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "table.md").read_text().strip() in result.stdout
    again = ablate("--vary", "sampler.steps=1,2", "--no-train")
    assert again.exit_code == 0 and again.stderr.count(", trained:") == 1


@pytest.mark.slow
def test_ablate_draws_the_figures_of_an_evaluation(ablate, tmp_path):
    representations = ("--vary", "representation=factorized,complex_stft")
    prediction = ("--set", "model.prediction=paper")
    result = ablate(*representations, *prediction, "--vary", "sampler.steps=1,2", "--figures")
    assert result.exit_code == 0, result.stderr
    for name in ("magnitudes", "phase_residual"):
        path = tmp_path / "out" / "figures" / f"bandwidth-8k_{name}.png"
        assert path.read_bytes().startswith(b"\x89PNG")
        assert str(path) in result.stdout


def test_a_folder_gives_the_files_that_training_sets_aside(ablate, tmp_path):
    folder = ("--set", f"data.source={tmp_path / 'audio'}", "--set", "data.validation_files=1")
    assert ablate("--vary", "sampler.steps=1,2", *folder).exit_code == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["clips"] == ["1.wav"]


def test_ablate_measures_again_without_training(ablate, tmp_path):
    vary = ("--vary", "sampler.steps=1,2")
    assert ablate(*vary).exit_code == 0
    results = tmp_path / "out" / "evaluation" / "results.jsonl"
    wrong = results.read_text().replace('"values": {', '"values": {"other": 1, ')
    results.write_text(wrong)
    models = list((tmp_path / "out" / "runs").glob("*/model/model.safetensors"))
    before = [model.stat().st_mtime_ns for model in models]
    assert ablate(*vary).exit_code == 0 and '"other"' in results.read_text()
    assert ablate(*vary, "--remeasure").exit_code == 0
    assert results.read_text().count("\n") == 3 and '"other"' not in results.read_text()
    assert [model.stat().st_mtime_ns for model in models] == before
    result = ablate("--vary", "sampler.steps=1", "--set", "seed=9", "--remeasure")
    assert result.exit_code == 1 and "not trained yet" in result.stderr


def test_ablate_shows_its_plan(ablate, tmp_path):
    result = ablate("--vary", "sampler.inner=implicit,ode", "--seeds", "0,1", "--dry-run")
    assert result.exit_code == 0 and result.stdout == ""
    assert result.stderr.count("to train:") == 2
    assert result.stderr.count("    model.sampler.inner.steps: 50 (default; the base has ") == 1
    plans = sorted((tmp_path / "out" / "runs").glob("*/train.yaml"))
    assert [yaml.safe_load(plan.read_text())["seed"] for plan in plans] == [0, 1]
    assert not (tmp_path / "out" / "table.md").exists()


def test_ablate_reports_mistakes_before_training(ablate, fails, tmp_path):
    vary = ("--vary", "seed=1,2")
    (tmp_path / "own.yaml").write_text("hum: {corruption: declip}\nhiss:\n  corruption: denoize\n")
    own = ("--protocols", tmp_path / "own.yaml", "--tasks", "hum")
    fails(ablate("--vary", "sede=1,2"), "did you mean `seed`?")
    folder = ("--set", f"data.source={tmp_path / 'audio'}")
    fails(ablate(*vary, *folder, "--set", "data.validation_files=0"), "--clips", "no files aside")
    fails(ablate("--vary", "sampler.steps=1", "--seeds", "1,0,1"), "--seeds 1,0,1", "twice")
    assert ablate(*vary, "--seeds", "one").exit_code == 2
    fails(ablate(*vary, "--reference", "3"), "`3`", "`seed=1`, `seed=2`, `degraded`")
    fails(ablate(*vary, "--tasks", "hum"), "`hum`", "--protocols FILE")
    fails(ablate(*vary, *own), "own.yaml, line 3", "did you mean `denoise`?")
    assert not (tmp_path / "out").exists()
    result = ablate(*vary, "--no-train", "--reference", "2")
    assert result.exit_code == 1 and "--no-train" in result.stderr
    assert ablate().exit_code == 2
