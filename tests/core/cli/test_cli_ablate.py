"""`a2sb ablate` on a tiny model."""

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
    path.write_text(yaml.safe_dump({
        "model": composition, "output": str(tmp_path / "base"), "steps": 2, "batch_size": 2,
        "data": {"source": str(tmp_path / "list.csv"), "frames": 16, "workers": 0},
        "statistics_segments": 2, "validation": {"tasks": []}, "device": "cpu",
    }))
    return path


@pytest.fixture
def ablate(a2sb, base_yaml, tmp_path):
    def run(*arguments):
        return a2sb(
            "ablate", base_yaml, "-o", tmp_path / "out", "--device", "cpu", "--metrics", "lsd",
            "--tasks", "bandwidth-8k", *arguments,
        )

    return run


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
    result = ablate("--vary", "representation=factorized,complex_stft", "--set",
                    "model.prediction=paper", "--vary", "sampler.steps=1,2", "--figures")
    assert result.exit_code == 0, result.stderr
    for name in ("magnitudes", "phase"):
        path = tmp_path / "out" / "figures" / f"bandwidth-8k_{name}.png"
        assert path.read_bytes().startswith(b"\x89PNG")
        assert str(path) in result.stdout


def test_ablate_tells_what_it_would_do(ablate, tmp_path):
    result = ablate("--vary", "seed=0,1", "--dry-run")
    assert result.exit_code == 0 and result.stdout == ""
    plans = sorted((tmp_path / "out" / "runs").glob("*/train.yaml"))
    assert [yaml.safe_load(plan.read_text())["seed"] for plan in plans] == [0, 1]
    assert not (tmp_path / "out" / "table.md").exists()


def test_ablate_tells_what_is_wrong(ablate, fails, base_yaml, tmp_path):
    fails(ablate("--vary", "sede=1,2"), "no such field", "did you mean `seed`?")
    fails(ablate("--vary", "seed=1", "--set", f"data.source={tmp_path / 'audio'}"), "--clips")
    vary = ("--vary", "seed=1,2")
    fails(ablate(*vary, "--reference", "3"), "`3` is no cell", "`seed=1`, `seed=2`, `degraded`")
    fails(ablate(*vary, "--tasks", "hum"), "unknown task `hum`", "--protocols FILE")
    (tmp_path / "own.yaml").write_text("hum: {corruption: declip}\nhiss:\n  corruption: denoize\n")
    own = ("--protocols", tmp_path / "own.yaml", "--tasks", "hum")
    fails(ablate(*vary, *own), "own.yaml, line 3", "did you mean `denoise`?")
    result = ablate("--vary", "seed=1,2", "--no-train", "--reference", "2")
    assert result.exit_code == 1 and "--no-train" in result.stderr
    assert ablate().exit_code == 2
