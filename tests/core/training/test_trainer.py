import json
import logging
import math

import numpy as np
import pytest
import torch
from engine_helpers import model_config, noise, train_config, without_dropout, write_samples
from torch.utils.tensorboard import SummaryWriter
from training_checks import assert_equal, read_log, read_state

from a2sb_core.errors import TrainingError
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.training.accelerator import start_accelerator
from a2sb_core.training.trainer import Trainer
from a2sb_core.training.validation import losses_by_time


def manifest(folder, name="train.csv", **splits):
    """A manifest of files by split."""
    rows = [f"{split},{path},0.3" for split, paths in splits.items() for path in paths]
    (folder / name).write_text("\n".join(["split,file_path,duration", *rows]))
    return {"source": folder / name}


def files(folder):
    return sorted((folder / "audio").iterdir())


def config(folder, **changes):
    """A run over all of the files; without further settings, of 6 steps."""
    data = manifest(folder, train=files(folder)) | changes.pop("data", {})
    return train_config(folder, data=data, **changes)


def train(config, resume=True):
    """Run to the end; returns the losses of the steps."""
    losses = {}
    trainer = Trainer(config)
    trainer.run(resume, on_step=losses.__setitem__)
    return trainer, losses


PARTS = ("step", "model", "ema", "optimizer", "scheduler")


def assert_same_state(first, second):
    assert_equal({key: first[key] for key in PARTS}, {key: second[key] for key in PARTS})


def kill_after(config, last, partial=True):
    """Run until the process is killed in step ``last`` + 1."""

    class Killed(BaseException):
        pass

    def on_step(step, loss):
        if step > last:
            raise Killed

    with pytest.raises(Killed):
        Trainer(config).run(on_step=on_step)
    if partial:
        (config.output / ".a2sb-0123.part").write_bytes(b"half a checkpoi")


def test_a_run_writes_losses_checkpoints_and_the_averaged_model(folder):
    settings = config(folder, log_every=2, checkpoint_every=2, keep_checkpoints=2)
    trainer, losses = train(settings)
    run = settings.output
    assert list(losses) == [1, 2, 3, 4, 5, 6]
    assert all(math.isfinite(loss) and loss > 0 for loss in losses.values())
    assert sorted(path.name for path in run.glob("checkpoint*")) == [
        "checkpoint-00000004.pt",
        "checkpoint-00000006.pt",
    ]
    last, model = read_state(run, 6), load_model(run / "model")
    averaged = {k.removeprefix("module."): v for k, v in last["ema"].items() if "module." in k}
    assert_equal(dict(model.state_dict()), averaged)
    assert_equal(dict(trainer.model.state_dict()), dict(last["model"]))
    assert any(not torch.equal(averaged[key], last["model"][key]) for key in averaged)
    assert model.config == settings.model
    log = read_log(run)
    logged = [(event.step, event.value) for event in log.Scalars("loss/train")]
    assert logged == [(step, pytest.approx(losses[step])) for step in (2, 4, 6)]


def test_the_average_forgets_its_start_and_then_moves_by_its_decay(folder):
    settings = config(folder, steps=3, checkpoint_every=1, keep_checkpoints=3, ema_decay=0.2)
    train(settings)
    states = [read_state(settings.output, step) for step in (1, 2, 3)]
    key = "backbone.input_projection.weight"
    average = states[0]["model"][key]
    assert torch.equal(states[0]["ema"][f"module.{key}"], average)
    for decay, later in ((2 / 11, states[1]), (0.2, states[2])):
        average = decay * average + (1 - decay) * later["model"][key]
        torch.testing.assert_close(later["ema"][f"module.{key}"], average)


def test_the_configuration_alone_decides(folder):
    _, first = train(config(folder, steps=3))
    torch.manual_seed(123)
    _, again = train(config(folder, steps=3, output=folder / "again"))
    _, other = train(config(folder, steps=3, output=folder / "other", seed=1))
    assert first == again
    assert all(first[step] != other[step] for step in first)


