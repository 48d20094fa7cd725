"""Model cards: licence and figures in the front matter of a model folder's README.md.

The front matter is that of the Hugging Face hub (``license``, ``model-index``), so that what is
read here of a shipped model, of a cached one and of one of one's own is the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a2sb_core.errors import ModelError

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

CARD_NAME = "README.md"

FREE = frozenset(
    """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
cdla-permissive-2.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 isc lgpl
lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 osl-3.0 pddl postgresql unlicense
wtfpl zlib
""".split()  # noqa: SIM905
)
"""Licences, by the hub's names, that allow any use, also for money. All others, and none at all,
are agreed to before weights come."""


@dataclass(frozen=True)
class Licence:
    """What a card says of the licence; all empty where it says nothing.

    Attributes:
        id: the hub's name, such as ``apache-2.0`` or ``other``; several are joined by commas.
        name: what an ``other`` one is called.
        link: where it can be read.
    """

    id: str = ""
    name: str = ""
    link: str = ""

    @classmethod
    def of(cls, data: Any) -> Licence:
        """Read it from the data of a card; None: there is no card."""
        ids = getattr(data, "license", None) or ()
        ids = ids if isinstance(ids, list | tuple) else [ids]
        name, link = (getattr(data, f"license_{key}", None) for key in ("name", "link"))
        return cls(", ".join(map(str, ids)), str(name or ""), str(link or ""))

    @property
    def is_free(self) -> bool:
        """Whether it is known to allow any use."""
        return bool(self.id) and all(one in FREE for one in self.id.lower().split(", "))

    def __str__(self) -> str:
        if not self.id:
            return "none stated"
        return self.id + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Figure:
    """A measured figure: of ``metric`` on ``task`` with ``data``; ``source`` is who measured."""

    task: str
    metric: str
    value: float
    data: str = ""
    source: str = ""


@dataclass(frozen=True)
class Card:
    """What a model folder's card says for programs."""

    licence: Licence = field(default_factory=Licence)
    figures: tuple[Figure, ...] = ()


def read_card(folder: Path) -> Card:
    """Read the card of a model folder; empty where there is none, or one without front matter.

    Raises:
        ModelError: its front matter is malformed.
    """
    path = folder / CARD_NAME
    if not path.is_file():
        return Card()
    card = parse_card(path.read_text(encoding="utf8"), str(path))
    return Card(Licence.of(card.data), tuple(_figures(card)))


def parse_card(text: str, where: str) -> ModelCard:
    """Return a card of its text; ``where`` it stands is told where it is malformed.

    Raises:
        ModelError: the front matter is malformed.
    """
    import yaml
    from huggingface_hub import ModelCard

    text = text if text.startswith("---") else f"---\n---\n\n{text}"
    try:
        return ModelCard(text)
    except (ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        cause = " ".join(str(error).split())
        raise ModelError(f"{where}: the front matter of the model card is malformed: {cause}") \
            from error


def write_card(
    text: str, where: str, *, name: str, licence: str | None = None,
    figures: Iterable[Figure] = (), tags: Iterable[str] = (),
) -> str:
    """Return a card with what is given set in its front matter, and all else as it was.

    Raises:
        ModelError: the front matter of ``text`` is malformed.
    """
    from huggingface_hub import EvalResult

    card = parse_card(text, where)
    data: Any = card.data
    data.model_name = name
    data.license = licence or data.license
    data.library_name = data.library_name or "a2sb"
    data.pipeline_tag = data.pipeline_tag or "audio-to-audio"
    data.tags = list(dict.fromkeys([*(data.tags or []), *tags])) or None
    results = [
        EvalResult(
            task_type="audio-to-audio", dataset_type="audio", dataset_config=figure.task,
            dataset_name=figure.data or "clips", metric_type=figure.metric,
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
                result.dataset_config or result.task_type, result.metric_type,
                float(result.metric_value), result.dataset_name, result.source_name or "",
            )
