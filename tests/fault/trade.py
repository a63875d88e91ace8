"""The shop of the fault tests: what its API does, and what must hold whatever happens to it. This is
the one that is served without a queues file; what differs for others is in other_trades.py."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from harness import queue, shop
from harness.database import Database
from harness.servers import Postgres

# Written in the transaction that changes the row: what was rolled back is not there.
AUDIT = """
    CREATE TABLE audit (
        id uuid, product_id uuid, expires_at timestamptz, sweeper boolean, legal boolean,
        at timestamptz DEFAULT clock_timestamp(),
        began timestamptz DEFAULT now() -- what decides; never after at, unless the clock is set back
    );
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET timezone = 'UTC' AS $$BEGIN -- whoever releases, and in what zone
        INSERT INTO audit VALUES (OLD.id, OLD.product_id, OLD.expires_at,
            current_setting('application_name') LIKE 'reservation-sweeper%', OLD.status = 'active');
        RETURN NULL;
    END$$;
"""
AUDIT_TRIGGER = """
    CREATE TRIGGER audit AFTER UPDATE ON inventory_reservations FOR EACH ROW
        WHEN (NEW.status = 'released' OR OLD.status = 'released') EXECUTE FUNCTION audit()
"""

OFFENCES = {
    "released twice": """
        SELECT id::text, count(*) FROM audit GROUP BY id, product_id HAVING count(*) > 1""",
    "released early": """
        SELECT id::text, began, expires_at FROM audit
         WHERE sweeper AND (began < expires_at OR expires_at IS NULL)""",
    "changed though not active": "SELECT id::text FROM audit WHERE NOT legal",
    "released without a trace": """
        SELECT id::text FROM inventory_reservations r WHERE status = 'released'
           AND NOT EXISTS (SELECT FROM audit a WHERE (a.id, a.product_id) = (r.id, r.product_id))""",
    "released in part": """
        SELECT id::text FROM inventory_reservations GROUP BY id
        HAVING count(*) FILTER (WHERE status = 'released') NOT IN (0, count(*))""",
}

Db = Database | psycopg.Connection
T = TypeVar("T")
PATIENCE = 40  # attempts at a lock


def patiently(work: Callable[[], T]) -> T:
    """One transaction, and again where it met a lock that it does not wait for, or a deadlock: the API
    takes its carts in any order, and whoever writes beside it may be the victim."""
    for _ in range(PATIENCE - 1):
        try:
            return work()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            time.sleep(0.05 * random.random())
    return work()


class Trade:
    """Ids are text. `products` is what is reserved, and what can be locked or spoilt by name."""

    queue = "reservations"  # the hash tag of its keys
    options: tuple[str, ...] = ()  # of a sweeper
    offences = OFFENCES
    # Faults that need what this shop has not.
    unfit: Sequence[str] = ("parents_locked",)

    def key(self, what: str) -> str:
        """Of the sweeper's keys in Redis."""
        return f"{{{self.queue}}}:{what}"

    # ---- its database -----------------------------------------------------------------------------

    def create(self, pg: Postgres) -> Database:
        """With all that writes down what is released."""
        db = Database.create(pg)
        db.conn.execute(AUDIT + AUDIT_TRIGGER)
        return db

    def add_products(self, db: Database) -> list[str]:
        return shop.add_products(db, 20, stock=100_000)

    def grant(self, db: Database, role: str) -> None:
        """What the sweeper's role needs, and no more."""
        db.conn.execute(f"GRANT SELECT, UPDATE ON inventory_reservations, inventory TO {role}")

    # ---- its API ----------------------------------------------------------------------------------

    def reserve(self, db: Db, products: Sequence[str], ttl_s: float) -> str:
        return shop.reserve(db, dict.fromkeys(products, 1), ttl_s)

    def commit(self, db: Db, id: str) -> bool:
        return shop.commit(db, id)

    def cancel(self, db: Db, id: str) -> bool:
        return shop.cancel(db, id)

    def extend(self, db: Db, id: str, ttl_s: float) -> bool:
        return shop.extend(db, id, ttl_s)

    def due_ms(self, db: Database, ids: list[str]) -> dict[str, int]:
        """When each is due, rounded up; those that are no longer active are left out."""
        return queue.expires_ms(db, ids)

    # ---- what is seen -----------------------------------------------------------------------------

    def some_ids(self, db: Database, most: int) -> list[str]:
        return [id for (id,) in db.query("SELECT id::text FROM inventory_reservations LIMIT %s", (most,))]

    def active(self, db: Database, ids: list[str]) -> set[str]:
        rows = db.query(
            "SELECT DISTINCT id::text FROM inventory_reservations"
            " WHERE status = 'active' AND id = ANY (%s::uuid[])",
            (ids,),
        )
        return {id for (id,) in rows}

    def overdue(self, db: Database) -> int:
        """Rows."""
        return int(
            db.value(  # type: ignore[call-overload]
                "SELECT count(*) FROM inventory_reservations"
                " WHERE status = 'active' AND expires_at <= now()"
            )
        )

    def late(self, db: Database, but_for: Sequence[str] = ()) -> int:
        """Reservations that should have been released more than a second ago; without those of
        certain products."""
        return int(
            db.value(  # type: ignore[call-overload]
                "SELECT count(*) FROM (SELECT max(expires_at) AS due FROM inventory_reservations"
                " WHERE status = 'active' GROUP BY id HAVING bool_and(expires_at IS NOT NULL)"
                " AND NOT bool_or(product_id = ANY (%s::uuid[]))) r"
                " WHERE due < now() - interval '1 s'",
                (list(but_for),),
            )
        )

    def check(self, db: Database) -> None:
        """What must hold at any moment, also in the middle of a fault."""
        self.check_books(db)
        for name, query in self.offences.items():
            found = db.query(query)
            assert not found, f"{name}: {found[:5]} ({len(found)})"

    def check_books(self, db: Database) -> None:
        shop.check_stock_adds_up(db)

    def forget(self, db: Database) -> int:
        """What is over, so that checks stay quick; how many releases were among it."""
        with db.conn.transaction():
            n = db.conn.execute(
                "DELETE FROM audit WHERE NOT EXISTS (SELECT FROM inventory_reservations r"
                " WHERE r.id = audit.id AND status = 'active')"
            ).rowcount
            db.conn.execute("DELETE FROM inventory_reservations WHERE status <> 'active'")
        return n

    # ---- what is done to it -----------------------------------------------------------------------

    def lock(self, conn: psycopg.Connection, products: list[str]) -> None:
        """Those that are free: the API takes its carts in any order, and would be a deadlock."""
        conn.execute(
            "SELECT FROM inventory WHERE product_id = ANY (%s::uuid[]) FOR UPDATE SKIP LOCKED",
            (products,),
        )

    def lock_parents(self, conn: psycopg.Connection, dice: random.Random) -> None:
        """Rows that its `also` changes."""
        raise NotImplementedError

    @contextmanager
    def drifted(self, db: Database, product: str) -> Iterator[None]:
        """Its releases are refused, for as long as it is so."""
        drift = (
            "UPDATE inventory SET reserved_stock = reserved_stock + %s,"
            " available_stock = available_stock - %s WHERE product_id = %s"
        )
        with db.conn.transaction():  # in one statement it would be the snapshot's counter
            units = int(
                db.value(  # type: ignore[call-overload]
                    "SELECT reserved_stock FROM inventory WHERE product_id = %s FOR UPDATE",
                    (product,),
                )
            )
            db.conn.execute(drift, (-units, -units, product))
        yield
        db.conn.execute(drift, (units, units, product))

    def move_expiries(self, db: Database, to: str) -> list[str]:
        """One row each of some reservations that are soon due; their ids."""
        return [
            row[0]
            for row in db.query(
                f"UPDATE inventory_reservations SET expires_at = {to}"
                " WHERE (id, product_id) IN (SELECT DISTINCT ON (id) id, product_id"
                " FROM (SELECT id, product_id FROM inventory_reservations WHERE status = 'active'"
                " AND expires_at < now() + interval '2 s' LIMIT 20 FOR UPDATE SKIP LOCKED) r)"
                " RETURNING id::text"
            )
        ]

    def expire_now(self, db: Database, ids: list[str]) -> None:
        db.conn.execute(
            "UPDATE inventory_reservations SET expires_at = now()"
            " WHERE id = ANY (%s::uuid[]) AND status = 'active'",
            (ids,),
        )