def test_the_loss_of_the_average_falls(folder):
    optimizer = {"kind": "adamw", "learning_rate": 1e-2}
    model = model_config(prediction="paper")
    settings = config(folder, model=model, steps=20, checkpoint_every=20, optimizer=optimizer)
    trainer = Trainer(settings)
    measured = []

    def on_step(step, loss):
        if step in (1, 20):
            segments = [trainer.segments[i] for i in range(2)]
            found = losses_by_time(trainer.averaged_model(), segments, 0, 2, "fp32")
            measured.append(found["t=1.0"])

    trainer.run(on_step=on_step)
    assert measured[1] < 0.8 * measured[0]


def test_a_killed_run_goes_on_to_the_very_same_numbers(folder):
    optimizer = {"learning_rate": 1e-3, "warmup_steps": 2, "decay": 0.5}
    whole = config(folder, optimizer=optimizer)
    _, losses = train(whole)
    killed = config(folder, output=folder / "killed", optimizer=optimizer)
    kill_after(killed, 4)
    assert [path.name for path in killed.output.glob("*.pt")] == ["checkpoint-00000003.pt"]
    _, rest = train(killed)
    assert rest == {step: losses[step] for step in (4, 5, 6)}
    assert_same_state(read_state(whole.output, 6), read_state(killed.output, 6))
    weights = [(c.output / "model" / "model.safetensors").read_bytes() for c in (whole, killed)]
    assert weights[0] == weights[1]


def test_resuming_is_exact_where_times_learn_from_losses(folder):
    changes = {"times": {"kind": "by_loss"}, "stft_weight": 0.5, "batch_size": 32}
    whole = config(folder, **changes)
    trainer, losses = train(whole)
    assert not trainer.times.means.isnan().any()
    killed = config(folder, output=folder / "killed", **changes)
    kill_after(killed, 4)
    _, rest = train(killed)
    assert rest == {step: losses[step] for step in (4, 5, 6)}


def test_resuming_is_exact_with_bad_files_about(folder):
    samples = noise(13_230)[0].numpy().copy()
    samples[6000:7000] = np.nan
    write_samples(folder / "audio" / "spoilt.wav", samples)
    whole = config(folder, batch_size=4)
    trainer, losses = train(whole)
    assert trainer.segments.unreadable
    killed = config(folder, output=folder / "killed", batch_size=4)
    kill_after(killed, 3, partial=False)
    _, rest = train(killed)
    assert rest == {step: losses[step] for step in (4, 5, 6)}


def test_a_finished_run_only_writes_its_model_again(folder):
    settings = config(folder, steps=3)
    train(settings)
    before = (settings.output / "model" / "model.safetensors").read_bytes()
    assert train(settings)[1] == {}
    assert (settings.output / "model" / "model.safetensors").read_bytes() == before


def test_starting_over_does_not_mix_with_the_earlier_run(folder):
    settings = config(folder, steps=6, checkpoint_every=3, keep_checkpoints=1)
    _, first = train(settings)
    longer = config(folder, steps=4, checkpoint_every=2, keep_checkpoints=1)
    _, again = train(longer, resume=False)
    assert list(again) == [1, 2, 3, 4]
    assert [again[step] for step in (1, 2, 3)] == [first[step] for step in (1, 2, 3)]
    assert [path.name for path in settings.output.glob("*.pt")] == ["checkpoint-00000004.pt"]
    assert [path.name for path in settings.output.glob("*.old")] == ["checkpoint-00000006.old"]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 7}, "seed"),
        ({"batch_size": 4}, "batch_size"),
        ({"accumulate": 2}, "accumulate"),
        ({"t_range": (0.0, 0.5)}, "t_range"),
        ({"ema_decay": 0.9}, "ema_decay"),
        ({"model": model_config(loudness_dbfs=-20.0)}, "model"),
        ({"optimizer": {"learning_rate": 5e-4}}, "optimizer.learning_rate"),
        ({"optimizer": {"learning_rate": 1e-3, "kind": "adamw"}}, "optimizer.kind"),
    ],
)
def test_a_checkpoint_of_another_configuration_is_refused(folder, changes, name):
    train(config(folder, steps=1))
    with pytest.raises(TrainingError, match=rf"another configuration \(different: {name}\)"):
        Trainer(config(folder, steps=2, **changes)).run()


