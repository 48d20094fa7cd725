"""JSON files of other people, read within limits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from a2sb_core.common.files import read_limited
from a2sb_core.common.limits import MAX_DEPTH, MAX_DIGITS, MAX_TEXT_BYTES


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        OSError: the file cannot be read, or is not a regular file.
        ValueError: it is not valid JSON, a key is given twice, or it exceeds a limit.
    """
    if path.exists() and not path.is_file():  # reading a pipe or a device might never end
        raise OSError("it is not a regular file")
    text = read_limited(path, MAX_TEXT_BYTES)
    try:
        tree = json.loads(text, object_pairs_hook=_unique, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _check_depth(tree)
    return tree


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {key[:80]!r} is given twice")
        fields[key] = value
    return fields


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits")
    return int(text)


def _check_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(MAX_DEPTH):
        groups = (
            value.values() if isinstance(value, dict) else value
            for value in level
            if isinstance(value, dict | list)
        )
        level = [inner for group in groups for inner in group]
        if not level:
            return
    raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
