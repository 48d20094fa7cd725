"""Results of a plugin count as long as its code is the same."""

import importlib
import sys

import pytest
from engine_helpers import train_config, write_audio
from site_helpers import HOOK, write_distribution

from a2sb_core.ablation import runs as ablation
from a2sb_core.ablation.grid import make_cells, parse_axes
from a2sb_core.config.evaluation import EvaluateConfig
from a2sb_core.config.loading import dump
from a2sb_core.config.tree import Node
from a2sb_core.errors import PluginError
from a2sb_core.evaluation.runner import Evaluation
from a2sb_core.plugins import default_registry, reset
from a2sb_core.plugins.code_digests import check_plugin_code, plugin_code

PLUGIN = f"""{HOOK}    registrar.add("metric", "level", "own_parts:Level")
    registrar.add("bridge", "own", "own_parts:Own")
"""
PARTS = """
from a2sb_core.interfaces import ComponentConfig, Metric
from a2sb_tasks.bridges.i2sb import I2SB

class Level(Metric):
    higher_is_better = True
    class Config(ComponentConfig):
        name: str = "level"
    def measure(self, truth, estimate, sample_rate):
        return 1.0

class Own(I2SB):
    class Config(I2SB.Config):
        name: str = "own"
"""


@pytest.fixture
def start(site):
    """A function that begins a new process, as it were: it loads the plugin with new code."""
    write_distribution(site, "own", PLUGIN, part=PARTS)

    def start(old="", new=""):
        path = site / "own_parts.py"
        path.write_text(path.read_text().replace(old, new) if old else path.read_text())
        for name in ("own", "own_parts"):
            sys.modules.pop(name, None)
        sys.path_importer_cache.clear()
        importlib.invalidate_caches()
        reset()

    start()
    return start


def entry(name="level", kind="metric"):
    return default_registry().entry(kind, name)


def test_a_digest_covers_the_code_of_plugins_only(start, site):
    assert plugin_code(entry("lsd")) == {}
    code = plugin_code(entry(), entry("own", "bridge"))
    assert list(code) == ["own"]
    start("1.0", "2.0")
    assert plugin_code(entry()) != code
    start("2.0", "1.0")
    assert plugin_code(entry()) == code


def test_all_modules_of_a_package_count(site):
    package = site / "whole"
    (package / "deep").mkdir(parents=True)
    for path in ("__init__.py", "part.py", "deep/data.py", "notes.txt"):
        (package / path).touch()
    source = f'{HOOK}    registrar.add("metric", "whole", "whole.part:Nothing")\n'
    write_distribution(site, "other", source)
    reset()
    code = plugin_code(entry("whole"))
    (package / "notes.txt").write_text("text")
    check_plugin_code()
    (package / "deep" / "data.py").write_text("x = 1")
    assert plugin_code(entry("whole")) == code  # this process has loaded the earlier code
    with pytest.raises(PluginError, match="the code of other changed"):
        check_plugin_code()


def evaluation(tmp_path):
    if not (tmp_path / "clips").exists():  # float WAV files hold the time at which they are written
        write_audio(tmp_path / "clips", count=2)
    return Evaluation(
        EvaluateConfig(
            source=tmp_path / "clips",
            output=tmp_path / "evaluation",
            tasks=("bandwidth-4k",),
            systems=("degraded",),
            metrics=("level",),
        )
    )


def values(report):
    return [value for one in report.results.values() for value in one.values.values()]


def test_a_changed_metric_is_measured_anew(start, tmp_path):
    assert values(evaluation(tmp_path).run()) == [1.0, 1.0]
    start()
    assert evaluation(tmp_path).run().computed == 0
    start("1.0", "2.0")
    report = evaluation(tmp_path).run()
    assert report.computed == 2 and 2.0 in values(report)
    key = report.metrics[0].key
    assert [one.values[key] for one in report.results.values()] == [2.0, 2.0]


def test_a_metric_that_changes_during_an_evaluation_is_an_error(start, site, tmp_path):
    begun = evaluation(tmp_path)
    (site / "own_parts.py").write_text(PARTS.replace("1.0", "3.0"))
    with pytest.raises(PluginError, match="changed during the work"):
        begun.run()
    start()
    assert values(evaluation(tmp_path).run()) == [3.0, 3.0]


def test_a_changed_part_of_a_model_is_trained_anew(start, site, tmp_path):
    write_audio(tmp_path / "audio")
    data = {"validation_files": 0}

    def plan():
        base = train_config(tmp_path, steps=1, statistics_segments=1, data=data)
        cells = make_cells(Node.of(dump(base)), parse_axes(["model.bridge=i2sb,own"], base))
        return ablation.plan_runs(base, cells, tmp_path / "out")

    assert ablation.train_runs(plan()) == {}
    start()
    assert all(run.model for run in plan())
    start("class Own", "# a comment\n\nclass Own")
    builtin, own = plan()
    assert builtin.model is not None and own.model is None
    (site / "own_parts.py").write_text(PARTS)
    with pytest.raises(PluginError, match="changed during the work"):
        ablation.train_runs([own])
