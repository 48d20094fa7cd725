"""Laws of backbones."""

from __future__ import annotations

import safetensors.torch
import torch
from torch import Tensor

from a2sb_core.interfaces.backbone import Backbone
from a2sb_core.testing.common import TOLERANCE
from a2sb_core.testing.compare import require_close, require_finite
from a2sb_core.testing.laws import Case, law, require
from a2sb_core.testing.parts import Call, normal

KIND = "backbone"
CHANNELS, CONDITION = 3, 2


def build(case: Case, condition: int = CONDITION, seed: int = 0) -> Backbone:
    """Make the component with random weights, none of which starts at zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made: Backbone = case.config.build(channels=CHANNELS, condition_channels=condition)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return made.eval()


def _inputs(backbone: Backbone, items: int = 3, condition: int = CONDITION) -> tuple[Tensor, ...]:
    rows, frames = (max(2, -(-8 // m)) * m for m in backbone.multiple)
    x = normal(items, CHANNELS, rows, frames, seed=1)
    t = torch.linspace(0.05, 0.95, items)
    return (x, t, normal(items, condition, rows, frames, seed=2)) if condition else (x, t)


def calls(case: Case) -> list[Call]:
    """Uses of a backbone."""
    backbone = build(case)
    return [Call("forward", backbone, _inputs(backbone))]


@law(KIND)
def shape_is_kept(case: Case) -> None:
    """The output has the shape of x, for sizes that are multiples, with and without condition."""
    for condition in (0, CONDITION):
        backbone = build(case, condition)
        rows, frames = backbone.multiple
        for height, width in ((2, 2), (3, 5)):
            x = normal(2, CHANNELS, rows * height, frames * width)
            given = normal(2, condition, *x.shape[2:]) if condition else None
            with torch.no_grad():
                y = backbone(x, torch.tensor([0.3, 0.6]), given)
            require(y.shape == x.shape, f"x of {tuple(x.shape)} becomes {tuple(y.shape)}")
            require_finite(y, f"the output for x of {tuple(x.shape)}")


@law(KIND)
def time_is_per_item(case: Case) -> None:
    """The time of an item does not affect the outputs of the others."""
    backbone = build(case)
    x, t, condition = _inputs(backbone)
    later = t.clone()
    later[0] = 0.5
    with torch.no_grad():
        one, other = backbone(x, t, condition), backbone(x, later, condition)
    require_close(other[1:], one[1:], TOLERANCE, "items whose t was not changed, before and after")


@law(KIND)
def time_matters(case: Case) -> None:
    """The output depends on the time, also on small changes of it.

    The times are 0.02 apart, and half of them may give the output of the time before.
    """
    backbone = build(case)
    times = torch.linspace(0.1, 0.9, 41)
    x, _, condition = (one[:1].expand(41, *one.shape[1:]) for one in _inputs(backbone))
    with torch.no_grad():
        outputs = backbone(x, times, condition)
    changes = (outputs[1:] != outputs[:-1]).flatten(1).any(dim=1)
    require(
        int(changes.sum()) >= 20,
        f"of 40 steps of 0.02 in t only {int(changes.sum())} change the output: a network must "
        "know how much noise it sees",
    )


@law(KIND)
def condition_matters(case: Case) -> None:
    """The output depends on the condition."""
    backbone = build(case)
    x, t, condition = _inputs(backbone)
    with torch.no_grad():
        one, other = backbone(x, t, condition), backbone(x, t, condition.flip(-1))
    require(
        not torch.equal(one, other),
        "the output does not depend on the condition, through which a network learns what is known",
    )


@law(KIND)
def items_are_independent(case: Case) -> None:
    """An item does not affect the outputs of the others, in training and in evaluation mode."""
    backbone = build(case)
    x, t, condition = _inputs(backbone)
    changed = x.clone()
    changed[0] = 5 - 3 * x[0]
    for is_training in (False, True):
        backbone.train(is_training)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            one = backbone(x, t, condition)
            torch.manual_seed(0)
            other = backbone(changed, t, condition)
        where = "in training" if is_training else "in evaluation"
        require_close(other[1:], one[1:], TOLERANCE, f"items beside one that changed, {where}")


@law(KIND)
def gradients_reach_all_parameters(case: Case) -> None:
    """Each parameter gets a gradient; parameters that start at zero are moved away first."""
    backbone = build(case).train()
    given = _inputs(backbone, items=8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        y = backbone(*given)
    (y - normal(*y.shape, seed=3)).square().mean().backward()
    without = [
        name
        for name, parameter in backbone.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    require(not without, f"no gradient reaches {', '.join(without[:5])} ({len(without)} in all)")


@law(KIND)
def weights_save_and_load(case: Case) -> None:
    """Weights written to a file and read into another network give the same output."""
    backbone, other = build(case), build(case, seed=1)
    state = {name: value.contiguous() for name, value in backbone.state_dict().items()}
    try:
        stored = safetensors.torch.save(state)
    except (ValueError, RuntimeError) as error:
        require(False, f"the weights cannot be stored as safetensors: {error}")
    other.load_state_dict(safetensors.torch.load(stored))
    given = _inputs(backbone)
    with torch.no_grad():
        require_close(
            other(*given), backbone(*given), 1e-6, "the output of the weights read and written"
        )
