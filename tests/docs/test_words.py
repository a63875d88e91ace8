"""The documents use the words of docs/GLOSSARY.md, and none of those that had several meanings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import files, name, pages, rows, text_of

# What an earlier text said, and what is said now.
FORMER = {
    r"\bpolite(?:ly)?\b": "careful",
    r"\bpatient(?:ly)?\b": "waiting",
    r"\bhurr(?:y|ied)\b": "bulk",
    r"\bmend(?:s|ed|ing)?\b": "repair (a finding), fix (anything else)",
    r"\boverdue scan\b": "scan",
    r"\blooks? from the beginning\b": "full poll",
    r"\bheld locked\b": "locked",
    r"\bblamed\b": "its breaker is open",
    r"\bsaid once\b": "logged once",
    r"\bfor nothing\b": "stale, or in vain",
    r"\b(?:of ours|of our own|of yours own|somebody else's script)\b": "the sweeper's",
}
# Names that stay: messages of the log, a metric's help.
FIXED = [
    r"`[^`]*held locked[^`]*`",
    r'"message":"[^"]*"',
    r"held locked by\s+another\s+transaction",
    r"What others held locked",
    r"wait for nothing\.",
    r"others hold locked",
    r"found by the overdue scan",
]


def texts() -> list[Path]:
    more = ("deploy/prometheus/", "deploy/grafana/", "docker-compose.yml", ".env.example")
    more += ("docs/reservation-sweeper.1",)
    found = {path for path in files() if name(path).startswith(more)}
    return sorted(found | set(pages()))


@pytest.mark.parametrize("path", texts(), ids=name)
def test_former_words_are_gone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for fixed in FIXED:
        text = re.sub(fixed, "", text)
    for word, now in FORMER.items():
        found = re.search(word, text, flags=re.I)
        assert not found, f"{now}, in: {text[max(0, found.start() - 60) : found.end() + 30] if found else ''}"


@pytest.mark.parametrize("folder", ["include", "src", "sql", "lua"])
def test_former_words_are_gone_from_code(folder: str) -> None:
    """But for "held locked", which may be a part of a message."""
    for path in (p for p in files() if name(p).startswith(f"{folder}/")):
        text = path.read_text(encoding="utf-8")
        for fixed in FIXED:
            text = re.sub(fixed, "", text)
        for word, now in FORMER.items():
            found = re.search(word, text, flags=re.I) if word != r"\bheld locked\b" else None
            assert not found, f"{name(path)}: {now}, not {found[0] if found else ''}"


def test_each_term_has_one_row() -> None:
    terms = [term for row in rows(text_of("docs/GLOSSARY.md")) for term in row[0].split(", ")]
    assert len(terms) > 20
    assert len(terms) == len(set(terms))
