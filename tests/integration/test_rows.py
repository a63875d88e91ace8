"""What is read of rows, by the statements as they are sent: what is due and what is late, and in what
order; and whose counter a release names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.statement import id_array, prepare_release, prepare_sent

DUE = r"SELECT p\.rs\$id::pg_catalog\.text, \(\(extract\(epoch [^\n]* AS"
LATE = r"SELECT p\.rs\$id::pg_catalog\.text, \(\(extract\(epoch [^\n]*::bigint\),"
SECOND_US = 1_000_000
HOUR_S = 3600


def name(n: int) -> str:
    return f"00000000-0000-0000-0000-{n:012}"


def number(id: str | None) -> int | None:
    return int(id[-12:]) if id is not None else None


def add(db: Database, n: int, expires: float | str, status: str = "active", product: int = 0) -> None:
    """A row of reservation n. expires: seconds from now, or a time."""
    at = "now() + %s * interval '1 s'" if not isinstance(expires, str) else "%s::timestamptz"
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at, status)"
        f" VALUES (%s, %s, 1, {at}, %s)",
        (name(n), name(product), expires, status),
    )


@pytest.fixture
def late(db: Database, redis: redis_py.Redis) -> Database:
    at = redis.connection_pool.connection_kwargs
    url = f"redis://{at['host']}:{at['port']}/{at['db']}"
    prepare_sent(db, "late", LATE, "--status", "--redis-url", url)
    return db


def late_rows(db: Database, ago_s: float = 1, most: int = 100) -> list[tuple[Any, ...]]:
    rows = db.query(f"EXECUTE late ({int(ago_s * SECOND_US)}, {most})")
    return [(number(id), us, number(product)) for id, us, product in rows]


def ids(rows: Iterable[tuple[Any, ...]]) -> list[int | None]:
    return [row[0] for row in rows]


def test_late_in_order(late: Database) -> None:
    for n, hours in ((3, 1), (1, 3), (4, 0), (2, 2)):
        add(late, n, -hours * HOUR_S + (60 if hours == 0 else 0))
    add(late, 5, -9 * HOUR_S, "released")
    assert ids(late_rows(late)) == [1, 2, 3]
    assert ids(late_rows(late, most=2)) == [1, 2]
    assert ids(late_rows(late, ago_s=1.5 * HOUR_S)) == [1, 2]


def test_late_when_its_latest_active_row_is(late: Database) -> None:
    now_us = late.value("SELECT (extract(epoch FROM now()) * 1000000)::bigint")
    add(late, 1, -5 * HOUR_S, product=9)
    add(late, 1, HOUR_S)  # it keeps the reservation from being due
    add(late, 2, -4 * HOUR_S, product=8)
    add(late, 2, -1 * HOUR_S, product=7)
    add(late, 2, HOUR_S, "released", product=6)
    add(late, 3, -2 * HOUR_S)
    add(late, 4, -9 * HOUR_S)
    add(late, 4, -HOUR_S / 2, product=1)  # not so late
    rows = late_rows(late, ago_s=0.75 * HOUR_S)
    assert ids(rows) == [3, 2]  # by when they were due
    assert rows[1][2] == 7  # the least of the active rows'
    assert 0 <= rows[1][1] - (now_us - HOUR_S * SECOND_US) < 60 * SECOND_US


@pytest.fixture
def due(db: Database) -> Database:
    prepare_sent(db, "due", DUE, "--once", "--redis-url", "redis://127.0.0.1:1")
    return db


def due_rows(
    db: Database,
    since_s: float | None = None,
    ahead_s: float = 0,
    after: tuple[int, int] | None = None,
    most: int = 100,
) -> list[int | None]:
    """since_s, and of `after` the first: since the epoch."""
    since = "NULL" if since_s is None else int(since_s * SECOND_US)
    end = f"{after[0] * SECOND_US}, '{name(after[1])}'" if after is not None else "-1, NULL"
    return ids(
        (number(id),)
        for id, _, _, _ in db.query(
            f"EXECUTE due ({since}, {int(ahead_s * SECOND_US)}, {end}, {most}, false)"
        )
    )


def test_due_in_order(due: Database) -> None:
    """By expiry, then by id: what a page begins behind."""
    assert due_rows(due) == [None]
    for n, second in ((4, 200), (2, 100), (3, 200), (1, 300)):
        add(due, n, f"1970-01-01 00:{second // 60:02}:{second % 60:02}+00")
    add(due, 5, "1970-01-01 00:02:00+00", "released")
    assert due_rows(due) == [2, 3, 4, 1]
    assert due_rows(due, most=2) == [2, 3]
    assert due_rows(due, after=(200, 3)) == [4, 1]
    assert due_rows(due, after=(200, 4)) == [1]
    assert due_rows(due, after=(100, 2), most=2) == [3, 4]
    assert due_rows(due, since_s=200) == [3, 4, 1]
    assert due_rows(due, since_s=200.000001) == [1]
    assert due_rows(due, since_s=200, after=(200, 3)) == [4, 1]


def test_due_so_far_ahead(due: Database) -> None:
    add(due, 1, -1)
    add(due, 2, 600)
    add(due, 3, "infinity")
    assert due_rows(due) == [1]
    assert due_rows(due, ahead_s=300) == [1]
    assert due_rows(due, ahead_s=1200) == [1, 2]
    assert due_rows(due, ahead_s=-300) == [None]
    [(_, expires_us, clock_us, place)] = due.query("EXECUTE due (NULL, 0, -1, NULL, 100, false)")
    assert 0 <= clock_us - expires_us - SECOND_US < 60 * SECOND_US
    assert place is None


def test_where_a_row_lies(due: Database) -> None:
    add(due, 1, -10)
    [(_, _, _, place)] = due.query("EXECUTE due (NULL, 0, -1, NULL, 100, true)")
    assert due.query("SELECT ctid FROM inventory_reservations") == [(place,)]


def test_whose_counter_is_locked(db: Database) -> None:
    """That of an active row: what was bought of the same reservation waits for none."""
    prepare_release(db)
    bought, kept = shop.add_products(db, 2)
    id = shop.reserve(db, {bought: 1, kept: 1}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory_reservations SET status = 'committed' WHERE product_id = %s", (bought,)
    )

    def unheld() -> set[str | None]:
        answer = db.conn.execute(f"EXECUTE release ('{id_array((id,))}')")
        names = [column.name for column in answer.description or []]
        return {row[names.index("unheld")] for row in answer}

    with transaction(db, lock_product(kept)):
        assert unheld() == {kept, None}
    assert unheld() == {None}
