"""Blocks that show something: what a command prints, where folders are, what a formula says."""

import doctest
import re
import shutil

import pytest
import torch
from doc_commands import SMALL
from doc_pages import ROOT, every_block, of_page
from typer.testing import CliRunner

from a2sb_core.cli import app
from a2sb_core.cli.demo import GAPS_S, METRICS, cases
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.registry import KINDS

PICTURE = "damaged audio -> representation -> corruption says what is missing -> sampler walks " \
    "the bridge,"


def demo_table(text):
    """Columns and rows are those of the command; its figures are of one machine."""
    head, *rows = text.splitlines()
    assert re.split(r" {2,}", head) == ["task", "clip", *METRICS.values()]
    truth = torch.zeros(1, 44100 * 10).numpy()
    told = [row.split() for row in rows]
    assert [row[:2] for row in told] == [
        [case.task, name] for case in cases(truth, 44100) for name in ("degraded", "restored")
    ]
    assert all(float(figure) for row in told for figure in row[2:]) and GAPS_S


def map_of_folders(text):
    named = [line.split()[0] for line in text.splitlines()]
    assert all((ROOT / name).is_dir() for name in named)
    packages = {f"{path.parent.name}/" for path in ROOT.glob("a2sb_*/__init__.py")}
    assert packages <= set(named)


def picture(text):
    """It is the same wherever it stands, and its words are those of the interfaces."""
    same = {block.text for block in every_block("shown") if block.text.startswith(PICTURE)}
    assert same == {text}
    assert {"representation", "corruption", "sampler", "bridge", "prediction"} <= set(
        re.findall(r"\w+", text)) & set(KINDS)


def splice(text):
    """Where the network changes nothing the output is the input, whatever decoding loses."""
    left, right = text.strip().split(" = ")
    assert left == "output"
    representation = default_registry().resolve("representation", "factorized").Config().build()
    wave = 0.3 + 0.1 * torch.randn(1, 9000, generator=torch.Generator().manual_seed(0))
    z = representation.encode(wave)
    known = {
        "input": wave, "x0": z, "encode": representation.encode,
        "decode": lambda z: representation.decode(z, 9000),
    }
    assert torch.equal(eval(right, known), wave)
    assert not torch.allclose(known["decode"](z), wave, atol=0.1)  # the DC row alone


def says(expected, printed):
    checker = doctest.OutputChecker()
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert checker.check_output(expected, printed, options), printed


def invoke(words):
    done = CliRunner().invoke(app, words)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


@pytest.fixture
def run_yaml(tmp_path, monkeypatch):
    """Work beside the guide's own run.yaml, and what it extends."""
    shutil.copy(SMALL, tmp_path)
    (block,) = (b for b in of_page("docs/configuration.md", "yaml") if "extends:" in b.text)
    (tmp_path / "run.yaml").write_text(block.text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run.yaml"


def origins(text):
    """Lines are those that the command prints, in their order; others stand between them."""
    command, *lines = text.splitlines()
    printed = invoke(command.removeprefix("$ a2sb ").split()).splitlines()
    told = [" ".join(line.split()) for line in printed]
    places = [told.index(" ".join(line.split())) for line in lines if line != "..."]
    assert places == sorted(places) and len(places) > 2


def problems(text):
    """The two mistakes of the guide, made in its own run.yaml."""
    with open("run.yaml") as file:
        lines = file.read().replace("name: paper", "name: papr").splitlines()
    with open("run.yaml", "w") as file:
        file.write("\n".join([*lines, "stepz: 5"]) + "\n")
    says(text, invoke(["config", "validate", "run.yaml"]))


SHOWN = {
    ("README.md", "task       clip      LSD (lower is better)  SiSpec, dB  ViSQOL (1 to 5)"):
        demo_table,
    ("README.md", "a2sb_core/        interfaces, plugins, config, engine, audio, cli; knows no "
     "concrete part"): map_of_folders,
    ("CONTRIBUTING.md", PICTURE): picture,
    ("docs/index.md", PICTURE): picture,
    ("docs/design.md", "output = input + (decode(x0) - decode(encode(input)))"): splice,
    ("docs/configuration.md", "$ a2sb config show run.yaml --set steps=50 --origins"): origins,
    ("docs/configuration.md", "error: run.yaml: 2 problems"): problems,
}
"""What checks each, by page and first line."""


@pytest.mark.parametrize("block", every_block("shown"), ids=str)
def test_what_is_shown_is_so(block, run_yaml):
    SHOWN[block.page, block.text.partition("\n")[0].strip()](block.text)
