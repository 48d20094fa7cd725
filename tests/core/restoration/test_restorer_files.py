import os
import time

import numpy as np
import pytest
import soundfile
from engine_helpers import RATE, limited, noise, write_samples
from mutagen import id3

from a2sb_core.errors import AudioError, TaskError
from a2sb_core.restoration.listener import NoteCollector, ProgressListener
from a2sb_core.restoration.options import RestoreOptions

GAP = (0.05, 0.07)


@pytest.fixture
def source(tmp_path):
    return write_samples(tmp_path / "source.wav", noise(8000, 2).numpy().T)


def test_a_file_is_restored_as_its_samples_are(restorer, source, tmp_path):
    target = tmp_path / "target.wav"
    damage = restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP], seed=3)
    assert damage.parameters.gaps_s == (GAP,)
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
    assert damage.parameters.cutoff_hz == pytest.approx(4000, rel=0.06)
    assert (about.samplerate, about.frames) == (RATE, RATE)


def test_full_band_audio_is_copied_and_the_reason_is_told(restorer, tmp_path):
    source = write_samples(tmp_path / "source.wav", noise(RATE // 2)[0])
    collector, target = NoteCollector(), tmp_path / "target.wav"
    damage = restorer.restore_file(source, target, task="bandwidth", listener=collector)
    assert damage is None
    assert any("full band" in note for note in collector.notes)
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
        options = RestoreOptions(task="inpaint", damage={"gaps_s": [GAP]})
        listener = ProgressListener(stop)
        restorer.restore_file(source, tmp_path / "target.wav", options, listener=listener)
    with pytest.raises(TaskError):
        restorer.restore_file(source, tmp_path / "target.wav", task="inpaint", gaps_s=[(0, 9)])
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_a_file_that_is_no_audio_is_named(restorer, tmp_path):
    (tmp_path / "notes.wav").write_text("no audio at all")
    with pytest.raises(AudioError, match=r"notes\.wav"):
        restorer.restore_file(tmp_path / "notes.wav", tmp_path / "target.wav", task="bandwidth")
    with pytest.raises(AudioError, match=r"absent\.wav"):
        restorer.restore_file(tmp_path / "absent.wav", tmp_path / "target.wav", task="bandwidth")


@pytest.mark.parametrize("resume", [False, True])
def test_integers_of_32_bits_are_kept_to_the_bit_away_from_the_gap(restorer, tmp_path, resume):
    source, target = tmp_path / "source.wav", tmp_path / "target.wav"
    values = np.random.default_rng(0).integers(-(2**30), 2**30, (8000, 2)).astype(np.int32)
    soundfile.write(source, values, RATE, subtype="PCM_32")
    restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP], resume=resume)
    after = soundfile.read(target, dtype="int32")[0]
    np.testing.assert_array_equal(after[:1800], values[:1800])
    np.testing.assert_array_equal(after[3500:], values[3500:])
    assert (after[2300:3000] != values[2300:3000]).any()


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_changes_while_it_is_read_is_an_error(restorer, source, tmp_path, resume):
    others = np.zeros((8000, 2))

    def change(done, of):
        write_samples(source, others)

    with pytest.raises(AudioError, match="changed while it was read"):
        restorer.restore_file(
            source,
            tmp_path / "target.wav",
            task="inpaint",
            gaps_s=[GAP],
            listener=ProgressListener(change),
            resume=resume,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_a_tag_never_costs_a_restoration(restorer, tmp_path):
    source, target = tmp_path / "source.mp3", tmp_path / "target.flac"
    soundfile.write(source, noise(8000).numpy().T, RATE)
    tag = id3.ID3()
    for name in ("Größe", "", "a=b", "\u65e5\u672c"):
        tag.add(id3.TXXX(encoding=3, desc=name, text=["x"]))
    tag.add(id3.TIT2(encoding=3, text=["T"]))
    tag.save(source)
    collector = NoteCollector()
    restorer.restore_file(source, target, task="inpaint", gaps_s=[GAP], listener=collector)
    assert soundfile.SoundFile(target).title == "T"
    assert any("größe" in note for note in collector.notes)


def test_a_rate_that_the_format_cannot_hold_is_refused_before_the_work(restorer, source, tmp_path):
    progress = []
    with pytest.raises(AudioError, match="output_rate=48000"):
        restorer.restore_file(
            source,
            tmp_path / "target.opus",
            task="inpaint",
            gaps_s=[GAP],
            listener=ProgressListener(lambda done, of: progress.append(done)),
        )
    assert not progress


def test_orphans_of_killed_processes_are_removed_after_a_day(restorer, source, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    old, new, kept = (
        folder / name
        for name in (f".a2sb-{'0' * 16}.part", f".a2sb-{'1' * 16}.part", f".a2sb-{'2' * 32}.part")
    )
    for path in (old, new, kept):
        path.touch()
    for path in (old, kept):
        os.utime(path, (time.time() - 90_000,) * 2)
    restorer.restore_file(source, folder / "target.wav", task="inpaint", gaps_s=[GAP])
    assert sorted(folder.iterdir()) == sorted([new, kept, folder / "target.wav"])
