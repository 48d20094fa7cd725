"""Ablations with a tiny model: which runs are trained, which are reused, and the report."""

import csv
import json

import numpy as np
import pytest
import torch
from engine_helpers import train_config, write_audio
from safetensors.torch import load_file

from a2sb_core.ablation import runs as ablation
from a2sb_core.ablation.grid import make_cells, parse_axes, replicate
from a2sb_core.ablation.report import write_ablation
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.loading import dump
from a2sb_core.config.tree import Node
from a2sb_core.errors import ConfigError, TrainingError
from a2sb_core.evaluation.reports import format_number
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.evaluation.statistics import summarize, t_interval
from a2sb_core.models.loading import load_model
from a2sb_core.training.trainer import Trainer


@pytest.fixture
def base(tmp_path):
    write_audio(tmp_path / "audio", seconds=0.5)
    return train_config(tmp_path, steps=2, checkpoint_every=1, data={"validation_files": 1})


@pytest.fixture
def plan(base, tmp_path):
    """Return cells and runs of an ablation."""

    def make(*vary, base=base):
        cells = make_cells(Node.of(dump(base)), parse_axes(vary, base))
        return cells, ablation.plan_runs(base, cells, tmp_path / "out")

    return make


@pytest.fixture
def evaluation(tmp_path):
    def make(**changes):
        return EvaluateConfig(
            source=tmp_path / "audio",
            output=tmp_path / "out" / "evaluation",
            limit=1,
            tasks=("bandwidth-8k",),
            metrics=("lsd",),
            device="cpu",
            precision="fp32",
            **changes,
        )

    return make


def train(runs, **options):
    """Train runs; return what failed, and the folders of the runs that were trained."""
    folders = {}
    options["on_step"] = lambda run, *_: folders.setdefault(run.config.output)
    return ablation.train_runs(runs, **options), list(folders)


def weights(run):
    return load_file(run.model / "model.safetensors")


def test_cells_of_one_training_share_it_and_nothing_is_done_twice(plan, evaluation, base):
    vary = ("data.gain_db=0,3", "sampler.steps=1,2")
    cells, runs = plan(*vary)
    assert [[cell.label for cell in run.cells] for run in runs] == [
        [f"data.gain_db={gain}, sampler.steps={steps}" for steps in (1, 2)] for gain in (0, 3)
    ]
    assert train(runs) == ({}, [run.config.output for run in runs])
    models = ablation.cell_models(runs, base.output.parent / "out")
    report = ablation.evaluation_of(evaluation(), cells, models).run()
    assert report.systems == ["degraded", *(cell.label for cell in cells)]
    assert report.computed == 5 and report.failures == []

    cells, runs = plan(*vary)
    assert train(runs) == ({}, [])
    models = ablation.cell_models(runs, base.output.parent / "out")
    again = ablation.evaluation_of(evaluation(), cells, models).run()
    assert again.computed == 0 and again.results == report.results

    # Another value is another training and its evaluation, and no more.
    cells, runs = plan("data.gain_db=0,3,6", "sampler.steps=1,2")
    assert len(train(runs)[1]) == 1
    models = ablation.cell_models(runs, base.output.parent / "out")
    assert ablation.evaluation_of(evaluation(), cells, models).run().computed == 2


def test_a_cell_is_its_runs_weights_with_its_own_sampler(plan, evaluation, base):
    cells, runs = plan("sampler.steps=1,3")
    ablation.train_runs(runs)
    models = ablation.cell_models(runs, base.output.parent / "out")
    report = ablation.evaluation_of(evaluation(), cells, models).run()
    assert load_model(models["sampler.steps=3"]).sampler.config.inner.steps == 3
    plain = evaluation(systems=(f"{runs[0].model}@3",))
    (direct,) = [r for r in Evaluation(plain).run().results.values() if "@3" in r.system]
    (own,) = [r for r in report.results.values() if r.system == "sampler.steps=3"]
    assert own.values == direct.values and own.profile == direct.profile


def test_a_run_that_was_interrupted_goes_on_to_the_same_weights(plan, base):
    _, (run,) = plan("sampler.steps=1")

    def stop(run, step, loss):
        if step == 2:
            raise KeyboardInterrupt

    whole = base.model_copy(update={"output": run.config.output.parent / "whole"})
    Trainer(whole).run()
    with pytest.raises(KeyboardInterrupt):
        ablation.train_runs([run], on_step=stop)
    assert run.model is None
    # Meanwhile the base got another number of steps, and another cell.
    other = base.model.sampler.inner.model_copy(update={"steps": 7})
    sampler = base.model.sampler.model_copy(update={"inner": other})
    changed = base.model_copy(update={"model": base.model.model_copy(update={"sampler": sampler})})
    _, (run,) = plan("sampler.steps=1,2", base=changed)
    steps = []
    assert ablation.train_runs([run], on_step=lambda _, step, __: steps.append(step)) == {}
    assert steps == [2]
    expected = load_file(whole.output / "model" / "model.safetensors")
    assert all(torch.equal(value, expected[name]) for name, value in weights(run).items())


