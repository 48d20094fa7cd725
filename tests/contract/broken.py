"""Components that break one law each, made from ones that obey all; the kit must catch each."""

import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from pydantic import ConfigDict

from a2sb_core.errors import A2SBError, ModelError, TaskError
from a2sb_core.interfaces import (
    AudioRestorer,
    Backbone,
    ComponentConfig,
    Converted,
    Converter,
    Degraded,
    FrozenConfig,
    Gaussian,
    MaskCorruption,
    Metric,
    Outcome,
    Prediction,
    StepSampler,
    WaveformCorruption,
    per_item,
)
from a2sb_core.testing import Case
from a2sb_core.testing.parts import Brownian, Spectra

BROKEN = []
"""Triples (law, broken class, what its Case says besides)."""

TENTH = Outcome(torch.ones(1, 4), torch.full((1, 4), 0.9), 44100)


def sane(cls=None, **fields):
    """Give a class a Config of its own."""
    config = type("Config", (cls.Config,), {"__module__": cls.__module__, **fields})
    config.component = cls
    cls.Config = config
    return cls


def breaks(law, **more):
    def add(cls):
        BROKEN.append((law, sane(cls), more))
        return cls

    return add


# What is sane.


class Octave(MaskCorruption):
    task = "octave"

    class Config(MaskCorruption.Config):
        name: str = "octave"

    class Parameters(FrozenConfig):
        low_hz: float

    def draw(self, duration_s, generator):
        return self.Parameters(low_hz=2000 + 1000 * float(torch.rand((), generator=generator)))

    def missing(self, grid, parameters):
        low = parameters.low_hz
        rows = (grid.freqs_hz >= low) & (grid.freqs_hz < 4 * low)
        return rows[:, None].expand(grid.shape)


class Clean(Prediction):
    class Config(ComponentConfig):
        name: str = "clean"

    def denoise(self, network, bridge, xt, t, x1, missing):
        return network(xt, t, None)

    def errors(self, network, bridge, x0, xt, t, x1, missing):
        return (network(xt, t, None) - x0) ** 2


class Jump(StepSampler):
    class Config(StepSampler.Config):
        name: str = "jump"
        steps: int = 4

    def step(self, bridge, x0, xt, x1, step, noise):
        return x0 + (xt - x0) * float(step.s / step.t) + 0.01 * noise


class Affine(Backbone):
    class Config(ComponentConfig):
        name: str = "affine"

    def __init__(self, config, channels, condition_channels=0):
        super().__init__(config, channels, condition_channels)
        self.mix = torch.nn.Conv2d(channels + condition_channels, channels, 3, padding=1)

    def forward(self, x, t, condition=None):
        x = x if condition is None else torch.cat([x, condition], 1)
        return self.mix(x) * (1 + t)[:, None, None, None]


class MeanSquare(Metric):
    higher_is_better = False

    class Config(ComponentConfig):
        name: str = "mean_square"

    def measure(self, truth, estimate, sample_rate):
        return float(((truth - estimate) ** 2).mean())


class Louder(AudioRestorer):
    class Config(ComponentConfig):
        name: str = "louder"

    def restore_audio(self, wave, sample_rate, task, parameters):
        if task != "bandwidth":
            raise TaskError("bandwidth only")
        return 1.5 * wave


class Reader(Converter):
    notice = "These weights are in the public domain."

    class Config(ComponentConfig):
        name: str = "reader"

    def convert(self, sources):
        raise ModelError(f"not understood: {', '.join(map(str, sources))}")


class Hiss(WaveformCorruption):
    task = "hiss"

    class Config(ComponentConfig):
        name: str = "hiss"

    class Parameters(FrozenConfig):
        level: float

    def draw(self, duration_s, generator):
        return self.Parameters(level=float(torch.rand((), generator=generator)))

    def apply(self, wave, parameters, noise, sample_rate):
        hiss = noise.at(0, 0, wave.shape[-1]).flatten()[: wave.shape[-1]]
        return wave + parameters.level * hiss


class AsIs(Spectra):
    pass


class Bridge(Brownian):
    pass


