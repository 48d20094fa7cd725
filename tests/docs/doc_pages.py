"""The code blocks of the pages that people read, and what kind of block each is."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
PROGRAMS = {
    "a2sb", "accelerate", "make", "pip", "pytest", "python", ".ci/run", ".venv/bin/python",
    ".venv/bin/ruff", "arecord", "aplay", "docker", "ray",
}
FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml|toml))\n")
END = {"|", ">"}


@dataclass(frozen=True)
class Block:
    """A code block: its page by its path in the repository, its place and what stands in it."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def file(self):
        """The path that the first line names, of a block that is a file."""
        named = FILE.match(self.text)
        return named and named[1]

    @property
    def kind(self):
        """One of commands, file, python, yaml; or shown: what no general rule can check."""
        if self.language in ("python", "yaml", "toml"):
            return "file" if self.file else self.language
        lines = commands(self.text)
        known = [words[0] in PROGRAMS for line in lines for words in line[:1] if words]
        return "commands" if known and all(known) else "shown"


def blocks(page):
    """Return the code blocks of a page, fenced and indented."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return [
        Block(str(page.relative_to(ROOT)), token.map[0] + 1, token.info.strip(), token.content)
        for token in tokens if token.type in ("fence", "code_block")
    ]


def every_block(kind=None):
    """Return the blocks of all pages, or those of one kind."""
    found = [block for page in PAGES for block in blocks(page)]
    return [block for block in found if kind in (None, block.kind)]


def of_page(name, kind):
    """Return the blocks of one page and kind."""
    return [block for block in blocks(ROOT / name) if block.kind == kind]


def commands(text):
    """Split a script into lines of commands: a pipe has several, `> FILE` is one of its own."""
    lines = []
    for line in text.replace("\\\n", " ").splitlines():
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:
            return [[[line]]]
        parts = [[]]
        for word in words:
            if word == "|":
                parts.append([])
            else:
                parts += [[word]] if word == ">" else []
                parts[-1] += [] if word == ">" else [word]
        if parts[0]:
            lines.append(parts)
    return lines
