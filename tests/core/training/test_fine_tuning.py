"""Training that starts from a model."""

import pytest
import torch
from engine_helpers import model_config, train_config
from training_checks import assert_equal

from a2sb_core.errors import ModelError, TrainingError
from a2sb_core.models.folder import save_model
from a2sb_core.models.loading import load_model
from a2sb_core.models.model import Model
from a2sb_core.training.trainer import Trainer


def config(folder, **changes):
    """A run over the files of a folder."""
    return train_config(folder, data={"source": folder / "audio"}, **changes)


def test_fine_tuning_starts_from_the_weights_and_statistics_of_a_model(folder):
    torch.manual_seed(3)
    source = Model(model_config())
    source.prediction.fit(torch.randn(2, 3, 128, 8))
    save_model(source, folder / "source")
    settings = config(folder, steps=1, init_from=str(folder / "source"))
    trainer = Trainer(settings)
    assert_equal(dict(trainer.model.state_dict()), dict(source.state_dict()))
    assert_equal(dict(trainer.average.module.state_dict()), dict(source.state_dict()))
    trainer.run()
    tuned = load_model(folder / "run" / "model")
    assert torch.equal(tuned.prediction.mean, source.prediction.mean)
    after, before = (model.backbone.input_projection.weight for model in (tuned, source))
    assert not torch.equal(after, before)


def test_a_network_that_is_told_more_starts_as_it_was(folder):
    torch.manual_seed(3)
    source = Model(model_config(prediction={"name": "preconditioned"}))
    save_model(source, folder / "source")
    told = model_config(prediction={"name": "preconditioned", "tell": "degraded"})
    settings = config(folder, steps=1, model=told, init_from=str(folder / "source"))
    network, x = Trainer(settings).model.backbone.eval(), torch.randn(2, 3, 128, 8)
    condition, more, t = torch.randn(2, 1, 128, 8), torch.randn(2, 3, 128, 8), torch.rand(2)
    torch.testing.assert_close(
        network(x, t, torch.cat([condition, more], 1)), source.backbone.eval()(x, t, condition)
    )


def test_fine_tuning_from_another_composition_is_refused(folder):
    other = model_config(representation={"name": "factorized", "n_fft": 128, "hop_length": 64})
    save_model(Model(other), folder / "source")
    with pytest.raises(TrainingError, match=r"init_from .*source do not fit this model"):
        Trainer(config(folder, init_from=str(folder / "source")))
    with pytest.raises(ModelError, match="there is no model"):
        Trainer(config(folder, init_from=str(folder / "absent")))