SANE = [
    Case(sane(AsIs).Config()), Case(Octave.Config(), ranges={"low_hz": (2000, 3000)}),
    Case(Hiss.Config()), Case(sane(Bridge).Config()), Case(Clean.Config()), Case(Jump.Config()),
    Case(Affine.Config()), Case(MeanSquare.Config(), known_values=((TENTH, 0.01),)),
    Case(Louder.Config()), Case(Reader.Config()),
]

# Laws of every kind.


@breaks("config_round_trips")
class Forgetful(Louder):
    def __init__(self, config):
        super().__init__(type(config)())
        self.config = None


@breaks("config_refuses_unknown_fields")
class Careless(Louder):
    class Config(Louder.Config):
        model_config = ConfigDict(extra="ignore")


@breaks("same_seed_same_result")
class Counts(Louder):
    made = 0

    def restore_audio(self, wave, sample_rate, task, parameters):
        Counts.made += 1
        return super().restore_audio(wave, sample_rate, task, parameters) + Counts.made


@breaks("inputs_are_not_changed")
class InPlace(Louder):
    def restore_audio(self, wave, sample_rate, task, parameters):
        super().restore_audio(wave, sample_rate, task, parameters)
        return wave.mul_(1.5)


@breaks("global_randomness_is_untouched")
class DrawsGlobally(Octave):
    def draw(self, duration_s, generator):
        return self.Parameters(low_hz=2000 + 1000 * float(torch.rand(())))


@breaks("global_randomness_is_untouched")
class SeedsGlobally(Octave):
    def draw(self, duration_s, generator):
        torch.manual_seed(0)
        return super().draw(duration_s, generator)


@breaks("global_randomness_is_untouched")
class DrawsFromNumpy(Hiss):
    def apply(self, wave, parameters, noise, sample_rate):
        return wave + float(np.random.rand())


@breaks("global_randomness_is_untouched")
class DrawsFromRandom(Hiss):
    def apply(self, wave, parameters, noise, sample_rate):
        return wave + random.random()


@breaks("float32_stays_float32")
class Doubles(Bridge):
    def marginal(self, x0, x1, t):
        return super().marginal(x0.double(), x1.double(), t)


@breaks("batch_equals_singles")
class Normalizes(Spectra):
    def encode(self, wave):
        return super().encode(wave / wave.abs().amax())


# Representations.


@breaks("inverse")
class Fades(Spectra):
    def decode(self, z, length):
        return 1.01 * super().decode(z, length)


@breaks("exact_length")
class RoundsUp(Spectra):
    def decode(self, z, length):
        return super().decode(z, self.frames(length) * self.stride)


@breaks("silence_is_finite")
class Divides(Spectra):
    def encode(self, wave):
        z = super().encode(wave)
        return z * (z.abs().amax() / z.abs().amax())


@breaks("grid_fits")
class WrongTimes(Spectra):
    def grid(self, length):
        grid = super().grid(length)
        return type(grid)(grid.sample_rate, grid.freqs_hz, grid.times_s * 2, grid.frame_s)


@breaks("projection_is_idempotent")
class Shrinks(Spectra):
    def project(self, z):
        return 0.9 * z


@breaks("refining_keeps_the_known")
class Smears(Spectra):
    def refine(self, z, missing, length):
        return 0.5 * (z + z.roll(1, dims=-1))


@breaks("encoding_in_pieces")
class LooksFar(Spectra):
    def encode(self, wave):
        z = super().encode(wave)
        return z + 0.1 * z.roll(4, dims=-1)


@breaks("encoding_in_pieces")
class SaysTooLittle(Spectra):
    def __init__(self, config):
        super().__init__(config)
        self.context = 0


@breaks("decoding_in_pieces")
class SpreadsFar(Spectra):
    def decode(self, z, length):
        return super().decode(z + 0.1 * z.roll(4, dims=-1), length)


# Corruptions.


@breaks("items_are_not_changed")
class Overwrites(Octave):
    def degrade(self, item, parameters, noise):
        item.z.mul_(0.5)
        return super().degrade(item, parameters, noise)


@breaks("missing_is_boolean")
class Floats(Octave):
    def degrade(self, item, parameters, noise):
        done = super().degrade(item, parameters, noise)
        return Degraded(done.x1, done.missing.to(torch.uint8))


