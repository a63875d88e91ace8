"""A backlog and several workers: rows first, counters last (RELEASE_BULK), carefully what that
left. The same promises hold as for one worker."""

from __future__ import annotations

from typing import Any

import pytest
from harness import shop
from harness.locks import waiting
from harness.poll import wait_until
from harness.sweeper import ALONE

PENDING = "{reservations}:pending"
LEASES = "{reservations}:leases"


def mirror_all(db: Any, redis: Any) -> None:
    rows = db.conn.execute(
        "SELECT id::text, ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
        " FROM inventory_reservations GROUP BY id"
    ).fetchall()
    redis.zadd(PENDING, dict(rows))


def several_rows(db: Any, n: int, products: list[str]) -> list[str]:
    """n expired reservations of three products each."""
    ids = shop.bulk_reserve(db, n, products[:1])
    for product in products[1:3]:
        db.conn.execute(
            "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
            " SELECT id, %s, 2, expires_at FROM inventory_reservations WHERE id = ANY(%s)"
            " AND product_id = %s",
            (product, ids, products[0]),
        )
        db.conn.execute(
            "UPDATE inventory SET available_stock = available_stock - 2 * %s,"
            " reserved_stock = reserved_stock + 2 * %s WHERE product_id = %s",
            (n, n, product),
        )
    return ids


@pytest.mark.parametrize("workers", ["2", "4"])
def test_workers_share_a_backlog(db: Any, redis: Any, sweeper: Any, workers: str) -> None:
    products = shop.add_products(db, 40, stock=100_000)
    shop.bulk_reserve(db, 4000, products)
    several_rows(db, 500, products)
    mirror_all(db, redis)
    daemon = sweeper("--workers", workers, "--batch-size", "100")
    wait_until(lambda: shop.count_status(db, "active") == 0, 30, "the backlog is drained")
    shop.check_stock_adds_up(db)
    wait_until(lambda: not redis.exists(PENDING, LEASES), 10, "Redis is empty")
    assert daemon.stop() == 0
    assert daemon.find("Stopped")[0]["releasedTotal"] == 4500


def test_a_locked_row_keeps_its_reservation_whole(db: Any, redis: Any, sweeper: Any) -> None:
    products = shop.add_products(db, 5, stock=100_000)
    shop.bulk_reserve(db, 1000, products)
    ids = several_rows(db, 200, products)
    mirror_all(db, redis)
    held = ids[17]
    with db.connect() as other, other.transaction():
        other.execute(
            "SELECT FROM inventory_reservations WHERE id = %s AND product_id = %s FOR UPDATE",
            (held, products[2]),
        )
        sweeper("--workers", "2", "--batch-size", "100")
        wait_until(lambda: shop.count_status(db, "active") == 3, 30, "all others are released")
        rows = db.conn.execute(
            "SELECT DISTINCT status FROM inventory_reservations WHERE id = %s", (held,)
        ).fetchall()
        assert rows == [("active",)]
        shop.check_stock_adds_up(db)
    wait_until(lambda: shop.count_status(db, "active") == 0, 20, "the last one follows")
    shop.check_stock_adds_up(db)


def test_a_locked_counter_keeps_only_its_own(db: Any, redis: Any, sweeper: Any) -> None:
    products = shop.add_products(db, 5, stock=100_000)
    shop.bulk_reserve(db, 2000, products)
    mirror_all(db, redis)
    with db.connect() as other, other.transaction():
        other.execute("SELECT FROM inventory WHERE product_id = %s FOR UPDATE", (products[0],))
        sweeper("--workers", "2", "--batch-size", "100")
        wait_until(lambda: shop.count_status(db, "active") == 400, 30, "all others are released")
    wait_until(lambda: shop.count_status(db, "active") == 0, 20, "its own follow")
    shop.check_stock_adds_up(db)


def parts(db: Any) -> list[int]:
    """How many rows each release has released, the fewest first."""
    rows = db.query(
        "SELECT count(*) FROM inventory_reservations WHERE status = 'released'"
        " GROUP BY xmin::text ORDER BY 1"
    )
    return [n for (n,) in rows]


def rollbacks(db: Any) -> int:
    db.query("SELECT pg_stat_clear_snapshot()")
    of_it = "SELECT xact_rollback FROM pg_stat_database WHERE datname = %s"
    return int(db.value(of_it, (db.name,)))


