"""The table of docs/FAILURES.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path


ROOT = Path(__file__).parents[2]


def table() -> list[list[str]]:
    """Its rows: fault, what happens, shown by."""
    text = (ROOT / "docs" / "FAILURES.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_test_that_is_named_exists() -> None:
    rows = table()
    named = 0
    for row in rows:
        assert len(row) == 3, row
        folder, text = "", ""
        for name in re.findall(r"`([^`]+)`", row[2]):
            if name.startswith("make "):
                continue
            if "." in name:
                folder = name.rpartition("/")[0] or folder
                path = ROOT / "tests" / folder / name.rpartition("/")[2]
                assert path.is_file(), f"{name}, for: {row[0]}"
                text = path.read_text(encoding="utf-8")
            else:
                found = re.search(rf"^(?:def|static void) (?:test_)?{name}\(", text, re.MULTILINE)
                assert found, f"{name} is not in {path.name}, for: {row[0]}"
                named += 1
    assert len(rows) > 30 and named > 30