@breaks("damage_is_done")
class HidesNothing(Octave):
    def missing(self, grid, parameters):
        return torch.zeros_like(super().missing(grid, parameters))


@breaks("damage_is_done")
class HidesAll(Octave):
    def missing(self, grid, parameters):
        return torch.ones_like(super().missing(grid, parameters))


@breaks("masks_know_no_rows")
class CountsRows(Octave):
    def missing(self, grid, parameters):
        rows = torch.arange(len(grid.freqs_hz)) >= 5
        return rows[:, None].expand(grid.shape)


@breaks("masks_know_no_rows")
class CountsFrames(Octave):
    def missing(self, grid, parameters):
        frames = torch.arange(len(grid.times_s)) < 20
        return frames.expand(grid.shape)


@breaks("untouched_outside_missing")
class Leaks(Octave):
    def degrade(self, item, parameters, noise):
        done = super().degrade(item, parameters, noise)
        return Degraded(done.x1 + 1e-6, done.missing)


@breaks("observe_looks_at_the_known_only")
class Peeks(Octave):
    def observe(self, item, parameters, noise):
        done = super().observe(item, parameters, noise)
        return Degraded(torch.where(done.missing, 0.9 * done.x1 + 0.1 * item.z, item.z),
                        done.missing)


@breaks("observing_in_pieces")
class ForgetsItsPlace(Octave):
    def observe(self, item, parameters, noise):
        mask = self.missing(item.grid, parameters)[None, None]
        fill = noise.at(0, 0, item.z.shape[-1])
        return Degraded(torch.where(mask, fill, item.z), mask)


@breaks("the_truth_is_kept")
class TrustsTheDamage(Hiss):
    def reconcile(self, restored, damaged, parameters):
        return damaged


@breaks("polishing_in_pieces")
class PolishesBlocks(Hiss):
    def polish(self, blocks, parameters, sample_rate, first=0):
        for block in blocks:
            yield block / block.abs().amax()


@breaks("polishing_in_pieces")
class PolishesTheKnown(Octave):
    def stretches(self, parameters):
        return ((0.1, 0.2),)

    def polish(self, blocks, parameters, sample_rate, first=0):
        for block in blocks:
            yield 0.5 * block


@breaks("parameters_lie_in_their_ranges", ranges={"low_hz": (2000, 3000)})
class TooHigh(Octave):
    def draw(self, duration_s, generator):
        low = super().draw(duration_s, generator).low_hz
        return self.Parameters(low_hz=low + 100)


@breaks("draws_vary")
class AlwaysTheSame(Octave):
    def draw(self, duration_s, generator):
        return self.Parameters(low_hz=2500)


@breaks("tasks_are_served")
class ServesAll(Octave):
    def for_task(self, task):
        return self


@breaks("looking_for_damage")
class FindsANumber(Octave):
    def detect(self, blocks, sample_rate):
        return 4000.0


# Bridges.


@breaks("ends_are_fixed")
class MissesTheEnd(Bridge):
    def coefficients(self, t):
        return 1 - t, t, (t * (1 - t) + 1e-3).sqrt()


@breaks("finite_near_the_ends")
class Diverges(Bridge):
    def coefficients(self, t):
        a, b, c = super().coefficients(t)
        return a, b, c * c / (t * (1 - t)).sqrt().where(t < 1 - 1e-5, 0)


@breaks("steps_compose")
class ForgetsItsMean(Bridge):
    def posterior(self, x0, xt, t, s):
        r = per_item(s / t, xt) ** 1.01
        return Gaussian((1 - r) * x0 + r * xt, super().posterior(x0, xt, t, s).variance)


@breaks("steps_compose")
class TooMuchNoise(Bridge):
    def posterior(self, x0, xt, t, s):
        one = super().posterior(x0, xt, t, s)
        return Gaussian(one.mean, 1.02 * one.variance)


@breaks("steps_of_no_length_and_to_the_end")
class NeverStill(Bridge):
    def posterior(self, x0, xt, t, s):
        one = super().posterior(x0, xt, t, s)
        return Gaussian(one.mean, one.variance + 1e-4)


@breaks("times_are_per_item")
class TakesTheFirstTime(Bridge):
    def marginal(self, x0, x1, t):
        return super().marginal(x0, x1, t.flatten()[0])


