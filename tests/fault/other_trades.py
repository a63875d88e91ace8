"""Two of examples/shops under the torture: the warehouse shop (a composite key, several rows an order,
whose orders expire with their last hold) and Spree (rows that are deleted, an outbox)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from harness.database import Database
from harness.servers import Postgres
from harness.shop import OutOfStock, connection
from trade import Db, Trade

EXAMPLES = Path(__file__).parents[2] / "examples" / "shops"
SWEEPER = "current_setting('application_name') LIKE 'reservation-sweeper%'"
EARLY = "SELECT id, began, expires_at FROM audit WHERE sweeper AND (began < expires_at OR expires_at IS NULL)"
# These are about the tables that are served without a file.
DEFAULT_ONLY = (
    "table_migrated",
    "expiry_migrated",
    "table_replaced",
    "row_security",
    "update_swallowed",
    "foreign_lock",
)


class Example(Trade):
    """A shop of examples/shops, whose times have no zone and are in UTC."""

    name: str
    audit: str
    rights: str

    @property
    def options(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("--queues", str(EXAMPLES / self.name / "queues.yaml"))

    def create(self, pg: Postgres) -> Database:
        db = Database.create(pg, schema=False)
        schema = (EXAMPLES / self.name / "schema.sql").read_text(encoding="utf-8")
        db.conn.execute(schema + self.audit)  # type: ignore[arg-type]
        return db

    def grant(self, db: Database, role: str) -> None:
        db.conn.execute(self.rights.format(role=role))  # type: ignore[arg-type]

    def _count(self, db: Database, query: str, params: object = None) -> int:
        return int(db.value(query, params))  # type: ignore[call-overload]


# The release of a row, by whom, and whether that was legal.
RELEASED_ROWS = f"""
    CREATE TABLE audit (
        id bigint, variant_id integer, warehouse_id integer, expires_at timestamptz, sweeper boolean,
        legal boolean, began timestamptz DEFAULT now()
    );
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
        INSERT INTO audit VALUES (OLD.order_id, OLD.variant_id, OLD.warehouse_id,
            OLD.expires_at AT TIME ZONE 'UTC', {SWEEPER}, OLD.reservation_status = 'RESERVED');
        RETURN NULL;
    END$$;
    CREATE TRIGGER audit AFTER UPDATE ON inventory_reservations FOR EACH ROW
        WHEN (NEW.reservation_status = 'RELEASED' OR OLD.reservation_status = 'RELEASED')
        EXECUTE FUNCTION audit();
