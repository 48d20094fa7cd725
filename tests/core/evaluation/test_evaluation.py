"""Evaluation: what is computed, what is taken from earlier runs, and what is reported."""

import csv
import json
import math

import evaluation_parts
import numpy as np
import pytest
import soundfile
from engine_helpers import RATE, noise, write_audio

from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.errors import A2SBError, AudioError, ConfigError
from a2sb_core.evaluation.reports import write_report
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.evaluation.statistics import summarize
from a2sb_core.evaluation.systems import load_systems
from a2sb_core.interfaces import Damaged
from a2sb_core.models.folder import save_model
from a2sb_core.plugins import reset


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    evaluation_parts.install(tmp_path / "site", monkeypatch)
    yield
    reset()


@pytest.fixture
def config(tmp_path):
    """Three clips of noise, limited to 4 kHz and at half of their level."""
    write_audio(tmp_path / "clips")

    def make(**changes):
        fields = {
            "source": tmp_path / "clips",
            "output": tmp_path / "out",
            "tasks": ("bandwidth-4k",),
            "systems": ("half",),
            "metrics": ("gain",),
            "device": "cpu",
            "precision": "fp32",
        }
        return EvaluateConfig.model_validate(fields | changes)

    return make


@pytest.fixture(scope="module")
def model_folder(model, tmp_path_factory):
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny")


def means(report, label="gain"):
    """Values of a metric by task and system."""
    key = next(metric.key for metric in report.metrics if metric.label == label)
    return {
        (task, system): [result.values.get(key) for result in report.restored(task, system)]
        for task in report.tasks
        for system in report.systems
    }


def write(report, folder):
    """Write a report; return its rows and the Markdown."""
    rows = summarize(report)
    write_report(report, rows, folder)
    return rows, (folder / "table.md").read_text()


def test_degraded_comes_first_and_values_are_those_of_the_metric(config):
    report = Evaluation(config()).run()
    assert report.systems == ["degraded", "half"]
    found = means(report)
    degraded, half = found["bandwidth-4k", "degraded"], found["bandwidth-4k", "half"]
    assert half == pytest.approx([value / 2 for value in degraded], rel=1e-6)
    # Noise below 4 kHz keeps 4000/22050 of its power.
    assert degraded == pytest.approx([math.sqrt(4000 / 22050)] * 3, rel=0.1)
    assert evaluation_parts.CALLS.count(("bandwidth", ("cutoff_hz",))) == 3


def test_only_what_is_new_is_computed(config, tmp_path):
    first = Evaluation(config()).run()
    evaluation_parts.CALLS.clear()
    second = Evaluation(config()).run()
    assert second.results == first.results
    assert second.computed == 0 and evaluation_parts.CALLS == []
    for name in ("file0", "file3"):  # another clip under an old name, and a new one
        soundfile.write(tmp_path / "clips" / f"{name}.wav", noise(9000, seed=9).T.numpy(), RATE)
    report = Evaluation(config()).run()
    assert report.computed == 4 and len(report.results) == 8
    report = Evaluation(config(metrics=("gain", "gain(scale=2)"))).run()
    assert means(report, "gain(scale=2)")["bandwidth-4k", "half"] == pytest.approx(
        [2 * value for value in means(report)["bandwidth-4k", "half"]]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"systems": ("half(factor=0.25)",)},
        {"channels": "each"},
        {"seed": 1},
        {"tasks": ("bandwidth-4.1k",)},
        {"fresh": True},
    ],
)
def test_other_settings_do_not_reuse_values(config, changes):
    Evaluation(config()).run()
    evaluation_parts.CALLS.clear()
    Evaluation(config(**changes)).run()
    assert sum(call != "gain" for call in evaluation_parts.CALLS) == 3


def test_a_torn_line_of_an_interrupted_run_is_computed_again(config):
    evaluation = Evaluation(config())
    first = evaluation.run()
    path = evaluation.config.output / "results.jsonl"
    path.write_text(path.read_text()[:-40])
    second = Evaluation(config()).run()
    assert second.computed == 1
    assert means(second) == means(first)
    assert Evaluation(config()).run().computed == 0


def test_an_interruption_keeps_what_was_done(config):
    evaluation = Evaluation(config())

    def stop(done, of, what):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluation.run(stop)
    assert Evaluation(config()).run().computed == 2


