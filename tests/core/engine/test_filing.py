"""Files and pipes in and out; what an interrupted run leaves is continued."""

import io
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, noise, write_samples

from a2sb_core.audio.pipes import PipeReader, PipeWriter
from a2sb_core.engine import filing
from a2sb_core.engine.part import HEADER_BYTES, Part, part_path
from a2sb_core.errors import AudioError

DAMAGE = {"task": "bandwidth", "cutoff_hz": 5000.0}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(filing, "BLOCK_SAMPLES", 8000)


def samples(path):
    """A header of float WAV holds the time of writing: compare what follows."""
    return soundfile.read(path, dtype="float32")[0]


@pytest.fixture
def source(tmp_path):
    return write_samples(tmp_path / "source.wav", noise(80_000, 2).numpy().T)


def interrupted(restorer, source, target, after, **options):
    """Start a restoration and interrupt it once so many frames are done."""
    def stop(done, of):
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        restorer.restore_file(source, target, progress=stop, resume=True, **(DAMAGE | options))
    return getattr(caught.value, "__notes__", [])


def test_an_interrupted_run_is_continued_with_the_same_result(restorer, source, tmp_path):
    target, expected = tmp_path / "out.wav", tmp_path / "expected.wav"
    restorer.restore_file(source, expected, **DAMAGE)
    notes = interrupted(restorer, source, target, 900)
    part = part_path(target)
    assert "finished part is kept" in notes[0]
    assert str(part) in notes[0]
    assert not target.exists()
    finished = part.stat().st_size
    assert finished > HEADER_BYTES + 8 * 10_000
    with part.open("ab") as file:
        file.write(b"abc")  # a kill in the middle of a sample
    interrupted(restorer, source, target, 800)  # and once more
    assert part.stat().st_size >= finished
    restorer.restore_file(source, target, resume=True, **DAMAGE)
    np.testing.assert_array_equal(samples(target), samples(expected))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected.wav", "out.wav", "source.wav"]


@pytest.mark.parametrize(("change", "word"), [
    ({"seed": 1}, "seed"), ({"steps": 1}, "sampler"), ({"cutoff_hz": 4000.0}, "damage"),
    ({"output_rate": 48_000}, "output_rate"),
])
def test_a_part_of_other_settings_is_not_continued(restorer, source, tmp_path, change, word):
    target = tmp_path / "out.wav"
    interrupted(restorer, source, target, 900)
    before = part_path(target).read_bytes()
    with pytest.raises(AudioError, match=rf"other settings \({word}\)"):
        restorer.restore_file(source, target, resume=True, **(DAMAGE | change))
    assert part_path(target).read_bytes() == before
    assert not target.exists()


def test_a_changed_source_is_told(restorer, source, tmp_path):
    interrupted(restorer, source, tmp_path / "out.wav", 900)
    write_samples(source, noise(80_000, 2, seed=4).numpy().T)
    with pytest.raises(AudioError, match=r"other settings \(source\)"):
        restorer.restore_file(source, tmp_path / "out.wav", resume=True, **DAMAGE)


