"""Laws of corruptions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from a2sb_core.errors import ConfigError, TaskError
from a2sb_core.interfaces.corruption import Corruption, WaveformCorruption
from a2sb_core.interfaces.types import Degraded, Item, Noise
from a2sb_core.testing.compare import require_close
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import RATE, Call, Spectra, seeded, sound

KIND = "corruption"
SAMPLES = 128 * 96
SECONDS = SAMPLES / RATE
SIZES = (64, 128)  # of the representations: a corruption knows Hz and seconds only
FINE = 2048  # rows 22 Hz apart, for damage that is narrow
DRAWS = 100


def build(case: Case) -> Corruption:
    """Make the component."""
    made: Corruption = case.config.build()
    return made


def _items(sizes: tuple[int, ...] = SIZES) -> list[Item]:
    wave = sound(SAMPLES)
    representations = [Spectra.Config(size=size).build() for size in sizes]
    return [Item(wave, one.encode(wave), one) for one in representations]


def _noise(item: Item) -> Noise:
    return Noise(1, item.z.shape[1], item.z.shape[2])


def _drawn(corruption: Corruption, count: int = 8) -> list[Any]:
    generator = seeded(3)
    return [corruption.draw(SECONDS, generator) for _ in range(count)]


def calls(case: Case) -> list[Call]:
    """Uses of a corruption."""
    corruption = build(case)
    item, parameters = _items()[0], _drawn(corruption, 1)[0]
    representation: Any = item.representation

    def use(method: str) -> Any:
        def run(wave: Tensor) -> Degraded:
            fresh = Item(wave, representation.encode(wave), representation)
            done: Degraded = getattr(corruption, method)(fresh, parameters, _noise(item))
            return done

        return run

    return [
        Call("draw", lambda: corruption.draw(SECONDS, seeded(5)), is_batched=False),
        Call("degrade", use("degrade"), (item.wave,)),
        Call("observe", use("observe"), (item.wave,)),
    ]


@law(KIND)
def items_are_not_changed(case: Case) -> None:
    """Neither the audio of an item nor its representation is written to."""
    corruption = build(case)
    for item in _items():
        wave, z = item.wave.clone(), item.z.clone()
        for parameters in _drawn(corruption, 2):
            corruption.degrade(item, parameters, _noise(item))
            corruption.observe(item, parameters, _noise(item))
        require(torch.equal(item.wave, wave), "the item's wave is changed: work on a copy")
        require(torch.equal(item.z, z), "the item's z is changed: work on a copy")


@law(KIND)
def missing_is_boolean(case: Case) -> None:
    """``missing`` is boolean and broadcasts to (B, 1, F, W), or None; x1 has the shape of z."""
    corruption = build(case)
    for item in _items():
        for parameters in _drawn(corruption):
            for degraded in _both(corruption, item, parameters):
                require(
                    degraded.x1.shape == item.z.shape,
                    f"x1 is {tuple(degraded.x1.shape)}, z is {tuple(item.z.shape)}",
                )
                if degraded.missing is not None:
                    _require_mask(degraded.missing, item.z)


def _both(corruption: Corruption, item: Item, parameters: Any) -> tuple[Degraded, Degraded]:
    noise = _noise(item)
    return corruption.degrade(item, parameters, noise), corruption.observe(item, parameters, noise)


def _require_mask(missing: Tensor, z: Tensor) -> None:
    require(missing.dtype == torch.bool, f"missing is {missing.dtype}, not boolean")
    wanted = (len(z), 1, *z.shape[2:])
    fits = missing.ndim == 4 and all(
        have in (1, size) for have, size in zip(missing.shape, wanted, strict=True)
    )
    require(fits, f"missing is {tuple(missing.shape)} and does not broadcast to {wanted}")


@law(KIND)
def damage_is_done(case: Case) -> None:
    """Of several draws, one at least damages something; none takes everything away."""
    corruption = build(case)
    changed = False
    for item in _items((*SIZES, FINE)):
        for parameters in _drawn(corruption):
            degraded = corruption.degrade(item, parameters, _noise(item))
            changed |= not torch.equal(degraded.x1, item.z)
            require(
                degraded.missing is None or not degraded.missing.all(),
                f"with {parameters!r} everything is missing: nothing is left to restore it from",
            )
    require(changed, "none of 8 draws damages anything, so there is nothing to learn")


@law(KIND)
def masks_know_no_rows(case: Case) -> None:
    """What is missing is the same in Hz and seconds for a representation of finer rows."""
    corruption = build(case)
    coarse, fine = _items()
    for parameters in _drawn(corruption):
        one, other = (_mask(corruption, item, parameters) for item in (coarse, fine))
        if one is None or other is None:
            continue
        require(
            torch.equal(one.any(dim=-1), other.any(dim=-1)[:, :, ::2]),
            f"with {parameters!r} other frequencies are missing where rows are "
            f"{RATE / SIZES[1]:.0f} Hz apart than where they are {RATE / SIZES[0]:.0f} Hz: ask the "
            "grid for Hz, never for numbers of rows",
        )
        shares = [float(mask.any(dim=2).float().mean()) for mask in (one, other)]
        require(
            0 in shares or abs(shares[0] - shares[1]) <= 3 * SIZES[1] / SAMPLES,
            f"with {parameters!r} {shares[0]:.0%} of the time is missing in frames of "
            f"{SIZES[0]} samples and {shares[1]:.0%} in frames of {SIZES[1]}: ask the grid for "
            "seconds, never for numbers of frames",
        )


def _mask(corruption: Corruption, item: Item, parameters: Any) -> Tensor | None:
    """Return what is missing, (B, 1, F, W)."""
    missing = corruption.degrade(item, parameters, _noise(item)).missing
    return None if missing is None else missing.expand(len(item.z), 1, *item.z.shape[2:])


@law(KIND)
def untouched_outside_missing(case: Case) -> None:
    """What is not missing is the item's own, to the bit."""
    corruption = build(case)
    for item in _items():
        for parameters in _drawn(corruption):
            for name, one in zip(
                ("degrade", "observe"), _both(corruption, item, parameters), strict=True
            ):
                if one.missing is None:
                    continue
                known = ~one.missing.expand(len(item.z), 1, *item.z.shape[2:]).expand_as(item.z)
                require(
                    torch.equal(one.x1[known], item.z[known]),
                    f"{name} with {parameters!r} changes content that is not missing",
                )


