"""What shells complete: the words, how quickly, and the script that a shell is given."""

import os
import shutil
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "scipy", "matplotlib", "soundfile", "huggingface_hub")
MAIN = "import sys; sys.argv[0] = 'a2sb'; from a2sb_core.cli import main; main()"


def run(*arguments, code=MAIN, **variables):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )


@pytest.fixture
def complete():
    """Complete the last of some words as bash asks for it, in this process."""
    from typer.testing import CliRunner

    from a2sb_core.cli import app

    def ask(*words):
        asked = {
            "_A2SB_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("a2sb", *words)),
            "COMP_CWORD": str(len(words)),
        }
        result = CliRunner().invoke(app, [], env=asked, prog_name="a2sb")
        assert result.exit_code == 0 and not result.stderr, result
        return result.stdout.split()

    return ask


def test_commands_and_options(complete):
    assert complete("res") == ["restore"]
    assert {"doctor", "restore", "plugins"} <= set(complete(""))
    assert complete("restore", "--skip") == ["--skip-existing"]
    assert complete("restore", "--bit-depth", "") == ["keep", "16", "24", "32", "float"]


def test_tasks_are_those_of_the_model(complete, tmp_path):
    assert complete("restore", "x.wav", "--task", "") == ["bandwidth", "inpaint"]
    assert complete("restore", "x.wav", "--task", "i") == ["inpaint"]
    (tmp_path / "config.json").write_text('{"tasks": ["dance"]}', encoding="utf8")
    assert complete("restore", "x.wav", "--model", str(tmp_path), "--task", "") == ["dance"]
    assert complete("restore", "--model", "a2sb_twosplit", "--task", "") == ["bandwidth", "inpaint"]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"tasks": 3}'])
def test_models_that_tell_no_tasks_complete_to_nothing(complete, tmp_path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf8")
    assert complete("restore", "x.wav", "--model", str(tmp_path), "--task", "") == []
    assert complete("restore", "x.wav", "--model", "owner/name", "--task", "") == []


def test_models_and_components_are_those_of_the_registry(complete):
    from a2sb_core.plugins import KINDS, default_registry

    registry = default_registry()
    names = {
        kind: [registry.shortest(entry) for entry in registry.entries(kind)]
        for kind in ("model", "metric", "restorer")
    }
    assert complete("download", "") == names["model"]
    assert complete("evaluate", "clips", "--metrics", "") == names["metric"]
    assert complete("evaluate", "clips", "--systems", "") == names["model"] + names["restorer"]
    assert complete("plugins", "new", "x", "--kind", "") == list(KINDS)
    assert complete("plugins", "list", "--kind", "mo") == ["model"]
    assert complete("restore", "--device", "c") == ["cpu", "cuda"]
    assert complete("evaluate", "--precision", "") == ["auto", "fp32", "bf16"]


def test_lists_go_on_after_a_comma(complete):
    assert complete("evaluate", "x", "--metrics", "lsd,sisp")[0] == "lsd,sispec"
    assert "lsd,lsd" not in complete("evaluate", "x", "--metrics", "lsd,")
    assert complete("evaluate", "x", "--tasks", "gap-300,band") == [
        "gap-300,bandwidth-4k",
        "gap-300,bandwidth-8k",
    ]


def test_configurations_are_presets_and_yaml_files(complete, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("paper_of_mine.yaml", "b.yml", "notes.txt", "runs/c.yaml"):
        (tmp_path / name).touch()
    from a2sb_core.plugins import default_registry

    presets = [entry.name for entry in default_registry().entries("preset")]
    assert complete("train", "") == [*presets, "b.yml", "paper_of_mine.yaml"]
    assert complete("config", "show", "paper") == [*presets, "paper_of_mine.yaml"]
    assert complete("ablate", "runs/") == [os.path.join("runs", "c.yaml")]
    assert complete("train", "nowhere/") == []


def test_distributions_and_plugins_that_are_broken(complete, monkeypatch):
    from a2sb_core import plugins

    def fail():
        raise RuntimeError("broken")

    assert complete("plugins", "check", "no-such") == []
    monkeypatch.setattr(plugins, "default_registry", fail)
    assert complete("download", "") == [] and complete("plugins", "check", "") == []


@pytest.mark.parametrize(
    "words",
    [
        "restore x.wav --task ",
        "download ",
        "evaluate x --systems ",
        "train p",
        "plugins list --kind ",
    ],
)
def test_completing_imports_nothing_heavy(words):
    code = (
        f"""
import atexit, sys
atexit.register(lambda: print(sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr))
"""
        + MAIN
    )
    asked = ["a2sb", *words.split(" ")]
    result = run(
        code=code,
        _A2SB_COMPLETE="complete_bash",
        COMP_WORDS=" ".join(asked),
        COMP_CWORD=str(len(asked) - 1),
    )
    assert result.returncode == 0 and result.stdout.strip(), result
    assert result.stderr == "[]\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "pwsh"])
def test_a_script_for_each_shell(shell):
    result = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert result.returncode == 0 and "_A2SB_COMPLETE" in result.stdout


def test_it_is_installed_for_the_user(tmp_path):
    result = run(
        "--install-completion",
        "bash",
        HOME=str(tmp_path),
        USERPROFILE=str(tmp_path),
        _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1",
    )
    assert result.returncode == 0 and "completion installed" in result.stdout, result
    script = tmp_path / ".bash_completions" / "a2sb.sh"
    assert "a2sb" in script.read_text(encoding="utf8")
    assert str(script) in (tmp_path / ".bashrc").read_text(encoding="utf8")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes(tmp_path):
    """A bash that has read the script asks the program itself, and takes its answer."""
    program = tmp_path / "a2sb"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{MAIN}" "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(a2sb --show-completion bash)"
COMP_WORDS=(a2sb restore old.wav --task in) COMP_CWORD=4
_a2sb_completion a2sb
echo "${COMPREPLY[@]}"
complete -p a2sb
"""
    result = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
        },
    )
    assert result.stdout.splitlines()[0] == "inpaint", result
    assert "-o default" in result.stdout  # files, where there is no name to offer
