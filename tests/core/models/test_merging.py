from types import SimpleNamespace

import pytest

from a2sb_backbones.experts import Experts
from a2sb_backbones.rope_unet import RoPEUNet
from a2sb_core.errors import ModelError, PluginError
from a2sb_core.models import merging


@pytest.fixture
def backbones(monkeypatch):
    """The registered backbones by name; an error stands for a broken plugin."""
    found = {"experts": Experts, "plain": RoPEUNet, "broken": PluginError("broken")}

    def resolve(kind, name):
        if isinstance(found[name], Exception):
            raise found[name]
        return found[name]

    registry = SimpleNamespace(entries=lambda kind: [*found], shortest=str, resolve=resolve)
    monkeypatch.setattr(merging, "default_registry", lambda: registry)
    return found


def test_the_only_backbone_that_merges_is_taken(backbones):
    assert merging.merging_backbone() is Experts
    del backbones["experts"]
    with pytest.raises(ModelError, match="no registered backbone"):
        merging.merging_backbone()


def test_several_backbones_that_merge_must_be_told_apart(backbones):
    backbones["other"] = type("Other", (Experts,), {})
    with pytest.raises(ModelError, match=r"--into .*experts, other"):
        merging.merging_backbone()
    assert merging.merging_backbone("other") is backbones["other"]
    with pytest.raises(ModelError, match="plain cannot combine"):
        merging.merging_backbone("plain")
    with pytest.raises(PluginError, match="broken"):
        merging.merging_backbone("broken")


def test_the_registered_experts_merge():
    assert merging.merging_backbone() is Experts
