"""A recording restored block by block gives what it gives in one piece."""

import numpy as np
import pytest
import torch
from engine_helpers import RATE, model_config, noise
from hypothesis import given
from hypothesis import strategies as st
from test_restorer import changed, windows

from a2sb_core.interfaces import Item, Noise, Recording, blank
from a2sb_core.restoration.pieces import Buffer, decode_piece, encode_piece, samples_for
from a2sb_core.restoration.splicing import change_weight
from a2sb_core.restoration.streaming import DECODED_FRAMES, ENCODED_FRAMES, RestorationStream

STRIDE = 64
LONG = STRIDE * (2 * DECODED_FRAMES + 37) + 11
DAMAGE = {
    "bandwidth": {"cutoff_hz": 5000.0},
    "inpaint": {"gaps_s": [(0.05, 0.07), (0.75, 0.8), (1.3, 1.45)]},
}


def planned(restorer, wave, task, damage):
    """The plan, of which the levels and the coherence of the channels are taken as measured."""
    return restorer.prepare([wave], RATE, task=task, **damage).plan


def noise_of(plan, representation, seed=0):
    """The noise of a restoration."""
    coherence = plan.coherence and plan.coherence.at(representation.grid(1).freqs_hz).float()
    rows = representation.rows
    return Noise(seed, representation.channels, rows, coherence=coherence)


def whole(restorer, wave, task, damage, seed=0):
    """Restore in one piece, step by step: what the paper writes, in its order."""
    model, corruption = restorer.model, restorer.model.corruption.for_task(task)
    known = corruption.Parameters.model_validate(damage)
    parameters = corruption.inspect(Recording.of(wave, RATE), known)
    stretches, plan = corruption.stretches(parameters), planned(restorer, wave, task, damage)
    audio, weight = blank(wave, stretches, RATE), change_weight(stretches, RATE, wave.shape[-1])
    representation, gain = model.representation, plan.gains.float()[:, None]
    noise = noise_of(plan, representation, seed)
    z = representation.encode(audio * gain)
    degraded = corruption.observe(Item(audio * gain, z, representation), parameters, noise)
    with torch.no_grad():
        x0 = model.sampler.sample(model.denoiser(), model.bridge, degraded, noise)
        x0 = torch.where(degraded.missing, representation.project(x0), z)
        length = wave.shape[-1]
        x0 = representation.refine(x0, degraded.missing, length)
        change = representation.decode(x0, length) - representation.decode(z, length)
        change = torch.where(gain != 0, change / gain, 0)
    return audio + (change if weight is None else change * weight)


def in_blocks(restorer, wave, task, damage, sizes):
    restoration = restorer.prepare(wave.split(sizes, dim=-1), RATE, task=task, **damage)
    return torch.cat(list(restoration.run()), dim=-1)


def assert_same(restored, expected):
    scale = float(expected.abs().max())
    torch.testing.assert_close(restored, expected, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("task", DAMAGE)
@pytest.mark.parametrize(("iterations", "channels", "hop"), [(3, 2, 8), (0, 1, 4)])
def test_a_long_recording_is_restored_as_in_one_piece(restorer, task, iterations, channels, hop):
    representation = {
        "name": "factorized",
        "n_fft": 256,
        "hop_length": 64,
        "phase_iterations": iterations,
    }
    other = changed(
        restorer.model, representation=representation, sampler=windows(hop=hop), loudness_dbfs=-20.0
    )
    wave = noise(LONG, channels)
    expected = whole(other, wave, task, DAMAGE[task])
    assert_same(other.restore(wave, RATE, task=task, **DAMAGE[task]), expected)


@pytest.mark.parametrize("task", DAMAGE)
def test_the_size_of_the_blocks_changes_nothing(restorer, task):
    wave = noise(LONG)
    expected = restorer.restore(wave, RATE, task=task, **DAMAGE[task])
    for size in (1000, 33_333):
        assert torch.equal(in_blocks(restorer, wave, task, DAMAGE[task], size), expected)


@given(
    length=st.integers(1, 6000),
    channels=st.integers(1, 6),
    start=st.floats(0, 0.05),
    duration_s=st.floats(0.0005, 0.05),
)
def test_any_length_is_restored_as_in_one_piece(restorer, length, channels, start, duration_s):
    end = min(start + duration_s, length / RATE)
    wave = noise(length, channels)
    if end > start and end - start < length / RATE - 2 / RATE:
        damage = {"gaps_s": [(start, end)]}
        restored = restorer.restore(wave, RATE, task="inpaint", **damage)
        assert_same(restored, whole(restorer, wave, "inpaint", damage))
    restored = restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=5000.0)
    assert_same(restored, whole(restorer, wave, "bandwidth", {"cutoff_hz": 5000.0}))


