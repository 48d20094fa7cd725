"""Networks that share the time axis: one expert for each range of t (Section 3.5)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
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
"""The paper's partitions by name; the four end where quarters of the total s^2 = 1/12 do."""


def _cuts_by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in PAPER_CUTS:
        raise ValueError(
            f"unknown partition `{value}`; known: {', '.join(PAPER_CUTS)}, or a list of times"
        )
    return PAPER_CUTS[value]


class Experts(Backbone):
    """A network for each range of t; every item of a batch goes to the one that serves its t.

    Expert k serves cut k-1 <= t < cut k, so a t on a cut goes to the expert above it. Items are
    grouped by expert. Finding the groups reads t on the host, once a call.

    Example:
        >>> import torch
        >>> from a2sb_backbones.rope_unet import RoPEUNet
        >>> small = RoPEUNet.Config(widths=(32, 32), attention_levels=(), heads=1)
        >>> network = Experts.Config(expert=small, cuts="paper-4").build(channels=3)
        >>> len(network.experts), network(torch.zeros(2, 3, 8, 4), torch.tensor([0.1, 0.9])).shape
        (4, torch.Size([2, 3, 8, 4]))
    """

    class Config(ComponentConfig):
        """One configuration for all experts, and where the ranges are cut."""

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
        """Times that ascend within (0, 1): none for one expert, (0.5,) for the paper's two; or a
        name of ``PAPER_CUTS``."""
        offload: bool = False
        """Outside of training, keep only the experts that a batch needs on its device; the others
        wait in the host's memory."""

        @field_validator("cuts")
        @classmethod
        def _ascend(cls, cuts: tuple[float, ...]) -> tuple[float, ...]:
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
    def gather(
        cls, experts: Sequence[Backbone], cuts: Sequence[float], offload: bool = False
    ) -> Experts:
        """Put networks that are there already together, the one for the lowest t first.

        Raises:
            ModelError: their number does not fit the cuts, or their sizes differ.
        """
        if len(experts) != len(cuts) + 1:
            raise ModelError(f"{len(cuts)} cuts make {len(cuts) + 1} ranges, not {len(experts)}")
        first = experts[0]
        for k, other in enumerate(experts):
            for what in ("config", "channels", "condition_channels"):
                ours, theirs = getattr(first, what), getattr(other, what)
                if ours != theirs:
                    raise ModelError(f"{what} of expert {k} is {theirs}, and of expert 0 {ours}")
        config = cls.Config(expert=first.config, cuts=tuple(cuts), offload=offload)
        with torch.device("meta"):
            made = cls(config, first.channels, first.condition_channels)
        made.experts = nn.ModuleList(experts)
        return made

    def start_from(self, state: Mapping[str, Tensor]) -> None:
        """Give every expert the weights of one network, as fine-tuning starts (Section 3.5)."""
        for expert in self.experts:
            expert.load_state_dict(state)

    def route(self, t: Tensor) -> list[int]:
        """Return the number of the expert that serves each time of t (B,)."""
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
            told = None if condition is None else condition[group]
            groups.append(group)
            parts.append(self.experts[k](x[group], t[group], told))
        return torch.cat(parts)[torch.cat(groups).argsort()]

    def _place(self, used: set[int], device: torch.device) -> None:
        """Send experts that are not used to the host, then bring those used; in training, all."""
        if not self.config.offload:
            return
        stay = set(range(len(self.experts))) if torch.is_grad_enabled() else used
        for k, expert in enumerate(self.experts):
            if k not in stay:
                expert.to("cpu")
        for k in stay:
            self.experts[k].to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Change all experts; with ``offload`` one after another, and back to the host."""
        if not self.config.offload:
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call, no-any-return]
        for expert in self.experts:
            expert._apply(fn, recurse).to("cpu")  # type: ignore[no-untyped-call]
        return self
