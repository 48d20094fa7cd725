"""Licences, recognized in the texts with which data sets name them."""

from __future__ import annotations

import re

UNKNOWN = "unknown"
PERMISSIVE = ("CC0", "CC-BY", "PD", "MIT", "BSD", "Apache-2.0")
"""Licences that allow training and shipping a model, at most with a credit."""

_RESTRICTIONS = {
    "NC": r"non[\s-]?commercial|\bnc\b",
    "ND": r"no[\s-]?deriv|\bnd\b",
    "SA": r"share[\s-]?alike|\bsa\b",
}
_FREE = {
    "CC0": r"\bcc[\s-]?0\b|cc[\s-]zero|publicdomain/zero",
    "PD": r"public[\s-]?domain",
    "CC-BY": r"\bcc[\s-]by\b|licenses/by\b|\battribution\b",
    "MIT": r"\bmit\b|\bexpat\b",
    "BSD": r"\bbsd\b",
    "Apache-2.0": r"\bapache\b",
}
_OTHER = r"sampling|limited|all rights|download only|no licen[cs]e"
"""Words of licences that none of the above describes, whatever else they say."""


def recognize(text: str) -> str:
    """Return the family of the licence that a text names, without its version; else ``unknown``.

    A restriction anywhere in the text counts, so that a doubtful text is not taken as permissive.

    Example:
        >>> recognize("http://creativecommons.org/licenses/by-nc-sa/3.0/")
        'CC-BY-NC-SA'
        >>> recognize("Attribution 4.0 International"), recognize("free for research")
        ('CC-BY', 'unknown')
    """
    lowered = text.lower().replace("_", "-")
    if re.search(_OTHER, lowered):
        return UNKNOWN
    limits = [name for name, pattern in _RESTRICTIONS.items() if re.search(pattern, lowered)]
    if limits:
        return "-".join(["CC-BY", *limits])
    return next((name for name, pattern in _FREE.items() if re.search(pattern, lowered)), UNKNOWN)
