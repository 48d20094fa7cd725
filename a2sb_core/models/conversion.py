"""Published checkpoints into model folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from a2sb_core.config.loading import validate
from a2sb_core.config.model import ModelConfig
from a2sb_core.errors import ModelError
from a2sb_core.interfaces import Converter
from a2sb_core.models.card import CARD_NAME, Licence, new_card
from a2sb_core.models.folder import save_model
from a2sb_core.models.model import Model


def convert(
    converter: Converter, checkpoints: Sequence[Path], folder: Path, card: str | None = None
) -> Path:
    """Convert checkpoints into a model folder, with a card that keeps their licence.

    Args:
        converter: the converter for this kind of checkpoint.
        checkpoints: their files, in order.
        folder: the folder to make.
        card: text of the card (default: one with the converter's notice).

    Raises:
        ModelError: the folder exists, or the converter does not understand a checkpoint.
    """
    if folder.exists():
        raise ModelError(f"{folder} exists already; choose another folder")
    converted = converter.convert(checkpoints)
    model = Model(validate(ModelConfig, converted.model, ", ".join(map(str, checkpoints))))
    model.backbone = converted.backbone
    if card is None:
        names = "\n".join(f"- {path.name}" for path in checkpoints)
        licence = Licence("other", converter.licence)
        card = new_card("Converted checkpoints", f"{names}\n\n{converter.notice}", licence)
    return save_model(model, folder, notes={CARD_NAME: card})