def test_a_loss_that_is_not_a_number_ends_the_run_and_names_the_files(folder):
    trainer = Trainer(config(folder))

    def poison(step, loss):
        if step == 2:
            trainer.model.backbone.input_projection.weight.data.fill_(float("nan"))

    message = r"the loss is nan at step 2; .*file\d\.wav at .*file\d\.wav at"
    with pytest.raises(TrainingError, match=message):
        trainer.run(on_step=poison)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_files_are_named_and_counted_and_training_goes_on(folder, workers, caplog):
    absent, text = folder / "audio" / "absent.wav", folder / "audio" / "text.wav"
    text.write_text("no audio")
    data = manifest(folder, train=[*files(folder), absent]) | {"workers": workers}
    settings = train_config(folder, data=data, batch_size=8, log_every=3, statistics_segments=1)
    with caplog.at_level(logging.WARNING):
        trainer, losses = train(settings)
    assert len(losses) == 6
    assert set(trainer.segments.unreadable) == {absent, text}
    log = read_log(settings.output)
    assert log.Scalars("data/unreadable")[-1].value == 2
    if workers == 0:
        assert str(absent) in caplog.text
        assert str(text) in caplog.text


def test_reading_in_other_processes_changes_nothing(folder):
    _, first = train(config(folder, steps=3))
    _, other = train(config(folder, steps=3, output=folder / "other", data={"workers": 2}))
    assert first == other


@pytest.mark.parametrize("accumulate", [2, 4])
def test_micro_batches_take_the_steps_of_the_whole_batch(folder, accumulate):
    """Parts with more that counts weigh more: a mean of their means would be another loss."""
    shared = {"model": without_dropout(), "batch_size": 4, "steps": 4}
    _, whole = train(config(folder, **shared))
    run = config(folder, **shared, accumulate=accumulate, output=folder / "parts")
    _, parts = train(run)
    assert parts == pytest.approx(whole, rel=1e-5)
    one, other = read_state(folder / "run", 4)["model"], read_state(run.output, 4)["model"]
    for key, value in one.items():
        torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-5)


def test_statistics_are_fitted_once_from_the_first_segments(folder):
    trainer, _ = train(config(folder, steps=1, statistics_segments=3))
    waves = torch.stack([trainer.segments[i].wave for i in range(2)])
    fresh = Model(model_config())
    fresh.prediction.fit(fresh.representation.encode(waves))
    for model in (trainer.model, load_model(folder / "run" / "model")):
        torch.testing.assert_close(model.prediction.mean, fresh.prediction.mean)
        torch.testing.assert_close(model.prediction.spread, fresh.prediction.spread)


def test_recomputing_blocks_changes_nothing_but_memory(folder):
    plain = without_dropout()
    backbone = {**plain.backbone.model_dump(), "checkpointing": True}
    _, losses = train(config(folder, model=plain, steps=3))
    again = model_config(backbone=backbone)
    _, same = train(config(folder, model=again, steps=3, output=folder / "again"))
    assert same == losses


def test_a_gradient_that_is_not_a_number_ends_the_run(folder):
    trainer = Trainer(config(folder))
    weight = trainer.model.backbone.input_projection.weight
    weight.register_hook(lambda gradient: gradient * float("inf"))
    before = weight.detach().clone()
    with pytest.raises(TrainingError, match=r"the gradient is (nan|inf) at step 0; .*file\d\.wav"):
        trainer.run()
    assert torch.equal(weight, before)


