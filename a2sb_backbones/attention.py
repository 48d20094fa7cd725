"""Self-attention over rows and frames with axial rotary positions (Section 3.4)."""

from __future__ import annotations

import importlib
from typing import Literal

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from a2sb_backbones.embeddings import AxialRotary
from a2sb_core.errors import ModelError

AttentionKind = Literal["sdpa", "xformers"]


class Norm(nn.GroupNorm):
    """Group normalization with float32 statistics for any type of input.

    The CPU kernel computes sums in float32, so a bfloat16 input needs no copy there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, F, W); the result has the type of the input."""
        on_cpu = x.device.type == "cpu"
        weight, bias = self.weight.float(), self.bias.float()
        normal = functional.group_norm(
            x if on_cpu else x.float(), self.num_groups, weight, bias, self.eps
        )
        return normal.to(x.dtype)


class RotaryAttention(nn.Module):
    """Self-attention of all positions; its output replaces the input unless ``residual`` is set.

    Args:
        channels: number of channels C of the input and the output.
        heads: number of heads, a divisor of C with at least 4 channels per head.
        groups: number of groups of the preceding normalization.
        residual: whether to add the input to the output.
        kind: ``sdpa`` is that of PyTorch; ``xformers`` needs that package and a CUDA device.
    """

    MAX_FREQUENCIES = 16

    def __init__(
        self,
        channels: int,
        heads: int,
        groups: int,
        kind: AttentionKind = "sdpa",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.kind, self.residual = heads, kind, residual
        self.gnorm = Norm(groups, channels)
        self.q_proj = nn.Conv2d(channels, channels, 1)
        self.k_proj = nn.Conv2d(channels, channels, 1)
        self.v_proj = nn.Conv2d(channels, channels, 1)
        self.pos_emb = AxialRotary(min(self.MAX_FREQUENCIES, channels // heads // 4))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, C, F, W) to (B, C, F, W); ``embedding`` is not used."""
        rows, frames = x.shape[-2:]
        before, x = x, self.gnorm(x)
        q, k, v = (
            rearrange(project(x), "b (h d) f w -> b h f w d", h=self.heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        tables = self.pos_emb.tables(rows, frames)
        q, k = self.pos_emb(q, tables), self.pos_emb(k, tables)
        q, k, v = (rearrange(part, "b h f w d -> b h (f w) d") for part in (q, k, v))
        attend = _xformers if self.kind == "xformers" else functional.scaled_dot_product_attention
        attended: Tensor = rearrange(attend(q, k, v), "b h (f w) d -> b (h d) f w", f=rows)
        return before + attended if self.residual else attended


def _xformers(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute the attention of (B, heads, N, d) tensors by xformers.

    Raises:
        ModelError: xformers is not installed or cannot run here, or the device is not CUDA.
    """
    if q.device.type != "cuda":
        raise ModelError(
            f"attention `xformers` runs only on CUDA, but the network is on {q.device}; "
            "set `attention: sdpa` in the backbone's configuration"
        )
    try:
        ops = importlib.import_module("xformers.ops")
    except ImportError as error:
        raise ModelError(
            "attention `xformers` needs the package xformers: `pip install 'a2sb[xformers]'`, "
            "or set `attention: sdpa` in the backbone's configuration"
        ) from error
    q, k, v = (rearrange(part, "b h n d -> b n h d").contiguous() for part in (q, k, v))
    try:
        attended = ops.memory_efficient_attention(q, k, v)
    except NotImplementedError as error:
        raise ModelError(
            "the installed xformers cannot run here: it was built for another version of PyTorch "
            "or CUDA (`python -m xformers.info` shows); install a build for this version, or set "
            "`attention: sdpa` in the backbone's configuration"
        ) from error
    heads: Tensor = rearrange(attended, "b n h d -> b h n d")
    return heads
