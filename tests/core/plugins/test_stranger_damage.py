"""The damage of a plugin has an option, a sentence, marks and a field, as built-in damage has."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from site_helpers import HOOK, write_distribution
from tiny_model import composition

RATE = 44100
PLUGIN = f"""{HOOK}    registrar.add("corruption", "hole", "hole_plugin_parts:Hole")
    registrar.add_option(
        "hole", "low_hz", "--hole", metavar="HZ", help="Lowest missing frequency in Hz.",
        label="Hole in Hz", parse="hole_plugin:parse",
    )

def parse(text):
    if not text.endswith("Hz"):
        raise ValueError(f"`{{text}}` does not end in Hz")
    return float(text.removesuffix("Hz"))
"""
PARTS = """
from a2sb_core.interfaces import FrozenConfig, MaskCorruption, Marks

class Hole(MaskCorruption):
    task, label = "hole", "Fill a hole"
    ranges = {"low_hz": (500.0, 5000.0)}

    class Config(MaskCorruption.Config):
        name: str = "hole"

    class Parameters(FrozenConfig):
        low_hz: float

    def missing(self, grid, parameters):
        low = parameters.low_hz
        return ((grid.freqs_hz >= low) & (grid.freqs_hz < 2 * low))[:, None].expand(grid.shape)

    def describe(self, parameters):
        return f"filling the octave above {parameters.low_hz:.0f} Hz"

    def marks(self, parameters):
        return Marks(frequencies_hz=(parameters.low_hz, 2 * parameters.low_hz))
"""
MODEL = composition(corruption="hole")
SCRIPT = f"""
import json, sys
from typer.testing import CliRunner
from a2sb_core.cli import app
from a2sb_core.config.model import ModelConfig
from a2sb_core.models.folder import save_model
from a2sb_core.models.model import Model

folder = str(save_model(Model(ModelConfig.model_validate({MODEL!r})), sys.argv[1] + "/model"))

def run(*words):
    result = CliRunner().invoke(app, list(words), env={{"COLUMNS": "200"}})
    return [result.exit_code, result.output]

asked = ["restore", "in.wav", "-o", "out.wav", "--task", "hole", "--model", folder, "--steps", "1"]
from a2sb_core.web.view import placed_marks
from a2sb_core.web.work import PageRequest, fields, tasks
page = PageRequest("hole", folder, texts={{"--hole": "1000Hz"}})
print("RESULT", json.dumps({{
    "help": run("restore", "--help"),
    "restored": run(*asked, "--device", "cpu", "--hole", "1000Hz"),
    "malformed": run(*asked, "--hole", "1000"),
    "of another task": run(*asked, "--gap", "1:2"),
    "fields": [[field.label, field.task] for field in fields()],
    "tasks": tasks(folder),
    "lines": [line["hz"] for line in placed_marks({RATE}, page.marks())["lines"]],
}}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a person sees of the plugin."""
    folder = tmp_path_factory.mktemp("stranger")
    write_distribution(folder, "hole-plugin", PLUGIN, part=PARTS)
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 2)
    soundfile.write(folder / "in.wav", noise, RATE)
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("RESULT")[2])


def test_its_option_is_in_the_help_of_the_command(seen):
    code, text = seen["help"]
    assert code == 0 and "--hole" in text and "lowest missing frequency in Hz" in text


def test_its_option_restores_and_its_sentence_is_printed(seen):
    code, text = seen["restored"]
    assert code == 0 and "filling the octave above 1000 Hz" in text


def test_malformed_texts_and_options_of_other_tasks_are_refused(seen):
    code, text = seen["malformed"]
    assert code == 2 and "--hole" in text and "does not end in Hz" in text
    code, text = seen["of another task"]
    assert code == 2 and "--task inpaint" in text


def test_the_page_has_its_field_task_and_marks(seen):
    assert ["Hole in Hz", "hole"] in seen["fields"]
    assert seen["tasks"] == [["Fill a hole", "hole"]]
    assert seen["lines"] == [1000.0, 2000.0]
