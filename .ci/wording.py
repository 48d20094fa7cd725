"""Check that docstrings, help texts, messages, comments and pages are plain English.

``python .ci/wording.py`` checks all files, or those that it is given, and prints each place with
one of the phrases below. The exit code is 1 if there is any, and always 0 with ``--report``.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FOLDERS = ("a2sb_core", "a2sb_tasks", "a2sb_backbones", "benchmarks", "docs", "examples", ".ci")
SUFFIXES = (".py", ".md", ".yaml", ".html", ".js")

OPENINGS = {
    r"of": "name the thing first: `Decay of the average`, not `Of the average`",
    r"what": "name the thing: `Sample rate of the output`, not `What is written`",
    r"so\s+(?:many|much)": "name the quantity: `Number of steps`",
}
"""Words with which no docstring, help text or description of an argument begins."""

ANYWHERE = {
    r"can\s+not": "`cannot`, or better the state itself: `is not available`",
    r"(?:be|not)\s+had": "`is available`",
    r"told|tells": "`reported`, `reports`, `says`, `shows`",
}
"""Phrases that no text contains."""


class Text(NamedTuple):
    """A piece of English: the line where it begins, its words, and whether it documents."""

    line: int
    words: str
    documents: bool = False


def strings(tree: ast.AST) -> Iterator[Text]:
    """Yield docstrings, also those below fields, help texts, and all other strings."""
    for node in ast.walk(tree):
        value = node
        if isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "help"):
            value = node.value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield Text(value.lineno, value.value, documents=value is not node)


def comments(source: str) -> Iterator[Text]:
    """Yield comments; those on consecutive lines are one text."""
    first, lines = 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != first + len(lines):
                yield Text(first, "\n".join(lines))
                first, lines = token.start[0], []
            lines.append(token.string.lstrip("# "))
    yield Text(first, "\n".join(lines))


def problems(text: Text) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the phrase and the advice for each fault of a text."""
    patterns = {rf"\b(?:{phrase})\b": advice for phrase, advice in ANYWHERE.items()}
    if text.documents:
        patterns |= {
            rf"(?:\A\s*|^ +\w+: )(?:{phrase})\b": advice for phrase, advice in OPENINGS.items()
        }
    for pattern, advice in patterns.items():
        for found in re.finditer(pattern, text.words, re.IGNORECASE | re.MULTILINE):
            line = text.line + text.words.count("\n", 0, found.start())
            yield line, " ".join(found[0].split()), advice


def texts(path: Path) -> Iterator[Text]:
    """Yield the English of a file."""
    source = path.read_text(encoding="utf8")
    if path.suffix == ".py":
        yield from strings(ast.parse(source))
        yield from comments(source)
    else:
        yield Text(1, source)


def files() -> set[Path]:
    """Return the files that are checked; this one names the phrases."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    paths += ROOT.glob("*")
    return {path for path in paths if path.suffix in SUFFIXES} - {Path(__file__).resolve()}


def main(words: list[str]) -> int:
    """Print the faults and return the exit code."""
    named = {Path(word).resolve() for word in words if not word.startswith("-")}
    checked = files() & named if named else files()
    faults = {
        (path, *problem) for path in checked for text in texts(path) for problem in problems(text)
    }
    for path, line, phrase, advice in sorted(faults):
        print(f"{path.relative_to(ROOT)}:{line}: `{phrase}`: {advice}")
    print(f"wording: {len(faults)} faults in {len(checked)} files")
    return int(bool(faults) and "--report" not in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
