"""What a run begins with: products and reservations, made once for each kind, then copied."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

# In place of those of sql/schema.sql: what an API had before it knew of a sweeper.
API_INDEXES = """
    DROP INDEX inventory_reservations_due;
    DROP INDEX inventory_reservations_active_product;
    CREATE INDEX ON inventory_reservations (status);
    CREATE INDEX ON inventory_reservations (expires_at);
    CREATE INDEX ON inventory_reservations (product_id);
"""

# Filled at the rate at which a tree of random ids is full after a while, had each been inserted.
KEY = "PRIMARY KEY ({}) WITH (fillfactor = 70)"


@dataclass(frozen=True)
class Data:
    """n reservations, each of one piece of so many products. expires is an SQL expression in which
    i counts from 1."""

    n: int
    expires: str = "now() - interval '1 second'"
    zipf: bool = False
    api_indexes: bool = False
    products: int = 1000
    rows: int = 1
    # The key is the id alone, where that of sql/schema.sql allows several rows of one id.
    unique: bool = False


def product(k: str) -> str:
    """The id of product number k, an SQL expression; with zipf, 1 is the most popular."""
    return f"md5('product ' || {k})::uuid"


def make(db: psycopg.Connection, data: Data) -> None:
    """Fills the empty tables of sql/schema.sql."""
    if data.api_indexes:
        db.execute(API_INDEXES)
    with without_indexes(db, "id" if data.unique else "id, product_id"):
        reserve(db, data)
    # What is reserved, and plenty besides.
    db.execute(
        f"""
        INSERT INTO inventory (product_id, total_stock, available_stock, reserved_stock)
        SELECT product_id, 1000000 + coalesce(units, 0), 1000000, coalesce(units, 0)
          FROM (SELECT {product("k")} AS product_id
                  FROM generate_series(1, %s) AS k) AS products
          LEFT JOIN (SELECT product_id, count(*) AS units FROM inventory_reservations
                      GROUP BY 1) AS held USING (product_id)
        """,
        (data.products,),
    )
    settle_down(db)


@contextlib.contextmanager
def without_indexes(db: psycopg.Connection, key: str) -> Iterator[None]:
    """Built in one go afterwards: 10 million rows would take long one by one."""
    db.execute("SET maintenance_work_mem = '512MB'")
    indexes = db.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'inventory_reservations'"
        " AND indexname <> 'inventory_reservations_pkey'"
    ).fetchall()
    for name, _ in indexes:
        db.execute(f"DROP INDEX {name}")
    db.execute("ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey")
    yield
    db.execute(f"ALTER TABLE inventory_reservations ADD {KEY.format(key)}")
    for _, definition in indexes:
        db.execute(definition)


def reserve(db: psycopg.Connection, data: Data) -> None:
    """Products are drawn at random: each has a share of the line from 0 to total. A reservation's
    other rows are of products that lie evenly apart from that."""
    share = "1.0 / k" if data.zipf else "1.0"
    db.execute(
        f"""
        INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)
        WITH shares AS (
            SELECT array_agg(edge ORDER BY k) AS edges, max(edge) AS total
              FROM (SELECT k, sum({share}) OVER (ORDER BY k)::float8 AS edge
                      FROM generate_series(1, %(products)s) AS k) AS edges
        ), ids AS MATERIALIZED (
            SELECT array_agg({product("k")} ORDER BY k) AS ids
              FROM generate_series(1, %(products)s) AS k
        )
        SELECT id, ids[1 + (drawn + generate_series(0, %(rows)s - 1) * %(apart)s) %% %(products)s],
               1, expires_at
          FROM (SELECT gen_random_uuid() AS id, {data.expires} AS expires_at,
                       least(width_bucket(random() * total, edges), %(products)s - 1) AS drawn
                  FROM generate_series(1, %(n)s) AS i, shares) AS reservations, ids
        """,
        {
            "n": data.n,
            "products": data.products,
            "rows": data.rows,
            "apart": data.products // data.rows,
        },
    )


def settle_down(db: psycopg.Connection) -> None:
    """What was prepared in bulk leaves nothing for later: statistics, dirty pages."""
    db.execute("VACUUM ANALYZE")
    db.execute("CHECKPOINT")


def warm(db: psycopg.Connection) -> None:
    """A copied database is not in Postgres's memory yet."""
    db.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
    db.execute(
        "SELECT pg_prewarm(oid) FROM pg_class"
        " WHERE relname LIKE 'inventory%' AND relkind IN ('r', 'i')"
    )
