"""A component of each kind that obeys every law, in as few lines as its interface allows."""

from typing import ClassVar

import torch

from a2sb_core.errors import ConfigError, ModelError, TaskError
from a2sb_core.interfaces import (
    ENDLESS,
    AudioRestorer,
    Backbone,
    BlockPair,
    ComponentConfig,
    Converted,
    Converter,
    Damaged,
    Differentiable,
    Finisher,
    FrozenConfig,
    Guess,
    Loss,
    MaskCorruption,
    Metric,
    Outcome,
    Prediction,
    Protocol,
    StepSampler,
    WaveformCorruption,
    WindowSampler,
    mean_of,
)
from a2sb_core.restoration.windows import as_window_sampler
from a2sb_core.testing import Case
from a2sb_core.testing.parts import Spectra, Steady

TENTH = Outcome(torch.ones(1, 4), torch.full((1, 4), 0.9), 44100)


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


class Level(Guess):
    class Config(ComponentConfig):
        name: str = "level"

    def guess(self, item, missing, lost):
        known = (~missing).sum(dim=-2, keepdim=True).clamp(min=1)
        return (item.z.sum(dim=-2, keepdim=True) / known).expand_as(item.z)


class Absolute(Loss):
    class Config(ComponentConfig):
        name: str = "absolute"

    def forward(self, trial):
        return mean_of(trial, (trial.estimate - trial.x0).abs())


class Clean(Prediction):
    class Config(ComponentConfig):
        name: str = "clean"

    def denoise(self, network, bridge, state):
        return network(state.xt, state.t, None)

    def errors(self, network, bridge, x0, state):
        return (network(state.xt, state.t, None) - x0) ** 2


class Jump(StepSampler):
    class Config(StepSampler.Config):
        name: str = "jump"
        steps: int = 4

    def step(self, bridge, x0, state, step, noise):
        return x0 + (state.xt - x0) * float(step.s / step.t) + 0.01 * noise


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


class Mute(Protocol):
    task = "mute"

    class Config(ComponentConfig):
        name: str = "mute"

    @classmethod
    def parse(cls, text):
        if text:
            raise ConfigError("expected no argument")
        return cls.Config().build()

    def damage(self, wave, sample_rate, generator):
        return Damaged(0 * wave, {})


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
        try:
            (path,) = sources
            with torch.device("meta"):
                network = Affine.Config().build(channels=1)
            network.load_state_dict(torch.load(path, weights_only=True), assign=True)
        except Exception as error:
            raise ModelError(f"not understood: {', '.join(map(str, sources))}") from error
        return Converted(network, {})


