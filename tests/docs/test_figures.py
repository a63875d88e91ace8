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
