"""The site: what is made from the code tells all of it, and links lead somewhere."""

import importlib.util
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml
from doc_pages import ROOT
from typer.main import get_command

from a2sb_core.cli import app
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.registry import KINDS
from a2sb_core.testing import laws

DOCS = ROOT / "docs"


def hook(name):
    spec = importlib.util.spec_from_file_location(f"hook_{name}", DOCS / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate():
    return hook("generate")


def leaves(nav):
    for item in nav:
        if isinstance(item, str):
            yield item
        else:
            (inner,) = item.values()
            yield from leaves(inner if isinstance(inner, list) else [inner])


def test_every_page_is_in_the_navigation():
    listed = list(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(listed) == sorted(str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md"))


def test_what_pages_ask_for_can_be_generated(generate):
    for page in DOCS.rglob("*.md"):
        for what, name in generate.LINE.findall(page.read_text()):
            assert generate.MAKERS[what](name).strip(), (page, what, name)


@pytest.mark.parametrize("kind", KINDS)
def test_reference_of_components_tells_every_field(generate, kind):
    text = generate.components(kind)
    for name in (entry.name for entry in default_registry().entries(kind) if entry.builtin):
        part = text.split(f"{{#{kind}-{name}}}")[1].split("\n### ")[0]
        for field, told in default_registry().resolve(kind, name).Config.model_fields.items():
            if field != "name":
                (row,) = (line for line in part.splitlines() if line.startswith(f"| `{field}`"))
                assert generate._inline(told.description) in row


@pytest.mark.parametrize("name", ["train", "model", "evaluate"])
def test_reference_of_configurations_tells_every_field(generate, name):
    text = generate.fields(name)
    found = list(generate._inside(generate.CONFIGURATIONS[name]))
    for path, model in found:
        heading = ".".join((name, *path))
        part = text.split(f"### {heading} {{")[1].split("\n### ")[0]
        assert all(f"| `{field}` |" in part for field in model.model_fields)
    assert name != "train" or (("data", "sources") in [path for path, _ in found])


@pytest.mark.parametrize("annotation,words", [
    (tuple[float, ...], "list of number"), (tuple[int, int], "[integer, integer]"),
    (dict[str, int] | None, "mapping of text to integer or null"),
])
def test_types_in_words(generate, annotation, words):
    assert generate._type(annotation) == words


def test_reference_of_commands_tells_every_option(generate):
    text = generate.commands("all")
    for name, command in generate._commands(get_command(app), "a2sb"):
        part = text.split(f"## {name}\n")[1].split("\n## ")[0]
        options = {max(p.opts, key=len) for p in command.params if p.opts[0].startswith("-")}
        assert all(option in part for option in options - {"--help"})


def test_guide_shows_the_example_and_the_laws(generate):
    text = generate.kind_section("bridge")
    assert "class MyBridge(Bridge):" in text and 'contract("bridge", [MyBridge.Config()])' in text
    assert all(f"    - `{law.name}`: " in text for law in laws("bridge"))


def test_links_into_the_repository_lead_to_pages_of_its_files():
    sources = hook("sources")
    text = "[a](../README.md) [b](../a2sb_core/errors.py#L1) [c](../gone.py) [d](../docs/paper.md)"
    found = dict(sources._outside(text, "page.md"))
    assert {str(path) for path in found.values()} == {"README.md", "a2sb_core/errors.py"}
    (inner,) = dict(sources._outside("[a](../../README.md)", "reference/page.md")).values()
    assert str(inner) == "README.md"
    shown = sources._text(Path("a2sb_core/errors.py"))
    assert (ROOT / "a2sb_core" / "errors.py").read_text().strip() in shown
    assert "## pyproject.toml" in sources._text(Path("examples/plugin"))


class Links(HTMLParser):
    """Collects what a page links to or loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given.get("id"), given.get("name")}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif given.get("src") or (tag == "link" and given.get("href")):
            self.loaded.append(given.get("src") or given["href"])


@pytest.mark.slow
def test_the_site_is_whole_and_loads_nothing_from_elsewhere(tmp_path):
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path],
                   cwd=ROOT, env=environment, check=True)
    pages = {path: Links(path) for path in tmp_path.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 20
    for path, page in pages.items():
        assert not [link for link in page.loaded if "//" in link], path
        for link in page.links:
            target, anchor = urldefrag(link)
            if "://" in target:
                continue
            file = Path(os.path.normpath(path.parent / unquote(target))) if target else path
            assert file.exists(), (path, link)
            if anchor and file.suffix == ".html":
                assert unquote(anchor) in pages[file].anchors, (path, link)
    interfaces = (tmp_path / "reference" / "interfaces.html").read_text()
    for name in ("Representation.encode", "StepSampler.step", "Corruption.detect"):
        module = name.split(".")[0].lower().removeprefix("step")
        assert f'id="a2sb_core.interfaces.{module}.{name}"' in interfaces


@pytest.mark.slow
@pytest.mark.parametrize("link", ["gone.md", "../gone.py", "index.md#gone"])
def test_a_broken_link_is_refused(tmp_path, link):
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import Abort

    docs = shutil.copytree(DOCS, tmp_path / "docs")
    with (docs / "tasks.md").open("a") as page:
        page.write(f"\n[link]({link})\n")
    config = load_config(str(ROOT / "mkdocs.yml"), docs_dir=str(docs), site_dir=str(tmp_path / "s"))
    with pytest.raises(Abort, match="1 warning"):
        build(config)
