"""Skeleton of a plugin: a distribution with the example of an interface and a passing test."""

from __future__ import annotations

import ast
import doctest
import keyword
import re
from importlib import resources
from pathlib import Path

from a2sb_core.errors import PluginError
from a2sb_core.plugins.discovery import default_registry
from a2sb_core.plugins.hooks import API_VERSION
from a2sb_core.plugins.registry import KINDS

RESERVED = ("core", "tasks", "backbones", "plugin")
"""Names whose package or module would collide with another one."""

BASES = {"sampler": "StepSampler"}
"""Class whose example is used, for interfaces with several classes."""

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "0.1.0"
description = "The {kind} `{name}` for a2sb"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["a2sb"]

[project.optional-dependencies]
dev = ["pytest"]

[project.entry-points.a2sb]
{name} = "{package}.plugin"

[tool.setuptools]
packages = ["{package}"]
"""

PLUGIN = '''\
"""Registers the components of this package without importing them."""

from a2sb_core.plugins import hookimpl

A2SB_API_VERSION = "{api}"


@hookimpl
def a2sb_register(registrar):
    """Add the {kind}."""
    registrar.add("{kind}", "{name}", "{package}.{name}:{title}", summary="a short description")
'''

TEST = '''\
"""Contract of the {kind}: the laws that every {kind} must obey."""

from {package}.{name} import {title}

from a2sb_core.testing import contract

test_contract = contract("{kind}", {cases})
'''

README = """\
# {distribution}

The {kind} `{name}` for a2sb.

    pip install -e '.[dev]'
    pytest                          # the laws of a {kind}
    a2sb plugins list --kind {kind}
    a2sb plugins check {distribution}

A configuration names it: `{kind}: {name}`. The class is in `{package}/{name}.py`.
"""


def skeleton(name: str, kind: str) -> dict[str, str]:
    """Return the files of a new plugin by their path.

    A hyphen in the name counts as an underscore, since the name is also that of a module.

    Raises:
        PluginError: the kind is unknown, or the name is not that of a module or is taken.
    """
    if kind not in KINDS:
        raise PluginError(f"unknown kind `{kind}`; kinds: {', '.join(KINDS)}")
    name = module_name(name)
    builtin = [entry.name for entry in default_registry().entries(kind) if entry.builtin]
    if name in (*RESERVED, *builtin):
        raise PluginError(
            f"the name `{name}` is taken by a2sb; choose another one, for example `my_{name}`"
        )
    source, title = _example(name, kind)
    package = f"a2sb_{name}"
    cases = f"{title}.contract_cases()" if "contract_cases" in source else f"[{title}.Config()]"
    words = {
        "name": name,
        "kind": kind,
        "title": title,
        "package": package,
        "api": API_VERSION,
        "distribution": package.replace("_", "-"),
        "cases": cases,
    }
    return {
        "pyproject.toml": PYPROJECT.format(**words),
        "README.md": README.format(**words),
        f"{package}/__init__.py": f'"""The {kind} `{name}` for a2sb."""\n',
        f"{package}/plugin.py": PLUGIN.format(**words),
        f"{package}/{name}.py": source,
        f"tests/test_{name}.py": TEST.format(**words),
    }


def module_name(name: str) -> str:
    """Return a name with underscores in place of hyphens.

    Raises:
        PluginError: the name is not that of a module; the message suggests a similar one.
    """
    candidate = name.replace("-", "_")
    if re.fullmatch(r"[a-z][a-z0-9_]*", candidate) and not keyword.iskeyword(candidate):
        return candidate
    similar = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if not re.match(r"[a-z]", similar) or keyword.iskeyword(similar):
        similar = f"my_{similar or 'component'}"
    raise PluginError(
        f"malformed name `{name}`: use lower-case letters, digits, `_` and `-`, a letter first, "
        f"and no keyword of Python; for example `{similar}`"
    )


def write_skeleton(name: str, kind: str, parent: Path) -> Path:
    """Write a new plugin into a new folder in ``parent``; return that folder.

    Raises:
        PluginError: see :func:`skeleton`; or the folder already exists or cannot be written.
    """
    files = skeleton(name, kind)
    folder = parent / f"a2sb_{name}".replace("_", "-")
    if folder.exists():
        raise PluginError(f"{folder} exists already; choose another name, or move it away")
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PluginError(f"{folder} cannot be written: {error}; choose another folder") from error
    return folder


def _example(name: str, kind: str) -> tuple[str, str]:
    """Return the source of the example of an interface, and its class name, both renamed."""
    steps = [step.source for step in _doctest(kind)]
    (code,) = (step for step in steps if step.startswith("class "))
    imports = [step for step in steps if step.startswith(("import ", "from "))]
    (old,) = re.findall(r"class (\w+)\(", code)[:1]
    title = "".join(word.capitalize() for word in name.split("_"))
    code = re.sub(rf"\b{old}\b", title, code)
    code = re.sub(r'name: str = "\w+"', f'name: str = "{name}"', code)
    code = re.sub(r'task = "\w+"', f'task = "{name}"', code)
    lines = _spaced(code.replace("'''", '"""').rstrip().split("\n"))
    head = f'"""The {kind} `{name}`."""\n\n' + "\n".join(imports).replace("\n\n", "\n")
    return f"{head}\n\n{lines}\n", title


def _doctest(kind: str) -> list[doctest.Example]:
    """Read the example of an interface from its source, because its import would import torch."""
    module = resources.files("a2sb_core.plugins").joinpath(f"../interfaces/{kind}.py")
    tree = ast.parse(module.read_text(encoding="utf-8"))
    named = [
        (node.name, ast.get_docstring(node) or "")
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    wanted = [
        text
        for name, text in named
        if "Example:" in text and name == BASES.get(kind, name) and "\n    >>> class" in text
    ]
    return doctest.DocTestParser().get_examples(wanted[0])


def _spaced(lines: list[str]) -> str:
    """Insert empty lines before the methods and the nested classes of an example."""
    spaced: list[str] = []
    for line in lines:
        starts = re.match(r"    (def|class|@)", line) is not None
        decorated = bool(spaced) and spaced[-1].lstrip().startswith("@")
        if starts and not decorated and len(spaced) > 0:
            spaced.append("")
        spaced.append(line)
    return "\n".join(spaced)