"""
# A product is a variant in a warehouse.
STOCKS = "(variant_id || ',' || warehouse_id)"
DUE = "(expires_at AT TIME ZONE 'UTC')"


class Warehouse(Example):
    name = "warehouse"
    queue = "stock"
    unfit = DEFAULT_ONLY
    audit = RELEASED_ROWS
    rights = "GRANT SELECT, UPDATE ON inventory_reservations, inventory_stocks, orders TO {role}"
    offences = {
        "released twice": """
            SELECT id, count(*) FROM audit GROUP BY id, variant_id, warehouse_id HAVING count(*) > 1""",
        "released early": EARLY,
        "changed though not reserved": "SELECT id FROM audit WHERE NOT legal",
        "released without a trace": """
            SELECT order_id FROM inventory_reservations r WHERE reservation_status = 'RELEASED'
               AND NOT EXISTS (SELECT FROM audit a WHERE (a.id, a.variant_id, a.warehouse_id)
                                                       = (r.order_id, r.variant_id, r.warehouse_id))""",
        "released in part": """
            SELECT order_id FROM inventory_reservations GROUP BY order_id
            HAVING count(*) FILTER (WHERE reservation_status = 'RELEASED') NOT IN (0, count(*))""",
        "an order that differs from its holds": """
            SELECT o.id, o.status, array_agg(r.reservation_status)
              FROM orders o JOIN inventory_reservations r ON r.order_id = o.id GROUP BY o.id
            HAVING bool_or(r.reservation_status <> CASE o.status WHEN 'PENDING' THEN 'RESERVED'
                                                                 WHEN 'PAID' THEN 'CONFIRMED'
                                                                 ELSE 'RELEASED' END)""",
        "an order that expired by another hand": """
            SELECT o.id FROM orders o JOIN audit a USING (id)
             WHERE (o.status = 'EXPIRED') <> a.sweeper""",
    }

    def add_products(self, db: Database) -> list[str]:
        db.conn.execute(
            "INSERT INTO inventory_stocks SELECT v, w, 100000"
            " FROM generate_series(1, 5) v, generate_series(1, 4) w"
        )
        return [row[0] for row in db.query(f"SELECT {STOCKS} FROM inventory_stocks ORDER BY 1")]

    def reserve(self, db: Db, products: Sequence[str], ttl_s: float) -> str:
        conn = connection(db)
        with conn.transaction():
            (id,) = conn.execute("INSERT INTO orders DEFAULT VALUES RETURNING id").fetchone()  # type: ignore[misc]
            for product in products:
                key = product.split(",")
                moved = conn.execute(
                    "UPDATE inventory_stocks SET quantity_reserved = quantity_reserved + 1"
                    " WHERE (variant_id, warehouse_id) = (%s, %s) AND quantity_reserved < quantity_on_hand",
                    key,
                )
                if moved.rowcount == 0:
                    raise OutOfStock(product)
                conn.execute(
                    "INSERT INTO inventory_reservations (order_id, variant_id, warehouse_id,"
                    " reserved_quantity, expires_at)"
                    " VALUES (%s, %s, %s, 1, (now() + make_interval(secs => %s)) AT TIME ZONE 'UTC')",
                    (id, *key, ttl_s),
                )
        return str(id)

    def _lock_live(self, conn: psycopg.Connection, id: str) -> list[tuple[int, int]]:
        """The order too, as whoever pays it does; after the holds, as the sweeper."""
        rows = conn.execute(
            "SELECT variant_id, warehouse_id,"
            f" reservation_status = 'RESERVED' AND {DUE} > clock_timestamp()"
            " FROM inventory_reservations WHERE order_id = %s"
            " ORDER BY variant_id, warehouse_id FOR UPDATE",
            (id,),
        ).fetchall()
        return [key for *key, _ in rows] if all(live for *_, live in rows) else []  # type: ignore[misc]

    def _settle(self, db: Db, id: str, holds: str, order: str, units: int) -> bool:
        conn = connection(db)
        with conn.transaction():
            keys = self._lock_live(conn, id)
            if not keys:
                return False
            conn.execute(
                "UPDATE inventory_reservations SET reservation_status = %s,"
                " expires_at = CASE %s WHEN 'RELEASED' THEN expires_at END WHERE order_id = %s",
                (holds, holds, id),
            )
            for key in keys if units else []:
                conn.execute(
                    "UPDATE inventory_stocks SET quantity_reserved = quantity_reserved - 1"
                    " WHERE (variant_id, warehouse_id) = (%s, %s)",
                    key,
                )
            conn.execute("UPDATE orders SET status = %s WHERE id = %s", (order, id))
        return True

    def commit(self, db: Db, id: str) -> bool:
        """Paid: reserved until it is shipped."""
        return self._settle(db, id, "CONFIRMED", "PAID", 0)

    def cancel(self, db: Db, id: str) -> bool:
        return self._settle(db, id, "RELEASED", "CANCELLED", 1)

    def extend(self, db: Db, id: str, ttl_s: float) -> bool:
        conn = connection(db)
        with conn.transaction():
            if not self._lock_live(conn, id):
                return False
            conn.execute(
                "UPDATE inventory_reservations"
                " SET expires_at = (now() + make_interval(secs => %s)) AT TIME ZONE 'UTC'"
                " WHERE order_id = %s",
                (ttl_s, id),
            )
        return True

    def due_ms(self, db: Database, ids: list[str]) -> dict[str, int]:
        rows = db.query(
            f"SELECT order_id::text, ceil(extract(epoch FROM max({DUE})) * 1000)::bigint"
            " FROM inventory_reservations"
            " WHERE order_id = ANY (%s::bigint[]) AND reservation_status = 'RESERVED'"
            " GROUP BY order_id HAVING bool_and(expires_at IS NOT NULL)",
            (ids,),
        )
        return dict(rows)

    def some_ids(self, db: Database, most: int) -> list[str]:
        return [
            id for (id,) in db.query("SELECT order_id::text FROM inventory_reservations LIMIT %s", (most,))
        ]

    def active(self, db: Database, ids: list[str]) -> set[str]:
        rows = db.query(
            "SELECT DISTINCT order_id::text FROM inventory_reservations"
            " WHERE reservation_status = 'RESERVED' AND order_id::text = ANY (%s)",
            (ids,),
        )
        return {id for (id,) in rows}

    def overdue(self, db: Database) -> int:
        return self._count(
            db,
            "SELECT count(*) FROM inventory_reservations"
            f" WHERE reservation_status = 'RESERVED' AND {DUE} <= now()",
        )

    def late(self, db: Database, but_for: Sequence[str] = ()) -> int:
        return self._count(
            db,
            f"SELECT count(*) FROM (SELECT max({DUE}) AS due FROM inventory_reservations"
            " WHERE reservation_status = 'RESERVED' GROUP BY order_id"
            " HAVING bool_and(expires_at IS NOT NULL)"
            f" AND NOT bool_or({STOCKS} = ANY (%s))) r WHERE due < now() - interval '1 s'",
            (list(but_for),),
        )

    def check_books(self, db: Database) -> None:
        wrong = db.query(
            """
            SELECT variant_id, warehouse_id, quantity_reserved, held
              FROM inventory_stocks LEFT JOIN (
                  SELECT variant_id, warehouse_id, sum(reserved_quantity) AS held
                    FROM inventory_reservations
                   WHERE reservation_status IN ('RESERVED', 'CONFIRMED') GROUP BY 1, 2
              ) AS r USING (variant_id, warehouse_id)
             WHERE quantity_reserved <> coalesce(held, 0)
            """
        )
        assert not wrong, f"variant, warehouse, reserved, sum of holds: {wrong[:5]}"

    def forget(self, db: Database) -> int:
        """Paid orders are shipped, which takes them out of what is reserved."""
        with db.conn.transaction():
            db.conn.execute(
                """
                WITH shipped AS (
                    UPDATE inventory_reservations SET reservation_status = 'SHIPPED'
                     WHERE reservation_status = 'CONFIRMED' RETURNING variant_id, warehouse_id
                )
                UPDATE inventory_stocks s SET quantity_reserved = quantity_reserved - n
                  FROM (SELECT variant_id, warehouse_id, count(*) AS n FROM shipped GROUP BY 1, 2) g
                 WHERE (g.variant_id, g.warehouse_id) = (s.variant_id, s.warehouse_id)
                """
            )
            # Not what was paid since: it is not shipped, and stays reserved.
            db.conn.execute(
                "DELETE FROM inventory_reservations WHERE reservation_status IN ('SHIPPED', 'RELEASED')"
            )
            n = db.conn.execute(
                "DELETE FROM audit"
                " WHERE NOT EXISTS (SELECT FROM inventory_reservations WHERE order_id = audit.id)"
            ).rowcount
            db.conn.execute(
                "DELETE FROM orders"
                " WHERE NOT EXISTS (SELECT FROM inventory_reservations WHERE order_id = orders.id)"
            )
        return n

    def lock(self, conn: psycopg.Connection, products: list[str]) -> None:
        conn.execute(
            f"SELECT FROM inventory_stocks WHERE {STOCKS} = ANY (%s) FOR UPDATE SKIP LOCKED", (products,)
        )

    def lock_parents(self, conn: psycopg.Connection, dice: random.Random) -> None:
        conn.execute(
            "SELECT FROM orders WHERE status = 'PENDING' AND id %% 3 = %s FOR UPDATE SKIP LOCKED",
            (dice.randrange(3),),
        )

    @contextmanager
    def drifted(self, db: Database, product: str) -> Iterator[None]:
        conn = db.conn
        drift = f"UPDATE inventory_stocks SET quantity_reserved = quantity_reserved + %s WHERE {STOCKS} = %s"
        with conn.transaction():
            units = self._count(
                db, f"SELECT quantity_reserved FROM inventory_stocks WHERE {STOCKS} = %s FOR UPDATE", (product,)
            )
            conn.execute(drift, (-units, product))
        yield
        conn.execute(drift, (units, product))

    def move_expiries(self, db: Database, to: str) -> list[str]:
        return [
            row[0]
            for row in db.query(
                f"UPDATE inventory_reservations SET expires_at = ({to})::timestamptz AT TIME ZONE 'UTC'"
                " WHERE (order_id, variant_id, warehouse_id) IN ("
                "  SELECT DISTINCT ON (order_id) order_id, variant_id, warehouse_id FROM ("
                "   SELECT order_id, variant_id, warehouse_id FROM inventory_reservations"
                f"   WHERE reservation_status = 'RESERVED' AND {DUE} < now() + interval '2 s'"
                "    LIMIT 20 FOR UPDATE SKIP LOCKED) r)"
                " RETURNING order_id::text"
            )
        ]

    def expire_now(self, db: Database, ids: list[str]) -> None:
        db.conn.execute(
            "UPDATE inventory_reservations SET expires_at = now() AT TIME ZONE 'UTC'"
            " WHERE order_id = ANY (%s::bigint[]) AND reservation_status = 'RESERVED'",
            (ids,),
        )


# What was made, and what was deleted by whom: nothing may be lost. Events are compared with both.
DELETED_ROWS = f"""
    CREATE TABLE made (id bigint PRIMARY KEY);
    CREATE TABLE audit (
        id bigint, expires_at timestamptz, sweeper boolean, began timestamptz DEFAULT now()
    );
    CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
        INSERT INTO made VALUES (NEW.id);
        RETURN NULL;
    END$$;
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
        INSERT INTO audit VALUES (OLD.id, OLD.expires_at AT TIME ZONE 'UTC', {SWEEPER});
        RETURN NULL;
    END$$;
    CREATE TRIGGER made AFTER INSERT ON spree_stock_reservations FOR EACH ROW EXECUTE FUNCTION made();
    CREATE TRIGGER audit AFTER DELETE ON spree_stock_reservations FOR EACH ROW EXECUTE FUNCTION audit();
