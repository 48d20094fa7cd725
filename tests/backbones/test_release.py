import pickle
import zipfile

import pytest
import torch

from a2sb_backbones.experts import Experts
from a2sb_backbones.release import (
    LICENCE_NOTICE,
    Release,
    _composition,
    infer_config,
    load_checkpoint,
    load_release,
    load_release_experts,
)
from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.config.loading import load_config
from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ModelError

LOW, HIGH = "A2SB_twosplit_0.0_0.5_release.ckpt", "A2SB_twosplit_0.5_1.0_release.ckpt"


@pytest.fixture(scope="module")
def state():
    """A small network of the published kind; 2 heads."""
    torch.manual_seed(0)
    config = RoPEUNet.Config(widths=(32, 32, 64), attention_levels=(1,), heads=2)
    return config.build(channels=3).state_dict()


@pytest.fixture
def files(state, tmp_path):
    """Write checkpoints of the given names."""

    def write(*names, states=None):
        paths = [tmp_path / name for name in names]
        for k, path in enumerate(paths):
            weights = states[k] if states else state
            torch.save(
                {
                    "state_dict": {f"vf_model.{key}": value for key, value in weights.items()}
                    | {"ema.decay": torch.ones(1)},
                    "epoch": 3,
                },
                path,
            )
        return paths

    return write


def shifted(state):
    return {key: value + 1 for key, value in state.items()}


def test_the_published_size_is_read_off_its_tensors(full_shapes):
    full = {key: torch.empty(shape, device="meta") for key, shape in full_shapes.items()}
    assert infer_config(full) == RoPEUNet.Config(rotary="frozen")


@pytest.mark.parametrize("prefix", ["", "vf_model."])
def test_a_state_dict_becomes_the_network_it_belongs_to(golden, golden_state, prefix):
    state = {prefix + key: value for key, value in golden_state.items()}
    if prefix:
        state["something.else"] = torch.zeros(3)
    network = load_release(state, heads=2)
    with torch.inference_mode():
        y = network(golden["x"], golden["t"])
    assert (y - golden["y"]).norm() / golden["y"].norm() < 5e-6
    assert not network.training
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (not name.endswith("pos_emb.freqs"))


def test_weights_of_lower_precision_become_float32_copies(state):
    network = load_release({key: value.bfloat16() for key, value in state.items()}, heads=2)
    assert network.input_projection.weight.dtype == torch.float32
    network = load_release(state, heads=2)
    assert network.input_projection.weight.data_ptr() != state["input_projection.weight"].data_ptr()


@pytest.mark.parametrize(
    "key",
    [
        "input_projection.weight",
        "ds_layers.1.op.weight",
        "enc_blocks.0.0.emb_layers.1.weight",
        "enc_blocks.0.1.out_norm.weight",
        "middle_block.1.pos_emb.freqs",
        "us_layers.0.conv.bias",
        "output_projection.2.weight",
        "output_projection.0.bias",
        "enc_blocks.1.1.gnorm.weight",
    ],
)
def test_a_missing_or_misshapen_tensor_is_named(state, key):
    lacking = {k: v for k, v in state.items() if k != key}
    with pytest.raises(ModelError, match=f"{key} is missing"):
        load_release(lacking, heads=2)
    with pytest.raises(ModelError, match=f"{key} has the shape"):
        load_release(state | {key: torch.zeros(7)}, heads=2)


def test_an_unknown_tensor_is_named(state):
    with pytest.raises(ModelError, match=r"extra\.weight is unknown"):
        load_release(state | {"extra.weight": torch.zeros(1)}, heads=2)


def test_sizes_that_make_no_network_are_refused(state):
    with pytest.raises(ModelError, match="7 heads"):
        load_release(state, heads=7)
    with pytest.raises(ModelError, match=r"input_projection\.weight is missing"):
        load_release({})


def test_many_problems_are_summed_up(state):
    with pytest.raises(ModelError, match="and 12 more"):
        load_release(state | {f"extra{k}": torch.zeros(1) for k in range(20)}, heads=2)


def test_checkpoints_are_read(files, state):
    (path,) = files(LOW)
    assert load_checkpoint(path).keys() == {f"vf_model.{key}" for key in state} | {"ema.decay"}
    bare = path.with_name("bare.pt")
    torch.save(dict(state), bare)
    assert load_checkpoint(bare).keys() == state.keys()


class Trap:
    """Pickled code that would run on loading."""

    def __reduce__(self):
        return (pytest.fail, ("code of the checkpoint was run",))


