"""A built-in plugin of a few parts, among them one that holds another and one that is broken."""

import sys
from typing import Literal

import pytest
from pydantic import Field, model_validator

from a2sb_core import plugins
from a2sb_core.interfaces.component import Component
from a2sb_core.plugins import discovery, hookimpl
from a2sb_core.plugins.component_config import AnyBridge, AnySampler, ComponentConfig, FrozenConfig


class Plain(Component):
    kind = "sampler"

    class Config(ComponentConfig):
        name: str = "plain"
        steps: int = Field(50, ge=1)
        rate: float = 1.0
        mode: Literal["slow", "fast"] = "slow"


class Window(FrozenConfig):
    size: int
    hop: int = 1

    @model_validator(mode="after")
    def _check(self):
        if self.size % self.hop:
            raise ValueError(f"hop {self.hop} must divide size {self.size}")
        return self


class Wrapper(Component):
    kind = "sampler"

    class Config(ComponentConfig):
        name: str = "wrapper"
        inner: AnySampler
        bridge: AnyBridge | None = None
        window: Window = Window(size=4)


class Line(Component):
    kind = "bridge"

    class Config(ComponentConfig):
        name: str = "line"


@hookimpl
def a2sb_register(registrar):
    registrar.add("sampler", "plain", "config_parts:Plain", summary="Plain.")
    registrar.add("sampler", "wrapper", "config_parts:Wrapper", summary="Holds another.")
    registrar.add("sampler", "broken", "config_parts:Missing", summary="Is not there.")
    registrar.add("bridge", "line", "config_parts:Line", summary="A line.")
    registrar.add("preset", "quick", "config_presets:quick.yaml", summary="A preset.")


@pytest.fixture(autouse=True)
def parts(tmp_path, monkeypatch):
    """Register these parts only."""
    package = tmp_path / "packages" / "config_presets"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "quick.yaml").write_text("sampler: plain\n")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "config_presets", raising=False)
    monkeypatch.setattr(discovery, "BUILTIN_PLUGINS", ("config_parts",))
    monkeypatch.setenv("A2SB_PLUGINS", "")
    plugins.reset()
    yield
    plugins.reset()
