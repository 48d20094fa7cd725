"""Adds pages for files outside of docs/ to which pages link, so that the links work on the site.

On a code host, the links lead to the files of the repository. On the site, each link leads to a
page with the text of the file, or of the files of the folder. A link to a missing file stays
unchanged, and the build refuses it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

LINK = re.compile(r"(?<=\]\()(?P<target>(?:\.\./)+[^)#\s]+)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".md": "markdown", ".cfg": "ini"}
ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file or folder of the repository that a page links to."""
    wanted = {
        path
        for file in files.documentation_pages()
        for path in _outside(file.content_string, file.src_uri)
    }
    for path in sorted(wanted):
        files.append(
            File.generated(
                config, _page_of(path), content=_text(path), inclusion=InclusionLevel.NOT_IN_NAV
            )
        )
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links into the repository to the pages of its files."""
    up = "../" * page.file.src_uri.count("/")

    def to_page(link: re.Match[str]) -> str:
        path = _in_repository(link["target"], page.file.src_uri)
        return link["target"] if path is None else up + _page_of(path)

    return LINK.sub(to_page, markdown)


def _outside(markdown: str, page: str) -> Iterator[Path]:
    """Yield the paths in the repository to which links of a page lead."""
    for link in LINK.finditer(markdown):
        path = _in_repository(link["target"], page)
        if path is not None:
            yield path


def _in_repository(target: str, page: str) -> Path | None:
    """Return the path, in the repository and out of docs/, that a link leads to, or None."""
    path = Path(os.path.normpath(ROOT / "docs" / Path(page).parent / target))
    outside = path.exists() and ROOT / "docs" not in path.parents and ROOT in path.parents
    return path.relative_to(ROOT) if outside else None


def _page_of(path: Path) -> str:
    return f"source/{path.as_posix()}.md"


def _text(path: Path) -> str:
    whole = ROOT / path
    inside = sorted(whole.rglob("*")) if whole.is_dir() else [whole]
    shown = [file for file in inside if file.is_file() and file.suffix in LANGUAGES]
    parts = [f"# {path.as_posix()}"]
    for file in shown or inside:
        if whole.is_dir():
            parts.append(f"## {file.relative_to(whole).as_posix()}")
        code = file.read_text(encoding="utf-8").rstrip()
        parts.append(f"`````{LANGUAGES.get(file.suffix, 'text')}\n{code}\n`````")
    return "\n\n".join(parts) + "\n"