@pytest.mark.parametrize("checks", ["with checks", "without checks"])
def test_an_undisturbed_backlog_goes_in_bulk(
    db: Any, redis: Any, sweeper: Any, checks: str
) -> None:
    """No release fails and is done again with care, and none is in small parts."""
    if checks == "without checks":
        for table, name in db.query(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c'"
            " AND conrelid IN ('inventory'::regclass, 'inventory_reservations'::regclass)"
        ):
            db.conn.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    products = shop.add_products(db, 5, stock=100_000)
    shop.bulk_reserve(db, 1200, products)
    several_rows(db, 100, products)
    mirror_all(db, redis)
    before = rollbacks(db)
    daemon = sweeper("--batch-size", "300", *ALONE)
    wait_until(lambda: shop.count_status(db, "active") == 0, 30, "the backlog is drained")
    shop.check_stock_adds_up(db)
    assert daemon.stop() == 0  # and its connections have told what they did
    assert rollbacks(db) == before
    assert len(parts(db)) <= 6 and parts(db)[-1] >= 300, parts(db)


def test_one_row_not_yet_due_keeps_all(db: Any, redis: Any, sweeper: Any) -> None:
    products = shop.add_products(db, 3, stock=100_000)
    shop.bulk_reserve(db, 300, products)
    ids = several_rows(db, 100, products)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + interval '1 hour'"
        " WHERE id = ANY(%s) AND product_id = %s",
        (ids[:10], products[1]),
    )
    redis.zadd(PENDING, {id: 1 for id in ids})
    mirror_all(db, redis)
    redis.zadd(PENDING, {id: 1 for id in ids[:10]})
    sweeper("--workers", "2", "--batch-size", "50")
    wait_until(lambda: shop.count_status(db, "active") == 30, 30, "all others are released")
    wait_until(lambda: redis.zcard(PENDING) == 10, 10, "they wait at their own time")
    assert redis.zcount(PENDING, "-inf", 10**12) == 0
    shop.check_stock_adds_up(db)


def test_a_refused_row_among_a_backlog(db: Any, redis: Any, sweeper: Any) -> None:
    products = shop.add_products(db, 5, stock=100_000)
    shop.bulk_reserve(db, 1000, products)
    bad = shop.add_product(db, stock=10)
    shop.reserve(db, {bad: 5}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = 10 WHERE product_id = %s", (bad,)
    )
    mirror_all(db, redis)
    sweeper("--workers", "2", "--batch-size", "100")
    wait_until(lambda: shop.count_status(db, "active") == 1, 30, "all others are released")
    wait_until(lambda: redis.hlen("{reservations}:failed") == 1, 10, "it is marked failed")


EXTENDED = "SET expires_at = now() + interval '1 h'"
SOLD = "SET status = 'committed'"
# How many rows the reservation has, what the API does to how many of them, and what they are then.
CHANGES = {
    "its row is extended": (1, EXTENDED, 1, {"active": 1}),
    "its row is sold": (1, SOLD, 1, {"committed": 1}),
    "one of its rows is extended": (3, EXTENDED, 1, {"active": 3}),
    "one of its rows is sold": (3, SOLD, 1, {"committed": 1, "released": 2}),
    "all its rows are extended": (3, EXTENDED, 3, {"active": 3}),
    "all its rows are sold": (3, SOLD, 3, {"committed": 3}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_changes_while_it_is_waited_for(
    db: Any, redis: Any, sweeper: Any, change: str
) -> None:
    """Judged by its newest version, and never in part; the rest of the batch is released."""
    rows, setting, changed, left = CHANGES[change]
    products = shop.add_products(db, 5, stock=100_000)
    ids = shop.bulk_reserve(db, 1000, products)
    id = ids[5] if rows == 1 else several_rows(db, 200, products)[17]
    mirror_all(db, redis)
    with db.connect() as api, api.transaction():
        changes = api.execute(
            f"UPDATE inventory_reservations {setting} WHERE (id, product_id) IN ("
            "SELECT id, product_id FROM inventory_reservations WHERE id = %s"
            " ORDER BY product_id LIMIT %s) RETURNING product_id, quantity",
            (id, changed),
        ).fetchall()
        sweeper("--workers", "2", "--batch-size", "100", "--lock-timeout", "900ms")
        wait_until(lambda: waiting(db), 20, "a release waits for the row", step=0.005)
        for product, quantity in changes if setting == SOLD else []:
            api.execute(
                "UPDATE inventory SET reserved_stock = reserved_stock - %s,"
                " total_stock = total_stock - %s WHERE product_id = %s",
                (quantity, quantity, product),
            )
    of_it = "SELECT status, count(*) FROM inventory_reservations WHERE id = %s GROUP BY 1"
    wait_until(lambda: dict(db.query(of_it, (id,))) == left, 30, "what becomes of it")
    active = left.get("active", 0)
    wait_until(lambda: shop.count_status(db, "active") == active, 30, "all others are released")
    shop.check_stock_adds_up(db)
