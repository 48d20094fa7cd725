"""`a2sb restore --dry-run`: what would be done is told, and nothing is done."""

import json

import pytest
import soundfile

RATE = 44100


@pytest.fixture
def folder(tmp_path, music):
    inner = tmp_path / "in"
    (inner / "side").mkdir(parents=True)
    soundfile.write(inner / "one.wav", music(2.0), RATE)
    soundfile.write(inner / "side" / "two.wav", music(4.0), RATE)
    torn = music(2.0)
    torn[RATE : RATE + 4410] = 0
    soundfile.write(inner / "torn.wav", torn, RATE)
    return inner


@pytest.fixture
def ask(a2sb, model_folder, tmp_path):
    def run(source, *arguments, task="bandwidth"):
        return a2sb(
            "restore",
            source,
            "-o",
            tmp_path / "out",
            "--task",
            task,
            "--model",
            model_folder,
            "--device",
            "cpu",
            "--dry-run",
            *arguments,
        )

    return run


def listed(result, code=0):
    assert result.exit_code == code, result.stderr
    return {one["input"].rpartition("/")[2]: one for one in json.loads(result.stdout)["files"]}


def test_time_and_memory_are_told_and_nothing_is_written(ask, folder, tmp_path):
    files = listed(ask(folder, "--cutoff", "8000", "--json"))
    assert not (tmp_path / "out").exists()
    assert files["two.wav"]["output"] == str(tmp_path / "out" / "side" / "two.restored.wav")
    assert files["one.wav"]["found"]["cutoff_hz"] == 8000.0
    assert files["two.wav"]["seconds"] > 0 and files["two.wav"]["bytes"] > 1e6
    assert 0.8 < files["one.wav"]["bytes"] / files["two.wav"]["bytes"] <= 1
    # Both are of so many channels; a frame takes as long in each.
    ratio = files["two.wav"]["seconds"] / max(0.1, files["one.wav"]["seconds"])
    assert ratio == pytest.approx(2, abs=1)
    text = ask(folder, "--cutoff", "8000").stdout
    assert "energy ends at 8000 Hz, extending above; about" in text
    assert text.splitlines()[-1].startswith("3 files: about ")


def test_gaps_are_found_and_cost_what_they_hold(ask, folder, tmp_path):
    files = listed(ask(folder, "--json", task="inpaint"))
    assert files["one.wav"]["status"] == "nothing" and files["one.wav"]["seconds"] == 0
    (gap,) = files["torn.wav"]["found"]["gaps_s"]
    assert gap == pytest.approx([1.0, 1.1], abs=1e-3)
    (tmp_path / "out").mkdir()
    assert "filling 1 gap, 0.1" in ask(folder / "torn.wav", task="inpaint").stdout


def test_what_is_there_and_what_would_fail_are_told(ask, folder, tmp_path):
    (folder / "text.wav").write_text("la la")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.restored.wav").write_text("")
    files = listed(ask(folder, "--cutoff", "8000", "--json", "--skip-existing"), code=3)
    assert files["one.wav"]["status"] == "skipped"
    assert files["text.wav"]["status"] == "failed" and "text.wav" in files["text.wav"]["error"]
    text = ask(folder, "--cutoff", "8000")
    assert text.exit_code == 3 and "would fail: " in text.stdout
    assert "one.restored.wav, which exists: " in text.stdout
    assert "1 would fail" in text.stdout
    assert ask(folder / "text.wav").exit_code == 1


def test_a_pipe_can_not_be_looked_into(a2sb):
    result = a2sb("restore", "-", "-o", "-", "--task", "bandwidth", "--dry-run")
    assert result.exit_code == 2 and "--dry-run" in result.stderr


def test_the_frames_are_those_that_are_worked_on(model_folder, music):
    from a2sb_core.restoration.listener import ProgressListener
    from a2sb_core.restoration.restorer import Restorer

    restorer, told = Restorer.from_pretrained(model_folder, "cpu"), []
    wave = music(2.0).T.astype("float32")
    for asked in (
        {"task": "bandwidth", "cutoff_hz": 8000.0},
        {"task": "inpaint", "gaps_s": [(0.5, 0.6), (1.5, 1.52)]},
    ):
        job = restorer.prepare([wave], RATE, samples=wave.shape[-1], **asked)
        for _ in job.run(listener=ProgressListener(lambda *step: told.append(step))):
            pass
        done, of = told[-1]
        assert done == of == job.plan.frames_to_sample(restorer.model.representation) > 0


@pytest.mark.parametrize(("suffix", "rate"), [(".opus", 48_000), (".mp3", 48_000)])
@pytest.mark.parametrize("is_dry", [True, False], ids=["dry run", "real run"])
def test_a_rate_that_the_format_lacks_is_refused_before_the_scan(
    a2sb, model_folder, tmp_path, music, suffix, rate, is_dry
):
    source = tmp_path / "in.wav"
    given = 44_100 if suffix == ".opus" else 96_000
    wave = music(2.0)
    wave[-RATE:] = float("nan")  # a scan would find this
    soundfile.write(source, wave, given, subtype="FLOAT")
    arguments = [source, "-o", tmp_path / f"out{suffix}", "--model", model_folder, "--gap", "0:0.1"]
    arguments += ["--device", "cpu", *["--dry-run"] * is_dry]
    result = a2sb("restore", *arguments, "--task", "inpaint")
    said = result.stdout + result.stderr
    assert result.exit_code == 1 and f"--sample-rate {rate}" in said and "NaN" not in said
