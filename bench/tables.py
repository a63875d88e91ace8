"""Figures as text, in columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

FORMER = ", before"


def former_of(variant: str) -> str:
    """What a variant is called when the former program was measured."""
    return variant + FORMER


def figure_text(value: float) -> str:
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    text = figure_text(figure["median"])
    if len(figure["runs"]) > 1:
        text += f" ({figure_text(figure['min'])}-{figure_text(figure['max'])})"
    return text


def columns(lines: list[list[str]]) -> Iterable[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = (text.rjust(width) for text, width in zip(line[1:], widths[1:]))
        yield "  ".join([line[0].ljust(widths[0]), *cells])
