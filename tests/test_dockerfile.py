"""The Dockerfile, read as docker reads it: it says what the project's own files say."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from typer.main import get_command

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
TARGETS = ("cpu", "cuda")


@dataclass
class Stage:
    """One `FROM`: what it is built on, and its instructions as (name, arguments)."""

    name: str
    base: str
    instructions: list = field(default_factory=list)

    def all(self, name):
        return [text for found, text in self.instructions if found == name]


def read(text):
    """Return the stages by name, and the arguments before the first."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages, before = {}, {}
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, label = rest.partition(" AS ")
            stages[label] = Stage(label, base)
        elif stages:
            list(stages.values())[-1].instructions.append((name, rest.strip()))
        else:
            before |= dict([rest.split("=")])
    return stages, before


STAGES, BEFORE = read((ROOT / "Dockerfile").read_text(encoding="utf8"))


def lineage(name):
    """Return the instructions of a stage after those of the stages it is built on."""
    stage = STAGES[name]
    above = lineage(stage.base) if stage.base in STAGES else []
    return above + stage.instructions


def last(name, instruction):
    return [text for found, text in lineage(name) if found == instruction][-1]


def installs(name):
    """Return the words of each `pip install` of a stage."""
    runs = [text for found, text in lineage(name) if found == "RUN"]
    return [shlex.split(run)[2:] for run in runs if run.startswith("pip install")]


def test_it_is_read():
    stages, before = read("ARG A=1\n# no\nFROM x:${A} AS one\nRUN a \\\n  # told\n  && b\n")
    assert before == {"A": "1"} and stages["one"].base == "x:${A}"
    assert stages["one"].all("RUN") == ["a && b"]


@pytest.mark.parametrize("target", TARGETS)
def test_stages_are_built_on_stages_before_or_on_an_image_of_a_python_that_will_do(target):
    names = list(STAGES)
    for stage in STAGES.values():
        if stage.base in STAGES:
            assert names.index(stage.base) < names.index(stage.name)
        else:
            assert stage.base == "python:${PYTHON_VERSION}-slim"
    python = Version(BEFORE["PYTHON_VERSION"])
    assert python in Requirement(f"x{PROJECT['requires-python']}").specifier
    assert names[-1] == "cpu" and target in names  # the last is built where no target is named


@pytest.mark.parametrize("target", TARGETS)
def test_it_runs_as_a_user_that_is_made_and_is_not_root(target):
    user = last(target, "USER")
    assert user not in ("root", "0")
    made = [k for k, (found, text) in enumerate(lineage(target))
            if found == "RUN" and re.search(rf"useradd .*\b{user}\b", text)]
    assert made and made[0] < [found for found, _ in lineage(target)].index("USER")
    assert not any("sudo" in text for _, text in lineage(target))


@pytest.mark.parametrize("target", TARGETS)
def test_health_is_asked_of_the_doctor_and_the_command_is_ours(target):
    from a2sb_core.cli import app

    words = shlex.split(re.search(r"CMD (\[.*\])", last(target, "HEALTHCHECK"))[1].strip("[]"))
    words = [word.strip(",") for word in words]
    assert words == ["a2sb", "doctor"] and "doctor" in get_command(app).commands
    assert last(target, "ENTRYPOINT") == '["a2sb"]'
    assert PROJECT["scripts"] == {"a2sb": "a2sb_core.cli:main"}
    assert "PATH=/opt/a2sb/bin:$PATH" in STAGES["runtime"].all("ENV")[0]
    (copied,) = [text for found, text in lineage(target) if found == "COPY"]
    assert copied == "--from=packages /opt/a2sb /opt/a2sb"


def test_versions_are_those_of_the_constraints_and_of_the_project():
    torch, project = installs("packages")
    for words in (torch, project):
        assert words[:2] == ["-c", "constraints.txt"]
    declared = {Requirement(text).name: Requirement(text) for text in PROJECT["dependencies"]}
    assert {Requirement(text) for text in torch[2:]} == {declared["torch"], declared["torchaudio"]}
    assert project[2:] == [".[${EXTRAS}]"]


def test_the_constraints_pin_all_that_is_installed():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = {re.sub(r"[-_.]+", "-", name).lower(): version
            for name, version in (line.split("==") for line in lines)}
    wanted = list(PROJECT["dependencies"])
    for extra in {text.split("=")[1] for stage in STAGES.values() for text in stage.all("ARG")
                  if text.startswith("EXTRAS=")}:
        for name in extra.split(","):
            wanted += PROJECT["optional-dependencies"][name]
    for requirement in map(Requirement, wanted):
        assert pins[requirement.name.lower()] in requirement.specifier, requirement


def test_nothing_names_a_host():
    for name in ("Dockerfile", ".dockerignore"):
        text = (ROOT / name).read_text(encoding="utf8")
        assert "://" not in text and not re.search(r"\b[\w-]+\.(com|org|io|net)\b", text)


def ignored(path):
    """Whether .dockerignore leaves a file out: the last pattern that fits it decides."""
    is_out = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf8").splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        pattern = re.sub(r"^\*\*/", "*", pattern)
        above = [path, *(str(one) for one in Path(path).parents if str(one) != ".")]
        if any(fnmatchcase(one, pattern) for one in above):
            is_out = not line.startswith("!")
    return is_out


def copied():
    """Return what the packages are made of: (path in the repository, place)."""
    for text in STAGES["packages"].all("COPY"):
        *sources, place = text.split()
        for source in sources:
            yield source, source if place == "./" else place


def test_what_is_copied_is_there_and_not_ignored():
    sources = [source for source, _ in copied()]
    for source in sources:
        assert (ROOT / source).exists() and not ignored(source), source
    packages = {path.parent.name for path in ROOT.glob("a2sb_*/__init__.py")}
    wanted = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *packages}
    assert wanted <= set(sources)
    for path in (".git/config", "tests/conftest.py", "runs/x/model.safetensors", "docs/index.md",
                 "a2sb_core/cli/__pycache__/x.pyc"):
        assert ignored(path), path
    assert not ignored("a2sb_backbones/weights/small/model.safetensors")


@pytest.mark.skipif(not shutil.which("sh"), reason="there is no sh")
def test_scripts_are_of_the_shell():
    scripts = [text for stage in STAGES.values() for text in stage.all("RUN")]
    assert scripts
    for text in scripts:
        subprocess.run(["sh", "-n", "-c", text], check=True)


@pytest.mark.slow
def test_what_is_copied_makes_a_package_with_the_model_inside(tmp_path):
    for source, place in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / place,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, tmp_path / place)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "-w", tmp_path / "made", tmp_path], check=True,
    )
    (wheel,) = (tmp_path / "made").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"a2sb_backbones/weights/small/model.safetensors", "a2sb_core/cli/demo_clip.ogg",
            "a2sb_core/py.typed", "a2sb_tasks/presets/paper.yaml"} <= names
