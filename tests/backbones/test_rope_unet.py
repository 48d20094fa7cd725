import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from a2sb_backbones.attention import Norm, RotaryAttention
from a2sb_backbones.rope_unet import RoPEUNet, _fold, _unfold
from a2sb_core.errors import ConfigError, ModelError


def shaken(network):
    """Move all parameters off their special initial values."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def inputs(batch=2, rows=16, frames=12, condition=0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 3, rows, frames, generator=generator)
    t = torch.rand(batch, generator=generator)
    told = torch.randn(batch, condition, rows, frames, generator=generator) if condition else None
    return x, t, told


def test_output_is_that_of_the_published_network(golden, golden_config, golden_state):
    network = golden_config.build(channels=3).eval()
    network.load_state_dict(golden_state, strict=True)
    with torch.inference_mode():
        y = network(golden["x"], golden["t"])
    torch.testing.assert_close(y, golden["y"], rtol=1e-4, atol=1e-5)
    assert (y - golden["y"]).norm() / golden["y"].norm() < 5e-6


def test_default_is_the_paper_size_with_the_published_names_and_shapes(full_shapes):
    with torch.device("meta"):
        network = RoPEUNet.Config().build(channels=3)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    assert shapes == full_shapes
    assert sum(parameter.numel() for parameter in network.parameters()) == 565_544_851


@pytest.mark.parametrize("patch", [1, 2, 4, (8, 1)])
@pytest.mark.parametrize("condition", [0, 2])
def test_patches_and_condition_keep_the_shape(tiny, patch, condition):
    network = tiny(condition_channels=condition, patch=patch)
    x, t, told = inputs(rows=32, frames=16, condition=condition)
    rows, frames = patch if isinstance(patch, tuple) else (patch, patch)
    assert network.multiple == (4 * rows, 4 * frames)
    assert network(x, t, told).shape == x.shape


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    rows=st.integers(1, 33),
    frames=st.integers(1, 33),
    patch=st.sampled_from([1, 2, 3]),
)
def test_any_size_is_accepted(batch, rows, frames, patch):
    config = RoPEUNet.Config(
        widths=(4, 4, 8),
        attention_levels=(1,),
        heads=1,
        groups=2,
        res_blocks=1,
        patch=patch,
        time_channels=4,
        band_channels=2,
    )
    x, t, _ = inputs(batch, rows, frames)
    with torch.no_grad():
        y = config.build(channels=3)(x, t)
    assert y.shape == x.shape
    assert y.isfinite().all()


def test_padding_repeats_the_edge(tiny):
    network = tiny().eval()
    x, t, _ = inputs(rows=14, frames=11)
    padded = torch.nn.functional.pad(x, (0, 1, 0, 2), mode="replicate")
    torch.testing.assert_close(network(x, t), network(padded, t)[..., :14, :11])


def test_folding_is_that_of_pixel_unshuffle_and_can_be_undone():
    x = torch.randn(1, 3, 12, 12)
    folded = _fold(x, 3, 3)
    assert folded.shape == (1, 27, 4, 4)
    assert torch.equal(folded, torch.nn.functional.pixel_unshuffle(x, 3))
    assert torch.equal(_unfold(folded, 3, 3), x)
    assert _fold(x, 6, 1).shape == (1, 18, 2, 12)
    assert torch.equal(_unfold(_fold(x, 6, 1), 6, 1), x)


def test_each_item_has_its_own_time_and_is_independent_of_the_others(tiny):
    network = shaken(tiny(condition_channels=1)).eval()
    x, t, told = inputs(batch=3, condition=1)
    singles = [network(x[i : i + 1], t[i : i + 1], told[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(network(x, t, told), torch.cat(singles), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network(x, t, told), network(x, t.flip(0), told), atol=1e-3)


class Passing(torch.nn.Module):
    def forward(self, x, embedding):
        return x


def test_a_shift_in_time_shifts_the_output_but_a_shift_in_frequency_does_not():
    torch.manual_seed(0)
    config = RoPEUNet.Config(
        widths=(8, 8), attention_levels=(), heads=1, groups=1, res_blocks=1, dropout=0.0
    )
    network = shaken(config.build(channels=3)).eval()
    network.middle_block[1] = Passing()  # attention sees the ends, from which the shift moves it
    x, t = torch.zeros(1, 3, 64, 192), torch.tensor([0.5])
    x[..., 24:32, 92:100] = torch.randn(3, 8, 8)
    y, later, higher = network(x, t), network(x.roll(8, -1), t), network(x.roll(8, -2), t)
    around = (..., slice(16, 40), slice(84, 108))
    torch.testing.assert_close(later.roll(-8, -1)[around], y[around], rtol=1e-4, atol=1e-4)
    assert (higher.roll(-8, -2)[around] - y[around]).abs().max() > 1e-2


def test_fine_blocks_see_the_finest_features(tiny):
    network = shaken(tiny(fine_blocks=2)).eval()
    x, t, _ = inputs()
    with torch.no_grad():
        network.us_layers[-1].conv.weight.zero_()  # all that comes from below is gone
        network.us_layers[-1].conv.bias.zero_()
    assert (network(x, t) - network(x.flip(-1), t)).abs().max() > 1e-2


def test_gradients_reach_every_parameter(tiny):
    network = shaken(tiny(condition_channels=1, patch=2, fine_blocks=1))
    x, t, told = inputs(rows=32, frames=32, condition=1)
    network(x, t, told).square().sum().backward()
    idle = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_checkpointing_changes_nothing(tiny):
    x, t, _ = inputs()
    gradients = []
    for checkpointing in (False, True):
        network = tiny(checkpointing=checkpointing, dropout=0.3)
        torch.manual_seed(3)
        network(x, t).square().sum().backward()
        gradients.append([p.grad for p in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_zero_output_starts_at_zero(tiny):
    x, t, _ = inputs()
    assert not tiny(zero_output=True)(x, t).any()
    assert tiny()(x, t).any()


def test_dropout_acts_in_training_only(tiny):
    network, (x, t, _) = tiny(dropout=0.5), inputs()
    assert not torch.equal(network(x, t), network(x, t))
    network.eval()
    assert torch.equal(network(x, t), network(x, t))


def test_weights_survive_a_file(tiny, tmp_path):
    one, other = tiny(seed=1), tiny(seed=2)
    save_file(one.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    x, t, _ = inputs()
    assert torch.equal(one.eval()(x, t), other.eval()(x, t))


def test_configuration_survives_json():
    config = RoPEUNet.Config(widths=(32, 64), attention_levels=(0,), patch=4)
    assert RoPEUNet.Config.model_validate_json(config.model_dump_json()) == config


def test_bfloat16_autocast_is_close_to_float32(golden, golden_config, golden_state):
    network = golden_config.build(channels=3).eval()
    network.load_state_dict(golden_state)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        y = network(golden["x"], golden["t"]).float()
    assert (y - golden["y"]).norm() / golden["y"].norm() < 0.02


def test_gradients_under_bfloat16_autocast_point_the_same_way(tiny):
    x, t, _ = inputs(rows=32, frames=32)
    gradients = []
    for enabled in (False, True):
        network = tiny()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y = network(x, t)
        y.float().square().sum().backward()
        assert all(p.grad.dtype == torch.float32 for p in network.parameters())
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.99


def test_whole_network_in_bfloat16(tiny):
    network = tiny().bfloat16()
    x, t, _ = inputs()
    assert network(x.bfloat16(), t).dtype == torch.bfloat16


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mean", [0.0, 10.0])
def test_norm_of_bfloat16_keeps_float32_statistics(order, mean):
    torch.manual_seed(0)
    x = (mean + torch.randn(2, 32, 64, 32)).bfloat16().contiguous(memory_format=order)
    exact = torch.nn.functional.group_norm(x.double(), 8)
    error = (Norm(8, 32)(x).double() - exact).norm() / exact.norm()
    assert error < 2e-3  # what rounding the result alone makes


def test_inference_mode_leaves_nothing_behind_that_training_trips_over(tiny):
    network, (x, t, _) = tiny(), inputs(rows=44, frames=20)
    with torch.inference_mode():
        network(x, t)
    network(x, t).sum().backward()


def test_heads_may_be_narrow():
    attention = RotaryAttention(24, heads=4, groups=4)
    assert attention.pos_emb.freqs.shape == (1,)
    assert attention(torch.randn(1, 24, 5, 3), torch.empty(0)).shape == (1, 24, 5, 3)


def test_xformers_is_refused_off_cuda(tiny):
    network, (x, t, _) = tiny(attention="xformers"), inputs()
    with pytest.raises(ModelError, match=r"CUDA.*attention: sdpa"):
        network(x, t)


@pytest.mark.parametrize(("made_for", "given_channels"), [(0, 1), (1, 0), (1, 2)])
def test_a_wrong_condition_is_refused(tiny, made_for, given_channels):
    x, t, told = inputs(condition=given_channels)
    message = rf"of {made_for} channels.* {given_channels}"
    with pytest.raises(ModelError, match=message):
        tiny(condition_channels=made_for)(x, t, told)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"widths": (32,)}, "at least 2"),
        ({"widths": (32, 40), "attention_levels": ()}, "width 40"),
        ({"widths": (32, 64), "attention_levels": (1,)}, "attention level 1"),
        ({"widths": (32, 64), "attention_levels": (), "heads": 3}, "3 heads"),
        ({"widths": (32, 64), "attention_levels": (0,), "heads": 16}, "width 32"),
        ({"depth": 3}, "depth"),
        ({"patch": 0}, "greater than 0"),
        ({"attention": "flash"}, "sdpa"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        RoPEUNet.Config(**fields)


def test_frozen_rotary_frequencies_are_not_trained_and_have_the_same_names():
    fields = {"widths": (32, 32), "attention_levels": (0,), "heads": 2}
    frozen, trained = (
        RoPEUNet.Config(**fields, rotary=kind).build(channels=3) for kind in ("frozen", "trained")
    )
    assert frozen.state_dict().keys() == trained.state_dict().keys()
    fixed = {name for name, one in frozen.named_parameters() if not one.requires_grad}
    assert fixed and all(name.endswith("freqs") for name in fixed)
    assert all(one.requires_grad for one in trained.parameters())
