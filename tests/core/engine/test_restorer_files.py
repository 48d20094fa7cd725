import numpy as np
import pytest
import soundfile
from engine_helpers import RATE, limited, noise, write_samples

from a2sb_core.errors import AudioError, TaskError

GAP = (0.05, 0.07)


@pytest.fixture
def source(tmp_path):
    return write_samples(tmp_path / "source.wav", noise(8000, 2).numpy().T)


def test_a_file_is_restored_as_its_samples_are(restorer, source, tmp_path):
    target = tmp_path / "target.wav"
    damage = restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP], seed=3)
    assert damage.gaps_s == (GAP,)
    restored, rate = soundfile.read(target, dtype="float32")
    expected = restorer.restore(noise(8000, 2), RATE, task="inpaint", gaps_s=[GAP], seed=3)
    assert rate == RATE
    assert soundfile.info(target).subtype == "FLOAT"
    np.testing.assert_array_equal(restored.T, expected.numpy())


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_depth_and_samples_away_from_the_gap_are_kept(restorer, tmp_path, subtype):
    source, target = tmp_path / "source.wav", tmp_path / "target.wav"
    soundfile.write(source, noise(8000, 2).numpy().T, RATE, subtype=subtype)
    restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP])
    assert soundfile.info(target).subtype == subtype
    before, after = (soundfile.read(path, dtype="int32")[0] for path in (source, target))
    np.testing.assert_array_equal(after[:1800], before[:1800])
    np.testing.assert_array_equal(after[3500:], before[3500:])
    assert (after[2300:3000] != before[2300:3000]).any()


def test_a_low_rate_is_raised_and_the_damage_found(restorer, tmp_path):
    source = write_samples(tmp_path / "low.wav", noise(8000)[0], rate=8000)
    damage = restorer.restore_file(source, tmp_path / "high.flac", task="bandwidth", steps=1)
    about = soundfile.info(tmp_path / "high.flac")
    assert damage.cutoff_hz == pytest.approx(4000, rel=0.06)
    assert (about.samplerate, about.frames) == (RATE, RATE)


def test_full_band_audio_is_copied_and_nothing_is_told(restorer, tmp_path):
    source = write_samples(tmp_path / "source.wav", noise(RATE // 2)[0])
    assert restorer.restore_file(source, tmp_path / "target.wav", task="bandwidth") is None
    before, after = (soundfile.read(tmp_path / name)[0] for name in ("source.wav", "target.wav"))
    np.testing.assert_array_equal(before, after)


def test_output_rate_is_written(restorer, tmp_path):
    source = write_samples(tmp_path / "source.wav", limited(8000, 4000)[0])
    restorer.restore_file(
        source, tmp_path / "out.wav", task="bandwidth", cutoff_hz=4000, output_rate=48000
    )
    assert soundfile.info(tmp_path / "out.wav").samplerate == 48000


def test_nothing_is_overwritten_unless_told(restorer, source, tmp_path):
    target = tmp_path / "target.wav"
    target.write_text("precious")
    with pytest.raises(AudioError, match="exists already"):
        restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP])
    assert target.read_text() == "precious"
    restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP], overwrite=True)
    assert soundfile.info(target).frames == 8000
    with pytest.raises(AudioError, match="the input itself"):
        restorer.restore_file(source, source, task="inpaint", gaps_s=[GAP], overwrite=True)


def test_work_that_ends_early_leaves_nothing_behind(restorer, source, tmp_path):
    def stop(done, of):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restorer.restore_file(
            source, tmp_path / "target.wav", task="inpaint", gaps_s=[GAP], progress=stop
        )
    with pytest.raises(TaskError):
        restorer.restore_file(source, tmp_path / "target.wav", task="inpaint", gaps_s=[(0, 9)])
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_a_file_that_is_no_audio_is_named(restorer, tmp_path):
    (tmp_path / "notes.wav").write_text("no audio at all")
    with pytest.raises(AudioError, match=r"notes\.wav"):
        restorer.restore_file(tmp_path / "notes.wav", tmp_path / "target.wav", task="bandwidth")
    with pytest.raises(AudioError, match=r"absent\.wav"):
        restorer.restore_file(tmp_path / "absent.wav", tmp_path / "target.wav", task="bandwidth")