def test_models_with_several_steps_and_a_change_of_weights(config, model, model_folder):
    name = str(model_folder)
    asked = config(systems=(name,), steps=(1, 2), metrics=("gain", "phase_residual"), limit=1)
    report = Evaluation(asked).run()
    assert report.systems == ["degraded", f"{name}@1", f"{name}@2"]
    assert not report.failures
    values = means(report, "phase_residual")
    assert values["bandwidth-4k", "degraded"] == [None]
    one, two = (values["bandwidth-4k", f"{name}@{steps}"][0] for steps in (1, 2))
    assert 0 < one < 10 and 0 < two < 10 and one != two
    assert Evaluation(asked).run().computed == 0
    state = model.state_dict()
    changed = {key: value.clone() for key, value in state.items()}
    last = [key for key in changed if key.startswith("backbone")][-1]
    changed[last] += 0.1
    try:
        model.load_state_dict(changed)
        save_model(model, model_folder, overwrite=True)
        assert Evaluation(asked).run().computed == 2
    finally:
        model.load_state_dict(state)


def test_diagnostics_are_those_of_the_restored_bins(restorer, model_folder, config):
    """Known bins do not count, all restored ones do, and looking at them changes nothing."""
    (_, system) = load_systems(config(systems=(str(model_folder),)))
    damaged = Damaged(noise(9000), {"cutoff_hz": 4000.0})
    output = system.restore(damaged, RATE, "bandwidth")
    plain = restorer.restore(damaged.wave, RATE, task="bandwidth", cutoff_hz=4000.0)
    assert bool((plain == output.wave).all())
    residual, freqs_hz = (output.diagnostics[f"phase_residual{end}"] for end in ("", "_hz"))
    assert len(residual) == len(freqs_hz) > 1000
    assert float(freqs_hz.min()) > 2500


def test_a_failure_is_told_and_others_go_on(config, tmp_path):
    loud = 2 * np.sin(np.arange(9000) / 10)
    soundfile.write(tmp_path / "clips" / "loud.wav", loud, RATE, subtype="FLOAT")
    report = Evaluation(config(systems=("broken", "half"))).run()
    (failure,) = report.failures
    assert (failure.clip, failure.system) == ("loud.wav", "broken")
    assert "too loud for me" in failure.reason
    assert len(report.results) == 4 + 3 + 4
    rows, text = write(report, tmp_path / "out")
    assert [row["clips"] for row in rows] == [4, 3, 4]
    assert rows[1]["metrics"]["gain"]["difference"] == pytest.approx(0)
    assert "too loud for me" in text
    assert Evaluation(config(systems=("broken", "half"))).run().computed == 1


@pytest.mark.parametrize(("returns", "words"), [("short", "shape"), ("nan", "NaN")])
def test_nonsense_is_a_failure(config, returns, words):
    report = Evaluation(config(systems=(f"broken(returns={returns})",), limit=1)).run()
    assert words in report.failures[0].reason


def test_a_task_that_a_system_does_not_do_is_no_failure(config, tmp_path):
    protocols = tmp_path / "own.yaml"
    protocols.write_text("short: {corruption: inpainting, parameters: {gaps_s: [[0.1, 0.12]]}}")
    asked = config(systems=("broken",), tasks=("short",), protocols=protocols)
    report = Evaluation(asked).run()
    assert report.failures == []
    assert Evaluation(asked).run().computed == 0
    rows, text = write(report, tmp_path / "out")
    assert [row["system"] for row in rows] == ["degraded"]
    assert "only bandwidth" in text


def test_silence_and_a_metric_that_fails_on_it(config, tmp_path):
    soundfile.write(tmp_path / "clips" / "silent.wav", np.zeros(9000), RATE)
    metrics = ("lsd", "sispec", "si_sdr", "sispec(region=missing)", "gain", "gain(strict=true)")
    report = Evaluation(config(metrics=metrics)).run()
    assert [failure.clip for failure in report.failures] == ["silent.wav"] * 2
    assert all(metrics[-1] in failure.reason for failure in report.failures)
    rows, _ = write(report, tmp_path / "out")
    for row in rows:
        counts = {name: metric["clips"] for name, metric in row["metrics"].items()}
        assert counts == dict.fromkeys(metrics[:4], 4) | {"gain": 3, metrics[-1]: 3}


@pytest.mark.slow
def test_processes_find_the_same(config):
    one = Evaluation(config(systems=("band_replication",), metrics=("lsd",))).run()
    asked = config(systems=("band_replication",), metrics=("lsd",), fresh=True, jobs=2)
    two = Evaluation(asked).run()
    assert means(two, "lsd") == means(one, "lsd")


def test_channels(config, tmp_path):
    wave = noise(9000, channels=2)
    wave[1] = -wave[0]
    soundfile.write(tmp_path / "clips" / "file0.wav", wave.T.numpy(), RATE, subtype="FLOAT")
    each = Evaluation(config(channels="each", limit=1, metrics=("lsd",))).run()
    assert 0 < means(each, "lsd")["bandwidth-4k", "degraded"][0] < 20
    mono = Evaluation(config(channels="mono", limit=1, metrics=("lsd",))).run()
    assert means(mono, "lsd")["bandwidth-4k", "degraded"] == [0]  # the channels cancel


