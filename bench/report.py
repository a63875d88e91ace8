"""What the reader sees: the machine, a table for each measurement, the file with everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import machine
from bed import Bed
from tables import cell, columns, figure_text

Summary = dict[str, dict[str, dict[str, Any]]]


def say(text: str = "") -> None:
    print(text, flush=True)


def describe(
    bed: Bed, quick: bool, compared: dict[str, str], former: Path | None
) -> dict[str, Any]:
    description = machine.describe(bed, quick)
    if former is not None:
        description["former"] = machine.version(former)
    if compared:
        description["compared"] = compared
    for name, value in description.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        say(f"{name:12}{value}")
    say()
    return description


def show(
    title: str, shown: tuple[str, ...], summary: Summary, targets: list[dict[str, Any]]
) -> None:
    """A row for each variant: the median of each figure (the least and the greatest)."""
    say(f"\n{title}")
    names = shown or tuple(dict.fromkeys(name for one in summary.values() for name in one))
    lines = [["", *names]]
    for variant, figures in summary.items():
        lines.append([variant, *(cell(figures.get(name)) for name in names)])
    for line in columns(lines):
        say(f"  {line}")
    for judged in targets:
        word = "met   " if judged["met"] else "MISSED"
        value, limit = figure_text(judged["value"]), figure_text(judged["limit"])
        before = f", before {figure_text(judged['former'])}" if "former" in judged else ""
        say(f"  {word} {judged['target']}: {value} (at most {limit}{before})")


def write(content: dict[str, Any], output: Path) -> None:
    output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
