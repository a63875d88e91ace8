"""Tables that cannot serve a queue: one sentence with the file's line, and nothing is released."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.database import Database
from harness.shapes import DEFAULT_LIKE, WAREHOUSE, Shape, Shop
from harness.sweeper import Run


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


def zone(file: str) -> str:
    return file + "  time_zone: Mars/Olympus\n"


@pytest.mark.parametrize(
    ("shape", "change", "word", "sentence"),
    [
        (WAREHOUSE, None, "time_zone", 'time zone "Mars/Olympus" not recognized'),
        (
            DEFAULT_LIKE,
            'ALTER TABLE holds ADD "rs$units" integer',
            "table",
            "table holds has a column that begins with rs$, as those do that statements make",
        ),
        (
            WAREHOUSE,
            "ALTER TABLE holds ALTER reserved_quantity TYPE text",
            "quantity",
            "column holds.reserved_quantity has the type text: units have to be numbers",
        ),
        (
            WAREHOUSE,
            "ALTER TABLE holds DROP warehouse; ALTER TABLE holds ADD warehouse json",
            "key",
            "column holds.warehouse has the type json: its values cannot be compared and ordered, as those "
            "of a key are",
        ),
    ],
    ids=["time zone", "rs$", "units", "key"],
)
def test_one_sentence(
    db: Database, run: Run, tmp_path: Path, shape: Shape, change: str | None, word: str, sentence: str
) -> None:
    shop = Shop(db, shape, tmp_path, run)
    if change is None:
        shop.write(zone(shape.file))
    else:
        db.conn.execute(change)  # type: ignore[arg-type]
    text = shop.file.read_text(encoding="utf-8")
    line = next(n for n, words in enumerate(text.splitlines(), 1) if words.strip().startswith(word))
    done = shop.once()
    assert done.status == 1
    assert f"{shop.file}:{line}: {sentence}" in done.stderr.replace('\\"', '"')