@breaks("sigma_grows")
class SigmaFalls(Bridge):
    def sigma(self, t):
        return (t * (1 - t)).sqrt()


# Predictions.


@breaks("errors_are_not_negative")
class TakesTheMean(Clean):
    def errors(self, *given):
        return super().errors(*given).mean(dim=-1)


@breaks("zero_loss_denoises")
class AsksForAnother(Clean):
    def denoise(self, network, bridge, xt, t, x1, missing):
        return 1.02 * network(xt, t, None)


@breaks("gradients_vanish_at_the_truth")
class Absolute(Clean):
    def errors(self, network, bridge, x0, xt, t, x1, missing):
        return (network(xt, t, None) - x0 - 0.05).abs()


@breaks("finite_at_the_ends")
class DividesByTime(Clean):
    def errors(self, network, bridge, x0, xt, t, x1, missing):
        return ((network(xt, t, None) - x0) / per_item(t, xt)) ** 2


@breaks("condition_has_its_channels")
class TellsUnasked(Clean):
    def denoise(self, network, bridge, xt, t, x1, missing):
        return network(xt, t, x1)


@breaks("truth_is_not_told")
class TellsTheTruth(Clean):
    condition_channels = 3

    def denoise(self, network, bridge, xt, t, x1, missing):
        return network(xt, t, x1)

    def errors(self, network, bridge, x0, xt, t, x1, missing):
        return (network(xt, t, x0) - x0) ** 2


# Samplers.


@breaks("perfect_denoiser_gives_x0")
class StopsEarly(Jump):
    def times(self):
        return super().times().clamp(min=0.05)


@breaks("observed_content_is_kept")
class LosesTheKnown(Jump):
    def sample(self, denoiser, bridge, x1, missing, noise, on_step=None):
        return super().sample(denoiser, bridge, x1, None, noise, on_step)


@breaks("times_are_told")
class TellsScalars(Jump):
    def sample(self, denoiser, bridge, x1, missing, noise, on_step=None):
        def told(xt, t, x1, missing):
            return denoiser(xt, t[:1].reshape(()), x1, missing)

        return super().sample(told, bridge, x1, missing, noise, on_step)


@breaks("steps_are_reported")
class Silent(Jump):
    def sample(self, denoiser, bridge, x1, missing, noise, on_step=None):
        return super().sample(denoiser, bridge, x1, missing, noise)


@breaks("step_is_elementwise_in_frames")
class MixesFrames(Jump):
    def step(self, bridge, x0, xt, x1, step, noise):
        return super().step(bridge, x0 - 0.01 * x0.mean(dim=-1, keepdim=True), xt, x1, step, noise)


class Streaming(Jump):
    """Streams through what collects the pieces, changed by ``spoil``."""

    def stream(self, denoiser, bridge, noise, on_frames=None):
        inner, spoil = super().stream(denoiser, bridge, noise, on_frames), self.spoil

        class Spoiled:
            def push(self, piece):
                return inner.push(spoil(piece))

            def finish(self, frames):
                return inner.finish(frames)

        return Spoiled()


@breaks("stream_equals_whole")
class StreamForgetsTheRegion(Streaming):
    def spoil(self, piece):
        return type(piece)(piece.start, piece.x, None)


@breaks("stream_needs_what_it_says")
class NeedsMore(Jump):
    def needed(self, missing):
        return ((20, 40),)

    def stream(self, denoiser, bridge, noise, on_frames=None):
        inner = super().stream(denoiser, bridge, noise, on_frames)

        class Placed:
            first = None

            def push(self, piece):
                self.first = piece.start if self.first is None else self.first
                return inner.push(piece)

            def finish(self, frames):
                (one,) = inner.finish(frames)
                return [type(one)(self.first, one.x, one.missing)]

        return Placed()


