"""From a pre-trained model to one of t-range experts."""

import json
from pathlib import Path

import pytest
import torch
from engine_helpers import noise, train_config, write_audio

from a2sb_backbones.experts import PAPER_CUTS
from a2sb_core.config.loading import load_yaml, validate
from a2sb_core.config.training import TrainConfig
from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.interfaces import State
from a2sb_core.models.folder import save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.merging import merge_models
from a2sb_core.models.model import Model
from a2sb_core.models.run_record import RUN_NAME
from a2sb_core.restoration.restorer import Restorer
from a2sb_core.training.trainer import Trainer

EXAMPLES = Path(__file__).parents[3] / "examples" / "train_paper"


def fake(folder, t_range, model):
    """A model folder as a run on a range of t leaves it."""
    note = json.dumps({"config": {"t_range": t_range}})
    return save_model(model, folder, notes={RUN_NAME: note})


@pytest.fixture
def models(tmp_path):
    """Four experts of random weights, with the statistics of one model."""
    settings = train_config(tmp_path)
    edges = (0.0, *PAPER_CUTS["paper-4"], 1.0)
    found = []
    for k in range(4):
        torch.manual_seed(k)
        model = Model(settings.model)
        generator = torch.Generator().manual_seed(9)
        rows = model.representation.rows
        model.prediction.fit(torch.randn(2, 3, rows, 8, generator=generator))
        found.append((fake(tmp_path / f"expert{k}", edges[k : k + 2], model), model.eval()))
    return found


def test_a_model_is_pre_trained_fine_tuned_in_two_ranges_and_gathered(tmp_path):
    write_audio(tmp_path / "audio")
    data = {"validation_files": 0}
    first = train_config(tmp_path, data=data, steps=1, output=tmp_path / "first")
    Trainer(first).run()
    folders = []
    for name, t_range in (("high", (0.5, 1.0)), ("low", (0.0, 0.5))):
        settings = train_config(
            tmp_path,
            data=data,
            steps=2,
            output=tmp_path / name,
            t_range=t_range,
            init_from=str(first.output / "model"),
        )
        Trainer(settings).run()
        folders.append(settings.output / "model")
    save_model(merge_models(folders), tmp_path / "gathered")
    model = load_model(tmp_path / "gathered")
    assert model.config.backbone.name == "experts"
    assert model.config.backbone.cuts == (0.5,)
    high, low = (load_model(folder) for folder in folders)
    x, t = torch.randn(2, 3, 128, 16), torch.tensor([0.2, 0.8])
    x1, missing = torch.randn(2, 3, 128, 16), torch.ones(2, 1, 128, 16, dtype=torch.bool)
    state = State(x, t, x1, missing)
    found = model.denoiser()(state)
    for k, own in enumerate((low, high)):
        torch.testing.assert_close(found[k], own.denoiser()(state)[k])
    restored = Restorer(model, "cpu").restore(
        noise(8000), 44100, task="bandwidth", cutoff_hz=4000.0, steps=3
    )
    assert torch.isfinite(restored).all()


def test_the_papers_four_are_gathered_in_any_order(models):
    order = [models[k][0] for k in (2, 0, 3, 1)]
    gathered = merge_models(order)
    assert gathered.config.backbone.cuts == pytest.approx(PAPER_CUTS["paper-4"])
    for k, (_, model) in enumerate(models):
        own = gathered.backbone.experts[k].state_dict()
        for key, value in model.backbone.state_dict().items():
            assert torch.equal(own[key], value)


def test_idle_experts_are_offloaded_on_request(models):
    folders = [folder for folder, _ in models]
    assert not merge_models(folders).config.backbone.offload
    assert merge_models(folders, "experts(offload=true)").config.backbone.offload
    with pytest.raises(ConfigError, match=r"experts\(sleep=true\).*sleep"):
        merge_models(folders, "experts(sleep=true)")
    with pytest.raises(ConfigError, match="offload"):
        merge_models(folders, "experts(offload=often)")


def test_ranges_that_leave_a_gap_or_overlap_are_refused(models):
    folders = [folder for folder, _ in models]
    with pytest.raises(ModelError, match=r"must cover 0 to 1 exactly once, but are: .*expert2"):
        merge_models([folders[0], folders[2], folders[3]])
    with pytest.raises(ModelError, match="must cover 0 to 1 exactly once"):
        merge_models([*folders, folders[1]])
    with pytest.raises(ModelError, match="must cover 0 to 1 exactly once"):
        merge_models(folders[:3])


def test_experts_of_different_statistics_are_refused(models, tmp_path):
    model = models[0][1]
    model.prediction.mean += 1
    folders = [fake(tmp_path / "other", (0.0, PAPER_CUTS["paper-4"][0]), model)]
    with pytest.raises(ModelError, match="differ in their composition or statistics"):
        merge_models(folders + [folder for folder, _ in models[1:]])


def test_a_model_that_says_nothing_of_its_times_is_refused(models, tmp_path):
    save_model(models[0][1], tmp_path / "plain")
    with pytest.raises(ModelError, match=r"plain does not say which t .*run\.json is missing"):
        merge_models([tmp_path / "plain"])


def test_the_gather_command(models, tmp_path):
    from typer.testing import CliRunner

    from a2sb_core.cli import app

    folders = [str(folder) for folder, _ in models]
    words = ["gather", *folders, "-o", str(tmp_path / "all")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path / 'all'}\n"
    assert len(load_model(tmp_path / "all").backbone.experts) == 4
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("name", "precision", "batch", "steps"),
    [("pretrain", "bf16", 320, 209_000), ("finetune", "fp32", 64, 250_000)],
)
def test_the_papers_two_stages(name, precision, batch, steps):
    file = EXAMPLES / f"{name}.yaml"
    config = validate(TrainConfig, load_yaml(file), file)
    assert (config.precision, config.batch_size, config.steps) == (precision, batch, steps)
    assert (config.optimizer.learning_rate, config.optimizer.max_grad_norm) == (8e-5, 0.5)
    assert config.data.frames == 256
    assert config.model.bridge.name == "i2sb"


def test_fine_tuning_fits_what_pre_training_leaves():
    first, second = (
        validate(TrainConfig, load_yaml(EXAMPLES / f"{name}.yaml"), name)
        for name in ("pretrain", "finetune")
    )
    assert second.init_from == str(first.output / "model")
    assert second.t_range == (0.0, 0.5)
    assert first.model == second.model
    told = (EXAMPLES / "finetune.yaml").read_text()
    assert all(str(cut) in told for cut in PAPER_CUTS["paper-4"])
