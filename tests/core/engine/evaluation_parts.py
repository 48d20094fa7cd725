"""Restorers and metrics for tests of the evaluation."""

import torch
from pydantic import Field

from a2sb_core.interfaces import A2SBError, AudioRestorer, ComponentConfig, Metric, TaskError
from a2sb_core.plugins import Entry, Registry, default_registry

CALLS = []


class Half(AudioRestorer):
    """Scales; counts its calls."""

    class Config(ComponentConfig):
        name: str = "half"
        factor: float = Field(0.5, gt=0)

    def restore_audio(self, wave, sample_rate, task, parameters):
        CALLS.append((task, tuple(parameters)))
        return self.config.factor * wave


class Broken(AudioRestorer):
    """Fails on loud audio, does no gaps, and returns nonsense where it is told to."""

    class Config(ComponentConfig):
        name: str = "broken"
        returns: str = ""

    def restore_audio(self, wave, sample_rate, task, parameters):
        if task == "inpaint":
            raise TaskError("only bandwidth")
        if self.config.returns == "short":
            return wave[:, :-1]
        if self.config.returns == "nan":
            return wave * float("nan")
        if wave.abs().max() > 1:
            raise RuntimeError("too loud\nfor me")
        return wave


class Absent(AudioRestorer):
    class Config(ComponentConfig):
        name: str = "absent"

    def check(self):
        raise A2SBError("install the package absent")

    def restore_audio(self, wave, sample_rate, task, parameters):
        raise AssertionError


class Gain(Metric):
    """Mean ratio of the estimate to the truth."""

    higher_is_better = True

    class Config(ComponentConfig):
        name: str = "gain"
        scale: float = 1.0

    def measure(self, truth, estimate, sample_rate):
        CALLS.append("gain")
        return self.config.scale * float(estimate.abs().sum() / truth.abs().sum())


class Picky(Metric):
    """Fails on silence."""

    higher_is_better = True

    class Config(ComponentConfig):
        name: str = "picky"

    def measure(self, truth, estimate, sample_rate):
        if not torch.any(truth):
            raise ValueError("silence")
        return 1.0


def registry():
    """The default registry and the parts above."""
    added = [
        Entry(cls.kind, cls.Config.model_fields["name"].default,
              f"evaluation_parts:{cls.__name__}", "", "test", "test-parts", "1.0")
        for cls in (Half, Broken, Absent, Gain, Picky)
    ]
    return Registry([*default_registry().entries(), *added])
