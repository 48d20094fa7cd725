"""Findings of the checks on machines that lack something."""

from types import SimpleNamespace

import psutil
import pytest

from a2sb_core.doctor import checks
from a2sb_core.errors import ModelError
from a2sb_core.plugins import diagnosis


def found(name):
    """Run one check; return its findings by their names."""
    return {one.name: one for one in checks.CHECKS[name]("cpu")}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution in place of another one, as far as its metadata says."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, version, *lines):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        head = ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}")
        (folder / "METADATA").write_text("\n".join((*head, *lines)) + "\n")

    return install


def test_every_requirement_is_met_here():
    assert {one.state for one in found("packages").values()} == {"ok"}


def test_packages_that_are_missing_or_too_old_are_broken_with_the_command_that_mends(installed):
    installed("a2sb", "9.9", "Requires-Dist: absent>=2", "Requires-Dist: numpy<1")
    broken = [one for one in checks.CHECKS["packages"]("cpu") if one.state == "broken"]
    assert [one.name for one in broken] == ["absent", "numpy"]
    assert [one.advice for one in broken] == [
        "`pip install 'absent>=2'`",
        "`pip install 'numpy<1'`",
    ]
    assert found("packages")["a2sb"].facts == {"version": "9.9"}


def test_little_memory_is_a_note(monkeypatch):
    memory = SimpleNamespace(available=5e8, total=8e9)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    little = found("devices")["memory"]
    assert little.state == "note" and little.advice


def test_faults_of_plugins_are_counted(monkeypatch):
    findings = [
        diagnosis.PluginProblem("a", "b", "1", "w", "d", broken) for broken in (True, False)
    ]
    monkeypatch.setattr(diagnosis, "examine", lambda registry: findings)
    plugins = found("plugins")["plugins"]
    assert (plugins.state, plugins.facts["faults"], plugins.facts["notes"]) == ("broken", 1, 1)
    assert "a2sb plugins doctor" in plugins.advice


@pytest.mark.parametrize("error", [ValueError("odd"), ModelError("odd")])
def test_a_check_that_fails_is_a_finding_and_stops_no_other(monkeypatch, error):
    def fail(device):
        raise error
        yield

    later = checks.Check("later", "ok", "fine")
    monkeypatch.setattr(checks, "CHECKS", {"odd": fail, "later": lambda device: iter([later])})
    broken, other = checks.examine()
    assert (broken.name, broken.state) == ("odd", "broken") and "odd" in broken.message
    assert other is later
