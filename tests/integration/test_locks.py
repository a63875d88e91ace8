"""Beside checkouts: who waits for whom, and for how long."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import (
    SLOW,
    lock_product,
    lock_reservation,
    slow_releases,
    sweepers,
    transaction,
    waiting,
)
from harness.poll import wait_until, within
from harness.queue import FAILED, PENDING, is_empty, mirror
from harness.sweeper import ALONE, Start


@contextmanager
def background(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Runs work(stop) in a thread of its own; what it raises is raised at the end."""
    stop = threading.Event()
    problems: list[BaseException] = []

    def guarded() -> None:
        try:
            work(stop)
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if problems:
        raise problems[0]


def test_a_locked_counter_makes_only_its_own_wait(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    busy, free = shop.add_products(db, 2)
    wait_for = [shop.reserve(db, {busy: 1}, ttl_s=-1) for _ in range(20)]
    go_on = [shop.reserve(db, {free: 1}, ttl_s=-1) for _ in range(20)]
    with transaction(db, lock_product(busy)):
        mirror(db, redis, *wait_for, *go_on)
        sweeper(*ALONE)
        wait_until(lambda: shop.stock(db, free) == (100, 100, 0), 20, "the free product's")
        wait_until(lambda: waiting(db), 20, "it is waited for, too")
        assert shop.statuses(db) == {"released": 20, "active": 20}
        assert shop.stock(db, busy) == (100, 80, 20)
    wait_until(lambda: shop.stock(db, busy) == (100, 100, 0), 20, "the other product's")
    wait_until(lambda: is_empty(redis), 5, "settled")


def test_counters_of_what_is_not_due_are_left_alone(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """An entry may come too early: then a release looks at its row, and locks nothing of it."""
    due, early = shop.add_products(db, 2)
    ids = [shop.reserve(db, {due: 1}, ttl_s=-1), shop.reserve(db, {early: 1}, ttl_s=600)]
    slow_releases(db, 1)
    redis.zadd(PENDING, dict.fromkeys(ids, 1))
    sweeper(*ALONE)
    wait_until(lambda: sweepers(db, SLOW), 20, "a release of both", step=0.005)
    with transaction(db) as checkout:
        checkout.execute(
            "SELECT FROM inventory WHERE product_id = %s FOR UPDATE NOWAIT", (early,)
        )
        assert sweepers(db, SLOW), "it is still at it"
    wait_until(lambda: shop.statuses(db) == {"released": 1, "active": 1}, 20, "the due one")


def test_what_a_bulk_release_leaves_is_released_in_small_parts(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A careful release holds its counters from beginning to end."""
    busy, free = shop.add_products(db, 2, stock=1000)
    ids = [shop.reserve(db, {busy: 1}, ttl_s=-2), *shop.bulk_reserve(db, 499, [free])]
    with transaction(db, lock_product(busy)):
        mirror(db, redis, *ids)
        sweeper(*ALONE)
        wait_until(lambda: shop.count_status(db, "released") == 499, 20, "the free product's")
        parts = db.query(
            "SELECT count(*) FROM inventory_reservations WHERE status = 'released'"
            " GROUP BY xmin::text ORDER BY 1"
        )
    assert parts[-1][0] <= 100 and len(parts) <= 8, parts


@pytest.mark.parametrize("mode", ["UPDATE", "NO KEY UPDATE", "SHARE"])
def test_a_locked_row_waits_alone(
    db: Database, redis: redis_py.Redis, sweeper: Start, mode: str
) -> None:
    """It is skipped, never waited for, and not flipped behind its lock's back."""
    product = shop.add_product(db)
    locked, *others = [shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(10)]
    with transaction(db, lock_reservation(locked, mode)):
        mirror(db, redis, locked, *others)
        sweeper(*ALONE)
        wait_until(lambda: shop.count_status(db, "released") == 9, 20, "the others")
        wait_until(lambda: redis.zscore(PENDING, locked) is not None, 5, "put back")
        assert shop.stock(db, product) == (100, 99, 1)
        assert not waiting(db)
    wait_until(lambda: shop.stock(db, product) == (100, 100, 0), 20, "the locked one")
    assert not redis.exists(FAILED)


def test_foreign_keys_are_no_hindrance(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Who inserts a row that refers to a product holds it FOR KEY SHARE."""
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, ttl_s=-1)
    locks = (lock_product(product, "KEY SHARE"), lock_reservation(id, "KEY SHARE"))
    with transaction(db, *locks):
        mirror(db, redis, id)
        sweeper(*ALONE)
        wait_until(lambda: shop.statuses(db) == {"released": 1}, 20, "the release")


def test_who_waits_holds_nothing(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """While a release waits for one counter, all other rows can be locked at once."""
    busy, first, last = shop.add_products(db, 3)
    ids = [shop.reserve(db, {p: 1}, ttl_s=-1) for p in (busy, first, last)]
    later = [shop.reserve(db, {p: 1}, ttl_s=600) for p in (first, last)]
    with transaction(db, lock_product(busy)):
        mirror(db, redis, *ids)
        sweeper("--lock-timeout", "900ms", *ALONE)
        wait_until(lambda: waiting(db), 20, "the release waits", step=0.005)
        with transaction(db) as checkout:
            for product in (first, last):
                checkout.execute(
                    "SELECT FROM inventory WHERE product_id = %s FOR UPDATE NOWAIT", (product,)
                )
            for id in (*later, ids[0]):
                checkout.execute(
                    "SELECT FROM inventory_reservations WHERE id = %s FOR UPDATE NOWAIT", (id,)
                )


def test_a_flash_sale_starves_nobody(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Two checkouts hand a product's counter to each other without a pause."""
    product = shop.add_product(db)

    def sell(stop: threading.Event) -> None:
        with psycopg.connect(db.dsn) as conn:
            while not stop.is_set():
                conn.execute(*lock_product(product))
                conn.execute("SELECT pg_sleep(0.008)")
                conn.commit()

    ids = [shop.reserve(db, {product: 1}, ttl_s=0) for _ in range(3)]
    with background(sell), background(sell):
        mirror(db, redis, *ids)
        sweeper(*ALONE)
        wait_until(lambda: shop.count_status(db, "released") == 3, 20, "all releases")
    assert max(shop.lateness(db)) < within(10)


def test_no_deadlocks_and_no_long_waits(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A checkout locks the products of its cart in any order, over several round trips, while two
    sweepers with two workers each release reservations of several products."""
    products = shop.add_products(db, 12, stock=100_000)
    waits: list[float] = []

    def check_out(stop: threading.Event) -> None:
        # One checkout at a time: two would deadlock with each other.
        dice = random.Random(7)
        with db.connect() as conn:
            while not stop.is_set():
                began = time.monotonic()
                shop.reserve(conn, [(p, 1) for p in dice.sample(products, 4)], ttl_s=600)
                waits.append(time.monotonic() - began)

    ids = []
    for n in range(6000):
        items = [products[n % 12], products[(n * 5 + 1) % 12]]
        ids += [(n, product) for product in dict.fromkeys(items)]
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " SELECT lpad(n::text, 32, '0')::uuid, p, 1, now()"
        " FROM unnest(%s::int[], %s::uuid[]) u (n, p)",
        ([n for n, _ in ids], [product for _, product in ids]),
    )
    db.conn.execute(
        "UPDATE inventory i SET reserved_stock = r.n, available_stock = 100000 - r.n FROM"
        " (SELECT product_id, count(*) AS n FROM inventory_reservations GROUP BY 1) r"
        " WHERE r.product_id = i.product_id"
    )
    with background(check_out):
        for _ in range(2):
            sweeper("--workers", "2", "--batch-size", "50", "--feed-interval", "300ms")
        wait_until(lambda: shop.count_status(db, "released") == len(ids), 60, "all releases")
    db.conn.execute("SELECT pg_stat_clear_snapshot()")
    assert db.value("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (db.name,)) == 0
    shop.check_stock_adds_up(db)
    assert len(waits) > 20 and max(waits) < within(0.9), f"the longest of {len(waits)}: {max(waits):.3f} s"