"""
EVENT_ID = "(payload ->> 'id')::bigint"


class Spree(Example):
    name = "spree"
    queue = "stock_reservations"
    # Rows have no counters, no parents, and always an expiry.
    unfit = (*DEFAULT_ONLY, "parents_locked", "counter_drifted", "expiry_taken_away")
    audit = DELETED_ROWS
    rights = """
        GRANT SELECT, UPDATE, DELETE ON spree_stock_reservations TO {role};
        GRANT INSERT ON spree_outbox TO {role};
    """
    offences = {
        "deleted twice": "SELECT id FROM audit GROUP BY id HAVING count(*) > 1",
        "released early": EARLY,
        "lost": """
            SELECT id FROM made WHERE id NOT IN (SELECT id FROM spree_stock_reservations)
               AND id NOT IN (SELECT id FROM audit)""",
        "there and gone": "SELECT id FROM audit WHERE id IN (SELECT id FROM spree_stock_reservations)",
        "an event that is not of one release": f"""
            SELECT {EVENT_ID} FROM spree_outbox GROUP BY 1
            HAVING count(*) > 1 OR {EVENT_ID} NOT IN (SELECT id FROM audit WHERE sweeper)""",
        "a release without its event": f"""
            SELECT id FROM audit WHERE sweeper AND id NOT IN (SELECT {EVENT_ID} FROM spree_outbox)""",
        "an event that differs from its hold": f"""
            SELECT a.id FROM audit a JOIN spree_outbox ON a.id = {EVENT_ID}
             WHERE a.expires_at <> (payload ->> 'expires_at')::timestamp AT TIME ZONE 'UTC'
                OR payload ->> 'order_id' <> (a.id + 7)::text""",
    }

    def add_products(self, db: Database) -> list[str]:
        """Line items."""
        return [str(n) for n in range(20)]

    def reserve(self, db: Db, products: Sequence[str], ttl_s: float) -> str:
        conn = connection(db)
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO spree_stock_reservations (id, line_item_id, order_id, quantity, expires_at)"
                " OVERRIDING SYSTEM VALUE SELECT id, %s, id + 7, %s,"
                " (now() + make_interval(secs => %s)) AT TIME ZONE 'UTC'"
                " FROM nextval(pg_get_serial_sequence('spree_stock_reservations', 'id')) AS id"
                " RETURNING id::text",
                (products[0], len(products), ttl_s),
            ).fetchone()
        assert row is not None
        return row[0]

    def _lock_live(self, conn: psycopg.Connection, id: str) -> bool:
        row = conn.execute(
            f"SELECT {DUE} > clock_timestamp() FROM spree_stock_reservations WHERE id = %s FOR UPDATE", (id,)
        ).fetchone()
        return row is not None and row[0]

    def commit(self, db: Db, id: str) -> bool:
        """Bought, or given back: the row goes, and no event is written."""
        conn = connection(db)
        with conn.transaction():
            live = self._lock_live(conn, id)
            if live:
                conn.execute("DELETE FROM spree_stock_reservations WHERE id = %s", (id,))
        return live

    cancel = commit

    def extend(self, db: Db, id: str, ttl_s: float) -> bool:
        conn = connection(db)
        with conn.transaction():
            live = self._lock_live(conn, id)
            if live:
                conn.execute(
                    "UPDATE spree_stock_reservations"
                    " SET expires_at = (now() + make_interval(secs => %s)) AT TIME ZONE 'UTC' WHERE id = %s",
                    (ttl_s, id),
                )
        return live

    def due_ms(self, db: Database, ids: list[str]) -> dict[str, int]:
        rows = db.query(
            f"SELECT id::text, ceil(extract(epoch FROM {DUE}) * 1000)::bigint"
            " FROM spree_stock_reservations WHERE id = ANY (%s::bigint[])",
            (ids,),
        )
        return dict(rows)

    def some_ids(self, db: Database, most: int) -> list[str]:
        return [id for (id,) in db.query("SELECT id::text FROM made ORDER BY made.id DESC LIMIT %s", (most,))]

    def active(self, db: Database, ids: list[str]) -> set[str]:
        rows = db.query("SELECT id::text FROM spree_stock_reservations WHERE id::text = ANY (%s)", (ids,))
        return {id for (id,) in rows}

    def overdue(self, db: Database) -> int:
        return self._count(db, f"SELECT count(*) FROM spree_stock_reservations WHERE {DUE} <= now()")

    def late(self, db: Database, but_for: Sequence[str] = ()) -> int:
        return self._count(
            db, f"SELECT count(*) FROM spree_stock_reservations WHERE {DUE} < now() - interval '1 s'"
        )

    def check_books(self, db: Database) -> None:
        """There are no counters."""

    def forget(self, db: Database) -> int:
        with db.conn.transaction():
            db.conn.execute(
                "LOCK TABLE spree_stock_reservations IN SHARE ROW EXCLUSIVE MODE;"
                f" DELETE FROM spree_outbox WHERE {EVENT_ID} IN (SELECT id FROM audit);"
                " DELETE FROM made WHERE id IN (SELECT id FROM audit)"
            )
            return db.conn.execute("DELETE FROM audit").rowcount

    def lock(self, conn: psycopg.Connection, products: list[str]) -> None:
        conn.execute(
            "SELECT FROM spree_stock_reservations WHERE line_item_id = ANY (%s::bigint[])"
            " FOR UPDATE SKIP LOCKED",
            (products,),
        )

    def move_expiries(self, db: Database, to: str) -> list[str]:
        return [
            row[0]
            for row in db.query(
                f"UPDATE spree_stock_reservations SET expires_at = ({to}) AT TIME ZONE 'UTC'"
                " WHERE id IN (SELECT id FROM spree_stock_reservations"
                f" WHERE {DUE} < now() + interval '2 s' LIMIT 20 FOR UPDATE SKIP LOCKED)"
                " RETURNING id::text"
            )
        ]

    def expire_now(self, db: Database, ids: list[str]) -> None:
        db.conn.execute(
            "UPDATE spree_stock_reservations SET expires_at = now() AT TIME ZONE 'UTC'"
            " WHERE id = ANY (%s::bigint[])",
            (ids,),
        )
