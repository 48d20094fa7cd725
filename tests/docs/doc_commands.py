"""Checks commands without running them: program, options, values, and the files they name."""

import argparse
import importlib.util
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import yaml
from doc_pages import ROOT
from typer.main import get_command

from a2sb_core.cli import app
from a2sb_core.config.ablate import make_cells, parse_axes
from a2sb_core.config.evaluate import EvaluateConfig, parse_spec, split_list
from a2sb_core.config.load import dump, load_config, load_tree, validate
from a2sb_core.config.run import ModelConfig, TrainConfig
from a2sb_core.config.tree import Node
from a2sb_core.engine.protocols import load_protocols
from a2sb_core.plugins import default_registry

SMALL = ROOT / "examples" / "train_small" / "train_small.yaml"
READERS = {
    # What a reader brings: recordings, clean clips, and configurations of runs; and for these,
    # what stands for them here.
    "old.wav", "torn.flac", "concert.wav", "clipped.wav", "padded.wav", "humming.wav", "music",
    "/data/music", "clips", "CLIPS", "manifest.csv", "own.yaml",
    "A2SB_twosplit_0.0_0.5_release.ckpt", "A2SB_twosplit_0.5_1.0_release.ckpt",
}
STAND_INS = {
    "base.yaml": SMALL, "run.yaml": SMALL,
    "declip": ROOT / "examples" / "plugin" / "a2sb_declip" / "train.yaml",
}
MODELS = {"runs/mine/model", "runs/declip/model", "runs/more/model", "published"}
"""Folders that other pages, or trainings that they describe, make."""


class CommandError(AssertionError):
    """A command does not do what it should."""


def require(holds, message):
    if not holds:
        raise CommandError(message)


