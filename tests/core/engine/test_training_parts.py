"""What a training step is made of: damage, what counts, times, loss and learning rate."""

import math

import pytest
import torch
from engine_helpers import model_config, noise, without_dropout
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.config.run import OptimizerConfig, TimesConfig, TrainConfig
from a2sb_core.engine.model import Model
from a2sb_core.engine.objective import Batch, Part, batch_loss, degrade, item_losses, stft_distance
from a2sb_core.engine.optimization import schedule
from a2sb_core.engine.segments import Segment
from a2sb_core.engine.times import Times
from a2sb_core.interfaces import ComponentConfig, FrozenConfig, WaveformCorruption
from a2sb_tasks.corruptions.bandwidth import Bandwidth


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(count, seed=0):
    return [generator(1000 * seed + k) for k in range(count)]


def segments(*max_hz, length=15 * 64):
    return [
        Segment(noise(length, seed=k)[0], hz, f"file{k} at 0 s") for k, hz in enumerate(max_hz)
    ]


def with_corruption(**corruption):
    return Model(model_config(corruption=corruption))


def test_the_loss_counts_what_is_missing_below_the_bandwidth_of_the_file():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=9000)
    batch = degrade(model, segments(22_050, 12_000, 2000), draws(3))
    freqs_hz = model.representation.grid(960).freqs_hz
    assert batch.counted.shape == batch.missing.shape == (3, 1, 128, 16)
    for k, max_hz in enumerate((22_051, 12_000, 2000)):
        expected = batch.missing[k] & (freqs_hz < max_hz)[:, None]
        assert torch.equal(batch.counted[k], expected)
    assert batch.counted[1].any()
    assert not batch.counted[2].any()


def test_every_row_of_full_band_audio_counts():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=9000)
    batch = degrade(model, segments(22_050, 24_000, float("inf")), draws(3))
    assert torch.equal(batch.counted, batch.missing)


def test_known_content_is_the_clean_and_each_item_has_its_own_damage():
    model = Model(model_config())
    batch = degrade(model, segments(*[22_050] * 12), draws(12))
    clean = model.representation.encode(torch.stack([s.wave for s in segments(*[22_050] * 12)]))
    assert torch.equal(batch.x0, clean)
    everywhere = batch.missing.expand_as(clean)
    assert torch.equal(batch.x1[~everywhere], clean[~everywhere])
    assert not torch.isclose(batch.x1[everywhere], clean[everywhere]).all()
    shares = [float(region.float().mean()) for region in batch.missing]
    assert len(set(shares)) > 6
    frames = [bool(region.all(dim=1).any()) for region in batch.missing]
    assert 0 < sum(frames) < 12
    assert batch.origins == tuple(f"file{k} at 0 s" for k in range(12))


def test_noise_differs_between_items():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=3001)
    first, second = degrade(model, segments(22_050, 22_050), draws(2)).x1[:, :, 60:]
    assert not torch.equal(first, second)


def test_the_generator_alone_decides():
    model = Model(model_config())
    first = degrade(model, segments(22_050, 22_050), draws(2, 1))
    torch.manual_seed(77)
    again = degrade(model, segments(22_050, 22_050), draws(2, 1))
    other = degrade(model, segments(22_050, 22_050), draws(2, 2))
    assert torch.equal(first.x1, again.x1)
    assert not torch.equal(first.x1, other.x1)


class Hiss(WaveformCorruption):
    task = "denoise"

    class Config(ComponentConfig):
        name: str = "hiss"

    class Parameters(FrozenConfig):
        level: float

    def draw(self, duration_s, generator):
        return self.Parameters(level=0.1)

    def apply(self, wave, parameters, noise, sample_rate):
        return wave + parameters.level * noise.at(0, 0, wave.shape[-1])[0, 0]


class Either(WaveformCorruption):
    """Now hiss, now a limited bandwidth."""

    task = "either"

    class Config(ComponentConfig):
        name: str = "either"

    def __init__(self, config):
        super().__init__(config)
        self.hiss, self.bandwidth = Hiss.Config().build(), Bandwidth.Config().build()
        self.turn = 0

    def draw(self, duration_s, generator):
        self.turn += 1
        part = self.hiss if self.turn % 2 else self.bandwidth
        return part, part.draw(duration_s, generator)

    def apply(self, wave, parameters, noise, sample_rate):
        raise NotImplementedError

    def degrade(self, item, parameters, noise):
        return parameters[0].degrade(item, parameters[1], noise)


