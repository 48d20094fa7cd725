"""The examples of the pages: Python runs, commands parse, YAML is valid and links resolve."""

import importlib
import shutil
import tomllib
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
import torch
import yaml
from doc_pages import PAGES, ROOT, blocks, commands, tokens
from listening_parts import write_rated
from typer.main import get_command

from a2sb_core.cli import app
from a2sb_core.config.chain import ChainConfig
from a2sb_core.config.loading import load_config, load_tree, validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.config.training import TrainConfig
from a2sb_core.config.tree import Node, merge
from a2sb_core.evaluation.protocols import load_protocols
from a2sb_core.plugins import Registrar, Registry, default_registry
from a2sb_core.testing import Case, laws
from a2sb_core.training.curation.public_sets import load_sets

RATE = 44100
SLOW = {"docs/evaluation.md"}
"""Pages whose Python takes minutes."""

SMALL = ROOT / "examples" / "train_small" / "train_small.yaml"


# Python


SCRIPTS = [block for block in blocks("python") if not block.file]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Work in a folder with what the pages assume: recordings, and a listening test."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    soundfile.write("old.wav", 0.1 * rng.standard_normal((RATE // 2, 2)), RATE)
    Path("clips").mkdir()
    soundfile.write("clips/one.wav", 0.1 * rng.standard_normal(6 * RATE), RATE)
    write_rated(Path("opinions"))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_compiles(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] * (page in SLOW))
        for page in sorted({str(block.page.relative_to(ROOT)) for block in SCRIPTS})
    ],
)
def test_python_runs_as_one_session(page, desk):
    torch.manual_seed(0)
    session = {"__name__": "page"}
    for block in SCRIPTS:
        if block.page == ROOT / page:
            exec(compile(block.text, str(block), "exec"), session)


def test_the_plugin_of_the_readme_obeys_its_contract(tmp_path, monkeypatch):
    files = {block.file: block.text for block in blocks() if block.page.name == "README.md"}
    for path in filter(None, files):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(files[path])
    monkeypatch.syspath_prepend(tmp_path)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    registrar = Registrar("readme", project["name"], project["version"])
    for module in project["entry-points"]["a2sb"].values():
        importlib.import_module(module).a2sb_register(registrar)
    for entry in registrar.entries:
        component = Registry(registrar.entries, []).resolve(entry.kind, entry.name)
        for law in laws(entry.kind):
            if law.name != "registered_without_torch":
                law.check(Case(component.Config()))


# Commands


def parsed(words):
    """Return the command and its parameters, as the parser of ``a2sb`` reads them."""
    context = get_command(app).make_context("a2sb", words)
    while hasattr(context.command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words[1:], id=f"{block} {' '.join(words[1:3])}")
        for block in blocks()
        for words in (commands(block.text) if "a2sb " in block.text else ())
        if words[0] == "a2sb"
    ],
)
def test_commands_are_parsed_and_set_fields_that_exist(words):
    given = parsed(words).params
    if given.get("overrides"):
        source = given["source"]
        known = (ROOT / source).is_file() or source in default_registry().names("preset")
        source = (ROOT / source if (ROOT / source).is_file() else source) if known else SMALL
        model = "model" not in load_tree(source).value
        load_config(ModelConfig if model else TrainConfig, source, given["overrides"])


def test_pipes_redirections_and_continued_lines_are_split():
    text = "a2sb config schema > a.json\nits output\n$ a2sb a | b --c \\\n  'd e'\n"
    expected = [["a2sb", "config", "schema"], ["a.json"], ["a2sb", "a"], ["b", "--c", "d e"]]
    assert commands(text) == expected


# YAML and links


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_is_valid(block, tmp_path):
    """A block is a whole run, fields laid over the run of `small`, data sets, or protocols."""
    shutil.copytree(SMALL.parent, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "block.yaml"
    path.write_text(block.text)
    tree = yaml.safe_load(block.text) or {}
    if block.file:
        assert tree  # a test of the plugin that the page writes reads it
    elif "chain" in tree:
        load_config(ChainConfig, path)
    elif "sets" in tree:
        assert load_sets(path).sets.keys() > tree["sets"].keys()
    elif "extends" in tree:
        load_config(TrainConfig, path)
    elif tree.keys() <= TrainConfig.model_fields.keys() | ModelConfig.model_fields.keys():
        part = tree if tree.keys() <= TrainConfig.model_fields.keys() else {"model": tree}
        base = load_tree(SMALL)
        if "data" in part:
            base = Node({key: value for key, value in base.value.items() if key != "data"})
        validate(TrainConfig, merge(base, Node.of(part)), str(block))
    else:
        assert len(load_protocols(list(tree), path)) == len(tree)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    inline = [child for token in tokens(page) for child in token.children or ()]
    targets = [str(child.attrs.get("href") or child.attrs.get("src") or "") for child in inline]
    for target in targets:
        path = unquote(target.partition("#")[0])
        assert "://" in target or not path or (page.parent / path).exists(), target