def write_checkpoint(folder, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = Affine.Config().build(channels=1).state_dict()
    state = {key: torch.randn(value.shape, generator=generator) for key, value in weights.items()}
    torch.save(state, folder / "weights.pt")
    return [folder / "weights.pt"]


class Hiss(WaveformCorruption):
    task = "hiss"

    class Config(ComponentConfig):
        name: str = "hiss"

    class Parameters(FrozenConfig):
        level: float

    def draw(self, duration_s, generator):
        return self.Parameters(level=float(torch.rand((), generator=generator)))

    def apply(self, wave, parameters, noise, sample_rate):
        frames = -(-wave.shape[-1] // noise.rows)
        hiss = noise.at(0, 0, frames)[0].flatten()[: wave.shape[-1]]
        return wave + parameters.level * hiss


class Gap(MaskCorruption):
    task = "gap"

    class Config(MaskCorruption.Config):
        name: str = "gap"

    class Parameters(FrozenConfig):
        start_s: float
        end_s: float

    def draw(self, duration_s, generator):
        start_s = duration_s * (0.2 + 0.4 * float(torch.rand((), generator=generator)))
        return self.Parameters(start_s=start_s, end_s=start_s + 0.02)

    def missing(self, grid, parameters):
        reach = grid.frame_s / 2
        after = grid.times_s > parameters.start_s - reach
        return (after & (grid.times_s < parameters.end_s + reach)).expand(grid.shape)

    def inspect(self, recording, given=None):
        if given is not None:
            return super().inspect(recording, given)
        silent = torch.cat([(block == 0).all(0) for block in recording.raw_blocks()]).nonzero()
        if not len(silent):
            return None
        start_s, end_s = (float(sample) / recording.sample_rate for sample in silent[[0, -1], 0])
        return self.Parameters(start_s=start_s, end_s=end_s)

    def stretches(self, parameters):
        return ((parameters.start_s, parameters.end_s),)


class Dropout(MaskCorruption):
    """The lowest rows of a stretch: nothing is lost, and it cannot be found."""

    task = "dropout"

    class Config(MaskCorruption.Config):
        name: str = "dropout"

    class Parameters(FrozenConfig):
        start_s: float
        edge_hz: float

    def draw(self, duration_s, generator):
        u, v = torch.rand(2, generator=generator).tolist()
        return self.Parameters(start_s=0.5 * u * duration_s, edge_hz=60 + 300 * v)

    def missing(self, grid, parameters):
        ((start_s, end_s),) = self.stretches(parameters)
        frames = (grid.times_s > start_s) & (grid.times_s < end_s)
        return (grid.freqs_hz < parameters.edge_hz)[:, None] & frames

    def stretches(self, parameters):
        return ((parameters.start_s, parameters.start_s + 0.1),)

    def lost(self, parameters):
        return ()


class Muffle(Differentiable, WaveformCorruption):
    task = "muffle"
    ranges: ClassVar = {"cutoff_hz": (2000, 8000)}

    class Config(ComponentConfig):
        name: str = "muffle"

    class Parameters(FrozenConfig):
        cutoff_hz: float

    def apply(self, wave, parameters, noise, sample_rate):
        return self.forward(wave, parameters, sample_rate)

    def forward(self, wave, parameters, sample_rate):
        spectrum = torch.fft.rfft(wave)
        freqs_hz = torch.fft.rfftfreq(wave.shape[-1], 1 / sample_rate)
        return torch.fft.irfft(spectrum * (freqs_hz < parameters.cutoff_hz), wave.shape[-1])

    def inspect(self, recording, given=None):
        if given is not None:
            return given
        wave = torch.cat(list(recording.blocks()), dim=-1)
        size = torch.fft.rfft(wave).abs().amax(0)
        last = int((size > 1e-3 * size.max()).nonzero()[-1])
        return self.Parameters(cutoff_hz=last * recording.sample_rate / wave.shape[-1])


class Whole(Jump, WindowSampler):
    """Sees the whole recording as one window."""

    window = None

    def stream(self, denoiser, bridge, noise, on_frames=None):
        whole = as_window_sampler(Jump.Config().build())
        return whole.stream(denoiser, bridge, noise, on_frames)

    def needed(self, missing):
        return ((0, ENDLESS),)

    def warm_up(self, frame, items, multiple):
        return 0

    def frames_held(self, items):
        return 0

    def with_batch(self, windows):
        return self


class Edits(Finisher):
    def __init__(self, edit):
        self.edit = edit

    def finish(self, blocks, first=0):
        for restored, damaged in blocks:
            yield self.edit(BlockPair(restored, damaged))


class Finished(Hiss):
    def edit(self, pair):
        return pair

    def finisher(self, parameters, sample_rate):
        return Edits(self.edit)


SANE = [
    Case(Spectra.Config()),
    Case(Octave.Config(), ranges={"low_hz": (2000, 3000)}),
    Case(Gap.Config()),
    Case(Dropout.Config()),
    Case(Hiss.Config()),
    Case(Muffle.Config()),
    Case(Steady.Config()),
    Case(Level.Config()),
    Case(Absolute.Config()),
    Case(Clean.Config()),
    Case(Jump.Config()),
    Case(Affine.Config()),
    Case(MeanSquare.Config(), known_values=((TENTH, 0.01),)),
    Case(Mute.Config()),
    Case(Louder.Config()),
    Case(Reader.Config(), checkpoint=write_checkpoint),
]
