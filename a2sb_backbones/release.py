"""Converter of the checkpoints that the authors of the paper published.

The weights are not part of this project. Users download them under their own licence, which
:data:`LICENCE_NOTICE` describes. Callers show this notice before they convert a checkpoint.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from a2sb_backbones.experts import PAPER_CUTS, Experts
from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Backbone, ComponentConfig, Converted, Converter

LICENCE_NOTICE = """\
The published A2SB weights (nvidia/audio_to_audio_schrodinger_bridge on the Hugging Face hub)
belong to NVIDIA and are licensed for non-commercial use only, on the terms that are published with
them. The conversion does not change this: the converted model remains under the same licence, and
Apache-2.0, the licence of this software, does not cover it."""

MAX_RATIO = 4
"""Largest size of the tensors of a checkpoint, relative to its file; some share a storage."""

PREFIX = "vf_model."
HEADS = 8  # of each attention: the only size that the weights do not determine
BAND_CHANNELS = 16  # of the embedding; its other channels embed the time

_RANGE = re.compile(r"_(\d*\.\d+)_(\d*\.\d+)(?=[_.])")

State = Mapping[str, Tensor]
Source = str | Path | State


def load_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a PyTorch checkpoint, without executing code that it may contain.

    Raises:
        ModelError: the file is missing, is not a checkpoint, or contains more than plain data.
    """
    try:
        _check_compression(Path(path))
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except ModelError:
        raise
    except Exception as error:  # a malformed pickle can raise nearly anything
        raise ModelError(
            f"{path} is not a PyTorch checkpoint that can be loaded safely: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"{path} contains no state dict: expected a mapping of names to tensors")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    # A tensor with strides of zero states any shape, whatever its storage holds.
    total = sum(value.numel() * value.element_size() for value in tensors.values())
    if total > MAX_RATIO * Path(path).stat().st_size:
        raise ModelError(f"{path}: its tensors are larger than the file")
    return tensors


def _check_compression(path: Path) -> None:
    """Refuse an archive that unpacks to much more than its size; PyTorch does not compress."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > MAX_RATIO * path.stat().st_size:
        raise ModelError(f"{path} unpacks to much more than its size, which a checkpoint does not")


def load_release(state_dict: State, heads: int = HEADS) -> RoPEUNet:
    """Build the network of a published state dict, and load its weights in float32.

    Names and shapes determine the widths, levels, blocks and positions of attention. If names start
    with ``vf_model.``, those without this prefix are ignored.

    Args:
        state_dict: tensors by name.
        heads: number of heads of each attention, which the weights do not determine (published: 8).

    Raises:
        ModelError: a tensor is missing, unknown or of a wrong shape; the message states its name.
    """
    state = {k.removeprefix(PREFIX): v for k, v in state_dict.items() if k.startswith(PREFIX)}
    state = state or dict(state_dict)
    config = infer_config(state, heads)
    with torch.device("meta"):
        network = RoPEUNet(config, channels=_tensor(state, "output_projection.2.weight").shape[0])
    wanted = network.state_dict()
    problems = [f"{key} is missing" for key in wanted if key not in state]
    problems += [f"{key} is unknown" for key in state if key not in wanted]
    problems += [
        f"{key} has the shape {tuple(state[key].shape)} and should have {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ModelError(
            "the weights do not fit the published network: " + "; ".join(problems[:8]) + more
        )
    owned = {key: value.detach().to(torch.float32, copy=True) for key, value in state.items()}
    network.load_state_dict(owned, assign=True)
    return network.eval()


def infer_config(state: State, heads: int = HEADS) -> RoPEUNet.Config:
    """Infer the configuration of a published network from the names and shapes of its tensors.

    Raises:
        ModelError: a tensor that determines a size is missing or of a wrong shape, or the sizes do
            not match.
    """
    numbers = (int(found[1]) for found in _found(r"enc_blocks\.(\d{1,3})\..*", state))
    levels = max(numbers, default=-1) + 1
    widths = [_tensor(state, "input_projection.weight").shape[0]]
    widths += [_tensor(state, f"ds_layers.{k}.op.weight").shape[0] for k in range(levels)]
    embedding = _tensor(state, "enc_blocks.0.0.emb_layers.1.weight").shape[1]
    blocks = [
        sum(1 for _ in _found(rf"enc_blocks\.{k}\.\d+\.out_norm\.weight", state))
        for k in range(levels)
    ]
    attended = [k for k in range(levels) if any(_found(rf"enc_blocks\.{k}\.\d+\.gnorm.*", state))]
    try:
        return RoPEUNet.Config(
            widths=tuple(widths),
            attention_levels=tuple(attended),
            heads=heads,
            res_blocks=max(blocks, default=0),
            time_channels=embedding - BAND_CHANNELS,
            band_channels=BAND_CHANNELS,
            rotary="frozen",
        )
    except ValueError as error:
        raise ModelError(f"the weights do not fit the published network: {error}") from error


def load_release_experts(
    sources: Sequence[Source], heads: int = HEADS, offload: bool = True
) -> Experts:
    """Load a published checkpoint for each range of t.

    File names such as ``A2SB_twosplit_0.0_0.5_release.ckpt`` determine the ranges and the order.
    State dicts, and files without ranges in their names, are used in the given order, lowest range
    first, with the paper's cuts for their number.

    Args:
        sources: paths or state dicts.
        heads: see :func:`load_release`.
        offload: see ``Experts.Config``.

    Raises:
        ModelError: a source cannot be loaded, or the ranges do not tile [0, 1]; the message states
            the files.
    """
    ordered, cuts = _tiling(sources)
    networks = []
    for source in ordered:
        try:
            state = source if isinstance(source, Mapping) else load_checkpoint(source)
            networks.append(load_release(state, heads))
        except ModelError as error:
            where = "" if isinstance(source, Mapping) else f"{source}: "
            raise ModelError(f"{where}{error}") from error
    return Experts.merge(networks, cuts, offload).eval()


class Release(Converter):
    """Converts published checkpoints: one file, or one for each t-range expert.

    Representation, bridge, prediction and sampling are those of sections 3.1 to 3.6.
    """

    notice = LICENCE_NOTICE
    licence = "non-commercial"

    class Config(ComponentConfig):
        """Settings that the weights do not determine."""

        name: str = "a2sb_release"
        heads: int = Field(HEADS, ge=1)
        """Number of heads of each attention."""

    def convert(self, sources: Sequence[Path]) -> Converted:
        """Load the checkpoints, and add the other parts of their model.

        Raises:
            ModelError: see :func:`load_release_experts`.
        """
        experts = load_release_experts(sources, self.config.heads)
        backbone = experts if len(sources) > 1 else experts.experts[0]
        assert isinstance(backbone, Backbone)
        return Converted(backbone, _composition(backbone))


def _composition(backbone: Backbone) -> dict[str, Any]:
    """Return the configuration of the published model with a network.

    It equals the preset ``paper-release`` except for frames at the edges of gaps, which are damaged
    in a recording, and count as missing.
    """
    return {
        "representation": {"name": "factorized", "negative": "signed"},
        "corruption": {
            "name": "mixture",
            "parts": [{"corruption": {"name": name}} for name in ("bandwidth", "inpainting")],
        },
        "bridge": {"name": "i2sb"},
        "prediction": {"name": "paper"},
        "backbone": backbone.config.model_dump(mode="json"),
        "sampler": {
            "name": "multidiffusion",
            "inner": {"name": "ancestral", "steps": 99, "t_end": 0.05, "endpoint": False},
        },
        "steps": {"inpaint": 199},
    }


def _tensor(state: State, key: str) -> Tensor:
    """Return a weight of a convolution."""
    if key not in state:
        raise ModelError(f"the weights do not fit the published network: {key} is missing")
    if state[key].ndim != 4:
        raise ModelError(
            f"the weights do not fit the published network: {key} has the shape "
            f"{tuple(state[key].shape)} and should have 4 dimensions"
        )
    return state[key]


def _found(pattern: str, state: State) -> Iterable[re.Match[str]]:
    """Yield the matches of the names with a pattern."""
    return (found for found in map(re.compile(pattern).fullmatch, state) if found)


def _tiling(sources: Sequence[Source]) -> tuple[Sequence[Source], tuple[float, ...]]:
    """Return the sources in ascending order of their ranges, and the times at which these meet."""
    ranges = [_range(source) for source in sources]
    known = [(found, k) for k, found in enumerate(ranges) if found is not None]
    if known and len(known) == len(sources):
        ordered = [sources[k] for _, k in sorted(known)]
        return ordered, _cuts([str(source) for source in ordered], sorted(r for r, _ in known))
    by_number = {len(cuts) + 1: cuts for cuts in PAPER_CUTS.values()}
    if known or len(sources) not in by_number:
        raise ModelError(
            f"the file names of all {len(sources)} checkpoints must contain their ranges of t, "
            f"such as `_0.0_0.5_`; {len(known)} of them do"
        )
    return sources, by_number[len(sources)]


def _cuts(names: Sequence[str], ranges: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Return the times at which ascending ranges meet, after a check that they tile [0, 1]."""
    named = [
        f"{name} ({low:g} to {high:g})" for name, (low, high) in zip(names, ranges, strict=True)
    ]
    for k in range(1, len(ranges)):
        high, next_low = ranges[k - 1][1], ranges[k][0]
        if next_low != high:
            what = "overlap" if next_low < high else "leave a gap"
            raise ModelError(f"the ranges of t of {named[k - 1]} and {named[k]} {what}")
    if ranges[0][0] != 0 or ranges[-1][1] != 1:
        raise ModelError(f"the ranges of t must cover 0 to 1, but are: {', '.join(named)}")
    return tuple(high for _, high in ranges[:-1])


def _range(source: Source) -> tuple[float, float] | None:
    """Return the range of t in a file name; None if there is none."""
    if isinstance(source, Mapping):
        return None
    found = _RANGE.search(Path(source).name)
    return (float(found[1]), float(found[2])) if found else None
