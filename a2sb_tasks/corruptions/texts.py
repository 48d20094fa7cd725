"""Texts of damage: conversion of frequencies and gaps from and to text."""

from __future__ import annotations


def parse_hertz(text: str) -> float:
    """Convert a text to a frequency in Hz."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise ValueError(f"`{text}` is neither `auto` nor a frequency in Hz above 0")
    return value


def show_hertz(value: float) -> str:
    """Convert a frequency in Hz to a text."""
    return f"{value:.10g}"


def parse_gap(text: str) -> tuple[float, float]:
    """Convert a text ``START:END`` to a gap in seconds."""
    start_text, _, end_text = text.partition(":")
    try:
        start, end = float(start_text), float(end_text)
    except ValueError:
        raise ValueError(
            f"`{text}` is neither `auto` nor START:END in seconds, such as 1.5:1.8"
        ) from None
    if not 0 <= start < end < float("inf"):
        raise ValueError(f"`{text}`: a gap must start at 0 s or later and end after its start")
    return start, end


def show_gap(gap: tuple[float, float]) -> str:
    """Convert a gap in seconds to a text ``START:END``, rounded to microseconds."""
    return ":".join(f"{seconds:.6f}".rstrip("0").rstrip(".") for seconds in gap)
