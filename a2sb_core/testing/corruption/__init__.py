"""Laws of corruptions: of the damage they do in training, and of its restoration."""

from a2sb_core.testing.corruption import degrading, differentiating, inspecting, restoring
from a2sb_core.testing.corruption.samples import build, calls

__all__ = ["build", "calls", "degrading", "differentiating", "inspecting", "restoring"]
