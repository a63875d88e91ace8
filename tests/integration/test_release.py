"""Releasing: who is released and who is left alone, through the daemon and through --once."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from harness import shop
from harness.poll import wait_until

PENDING = "{reservations}:pending"
INFLIGHT = "{reservations}:inflight"
FAILED = "{reservations}:failed"


def mirror(db: Any, redis: Any, *ids: str) -> None:
    """What an API does after its transaction: expires_at in milliseconds, rounded up."""
    for id, ms in db.conn.execute(
        "SELECT id::text, ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
        " FROM inventory_reservations WHERE id = ANY(%s) GROUP BY id",
        (list(ids),),
    ):
        redis.zadd(PENDING, {id: ms})


def released(db: Any) -> int:
    return shop.count_status(db, "released")


@pytest.mark.valgrind
def test_mirrored_by_the_api(db: Any, redis: Any, sweeper: Any) -> None:
    product = shop.add_product(db, stock=10)
    ids = [shop.reserve(db, {product: 1}, ttl_s=1.0 + n / 10) for n in range(5)]
    mirror(db, redis, *ids)
    sweeper("--lookahead", "off", "--reconcile-interval", "off")
    wait_until(lambda: released(db) == 5, 20, "five releases")
    assert min(shop.lateness(db)) >= 0
    assert shop.stock(db, product) == (10, 10, 0)
    wait_until(lambda: not redis.exists(PENDING, INFLIGHT, FAILED), 5, "nothing left in Redis")


def test_feed_alone(db: Any, redis: Any, sweeper: Any) -> None:
    """An API that knows nothing of Redis is served too."""
    product = shop.add_product(db, stock=100)
    daemon = sweeper("--feed-interval", "200ms", "--lookahead", "10s")
    daemon.wait_for_record("Redis connected")
    for _ in range(20):
        shop.reserve(db, {product: 2}, ttl_s=1.5)
    wait_until(lambda: released(db) == 20, 20, "twenty releases")
    late = shop.lateness(db)
    assert min(late) >= 0
    assert shop.stock(db, product) == (100, 100, 0)


@pytest.mark.valgrind
def test_once_without_redis(db: Any, run: Any) -> None:
    products = shop.add_products(db, 10, stock=1000)
    shop.bulk_reserve(db, 1200, products)
    keep = shop.reserve(db, {products[0]: 3}, ttl_s=600)
    done = run("--once", redis_url="redis://127.0.0.1:1")
    assert done.status == 0
    (record,) = [r for r in done.records if r["message"] == "Cleanup job completed"]
    assert record["cleanedCount"] == 1200
    assert record["skippedCount"] == 0
    assert any("Redis" in r["message"] for r in done.records)
    shop.check_stock_adds_up(db)
    assert shop.statuses(db) == {"released": 1200, "active": 1}
    row = db.conn.execute("SELECT status FROM inventory_reservations WHERE id = %s", (keep,)).fetchone()
    assert row == ("active",)


def test_once_clears_the_mirror(db: Any, redis: Any, run: Any) -> None:
    products = shop.add_products(db, 3, stock=1000)
    ids = shop.bulk_reserve(db, 100, products)
    mirror(db, redis, *ids)
    redis.zadd(PENDING, {str(uuid.uuid4()): 4e12})
    assert run("--once").status == 0
    assert redis.zcard(PENDING) == 1
    shop.check_stock_adds_up(db)


def test_dry_run_changes_nothing(db: Any, redis: Any, run: Any) -> None:
    products = shop.add_products(db, 3, stock=1000)
    shop.bulk_reserve(db, 50, products)
    done = run("--once", "--dry-run")
    assert done.status == 0
    (record,) = [r for r in done.records if r["message"] == "Cleanup job completed"]
    assert (record["cleanedCount"], record["dryRun"]) == (50, True)
    assert shop.statuses(db) == {"active": 50}
    assert redis.dbsize() == 0
