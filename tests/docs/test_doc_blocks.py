"""Every code block of the pages is run, or checked where that would take minutes or a network."""

import ast
import importlib
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from doc_commands import SMALL, Checker, CommandError
from doc_pages import PAGES, ROOT, Block, blocks, commands, every_block, of_page

from a2sb_core.audio.resample import resample
from a2sb_core.config.evaluate import split_list
from a2sb_core.config.load import load_config, load_tree, validate
from a2sb_core.config.run import ModelConfig, TrainConfig
from a2sb_core.config.tree import Node, merge
from a2sb_core.engine.protocols import load_protocols
from a2sb_core.plugins import default_registry, reset
from a2sb_core.plugins.skeleton import skeleton

RATE = 44100
HEAVY = {"docs/evaluation.md"}
"""Pages whose Python takes long: run by the slow tests, by default only read."""


def names(found):
    return sorted({block.page for block in found})


def test_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md", "docs/plugins.md", "examples/plugin/README.md"} <= {
        str(page.relative_to(ROOT)) for page in PAGES
    }
    assert len(every_block()) > 40


def test_no_block_escapes():
    """What is neither Python, YAML, a file nor commands needs a check of its own in SHOWN."""
    from test_doc_shown import SHOWN

    first = {(block.page, block.text.partition("\n")[0].strip()): str(block)
             for block in every_block("shown")}
    unknown = [first[key] for key in first.keys() - SHOWN.keys()]
    assert not unknown, f"neither run nor checked: {unknown}; see test_doc_shown.py"
    assert not SHOWN.keys() - first.keys(), "these are no longer in the pages"


@pytest.mark.parametrize("text,kind", [
    ("a2sb analyze x.wav\n", "commands"), ("some words\n", "shown"), ("$ a2sb\n", "shown"),
    ("a2sb demo\nrm -rf x\n", "shown"), ("it's\n", "shown"),
])
def test_kinds_of_blocks(text, kind):
    assert Block("page", 1, "", text).kind == kind
    assert Block("page", 1, "python", text).kind == "python"
    assert Block("page", 1, "python", "# a/b.py\n" + text).kind == "file"


# commands


@pytest.mark.parametrize("page", names(every_block("commands")))
def test_commands_are_those_of_the_programs(page):
    files = {block.file: block.text for block in of_page(page, "file")}
    checker = Checker((ROOT / page).parent, _tasks(page), files)
    for block in blocks(ROOT / page):
        for line in commands(block.text) if block.kind == "commands" else ():
            for words in line:
                if words[0] == ">":
                    checker.writes(words[1])
                else:
                    checker.check(words)


def _tasks(page):
    return [name for block in blocks(ROOT / page)
            for name in re.findall(r'^ +task = "(\w+)"', block.text, re.MULTILINE)]


@pytest.mark.parametrize("line", [
    "a2sb restor old.wav", "a2sb restore old.wav -o new.wav", "rm old.wav",
    "a2sb restore old.wav -o new.wav --task bandwidht", "a2sb restore gone.wav -o x --task inpaint",
    "a2sb restore old.wav -o new.wav --task bandwidth --model smal",
    "a2sb train examples/train_small/train_small.yaml --set stepz=5",
    "a2sb train examples/gone.yaml", "a2sb evaluate clips -o r --tasks bandwith-4k",
    "a2sb evaluate clips -o r --metrics lsdd", "a2sb evaluate clips -o r --systems nobody",
    "a2sb ablate base.yaml -o r --vary sampler.stepps=1,2", "make tests", "ls",
    "python benchmarks streaming --minutez 5", "python benchmarks nothing", "python gone.py",
    "pip install -e '.[devel]'", "pytest tests/gone", ".ci/walk",
    "accelerate launch a2sb train run.yaml", "a2sb plugins list --kind smapler",
    "docker build --target gpu -t a2sb .", "docker run --rm a2sb doctor",
    "docker build --target cpu --build-arg EXTRA=web -t a2sb .", "a2sb doctor --device gpu",
])
def test_wrong_commands_are_found(line):
    (words,) = commands(line)[0]
    with pytest.raises(CommandError):
        Checker().check(words)


def test_what_was_made_before_is_known():
    restore = "a2sb restore old.wav -o b.wav --task inpaint --model runs/one/model"
    checker = Checker()
    with pytest.raises(CommandError):
        checker.check(restore.split(" "))
    checker.check(["a2sb", "train", str(SMALL), "--set", "output=runs/one"])
    checker.check(restore.split(" "))


