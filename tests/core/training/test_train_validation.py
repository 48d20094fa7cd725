"""What validation restores, measures and shows."""

import logging

import numpy as np
import pytest
import torch
from engine_helpers import RATE, model_config, noise, train_config, write_samples
from training_checks import read_log

from a2sb_core.errors import A2SBError, ConfigError
from a2sb_core.training.objective import try_batch
from a2sb_core.training.trainer import Trainer
from a2sb_core.training.training_batch import MicroBatch, draw_noise, make_batch, segment_generators
from a2sb_core.training.validation import losses_by_time


def config(folder, **changes):
    fields = {"steps": 2, "validate_every": 1, "validation": {"steps": 1, "clip_s": 0.2}}
    return train_config(folder, **({"data": {"validation_files": 2}} | fields | changes))


@pytest.fixture
def folder(tmp_path):
    for k in range(3):
        write_samples(tmp_path / "audio" / f"file{k}.wav", noise(13_230, seed=k)[0])
    return tmp_path


def test_clips_are_restored_measured_and_shown(folder, caplog):
    settings = config(folder)
    with caplog.at_level(logging.WARNING):
        Trainer(settings).run()
    log = read_log(settings.output)
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
        images = log.Images(f"bandwidth-4k/{clip}/spectrograms")
        assert [image.step for image in images] == [1, 2]
    # The clips are too short for a gap in the middle of 5 s: told once, not at each validation.
    told = [r.getMessage() for r in caplog.records if "gap-300" in r.getMessage()]
    assert len(told) == 2
    assert "too short" in told[0]


def test_the_metrics_are_those_of_the_clips(folder):
    trainer = Trainer(config(folder))
    model = trainer.averaged_model()
    examples = trainer.clip_validation.run(model, trainer.device, "fp32")
    first = examples[0]
    measure = trainer.clip_validation.measures[0].metric
    assert measure.measure(first.clip.wave, first.restored, RATE) == first.after["lsd"]
    assert measure.measure(first.clip.wave, first.degraded, RATE) == first.before["lsd"]
    assert first.clip.wave.shape == first.restored.shape == (1, round(0.2 * RATE))
    again = trainer.clip_validation.run(model, trainer.device, "fp32")
    assert torch.equal(again[0].restored, first.restored)


def test_the_loss_is_that_of_all_segments_however_many_are_computed_at_once(folder):
    trainer = Trainer(config(folder))
    segments = [trainer.segments[i] for i in range(5)]
    model = trainer.averaged_model()
    whole, parts = (losses_by_time(model, segments, 0, count, "fp32") for count in (5, 2))
    assert parts == pytest.approx(whole, rel=1e-5)
    with torch.no_grad():
        generators, ones = segment_generators(segments, 0), torch.ones(5)
        batch = make_batch(model, segments, generators)
        micro_batch = MicroBatch(batch, 0.5 * ones, ones, draw_noise(batch.x0, generators))
        errors = try_batch(model, micro_batch, model).errors
        expected = (errors * batch.counted).sum() / batch.count
    assert whole["t=0.5"] == pytest.approx(float(expected), rel=1e-5)


def test_validation_is_without_dropout_and_disturbs_nothing(folder):
    validation = {"tasks": ("bandwidth-4k",), "steps": 1, "clip_s": 0.2}
    often = config(folder, validation=validation)
    seldom = config(folder, output=folder / "seldom", validate_every=99, validation={"tasks": ()})
    losses = {}
    for settings in (often, seldom):
        trainer, found = Trainer(settings), losses.setdefault(settings.output, {})
        trainer.run(on_step=found.__setitem__)
    assert losses[often.output] == losses[seldom.output]
    segments = [trainer.segments[i] for i in range(2)]
    values, again = (
        losses_by_time(trainer.averaged_model(), segments, 0, 2, "fp32") for _ in range(2)
    )
    assert values == again
    assert list(values) == ["t=0.1", "t=0.3", "t=0.5", "t=0.7", "t=0.9", "t=1.0"]
    log = read_log(often.output).Scalars("loss/validation/t=0.5")
    assert [event.step for event in log] == [1, 2]


def test_by_default_only_what_the_model_serves_is_restored(folder):
    model = model_config(corruption="inpainting")
    trainer = Trainer(config(folder, model=model))
    assert [p.name for p in trainer.clip_validation.protocols] == ["gap-300"]


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ({"tasks": ("bandwidth-4k",)}, "is a protocol of the task bandwidth, but the model"),
        ({"tasks": ("reverb",)}, "unknown task `reverb`"),
        ({"metrics": ("lsq",)}, "lsq"),
    ],
)
def test_tasks_and_metrics_are_checked_before_training(folder, validation, message):
    settings = config(folder, model=model_config(corruption="inpainting"), validation=validation)
    with pytest.raises((ConfigError, A2SBError), match=message):
        Trainer(settings)


def test_bad_validation_files_are_told_and_left_out(folder, caplog):
    samples = np.full(13_230, np.nan)
    write_samples(folder / "audio" / "file1.wav", samples)
    settings = config(folder, data={"validation_files": 2})
    trainer = Trainer(settings)
    assert [clip.name for clip in trainer.clip_validation.clips] == ["file2"]
    assert "validation file skipped" in caplog.text
    assert "file1.wav" in caplog.text