def test_long_recordings_leave_a_part_that_is_never_overwritten_unasked(
    restorer, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(filing, "PART_FROM_S", 1.0)
    target = tmp_path / "out.wav"

    def stop(done, of):
        if done > 900:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restorer.restore_file(source, target, progress=stop, **DAMAGE)
    with pytest.raises(AudioError, match="continue it with --resume"):
        restorer.restore_file(source, target, **DAMAGE)
    restorer.restore_file(source, target, resume=True, **DAMAGE)
    assert target.exists()


def test_a_disk_that_fills_keeps_what_is_finished(tmp_path):
    part = Part(tmp_path / "out.wav", 1, {}, resume=True)

    class Full(io.RawIOBase):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with pytest.raises(AudioError, match="No space left on device") as caught, part:
        part.write(torch.ones(1, 10))
        part._file.close()
        part._file = Full()
        part.write(torch.ones(1, 10))
    assert "finished part is kept" in caught.value.__notes__[0]
    again = Part(tmp_path / "out.wav", 1, {}, resume=True)
    assert again.samples == 10
    assert torch.equal(next(iter(again.blocks())), torch.ones(1, 10))


def test_a_file_that_shrinks_while_it_is_read(restorer, source, tmp_path):
    target = tmp_path / "out.wav"

    def shrink(done, of):
        os.truncate(source, 100_000)

    with pytest.raises(AudioError, match="truncated"):
        restorer.restore_file(source, target, progress=shrink, **DAMAGE)
    assert not target.exists()


SCRIPT = """
import signal, sys, torch
from a2sb_core import Restorer
signal.signal(signal.SIGINT, signal.default_int_handler)
from a2sb_core.engine import filing
filing.BLOCK_SAMPLES = 8000
torch.set_num_threads(1)
Restorer.from_pretrained(sys.argv[1], device="cpu", precision="fp32").restore_file(
    sys.argv[2], sys.argv[3], task="bandwidth", cutoff_hz=5000.0, resume=True,
    progress=lambda done, of: print(done, of, flush=True))
"""


@pytest.mark.parametrize(
    "sent", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_killed_run_leaves_no_broken_output(restorer, source, tmp_path, sent):
    restorer.save_pretrained(tmp_path / "model")
    target, expected = tmp_path / "out.wav", tmp_path / "expected.wav"
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "model"), str(source), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        for line in process.stdout:
            if int(line.split()[0]) > 900:
                process.send_signal(sent)
                break
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode != 0
    assert not target.exists()
    assert part_path(target).exists()
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    torch.set_num_threads(1)
    other = type(restorer).from_pretrained(tmp_path / "model", device="cpu", precision="fp32")
    other.restore_file(source, expected, **DAMAGE)
    np.testing.assert_array_equal(samples(target), samples(expected))


def through_pipe(data):
    """Return a descriptor at which bytes arrive, from another process."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    import threading

    threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close())).start()
    return process


@pytest.mark.parametrize(("suffix", "subtype"), [
    ("wav", "FLOAT"), ("wav", "PCM_16"), ("w64", "FLOAT"), ("au", "PCM_24"), ("ogg", "VORBIS"),
])
def test_audio_is_read_from_a_pipe(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(30_000, 2).numpy().T, 48_000, subtype=subtype)
    process = through_pipe(path.read_bytes())
    with process.stdout as stream:
        reader = PipeReader(stream.fileno())
        blocks = list(reader.blocks(7000))
    process.wait()
    assert (reader.sample_rate, reader.channels) == (48_000, 2)
    assert reader.frames in (None, 30_000)
    expected = soundfile.read(path, dtype="float32")[0].T
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected)


def test_a_pipe_of_unknown_length_is_read_to_its_end():
    stream = io.BytesIO()
    with PipeWriter(stream, RATE, 2) as writer:
        for block in noise(30_000, 2).split(7000, dim=-1):
            writer.write(block)
    assert struct.unpack("<I", stream.getvalue()[40:44])[0] == 2**32 - 1
    process = through_pipe(stream.getvalue())
    with process.stdout as out:
        reader = PipeReader(out.fileno())
        blocks = list(reader.blocks(4096))
    process.wait()
    assert reader.frames is None
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), noise(30_000, 2).numpy())


def test_a_pipe_that_ends_too_early_is_told(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(30_000, 2).numpy().T, RATE, subtype="FLOAT")
    process = through_pipe(path.read_bytes()[: 8 * 20_000 + 3])
    with process.stdout as stream:
        reader = PipeReader(stream.fileno())
        with pytest.raises(AudioError, match=r"ended or broke after 0\.45. s of 0\.680 s"):
            list(reader.blocks(4096))
    process.wait()


@pytest.mark.parametrize("data", [b"", b"hello, this is no audio at all" * 50])
def test_a_pipe_that_is_no_audio_is_told(data):
    process = through_pipe(data)
    with process.stdout as stream, pytest.raises(AudioError, match="send WAV"):
        PipeReader(stream.fileno())
    process.wait()


def test_what_goes_into_a_pipe_comes_out_restored_as_it_is_ready(restorer, source, tmp_path):
    """Both ends of a pipe at once, by a program of its own."""
    restorer.save_pretrained(tmp_path / "model")
    code = SCRIPT.replace(", resume=True", "").replace("flush=True", "file=sys.stderr, flush=True")
    command = [sys.executable, "-c", code, str(tmp_path / "model"), "-", "-"]
    result = subprocess.run(
        command, input=source.read_bytes(), capture_output=True, timeout=120, check=True
    )
    restorer.restore_file(source, tmp_path / "expected.wav", **DAMAGE)
    piped = np.frombuffer(result.stdout[44:], "<f4").reshape(-1, 2)
    np.testing.assert_allclose(piped, samples(tmp_path / "expected.wav"), atol=1e-5)


def test_a_pipe_can_not_be_continued(restorer, source):
    with pytest.raises(AudioError, match="can not be continued"):
        restorer.restore_file(source, "-", resume=True, **DAMAGE)


def test_parts_are_written_at_once(tmp_path):
    """What was written is on its way to the disk before the next block is made."""
    part = Part(tmp_path / "out.wav", 2, {"a": 1}, resume=False)
    with part:
        part.write(torch.zeros(2, 5))
        assert part.path.stat().st_size == HEADER_BYTES + 40
    assert time.time() - part.path.stat().st_mtime < 60
