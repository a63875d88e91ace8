"""What the database is asked of its tables, as sql/catalog.sql asks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.database import Database

CATALOG = (Path(__file__).parents[2] / "sql" / "catalog.sql").read_text(encoding="utf-8")
TABLE = "CREATE TABLE holds (id text, other text);"
ANY_CASE = (
    "CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
    "CREATE TABLE holds (id text COLLATE any_case, other text);"
)


def fact(db: Database, name: str, key: str = "{}") -> bool:
    db.conn.execute("PREPARE catalog AS " + CATALOG)
    answer = db.conn.execute(f"EXECUTE catalog ('{{holds}}', '{{id}}', NULL, NULL, '{key}')")
    names = [column.name for column in answer.description or []]
    [row] = answer.fetchall()
    return bool(row[names.index(name)])


UNIQUE = {
    "a primary key": TABLE + "ALTER TABLE holds ADD PRIMARY KEY (id)",
    "a constraint": TABLE + "ALTER TABLE holds ADD UNIQUE (id)",
    "an index, with more in it": TABLE + "CREATE UNIQUE INDEX ON holds (id) INCLUDE (other)",
    "of a column that knows no case": ANY_CASE + "CREATE UNIQUE INDEX ON holds (id)",
    "of partitions by id": "CREATE TABLE holds (id text PRIMARY KEY, other text) PARTITION BY HASH (id);"
    "CREATE TABLE part PARTITION OF holds FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
}
NOT_UNIQUE = {
    "nothing": TABLE,
    "an index": TABLE + "CREATE INDEX ON holds (id)",
    "with another column": TABLE + "ALTER TABLE holds ADD PRIMARY KEY (id, other)",
    "some rows": TABLE + "CREATE UNIQUE INDEX ON holds (id) WHERE other = 'active'",
    "an expression": TABLE + "CREATE UNIQUE INDEX ON holds (lower(id))",
    "at the end of the transaction": TABLE + "ALTER TABLE holds ADD UNIQUE (id) DEFERRABLE",
    "as another collation compares": ANY_CASE + 'CREATE UNIQUE INDEX ON holds (id COLLATE "C")',
    "as another operator class compares": TABLE + "CREATE UNIQUE INDEX ON holds (id text_pattern_ops)",
    "the column beside it": TABLE + "ALTER TABLE holds ADD UNIQUE (other)",
    "a child, which it does not bind": TABLE
    + "ALTER TABLE holds ADD PRIMARY KEY (id); CREATE TABLE child () INHERITS (holds)",
    "not ready": TABLE + "CREATE UNIQUE INDEX holds_id ON holds (id);"
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'holds_id'::regclass",
}


@pytest.mark.parametrize("tables", UNIQUE)
def test_alone_unique(db: Database, tables: str) -> None:
    db.conn.execute(UNIQUE[tables])
    assert fact(db, "alone_unique")


@pytest.mark.parametrize("tables", NOT_UNIQUE)
def test_not_unique(db: Database, tables: str) -> None:
    db.conn.execute(NOT_UNIQUE[tables])
    assert not fact(db, "alone_unique")


COUNTERS = "CREATE TABLE holds (id text, other text, more text);"
KEYED = {
    "a primary key": COUNTERS + "ALTER TABLE holds ADD PRIMARY KEY (id, other)",
    "in another order": COUNTERS + "CREATE UNIQUE INDEX ON holds (other, id)",
    "more in it": COUNTERS + "CREATE UNIQUE INDEX ON holds (id, other) INCLUDE (more)",
    "one of its columns": COUNTERS + "CREATE UNIQUE INDEX ON holds (other)",
    "one of two indexes": COUNTERS + "CREATE UNIQUE INDEX ON holds (more);"
    "CREATE UNIQUE INDEX ON holds (id, other)",
    "of partitions": "CREATE TABLE holds (id text, other text, PRIMARY KEY (id, other)) PARTITION BY HASH (id);"
    "CREATE TABLE part PARTITION OF holds FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
}
NOT_KEYED = {
    "an index": COUNTERS + "CREATE INDEX ON holds (id, other)",
    "with another column": COUNTERS + "CREATE UNIQUE INDEX ON holds (id, other, more)",
    "another column": COUNTERS + "CREATE UNIQUE INDEX ON holds (more)",
    "some rows": COUNTERS + "CREATE UNIQUE INDEX ON holds (id, other) WHERE more = 'a'",
    "an expression": COUNTERS + "CREATE UNIQUE INDEX ON holds (id, lower(other))",
    "at the end of the transaction": COUNTERS + "ALTER TABLE holds ADD UNIQUE (id, other) DEFERRABLE",
    "as another collation compares": ANY_CASE + 'CREATE UNIQUE INDEX ON holds (other, id COLLATE "C")',
    "as another operator class compares": COUNTERS
    + "CREATE UNIQUE INDEX ON holds (id, other text_pattern_ops)",
    "a child, which it does not bind": COUNTERS
    + "ALTER TABLE holds ADD PRIMARY KEY (id, other); CREATE TABLE child () INHERITS (holds)",
    "not ready": COUNTERS + "CREATE UNIQUE INDEX holds_id ON holds (id, other);"
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'holds_id'::regclass",
}


@pytest.mark.parametrize("tables", KEYED)
def test_key_unique(db: Database, tables: str) -> None:
    db.conn.execute(KEYED[tables])
    assert fact(db, "key_unique", "{id,other}")


@pytest.mark.parametrize("tables", NOT_KEYED)
def test_key_not_unique(db: Database, tables: str) -> None:
    db.conn.execute(NOT_KEYED[tables])
    assert not fact(db, "key_unique", "{id,other}")


def test_without_counters_no_key(db: Database) -> None:
    db.conn.execute(COUNTERS + "ALTER TABLE holds ADD PRIMARY KEY (id)")
    assert not fact(db, "key_unique")


DIVIDED = {
    TABLE: False,
    TABLE + "CREATE TABLE child () INHERITS (holds)": True,
    "CREATE TABLE holds (id text) PARTITION BY HASH (id)": True,
}


@pytest.mark.parametrize("tables", DIVIDED, ids=["a table", "with a child", "partitions"])
def test_divided(db: Database, tables: str) -> None:
    db.conn.execute(tables)
    assert fact(db, "divided") == DIVIDED[tables]