def test_where_everything_may_change_everything_counts():
    model = Model(model_config())
    model.corruption = Hiss.Config().build()
    batch = degrade(model, segments(22_050, 9000), draws(2))
    assert batch.missing is None
    assert batch.counted[0].all()
    under = model.representation.grid(960).freqs_hz < 9000
    assert torch.equal(batch.counted[1, 0, :, 0], under)
    assert not torch.equal(batch.x1, batch.x0)


def test_damage_of_everything_and_of_a_part_share_a_batch():
    model = Model(model_config())
    model.corruption = Either.Config().build()
    batch = degrade(model, segments(22_050, 22_050), draws(2))
    assert batch.missing[0].all()
    assert not batch.missing[1].all()
    assert torch.equal(batch.counted, batch.missing)


def some_batch(counted):
    x0, x1 = torch.randn(2, 3, 4, 5, generator=generator()), torch.zeros(2, 3, 4, 5)
    return Batch(x0, x1, counted, counted, ("a", "b"))


def squared(x0, xt, t, x1, missing):
    return (x0 - 1) ** 2


def test_the_loss_is_the_mean_over_what_is_counted():
    counted = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    counted[0, 0, 1:3, 2] = counted[1, 0, 0, :] = True
    batch, bridge = some_batch(counted), Model(model_config()).bridge
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    loss = batch_loss(squared, batch, t, noise, bridge)
    values = [*(batch.x0[0, :, 1:3, 2] - 1).flatten(), *(batch.x0[1, :, 0] - 1).flatten()]
    assert float(loss) == pytest.approx(float(torch.stack(values).square().mean()), rel=1e-5)


def test_what_is_not_counted_does_not_move_the_loss():
    counted = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    counted[:, :, 2:] = True
    batch, bridge = some_batch(counted), Model(model_config()).bridge
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    before = batch_loss(squared, batch, t, noise, bridge)
    batch.x0[:, :, :2] += 100
    assert batch_loss(squared, batch, t, noise, bridge) == before
    batch.x0[:, :, 2:] += 100
    assert batch_loss(squared, batch, t, noise, bridge) > before


def test_nothing_counted_is_no_loss():
    batch = some_batch(torch.zeros(2, 1, 4, 5, dtype=torch.bool))
    t, noise = torch.ones(2), torch.zeros(2, 3, 4, 5)
    assert batch_loss(squared, batch, t, noise, Model(model_config()).bridge) == 0


def test_the_network_is_shown_a_draw_from_the_bridge():
    bridge, seen = Model(model_config()).bridge, []

    def network(x0, xt, t, x1, missing):
        seen.append((xt, t))
        return x0

    batch = some_batch(torch.ones(2, 1, 4, 5, dtype=torch.bool))
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    batch_loss(network, batch, t, noise, bridge)
    a, b, c = (value[:, None, None, None] for value in bridge.coefficients(t))
    torch.testing.assert_close(seen[0][0], a * batch.x0 + b * batch.x1 + c * noise)
    assert torch.equal(seen[0][1], t)


def config(**changes):
    return TrainConfig.model_validate({
        "model": model_config(), "data": {"source": "audio"}, "output": "run", "steps": 10,
    } | changes)


KINDS = [
    TimesConfig(), TimesConfig(bias=3), TimesConfig(kind="log_normal", mean=1, std=2),
    TimesConfig(kind="by_loss"),
]


def taught(kind, t_range=(0.0, 1.0)):
    """Return times that have seen losses which grow fourfold over the range."""
    times = Times(kind, t_range)
    low, high = t_range
    for _ in range(10):
        u = torch.linspace(0, 1, 500)
        times.learn(low + (high - low) * u, 1 + 3 * u)
    return times


@given(
    low=st.floats(0, 0.9), width=st.floats(0.01, 0.1), kind=st.sampled_from(KINDS),
)
def test_times_keep_to_their_range(low, width, kind):
    high = low + width
    times, weights = taught(kind, (low, high)).draw(draws(200))
    assert times.shape == weights.shape == (200,)
    assert float(times.min()) >= low - 1e-6
    assert float(times.max()) <= high + 1e-6
    assert float(times.max() - times.min()) > 0.6 * width


@pytest.mark.parametrize("bias", [0.0, 1.0, 4.0])
def test_times_are_uniform_or_grow_towards_one(bias):
    times, _ = Times(TimesConfig(bias=bias), (0.0, 1.0)).draw(draws(20_000))
    for share in (0.25, 0.5, 0.9):
        earlier = float((times.double() < share).double().mean())
        assert earlier == pytest.approx(share ** (1 + bias), abs=0.015)