def test_pipes_redirections_and_continued_lines():
    text = "a2sb config schema > a.json  # for editors\n# nothing\na | b \\\n  --c 'd e'\n"
    assert commands(text) == [
        [["a2sb", "config", "schema"], [">", "a.json"]], [["a"], ["b", "--c", "d e"]],
    ]


# Python


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Work in a folder that holds what a reader has: a recording, and clean clips."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    soundfile.write("old.wav", 0.1 * rng.standard_normal((RATE // 2, 2)), RATE)
    Path("clips").mkdir()
    soundfile.write("clips/one.wav", 0.1 * rng.standard_normal(6 * RATE), RATE)
    return tmp_path


def run(page):
    """Run the Python blocks of a page in order, as one session."""
    session = {"__name__": "page"}
    for block in of_page(page, "python"):
        exec(compile(block.text, str(block), "exec"), session)
    return session


def is_music_above(session):
    """Part by part as in one call, but for level and a sharper cutoff, only highs are made."""
    for restored in (session["whole"], session["restored"]):
        change = torch.fft.rfft((restored - session["wave"]).double()).abs()
        low, high = change[:, :3500].square().mean(), change[:, 5000:].square().mean()
        assert high > 100 * low
    assert torch.isfinite(session["loss"])


def has_rows(session):
    assert {"degraded", "small@2"} <= {row["system"] for row in session["rows"]}
    assert {row["task"] for row in session["rows"]} == {"bandwidth-4k", "bandwidth-8k", "gap-300"}


def has_steps(session):
    assert session["paper"].sampler.inner.steps == 50
    assert session["config"].bridge.beta_max == 2


def keeps_its_shape(session):
    assert session["restored"].shape == session["wave"].T.shape
    assert np.isfinite(session["restored"]).all()


OUTCOMES = {
    "docs/index.md": is_music_above,
    "docs/evaluation.md": has_rows,
    "docs/configuration.md": has_steps,
    "README.md": keeps_its_shape,
}
"""What the Python of each page must have come to."""


@pytest.mark.parametrize("page", [
    pytest.param(page, marks=[pytest.mark.slow] * (page in HEAVY))
    for page in names(every_block("python"))
])
def test_python_runs(page, desk):
    torch.manual_seed(0)
    session = run(page)
    OUTCOMES.get(page, lambda session: None)(session)


@pytest.mark.parametrize("page", sorted(HEAVY))
def test_imports_and_names_of_heavy_python(page):
    for block in of_page(page, "python"):
        tree = ast.parse(block.text)
        imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        session = {}
        exec(compile(ast.Module(imports, []), str(block), "exec"), session)
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
            target = session.get(getattr(call.func, "id", ""))
            fields = getattr(target, "model_fields", None)
            assert fields is None or {k.arg for k in call.keywords} <= fields.keys()


# YAML


@pytest.mark.parametrize("block", every_block("yaml"), ids=str)
def test_yaml_is_valid(block, tmp_path):
    """Whole configurations, parts of one laid over that of `small`, protocols, or a comment."""
    for shipped in SMALL.parent.glob("*.yaml"):
        shutil.copy(shipped, tmp_path)
    path = tmp_path / "block.yaml"
    path.write_text(block.text)
    tree = yaml.safe_load(block.text)
    if tree is None:
        (named,) = re.findall(r"\$schema=(\S+)", block.text)
        assert [">", named] in made_by(block.page)
    elif "extends" in tree:
        load_config(TrainConfig, path)
    elif tree.keys() <= TrainConfig.model_fields.keys():
        over = dict(tree)
        base = load_tree(SMALL)
        if "data" in over:  # sources in place of the source
            base = Node({k: v for k, v in base.value.items() if k != "data"})
        validate(TrainConfig, merge(base, Node.of(over)), block.page)
    elif tree.keys() <= ModelConfig.model_fields.keys():
        validate(TrainConfig, merge(load_tree(SMALL), Node.of({"model": tree})), block.page)
    else:
        assert len(load_protocols(split_list([",".join(tree)]), path)) == len(tree)


def made_by(page):
    return [words for block in of_page(page, "commands")
            for line in commands(block.text) for words in line]


# Files: distributions of plugins


