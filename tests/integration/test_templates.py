"""What the statements name: nothing that search_path could find anywhere but in pg_catalog."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(p for p in (ROOT / "sql").glob("*.sql") if p.name != "schema.sql")
SOURCES = sorted((ROOT / "src").rglob("*.c")) + sorted((ROOT / "include").rglob("*.h"))
# The draft of a queues file (--init): the operator's SQL, which these print and nobody sends.
DRAFTS = {"init_draft.c", "init_stock.c"}

# What the grammar itself knows, wherever search_path leads: no function's or type's name.
GRAMMAR = set(
    "all and any array as both by case coalesce conflict exists extract filter from greatest in join"
    " lateral least not nullif on or over row select then union using values when where with".split()
)
TYPES = {"bigint", "int", "integer", "smallint", "numeric", "boolean", "char", "interval"}


def unqualified(sql: str) -> list[str]:
    """Functions that are called, and types that are cast to, without a schema."""
    code = re.sub(r"^--@ [^\n]*", ";", sql, flags=re.M)  # where a part begins
    code = re.sub(r"--[^\n]*", "", code)
    code = re.sub(r"'(?:[^']|'')*'", "''", code)
    code = re.sub(r"\bAS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\w+\s*\((?=[\w$\s,]*\))", "", code)
    code = re.sub(r"\b\w+\s*\([\w\s,]*\)\s+AS\b", "", code)  # a CTE with its columns' names
    calls = re.findall(r"(?<![\w.%{])([a-z_]\w*)\s*\(", code)
    casts = re.findall(r"::\s*(?:\")?([a-z_]\w*)(?![\w.])", code)
    typed = re.findall(r"\b([a-z_]\w*)\s+''", code)
    found = [name for name in calls if name not in GRAMMAR | TYPES]
    found += [name for name in casts if name not in TYPES]
    return found + [n for n in typed if n in ("timestamptz", "text", "uuid", "name", "regclass")]


def literals(source: str) -> str:
    """The string literals of a C file, one after the other where they stand so."""
    code = re.sub(r"/\*.*?\*/", "", source, flags=re.S)
    code = re.sub(r"\"\s*(?:\\\n\s*)?\"", "", code)
    found = re.findall(r'"((?:[^"\\\n]|\\.)*)"', code)
    found = [text for text in found if "\\n  table: " not in text]  # a queues file: the operator's SQL
    return ";\n".join(text for text in found if re.search(r"^(SELECT|WITH) |now\(|set_config", text))


def test_the_check_itself() -> None:
    assert unqualified("SELECT now(), count(*), x::text, timestamptz 'epoch'") == [
        *("now", "count", "text", "timestamptz"),
    ]
    sound = "SELECT pg_catalog.now(), extract(epoch FROM x)::bigint, y IN (SELECT 1) AS u (n)"
    assert not unqualified(sound)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_templates(path: Path) -> None:
    assert not unqualified(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_statements_in_c(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.name in DRAFTS:
        assert not re.search(r'#include "(?:link|store)/', source), "it may send what it prints"
    else:
        assert not unqualified(literals(source))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_times_have_a_zone(path: Path) -> None:
    """A bare time in a comparison with a timestamptz is one of the session's zone."""
    code = re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))
    for literal in re.findall(r"'(\d{4}-[^']*)'", code):
        assert literal.endswith("+00"), literal


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_no_relation_hides_a_table_of_the_shop(path: Path) -> None:
    """A WITH that is called as a table is what the name means from there on, in SQL of the operator's too."""
    code = re.sub(r"--[^\n]*", "", path.read_text(encoding="utf-8"))
    if "{reservations}" in code or "{inventory}" in code:
        names = re.findall(r"([\w$]+)\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(", code)
        windows = {"wanted", "same"}  # no relations
        assert [n for n in names if not n.startswith("rs$") and n not in windows] == []