@breaks("warm_up_suffices")
class StartsCold(Jump):
    """Each frame echoes the one before: a stream must have seen all of them."""

    def needed(self, missing):
        return ((0, 4),)

    def warm_up(self, frame, items, multiple):
        return frame // multiple * multiple

    def stream(self, denoiser, bridge, noise, on_frames=None):
        class Echoing:
            last = 0.0

            def push(self, piece):
                for frame in piece.x.unbind(dim=-1):
                    self.last = frame + 0.9 * self.last
                return [type(piece)(piece.start, piece.x + self.last[..., None], piece.missing)]

            def finish(self, frames):
                return []

        return Echoing()


# Backbones.


@breaks("shape_is_kept")
class Grows(Affine):
    def forward(self, x, t, condition=None):
        return torch.nn.functional.pad(super().forward(x, t, condition), (0, 1))


@breaks("time_is_per_item")
class MeanTime(Affine):
    def forward(self, x, t, condition=None):
        return super().forward(x, t.mean().expand(len(t)), condition)


@breaks("time_is_heard")
class KnowsNoTime(Affine):
    def forward(self, x, t, condition=None):
        return super().forward(x, torch.zeros_like(t), condition)


@breaks("items_are_independent")
class BatchNorm(Affine):
    def forward(self, x, t, condition=None):
        y = super().forward(x, t, condition)
        return (y - y.mean()) / y.std() if self.training else y


@breaks("gradients_reach_all_parameters")
class Detaches(Affine):
    def __init__(self, config, channels, condition_channels=0):
        super().__init__(config, channels, condition_channels)
        self.unused = torch.nn.Parameter(torch.ones(3))


@breaks("weights_save_and_load")
class KeepsAside(Affine):
    def __init__(self, config, channels, condition_channels=0):
        super().__init__(config, channels, condition_channels)
        self.aside = torch.randn(())

    def forward(self, x, t, condition=None):
        return super().forward(x, t, condition) + self.aside


# Metrics.


@breaks("answers_with_a_number")
class AnswersWithATensor(MeanSquare):
    def measure(self, truth, estimate, sample_rate):
        return ((truth - estimate) ** 2).mean()


@breaks("equal_recordings_are_best")
class WorstAtTheTruth(MeanSquare):
    def measure(self, truth, estimate, sample_rate):
        value = super().measure(truth, estimate, sample_rate)
        return value if value else 1.0


@breaks("more_noise_is_worse")
class WrongDirection(MeanSquare):
    higher_is_better = True


@breaks("channels_count_alike")
class FirstChannel(MeanSquare):
    def measure(self, truth, estimate, sample_rate):
        return super().measure(truth[:1], estimate[:1], sample_rate)


@breaks("known_values_are_met", known_values=((TENTH, 0.01),))
class TwiceAsMuch(MeanSquare):
    def measure(self, truth, estimate, sample_rate):
        return 2 * super().measure(truth, estimate, sample_rate)


@breaks("known_values_are_met")
class GivesNoKnownValue(MeanSquare):
    pass


# Restorers.


@breaks("does_a_task")
class RefusesAll(Louder):
    def restore_audio(self, wave, sample_rate, task, parameters):
        raise TaskError("not today")


@breaks("does_a_task")
class LacksAPackage(Louder):
    def check(self):
        raise A2SBError("needs a package")


@breaks("length_and_channels_are_kept")
class MakesMono(Louder):
    def restore_audio(self, wave, sample_rate, task, parameters):
        return super().restore_audio(wave, sample_rate, task, parameters).mean(0, keepdim=True)


@breaks("silence_stays_finite")
class NormalizesLevel(Louder):
    def restore_audio(self, wave, sample_rate, task, parameters):
        loud = super().restore_audio(wave, sample_rate, task, parameters)
        return loud / loud.abs().max()


@breaks("unknown_tasks_are_refused")
class LooksUpTasks(Louder):
    def restore_audio(self, wave, sample_rate, task, parameters):
        return {"bandwidth": 1.5, "inpaint": 1.0}[task] * wave


# Converters.


@breaks("licence_is_told")
class SaysNothing(Reader):
    notice = ""


@breaks("foreign_files_are_refused")
class TakesAnything(Reader):
    def convert(self, sources):
        return Converted(Affine.Config().build(channels=1), {})


@breaks("sources_are_left_alone")
class LeavesScraps(Reader):
    def convert(self, sources):
        for source in sources:
            folder = Path(source).parent
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
                file.write(b"scrap")
        return super().convert(sources)
