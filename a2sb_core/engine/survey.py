"""A look at a recording before it is restored: what is damaged, and how loud it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from a2sb_core.audio.arrays import check_finite
from a2sb_core.audio.resample import StreamResampler
from a2sb_core.engine.splice import blank, change_weight, is_touched
from a2sb_core.errors import TaskError
from a2sb_core.interfaces import Corruption
from a2sb_core.interfaces.corruption import Stretches

SILENT_RMS = 1e-6


def find_damage(
    corruption: Corruption, blocks: Iterable[Tensor], sample_rate: int, own_rate: int,
    duration_s: float, given: dict[str, Any],
) -> Any | None:
    """Return the parameters of the damage: as given, or found in the audio; None: nothing.

    Args:
        corruption: the kind of damage.
        blocks: the audio (C, n), block by block.
        sample_rate: of the blocks, Hz.
        own_rate: of the model, Hz; damage is looked for at this rate, unless the corruption asks
            for the recording as it is.
        duration_s: of the recording, infinite where it is not known.
        given: what the user said.

    Raises:
        TaskError: what is given does not lie within the audio, or must be given.
        AudioError: a sample is NaN or infinite.
    """
    if given:
        try:
            parameters = corruption.Parameters.model_validate(given)
        except ValidationError as error:
            raise TaskError(_explain(error, corruption)) from error
        # The model's rate, not the input's: a file of 8 kHz can be extended from 4 kHz up.
        corruption.check(parameters, duration_s, own_rate)
        return parameters
    whole = blocks if corruption.looks_at_all else kept(blocks, None, sample_rate)
    rate = sample_rate if corruption.looks_at_original else own_rate
    found = corruption.detect(at_rate(whole, sample_rate, rate), rate)
    if found is not None:
        corruption.check(found, duration_s, own_rate)
    return found


def settle(
    corruption: Corruption, parameters: Any, blocks: Iterable[Tensor], sample_rate: int,
    own_rate: int,
) -> Any:
    """Return parameters sharpened by a look at what is not damaged."""
    undamaged = kept(blocks, corruption.stretches(parameters), sample_rate)
    rate = sample_rate if corruption.looks_at_original else own_rate
    return corruption.settle(parameters, at_rate(undamaged, sample_rate, rate), rate)


def kept(
    blocks: Iterable[Tensor], stretches: Stretches | None, sample_rate: int
) -> Iterator[Tensor]:
    """Yield blocks with the damaged stretches blanked.

    Raises:
        AudioError: a sample outside of them is NaN or infinite.
    """
    first = 0
    for block in blocks:
        block = blank(block, stretches, sample_rate, first)
        check_finite(block, "the audio", sample_rate=sample_rate, start_s=first / sample_rate)
        yield block
        first += block.shape[-1]


def loudness_gain(
    blocks: Iterable[Tensor], stretches: Stretches | None, sample_rate: int,
    loudness_dbfs: float | None,
) -> float:
    """Return the factor that brings what is not damaged to a root-mean-square level."""
    if loudness_dbfs is None:
        return 1.0
    energy, count, first = 0.0, 0, 0
    for block in kept(blocks, stretches, sample_rate):
        length = block.shape[-1]
        if is_touched(stretches, sample_rate, length, first):
            weight = change_weight(stretches, sample_rate, length, first)
            block = block if weight is None else block[:, weight == 0]
        first += length
        energy += float(block.square().sum(dtype=torch.float64))
        count += block.numel()
    rms = math.sqrt(energy / count) if count else 0.0
    return float(10 ** (loudness_dbfs / 20) / rms) if rms > SILENT_RMS else 1.0


def at_rate(blocks: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """Resample blocks; equal rates change nothing."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = None
    for block in blocks:
        resampler = resampler or StreamResampler(from_rate, to_rate, len(block))
        yield torch.from_numpy(resampler.push(block))
    if resampler is not None:
        yield torch.from_numpy(resampler.finish())


def _explain(error: ValidationError, corruption: Corruption) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    known = ", ".join(corruption.Parameters.model_fields)
    return f"the task `{corruption.task}`: {place}: {first['msg']} (it takes: {known})"
