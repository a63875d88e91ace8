"""The documents of the repository, and what these tests ask of them. No server is needed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files that git knows, by pathspecs."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *patterns], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return sorted(path for line in done.stdout.splitlines() if (path := ROOT / line).is_file())


def pages() -> list[Path]:
    return tracked("*.md")


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
