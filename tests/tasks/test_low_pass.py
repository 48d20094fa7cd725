"""Low-pass filters of training items with a cutoff."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.interfaces import Item, Noise
from a2sb_core.testing.parts import normal
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.corruptions.low_pass import EDGE_DB, KINDS, LowPass
from a2sb_tasks.representations.factorized import Factorized

RATE = 44100


@given(
    kind=st.sampled_from(KINDS),
    cutoff_hz=st.floats(2000, 16000),
    order=st.integers(4, 16),
    width=st.floats(0.01, 0.2),
)
def test_a_filter_passes_lows_and_reaches_its_attenuation_at_the_edge(
    kind, cutoff_hz, order, width
):
    low_pass = LowPass(kind=kind, cutoff_hz=cutoff_hz, order=order, width=width)
    freqs_hz = torch.linspace(0, RATE / 2, 2000, dtype=torch.float64)
    gain = low_pass.response(freqs_hz)
    assert gain[0] == pytest.approx(1) and (gain.diff() <= 1e-12).all()
    below, above = (
        -20 * float(low_pass.response(torch.tensor(low_pass.edge_hz * x)).clamp(min=1e-9).log10())
        for x in (0.9999, 1.0001)
    )
    assert below <= EDGE_DB + 0.1 and above >= EDGE_DB - 0.1


def test_the_known_content_of_a_training_item_is_that_of_the_filtered_audio():
    corruption = Bandwidth.Config(filters=1, fill_std=0).build()
    generator = torch.Generator().manual_seed(1)
    drawn = [corruption.draw(1.0, generator) for _ in range(30)]
    assert {one.low_pass.kind for one in drawn} == set(KINDS)
    soft = next(one for one in drawn if one.low_pass.kind == "butterworth")
    representation = Factorized.Config().build()
    wave = 0.1 * normal(1, RATE, seed=2)
    item = Item(wave, representation.encode(wave), representation)
    damaged = corruption.degrade(item, soft, Noise(0, *item.z.shape[1:3]))
    freqs_hz = item.grid.freqs_hz
    assert torch.equal(damaged.missing[0, 0, :, 0], freqs_hz >= soft.low_pass.edge_hz)
    filtered = representation.encode(soft.low_pass.apply(wave, RATE))
    known = ~damaged.missing.expand_as(damaged.x1)
    assert torch.equal(damaged.x1[known], filtered[known])
    assert not torch.allclose(damaged.x1[known], item.z[known])


def test_without_filters_the_draws_of_a_seed_stay_what_they_were():
    plain = Bandwidth.Config().build().draw(1.0, torch.Generator().manual_seed(3))
    some = Bandwidth.Config(filters=1e-9).build().draw(1.0, torch.Generator().manual_seed(3))
    assert plain == some and type(some) is type(plain)