@pytest.mark.parametrize(
    "length",
    [
        STRIDE * DECODED_FRAMES - STRIDE,
        STRIDE * DECODED_FRAMES,
        STRIDE * DECODED_FRAMES + 1,
        STRIDE * ENCODED_FRAMES,
        STRIDE * ENCODED_FRAMES - 1,
        STRIDE,
    ],
)
def test_lengths_at_the_edges_of_the_parts(restorer, length):
    wave = noise(length, 2)
    restored = restorer.restore(wave, RATE, task="bandwidth", cutoff_hz=5000.0)
    assert_same(restored, whole(restorer, wave, "bandwidth", {"cutoff_hz": 5000.0}))


def test_a_stream_of_unknown_length_is_restored_as_it_comes(restorer):
    """What comes out first does not wait for what comes last."""
    wave, given = noise(LONG), 0

    def endless():
        nonlocal given
        for block in wave.split(2000, dim=-1):
            given += block.shape[-1]
            yield block

    out, ahead = [], []
    asked = {"task": "bandwidth", "cutoff_hz": 5000.0, "lookahead_s": 0.1}
    for block in restorer.prepare(endless(), RATE, **asked).run():
        out.append(block)
        ahead.append(given - sum(b.shape[-1] for b in out))
    assert_same(torch.cat(out, dim=-1), whole(restorer, wave, "bandwidth", DAMAGE["bandwidth"]))
    assert max(ahead) < STRIDE * (DECODED_FRAMES + ENCODED_FRAMES + 64) + 4410


def test_an_array_is_one_block(restorer):
    wave, damage = noise(9000, 2), {"task": "bandwidth", "cutoff_hz": 5000.0}
    for array in (wave, wave.numpy()):
        found = torch.cat(list(restorer.prepare(array, RATE, **damage).run()), dim=-1)
        assert torch.equal(found, restorer.restore(wave, RATE, **damage))


