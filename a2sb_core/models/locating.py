"""Finds a model by its folder, registered name, or id on the hub."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Any

from a2sb_core.errors import ModelError
from a2sb_core.models import published
from a2sb_core.models.hub import MODEL_FILES, HubOptions, obtain
from a2sb_core.plugins import default_registry


def find_model(source: str | Path, **hub: Any) -> Path:
    """Return the folder of a model: an existing folder, a registered name, or a hub download.

    ``hub`` are the fields of :class:`a2sb_core.models.hub.HubOptions`.

    Raises:
        ModelError: there is none, or the hub does not provide it.
    """
    options = HubOptions(**hub)
    folder = local_folder(source)
    if folder is None:
        return obtain(str(source), MODEL_FILES, options)
    elsewhere = published.read_source(folder)
    return published.obtain(folder, elsewhere, options) if elsewhere else folder


def local_folder(source: str | Path) -> Path | None:
    """Return an existing folder or that of a registered name, or None for what may be a hub id.

    A folder with a registered name must be given as a path, such as ``./small``.

    Raises:
        ModelError: it is none of these.
    """
    known = [entry.name for entry in default_registry().entries("model")]
    is_name = isinstance(source, str) and source in known
    if Path(source).is_dir() and not is_name:
        return Path(source)
    is_qualified = ":" in str(source) and not PureWindowsPath(source).drive  # such as C:/models
    if is_name or is_qualified:
        return Path(str(default_registry().resolve("model", str(source))))
    if str(source).count("/") == 1 and not str(source).startswith((".", "/", "~")):
        return None
    raise ModelError(
        f"there is no model `{source}`: it is neither a folder nor a registered model "
        f"({', '.join(known) or 'none'}) nor a hub id such as owner/name"
    )