class Checker:
    """Checks the commands of one page in their order; knows what they have made so far.

    Args:
        folder: of the page.
        tasks: names of tasks that the page's own files add.
        files: texts of the files that the page makes, by name.
    """

    def __init__(self, folder=ROOT, tasks=(), files=()):
        self.folder, self.made, self.files = folder, set(files), dict(files)
        registry = default_registry()
        parts = [registry.resolve("corruption", name) for name in registry.names("corruption")]
        self.tasks = {part.task for part in parts} | set(tasks)

    def check(self, words):
        """Check one command.

        Raises:
            CommandError: it is wrong.
        """
        try:
            self._check(words)
        except Exception as error:  # also what the command line and the configurations raise
            raise CommandError(f"{' '.join(words)}: {error}") from error

    def _check(self, words):
        program = words[0].removeprefix(".venv/bin/")
        known = {
            "a2sb": self.a2sb, "make": self.make, "python": self.python, "pip": self.pip,
            "pytest": self.pytest, "accelerate": self.accelerate, "ruff": self.ruff,
            "docker": self.docker, "ray": self.ray,
        }
        if program in known:
            known[program](words[1:])
        elif "/" in program:
            require(os.access(ROOT / program, os.X_OK), "can not be run")
        else:
            require(program in ("arecord", "aplay"), "unknown program")

    def writes(self, path):
        """Note what a command makes."""
        self.made.add(str(path).rstrip("/"))

    def reads(self, path, what="file"):
        """Require that a file or folder is there: in the repository, made before, or a reader's."""
        text = str(path).rstrip("/")
        above = {text, *map(str, Path(text).parents)} - {"."}
        there = (self.folder / text).exists() or (ROOT / text).exists()
        require(
            there or text == "-" or above & (self.made | MODELS | READERS),
            f"{what} {text} is not in the repository, nor made before",
        )

    # a2sb

    def a2sb(self, words):
        """Let the command line's own parser read it, then look at the values."""
        context = get_command(app).make_context("a2sb", list(words))
        names = []
        while hasattr(context.command, "resolve_command"):
            rest = [*context._protected_args, *context.args]
            name, command, rest = context.command.resolve_command(context, rest)
            names.append(name)
            context = command.make_context(name, rest, parent=context)
        look = getattr(self, "_" + "_".join(names), None)
        require(look is not None, f"no check for `a2sb {' '.join(names)}`")
        look(**context.params)

    def model(self, name):
        name = name.partition("@")[0]
        if name not in default_registry().names("model"):
            self.reads(name, "model")

    def configuration(self, source, overrides, config_class=None):
        """Load a configuration, as the command would."""
        path = STAND_INS.get(source, ROOT / source)
        if source in self.made:
            return None  # the page's own test of its files looks at it
        if source == "declip":  # its parts are those of a plugin
            return load_tree(path, overrides or [])
        name = path if Path(path).exists() else source
        tree = load_tree(name, overrides or [])
        config_class = config_class or (TrainConfig if "model" in tree.value else ModelConfig)
        return load_config(config_class, name, overrides or [])

    def _restore(self, sources, output, task, model, **_):
        for source in sources:
            self.reads(source)
        self.model(model)
        require(task in self.tasks, f"unknown task {task}")
        self.writes(output)

    def _analyze(self, file, **_):
        self.reads(file)

    def _train(self, source, overrides, **_):
        config = self.configuration(source, overrides, TrainConfig)
        own = yaml.safe_load(self.files[source]) if source in self.files else {}
        set_here = dict(one.split("=", 1) for one in overrides or [])
        self.writes(set_here.get("output") or own.get("output") or config.output)

    def _gather(self, models, output, **_):
        for model in models:
            self.reads(model, "model")
        self.writes(output)

    def _convert(self, checkpoints, output, **_):
        for checkpoint in checkpoints:
            self.reads(checkpoint)
        self.writes(output)

    def _models(self, **_):
        pass

    def _web(self, model, **_):
        self.model(model)

    def _download(self, name, **_):
        require(name in [*default_registry().names("model"), "owner/name"], f"no model {name}")

    def _push(self, folder, repo, evaluation, **_):
        self.reads(folder, "model")
        require(repo == "owner/name", repo)
        if evaluation:
            self.reads(evaluation)

    def _evaluate(self, source, output, tasks, systems, metrics, protocols, steps, **_):
        self.reads(source)
        given = {name: split_list(texts) for name, texts in
                 (("tasks", tasks), ("systems", systems), ("metrics", metrics)) if texts}
        numbers = [int(number) for number in steps.split(",") if number]
        config = validate(EvaluateConfig, {
            "source": source, "output": output, "steps": numbers, **given}, "the page")
        if protocols is None:
            load_protocols(config.tasks)
        else:
            self.reads(protocols)
        for text in config.systems:
            name = parse_spec(text).name
            if name not in default_registry().names("restorer"):
                self.model(name)
        for text in config.metrics or ():
            require(parse_spec(text).name in default_registry().names("metric"), text)
        self.writes(output)

    def _ablate(self, source, output, vary, overrides, clips, tasks, **_):
        base = self.configuration(source, overrides, TrainConfig)
        make_cells(Node.of(dump(base)), parse_axes(vary, base))
        if clips:
            self.reads(clips)
        load_protocols(split_list(tasks or []))
        self.writes(output)

    def _config_show(self, source, overrides, **_):
        self.configuration(source, overrides)

    def _config_validate(self, source, overrides, **_):
        self.configuration(source, overrides)

    def _config_schema(self, **_):
        pass

    def _demo(self, output, **_):
        self.writes(output)

    def _plugins_list(self, kind, **_):
        require(kind is None or default_registry().names(kind), f"unknown kind {kind}")

    def _plugins_new(self, name, **_):
        self.writes(f"a2sb-{name}")

    def _plugins_check(self, distribution, **_):
        mine = tomllib.loads((ROOT / "examples/plugin/pyproject.toml").read_text())
        require(distribution == mine["project"]["name"] or distribution in self.made, distribution)

    def _doctor(self, device, **_):
        require(device in ("auto", "cpu", "cuda", "mps"), device)

    def _plugins_doctor(self, **_):
        pass

    # other programs

    def make(self, words):
        """Let make say what it would do."""
        require(shutil.which("make"), "make is not installed")
        rules = (ROOT / "Makefile").read_text()
        targets = {word for word in words if "=" not in word}
        require(targets <= set(re.search(r"^\.PHONY:(.*)", rules, re.MULTILINE)[1].split()), words)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, env=environment,
                              capture_output=True, text=True)
        require(done.returncode == 0, done.stderr)

    def python(self, words):
        """Look for the script, and let its own parser read the options."""
        if words[0] == "-m":
            require(importlib.util.find_spec(words[1]), f"no module {words[1]}")
            return self.pytest(words[2:])
        if words[0] == "benchmarks":
            words = [f"benchmarks/{words[1]}.py", *words[2:]]
        elif words[0] in self.made:
            return None
        self.reads(words[0])
        arguments = parsed_by(ROOT / words[0], words[1:])
        for name, use in (("out", self.writes), ("output", self.writes), ("clips", self.reads)):
            if getattr(arguments, name, None):
                use(getattr(arguments, name))

    def pip(self, words):
        """Look at what is installed, and with which extras."""
        require(words[0] == "install", f"pip {words[0]}")
        for word in words[1:]:
            if word.startswith("-"):
                continue
            path, extras = re.fullmatch(r"([^\[]*)(?:\[(.*)\])?", word).groups()
            self.reads(path)
            if extras:
                own = self.folder / path / "pyproject.toml"
                file = own if own.exists() else ROOT / path / "pyproject.toml"
                project = tomllib.loads(file.read_text())
                for extra in extras.split(","):
                    require(extra in project["project"]["optional-dependencies"], extra)

    def pytest(self, words):
        paths = [word for k, word in enumerate(words)
                 if not word.startswith("-") and words[k - 1 : k] != ["-k"]]
        for path in paths:
            self.reads(path)

    def ruff(self, words):
        require(words[0] == "check", f"ruff {words[0]}")
        self.reads(words[1])

    def docker(self, words):
        """Look for the target in the Dockerfile, and at what is run in the image."""
        text, parser = (ROOT / "Dockerfile").read_text(), argparse.ArgumentParser()
        if words[0] == "build":
            for name in ("--target", "-t", "--build-arg", "folder"):
                parser.add_argument(name, nargs=None)
            asked = parser.parse_args(words[1:])
            argument = (asked.build_arg or "EXTRAS").partition("=")[0]
            require(re.search(rf"^FROM .* AS {asked.target}$", text, re.MULTILINE), asked.target)
            require(re.search(rf"^ARG {argument}\b", text, re.MULTILINE), argument)
            return self.writes(asked.t)
        require(words[:2] == ["run", "--rm"], "no check for it")
        for name in ("-v", "-p", "-e", "--user", "--gpus", "image"):
            parser.add_argument(name)
        asked, _ = parser.parse_known_args(words[2:])
        require(asked.image in self.made, f"image {asked.image} is not made before")
        self.a2sb(words[words.index(asked.image) + 1 :])

    def ray(self, words):
        """Look at the options that Ray knows, or at what is run as its job."""
        if words[:3] == ["job", "submit", "--"]:
            return self.check(words[3:])
        require(words[0] == "start", f"no check for `ray {words[0]}`")
        if importlib.util.find_spec("ray"):
            with warnings.catch_warnings(action="ignore"):  # of its own code
                from ray.scripts.scripts import start
            start.make_context("start", list(words[1:]))

    def accelerate(self, words):
        from accelerate.commands.launch import launch_command_parser

        require(words[0] == "launch", f"accelerate {words[0]}")
        arguments = launch_command_parser().parse_args(words[1:])
        require(arguments.no_python, "a2sb is a program: --no_python is needed")
        self.check([arguments.training_script, *arguments.training_script_args])


class _ParsedError(Exception):
    """Carries the arguments that a script's own parser made."""


def parsed_by(script, words):
    """Run a script up to where it has read its options; return them.

    Raises:
        CommandError: its parser refuses them.
    """
    own, path = argparse.ArgumentParser.parse_args, list(sys.path)

    def parse(parser, arguments=None, namespace=None):
        raise _ParsedError(own(parser, list(words), namespace))

    argparse.ArgumentParser.parse_args = parse
    sys.path.insert(0, str(script.parent))
    modules = set(sys.modules)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except _ParsedError as parsed:
        return parsed.args[0]
    except SystemExit as error:
        raise CommandError(f"{script.name} {' '.join(words)}: refused ({error.code})") from error
    finally:
        argparse.ArgumentParser.parse_args = own
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            found = getattr(sys.modules[name], "__file__", None) or ""
            if Path(found).parent == script.parent:
                del sys.modules[name]
    raise CommandError(f"{script.name} reads no options")

