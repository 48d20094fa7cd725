"""The build context of the Dockerfile: hadolint checks the rest as part of `make check`."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from wheel_parts import DOCKERFILE, SOURCES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]


def test_the_context_has_what_is_copied_and_no_more():
    ignored, *lines = (ROOT / ".dockerignore").read_text(encoding="utf8").splitlines()[1:]
    assert ignored == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(SOURCES)
    packages = {path.parent.name for path in ROOT.glob("a2sb_*/__init__.py")}
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *packages} <= set(
        SOURCES
    )


def test_the_locks_hold_the_whole_image_with_hashes_and_the_pinned_versions():
    locked = {}
    for name in ("torch.lock", "requirements.lock"):
        text = (ROOT / name).read_text(encoding="utf8")
        assert "://" not in text and not re.search(r"^-", text, re.MULTILINE)
        for block in re.split(r"\n(?=\S)", text.strip()):
            lines = block.split(" \\\n    ")
            requirement = Requirement(lines[0])
            (pin,) = requirement.specifier
            assert pin.operator == "==" and requirement.name not in locked
            assert lines[1:] and all(
                re.fullmatch(r"--hash=sha256:\w{64}", one) for one in lines[1:]
            )
            locked[canonicalize_name(requirement.name)] = pin.version
    pins = constraints()
    changed = {name: (version, pins[name]) for name, version in locked.items() if name in pins}
    assert {name: both for name, both in changed.items() if both[0] != both[1]} == {}, "make lock"
    extras = PROJECT["optional-dependencies"]
    asked = PROJECT["dependencies"] + extras["media"] + extras["serve"] + extras["web"]
    assert needed(asked) <= locked.keys(), "make lock"


def needed(texts):
    """Return what requirements need on this machine, as far as it is installed."""
    names, waiting = set(), [Requirement(text) for text in texts]
    while waiting:
        asked = waiting.pop()
        markers = [{"extra": extra} for extra in ("", *asked.extras)]
        name = canonicalize_name(asked.name)
        if (name, *asked.extras) not in names:
            names.add((name, *asked.extras))
            inner = [Requirement(text) for text in requires(name)]
            waiting += [
                one for one in inner if one.marker is None or any(map(one.marker.evaluate, markers))
            ]
    return {name for name, *_ in names}


def requires(name):
    try:
        return distribution(name).requires or ()
    except PackageNotFoundError:
        return ()


def test_the_base_image_is_pinned_by_its_digest():
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(images) == {"${PYTHON_IMAGE}", "runtime"}
    assert re.search(r"^ARG PYTHON_IMAGE=python:[\w.-]+@sha256:[0-9a-f]{64}$", DOCKERFILE, re.M)


def test_torch_has_the_version_of_the_project():
    declared = {text for text in PROJECT["dependencies"] if text.startswith("torch")}
    assert set(re.findall(r'"(torch\S*)"', DOCKERFILE)) == declared


def constraints():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf8").splitlines()
    pins = dict(line.split("==") for line in lines)
    return {canonicalize_name(name): version for name, version in pins.items()}


@pytest.mark.parametrize("extra", ["", "dev", "evaluate", "media", "notes", "ray", "serve", "web"])
def test_the_constraints_pin_every_dependency(extra):
    pins = constraints()
    for text in PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]:
        requirement = Requirement(text)
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier
