"""`a2sb plugins check`: the contract of an installed distribution."""

import json

import pytest
from site_helpers import HOOK, write_distribution
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.plugins import reset
from a2sb_core.testing import laws

METRIC = """
import torch
from a2sb_core.interfaces import A2SBError, ComponentConfig, Metric, Outcome
from a2sb_core.testing import Case

class Distance(Metric):
    higher_is_better = False

    class Config(ComponentConfig):
        name: str = "distance"

    def check(self):
        MISSING

    def measure(self, truth, estimate, sample_rate):
        self.check()
        return float((truth - estimate).abs().CALL())

    @staticmethod
    def contract_cases():
        known = Outcome(torch.ones(2, 4), torch.zeros(2, 4), 44100)
        return [Case(Distance.Config(), KNOWN, known_values=((known, 1.0),))]
"""
BRIDGE = """
from a2sb_core.interfaces import ComponentConfig
from a2sb_core.testing.parts import Steady

class Scaled(Steady):
    class Config(ComponentConfig):
        name: str = "scaled"
        scale: float
"""


def add(kind, name, target):
    return f'{HOOK}    registrar.add("{kind}", "{name}", "my_dist_parts:{target}")\n'


def check(*arguments):
    reset()
    result = CliRunner().invoke(app, ["plugins", "check", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result
    return result


def install_metric(site, call="mean", known="{}", head="", missing="pass"):
    part = METRIC.replace("CALL", call).replace("KNOWN", known).replace("MISSING", missing)
    write_distribution(site, "my-dist", head + add("metric", "distance", "Distance"), part=part)


def test_sane_plugin_passes_every_law(site):
    install_metric(site)
    result = check("My_Dist")
    count = len(laws("metric"))
    assert result.exit_code == 0
    assert result.output.endswith(f"{count} of {count} checks passed\n")
    told = [f"metric `distance`: {law.name}\n        {law.sentence}\n" for law in laws("metric")]
    assert all(text in result.output for text in told)


def test_broken_law_fails_with_its_message(site):
    install_metric(site, call="sum")
    result = check("my-dist")
    assert result.exit_code == 1
    assert "broken  metric `distance`: known_values_are_met\n" in result.output
    assert "the known value is 1, the metric says 8.0" in result.output


def test_known_failure_is_told_with_its_reason_and_strict(site):
    reasons = "{'known_values_are_met': 'a sum, not a mean', 'channels_count_alike': 'once so'}"
    install_metric(site, call="sum", known=reasons)
    result = check("my-dist", "--json")
    verdicts = {v["law"]: v for v in json.loads(result.output)["verdicts"]}
    assert verdicts["known_values_are_met"]["state"] == "known"
    assert verdicts["known_values_are_met"]["detail"] == "a sum, not a mean"
    assert verdicts["channels_count_alike"]["state"] == "mended"
    assert result.exit_code == 1


def test_another_error_is_no_known_failure(site):
    install_metric(site, call="nothing", known="{'channels_count_alike': 'they do not'}")
    result = check("my-dist", "--json")
    verdicts = {v["law"]: v for v in json.loads(result.output)["verdicts"]}
    assert verdicts["channels_count_alike"]["state"] == "broken"
    assert "AttributeError" in verdicts["channels_count_alike"]["detail"]


def test_component_that_cannot_run_is_skipped_and_not_passed(site):
    install_metric(site, missing="raise A2SBError('needs a package')")
    result = check("my-dist")
    assert result.exit_code == 1
    assert "skipped metric `distance`: more_noise_is_worse\n" in result.output
    assert "        needs a package\n" in result.output
    assert "broken" not in result.output


def test_plugin_module_that_imports_torch_is_told(site):
    (site / "torch.py").touch()  # the one that another process finds: quicker than the real one
    install_metric(site, head="import torch\n")
    result = check("my-dist")
    assert result.exit_code == 1
    assert "broken  metric `distance`: registered_without_torch\n" in result.output
    assert "        listing the plugins of my-dist imports torch" in result.output
    assert "0 of" not in result.output


def test_config_without_defaults_asks_for_cases(site):
    write_distribution(site, "my-dist", add("bridge", "scaled", "Scaled"), part=BRIDGE)
    result = check("my-dist")
    assert result.exit_code == 1
    assert "static method `contract_cases`" in result.output


def test_plugin_that_does_not_load_fails(site):
    write_distribution(site, "my-dist", "import not_there_at_all")
    result = check("my-dist")
    assert result.exit_code == 1
    assert "not_there_at_all" in result.output
    assert result.output.endswith("0 of 1 checks passed\n")


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "no plugin of `gone` is installed"), ("a2sb", "built-in")]
)
def test_nothing_to_check_is_an_error(site, name, message):
    result = check(name)
    assert result.exit_code == 1
    assert message in result.output
