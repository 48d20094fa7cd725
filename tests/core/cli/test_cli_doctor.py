"""`a2sb doctor`: what a user sees of a machine that restores, and of one that does not."""

import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def report(a2sb):
    """Run it for programs; return the checks by their names."""

    def run(*arguments, code=0):
        result = a2sb("doctor", "--json", "--device", *arguments)
        assert result.exit_code == code, result
        report = json.loads(result.stdout)
        assert report["healthy"] == (code == 0)
        return {check["name"]: check for check in report["checks"]}

    return run


def test_a_machine_that_restores(report):
    checks = report("cpu")
    expected = "python a2sb torch soundfile cpu device memory plugins self-test"
    assert set(expected.split()) <= checks.keys()
    assert checks["device"]["facts"]["device"] == "cpu"
    assert checks["self-test"]["state"] == "ok" and checks["self-test"]["facts"]["seconds"] > 0
    for check in checks.values():
        assert check["message"] and (check["advice"] or check["state"] == "ok")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda sound: sound * np.nan, "is not finite"),
        (lambda sound: sound[:, :-1], "has the shape"),
        (lambda sound: sound, "is identical"),
        (lambda sound: sound + 99, "far too loud"),
    ],
)
def test_a_machine_that_restores_nonsense(report, monkeypatch, spoil, words):
    from a2sb_core import Restorer

    monkeypatch.setattr(Restorer, "restore", lambda self, sound, *_, **__: spoil(sound))
    test = report("cpu", code=1)["self-test"]
    assert test["state"] == "broken" and words in test["message"]
    assert "a2sb doctor --device cpu" in test["advice"]


def test_a_device_that_is_not_there(report):
    checks = report("mps:3", code=1)
    assert checks["self-test"]["state"] == "broken"
    assert "mps:3" in checks["devices"]["message"]


def test_a_model_that_is_damaged(report, monkeypatch, tmp_path):
    from a2sb_core.doctor import checks

    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr(checks, "DEFAULT_MODEL", str(tmp_path))
    test = report("cpu", code=1)["self-test"]
    assert test["state"] == "broken" and str(tmp_path) in test["message"]


def test_without_pytorch_the_other_checks_still_run():
    code = (
        "import sys; sys.modules['torch'] = None; from a2sb_core.cli import main\n"
        "sys.argv = ['a2sb', 'doctor']; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    lines = result.stdout.splitlines()
    (torch,) = (k for k, line in enumerate(lines) if line.startswith("broken  torch: "))
    assert "pip install --force-reinstall torch" in lines[torch + 1]
    assert any(line.startswith("broken  self-test:") for line in lines)
    assert any(line.startswith("ok      numpy:") for line in lines)
