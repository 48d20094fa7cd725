"""State: the position of a bridge at a time, the input of predictions and samplers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class State:
    """The position of a bridge at a time, and its degraded end.

    Attributes:
        xt: x_t, (B, ch, F, W).
        t: time of each item in [0, 1], (B,).
        x1: the degraded end of the bridge, (B, ch, F, W).
        missing: boolean tensor (B, 1, F, W), True where content is to be restored; None if
            everything may change.
    """

    xt: Tensor
    t: Tensor
    x1: Tensor
    missing: Tensor | None = None

    def map(self, cut: Callable[[Tensor], Tensor], t: Tensor | None = None) -> State:
        """Return the state with ``cut`` applied to its tensors, and ``t`` replaced if given."""
        missing = None if self.missing is None else cut(self.missing)
        return State(cut(self.xt), self.t if t is None else t, cut(self.x1), missing)
