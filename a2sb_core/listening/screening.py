"""Screening of participants after a listening test, by stated rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from a2sb_core.listening.design import REFERENCE, ListeningTest
from a2sb_core.listening.ratings import Rating

LOWEST_REFERENCE = {"rating": 4.0, "mushra": 90.0}
"""Ratings of the hidden reference below these are mistakes (90: ITU-R BS.1534-3, section 4.1.2)."""
FEWEST_SHARED = 10
"""Smallest number of stimuli shared with others for which a correlation is computed."""


@dataclass(frozen=True)
class ScreeningRules:
    """Rules by which participants are excluded.

    Attributes:
        mistakes: largest share of the trials with the hidden reference in which a participant may
            rate it below ``LOWEST_REFERENCE`` (0.15 in ITU-R BS.1534-3).
        correlation: smallest Pearson correlation of the ratings of a participant with the means of
            the others, stimulus by stimulus without the hidden reference.
    """

    mistakes: float = 0.15
    correlation: float = 0.25

    def statement(self, test: ListeningTest) -> str:
        """Return the rules as a sentence."""
        return (
            f"Participants are excluded if they rate the hidden reference below "
            f"{LOWEST_REFERENCE[test.kind]:g} in more than {self.mistakes:.0%} of its trials, or "
            f"if the correlation of their other ratings with the means of the other participants "
            f"is below {self.correlation:g}."
        )


@dataclass(frozen=True)
class Exclusion:
    """A participant whose ratings do not count, and the reason."""

    participant: str
    reason: str


def by_participant(ratings: Sequence[Rating]) -> dict[str, list[Rating]]:
    """Return the ratings of each participant, in order of the names."""
    found: dict[str, list[Rating]] = defaultdict(list)
    for rating in ratings:
        found[rating.participant].append(rating)
    return dict(sorted(found.items()))


def screen(
    test: ListeningTest, ratings: Sequence[Rating], rules: ScreeningRules
) -> list[Exclusion]:
    """Return the participants of a test with a scale who are excluded.

    The others, whose means a participant is compared with, are those that the first rule keeps.
    """
    own = by_participant(ratings)
    excluded = {
        name: reason for name in own if (reason := _mistakes(test, own[name], rules.mistakes))
    }
    kept = [
        rating
        for rating in ratings
        if rating.participant not in excluded
        and test.stimulus[rating.stimulus].system != REFERENCE  # it agrees even for who guesses
    ]
    for name in own:
        value = _correlation(name, kept)
        if name not in excluded and value is not None and value < rules.correlation:
            excluded[name] = f"correlation with the others {value:.2f}"
    return [Exclusion(name, excluded[name]) for name in sorted(excluded)]


def _mistakes(test: ListeningTest, ratings: Sequence[Rating], allowed: float) -> str:
    lowest = LOWEST_REFERENCE[test.kind]
    hidden = [one.value for one in ratings if test.stimulus[one.stimulus].system == REFERENCE]
    count = sum(value < lowest for value in hidden)
    if not hidden or count / len(hidden) <= allowed:
        return ""
    return f"hidden reference rated below {lowest:g} in {count} of {len(hidden)} trials"


def _correlation(participant: str, ratings: Sequence[Rating]) -> float | None:
    """Return the correlation with the means of the others; None if there is too little to say.

    A participant who gives the same rating to everything has the correlation 0.
    """
    own: dict[str, list[float]] = defaultdict(list)
    others: dict[str, list[float]] = defaultdict(list)
    for one in ratings:
        (own if one.participant == participant else others)[one.stimulus].append(one.value)
    shared = [name for name in own if name in others]
    if len(shared) < FEWEST_SHARED:
        return None
    a, b = (np.array([np.mean(group[name]) for name in shared]) for group in (own, others))
    if np.ptp(b) == 0:
        return None
    return 0.0 if np.ptp(a) == 0 else float(np.corrcoef(a, b)[0, 1])
