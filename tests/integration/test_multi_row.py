"""Reservations of several rows: all of one id, or none."""

from __future__ import annotations

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import wait_until, within
from harness.queue import FAILED, LEASES, PENDING, failures, is_empty, mirror
from harness.sweeper import ALONE, Run, Start


def released(db: Database, id: str) -> int:
    sql = "SELECT count(*) FROM inventory_reservations WHERE id = %s AND status = 'released'"
    return db.value(sql, (id,))  # type: ignore[return-value]


def reserve_two(db: Database, products: list[str], first_s: float, second_s: float) -> str:
    id = shop.reserve(db, {products[0]: 1, products[1]: 2}, ttl_s=first_s)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + make_interval(secs => %s)"
        " WHERE id = %s AND product_id = %s",
        (second_s, id, products[1]),
    )
    return id


def test_due_when_the_latest_row_is(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Mirrored at the time of either row, by the feed or by the API."""
    products = shop.add_products(db, 2)
    fed = [reserve_two(db, products, 0.3, 1.5), reserve_two(db, products, 1.5, 0.3)]
    mirrored = reserve_two(db, products, -5, 1.5)
    early = reserve_two(db, products, 1.5, -5)
    mirror(db, redis, mirrored)
    redis.zadd(PENDING, {early: 1})
    sweeper("--feed-interval", "200ms", "--lookahead", "1s")
    wait_until(lambda: shop.count_status(db, "released") == 8, 20, "all rows")
    late = shop.lateness(db, [*fed, mirrored, early])
    assert min(late) >= 0 and max(late) < within(1)
    wait_until(lambda: is_empty(redis), 5, "nothing left in Redis")
    shop.check_stock_adds_up(db)


def test_one_commit(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """All rows of a reservation carry the mark of one transaction."""
    products = shop.add_products(db, 40)
    carts = [products[n:] + products[:n] for n in range(0, 40, 4)]
    ids = [shop.reserve(db, [(product, 1) for product in cart], ttl_s=-1) for cart in carts]
    mirror(db, redis, *ids)
    sweeper("--batch-size", "3", *ALONE)
    wait_until(lambda: shop.count_status(db, "released") == 400, 20, "all rows")
    marks = db.query("SELECT count(DISTINCT xmin::text) FROM inventory_reservations GROUP BY id")
    assert marks == [(1,)] * 10
    shop.check_stock_adds_up(db)


def test_an_extended_row_makes_all_wait(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    products = shop.add_products(db, 2)
    id = reserve_two(db, products, -1, 600)
    redis.zadd(PENDING, {id: 1})
    sweeper("--feed-interval", "200ms", "--scan-interval", "1s")
    wait_until(lambda: redis.zcount(PENDING, 2, "inf") == 1, 20, "put back")
    assert shop.statuses(db) == {"active": 2}
    assert [shop.stock(db, p)[2] for p in products] == [1, 2]


def test_a_settled_row_is_no_hindrance(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """One row was sold or given back before: the rest is released, and only the rest."""
    products = shop.add_products(db, 3)
    id = shop.reserve(db, {products[0]: 1, products[1]: 2, products[2]: 4}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory_reservations SET status = 'committed',"
        " expires_at = now() + interval '1 h' WHERE product_id = %s",
        (products[0],),
    )
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, total_stock = 99 WHERE product_id = %s",
        (products[0],),
    )
    mirror(db, redis, id)
    sweeper(*ALONE)
    wait_until(lambda: shop.statuses(db) == {"committed": 1, "released": 2}, 20, "the other rows")
    assert [shop.stock(db, p) for p in products] == [(99, 99, 0), (100, 100, 0), (100, 100, 0)]


def test_one_locked_row_makes_all_wait(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    products = shop.add_products(db, 3)
    id = shop.reserve(db, {p: 1 for p in products}, ttl_s=-1)
    other = shop.reserve(db, {p: 1 for p in products}, ttl_s=-1)
    held = (
        "SELECT FROM inventory_reservations WHERE id = %s AND product_id = %s FOR UPDATE",
        (id, products[1]),
    )
    with transaction(db, held):
        mirror(db, redis, id, other)
        sweeper(*ALONE)
        wait_until(lambda: released(db, other) == 3, 20, "the other one")
        wait_until(lambda: redis.zscore(PENDING, id) is not None, 5, "put back")
        assert released(db, id) == 0
    wait_until(lambda: released(db, id) == 3, 20, "all three rows")
    assert redis.exists(FAILED) == 0
    shop.check_stock_adds_up(db)


def test_one_locked_counter_makes_all_wait(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """And for as long as it waits, its other counters and rows are free."""
    products = sorted(shop.add_products(db, 3))
    id = shop.reserve(db, {p: 1 for p in products}, ttl_s=-1)
    other = shop.reserve(db, {p: 1 for p in products[:2]}, ttl_s=-1)
    with transaction(db, lock_product(products[2])):
        mirror(db, redis, id, other)
        sweeper(*ALONE)
        wait_until(lambda: released(db, other) == 2, 20, "the other one")
        assert released(db, id) == 0
        assert shop.stock(db, products[0]) == (100, 99, 1)
    wait_until(lambda: released(db, id) == 3, 20, "all three rows")
    wait_until(lambda: is_empty(redis), 5, "nothing left in Redis")
    shop.check_stock_adds_up(db)


def test_one_refused_row_keeps_all(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    products = shop.add_products(db, 2)
    id = shop.reserve(db, {products[0]: 1, products[1]: 2}, ttl_s=-1)
    other = shop.reserve(db, {products[0]: 1}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory SET available_stock = 100, reserved_stock = 0 WHERE product_id = %s",
        (products[1],),
    )
    mirror(db, redis, id, other)
    daemon = sweeper(*ALONE)
    daemon.wait_for_record("refused")
    wait_until(lambda: released(db, other) == 1 and not redis.exists(LEASES), 20, "the other one")
    assert released(db, id) == 0 and shop.stock(db, products[0]) == (100, 99, 1)
    assert failures(redis).keys() == {id}
    db.conn.execute(
        "UPDATE inventory SET available_stock = 98, reserved_stock = 2 WHERE product_id = %s",
        (products[1],),
    )
    wait_until(lambda: released(db, id) == 2 and is_empty(redis), 20, "both rows, once fixed")


def test_rows_of_the_same_product(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """In a table whose key does not forbid it. Each row's quantity is given back once."""
    key = "inventory_reservations_pkey"
    db.conn.execute(f"ALTER TABLE inventory_reservations DROP CONSTRAINT {key}")
    product, other = shop.add_products(db, 2)
    id = shop.reserve(db, [(product, 1), (product, 2), (product, 4), (other, 8)], ttl_s=-1)
    mirror(db, redis, id)
    daemon = sweeper(*ALONE)
    wait_until(lambda: released(db, id) == 4, 20, "all rows")
    assert [shop.stock(db, p) for p in (product, other)] == [(100, 100, 0)] * 2
    wait_until(lambda: is_empty(redis), 5, "settled")
    daemon.stop()
    stopped = daemon.wait_for_record("Stopped")
    assert (stopped["releasedTotal"], stopped["releasedUnits"]) == (1, 15)


def test_once(db: Database, run: Run) -> None:
    """Pages are read by expiry, so that rows of one id may be pages apart."""
    products = shop.add_products(db, 2)
    due = [reserve_two(db, products, -500 + n, -1) for n in range(5)]
    not_due = [reserve_two(db, products, -100, 600), reserve_two(db, products, 600, -100)]
    shop.bulk_reserve(db, 20_000, products, "now() - interval '100 s' + i * interval '1 ms'")
    counted = run("--once", "--dry-run").record("Cleanup job completed")
    assert (counted["cleanedCount"], counted["releasedUnits"]) == (20_005, 20_015)
    done = run("--once").record("Cleanup job completed")
    assert (done["cleanedCount"], done["releasedUnits"]) == (20_005, 20_015)
    assert {released(db, id) for id in due} == {2} and {released(db, id) for id in not_due} == {0}
    shop.check_stock_adds_up(db)
