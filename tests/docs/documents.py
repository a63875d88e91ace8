"""The documents of the repository, and what these tests ask of them. No server is needed."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


# Made, or fetched, or git's own; what is tested may be a copy without git.
NOT_OURS = {".git", "build", "node_modules", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


@cache
def files() -> list[Path]:
    """All files of the repository."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in NOT_OURS]
        found += [Path(folder) / n for n in names]
    return sorted(found)


def sources(folder: str, *ends: str) -> list[Path]:
    """The files below a folder whose names end so."""
    return [p for p in files() if name(p).startswith(f"{folder}/") and p.suffix in ends]


def pages() -> list[Path]:
    return [p for p in files() if p.suffix == ".md"]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """A page's text without its fenced blocks, where a # begins a comment and no title."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


def anchors(text: str) -> set[str]:
    """The anchors of a page's titles, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", without_code(text), flags=re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def section(text: str, title: str) -> str:
    """What stands below one title of the second level."""
    begin = f"\n## {title}\n"
    assert begin in text, title
    return text.partition(begin)[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables, without heads and rules; an escaped bar does not divide."""
    found = []
    head = True
    for line in text.splitlines():
        if not line.startswith("|"):
            head = True
        elif re.fullmatch(r"[|:\s-]+", line):
            head = False
        elif not head:
            found.append([c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found
