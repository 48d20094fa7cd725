"""Losses with parameters of their own, in a training."""

import pytest
from test_trainer import config, kill_after, train
from training_checks import assert_equal

from a2sb_core.errors import TrainingError
from a2sb_core.training.run_folder import latest_checkpoint
from a2sb_core.training.trainer import Trainer


def test_resuming_is_exact_with_a_critic_and_orthogonalized_updates(folder):
    terms = [
        {"loss": "prediction"},
        {"loss": "band_levels", "weight": 0.1},
        {"loss": {"name": "critic", "width": 4, "layers": 2, "sizes": [128]}, "weight": 0.1},
    ]
    changes = {
        "objective": terms,
        "accumulate": 2,
        "optimizer": {"kind": "muon", "learning_rate": 1e-3},
    }
    whole = config(folder, **changes)
    trainer, losses = train(whole)
    assert set(trainer.term_losses) == {"prediction", "band_levels", "critic", "critic_own"}
    killed = config(folder, output=folder / "killed", **changes)
    kill_after(killed, 4)
    other, rest = train(killed)
    assert rest == {step: losses[step] for step in (4, 5, 6)}
    assert_equal(trainer.objective.state_dict(), other.objective.state_dict())


def test_a_critic_that_diverges_stops_the_run_at_the_last_good_checkpoint(folder):
    terms = [
        {"loss": "prediction"},
        {"loss": {"name": "critic", "width": 4, "layers": 2, "sizes": [128]}, "weight": 1e-6},
    ]
    trainer = Trainer(config(folder, objective=terms))

    def on_step(step, loss):
        if step == 4:
            next(iter(trainer.objective.parameters())).data.fill_(float("inf"))

    with pytest.raises(TrainingError, match="loss"):
        trainer.run(on_step=on_step)
    assert latest_checkpoint(trainer.config.output).name == "checkpoint-00000003.pt"
