"""Registered models whose weights are on the hub; they are converted on first use.

The folder of such a model holds ``source.yaml``, which says where the weights are, and a card
(``README.md``) with their licence, in place of ``config.json`` and ``model.safetensors``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from a2sb_core.common.files import read_limited
from a2sb_core.config.loading import validate
from a2sb_core.config.tree import parse
from a2sb_core.errors import ConfigError, ModelError
from a2sb_core.models import hub
from a2sb_core.models.card import CARD_NAME, read_card
from a2sb_core.models.hub import MODEL_FILES, HubOptions
from a2sb_core.plugins.component_config import FrozenConfig

SOURCE_NAME = "source.yaml"
MAX_SOURCE_BYTES = 1 << 16


class ModelSource(FrozenConfig):
    """Where the weights of a registered model are on the hub, and what the model does."""

    repo: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    """Id of the repository, ``owner/name``."""
    revision: str = "main"
    """Branch, tag or commit."""
    files: tuple[Annotated[str, Field(pattern=r"^[\w-][\w.+= -]*(/[\w-][\w.+= -]*)*$")], ...] = (
        Field(MODEL_FILES, min_length=1, max_length=64)
    )
    """Needed files, in the order in which they are converted."""
    converter: str | None = None
    """Registered converter that makes a model folder of the files; None if they are a folder."""
    tasks: tuple[str, ...] = ()
    """Tasks of the model."""
    parameters: int | None = None
    """Number of parameters."""
    bytes: int | None = None
    """Size of the download in bytes."""


def read_source(folder: Path) -> ModelSource | None:
    """Return where a model's weights are, or None if they are in the folder itself.

    The file extends no other one: an error in it would show parts of that file.

    Raises:
        ConfigError: ``source.yaml`` is malformed.
    """
    path = folder / SOURCE_NAME
    if not path.is_file():
        return None
    try:
        text = read_limited(path, MAX_SOURCE_BYTES)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return validate(ModelSource, parse(text, str(path)), path)


def obtain(folder: Path, source: ModelSource, options: HubOptions) -> Path:
    """Return the model folder of a source, after a download or conversion if needed.

    A cached revision is used as it is; ``a2sb download`` fetches a newer one. A licence that does
    not allow every use must be agreed to before the download.

    Raises:
        ModelError: as :func:`a2sb_core.models.hub.obtain`, or the files cannot be converted.
    """
    options = replace(options, revision=options.revision or source.revision)
    found = hub.find_cached(source.repo, source.files, options)
    if found is None:
        if not options.local_files_only:
            hub.require_agreement(folder.name, read_card(folder).licence, options)
        found = hub.obtain(source.repo, source.files, options)
    return _converted(folder, source, found) if source.converter else found


def converted_folder(name: str, snapshot: Path) -> Path:
    """Return the folder for the converted model of a downloaded revision."""
    return snapshot.parents[1] / "converted" / snapshot.name / name


def _converted(folder: Path, source: ModelSource, snapshot: Path) -> Path:
    target = converted_folder(folder.name, snapshot)
    if target.exists():
        return target
    from filelock import FileLock

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            return target if target.exists() else _convert(folder, source, snapshot, target)
    except OSError as error:
        raise ModelError(
            f"the converted model cannot be written to {target}: {error}; make room, or use "
            "`a2sb convert` with a folder elsewhere"
        ) from error


def _convert(folder: Path, source: ModelSource, snapshot: Path, target: Path) -> Path:
    from a2sb_core.models.conversion import convert
    from a2sb_core.plugins import default_registry

    converter = default_registry().resolve("converter", str(source.converter)).Config().build()
    card = (folder / CARD_NAME).read_text(encoding="utf8")
    return convert(converter, [snapshot / path for path in source.files], target, card)