@law(KIND)
def observe_looks_at_the_known_only(case: Case) -> None:
    """What stands where content is missing does not show in what is observed."""
    corruption = build(case)
    for item in _items():
        for parameters in _drawn(corruption):
            seen = corruption.observe(item, parameters, _noise(item))
            if seen.missing is None:
                continue
            z = torch.where(seen.missing, 3 - 2 * item.z, item.z)
            other = Item(item.representation.decode(z, SAMPLES), z, item.representation)
            again = corruption.observe(other, parameters, _noise(item))
            require(
                torch.equal(again.x1, seen.x1) and torch.equal(again.missing, seen.missing),  # type: ignore[arg-type]
                f"observe with {parameters!r} depends on content that is missing: "
                "in a recording that is really damaged anything may stand there",
            )


@law(KIND)
def observing_in_pieces(case: Case) -> None:
    """A piece of a recording is observed as the piece of the whole."""
    corruption = build(case)
    for item in _items():
        stride = item.representation.stride
        first, stop = 11, 37
        piece = Item(
            item.wave[:, first * stride : stop * stride], item.z[..., first:stop],
            item.representation, first,
        )
        for parameters in _drawn(corruption):
            whole = corruption.observe(item, parameters, _noise(item))
            part = corruption.observe(piece, parameters, _noise(item))
            require_close(
                part.x1, whole.x1[..., first:stop], 0.0,
                f"frames {first} to {stop} observed alone (`Item.start` says which they are) and "
                f"in the whole, with {parameters!r}",
            )


@law(KIND)
def the_truth_is_kept(case: Case) -> None:
    """Reconciled with what became of it, clean audio stays as it is, in pieces as in the whole."""
    corruption = build(case)
    wave = sound(SAMPLES)
    for parameters in _drawn(corruption):
        damaged = wave
        if isinstance(corruption, WaveformCorruption):
            try:
                damaged = corruption.apply(wave, parameters, Noise(1, 1, 1), RATE)
            except ConfigError:
                return  # it can not damage audio outside a model, so none to compare
        known = corruption.settle(parameters, torch.split(damaged, 1000, dim=-1), RATE)
        whole = corruption.reconcile(wave, damaged, known)
        what = f"reconciled with what {parameters!r} made of it"
        require_close(whole, wave, 1e-6, f"clean audio {what}")
        piece = corruption.reconcile(wave[:, 100:300], damaged[:, 100:300], known)
        require_close(piece, whole[:, 100:300], 0.0, f"samples 100 to 300 {what}")


