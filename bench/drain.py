"""A backlog of stale reservations: the sweeper against one statement that releases them all.

With the indexes of sql/schema.sql, and with those that an API made before it knew of a sweeper:
on status, on expires_at and on product_id, each over all rows.
"""

from __future__ import annotations

import time

from bed import INFLIGHT, PENDING, Bed, settle_down, verify
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from runner import Figures, Measurement, Medians, Target

PRODUCTS = 1000
N, N_QUICK = 100_000, 20_000
SWEEPER, STATEMENT = "sweeper, --workers 2", "one SQL statement"

# What a cron job would do at best: no lock skipped, no lease, a product's stock in one update.
RELEASE_ALL = """
    WITH gone AS (
        UPDATE inventory_reservations SET status = 'released', updated_at = now()
        WHERE status = 'active' AND expires_at <= now()
        RETURNING product_id, quantity
    ), units AS (
        SELECT product_id, sum(quantity)::integer AS units FROM gone GROUP BY product_id
    )
    UPDATE inventory SET available_stock = available_stock + units,
        reserved_stock = reserved_stock - units, updated_at = now()
    FROM units WHERE inventory.product_id = units.product_id
"""


API_INDEXES = """
    DROP INDEX inventory_reservations_due;
    DROP INDEX inventory_reservations_active_product;
    CREATE INDEX ON inventory_reservations (status);
    CREATE INDEX ON inventory_reservations (expires_at);
    CREATE INDEX ON inventory_reservations (product_id);
"""


def backlog(bed: Bed, db: Database, n: int, indexes: str) -> None:
    db.conn.execute(indexes)
    shop.bulk_reserve(db, n, shop.add_products(db, PRODUCTS, stock=n))
    assert bed.mirror(db) == n
    settle_down(db.conn)


def one_statement(bed: Bed, quick: bool, indexes: str) -> Figures:
    n = N_QUICK if quick else N
    with bed.database() as db:
        backlog(bed, db, n, indexes)
        postgres_s = bed.postgres_cpu_s()
        begin = time.perf_counter()
        db.conn.execute(RELEASE_ALL)
        took_s = time.perf_counter() - begin
        postgres_s = bed.postgres_cpu_s() - postgres_s
        verify(db, bed.redis, n)
    return figures(n, took_s, postgres_s)


def sweeper_drains(bed: Bed, quick: bool, indexes: str) -> Figures:
    n = N_QUICK if quick else N
    with bed.database() as db:
        backlog(bed, db, n, indexes)
        postgres_s = bed.postgres_cpu_s()
        begin = time.perf_counter()
        with bed.sweeper(db, "--workers", "2") as sweeper, bed.redis.client() as client:
            # Asking Postgres would slow down what is waited for.
            wait_until(
                lambda: client.zcard(PENDING) + client.zcard(INFLIGHT) == 0,
                120,
                "the backlog is drained",
            )
            wall_s = time.perf_counter() - begin
            postgres_s = bed.postgres_cpu_s() - postgres_s
            sweeper_s = sweeper.cpu_seconds()
        verify(db, bed.redis, n)
        # updated_at is the start of the transaction that released the row.
        (took_s,) = db.query(
            "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - min(updated_at))"
            "::float8 FROM inventory_reservations"
        )[0]
    return {
        **figures(n, took_s, postgres_s),
        "sweeper, CPU s": sweeper_s,
        "from its start until Redis is empty, s": wall_s,
    }


def figures(n: int, took_s: float, postgres_s: float) -> Figures:
    return {
        "first to last release, s": took_s,
        "reservations a second": n / took_s,
        "Postgres, CPU s": postgres_s,
    }


def measurement(name: str, indexes: str, whose: str) -> Measurement:
    def ratio(m: Medians) -> float:
        return m[SWEEPER]["first to last release, s"] / m[STATEMENT]["first to last release, s"]

    return Measurement(
        name=name,
        title=f"100,000 stale reservations of 1,000 products, {whose} (--quick: 20,000)",
        variants={
            STATEMENT: lambda bed, quick: one_statement(bed, quick, indexes),
            SWEEPER: lambda bed, quick: sweeper_drains(bed, quick, indexes),
        },
        targets=[Target("sweeper's time against the statement's", ratio, 1.5)],
        repeat=5,
    )


DRAIN = measurement("drain", "SELECT", "indexes of sql/schema.sql")
DRAIN_API = measurement("drain-api", API_INDEXES, "an API's own indexes")
