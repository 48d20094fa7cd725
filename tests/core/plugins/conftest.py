import sys

import pytest

from a2sb_core.plugins import reset


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty folder of installed distributions, beside those that are really there."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    for name in ("A2SB_PLUGINS", "A2SB_STRICT_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    reset()
    yield folder
    reset()
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
