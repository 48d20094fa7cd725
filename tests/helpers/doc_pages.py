"""The pages that people read, and their code blocks."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

CALL = re.compile(r"(\$ )?([A-Z_0-9]+=\S+ )*\S*(a2sb|python|make|pip)\b")

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]


@dataclass(frozen=True)
class Block:
    """A code block: its page, its first line, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self):
        """The path in the first line of a block that is a file, such as ``# a2sb_x/plugin.py``."""
        named = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return named and named[1]


def tokens(page):
    return MarkdownIt().enable("table").parse(page.read_text(encoding="utf8"))


def blocks(language=None):
    """Return the code blocks of all pages, or those of one language."""
    found = [
        Block(page, token.map[0] + 1, token.info.strip(), token.content)
        for page in PAGES
        for token in tokens(page)
        if token.type in ("fence", "code_block")
    ]
    return [block for block in found if language in (None, block.language)]


def commands(text):
    """Return the commands of a script as lists of words; those of a pipe are separate.

    Lines that do not call the project, such as output, are left out.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        if not CALL.match(line):
            continue
        words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|>&;")
        words.whitespace_split = True
        command = []
        for word in words:
            if set(word) <= set("|>&;"):
                found.append(command)
                command = []
            else:
                command.append(word)
        found.append(command)
    return [command for command in found if command]