def test_the_model_of_the_base_itself_is_used(plan, base):
    Trainer(base).run()
    _, runs = plan("sampler.steps=1,2", "seed=0,1")
    assert runs[0].model == base.output / "model" and runs[1].model is None
    assert train(runs) == ({}, [runs[1].config.output])
    assert train(runs, fresh=True) == ({}, [run.config.output for run in runs])


def test_a_failure_leaves_the_others(plan, evaluation, base, tmp_path):
    cells, runs = plan("prediction={weights: [1, 1]},{weights: [1, 1, 1]}")
    failures = ablation.train_runs(runs)
    assert list(failures) == [runs[0].key]
    assert "weights" in failures[runs[0].key]
    models = ablation.cell_models(runs, tmp_path / "out")
    assert list(models) == [cells[1].label]
    report = ablation.evaluation_of(evaluation(), cells, models).run()
    write_ablation(report, cells, runs, failures, tmp_path / "out")
    text = (tmp_path / "out" / "table.md").read_text()
    assert cells[0].label in text and failures[runs[0].key] in text


def test_several_processes_are_refused(plan, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="one process"):
        ablation.train_runs(plan("seed=1")[1])


def test_errors_of_training_are_returned(plan, monkeypatch):
    def fail(*_):
        raise TrainingError("no data")

    monkeypatch.setattr(Trainer, "run", fail)
    assert list(ablation.train_runs(plan("seed=1,2")[1]).values()) == ["no data"] * 2


def test_tables_have_a_column_for_each_axis(plan, evaluation, base, tmp_path):
    out = tmp_path / "out"
    cells, runs = plan("sampler.steps=1,2", "sampler.inner=implicit,{order: 2}")
    ablation.train_runs(runs)
    report = ablation.evaluation_of(evaluation(), cells, ablation.cell_models(runs, out)).run()
    paths = write_ablation(report, cells, runs, {}, out)
    assert all(path.is_file() for path in paths)
    lines = (out / "table.md").read_text().splitlines()
    assert lines[2] == "| task | sampler.steps | sampler.inner | lsd ↓ | x real time |"
    assert lines[4].startswith("| bandwidth-8k | degraded | - | ")
    assert lines[5].startswith("| bandwidth-8k | 1 | implicit | ")
    differences = lines.index("| task | sampler.steps | sampler.inner | lsd ↓ |")
    assert lines[differences + 4].startswith("| bandwidth-8k | 2 | implicit | ")
    fields = "| sampler.steps | sampler.inner | model.sampler.inner.order |"
    assert lines[lines.index(fields) + 2 :] == [
        f"| {steps} | {inner} |" for steps in (1, 2) for inner in ("implicit | 1", "{order: 2} | 2")
    ]
    with (out / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    means = {line["system"]: float(line["mean"]) for line in table}
    (second,) = [line for line in table if line["system"] == cells[2].label]
    assert float(second["difference"]) == pytest.approx(
        means[cells[2].label] - means[cells[0].label]
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["axes"]["sampler.steps"] == ["1", "2"]
    assert summary["runs"][0]["cells"] == [cell.label for cell in cells]


def test_replicates_are_aggregated_over_their_seeds(plan, evaluation, base, tmp_path):
    out = tmp_path / "out"
    cells = replicate(plan("sampler.steps=1,2")[0], [3, 4])
    runs = ablation.plan_runs(base, cells, out)
    assert [run.config.seed for run in runs] == [3, 4]
    ablation.train_runs(runs)
    models = ablation.cell_models(runs, out)
    report = ablation.evaluation_of(evaluation(), cells, models, "sampler.steps=2").run()
    write_ablation(report, cells, runs, {}, out)
    rows = json.loads((out / "summary.json").read_text())["rows"]
    assert [row["system"] for row in rows] == ["degraded", "sampler.steps=1", "sampler.steps=2"]
    first, second = (row["metrics"]["lsd"] for row in rows[1:])
    by_seed = {row["system"]: row["metrics"]["lsd"]["mean"] for row in summarize(report)}
    expected = [by_seed[f"sampler.steps=1, seed {seed}"] for seed in (3, 4)]
    assert list(first["by_seed"].values()) == expected
    assert first["mean"] == pytest.approx(np.mean(expected))
    assert first["mean_interval"] == pytest.approx(t_interval(expected))
    pairs = [a - b for a, b in zip(expected, second["by_seed"].values(), strict=True)]
    assert first["difference"] == pytest.approx(np.mean(pairs))
    assert first["interval"] == pytest.approx(t_interval(pairs))
    assert "interval" not in second and "mean_interval" not in rows[0]["metrics"]["lsd"]
    text = (out / "table.md").read_text()
    low, high = (format_number(value) for value in first["mean_interval"])
    assert "2 seeds (3, 4)" in text and f" ({low} to {high}) |" in text
    with (out / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["seeds"] for line in lines] == ["", "3 4", "3 4"]
    assert float(lines[1]["mean_low"]) == first["mean_interval"][0]
