"""Files and pipes in and out; what an interrupted run leaves is continued."""

import io
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import torch
from engine_helpers import RATE, noise, write_samples

from a2sb_core.audio.pipes import PipeReader, PipeWriter
from a2sb_core.errors import AudioError
from a2sb_core.interfaces import recording
from a2sb_core.restoration import output
from a2sb_core.restoration.listener import ProgressListener
from a2sb_core.restoration.partial_file import HEADER_BYTES, PartialFile, partial_path

DAMAGE = {"task": "bandwidth", "cutoff_hz": 5000.0}


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(recording, "BLOCK_SAMPLES", 8000)


def samples(path):
    """A header of float WAV holds the time of writing: compare what follows."""
    return soundfile.read(path, dtype="float32")[0]


@pytest.fixture
def source(tmp_path):
    return write_samples(tmp_path / "source.wav", noise(80_000, 2).numpy().T)


def interrupted(restorer, source, target, after=900, resume=True):
    """Start a restoration and interrupt it once so many frames are done."""

    def stop(done, of):
        if done > after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        listener = ProgressListener(stop)
        restorer.restore_file(source, target, listener=listener, resume=resume, **DAMAGE)
    return getattr(caught.value, "__notes__", [])


def test_an_interrupted_run_is_continued_with_the_same_result(restorer, source, tmp_path):
    target, expected = tmp_path / "out.wav", tmp_path / "expected.wav"
    restorer.restore_file(source, expected, **DAMAGE)
    notes = interrupted(restorer, source, target)
    part = partial_path(target)
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


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"steps": 1}, "sampler"),
        ({"cutoff_hz": 4000.0}, "damage"),
        ({"output_rate": 48_000}, "output_rate"),
    ],
)
def test_a_part_of_other_settings_is_not_continued(restorer, source, tmp_path, change, word):
    target = tmp_path / "out.wav"
    interrupted(restorer, source, target)
    before = partial_path(target).read_bytes()
    with pytest.raises(AudioError, match=rf"other settings \({word}\)"):
        restorer.restore_file(source, target, resume=True, **(DAMAGE | change))
    assert partial_path(target).read_bytes() == before
    assert not target.exists()


def test_a_changed_source_is_told(restorer, source, tmp_path):
    interrupted(restorer, source, tmp_path / "out.wav")
    write_samples(source, noise(80_000, 2, seed=4).numpy().T)
    with pytest.raises(AudioError, match=r"other settings \(source\)"):
        restorer.restore_file(source, tmp_path / "out.wav", resume=True, **DAMAGE)


def test_long_recordings_leave_a_part_that_is_never_overwritten_unasked(
    restorer, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(output, "RESUMABLE_FROM_S", 1.0)
    target = tmp_path / "out.wav"
    interrupted(restorer, source, target, resume=False)
    with pytest.raises(AudioError, match="continue it with --resume"):
        restorer.restore_file(source, target, **DAMAGE)
    restorer.restore_file(source, target, resume=True, **DAMAGE)
    assert target.exists()


@pytest.fixture
def file_limit():
    """Limits the bytes of a file that is written, as a disk that fills does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda count: resource.setrlimit(resource.RLIMIT_FSIZE, (count, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_keeps_what_is_finished(tmp_path, file_limit):
    part = PartialFile(tmp_path / "out.wav", 1, {}, resume=True)
    file_limit(HEADER_BYTES + 43)
    with pytest.raises(AudioError, match="too large") as caught, part:
        part.write(torch.ones(1, 10))
        part.write(torch.ones(1, 10))
    assert "finished part is kept" in caught.value.__notes__[0]
    again = PartialFile(tmp_path / "out.wav", 1, {}, resume=True)
    assert again.samples == 10
    assert torch.equal(next(iter(again.blocks()))[:, :10], torch.ones(1, 10))


def test_a_file_that_shrinks_while_it_is_read(restorer, source, tmp_path):
    target = tmp_path / "out.wav"
    listener = ProgressListener(lambda done, of: os.truncate(source, 100_000))
    with pytest.raises(AudioError, match="truncated"):
        restorer.restore_file(source, target, listener=listener, **DAMAGE)
    assert not target.exists()


SCRIPT = """
import signal, sys, torch
from a2sb_core import Listener, Restorer
signal.signal(signal.SIGINT, signal.default_int_handler)
from a2sb_core.interfaces import recording
recording.BLOCK_SAMPLES = 8000
torch.set_num_threads(1)

class Printer(Listener):
    def on_progress(self, done, of):
        print(done, of, flush=True)

Restorer.from_pretrained(sys.argv[1], device="cpu", precision="fp32").restore_file(
    sys.argv[2], sys.argv[3], task="bandwidth", cutoff_hz=5000.0, resume=True,
    listener=Printer())
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
    assert partial_path(target).exists()
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    torch.set_num_threads(1)
    other = type(restorer).from_pretrained(tmp_path / "model", device="cpu", precision="fp32")
    other.restore_file(source, expected, **DAMAGE)
    np.testing.assert_array_equal(samples(target), samples(expected))


@contextmanager
def piped(data):
    """A descriptor at which bytes arrive, from another process."""
    code = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    threading.Thread(target=lambda: (process.stdin.write(data), process.stdin.close())).start()
    with process.stdout as stream:
        yield stream.fileno()
    process.wait()


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "FLOAT"), ("wav", "PCM_16"), ("w64", "FLOAT"), ("au", "PCM_24"), ("ogg", "VORBIS")],
)
def test_audio_is_read_from_a_pipe(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(30_000, 2).numpy().T, 48_000, subtype=subtype)
    with piped(path.read_bytes()) as descriptor:
        reader = PipeReader(descriptor)
        blocks = list(reader.blocks(7000))
    assert (reader.sample_rate, reader.channels) == (48_000, 2)
    assert reader.frames in (None, 30_000)
    expected = soundfile.read(path, dtype="float32")[0].T
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected)


