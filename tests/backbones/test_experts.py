import pytest
import torch
from torch import nn

from a2sb_backbones.experts import PAPER_CUTS, Experts
from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.interfaces import Backbone, ComponentConfig


class Numbered(Backbone):
    """Adds a parameter to its input and counts the items it sees."""

    class Config(ComponentConfig):
        name: str = "numbered"

    multiple = (4, 2)

    def __init__(self, config, channels, condition_channels=0):
        super().__init__(config, channels, condition_channels)
        self.offset, self.seen = nn.Parameter(torch.zeros(())), []

    def forward(self, x, t, condition=None):
        self.seen += t.tolist()
        return x + self.offset + (0 if condition is None else condition)


def make(cuts, condition_channels=0, **changes):
    config = Experts.Config(expert=Numbered.Config(), cuts=cuts, **changes)
    network = config.build(channels=1, condition_channels=condition_channels)
    with torch.no_grad():
        for k, expert in enumerate(network.experts):
            expert.offset.fill_(k)
    return network


def test_the_cuts_of_the_paper_are_quarters_of_the_noise():
    def variance(t):
        return t**3 / 3 if t <= 0.5 else 1 / 12 - (1 - t) ** 3 / 3

    quarters = [variance(cut) * 12 for cut in PAPER_CUTS["paper-4"]]
    assert quarters == pytest.approx([0.25, 0.5, 0.75])
    assert PAPER_CUTS["paper-4"] == pytest.approx((0.397, 0.5, 0.603), abs=5e-4)


def test_a_time_on_a_cut_goes_up():
    below = torch.nextafter(torch.tensor(0.5), torch.tensor(0.0))
    times = torch.tensor([0.0, below, 0.5, 1.0])
    assert make((0.5,)).route(times) == [0, 0, 1, 1]
    assert make(()).route(times) == [0, 0, 0, 0]
    assert make((0.25, 0.5)).route(times) == [0, 1, 2, 2]


@pytest.mark.parametrize("cuts", [(), "paper-2", "paper-4"])
def test_items_go_to_their_experts_and_come_back_in_order(cuts):
    network = make(cuts, condition_channels=1)
    t = torch.tensor([0.9, 0.1, 0.55, 0.45, 0.2, 1.0])
    x, told = torch.zeros(6, 1, 2, 2), torch.arange(6.0)[:, None, None, None].expand(6, 1, 2, 2)
    y = network(x, t, told)[:, 0, 0, 0]
    torch.testing.assert_close(y, torch.tensor(network.route(t)) + torch.arange(6.0))


def test_each_expert_is_called_once_and_unused_ones_are_not():
    network = make("paper-4")
    network(torch.zeros(3, 1, 2, 2), torch.tensor([0.9, 0.1, 0.8]))
    assert [len(expert.seen) for expert in network.experts] == [1, 0, 0, 2]


def test_gradients_reach_the_experts_in_use_only():
    network = make("paper-4")
    network(torch.zeros(2, 1, 2, 2), torch.tensor([0.9, 0.45])).sum().backward()
    assert [expert.offset.grad is not None for expert in network.experts] == [
        False,
        True,
        False,
        True,
    ]


def test_what_an_expert_needs_is_passed_on():
    network = make((0.5,))
    assert network.multiple == (4, 2)
    assert network.channels == 1


def test_offloading_works_on_a_cpu():
    plain, offloaded = make("paper-4"), make("paper-4", offload=True)
    x, t = torch.randn(3, 1, 2, 2), torch.tensor([0.9, 0.45, 0.1])
    with torch.no_grad():
        assert torch.equal(plain(x, t), offloaded.to("cpu")(x, t))
    offloaded(x, t).sum().backward()
    assert offloaded.double().experts[2].offset.dtype == torch.float64


def test_offloading_keeps_only_what_is_used_on_the_device(monkeypatch):
    network, moves = make((0.5,), offload=True), []
    for k, expert in enumerate(network.experts):
        monkeypatch.setattr(expert, "to", lambda device, k=k: moves.append((k, str(device))))
    with torch.no_grad():
        network._place({1}, torch.device("cuda"))
    assert moves == [(0, "cpu"), (1, "cuda")]
    moves.clear()
    network._place({1}, torch.device("cuda"))
    assert moves == [(0, "cuda"), (1, "cuda")]


@pytest.mark.parametrize("cuts", [(0.0,), (1.0,), (0.6, 0.4), (0.5, 0.5), (-0.1, 0.5), (1.5,)])
def test_cuts_that_do_not_ascend_within_zero_and_one_are_refused(cuts):
    with pytest.raises(ConfigError, match="must ascend"):
        Experts.Config(expert=Numbered.Config(), cuts=cuts)


def test_an_unknown_partition_is_refused():
    with pytest.raises(ConfigError, match=r"unknown partition `paper-3`; known: paper-1"):
        Experts.Config(expert=Numbered.Config(), cuts="paper-3")


def test_configuration_names_its_expert_and_survives_json():
    tree = {
        "name": "experts",
        "expert": {"name": "rope_unet", "widths": [32, 32], "attention_levels": [], "heads": 2},
        "cuts": "paper-4",
    }
    config = Experts.Config.model_validate(tree)
    assert config.expert.widths == (32, 32)
    assert Experts.Config.model_validate_json(config.model_dump_json()) == config


def test_gathering_networks(tiny):
    networks = [tiny(seed=k) for k in range(2)]
    gathered = Experts.merge(networks, (0.5,))
    x = torch.randn(1, 3, 8, 8)
    assert torch.equal(gathered(x, torch.tensor([0.2])), networks[0](x, torch.tensor([0.2])))
    assert gathered.multiple == networks[0].multiple
    with pytest.raises(ModelError, match="1 cuts make 2 ranges, not 1"):
        Experts.merge(networks[:1], (0.5,))
    with pytest.raises(ModelError, match="channels of expert 1"):
        Experts.merge([networks[0], tiny(channels=2)], (0.5,))