def test_the_odds_of_log_normal_times_are_log_normal():
    times, weights = Times(
        TimesConfig(kind="log_normal", mean=0.5, std=1.5), (0.0, 1.0)
    ).draw(draws(20_000))
    log_odds = torch.logit(times.double())
    assert float(log_odds.mean()) == pytest.approx(0.5, abs=0.05)
    assert float(log_odds.std()) == pytest.approx(1.5, abs=0.05)
    assert (weights == 1).all()


def test_times_by_loss_are_drawn_where_the_loss_is_and_weighted_back():
    times = taught(TimesConfig(kind="by_loss"))
    drawn, weights = times.draw(draws(20_000))
    share = float((drawn < 0.5).double().mean())
    wanted = times.means.sqrt()
    assert wanted.tolist() == pytest.approx([1.15 + 0.3 * k for k in range(10)], rel=0.02)
    expected = 0.9 * float(wanted[:5].sum() / wanted.sum()) + 0.05
    assert share == pytest.approx(expected, abs=0.015)
    assert share < 0.4
    # Weighted, they are uniform times again: the mean of t is 1/2 and of t^2 1/3.
    assert float(weights.mean()) == pytest.approx(1, abs=0.02)
    assert float((weights * drawn).mean()) == pytest.approx(1 / 2, abs=0.02)
    assert float((weights * drawn**2).mean()) == pytest.approx(1 / 3, abs=0.02)


def test_times_by_loss_do_not_depend_on_the_order():
    t, losses = torch.rand(50, generator=generator(1)), torch.rand(50, generator=generator(2))
    ways = []
    for order in (torch.arange(50), torch.arange(49, -1, -1)):
        times = taught(TimesConfig(kind="by_loss"))
        times.learn(t[order], losses[order])
        ways.append(times.means)
    torch.testing.assert_close(*ways)


def test_times_by_loss_begin_uniformly():
    times = Times(TimesConfig(kind="by_loss"), (0.0, 1.0))
    times.learn(torch.full((5,), 0.95), torch.full((5,), 100.0))  # nothing known of the rest
    drawn, weights = times.draw(draws(5000))
    assert float((drawn < 0.9).double().mean()) == pytest.approx(0.9, abs=0.02)
    assert (weights == 1).all()


def test_the_stft_distance_has_known_values():
    generator_ = generator(3)
    wave = 0.1 * torch.randn(2, 20_000, generator=generator_)
    torch.testing.assert_close(stft_distance(wave, wave), torch.zeros(2))
    # Half the level: |M/2 - M|/|M| = 1/2, and |ln 1/2| nearly everywhere.
    expected = 0.5 + math.log(2)
    assert stft_distance(wave / 2, wave).tolist() == pytest.approx([expected] * 2, abs=1e-3)
    # Items do not see one another.
    both = stft_distance(torch.stack([wave[0], wave[1] / 2]), wave)
    assert both.tolist() == pytest.approx([0, expected], abs=1e-3)


def test_the_stft_term_is_added_where_it_is_counted():
    model = Model(without_dropout())
    batch = degrade(model, segments(22_050, 9000), draws(2))
    t, noise = torch.tensor([0.9, 0.5]), torch.randn(batch.x0.shape, generator=generator(1))
    part = Part(batch, t, torch.ones(2), noise)
    with torch.no_grad():
        plain, more = item_losses(model, part, model), item_losses(model, part, model, 2.0)
        xt = model.bridge.marginal(batch.x0, batch.x1, t).sample(noise)
        x0 = model.denoiser()(xt, t, batch.x1, batch.missing)
        length = (x0.shape[-1] - 1) * model.representation.stride
        made = model.representation.decode(torch.where(batch.counted, x0, batch.x0), length)
        distance = stft_distance(made, model.representation.decode(batch.x0, length))
    values = 3 * batch.counted.sum(dim=(1, 2, 3))
    torch.testing.assert_close(more, plain + 2 * distance * values, rtol=1e-4, atol=1e-3)
    item_losses(model, part, model, 2.0).sum().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def test_the_learning_rate_warms_up_stays_and_decays():
    factor = schedule(OptimizerConfig(warmup_steps=3, decay=0.5), 20)
    assert [factor(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [factor(step) for step in range(4, 11)] == [1.0] * 7
    falling = [1 - k / 10 for k in range(11)]
    assert [factor(step) for step in range(10, 21)] == pytest.approx(falling)
    assert factor(25) == 0
    constant = schedule(OptimizerConfig(), 20)
    assert {constant(step) for step in range(20)} == {1.0}


@pytest.mark.parametrize(("changes", "message"), [
    ({"t_range": (0.5, 0.5)}, "0 <= low < high <= 1"), ({"t_range": (0.5, 1.5)}, "got 0.5, 1.5"),
    ({"batch_size": 16, "accumulate": 3}, "accumulate 3 must divide batch_size 16"),
])
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