@law(KIND)
def polishing_in_pieces(case: Case) -> None:
    """Polished in any blocks and from any place, a result is the same, and outside as it was."""
    corruption = build(case)
    wave = sound(SAMPLES)
    for parameters in _drawn(corruption, 1):
        def polished(blocks: Iterable[Tensor], first: int = 0, known: Any = parameters) -> Tensor:
            return torch.cat(list(corruption.polish(iter(blocks), known, RATE, first)), dim=-1)

        what = f"polished with {parameters!r}"
        whole = polished([wave])
        require(whole.shape == wave.shape, f"{what}, {tuple(wave.shape)} is {tuple(whole.shape)}")
        in_blocks = polished(torch.split(wave, 997, dim=-1))
        require_close(in_blocks, whole, 0.0, f"audio in blocks and as a whole, {what}")
        middle = SAMPLES // 2
        first = corruption.polish_from(parameters, RATE, middle)
        require(0 <= first <= middle, f"polish_from({middle}) is {first}")
        part = polished([wave[:, first:]], first)[:, middle - first :]
        require_close(part, whole[:, middle:], 0.0, f"from sample {middle} on, {what}")
        kept = torch.ones(SAMPLES, dtype=torch.bool)
        for start, end in corruption.stretches(parameters) or ((0, SECONDS),):
            kept[math.floor(start * RATE) : math.ceil(end * RATE)] = False
        require(
            torch.equal(whole[:, kept], wave[:, kept]),
            f"{what}, samples outside of the damaged stretches change",
        )


@law(KIND)
def parameters_lie_in_their_ranges(case: Case) -> None:
    """What is drawn is ``Parameters``, within declared ranges and within the audio."""
    corruption = build(case)
    for parameters in _drawn(corruption, DRAWS):
        require(
            isinstance(parameters, corruption.Parameters),
            f"draw returns {type(parameters).__name__}, not {corruption.Parameters.__name__}",
        )
        for name, (low, high) in {**corruption.ranges, **case.ranges}.items():
            value = getattr(parameters, name)
            require(low <= value <= high, f"{name} = {value} is not in {low:g} to {high:g}")
        try:
            corruption.check(parameters, SECONDS, RATE)
        except TaskError as error:
            require(False, f"check refuses {parameters!r}, which draw made: {error}")
        for start, end in corruption.stretches(parameters) or ():
            require(
                0 <= start < end <= SECONDS + 1 / RATE,
                f"stretch {start}:{end} does not lie in an item of {SECONDS:.4f} s",
            )


@law(KIND)
def draws_vary(case: Case) -> None:
    """Several draws from one generator are not all the same."""
    drawn = _drawn(build(case), DRAWS)
    fixed = not type(drawn[0]).model_fields
    require(
        fixed or any(one != drawn[0] for one in drawn),
        f"{DRAWS} draws from one generator are all {drawn[0]!r}",
    )


@law(KIND)
def tasks_are_served(case: Case) -> None:
    """Each task it names is served by a corruption, any other is refused with a TaskError."""
    corruption = build(case)
    require(corruption.tasks(), "it names no task")
    for task in corruption.tasks():
        served = corruption.for_task(task)
        require(isinstance(served, Corruption), f"for_task({task!r}) is no corruption")
        require(task in served.tasks(), f"for_task({task!r}) does not name that task")
    try:
        corruption.for_task("no such task")
    except TaskError:
        return
    require(False, "for_task takes a task that is not served: raise a TaskError")


@law(KIND)
def looking_for_damage(case: Case) -> None:
    """``detect`` answers with Parameters or None, or refuses with a TaskError."""
    corruption = build(case)
    blocks = torch.split(sound(SAMPLES), 1000, dim=-1)
    try:
        found = corruption.detect(blocks, RATE)
    except TaskError:
        return
    require(
        found is None or isinstance(found, corruption.Parameters),
        f"detect returns {type(found).__name__}; Parameters or None is wanted",
    )
