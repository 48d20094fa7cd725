"""Model cards: licence and figures in the front matter of a model folder's ``README.md``.

The front matter follows the Hugging Face hub (``license``, ``model-index``), so that cards of
shipped models, cached models and the user's own models are read alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2sb_core.common.files import read_limited
from a2sb_core.common.limits import MAX_TEXT_BYTES
from a2sb_core.config.tree import parse
from a2sb_core.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

CARD_NAME = "README.md"

TEMPLATE = "---\n{{ card_data }}\n---\n\n# {{ title }}\n\n{{ text }}\n"

FREE = frozenset(
    """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
cdla-permissive-2.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl
lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0 pddl postgresql unlicense
wtfpl zlib
""".split()  # noqa: SIM905
)
"""Licences, by the hub's names, that allow every use, commercial use included. The user must agree
to all others, and to a model without a licence, before its weights are downloaded."""


@dataclass(frozen=True)
class Licence:
    """The licence that a card states; all fields are empty if it states none.

    Attributes:
        id: the hub's name, such as ``apache-2.0`` or ``other``; several are joined by commas.
        name: name of a licence whose id is ``other``.
        link: where it can be read.
    """

    id: str = ""
    name: str = ""
    link: str = ""

    @classmethod
    def of(cls, data: Any) -> Licence:
        """Read the licence from the data of a card, or from None if there is no card."""
        ids = getattr(data, "license", None) or ()
        ids = ids if isinstance(ids, list | tuple) else [ids]
        name, link = (getattr(data, f"license_{key}", None) for key in ("name", "link"))
        return cls(", ".join(map(str, ids)), str(name or ""), str(link or ""))

    @property
    def is_free(self) -> bool:
        """Whether it is known to allow every use."""
        return bool(self.id) and all(one in FREE for one in self.id.lower().split(", "))

    def __str__(self) -> str:
        if not self.id:
            return "none stated"
        return self.id + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Figure:
    """A value of ``metric`` for ``task``, measured on ``data`` by ``source``."""

    task: str
    metric: str
    value: float
    data: str = ""
    source: str = ""


@dataclass(frozen=True)
class Card:
    """The content of a model card that programs read."""

    licence: Licence = field(default_factory=Licence)
    figures: tuple[Figure, ...] = ()


def read_card(folder: Path) -> Card:
    """Read the card of a model folder; empty if there is no card or it has no front matter.

    Raises:
        ModelError: the front matter is malformed.
    """
    text = read_text(folder)
    if text is None:
        return Card()
    card = parse_card(text, str(folder / CARD_NAME))
    return Card(Licence.of(card.data), tuple(_figures(card)))


def read_text(folder: Path) -> str | None:
    """Return the text of the card of a model folder; None if there is no card.

    Raises:
        ModelError: the file cannot be read, is too long or is not UTF-8.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        return None
    try:
        return read_limited(path, MAX_TEXT_BYTES)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error


def parse_card(text: str, source: str) -> ModelCard:
    """Parse the text of a card.

    Args:
        text: the text; the front matter may be absent.
        source: where it comes from, for the error message.

    Raises:
        ModelError: the front matter is malformed, or exceeds the limits of configurations.
    """
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    text = text if text.startswith("---") else f"---\n---\n\n{text}"
    try:
        if block := REGEX_YAML_BLOCK.search(text):
            parse("\n" + block[2], CARD_NAME)  # ModelCard itself knows no limits
        return ModelCard(text)
    except (ConfigError, ValueError, TypeError, KeyError, AttributeError) as error:
        cause = " ".join(str(error).split())
        raise ModelError(
            f"{source}: the front matter of the model card is malformed: {cause}"
        ) from error


def new_card(title: str, text: str, licence: Licence) -> str:
    """Return a new card with a title, a text below it, and the licence in its front matter."""
    from huggingface_hub import ModelCard, ModelCardData

    data = ModelCardData(
        license=licence.id or None, license_name=licence.name or None, library_name="a2sb"
    )
    return str(ModelCard.from_template(data, template_str=TEMPLATE, title=title, text=text))


def update_card(
    text: str,
    source: str,
    *,
    name: str,
    licence: str | None = None,
    figures: Iterable[Figure] = (),
    tags: Iterable[str] = (),
) -> str:
    """Return a card with the given fields set in its front matter, and everything else as it was.

    Raises:
        ModelError: the front matter of ``text``, which comes from ``source``, is malformed.
    """
    from huggingface_hub import EvalResult

    card = parse_card(text, source)
    data: Any = card.data
    data.model_name = name
    data.license = licence or data.license
    data.library_name = data.library_name or "a2sb"
    data.pipeline_tag = data.pipeline_tag or "audio-to-audio"
    data.tags = list(dict.fromkeys([*(data.tags or []), *tags])) or None
    results = [
        EvalResult(
            task_type="audio-to-audio",
            dataset_type="audio",
            dataset_config=figure.task,
            dataset_name=figure.data or "clips",
            metric_type=figure.metric,
            metric_value=figure.value,
        )
        for figure in figures
    ]
    data.eval_results = results or data.eval_results
    return str(card)


def _figures(card: ModelCard) -> Iterable[Figure]:
    data: Any = card.data
    for result in data.eval_results or ():
        if isinstance(result.metric_value, int | float):
            yield Figure(
                result.dataset_config or result.task_type,
                result.metric_type,
                float(result.metric_value),
                result.dataset_name,
                result.source_name or "",
            )
