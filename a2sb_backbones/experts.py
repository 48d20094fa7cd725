"""Experts: a network for each range of t (section 3.5)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BeforeValidator, field_validator
from torch import Tensor, nn

from a2sb_core.errors import ModelError
from a2sb_core.interfaces import AnyBackbone, Backbone, ComponentConfig

PAPER_CUTS: dict[str, tuple[float, ...]] = {
    "paper-1": (),
    "paper-2": (0.5,),
    "paper-4": (2 ** (-4 / 3), 0.5, 1 - 2 ** (-4 / 3)),
}
"""Partitions of the paper by name; those of four split s^2 = 1/12 into equal quarters."""

MAX_EXPERTS = 64


def _cuts_by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in PAPER_CUTS:
        raise ValueError(
            f"unknown partition `{value}`; known: {', '.join(PAPER_CUTS)}, or a list of times"
        )
    return PAPER_CUTS[value]


class Experts(Backbone):
    """A network for each range of t; the expert whose range contains t evaluates an item.

    Expert k serves cut k-1 <= t < cut k, so a t on a cut belongs to the expert above it. Items are
    grouped by expert, which transfers t to the host once per call.

    Example:
        >>> import torch
        >>> from a2sb_backbones.rope_unet import RoPEUNet
        >>> small = RoPEUNet.Config(widths=(32, 32), attention_levels=(), heads=1)
        >>> network = Experts.Config(expert=small, cuts="paper-4").build(channels=3)
        >>> len(network.experts), network(torch.zeros(2, 3, 8, 4), torch.tensor([0.1, 0.9])).shape
        (4, torch.Size([2, 3, 8, 4]))
    """

    class Config(ComponentConfig):
        """One configuration for all experts, and the cuts between their ranges."""

        name: str = "experts"
        expert: AnyBackbone
        """Configuration of every expert."""
        cuts: Annotated[
            tuple[float, ...],
            BeforeValidator(
                _cuts_by_name,
                json_schema_input_type=Literal["paper-1", "paper-2", "paper-4"] | tuple[float, ...],
            ),
        ] = PAPER_CUTS["paper-2"]
        """Ascending times within (0, 1), such as none for one expert or (0.5,) for the paper's two;
        or a name of ``PAPER_CUTS``."""
        offload: bool = False
        """Outside of training, keep only the experts that a batch needs on its device, and the
        others in the memory of the host."""

        @field_validator("expert")
        @classmethod
        def _is_network(cls, expert: ComponentConfig) -> ComponentConfig:
            if expert.component is Experts:
                raise ValueError("an expert cannot consist of experts")
            return expert

        @field_validator("cuts")
        @classmethod
        def _ascend(cls, cuts: tuple[float, ...]) -> tuple[float, ...]:
            if len(cuts) >= MAX_EXPERTS:
                raise ValueError(f"there are at most {MAX_EXPERTS} experts, got {len(cuts) + 1}")
            if not all(low < high for low, high in itertools.pairwise((0.0, *cuts, 1.0))):
                raise ValueError(f"cuts must ascend within (0, 1), got {cuts}")
            return cuts

    config: Config

    def __init__(self, config: Config, channels: int, condition_channels: int = 0) -> None:
        super().__init__(config, channels, condition_channels)
        self.experts = nn.ModuleList(
            config.expert.build(channels=channels, condition_channels=condition_channels)
            for _ in range(len(config.cuts) + 1)
        )
        self.multiple = self.experts[0].multiple  # type: ignore[assignment]

    @classmethod
    def merge(
        cls, parts: Sequence[Backbone], cuts: Sequence[float], offload: bool = False
    ) -> Experts:
        """Combine trained networks, in ascending order of their ranges of t.

        Raises:
            ModelError: their number does not match the cuts, or their sizes differ.
        """
        if len(parts) != len(cuts) + 1:
            raise ModelError(f"{len(cuts)} cuts make {len(cuts) + 1} ranges, not {len(parts)}")
        first = parts[0]
        for k, other in enumerate(parts):
            for what in ("config", "channels", "condition_channels"):
                ours, theirs = getattr(first, what), getattr(other, what)
                if ours != theirs:
                    raise ModelError(f"{what} of expert {k} is {theirs}, but of expert 0 {ours}")
        config = cls.Config(expert=first.config, cuts=tuple(cuts), offload=offload)
        with torch.device("meta"):
            made = cls(config, first.channels, first.condition_channels)
        made.experts = nn.ModuleList(parts)
        return made

    def route(self, t: Tensor) -> list[int]:
        """Return the index of the expert that serves each time of t (B,)."""
        cuts = torch.tensor(self.config.cuts, dtype=torch.float64)
        return torch.bucketize(t.detach().cpu().double(), cuts, right=True).tolist()

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map x (B, ch, F, W), t (B,) and condition (B, k, F, W) to (B, ch, F, W)."""
        route = self.route(t)
        self._place(set(route), x.device)
        if len(set(route)) == 1:
            y: Tensor = self.experts[route[0]](x, t, condition)
            return y
        groups, parts = [], []
        for k in sorted(set(route)):
            group = torch.tensor([i for i, other in enumerate(route) if other == k])
            group = group.to(x.device)
            part = None if condition is None else condition[group]
            groups.append(group)
            parts.append(self.experts[k](x[group], t[group], part))
        return torch.cat(parts)[torch.cat(groups).argsort()]

    def _place(self, used: set[int], device: torch.device) -> None:
        """Move unused experts to the host, then the used ones to the device; in training, all."""
        if not self.config.offload:
            return
        stay = set(range(len(self.experts))) if torch.is_grad_enabled() else used
        for k, expert in enumerate(self.experts):
            if k not in stay:
                expert.to("cpu")
        for k in stay:
            self.experts[k].to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Apply a function to all experts; with ``offload``, one at a time and back to the host."""
        if not self.config.offload:
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]
        for expert in self.experts:
            expert._apply(fn, recurse).to("cpu")  # type: ignore[no-untyped-call]
        return self
