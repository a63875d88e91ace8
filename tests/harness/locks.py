"""Other transactions beside the sweeper: holding locks, and seeing who waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from . import shop
from .database import Database


@contextmanager
def transaction(db: Database, *statements: tuple[str, object]) -> Iterator[psycopg.Connection]:
    """An open transaction that has run the statements; rolled back unless the test commits it."""
    conn = psycopg.connect(db.dsn)
    try:
        for sql, params in statements:
            conn.execute(sql, params)  # type: ignore[arg-type]
        yield conn
        conn.rollback()
    finally:
        conn.close()


def lock_product(product: str, mode: str = "UPDATE") -> tuple[str, object]:
    """As a checkout holds a counter: a statement for transaction()."""
    return (f"SELECT FROM inventory WHERE product_id = %s FOR {mode}", (product,))


def lock_reservation(id: str, mode: str = "UPDATE") -> tuple[str, object]:
    return (f"SELECT FROM inventory_reservations WHERE id = %s FOR {mode}", (id,))


@contextmanager
def behind_a_lock(db: Database, n: int) -> Iterator[None]:
    """So many reservations are due of which none can be released until this is over: what keeps a
    backlog from its end."""
    [product] = shop.add_products(db, 1)
    shop.bulk_reserve(db, n, [product], "now() + interval '1 h'")
    with transaction(db, lock_product(product)):
        db.conn.execute(
            "UPDATE inventory_reservations SET expires_at = now() WHERE product_id = %s", (product,)
        )
        yield


def slow_releases(db: Database, seconds: float) -> None:
    """From now on each release takes that long, whatever it releases: seen as SLOW below."""
    db.conn.execute(
        f"CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END$$;"
        " CREATE TRIGGER slow AFTER UPDATE ON inventory_reservations EXECUTE FUNCTION slow()"
    )


SLOW = "wait_event = 'PgSleep'"


def sweepers(db: Database, condition: str = "true") -> list[int]:
    """The backends that serve sweepers in this database."""
    rows = db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        f" AND application_name LIKE 'reservation-sweeper%%' AND {condition}",
        (db.name,),
    )
    return [row[0] for row in rows]


def waiting(db: Database) -> list[int]:
    """... those that wait for somebody's row at this moment, not for another release."""
    return sweepers(db, "wait_event_type = 'Lock' AND wait_event <> 'advisory'")


def waits(db: Database) -> bool:
    """Whether the test's own connection waits for a lock."""
    with db.connect() as watch:
        return bool(
            watch.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                (db.conn.info.backend_pid,),
            ).fetchone()
        )
