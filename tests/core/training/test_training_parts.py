"""What a training step is made of: damage, what counts, times, loss and learning rate."""

import math

import pytest
import torch
from engine_helpers import RATE, model_config, noise, without_dropout
from hypothesis import given
from hypothesis import strategies as st

from a2sb_core.config.training import OptimizerConfig, TimesConfig, TrainConfig, WeightedLoss
from a2sb_core.interfaces import ComponentConfig, FrozenConfig, State, WaveformCorruption
from a2sb_core.models.model import Model
from a2sb_core.training.data.segments import Segment
from a2sb_core.training.objective import Objective, item_losses, try_batch
from a2sb_core.training.optimizer import schedule
from a2sb_core.training.times import TimeSampler
from a2sb_core.training.training_batch import MicroBatch, TrainingBatch, make_batch
from a2sb_tasks.corruptions.bandwidth import Bandwidth
from a2sb_tasks.losses.spectral import stft_distance


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(count, seed=0):
    return [generator(1000 * seed + k) for k in range(count)]


def segments(*max_hz, length=15 * 64):
    return [Segment(noise(length, seed=k)[0], hz, f"file{k} at 0 s") for k, hz in enumerate(max_hz)]


def with_corruption(**corruption):
    return Model(model_config(corruption=corruption))


def test_the_loss_counts_what_is_missing_below_the_bandwidth_of_the_file():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=9000)
    batch = make_batch(model, segments(22_050, 12_000, 2000), draws(3))
    freqs_hz = model.representation.grid(960).freqs_hz
    assert batch.counted.shape == batch.missing.shape == (3, 1, 128, 16)
    for k, max_hz in enumerate((22_051, 12_000, 2000)):
        expected = batch.missing[k] & (freqs_hz < max_hz)[:, None]
        assert torch.equal(batch.counted[k], expected)
    assert batch.counted[1].any()
    assert not batch.counted[2].any()


def test_every_row_of_full_band_audio_counts():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=9000)
    batch = make_batch(model, segments(22_050, 24_000, float("inf")), draws(3))
    assert torch.equal(batch.counted, batch.missing)


def test_known_content_is_the_clean_and_each_item_has_its_own_damage():
    model = Model(model_config())
    batch = make_batch(model, segments(*[22_050] * 12), draws(12))
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


def test_a_guess_sees_the_context_of_a_segment():
    model = with_corruption(name="inpainting", low_s=0.01, high_s=0.012, fill_std=0)
    guess = {"name": "similar_passage", "reach_s": 0.1, "longest_s": 0.05}
    guessing = with_corruption(name="inpainting", low_s=0.01, high_s=0.012, fill_std=0, guess=guess)
    once = noise(1100, seed=4)[0]
    wave = once.repeat(6)  # no passage of a segment alone resembles another
    context, length = 2048, 15 * 64
    whole = [
        Segment(wave[: 2 * context + length], RATE / 2, "", k, context=context) for k in (0, 1)
    ]
    alone = [Segment(one.trained, RATE / 2, "", one.number) for one in whole]
    plain, found = make_batch(model, alone, draws(2)), make_batch(guessing, whole, draws(2))
    blind = make_batch(guessing, alone, draws(2))
    assert torch.equal(plain.missing, found.missing)
    inner = plain.x0.shape[-1] // 4
    known = ~plain.missing[..., inner:-inner].expand(-1, 3, -1, -1)
    torch.testing.assert_close(found.x0[..., inner:-inner], plain.x0[..., inner:-inner])
    torch.testing.assert_close(
        found.x1[..., inner:-inner][known], plain.x1[..., inner:-inner][known]
    )
    errors = [float((batch.x1 - batch.x0).square().sum()) for batch in (found, blind)]
    assert errors[0] < 0.5 * errors[1]


def test_noise_differs_between_items():
    model = with_corruption(name="bandwidth", low_hz=3000, high_hz=3001)
    first, second = make_batch(model, segments(22_050, 22_050), draws(2)).x1[:, :, 60:]
    assert not torch.equal(first, second)


def test_the_generator_alone_decides():
    model = Model(model_config())
    first = make_batch(model, segments(22_050, 22_050), draws(2, 1))
    torch.manual_seed(77)
    again = make_batch(model, segments(22_050, 22_050), draws(2, 1))
    other = make_batch(model, segments(22_050, 22_050), draws(2, 2))
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