def test_what_is_held_does_not_grow_with_the_length(restorer):
    blocks, held = noise(LONG * 2).split(4000, dim=-1), []
    restoration = restorer.prepare(blocks, RATE, task="bandwidth", cutoff_hz=5000.0)
    stream = RestorationStream(restorer.model, restoration.plan, "fp32")
    for block in blocks:
        list(stream.push(block))
        held.append(sum(b.end - b.start for b in (stream.work, stream.base, stream.change)))
    assert max(held[len(held) // 2 :]) <= max(held[: len(held) // 2]) + 2 * 4000


@pytest.mark.parametrize(
    "gaps_s",
    [[(0.1, 0.15)], [(0.1, 0.15), (3.8, 3.9)], [(0.0, 0.05), (4.0, 4.05)], [(2.0, 2.1)]],
    ids=["early", "far apart", "at the ends", "in the middle"],
)
def test_the_result_follows_the_recording_whatever_the_gaps(restorer, gaps_s):
    """No output waits for the next gap or for the end: memory and delay are bounded."""
    wave, delays = noise(3 * LONG, 2), []
    blocks = wave.split(4000, dim=-1)
    restoration = restorer.prepare(blocks, RATE, task="inpaint", gaps_s=gaps_s)
    stream, given, ready = RestorationStream(restorer.model, restoration.plan, "fp32"), 0, 0
    for block in blocks:
        given += block.shape[-1]
        ready += sum(pair.restored.shape[-1] for pair in stream.push(block))
        delays.append(given - ready)
    assert max(delays) < STRIDE * (DECODED_FRAMES + ENCODED_FRAMES + 2 * 64) + 2 * 4000
    assert_same(
        torch.cat(list(restoration.run()), dim=-1),
        whole(restorer, wave, "inpaint", {"gaps_s": gaps_s}),
    )


def test_stretches_without_a_gap_are_not_encoded(restorer):
    wave, frames, restorer = noise(LONG), [], changed(restorer.model)
    encode = restorer.model.representation.encode
    restorer.model.representation.encode = lambda w: (
        frames.append(w.shape[-1] // STRIDE) or encode(w)
    )
    restored = restorer.restore(wave, RATE, task="inpaint", gaps_s=[(0.75, 0.76)])
    # The head, the windows over the gap, and the piece decoded around it, with their contexts.
    assert sum(frames) < 250 < LONG // STRIDE / 4
    assert not torch.equal(restored, wave)


@given(
    first=st.integers(0, 60),
    count=st.integers(1, 40),
    length=st.integers(1, 5000),
    hop=st.sampled_from([64, 100, 128]),
)
def test_a_piece_is_encoded_and_decoded_as_in_the_whole(first, count, length, hop):
    representation = model_config(
        representation={"name": "factorized", "n_fft": 256, "hop_length": hop}
    ).representation.build()
    wave, reach = noise(length, 2), -(-256 // hop)
    z = representation.encode(wave)
    total = representation.frames(length)
    first = min(first, total - 1)
    stop = min(first + count, total)
    buffer = Buffer()
    for block in wave.split(777, dim=-1):
        buffer.append(block)
    piece = encode_piece(representation, buffer.read, first, stop)
    assert piece.shape == z[..., first:stop].shape
    torch.testing.assert_close(
        representation.decode(piece, 1), representation.decode(z[..., first:stop], 1)
    )
    torch.testing.assert_close(piece[:, 0], z[:, 0, :, first:stop], rtol=1e-4, atol=1e-5)
    low, high = max(0, first - reach), min(total, stop + reach)
    end = length if stop == total else stop * hop
    decoded = decode_piece(
        representation, z[..., low:high], low, length if high == total else None, first * hop, end
    )
    expected = representation.decode(z, length)[:, first * hop : end]
    torch.testing.assert_close(decoded, expected, rtol=1e-5, atol=1e-6)
    assert samples_for(representation, stop) > (stop - 1) * hop


def test_a_buffer_holds_what_was_not_dropped():
    buffer, samples = Buffer(), torch.arange(20.0).expand(2, 20)
    for block in samples.split(7, dim=-1):
        buffer.append(block)
    assert torch.equal(buffer.read(5, 16), samples[:, 5:16])
    buffer.drop(9)
    assert (buffer.start, buffer.end) == (9, 20)
    buffer.drop(13)
    assert torch.equal(buffer.read(13, 99), samples[:, 13:])
    with pytest.raises(IndexError, match="9 to 12 is not in 13 to 20"):
        buffer.read(9, 12)


def test_arrays_that_come_in_blocks_are_taken_too(restorer):
    wave = noise(5000, 2).numpy()
    asked = {"task": "bandwidth", "cutoff_hz": 5000.0}
    restoration = restorer.prepare(np.split(wave, 5, axis=1), RATE, **asked)
    restored = torch.cat(list(restoration.run()), dim=-1).numpy()
    np.testing.assert_array_equal(restored, restorer.restore(wave, RATE, **asked))


@pytest.mark.parametrize(
    ("task", "rate", "output_rate"),
    [("bandwidth", RATE, RATE), ("bandwidth", RATE, 48_000), ("inpaint", 48_000, 48_000)],
)
def test_what_is_there_already_is_left_out_and_the_rest_is_the_same_to_the_bit(
    restorer, task, rate, output_rate
):
    restorer = changed(restorer.model, sampler=windows(), loudness_dbfs=-20.0)
    blocks = noise(STRIDE * 4 * DECODED_FRAMES).split(20_000, dim=-1)
    evaluated = []
    restorer.model.backbone.register_forward_pre_hook(
        lambda module, inputs: evaluated.append(len(inputs[0]))
    )
    asked = {"task": task, "output_rate": output_rate, **DAMAGE[task]}
    restoration = restorer.prepare(blocks, rate, **asked)
    whole = torch.cat(list(restoration.run()), dim=-1)
    work = sum(evaluated)
    for skip in (70_001, whole.shape[-1] - 5):
        evaluated.clear()
        rest = torch.cat(list(restoration.run(skip)), dim=-1)
        assert torch.equal(rest, whole[:, skip:])
    assert sum(evaluated) < 0.6 * work or task == "inpaint"


def test_audio_with_nothing_missing_is_continued_too(restorer):
    blocks = noise(RATE).split(7000, dim=-1)
    restoration = restorer.prepare(blocks, RATE, task="bandwidth")
    assert restoration.damage is None
    assert torch.equal(torch.cat(list(restoration.run(9999)), dim=-1), noise(RATE)[:, 9999:])
