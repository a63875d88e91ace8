"""--reconcile of many rows, and of columns of other types."""

from __future__ import annotations

from typing import Any

import pytest
from harness import shop
from harness.database import Database
from harness.queue import PENDING
from harness.reconciliation import OFF, expires_ms, figures
from harness.sweeper import run_once


@pytest.mark.slow
def test_very_many_that_expire_together(db: Any, redis: Any, run: Any) -> None:
    """Several pages of one moment; and what is in several pages is repaired page by page."""
    products = shop.add_products(db, 10, stock=100)
    shop.bulk_reserve(db, 170_000, products, "now() + interval '1 hour'")
    shop.bulk_reserve(db, 20_000, products, "now() + interval '2 hours' + i * interval '1 ms'")
    done = run("--reconcile", *OFF, "--dry-run")
    assert figures(done) == {"mirrorMissing": 190_000, "remainingCount": 190_000}
    assert figures(run("--reconcile", *OFF)) == {"mirrorMissing": 190_000}
    assert redis.zcard(PENDING) == 190_000
    gone = [id.decode() for id in redis.zrange(PENDING, 0, -1)[::7]]
    for at in range(0, len(gone), 10_000):
        redis.zrem(PENDING, *gone[at : at + 10_000])
    assert figures(run("--reconcile", *OFF)) == {"mirrorMissing": len(gone)}
    assert figures(run("--reconcile", *OFF)) == {}
    assert redis.zscore(PENDING, gone[0]) == expires_ms(db, gone[0])


@pytest.mark.parametrize(
    ("id_type", "time_type", "product_type", "ids"),
    [
        ("text", "timestamp", "text", ["a", 'b"\\{},', "größe €", "x" * 255]),
        ("bigint", "timestamptz", "integer", ["1", "-5", "9000000000000000000", "77"]),
        ("char(8)", "timestamp", "varchar(20)", ["abc", "abcdefgh", "x y", "q"]),
    ],
)
def test_other_types(
    pg_server: Any, redis: Any, redis_server: Any, id_type: str, time_type: str, product_type: str, ids: Any
) -> None:
    db = Database.create(pg_server, schema=False)
    try:
        db.conn.execute(
            f"""
            CREATE TABLE inventory (product_id {product_type} PRIMARY KEY, available_stock integer,
                reserved_stock integer, updated_at {time_type});
            CREATE TABLE inventory_reservations (id {id_type} PRIMARY KEY,
                product_id {product_type}, quantity integer, expires_at {time_type}, status text,
                updated_at {time_type});
            INSERT INTO inventory VALUES ('1', 10, 5), ('2', 10, 0);
            """
        )
        now = "now()" if time_type == "timestamptz" else "now() AT TIME ZONE 'UTC'"
        for id in ids:
            db.conn.execute(
                "INSERT INTO inventory_reservations"
                f" VALUES (%s, '1', 1, {now} + interval '1 hour', 'active')",
                (id,),
            )
        redis.zadd(PENDING, {"no such id": 4e12})
        options = {"dsn": db.dsn, "redis_url": redis_server.url()}
        expected = {"mirrorMissing": 4, "mirrorOrphaned": 1, "stockDrifted": 1}
        done = run_once("--reconcile", *OFF, "--dry-run", **options)
        assert figures(done) == expected | {"remainingCount": 6}
        done = run_once("--reconcile", *OFF, "--repair-stock", **options)
        assert figures(done) == expected | {"stockRepaired": 1}
        assert figures(run_once("--reconcile", *OFF, **options)) == {}
        assert db.query("SELECT available_stock, reserved_stock FROM inventory ORDER BY 1 DESC") == [
            (11, 4),
            (10, 0),
        ]
    finally:
        db.drop()


def test_exact_to_the_microsecond(db: Any, redis: Any, run: Any) -> None:
    """From tomorrow to the year 2340, few of them at a whole millisecond."""
    products = shop.add_products(db, 10, stock=1000)
    shop.bulk_reserve(
        db, 5000, products, "now() + interval '1 day' + i * i * interval '400.123457 s'"
    )
    assert figures(run("--reconcile", *OFF)) == {"mirrorMissing": 5000}
    rows = db.query(
        "SELECT id::text, ceil(extract(epoch FROM expires_at) * 1000)::bigint"
        " FROM inventory_reservations"
    )
    scores = redis.zrange(PENDING, 0, -1, withscores=True)
    assert {id.decode(): int(score) for id, score in scores} == dict(rows)
    assert figures(run("--reconcile", *OFF)) == {}