@pytest.fixture
def installed(request, tmp_path, monkeypatch):
    """Write the files of a page, and install the plugin that they are."""
    page, name = request.param
    monkeypatch.chdir(tmp_path)
    folder, files = tmp_path / f"a2sb-{name}", {}
    if page == "docs/plugins.md":  # its first command
        files = {f"a2sb-{name}/{path}": text for path, text in skeleton(name, "corruption").items()}
    written = {block.file: block.text for block in of_page(page, "file")}
    if page == "README.md":
        written = {f"a2sb-{name}/{path}": text for path, text in written.items()}
    for path, text in (files | written).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    project = _project(folder / "pyproject.toml")
    info = folder / f"a2sb_{name}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["a2sb"]
    (info / "entry_points.txt").write_text(
        "[a2sb]\n" + "".join(f"{key} = {target}\n" for key, target in points.items()))
    monkeypatch.syspath_prepend(str(folder))
    reset()
    yield tmp_path
    reset()
    for module in [one for one in sys.modules if one.split(".")[0] == f"a2sb_{name}"]:
        del sys.modules[module]


def _project(path):
    import tomllib

    return tomllib.loads(path.read_text())["project"]


def obeys(kind, config):
    from a2sb_core.testing import Case, laws

    for law in laws(kind):
        law.check(config if isinstance(config, Case) else Case(config))


@pytest.mark.parametrize("installed", [("README.md", "jump")], indirect=True)
def test_the_plugin_of_the_readme(installed):
    assert "jump" in default_registry().names("sampler")
    jump = importlib.import_module("a2sb_jump.sampler").Jump
    obeys("sampler", jump.Config(steps=2))
    config = load_config(TrainConfig, SMALL, ["model.sampler.inner=jump"])
    assert config.model.sampler.inner == jump.Config()


@pytest.mark.parametrize("installed", [("docs/plugins.md", "hum")], indirect=True)
def test_the_plugin_of_the_tutorial(installed):
    """Its laws hold, its audio is made, and its model is valid; the rest takes the slow test."""
    assert default_registry().entry("corruption", "hum").summary == "mains hum has swamped it"
    sys.path.insert(0, str(installed / "a2sb-hum" / "tests"))
    try:
        contract = importlib.import_module("test_hum").test_contract
    finally:
        sys.path.pop(0)
        sys.modules.pop("test_hum", None)
    (mark,) = contract.pytestmark
    for case in mark.args[1]:
        contract(*case.values)
    exec(compile((installed / "make_audio.py").read_text(), "make_audio.py", "exec"), {})
    wave, rate = soundfile.read("humming.wav", dtype="float32")
    hum = default_registry().resolve("corruption", "hum").Config().build()
    assert hum.detect([torch.from_numpy(wave)[None]], rate).mains_hz == 50
    config = load_config(TrainConfig, installed / "hum.yaml")
    assert sorted(Path(config.data.source).glob("*.wav"))


def test_files_belong_to_pages_whose_files_are_tested():
    assert names(every_block("file")) == ["README.md", "docs/plugins.md"]
    assert not every_block("toml")


# What a reader runs


@pytest.mark.slow
def test_recordings_are_restored_as_the_pages_say(desk, tmp_path):
    """Every `a2sb analyze` and `a2sb restore` of the shipped model, on recordings of seconds."""
    from typer.testing import CliRunner

    from a2sb_core.cli import app

    rng = np.random.default_rng(0)
    soundfile.write("torn.flac", 0.1 * rng.standard_normal(41 * RATE), RATE)
    low = resample(0.1 * rng.standard_normal((2, 12000)).astype("f"), 12000, RATE)
    soundfile.write("old.wav", low.T, RATE)
    shutil.copy("old.wav", "concert.wav")
    (tmp_path / "music" / "live").mkdir(parents=True)
    for name in ("music/one.wav", "music/live/two.wav"):
        shutil.copy("old.wav", name)
    soundfile.write("music/live/three.flac", 0.1 * rng.standard_normal(RATE), RATE)
    ran = 0
    for page in names(every_block("commands")):
        for words in made_by(page):
            if words[:2] not in (["a2sb", "restore"], ["a2sb", "analyze"]) or "-" in words:
                continue
            if {"--model", "--resume", "--device", "--engine"} & set(words):
                continue
            if any("://" in word for word in words):
                continue
            extra = ["--overwrite"] if words[1] == "restore" else []
            done = CliRunner().invoke(app, [*words[1:], *extra])
            assert done.exit_code == 0, (page, words, done.output)
            ran += 1
    assert ran >= 5
