"""keep_while: what is due, and kept. The races of payments with the release, in each order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from harness.database import Database
from harness.locks import waits
from harness.payments import PAY, SEATS, SEATS_FILE, Open, pay
from harness.poll import wait_until
from harness.shapes import NO_REDIS, SHAPES, Shape, name
from harness.statement import outcome, prepare_sent
from harness.sweeper import Run
from psycopg.rows import namedtuple_row


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_what_is_paid_for_is_kept(paid_shop: Open, shape: Shape) -> None:
    """All of its rows, whichever of them is meant; and nothing else."""
    shop = paid_shop(shape)
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(2, 2)
    if shape.several:
        shop.hold(2, 1)
    shop.db.conn.execute("INSERT INTO payments VALUES ('2', true), ('3', true), ('1', false)")
    done = shop.once()
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"]) == (0, 1), done.stderr
    assert shop.active() == {2: 2 if shape.several else 1}
    shop.db.conn.execute("UPDATE payments SET pending = false")
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 1
    assert not shop.active()
    shop.given_back(1, 2)


# ---- Races: the release, step by step, and a payment at each of them -------------------------------------

ROUNDS = int(os.environ.get("RS_RACES", "200"))  # of each order


class Seats:
    """The release of one seat as the daemon makes it, step by step, on db.conn; and whoever pays."""

    def __init__(self, db: Database, folder: Path, run: Run, more: str = "") -> None:
        self.db = db
        self.n = 0
        db.conn.execute(SEATS)  # type: ignore[arg-type]
        self.file = folder / "queues.yaml"
        self.file.write_text(SEATS_FILE + more, encoding="utf-8")
        self.due()
        options = ("--once", *NO_REDIS, "--queues", str(self.file))
        prepare_sent(db, "lock", r"WITH rs\$seen AS", *options)
        self.due()
        prepare_sent(db, "release", r"WITH rs\$ours AS", *options)

    def due(self) -> int:
        """A hold that is."""
        self.n += 1
        self.db.conn.execute("INSERT INTO holds VALUES (%s, 'held', now() - interval '1 s')", (self.n,))
        return self.n

    def lock(self, id: int) -> None:
        self.db.conn.execute("BEGIN")
        self.db.conn.execute(f"EXECUTE lock ('{{{id}}}')")

    def judge(self, id: int) -> str:
        cursor = self.db.conn.cursor(row_factory=namedtuple_row)
        row = cursor.execute(f"EXECUTE release ('{{{id}}}')").fetchone()
        self.db.conn.execute("COMMIT")
        assert row is not None
        return "kept" if row.kept and row.units is None else outcome(row)

    def held(self, id: int) -> bool:
        return self.db.value("SELECT status FROM holds WHERE id = %s", (id,)) == "held"


@pytest.fixture
def seats(db: Database, run: Run, tmp_path: Path) -> Seats:
    return Seats(db, tmp_path, run)


@pytest.fixture
def customer(db: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(db.dsn) as conn:
        yield conn


# When the payment's row is inserted, and when that is committed: before the locks, between them and the
# judgement, or after that. None: never.
ORDERS = {
    "before": (0, 0, "kept"),
    "begun before, committed between": (0, 1, "kept"),
    "begun before, committed after": (0, 2, "locked"),
    "begun before, given up between": (0, None, "locked"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_payment_with_nothing_but_a_foreign_key(
    seats: Seats, customer: psycopg.Connection, order: str
) -> None:
    """A seat whose payment's row was inserted before its row was locked is never freed."""
    begun, committed, expected = ORDERS[order]
    for _ in range(ROUNDS):
        id = seats.due()
        customer.execute(PAY, (id,))
        if committed == 0:
            customer.commit()
        seats.lock(id)
        if committed == 1:
            customer.commit()
        elif committed is None:
            customer.rollback()
        assert seats.judge(id) == expected
        customer.commit()
        assert seats.held(id)
        seats.lock(id)
        assert seats.judge(id) == ("released" if committed is None else "kept")


@pytest.mark.parametrize("end", ["committed", "rolled back"])
def test_a_payment_of_a_shop_that_locks(seats: Seats, customer: psycopg.Connection, end: str) -> None:
    """It waits for us, or we pass it by; never do both have the seat."""
    free = "SELECT FROM holds WHERE id = %s AND status = 'held' FOR UPDATE NOWAIT"
    for _ in range(ROUNDS):
        id = seats.due()
        seats.lock(id)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            customer.execute(free, (id,))
        customer.rollback()
        assert seats.judge(id) == "released"
        assert customer.execute(free, (id,)).fetchone() is None
        customer.rollback()

        id = seats.due()
        assert customer.execute(free, (id,)).fetchone() is not None
        customer.execute(PAY, (id,))
        seats.lock(id)
        if end == "committed":
            customer.commit()
        else:
            customer.rollback()
        assert seats.judge(id) == ("kept" if end == "committed" else "locked")
        seats.lock(id)
        assert seats.judge(id) == ("kept" if end == "committed" else "released")


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_payment_that_fails(seats: Seats, customer: psycopg.Connection, when: str) -> None:
    """It is kept by what was committed; when that is no more, it goes with the next attempt."""
    for _ in range(ROUNDS // 2):
        id = seats.due()
        customer.execute(PAY, (id,))
        customer.commit()
        customer.execute("DELETE FROM payments WHERE hold = %s", (id,))
        if when == "before":
            customer.commit()
        seats.lock(id)
        if when == "between":
            customer.commit()
        # What a look without a lock found to be kept was not locked: it cannot be freed now.
        expected = {"before": "released", "between": "locked", "after": "kept"}
        assert seats.judge(id) == expected[when]
        customer.commit()
        if when != "before":
            seats.lock(id)
            assert seats.judge(id) == "released"


def test_a_payment_between_look_and_lock(seats: Seats, customer: psycopg.Connection) -> None:
    """The statement that locks has its snapshot, sees no payment, and gets the lock after it was
    committed: the one that judges sees it."""
    text = str(seats.db.value("SELECT statement FROM pg_prepared_statements WHERE name = 'lock'"))
    gate = "WHERE (SELECT pg_catalog.pg_advisory_xact_lock_shared(7)) IS NOT NULL AND (true"
    seats.db.conn.execute("DEALLOCATE lock")
    seats.db.conn.execute(text.replace("WHERE (true", gate, 1))  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            id = seats.due()
            customer.execute("SELECT pg_advisory_xact_lock(7)")
            done = pool.submit(seats.lock, id)
            wait_until(lambda: waits(seats.db), 20, "the locks wait")
            customer.execute(PAY, (id,))
            customer.commit()
            done.result()
            assert seats.judge(id) == "kept" and seats.held(id)


def test_what_is_kept_is_not_locked(seats: Seats, customer: psycopg.Connection) -> None:
    """A look without a lock says so: whoever pays need not wait for the sweeper."""
    id = seats.due()
    pay(seats.db, id)
    seats.lock(id)
    assert customer.execute("SELECT FROM holds WHERE id = %s FOR UPDATE NOWAIT", (id,)).fetchone() is not None
    customer.rollback()
    assert seats.judge(id) == "kept"