def test_checkpoints_of_the_first_versions_can_be_resumed(folder):
    """They number the optimizer's parameters, and lack newer settings and the precision."""
    settings = config(folder, checkpoint_every=3)
    train(settings)
    whole, old = read_state(settings.output, 6), read_state(settings.output, 3)
    names = [name for group in old["optimizer"]["param_groups"] for name in group["params"]]
    states = old["optimizer"]["state"]
    old["optimizer"]["state"] = {names.index(name): state for name, state in states.items()}
    old["optimizer"]["param_groups"][0]["params"] = list(range(len(names)))
    del old["precision"], old["config"]["validation"], old["config"]["data"]["sources"]
    old["config"]["precision"] = "fp32"
    (settings.output / "checkpoint-00000006.pt").unlink()
    torch.save(old, settings.output / "checkpoint-00000003.pt")
    assert list(train(settings)[1]) == [4, 5, 6]
    assert_same_state(read_state(settings.output, 6), whole)


def test_the_log_is_closed_and_holds_what_was_done_when_a_run_fails(folder, monkeypatch):
    closed = []
    close = SummaryWriter.close
    monkeypatch.setattr(SummaryWriter, "close", lambda self: (closed.append(1), close(self)))

    def fail(step, loss):
        if step == 3:
            raise RuntimeError("on purpose")

    settings = config(folder, log_every=1)
    with pytest.raises(RuntimeError, match="on purpose"):
        Trainer(settings).run(on_step=fail)
    assert closed
    log = read_log(settings.output)
    assert [event.step for event in log.Scalars("loss/train")] == [1, 2]
    assert {"data/wait_share", "data/padded", "data/quiet", "gradient_norm"} <= set(
        log.Tags()["scalars"]
    )


def test_a_resumed_log_does_not_show_steps_twice(folder):
    settings = config(folder, log_every=1)
    kill_after(settings, 4)
    train(settings)
    log = read_log(settings.output)
    assert [event.step for event in log.Scalars("loss/train")] == [1, 2, 3, 4, 5, 6]


def test_the_end_says_what_became_of_the_data(folder, caplog):
    write_samples(folder / "audio" / "short.wav", noise(200)[0])
    with caplog.at_level(logging.INFO):
        trainer, _ = train(config(folder, batch_size=4))
    padded = trainer.statistics.padded
    assert f"of 24 segments {padded} were padded with silence" in caplog.text
    assert "waited for data" in caplog.text
    assert 0 <= trainer.statistics.wait_share < 1


def test_a_device_with_a_number_is_the_one_that_is_used(folder, monkeypatch):
    chosen = []
    monkeypatch.setattr("a2sb_core.training.accelerator.choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    settings = config(folder, device="cuda:1")
    assert start_accelerator(settings)[1] == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="cuda:1 is one device, but there are several"):
        start_accelerator(settings)


def test_training_in_bf16(folder):
    (trainer, losses), (_, single) = (
        train(config(folder, steps=2, output=folder / precision, precision=precision))
        for precision in ("bf16", "fp32")
    )
    assert trainer.precision == "bf16"
    assert losses != single
    assert losses == pytest.approx(single, rel=0.1)


def test_a_resumed_run_keeps_the_precision_that_was_chosen(folder, caplog):
    train(config(folder, steps=2, precision="bf16"))
    # The precision by default, which is the fastest one of the device.
    trainer, losses = train(config(folder, steps=3, precision="auto"))
    assert list(losses) == [3]
    assert trainer.precision == "bf16"
    assert "precision" not in caplog.text
    record = json.loads((trainer.config.output / "run.json").read_text())
    assert [session["precision"] for session in record["sessions"]] == ["bf16", "bf16"]
    assert record["config"]["precision"] == "auto"
    trainer, _ = train(config(folder, steps=4, precision="fp32"))
    assert trainer.precision == "fp32"
    assert "precision" in caplog.text
