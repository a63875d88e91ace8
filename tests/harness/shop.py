"""The API's side of the tables: what a shop does, and what must hold whatever the sweeper does.

Everywhere `db` is a Database or an autocommit psycopg connection. The API's duties are those of
the README: it locks a reservation's rows, finds them active and not expired, and moves the
counters in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

import psycopg

from .database import Database

Db = Database | psycopg.Connection
Items = Mapping[str, int] | Iterable[tuple[str, int]]


class OutOfStock(Exception):
    """A product has not enough available stock, or does not exist."""


def connection(db: Db) -> psycopg.Connection:
    return db.conn if isinstance(db, Database) else db


def add_product(db: Db, product_id: str | None = None, stock: int = 100) -> str:
    product_id = product_id or str(uuid.uuid4())
    connection(db).execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock) VALUES (%s, %s, %s)",
        (product_id, stock, stock),
    )
    return product_id


def add_products(db: Db, n: int, stock: int = 100) -> list[str]:
    rows = connection(db).execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock)"
        " SELECT gen_random_uuid(), %s, %s FROM generate_series(1, %s) RETURNING product_id::text",
        (stock, stock, n),
    )
    return [row[0] for row in rows]


def reserve(db: Db, items: Items, ttl_s: float, id: str | None = None) -> str:
    """Reserves all items (product and quantity), in the order given, or raises OutOfStock."""
    id = str(uuid.uuid4()) if id is None else id
    pairs = list(items.items() if isinstance(items, Mapping) else items)
    conn = connection(db)
    with conn.transaction():
        for product_id, quantity in pairs:
            moved = conn.execute(
                "UPDATE inventory SET available_stock = available_stock - %(q)s,"
                " reserved_stock = reserved_stock + %(q)s, updated_at = now()"
                " WHERE product_id = %(p)s AND available_stock >= %(q)s",
                {"p": product_id, "q": quantity},
            )
            if moved.rowcount == 0:
                raise OutOfStock(product_id)
            conn.execute(
                "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
                " VALUES (%s, %s, %s, now() + make_interval(secs => %s))",
                (id, product_id, quantity, ttl_s),
            )
    return id


def _lock_live(conn: psycopg.Connection, id: str) -> list[tuple[str, int]]:
    """Locks the reservation; its items if it is active and not expired, else none.

    clock_timestamp(), since the lock may have been waited for: now() is the transaction's start.
    """
    rows = conn.execute(
        "SELECT product_id::text, quantity, status = 'active' AND expires_at > clock_timestamp()"
        " FROM inventory_reservations WHERE id = %s ORDER BY product_id FOR UPDATE",
        (id,),
    ).fetchall()
    if not all(live for _, _, live in rows):
        return []
    return [(product_id, quantity) for product_id, quantity, _ in rows]


def _settle(db: Db, id: str, status: str, counters: str) -> bool:
    conn = connection(db)
    with conn.transaction():
        items = _lock_live(conn, id)
        for product_id, quantity in items:
            conn.execute(
                f"UPDATE inventory SET reserved_stock = reserved_stock - %(q)s, {counters},"
                " updated_at = now() WHERE product_id = %(p)s",
                {"p": product_id, "q": quantity},
            )
        if items:
            conn.execute(
                "UPDATE inventory_reservations SET status = %s, updated_at = now() WHERE id = %s",
                (status, id),
            )
    return bool(items)


def commit(db: Db, id: str) -> bool:
    """Sold: the goods leave the stock. False if the reservation is no longer live."""
    return _settle(db, id, "committed", "total_stock = total_stock - %(q)s")


def cancel(db: Db, id: str) -> bool:
    """Given back by the customer. False if the reservation is no longer live."""
    return _settle(db, id, "released", "available_stock = available_stock + %(q)s")


def extend(db: Db, id: str, ttl_s: float) -> bool:
    """Lives for ttl_s from now. False if the reservation is no longer live."""
    conn = connection(db)
    with conn.transaction():
        if not _lock_live(conn, id):
            return False
        conn.execute(
            "UPDATE inventory_reservations SET updated_at = now(),"
            " expires_at = now() + make_interval(secs => %s) WHERE id = %s",
            (ttl_s, id),
        )
    return True


def bulk_reserve(
    db: Db,
    n: int,
    products: list[str],
    expires: str = "now() - interval '1 second'",
    quantity: int = 1,
) -> list[str]:
    """n reservations of one row each, over the products in turn; returns their ids in order.

    expires is an SQL expression in which i counts from 1: "now() + i * interval '1 ms'".
    Stock that the products lack is delivered in the same transaction, so that the counters hold.
    """
    rows = connection(db).execute(
        f"""
        WITH made AS (
            INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)
            SELECT gen_random_uuid(), (%(products)s::uuid[])[1 + (i - 1) %% %(np)s], %(quantity)s,
                   {expires}
            FROM generate_series(1, %(n)s) AS i
            RETURNING id, product_id, quantity
        ), wanted AS (
            SELECT product_id, sum(quantity)::integer AS units FROM made GROUP BY product_id
        ), moved AS (
            UPDATE inventory SET
                available_stock = greatest(available_stock - units, 0),
                reserved_stock = reserved_stock + units,
                total_stock = greatest(available_stock - units, 0) + reserved_stock + units
            FROM wanted WHERE inventory.product_id = wanted.product_id
        )
        SELECT id::text FROM made
        """,
        {"products": products, "np": len(products), "quantity": quantity, "n": n},
    )
    return [row[0] for row in rows]


def statuses(db: Db) -> dict[str, int]:
    """How many rows there are of each status."""
    rows = connection(db).execute("SELECT status, count(*) FROM inventory_reservations GROUP BY 1")
    return dict(rows.fetchall())


def count_status(db: Db, status: str) -> int:
    return statuses(db).get(status, 0)


def stock(db: Db, product_id: str) -> tuple[int, int, int]:
    """total, available, reserved"""
    row = connection(db).execute(
        "SELECT total_stock, available_stock, reserved_stock FROM inventory WHERE product_id = %s",
        (product_id,),
    ).fetchone()
    assert row is not None, f"no product {product_id}"
    return row


def check_stock_adds_up(db: Db) -> None:
    """What must hold at any moment, for every product."""
    wrong = connection(db).execute(
        """
        SELECT product_id::text, total_stock, available_stock, reserved_stock, held
        FROM inventory LEFT JOIN (
            SELECT product_id, sum(quantity) AS held FROM inventory_reservations
            WHERE status = 'active' GROUP BY product_id
        ) AS active USING (product_id)
        WHERE reserved_stock <> coalesce(held, 0)
           OR available_stock + reserved_stock <> total_stock
        """
    ).fetchall()
    assert not wrong, f"product, total, available, reserved, sum of active: {wrong[:5]}"


def lateness(db: Db, ids: list[str] | None = None) -> list[float]:
    """Seconds from expiry to the commit that released it, for each released reservation.

    From Postgres's own commit timestamps; negative would be early. A reservation of several rows
    is due when the latest of them is. Without ids, those that cancel() released are among them.
    """
    rows = connection(db).execute(
        """
        SELECT extract(epoch FROM min(pg_xact_commit_timestamp(xmin)) - max(expires_at))::float8
        FROM inventory_reservations
        WHERE status = 'released' AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))
        GROUP BY id ORDER BY 1
        """,
        {"ids": ids},
    )
    return [row[0] for row in rows]
