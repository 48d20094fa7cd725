"""The site shows the files of the repository to which its pages link."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

HOOKS = Path(__file__).parents[2] / "docs" / "hooks"


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HOOKS)
    return importlib.import_module("sources")


@pytest.mark.parametrize("up, page", [("", "paper.md"), ("../", "reference/parts.md")])
def test_a_folder_and_a_file_inside_it_have_a_page_each(
    sources: ModuleType, up: str, page: str
) -> None:
    folder, file = "examples/train_small", "examples/train_small/guess.yaml"
    text = f"[one]({up}../{folder}) [two]({up}../{file}) [three]({up}../{folder})"
    shown = sources.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=page)))
    assert shown == (
        f"[one]({up}source/{folder}.md) [two]({up}source/{file}.md) [three]({up}source/{folder}.md)"
    )


def test_links_within_the_docs_and_to_missing_files_stay(sources: ModuleType) -> None:
    text = "[one](results.md) [two](../examples/absent.yaml) [three](../docs/results.md)"
    page = SimpleNamespace(file=SimpleNamespace(src_uri="paper.md"))
    assert sources.on_page_markdown(text, page) == text