def test_audio_is_kept(config, tmp_path):
    report = Evaluation(config(keep_audio=True)).run()
    assert len(report.audio) == 6
    kept = report.audio["file1.wav", "bandwidth-4k", "half"]
    assert kept.is_relative_to(tmp_path / "out" / "audio" / "bandwidth-4k" / "half")
    wave, _ = soundfile.read(kept)
    other, _ = soundfile.read(report.audio["file1.wav", "bandwidth-4k", "degraded"])
    np.testing.assert_allclose(wave, other / 2, atol=1e-4)
    kept.unlink()
    assert Evaluation(config(keep_audio=True)).run().computed == 1


def test_files_of_the_report(config, tmp_path):
    asked = config(systems=("half", "half(factor=0.25)"), reference="half")
    _, text = write(Evaluation(asked).run(), tmp_path / "out")
    with (tmp_path / "out" / "values.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 9
    quarter = [float(line["gain"]) for line in lines if line["system"] == "half(factor=0.25)"]
    half = [float(line["gain"]) for line in lines if line["system"] == "half"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    found = summary["rows"][2]["metrics"]["gain"]
    assert found["mean"] == pytest.approx(np.mean(quarter))
    assert found["difference"] == pytest.approx(np.mean(np.subtract(quarter, half)))
    low, high = found["interval"]
    assert low <= found["difference"] <= high < 0
    assert "| bandwidth-4k | degraded | **0.4" in text and "`half`" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": ("bandwith-4k",)}, "bandwith-4k"),
        ({"tasks": ("gap-0",)}, "gap-0"),
        ({"systems": ("haf",)}, "haf"),
        ({"systems": ("half(factor=-1)",)}, "factor"),
        ({"systems": ("half(facto=1)",)}, "factor"),
        ({"systems": ("half(factor=1",)}, "NAME"),
        ({"systems": ("half@2",)}, "STEPS"),
        ({"systems": ("small(a=1)",)}, "STEPS"),
        ({"systems": ("half", "half")}, "twice"),
        ({"systems": ("broken(returns=nothing)",)}, "install the package absent"),
        ({"metrics": ("gian",)}, "gain"),
        ({"metrics": ("gain(scale=x)",)}, "scale"),
        ({"reference": "other"}, "degraded, half"),
        ({"protocols": "none.yaml"}, "none.yaml"),
    ],
)
def test_bad_settings_are_reported_before_anything_is_computed(config, changes, words):
    with pytest.raises(A2SBError) as caught:
        Evaluation(config(**changes))
    assert words in str(caught.value)
    assert evaluation_parts.CALLS == []


def write_manifest(folder, text):
    path = folder / "clips" / "manifest.csv"
    path.write_text(text)
    return path


def test_a_split_of_a_manifest(config, tmp_path):
    path = write_manifest(
        tmp_path,
        "split,file_path,duration\ntrain,file0.wav,1\nvalidation,file2.wav,1\n"
        "validation,file1.wav,1\n",
    )
    assert [c.name for c in Evaluation(config(source=path)).clips] == ["file1.wav", "file2.wav"]
    train = Evaluation(config(source=path, split="train")).clips
    assert [c.path for c in train] == [tmp_path / "clips" / "file0.wav"]
    bare = write_manifest(tmp_path, "file_path\nfile2.wav\nfile0.wav\n")
    assert len(Evaluation(config(source=bare)).clips) == 2


@pytest.mark.parametrize(
    ("text", "split", "words"),
    [
        ("split,file_path\ntest,none.wav\ntest,file0.wav\n", "test", "none.wav"),
        ("split,file_path\ntrain,file0.wav\n", "test", "splits: train"),
        ("a,b\n1,2\n", "train", "file_path"),
        ("", "train", "file_path"),
    ],
)
def test_bad_manifests(config, tmp_path, text, split, words):
    path = write_manifest(tmp_path, text)
    with pytest.raises(A2SBError) as caught:
        Evaluation(config(source=path, split=split))
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_sources_without_audio(config, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="empty"):
        Evaluation(config(source=tmp_path / "empty"))
    with pytest.raises(ConfigError, match="nowhere"):
        Evaluation(config(source=tmp_path / "nowhere"))


def test_a_broken_file_fails_alone(config, tmp_path):
    (tmp_path / "clips" / "broken.wav").write_text("no audio")
    report = Evaluation(config()).run()
    assert {failure.clip for failure in report.failures} == {"broken.wav"}
    assert len(report.results) == 6