class Either(Hiss):
    """Hiss of the first item, a limited bandwidth of the second."""

    turn = 0

    def degrade(self, item, parameters, noise):
        self.turn += 1
        if self.turn == 1:
            return super().degrade(item, parameters, noise)
        bandwidth = Bandwidth.Config().build()
        return bandwidth.degrade(item, bandwidth.draw(1.0, generator()), noise)


def test_where_everything_may_change_everything_counts():
    model = Model(model_config())
    model.corruption = Hiss.Config().build()
    batch = make_batch(model, segments(22_050, 9000), draws(2))
    assert batch.missing is None
    assert batch.counted[0].all()
    under = model.representation.grid(960).freqs_hz < 9000
    assert torch.equal(batch.counted[1, 0, :, 0], under)
    assert not torch.equal(batch.x1, batch.x0)


def test_damage_of_everything_and_of_a_part_share_a_batch():
    model = Model(model_config())
    model.corruption = Either(Hiss.Config())
    batch = make_batch(model, segments(22_050, 22_050), draws(2))
    assert batch.missing[0].all()
    assert not batch.missing[1].all()
    assert torch.equal(batch.counted, batch.missing)


def mean_loss(network, batch, t, noise):
    part = MicroBatch(batch, t, torch.ones(2), noise)
    (losses,) = item_losses(try_batch(network, part, MODEL), t, PREDICTION).values()
    return losses.sum() / batch.count.clamp(min=1)


def trial_xt(model, batch, t, noise):
    return model.bridge.marginal(batch.x0, batch.x1, t).sample(noise)


MODEL = Model(model_config())
PREDICTION = Objective([WeightedLoss.model_validate({"loss": "prediction"})])


def some_batch(counted):
    x0, x1 = torch.randn(2, 3, 4, 5, generator=generator()), torch.zeros(2, 3, 4, 5)
    return TrainingBatch(x0, x1, counted, counted, ("a", "b"))


def squared(x0, xt, t, x1, missing, conditioning, estimate):
    return (x0 - 1) ** 2, x0


def test_the_loss_is_the_mean_over_what_is_counted():
    counted = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    counted[0, 0, 1:3, 2] = counted[1, 0, 0, :] = True
    batch = some_batch(counted)
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    loss = mean_loss(squared, batch, t, noise)
    values = [*(batch.x0[0, :, 1:3, 2] - 1).flatten(), *(batch.x0[1, :, 0] - 1).flatten()]
    assert float(loss) == pytest.approx(float(torch.stack(values).square().mean()), rel=1e-5)


def test_what_is_not_counted_does_not_move_the_loss():
    counted = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    counted[:, :, 2:] = True
    batch = some_batch(counted)
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    before = mean_loss(squared, batch, t, noise)
    batch.x0[:, :, :2] += 100
    assert mean_loss(squared, batch, t, noise) == before
    batch.x0[:, :, 2:] += 100
    assert mean_loss(squared, batch, t, noise) > before


def test_nothing_counted_is_no_loss():
    batch = some_batch(torch.zeros(2, 1, 4, 5, dtype=torch.bool))
    t, noise = torch.ones(2), torch.zeros(2, 3, 4, 5)
    assert mean_loss(squared, batch, t, noise) == 0


def test_the_network_is_shown_a_draw_from_the_bridge():
    seen = []

    def network(x0, xt, t, x1, missing, conditioning, estimate):
        seen.append((xt, t))
        return x0

    batch = some_batch(torch.ones(2, 1, 4, 5, dtype=torch.bool))
    t, noise = torch.tensor([0.3, 0.8]), torch.randn(2, 3, 4, 5, generator=generator(1))
    mean_loss(network, batch, t, noise)
    a, b, c = (value[:, None, None, None] for value in MODEL.bridge.coefficients(t))
    torch.testing.assert_close(seen[0][0], a * batch.x0 + b * batch.x1 + c * noise)
    assert torch.equal(seen[0][1], t)


def config(**changes):
    return TrainConfig.model_validate(
        {"model": model_config(), "data": {"source": "audio"}, "output": "run", "steps": 10}
        | changes
    )


KINDS = [
    TimesConfig(),
    TimesConfig(bias=3),
    TimesConfig(kind="log_normal", mean=1, std=2),
    TimesConfig(kind="by_loss"),
]


def taught(kind, t_range=(0.0, 1.0)):
    """Return times that have seen losses which grow fourfold over the range."""
    times = TimeSampler(kind, t_range)
    low, high = t_range
    for _ in range(10):
        u = torch.linspace(0, 1, 500)
        times.learn(low + (high - low) * u, 1 + 3 * u)
    return times


