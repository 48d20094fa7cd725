"""The paper's network (section 3.4): a UNet with rotary attention and a band embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

import torch
from einops import rearrange
from pydantic import Field, FiniteFloat, model_validator
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from a2sb_backbones.attention import AttentionKind, Norm, RotaryAttention
from a2sb_backbones.embeddings import AxialRotary, band_embedding, time_embedding
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Backbone, ComponentConfig

PatchSide = Annotated[int, Field(gt=0, le=64)]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a residual connection; the embedding modulates the second.

    Args:
        channels: number of channels C of the input and the output.
        embedding_channels: number of channels E of the embedding.
        groups: number of groups of the normalizations.
        dropout: probability of dropping a value before the second convolution.
    """

    def __init__(self, channels: int, embedding_channels: int, groups: int, dropout: float) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            Norm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Conv2d(embedding_channels, 2 * channels, 1))
        self.out_norm = Norm(groups, channels)
        self.out_rest = nn.Sequential(
            nn.SiLU(), nn.Dropout(dropout), nn.Conv2d(channels, channels, 3, padding=1)
        )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (B, C, F, W) and an embedding (B, E, F, 1) to (B, C, F, W)."""
        h: Tensor = self.in_layers(x)
        scale, shift = self.emb_layers(embedding).to(h.dtype).chunk(2, dim=1)
        h = torch.addcmul(shift, self.out_norm(h), 1 + scale)
        h = self.out_rest(h)
        return x + h


class Downsample(nn.Module):
    """Halves rows and frames by a strided 3x3 convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, W) to (B, C', F/2, W/2)."""
        x = self.op(x)
        return x


class Upsample(nn.Module):
    """Doubles rows and frames by repetition, followed by a 3x3 convolution."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, W) to (B, C', 2F, 2W)."""
        x = self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        return x


class RoPEUNet(Backbone):
    """The UNet of section 3.4, whose weights have the names of the published checkpoints.

    With ``patch`` = p, squares of p x p values become channels at the input, and channels become
    squares at the output, which makes the network faster. ``patch`` = (p, q) folds p rows and q
    frames. The network accepts any number of rows and frames; sizes that are not a ``multiple`` are
    padded by repeating the last row and frame.

    Example:
        >>> import torch
        >>> config = RoPEUNet.Config(widths=(32, 64, 64), attention_levels=(1,), heads=2, patch=2)
        >>> network = config.build(channels=3)
        >>> network.multiple, network(torch.zeros(2, 3, 32, 20), torch.rand(2)).shape
        ((8, 8), torch.Size([2, 3, 32, 20]))
    """

    class Config(ComponentConfig):
        """Sizes of the network; the default is that of the paper, with 565 M parameters."""

        name: str = "rope_unet"
        widths: tuple[Annotated[int, Field(ge=1, le=16_384)], ...] = Field(
            (128, 256, 512, 768, 1024, 2048), min_length=2, max_length=12
        )
        """Number of channels of each resolution; there is one more resolution than levels."""
        attention_levels: tuple[int, ...] = (3, 4)
        """Levels with attention; 0 is the finest level."""
        heads: int = Field(8, ge=1, le=16_384)
        """Number of heads of each attention."""
        res_blocks: int = Field(2, ge=1, le=64)
        """Number of residual blocks per level."""
        fine_blocks: int = Field(0, ge=0, le=64)
        """Number of residual blocks at the finest resolution after the last upsampling, with a skip
        connection from the encoder (the paper: 0)."""
        time_channels: int = Field(128, ge=2, le=16_384, multiple_of=2)
        """Number of channels of the embedding of t."""
        band_channels: int = Field(16, ge=2, le=16_384, multiple_of=2)
        """Number of channels of the embedding of the frequency of a row."""
        groups: int = Field(32, ge=1, le=16_384)
        """Number of groups of the normalizations."""
        dropout: FiniteFloat = Field(0.1, ge=0, lt=1)
        """Probability with which values are dropped in training."""
        patch: PatchSide | tuple[PatchSide, PatchSide] = 1
        """Rows and frames that are folded into channels: one number, or (rows, frames)."""
        attention: AttentionKind = "sdpa"
        """Implementation of attention: ``sdpa`` of PyTorch, or ``xformers``."""
        rotary: Literal["trained", "frozen"] = "trained"
        """Whether training changes the frequencies of the rotary positions; ``frozen`` keeps their
        initial values, as the published checkpoints do."""
        attention_residual: bool = False
        """Add the input of each attention to its output (the paper: false)."""
        checkpointing: bool = False
        """Recompute blocks in the backward pass to save memory."""
        zero_output: bool = False
        """Initialize the last convolution with zeros."""

        @property
        def patch_shape(self) -> tuple[int, int]:
            """Rows and frames of a patch."""
            return self.patch if isinstance(self.patch, tuple) else (self.patch, self.patch)

        @model_validator(mode="after")
        def _sizes_fit(self) -> Self:
            levels = len(self.widths) - 1
            for width in self.widths:
                if width < 1 or width % self.groups:
                    raise ValueError(f"width {width} is not a multiple of groups ({self.groups})")
            for level in self.attention_levels:
                if not 0 <= level < levels:
                    raise ValueError(f"attention level {level}: there are levels 0 to {levels - 1}")
            attended = {self.widths[i] for k in self.attention_levels for i in (k, k + 1)}
            for width in attended | {self.widths[-1]}:
                if width % self.heads or width // self.heads < 4:
                    raise ValueError(
                        f"width {width} cannot be split into {self.heads} heads of at least "
                        "4 channels"
                    )
            return self

    config: Config

    def __init__(self, config: Config, channels: int, condition_channels: int = 0) -> None:
        super().__init__(config, channels, condition_channels)
        widths, self.patch = config.widths, config.patch_shape
        area = self.patch[0] * self.patch[1]
        levels = len(widths) - 1
        self.multiple = (self.patch[0] * 2**levels, self.patch[1] * 2**levels)
        self.enc_blocks = nn.ModuleList(
            self._blocks(widths[k], k in config.attention_levels) for k in range(levels)
        )
        self.ds_layers = nn.ModuleList(Downsample(widths[k], widths[k + 1]) for k in range(levels))
        up = range(levels - 1, -1, -1)
        self.us_layers = nn.ModuleList(Upsample(widths[k + 1], widths[k]) for k in up)
        self.dec_blocks = nn.ModuleList(
            self._blocks(widths[k + 1], k in config.attention_levels) for k in up
        )
        self.input_projection = nn.Conv2d(
            (channels + condition_channels) * area, widths[0], 3, padding=1
        )
        self.middle_block = nn.ModuleList(
            [self._residual(widths[-1]), self._attention(widths[-1]), self._residual(widths[-1])]
        )
        self.fine_blocks = nn.ModuleList(
            self._residual(widths[0]) for _ in range(config.fine_blocks)
        )
        last = nn.Conv2d(widths[0], channels * area, 3, padding=1)
        self.output_projection = nn.Sequential(Norm(config.groups, widths[0]), nn.SiLU(), last)
        if config.rotary == "frozen":
            for module in self.modules():
                if isinstance(module, AxialRotary):
                    module.freqs.requires_grad_(False)
        if config.zero_output:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def _residual(self, width: int) -> ResidualBlock:
        embedding = self.config.band_channels + self.config.time_channels
        return ResidualBlock(width, embedding, self.config.groups, self.config.dropout)

    def _attention(self, width: int) -> RotaryAttention:
        config = self.config
        return RotaryAttention(
            width, config.heads, config.groups, config.attention, config.attention_residual
        )

    def _blocks(self, width: int, attention: bool) -> nn.ModuleList:
        blocks = nn.ModuleList()
        for _ in range(self.config.res_blocks):
            blocks.append(self._residual(width))
            if attention:
                blocks.append(self._attention(width))
        return blocks

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map x (B, ch, F, W), t (B,) in [0, 1] and condition (B, k, F, W) to (B, ch, F, W).

        Raises:
            ModelError: the condition is missing, or its number of channels is wrong.
        """
        rows, frames = x.shape[-2:]
        h = self._pad(self._join(x, condition))
        h = self.input_projection(_fold(h, *self.patch))
        h = self.output_projection(self._unet(h, time_embedding(t, self.config.time_channels)))
        return _unfold(h, *self.patch)[..., :rows, :frames]

    def widened(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights of a network with fewer channels of the condition in the shapes of this.

        The weights of the additional channels are zero.
        """
        name = "input_projection.weight"
        own, given = self.input_projection.weight, weights[name]
        missing = max(0, own.shape[1] - given.shape[1])
        return {**weights, name: functional.pad(given, (0, 0, 0, 0, 0, missing))}

    def _unet(self, h: Tensor, time: Tensor) -> Tensor:
        """Run encoder, middle and decoder on (B, widths[0], F, W) and embedded times (B, E)."""
        skips: list[Tensor] = []
        fine = h
        for blocks, down in zip(self.enc_blocks, self.ds_layers, strict=True):
            h = self._run(blocks, h, time)
            if self.config.fine_blocks and not skips:
                fine = h
            h = down(h)
            skips.append(h)
        h = self._run(self.middle_block, h, time)
        for blocks, up in zip(self.dec_blocks, self.us_layers, strict=True):
            h = up(self._run(blocks, h + skips.pop(), time))
        return self._run(self.fine_blocks, h + fine, time) if self.config.fine_blocks else h

    def _run(self, blocks: nn.Module, h: Tensor, time: Tensor) -> Tensor:
        """Run the blocks of one resolution with the embedding of time and band (B, E, F, 1)."""
        band = band_embedding(h.shape[-2], self.config.band_channels, h.device)
        embedding = torch.cat(
            [band.expand(h.shape[0], -1, -1), time[:, :, None].expand(-1, -1, h.shape[-2])], dim=1
        )[..., None].to(self.input_projection.weight.dtype)
        for block in blocks:  # type: ignore[attr-defined]
            if self.config.checkpointing and torch.is_grad_enabled():
                h = checkpoint(block, h, embedding, use_reentrant=False)
            else:
                h = block(h, embedding)
        return h

    def _join(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Append the channels of the condition to those of the input."""
        given = 0 if condition is None else condition.shape[1]
        if given != self.condition_channels:
            raise ModelError(
                f"this network expects a condition of {self.condition_channels} channels, "
                f"but was given {given}"
            )
        return x if condition is None else torch.cat([x, condition.to(x.dtype)], dim=1)

    def _pad(self, x: Tensor) -> Tensor:
        """Repeat the last row and frame up to ``multiple``."""
        bottom, right = (-n % m for n, m in zip(x.shape[-2:], self.multiple, strict=True))
        if not bottom and not right:
            return x
        return functional.pad(x, (0, right, 0, bottom), mode="replicate")


def _fold(x: Tensor, p: int, q: int) -> Tensor:
    """Fold patches of p x q values into channels: (B, C, p F, q W) to (B, C p q, F, W).

    This also sets the memory format of the following layers.
    """
    folded: Tensor = rearrange(x, "b c (f p) (w q) -> b (c p q) f w", p=p, q=q)
    return folded.contiguous(memory_format=_memory_format(x))


def _memory_format(x: Tensor) -> torch.memory_format:
    """Return channels last for bfloat16 on a CPU, where it makes convolutions much faster.

    For float32, the gain is small and normalization would lose precision.
    """
    on_cpu, reduced = x.device.type == "cpu", x.dtype != torch.float32
    last = on_cpu and (reduced or torch.is_autocast_enabled("cpu"))
    return torch.channels_last if last else torch.contiguous_format


def _unfold(x: Tensor, p: int, q: int) -> Tensor:
    """Invert :func:`_fold`."""
    patches: Tensor = rearrange(x, "b (c p q) f w -> b c (f p) (w q)", p=p, q=q)
    return patches.contiguous()
