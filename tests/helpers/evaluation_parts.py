"""A plugin with restorers and metrics for tests of the evaluation."""

import torch
from pydantic import Field

from a2sb_core.interfaces import A2SBError, AudioRestorer, ComponentConfig, Metric, TaskError
from a2sb_core.plugins import hookimpl, reset

CALLS = []
ENTRY_POINTS = "[a2sb]\ntest_parts = evaluation_parts\n"


class Half(AudioRestorer):
    """Scales; counts its calls."""

    class Config(ComponentConfig):
        name: str = "half"
        factor: float = Field(0.5, gt=0)

    def restore_audio(self, wave, sample_rate, task, parameters):
        CALLS.append((task, tuple(parameters)))
        return self.config.factor * wave


class Broken(AudioRestorer):
    """Fails on loud audio, fills no gaps, and returns nonsense or cannot run on request."""

    class Config(ComponentConfig):
        name: str = "broken"
        returns: str = ""

    def check(self):
        if self.config.returns == "nothing":
            raise A2SBError("install the package absent")

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


class Gain(Metric):
    """Mean ratio of the estimate to the truth; with ``strict`` an error on silence."""

    higher_is_better = True

    class Config(ComponentConfig):
        name: str = "gain"
        scale: float = 1.0
        strict: bool = False

    def measure(self, truth, estimate, sample_rate):
        CALLS.append("gain")
        if self.config.strict and not torch.any(truth):
            raise ValueError("silence")
        return self.config.scale * float(estimate.abs().sum() / truth.abs().sum())


@hookimpl
def a2sb_register(registrar):
    """Register the parts."""
    for part in (Half, Broken, Gain):
        name = part.Config.model_fields["name"].default
        registrar.add(part.kind, name, f"evaluation_parts:{part.__name__}")


def install(folder, monkeypatch):
    """Install the plugin into a folder of distributions for one test."""
    info = folder / "test_parts-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))
    CALLS.clear()
    reset()