@given(low=st.floats(0, 0.9), width=st.floats(0.01, 0.1), kind=st.sampled_from(KINDS))
def test_times_keep_to_their_range(low, width, kind):
    high = low + width
    times, weights = taught(kind, (low, high)).draw(draws(200))
    assert times.shape == weights.shape == (200,)
    assert float(times.min()) >= low - 1e-6
    assert float(times.max()) <= high + 1e-6
    assert float(times.max() - times.min()) > 0.6 * width


@pytest.mark.parametrize("bias", [0.0, 1.0, 4.0])
def test_times_are_uniform_or_grow_towards_one(bias):
    times, _ = TimeSampler(TimesConfig(bias=bias), (0.0, 1.0)).draw(draws(20_000))
    for share in (0.25, 0.5, 0.9):
        earlier = float((times.double() < share).double().mean())
        assert earlier == pytest.approx(share ** (1 + bias), abs=0.015)


def test_the_odds_of_log_normal_times_are_log_normal():
    times, weights = TimeSampler(
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
    t, losses = (torch.rand(50, generator=generator(seed)) for seed in (1, 2))
    ways = []
    for order in (torch.arange(50), torch.arange(49, -1, -1)):
        times = taught(TimesConfig(kind="by_loss"))
        times.learn(t[order], losses[order])
        ways.append(times.means)
    torch.testing.assert_close(*ways)


def test_times_by_loss_begin_uniformly():
    times = TimeSampler(TimesConfig(kind="by_loss"), (0.0, 1.0))
    times.learn(torch.full((5,), 0.95), torch.full((5,), 100.0))  # nothing known of the rest
    drawn, weights = times.draw(draws(5000))
    assert float((drawn < 0.9).double().mean()) == pytest.approx(0.9, abs=0.02)
    assert (weights == 1).all()


def test_the_stft_distance_has_known_values():
    generator_ = generator(3)
    wave = 0.1 * torch.randn(2, 20_000, generator=generator_)
    sizes = (512, 1024, 2048)
    torch.testing.assert_close(stft_distance(wave, wave, sizes), torch.zeros(2))
    # Half the level: |M/2 - M|/|M| = 1/2, and |ln 1/2| nearly everywhere.
    expected = 0.5 + math.log(2)
    assert stft_distance(wave / 2, wave, sizes).tolist() == pytest.approx([expected] * 2, abs=1e-3)
    # Items do not see one another.
    both = stft_distance(torch.stack([wave[0], wave[1] / 2]), wave, sizes)
    assert both.tolist() == pytest.approx([0, expected], abs=1e-3)


def test_terms_are_added_where_content_counts():
    model = Model(without_dropout())
    batch = make_batch(model, segments(22_050, 9000), draws(2))
    t, noise = torch.tensor([0.9, 0.5]), torch.randn(batch.x0.shape, generator=generator(1))
    part = MicroBatch(batch, t, torch.ones(2), noise)
    terms = [{"loss": "prediction"}, {"loss": "stft_distance", "weight": 2.0, "max_t": 0.7}]
    objective = Objective([WeightedLoss.model_validate(term) for term in terms])
    trial = try_batch(model, part, model)
    found = item_losses(trial, t, objective)
    with torch.no_grad():
        state = State(trial_xt(model, batch, t, noise), t, batch.x1, batch.missing)
        errors, x0 = model.errors(batch.x0, state), model.denoiser()(state)
        length = (x0.shape[-1] - 1) * model.representation.stride
        made = model.representation.decode(torch.where(batch.counted, x0, batch.x0), length)
        clean = model.representation.decode(batch.x0, length)
        distance = stft_distance(made, clean, (512, 1024, 2048))
    values = 3 * batch.counted.sum(dim=(1, 2, 3))
    plain = (errors * batch.counted).sum(dim=(1, 2, 3))
    torch.testing.assert_close(found["prediction"].detach(), plain, rtol=1e-4, atol=1e-3)
    wanted = 2 * distance * values * torch.tensor([0.0, 1.0])
    torch.testing.assert_close(found["stft_distance"].detach(), wanted, rtol=1e-4, atol=1e-3)
    sum(loss.sum() for loss in found.values()).backward()
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_range": (0.5, 0.5)}, "0 <= low < high <= 1"),
        ({"t_range": (0.5, 1.5)}, "got 0.5, 1.5"),
        ({"batch_size": 16, "accumulate": 3}, "accumulate 3 must divide batch_size 16"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)
