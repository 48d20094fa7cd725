"""`a2sb doctor`: what a user sees of a machine that restores, and of one that does not."""

import json
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture
def told(a2sb):
    """Run it for programs; the checks by their names."""

    def run(*arguments, code=0):
        result = a2sb("doctor", "--json", *arguments)
        assert result.exit_code == code, result
        report = json.loads(result.stdout)
        assert report["healthy"] == (code == 0)
        return {check["name"]: check for check in report["checks"]}

    return run


def test_a_machine_that_restores(told):
    checks = told("--device", "cpu")
    assert {"python", "a2sb", "torch", "torchaudio", "soundfile", "formats", "cpu", "cuda", "mps",
            "xformers", "ffmpeg", "device", "memory", "this folder", "temporary files",
            "downloaded models", "plugins", "self-test"} <= checks.keys()
    assert checks["device"]["facts"]["device"] == "cpu"
    assert checks["self-test"]["state"] == "ok" and checks["self-test"]["facts"]["seconds"] > 0
    assert checks["memory"]["facts"]["free_bytes"] > 0
    for check in checks.values():
        assert check["told"] and (check["advice"] or check["state"] == "ok")


def test_people_read_lines(a2sb, monkeypatch):
    from a2sb_core.engine import health

    found = [health.Check("a", "ok", "fine"), health.Check("b", "note", "so so", "mend it")]
    monkeypatch.setattr(health, "examine", lambda device: iter(found))
    result = a2sb("doctor")
    assert result.stdout.splitlines() == [
        "ok      a: fine", "note    b: so so", "          do: mend it", "", "0 faults, 1 notes",
    ]
    assert result.exit_code == 0


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda sound: sound * np.nan, "is not finite"), (lambda sound: sound[:, :-1], "has the shape"),
    (lambda sound: sound, "nothing was added"), (lambda sound: sound + 99, "far too loud"),
])
def test_a_machine_that_restores_nonsense(told, monkeypatch, spoil, words):
    from a2sb_core import Restorer

    monkeypatch.setattr(Restorer, "restore", lambda self, sound, *_, **__: spoil(sound))
    test = told("--device", "cpu", code=1)["self-test"]
    assert test["state"] == "broken" and words in test["told"]
    assert "a2sb doctor --device cpu" in test["advice"]


def test_a_device_that_is_not_there(told):
    checks = told("--device", "mps:3", code=1)
    assert checks["self-test"]["state"] == "broken"
    assert "use `auto` or `cpu`" in checks["devices"]["told"]


def test_a_model_that_is_damaged(told, monkeypatch, tmp_path):
    from a2sb_core.engine import health

    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr(health, "SHIPPED_MODEL", str(tmp_path))
    test = told("--device", "cpu", code=1)["self-test"]
    assert test["state"] == "broken" and "not valid JSON" in test["told"]


def test_without_pytorch_the_rest_is_still_told():
    code = ("import sys; sys.modules['torch'] = None; from a2sb_core.cli import main\n"
            "sys.argv = ['a2sb', 'doctor']; main()")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "broken  torch: torch 2.11" in result.stdout
    assert "do: `pip install --force-reinstall torch`" in result.stdout
    assert "ok      memory:" in result.stdout and "broken  self-test:" in result.stdout
