"""Check the structure of the packages: circles, sizes, class names, and where names of parts stand.

``python .ci/structure.py`` prints each fault and a few figures. The exit code is 1 if there is any
fault, and always 0 with ``--report``. import-linter checks which room imports which.
"""

import ast
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

PACKAGES = ("a2sb_core", "a2sb_tasks", "a2sb_backbones")
SCRIPTS = ("benchmarks", "docs", "examples", ".ci")
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 50, 8
NESTED = {"Config", "Parameters"}
"""Classes that every component nests under the same name."""

ROOMS = ("restoration", "batch", "evaluation", "listening", "cli", "web")
"""Rooms of the core that name no task and no component."""

PRESENTS = {"a2sb_core/cli/demo.py"}
"""Files of these rooms that name what they show."""

DAMAGE = {"cutoff_hz", "gaps_s"}
"""Fields of the parameters of single corruptions."""

ENGLISH = {
    "everything": "`do everything` in a message",
    "experts": "networks for ranges of t",
    "paper": "the publication that this project implements",
}
"""Registered names that are ordinary words, with the meaning that they have in the core."""


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file once."""
    return ast.parse(path.read_text(encoding="utf8"))


def module_name(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module, modules: dict[str, Path]) -> set[str]:
    """Return the modules among ``modules`` that a file imports, at its top or inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules.keys()


def circles() -> Iterator[str]:
    """Yield a circle of files that import each other; one at a time is found."""
    modules = {module_name(path): path for path in python_files(*PACKAGES)}
    graph = {name: imported(tree_of(path), modules) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "circle of imports: " + " -> ".join(reversed(error.args[1]))


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the name, the first line and the number of lines of each function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1


def sizes() -> Iterator[str]:
    """Yield files and functions that are too long."""
    for path in python_files(*PACKAGES, *SCRIPTS, "tests"):
        lines = len(path.read_text(encoding="utf8").splitlines())
        if lines > FILE_LINES:
            yield f"{path.relative_to(ROOT)}: {lines} lines; at most {FILE_LINES}"
        for name, first, length in functions(path):
            if length > FUNCTION_LINES:
                where = f"{path.relative_to(ROOT)}:{first}"
                yield f"{where}: `{name}` has {length} lines; at most {FUNCTION_LINES}"
    median = median_length()
    if median > MEDIAN_LINES:
        yield f"the median length of functions is {median} lines; at most {MEDIAN_LINES}"


def median_length() -> float:
    """Return the median length of all functions of the packages, in lines."""
    paths = python_files(*PACKAGES)
    return statistics.median(length for path in paths for *_, length in functions(path))


def repeated_classes() -> Iterator[str]:
    """Yield public class names that several modules define."""
    places = defaultdict(list)
    for path in python_files(*PACKAGES):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    for name, found in sorted(places.items()):
        if len(found) > 1 and name not in NESTED:
            yield f"class `{name}` is defined in {', '.join(found)}"


def reserved() -> set[str]:
    """Return the names of tasks, of components and of fields of single corruptions."""
    from a2sb_core.plugins import KINDS, default_registry

    registry = default_registry()
    builtin = [entry for entry in registry.entries() if entry.builtin and entry.kind in KINDS]
    corruptions = [entry.name for entry in builtin if entry.kind == "corruption"]
    tasks = {registry.resolve("corruption", name).task for name in corruptions}
    return ({entry.name for entry in builtin} | tasks | DAMAGE) - ENGLISH.keys()


def words_of_code(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of identifiers and strings, but not of docstrings."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documents:
            yield node.lineno, str(node.value)
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            text = getattr(node, field, None)
            if isinstance(text, str):
                yield getattr(node, "lineno", 0), text


def named_parts() -> Iterator[str]:
    """Yield where the rooms of the core name a task or a component."""
    pattern = re.compile(rf"\b({'|'.join(sorted(reserved()))})\b")
    for path in python_files(*(f"a2sb_core/{room}" for room in ROOMS)):
        if str(path.relative_to(ROOT)) in PRESENTS:
            continue
        for line, text in words_of_code(tree_of(path)):
            for name in pattern.findall(text):
                yield f"{path.relative_to(ROOT)}:{line}: the core names `{name}`"


def rooms() -> dict[str, str]:
    """Return the packages by folder, with the first line of their docstrings."""
    found = {}
    for path in python_files(*PACKAGES):
        if path.name == "__init__.py":
            text = ast.get_docstring(tree_of(path)) or ""
            found[f"{path.parent.relative_to(ROOT)}/"] = text.partition("\n")[0]
    del found["a2sb_core/"]
    return found


def trees() -> Iterator[str]:
    """Yield what the trees of folders in the README and the guide for contributors get wrong."""
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf8")
        listed = dict(re.findall(r"^ *(a2sb_(?:\w+/)+) {2,}(.+)$", text, re.MULTILINE))
        for folder, line in rooms().items():
            if folder not in listed:
                yield f"{page}: the tree lacks {folder}"
            elif line and listed[folder] != line:
                yield f"{page}: {folder} is described as in its `__init__.py`: {line}"
        for folder in listed:
            if not (ROOT / folder).is_dir():
                yield f"{page}: {folder} is no folder"


def main(words: list[str]) -> int:
    """Print all faults and return the exit code."""
    checks = (circles, sizes, repeated_classes, named_parts, trees)
    faults = [fault for check in checks for fault in check()]
    for fault in faults:
        print(fault)
    print(f"structure: {len(faults)} faults; median of a function: {median_length():.0f} lines")
    return int(bool(faults) and "--report" not in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
