"""Distributions as pip would install them, on a path of their own."""

import sys

import pytest

from a2sb_core.plugins import discovery

BUILTIN = """
from a2sb_core.config.component import ComponentConfig
from a2sb_core.plugins import hookimpl

class Known:
    kind = "bridge"
    class Config(ComponentConfig):
        name: str = "known"

Known.Config.component = Known

@hookimpl
def a2sb_register(registrar):
    registrar.add("bridge", "known", "fake_builtin:Known", summary="Built in.")
"""

PLUGIN = """
from a2sb_core.config.component import ComponentConfig
from a2sb_core.plugins import hookimpl

class Part:
    kind = "bridge"
    class Config(ComponentConfig):
        name: str = "part"

Part.Config.component = Part

@hookimpl
def a2sb_register(registrar):
    registrar.add("bridge", "{name}", __name__ + ":Part", summary="One more.")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install `install(distribution, module, source, entry_point="main", version="1.2")`."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(discovery, "BUILTIN_PLUGINS", ("fake_builtin",))
    monkeypatch.delenv("A2SB_PLUGINS", raising=False)
    monkeypatch.delenv("A2SB_STRICT_PLUGINS", raising=False)
    (tmp_path / "fake_builtin.py").write_text(BUILTIN)

    def install(distribution, module, source, entry_point="main", version="1.2", points=None):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)
        points = points or f"{entry_point} = {module}"
        (info / "entry_points.txt").write_text(f"[a2sb]\n{points}\n")

    yield install
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def plugin():
    """Source of a plugin that works and adds a bridge of the given name."""
    return lambda name: PLUGIN.replace("{name}", name)
