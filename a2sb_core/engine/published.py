"""Registered models whose weights are on the hub: downloaded, and converted on first use.

Such a model's folder holds ``source.yaml``, which says where the weights are, and a card
(``README.md``) that tells their licence, in place of ``config.json`` and ``model.safetensors``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from pydantic import Field

from a2sb_core.config.component import FrozenConfig
from a2sb_core.config.load import load_config
from a2sb_core.engine import hub
from a2sb_core.engine.cards import CARD_NAME, read_card
from a2sb_core.engine.hub import MODEL_FILES, HubOptions
from a2sb_core.errors import ModelError

SOURCE_NAME = "source.yaml"


class ModelSource(FrozenConfig):
    """Where on the hub the weights of a registered model are, and what they are."""

    repo: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    """Id of the repository, ``owner/name``."""
    revision: str = "main"
    """Branch, tag or commit."""
    files: tuple[str, ...] = Field(MODEL_FILES, min_length=1)
    """Files that are needed, in the order in which they are converted."""
    converter: str | None = None
    """Registered converter that makes a model folder of them; None: they are one."""
    tasks: tuple[str, ...] = ()
    """What the model restores."""
    parameters: int | None = None
    """Learned values."""
    bytes: int | None = None
    """Size of the download."""


def read_source(folder: Path) -> ModelSource | None:
    """Return where a model's weights are; None: in the folder itself.

    Raises:
        ConfigError: ``source.yaml`` is malformed.
    """
    path = folder / SOURCE_NAME
    return load_config(ModelSource, path) if path.is_file() else None


def obtain(folder: Path, source: ModelSource, options: HubOptions) -> Path:
    """Return the model folder that a source stands for.

    What is in the cache is used as it is; ``a2sb download`` brings what is new. Nothing is
    downloaded whose licence is not agreed to.

    Raises:
        ModelError: as :func:`a2sb_core.engine.hub.obtain`, or the files can not be converted.
    """
    options = replace(options, revision=options.revision or source.revision)
    found = hub.find_cached(source.repo, source.files, options)
    if found is None:
        if not options.local_files_only:
            hub.require_agreement(folder.name, read_card(folder).licence, options)
        found = hub.obtain(source.repo, source.files, options)
    return _converted(folder, source, found) if source.converter else found


def converted_folder(name: str, snapshot: Path) -> Path:
    """Return where the converted model of a downloaded revision is, or will be."""
    return snapshot.parents[1] / "converted" / snapshot.name / name


def _converted(folder: Path, source: ModelSource, snapshot: Path) -> Path:
    target = converted_folder(folder.name, snapshot)
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            return target if target.exists() else _convert(folder, source, snapshot, target)
    except OSError as error:
        raise ModelError(
            f"the converted model can not be written to {target}: {error}; make room, or use "
            "`a2sb convert` with a folder elsewhere"
        ) from error


def _convert(folder: Path, source: ModelSource, snapshot: Path, target: Path) -> Path:
    from a2sb_core.engine.conversion import convert
    from a2sb_core.plugins import default_registry

    converter = default_registry().resolve("converter", str(source.converter)).Config().build()
    card = (folder / CARD_NAME).read_text(encoding="utf8")
    return convert(converter, [snapshot / path for path in source.files], target, card)
