"""Published checkpoints into model folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from a2sb_core.config.load import validate
from a2sb_core.config.run import ModelConfig
from a2sb_core.engine.cards import CARD_NAME
from a2sb_core.engine.checkpoint import save_model
from a2sb_core.engine.model import Model
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Converter


def convert(
    converter: Converter, checkpoints: Sequence[Path], folder: Path, card: str | None = None
) -> Path:
    """Convert checkpoints into a model folder, with a card that keeps their licence.

    Args:
        converter: what understands them.
        checkpoints: their files, in order.
        folder: the folder to make.
        card: the text of its card; by default one of the converter's notice.

    Raises:
        ModelError: the folder exists, or a checkpoint is not understood.
    """
    if folder.exists():
        raise ModelError(f"{folder} exists already; choose another folder")
    converted = converter.convert(checkpoints)
    model = Model(validate(ModelConfig, converted.model, ", ".join(map(str, checkpoints))))
    model.backbone = converted.backbone
    return save_model(model, folder, notes={CARD_NAME: card or _card(converter, checkpoints)})


def _card(converter: Converter, checkpoints: Sequence[Path]) -> str:
    licence = "license: other\n"
    licence += f"license_name: {converter.licence}\n" if converter.licence else ""
    names = "\n".join(f"- {path.name}" for path in checkpoints)
    return (
        f"---\nlibrary_name: a2sb\n{licence}---\n\n# Converted checkpoints\n\n{names}\n\n"
        f"{converter.notice}\n"
    )
