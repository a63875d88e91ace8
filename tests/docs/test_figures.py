"""The README's figures are among those of docs/bench, as bench/summary.py writes both."""

from __future__ import annotations

import sys
from typing import Any

from documents import ROOT, rows, text_of

sys.path.insert(0, str(ROOT / "bench"))

import summary  # noqa: E402

ALL = "docs/bench/README.md"


def measured() -> dict[str, Any]:
    """What the tables of docs/bench say, in the form in which a run has it."""
    found: dict[str, Any] = {}
    text = text_of(ALL)
    for name, (title, figures) in summary.TABLES.items():
        head = summary.row([title, *figures.values()])
        if head not in text:  # not measured; the headlines that need it are missed below
            continue
        table = rows(text[text.index(head) :].partition("\n\n")[0])
        found[name] = {
            "variants": {
                cells[0]: {
                    figure: {"median": float(cell.replace(",", ""))}
                    for figure, cell in zip(figures, cells[1:])
                    if cell
                }
                for cells in table
            }
        }
    return found


def marked(page: str, which: str) -> list[str]:
    match = summary.MARKS.search(text_of(page))
    assert match and match[2] == which, f"{page}: the two marks of {which}"
    return match[0].splitlines()


def test_readme_has_the_headlines() -> None:
    readme = marked("README.md", "short")
    lines = [line for line in summary.headlines(measured()) if line]
    assert len(lines) == 2 + len(summary.HEADLINES)
    assert [line for line in readme if line.startswith("|")] == lines


def test_both_are_of_the_same_run() -> None:
    (said,) = (line for line in marked("README.md", "short") if line.startswith("On 20"))
    assert said in marked(ALL, "all")


def run(figure: float, former: float | None) -> dict[str, Any]:
    """One measured figure of the first headline, and an aim about it."""
    _, measurement, variant, name, _ = summary.HEADLINES[0]
    variants = {variant: {name: {"median": figure, "runs": [figure]}}}
    aim: dict[str, Any] = {"target": "late", "limit": 2.0, "value": figure, "met": figure <= 2}
    if former is not None:
        variants[variant + ", before"] = {name: {"median": former, "runs": [former]}}
        aim["former"] = former
    return {"measurements": {measurement: {"variants": variants, "targets": [aim]}}}


def test_a_former_program_has_a_column() -> None:
    alone, beside = run(3.0, None), run(3.0, 4.0)
    assert summary.headlines(alone["measurements"])[2].endswith("median | 3.00 ms |")
    assert summary.headlines(beside["measurements"])[2].endswith("median | 4.00 ms | 3.00 ms |")
    assert summary.aims([alone])[2] == "| lateness: late | 3.00 | 2.00 | missed |"
    assert summary.aims([beside])[2] == "| lateness: late | 4.00 | 3.00 | 2.00 | missed |"
