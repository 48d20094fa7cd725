"""Metrics of an evaluation, by name with options."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from a2sb_core.config.evaluation import build_component, parse_spec
from a2sb_core.errors import A2SBError
from a2sb_core.evaluation.results import fingerprint
from a2sb_core.interfaces import Metric
from a2sb_core.plugins import default_registry
from a2sb_core.plugins.code_digests import with_code

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedMetric:
    """A metric under its label in tables and its key in results."""

    label: str
    key: str
    metric: Metric

    @property
    def arrow(self) -> str:
        """An arrow up where higher values are better, else down."""
        return "↑" if self.metric.higher_is_better else "↓"

    @property
    def title(self) -> str:
        """The label with the arrow, for heads of tables."""
        return f"{self.label} {self.arrow}"


def load_metrics(texts: Sequence[str] | None = None) -> list[NamedMetric]:
    """Find metrics by name; by default the typical ones of the built-in metrics that can run here.

    Raises:
        ConfigError: a metric is unknown, or its options are wrong.
        A2SBError: a metric that is asked for cannot run here.
    """
    found = []
    for text in default_registry().typical("metric") if texts is None else texts:
        named = _load(text)
        try:
            named.metric.check()
        except A2SBError as error:
            if texts is not None:
                raise
            log.warning("left out: %s", error)
            continue
        found.append(named)
    return found


def _load(text: str) -> NamedMetric:
    component, entry = build_component("metric", parse_spec(text))
    identity = with_code(component.config.model_dump(mode="json"), entry, component.config)
    key = fingerprint(entry.qualified, entry.version, identity)
    return NamedMetric(text, key, cast(Metric, component))