@pytest.mark.parametrize("size", [0, 2_000_000_000, 2**31 - 4096, 2**32 - 1])
def test_a_pipe_of_unknown_length_is_read_to_its_end(size):
    stream = io.BytesIO()
    with PipeWriter(stream, RATE, 2) as writer:
        for block in noise(30_000, 2).split(7000, dim=-1):
            writer.write(block)
    content = stream.getvalue()
    assert struct.unpack("<I", content[40:44])[0] == 2**32 - 1
    with piped(content[:40] + struct.pack("<I", size) + content[44:]) as descriptor:
        reader = PipeReader(descriptor)
        blocks = list(reader.blocks(4096))
    assert reader.frames is None
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), noise(30_000, 2).numpy())


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_from_a_pipe_to_its_last_link(tmp_path, subtype):
    parts, paths = [noise(length, 2).numpy().T for length in (30_000, 9000, 20_000)], []
    for k, part in enumerate(parts):
        paths.append(tmp_path / f"{k}.ogg")
        soundfile.write(paths[-1], part, 48_000, subtype, format="OGG")
    expected = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in paths])
    chained = tmp_path / "chained.ogg"
    chained.write_bytes(b"".join(path.read_bytes() for path in paths))
    with piped(chained.read_bytes()) as descriptor:
        blocks = list(PipeReader(descriptor).blocks(7000))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected.T)
    with chained.open("rb") as file:
        blocks = list(PipeReader(file.fileno()).blocks(7000))
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected.T)


def test_chained_ogg_of_different_rates_from_a_pipe_is_refused(tmp_path):
    for rate in (44_100, 48_000):
        soundfile.write(tmp_path / f"{rate}.ogg", noise(9000, 2).numpy().T, rate)
    content = b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    with piped(content) as descriptor, pytest.raises(AudioError, match="different sample rates"):
        list(PipeReader(descriptor).blocks(4096))


def test_a_pipe_that_ends_too_early_is_an_error(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(30_000, 2).numpy().T, RATE, subtype="FLOAT")
    with piped(path.read_bytes()[: 8 * 20_000 + 3]) as descriptor:
        reader = PipeReader(descriptor)
        with pytest.raises(AudioError, match=r"0\.45. s of the 0\.680 s"):
            list(reader.blocks(4096))


@pytest.mark.parametrize("mode", [None, "wb"])
def test_a_descriptor_that_cannot_be_read_is_an_error(tmp_path, mode):
    with (tmp_path / "file").open(mode or "wb") as file:
        descriptor = file.fileno()
        if mode is None:
            file.close()
        with pytest.raises(AudioError):
            PipeReader(descriptor)


@pytest.mark.parametrize("data", [b"", b"hello, this is no audio at all" * 50])
def test_a_pipe_that_is_no_audio_is_an_error(data):
    with piped(data) as descriptor, pytest.raises(AudioError, match="WAV"):
        PipeReader(descriptor)


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
    # The levels and the coherence of a pipe are measured at its beginning.
    np.testing.assert_allclose(piped, samples(tmp_path / "expected.wav"), atol=1e-3)


def test_a_pipe_can_not_be_continued(restorer, source):
    with pytest.raises(AudioError, match="cannot be continued"):
        restorer.restore_file(source, "-", resume=True, **DAMAGE)


def test_parts_are_written_at_once(tmp_path):
    """What was written is on its way to the disk before the next block is made."""
    part = PartialFile(tmp_path / "out.wav", 2, {"a": 1}, resume=False)
    with part:
        part.write(torch.zeros(2, 5))
        assert part.path.stat().st_size == HEADER_BYTES + 40
    assert time.time() - part.path.stat().st_mtime < 60


def test_two_runs_on_one_target_do_not_mix(restorer, source, tmp_path):
    """A second run with --resume while the first one works."""
    target = tmp_path / "out.wav"
    errors = []

    def start_another(done, of):
        if done > 900 and not errors:
            with pytest.raises(AudioError, match="another run") as caught:
                restorer.restore_file(source, target, resume=True, **DAMAGE)
            errors.append(caught.value)

    listener = ProgressListener(start_another)
    restorer.restore_file(source, target, resume=True, listener=listener, **DAMAGE)
    assert errors
    restorer.restore_file(source, tmp_path / "expected.wav", **DAMAGE)
    np.testing.assert_array_equal(samples(target), samples(tmp_path / "expected.wav"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected.wav", "out.wav", "source.wav"]
