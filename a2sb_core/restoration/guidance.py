"""The denoiser of a restoration, which a sampler may guide by what was recorded."""

from __future__ import annotations

from a2sb_core.errors import TaskError
from a2sb_core.interfaces import Corruption, Denoiser, Differentiable, MaskCorruption, Measurement
from a2sb_core.models.model import Model
from a2sb_core.restoration.plan import Plan


def corruption_for(model: Model, task: str) -> Corruption:
    """Return the corruption of a model that serves a task.

    Raises:
        TaskError: the model does not serve the task, or its sampler is guided by the damage, which
            cannot be differentiated.
    """
    corruption = model.corruption.for_task(task)
    if model.sampler.guides and not isinstance(corruption, Differentiable | MaskCorruption):
        raise TaskError(
            f"the sampler `{model.config.sampler.name}` of this model is guided by the damage, but "
            f"the corruption `{corruption.config.name}` (task `{corruption.task}`) has no method "
            "`forward` that can be differentiated: choose a sampler without guidance, or add the "
            "interface `Differentiable` to the corruption"
        )
    return corruption


def plan_denoiser(model: Model, plan: Plan) -> Denoiser:
    """Return the denoiser of a model for the damage of a plan, guided if the sampler guides."""
    damage, denoiser = plan.damage, model.denoiser(plan.damage.scaled)
    measurement = Measurement(
        damage.corruption, damage.parameters, model.representation, plan.gains
    )
    return plan.sampler.guide(denoiser, measurement)


def windows_together(model: Model, plan: Plan) -> int:
    """Return how many consecutive items the denoiser must receive together.

    Guidance needs all channels of a recording.
    """
    return plan.channels // model.representation.audio_channels if plan.sampler.guides else 1
