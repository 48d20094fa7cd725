"""What validation restores, measures and shows."""

import logging

import numpy as np
import pytest
import torch
from engine_helpers import RATE, limited, model_config, noise, train_config, write_samples
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from a2sb_core.engine.objective import batch_loss, degrade, draw_noise, generators
from a2sb_core.engine.training import Trainer
from a2sb_core.engine.validation import losses_by_time, spectrograms
from a2sb_core.errors import A2SBError, ConfigError


def config(folder, **changes):
    fields = {"steps": 2, "validate_every": 1, "validation": {"steps": 1, "clip_s": 0.2}}
    return train_config(folder, **({"data": {"validation_files": 2}} | fields | changes))


@pytest.fixture
def folder(tmp_path):
    for k in range(3):
        write_samples(tmp_path / "audio" / f"file{k}.wav", noise(13_230, seed=k)[0])
    return tmp_path


def log_of(settings):
    sizes = {"audio": 0, "images": 0, "scalars": 0}
    return EventAccumulator(str(settings.output / "tensorboard"), size_guidance=sizes).Reload()


def test_clips_are_restored_measured_and_shown(folder, caplog):
    settings = config(folder)
    with caplog.at_level(logging.WARNING):
        Trainer(settings).run()
    log = log_of(settings)
    for metric in ("lsd", "sispec"):
        for which in ("degraded", "restored"):
            tag = f"bandwidth-4k/{metric}/{which}"
            assert [event.step for event in log.Scalars(tag)] == [1, 2], tag
    degraded = [event.value for event in log.Scalars("bandwidth-4k/lsd/degraded")]
    assert degraded[0] == degraded[1] > 2
    audio = log.Tags()["audio"]
    for clip in ("file1", "file2"):
        assert {f"bandwidth-4k/{clip}/{name}" for name in ("truth", "degraded", "restored")} <= set(
            audio
        )
        assert [e.step for e in log.Audio(f"bandwidth-4k/{clip}/truth")] == [1]
        restored = log.Audio(f"bandwidth-4k/{clip}/restored")
        assert [e.step for e in restored] == [1, 2]
        assert (restored[0].sample_rate, restored[0].length_frames) == (RATE, round(0.2 * RATE))
        images = log.Images(f"bandwidth-4k/{clip}/truth, degraded, restored")
        assert [image.step for image in images] == [1, 2]
    # The clips are too short for a gap in the middle of 5 s: told once, not at each validation.
    told = [r.getMessage() for r in caplog.records if "gap-300" in r.getMessage()]
    assert len(told) == 2
    assert "too short" in told[0]


def test_the_metrics_are_those_of_the_clips(folder):
    trainer = Trainer(config(folder))
    model = trainer.average.gather()
    examples = trainer.restoration.run(model, trainer.device)
    first = examples[0]
    measure = trainer.restoration.measures[0].metric
    assert measure.measure(first.clip.wave, first.restored, RATE) == first.after["lsd"]
    assert measure.measure(first.clip.wave, first.degraded, RATE) == first.before["lsd"]
    assert first.clip.wave.shape == first.restored.shape == (1, round(0.2 * RATE))
    again = trainer.restoration.run(model, trainer.device)
    assert torch.equal(again[0].restored, first.restored)


def test_the_loss_is_that_of_all_segments_however_many_are_computed_at_once(folder):
    trainer = Trainer(config(folder))
    segments = [trainer.segments[i] for i in range(5)]
    model, autocast = trainer.average.gather(), trainer.accelerator.autocast
    whole, parts = (losses_by_time(model, segments, 0, count, autocast) for count in (5, 2))
    assert parts == pytest.approx(whole, rel=1e-5)
    with torch.no_grad():
        draws = generators(segments, 0)
        batch = degrade(model, segments, draws)
        noise, t = draw_noise(batch.x0, draws), torch.full((5,), 0.5)
        expected = batch_loss(model, batch, t, noise, model.bridge)
    assert whole["t=0.5"] == pytest.approx(float(expected), rel=1e-5)


def test_restoring_disturbs_nothing(folder):
    losses = {}
    for name, tasks in (("with", ("bandwidth-4k",)), ("without", ())):
        settings = config(
            folder, output=folder / name, steps=3,
            validation={"tasks": tasks, "steps": 1, "clip_s": 0.2},
        )
        found = losses[name] = {}
        Trainer(settings).run(on_step=found.__setitem__)
    assert losses["with"] == losses["without"]


def test_by_default_only_what_the_model_serves_is_restored(folder):
    model = model_config(corruption="inpainting")
    trainer = Trainer(config(folder, model=model))
    assert [p.name for p in trainer.restoration.protocols] == ["gap-300"]


@pytest.mark.parametrize(("validation", "message"), [
    ({"tasks": ("bandwidth-4k",)}, "asks for the task bandwidth, and the model is trained for"),
    ({"tasks": ("reverb",)}, "unknown task `reverb`"),
    ({"metrics": ("lsq",)}, "lsq"),
])
def test_tasks_and_metrics_are_checked_before_training(folder, validation, message):
    settings = config(folder, model=model_config(corruption="inpainting"), validation=validation)
    with pytest.raises((ConfigError, A2SBError), match=message):
        Trainer(settings)


def test_bad_validation_files_are_told_and_left_out(folder, caplog):
    samples = np.full(13_230, np.nan)
    write_samples(folder / "audio" / "file1.wav", samples)
    settings = config(folder, data={"validation_files": 2})
    trainer = Trainer(settings)
    assert [clip.name for clip in trainer.restoration.clips] == ["file2"]
    assert "validation file skipped" in caplog.text
    assert "file1.wav" in caplog.text


def test_a_spectrogram_shows_where_energy_is():
    full, low = noise(20_000), limited(20_000, 8000)
    silent = torch.zeros(1, 20_000)
    picture = spectrograms([full, low, silent])
    assert picture.shape == (3, 513, 3 * (20_000 // 256 + 1))
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    brightness = picture.mean(dim=0)
    width = brightness.shape[1] // 3
    cut = 513 - int(8000 / RATE * 1024)  # high frequencies are on top
    above, below = brightness[: cut - 10], brightness[cut + 10 :]
    inner = slice(width + 10, 2 * width - 10)
    assert float(above[:, inner].mean()) < 0.05 < 0.3 < float(below[:, inner].mean())
    assert float(above[:, 10 : width - 10].mean()) > 0.3
    assert float(brightness[:, 2 * width + 10 :].max()) < 0.05