def test_a_checkpoint_that_unpacks_to_much_more_than_its_size_is_refused(tmp_path):
    path = tmp_path / "bomb.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(10_000_000)}}, path)
    with (
        zipfile.ZipFile(path) as plain,
        zipfile.ZipFile(tmp_path / "small.ckpt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(ModelError, match="unpacks to much more"):
        load_checkpoint(tmp_path / "small.ckpt")


def test_a_checkpoint_whose_tensors_repeat_one_value_is_refused(tmp_path):
    path = tmp_path / "wide.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(1).expand(10**6, 10**6)}}, path)
    with pytest.raises(ModelError, match="larger than the file"):
        load_checkpoint(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.ckpt cannot be read: No such file"):
        load_checkpoint(tmp_path / "absent.ckpt")
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path)
    for name, content in [("text", b"hello"), ("empty", b""), ("pickle", pickle.dumps([1]))]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelError, match=f"{name} is not a PyTorch checkpoint"):
            load_checkpoint(tmp_path / name)
    for name, content in [("list.pt", [1, 2]), ("numbers.pt", {"state_dict": {"a": 1}})]:
        torch.save(content, tmp_path / name)
        with pytest.raises(ModelError, match="contains no state dict"):
            load_checkpoint(tmp_path / name)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.ckpt")
    with pytest.raises(ModelError, match="loaded safely"):
        load_checkpoint(tmp_path / "trap.ckpt")


def test_a_truncated_checkpoint_is_refused(files):
    (path,) = files(LOW)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError, match=LOW):
        load_checkpoint(path)


def test_two_checkpoints_make_two_experts(files, state):
    low, high = files(LOW, HIGH, states=[state, shifted(state)])
    network = load_release_experts([high, low], heads=2)  # the names state the order
    assert network.config.cuts == (0.5,)
    for k, added in enumerate((0, 1)):
        loaded = network.experts[k].output_projection[2].bias
        torch.testing.assert_close(loaded, state["output_projection.2.bias"] + added)
    x, t = torch.randn(2, 3, 8, 8), torch.tensor([0.5, 0.2])
    with torch.inference_mode():
        expected = torch.cat([network.experts[1 - k](x[k : k + 1], t[k : k + 1]) for k in (0, 1)])
        torch.testing.assert_close(network(x, t), expected)


def test_state_dicts_and_nameless_files_are_taken_in_order(files, state):
    assert load_release_experts([state, shifted(state)], heads=2).config.cuts == (0.5,)
    assert load_release_experts(files("a.ckpt", "b.ckpt"), heads=2).config.cuts == (0.5,)
    assert load_release_experts([state], heads=2).config.cuts == ()


def named(low, high):
    return f"A2SB_{low}_{high}_release.ckpt"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((HIGH, named(0.0, 0.4)), "0.0_0.4.*and.*0.5_1.0.*gap"),
        ((LOW, LOW, HIGH), "0.0_0.5.*and.*0.0_0.5.*overlap"),
        ((named(0.0, 0.4), named(0.5, 1.0)), "0.0_0.4.*and.*0.5_1.0.*gap"),
        ((named(0.0, 0.6), named(0.5, 1.0)), "0.0_0.6.*and.*0.5_1.0.*overlap"),
        ((named(0.0, 0.5), named(0.5, 0.9)), "cover 0 to 1"),
        ((HIGH,), "cover 0 to 1"),
        ((LOW, "other.ckpt"), "1 of them"),
        (("a.ckpt", "b.ckpt", "c.ckpt"), "0 of them"),
        ((), "0 checkpoints"),
    ],
)
def test_ranges_that_do_not_tile_the_time_are_refused(files, names, message):
    with pytest.raises(ModelError, match=message):
        load_release_experts(files(*names), heads=2)


def test_a_faulty_checkpoint_among_several_is_named(files, state):
    broken = {key: value for key, value in state.items() if key != "input_projection.bias"}
    with pytest.raises(ModelError, match=rf"{HIGH}: .*input_projection\.bias is missing"):
        load_release_experts(files(LOW, HIGH, states=[state, broken]), heads=2)


def test_converting_names_the_parts_that_belong_together(files):
    one = Release.Config(heads=2).build().convert(files("A2SB_onesplit_0.0_1.0_release.ckpt"))
    two = Release.Config(heads=2).build().convert(files(LOW, HIGH))
    assert isinstance(one.backbone, RoPEUNet)
    assert isinstance(two.backbone, Experts)
    assert two.model["backbone"]["cuts"] == [0.5]
    assert "non-commercial" in Release.notice == LICENCE_NOTICE


def test_a_converted_model_is_a_valid_composition(files):
    converted = Release.Config(heads=2).build().convert(files(LOW, HIGH))
    assert ModelConfig.model_validate(converted.model).backbone == converted.backbone.config


def test_a_converted_model_is_that_of_the_preset_but_for_the_edges_of_gaps(full_shapes):
    with torch.device("meta"):
        experts = Experts.merge([RoPEUNet.Config(rotary="frozen").build(channels=3)] * 2, (0.5,))
    converted = ModelConfig.model_validate(_composition(experts))
    preset = load_config(ModelConfig, "paper-release")
    gaps = preset.corruption.parts[1].corruption
    assert gaps.edges == "inside"
    part = preset.corruption.parts[1].model_copy(
        update={"corruption": gaps.model_copy(update={"edges": "touched"})}
    )
    parts = (preset.corruption.parts[0], part)
    corruption = preset.corruption.model_copy(update={"parts": parts})
    assert converted == preset.model_copy(update={"corruption": corruption})
