"""Shops under the torture whose customers pay: the tables that are served without a file, and payments. A
hold that is due is kept while one is pending; it is looked at again, or extended."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import psycopg
from harness.database import Database
from harness.servers import Postgres
from harness.shop import connection
from trade import OFFENCES, Db, Trade

HERE = Path(__file__).parent

# A payment refers to one row of its reservation, as the foreign keys of shops do.
PAYMENTS = """
    CREATE TABLE payments (
        reservation_id uuid NOT NULL, product_id uuid NOT NULL, state text NOT NULL DEFAULT 'pending',
        ends_at timestamptz NOT NULL, ended_at timestamptz, goes_through boolean NOT NULL,
        FOREIGN KEY (reservation_id, product_id) REFERENCES inventory_reservations ON DELETE CASCADE
    );
    CREATE INDEX ON payments (reservation_id);
    ALTER TABLE inventory_reservations ALTER expires_at DROP NOT NULL;
    ALTER TABLE audit ADD paying boolean;
    CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql
        SECURITY DEFINER SET timezone = 'UTC' AS $$BEGIN
        INSERT INTO audit (id, product_id, expires_at, sweeper, legal, paying)
        VALUES (OLD.id, OLD.product_id, OLD.expires_at,
            current_setting('application_name') LIKE 'reservation-sweeper%', OLD.status = 'active',
            EXISTS (SELECT FROM payments p WHERE p.reservation_id = OLD.id AND p.state = 'pending'));
        RETURN NULL;
    END$$;
"""
# Of a release that waits for nothing: kept ones come back after a second.
LATE = """
    SELECT count(*) FROM (
        SELECT r.id, max(expires_at) AS due FROM inventory_reservations r
         WHERE status = 'active' GROUP BY r.id HAVING bool_and(expires_at IS NOT NULL)
           AND NOT bool_or(product_id = ANY (%s::uuid[]))) r
     WHERE due < now() - interval '1 s'
       AND NOT EXISTS (SELECT FROM payments p WHERE p.reservation_id = r.id
                        AND (p.state = 'pending' OR p.ended_at > now() - interval '3 s'))
"""


class Paying(Trade):
    """Some of its payments are begun with the hold locked, some with nothing but their foreign key."""

    file = "keeps.yaml"
    unfit = (
        *("table_migrated", "expiry_migrated", "table_replaced", "row_security", "update_swallowed"),
        *("foreign_lock", "parents_locked"),
    )
    offences = OFFENCES | {
        "freed while it was being paid for": "SELECT id::text FROM audit WHERE sweeper AND paying",
        "paid for and not had": """
            SELECT p.reservation_id::text, r.status FROM payments p
              JOIN inventory_reservations r ON (r.id, r.product_id) = (p.reservation_id, p.product_id)
             WHERE p.state = 'paid' AND r.status <> 'committed'""",
    }

    def __init__(self) -> None:
        self.dice = random.Random(7)

    @property
    def options(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("--queues", str(HERE / self.file))

    def create(self, pg: Postgres) -> Database:
        db = super().create(pg)
        db.conn.execute(PAYMENTS)
        return db

    def grant(self, db: Database, role: str) -> None:
        super().grant(db, role)
        db.conn.execute(f"GRANT SELECT ON payments TO {role}")  # type: ignore[arg-type]

    # ---- its API: whatever it does, it also hears of payments that have ended ------------------------

    def reserve(self, db: Db, products: Sequence[str], ttl_s: float) -> str:
        self.end_payments(connection(db))
        return super().reserve(db, products, ttl_s)

    def commit(self, db: Db, id: str) -> bool:
        """Begins a payment, which may outlast the hold."""
        conn = connection(db)
        lock = self.dice.choice(("FOR UPDATE", "FOR NO KEY UPDATE", ""))
        with conn.transaction():
            rows = conn.execute(
                "SELECT product_id, status = 'active' AND expires_at > clock_timestamp()"  # type: ignore[arg-type]
                f" FROM inventory_reservations WHERE id = %s ORDER BY product_id {lock}",
                (id,),
            ).fetchall()
            if not rows or not all(live for _, live in rows):
                return False
            conn.execute(
                "INSERT INTO payments (reservation_id, product_id, ends_at, goes_through)"
                " VALUES (%s, %s, now() + make_interval(secs => %s), %s)",
                (id, rows[0][0], self.dice.uniform(0, 3), self.dice.random() < 0.6),
            )
            if self.dice.random() < 0.3:
                conn.execute("SELECT pg_sleep(%s)", (self.dice.uniform(0, 0.2),))
        return True

    def end_payments(self, conn: psycopg.Connection) -> None:
        """Those whose provider has answered, one by one: bought, whether it has expired or not; or not."""
        ended = conn.execute(
            "SELECT reservation_id, ctid::text, goes_through FROM payments"
            " WHERE state = 'pending' AND ends_at < clock_timestamp() LIMIT 20"
        ).fetchall()
        for id, place, goes_through in ended:
            with conn.transaction():
                self._end_payment(conn, id, place, goes_through)

    def _end_payment(self, conn: psycopg.Connection, id: object, place: str, goes_through: bool) -> None:
        rows = conn.execute(
            "SELECT product_id, quantity, status = 'active' FROM inventory_reservations"
            " WHERE id = %s ORDER BY product_id FOR UPDATE",
            (id,),
        ).fetchall()
        paid = goes_through and all(active for *_, active in rows)
        done = conn.execute(
            "UPDATE payments SET state = %s, ended_at = now() WHERE ctid = %s::tid AND state = 'pending'",
            ("paid" if paid else "failed", place),
        )
        if done.rowcount == 0 or not paid:
            return
        for product, quantity, _ in rows:
            conn.execute(
                "UPDATE inventory SET reserved_stock = reserved_stock - %s, total_stock = total_stock - %s,"
                " updated_at = now() WHERE product_id = %s",
                (quantity, quantity, product),
            )
        conn.execute(
            "UPDATE inventory_reservations SET status = 'committed', updated_at = now() WHERE id = %s", (id,)
        )

    # ---- what is seen --------------------------------------------------------------------------------

    def late(self, db: Database, but_for: Sequence[str] = ()) -> int:
        return int(db.value(LATE, (list(but_for),)))  # type: ignore[call-overload]

    def overdue(self, db: Database) -> int:
        """At the end: whatever is still being paid for comes to its end too."""
        self.end_payments(db.conn)
        return super().overdue(db)


class Extending(Paying):
    file = "extends.yaml"
