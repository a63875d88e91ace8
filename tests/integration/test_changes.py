"""Rows that change while a release is on its way.

A release that has waited for a counter works with a snapshot from before its wait. So the counter
is held until the release is seen waiting for it; then something changes, and the counter is let go.
"""

from __future__ import annotations

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction, waiting
from harness.poll import wait_until
from harness.queue import FAILED, LEASES, PENDING, is_empty, mirror
from harness.sweeper import Start

# Waits long enough for a test to act meanwhile; after the wait it would only try again.
WAITING = ("--lookahead", "off", "--scan-interval", "off", "--lock-timeout", "900ms")

ROW = "UPDATE inventory_reservations SET {} WHERE id = %(id)s"
COUNTER = "UPDATE inventory SET {} WHERE product_id = %(product)s"
OTHER_COUNTER = "UPDATE inventory SET {} WHERE product_id = %(other)s"

# What changes; how the reservation and the two products end.
CHANGES = {
    "extended": (
        [ROW.format("expires_at = now() + interval '1 hour'")],
        {"active": 1},
        [(100, 95, 5), (100, 100, 0)],
    ),
    "extended a little": (
        [ROW.format("expires_at = now() + interval '1.2 s'")],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "committed": (
        [
            ROW.format("status = 'committed'"),
            COUNTER.format("total_stock = 95, reserved_stock = 0"),
        ],
        {"committed": 1},
        [(95, 95, 0), (100, 100, 0)],
    ),
    "cancelled": (
        [
            ROW.format("status = 'released'"),
            COUNTER.format("available_stock = 100, reserved_stock = 0"),
        ],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "touched": (
        [ROW.format("updated_at = now()")],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "quantity lowered": (
        [
            ROW.format("quantity = 2"),
            COUNTER.format("available_stock = 98, reserved_stock = 2"),
        ],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "quantity raised": (
        [
            ROW.format("quantity = 7"),
            COUNTER.format("available_stock = 93, reserved_stock = 7"),
        ],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "another product": (
        [
            ROW.format("product_id = %(other)s"),
            COUNTER.format("available_stock = 100, reserved_stock = 0"),
            OTHER_COUNTER.format("available_stock = 95, reserved_stock = 5"),
        ],
        {"released": 1},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "deleted": (
        [
            "DELETE FROM inventory_reservations WHERE id = %(id)s",
            COUNTER.format("available_stock = 100, reserved_stock = 0"),
        ],
        {},
        [(100, 100, 0), (100, 100, 0)],
    ),
    "delivery": (
        [COUNTER.format("total_stock = 150, available_stock = 145")],
        {"released": 1},
        [(150, 150, 0), (100, 100, 0)],
    ),
    "sold out": (
        [COUNTER.format("total_stock = 5, available_stock = 0")],
        {"released": 1},
        [(5, 5, 0), (100, 100, 0)],
    ),
}


def no_more_to_do(redis: redis_py.Redis, soon_ms: int) -> bool:
    # In one transaction: between two questions an entry may go from one key to the other.
    with redis.pipeline(transaction=True) as questions:
        questions.exists(LEASES).zcount(PENDING, "-inf", soon_ms)
        return questions.execute() == [0, 0]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_between_snapshot_and_lock(
    db: Database, redis: redis_py.Redis, sweeper: Start, change: str
) -> None:
    statements, statuses, stocks = CHANGES[change]
    product, other = shop.add_products(db, 2)
    id = shop.reserve(db, {product: 5}, ttl_s=-1)
    names = {"id": id, "product": product, "other": other}
    with transaction(db, lock_product(product)) as holder:
        mirror(db, redis, id)
        daemon = sweeper(*WAITING)
        wait_until(lambda: waiting(db), 20, "the release waits for the counter", step=0.005)
        for sql in statements:
            holder.execute(sql, names)
        holder.commit()
    soon_ms = db.value("SELECT extract(epoch FROM now() + interval '5 min')::bigint * 1000")
    wait_until(lambda: no_more_to_do(redis, soon_ms), 20, "settled, or put back at its time")
    assert shop.statuses(db) == statuses
    assert [shop.stock(db, p) for p in (product, other)] == stocks
    assert not redis.exists(FAILED) and not daemon.find("refused")
    if change == "extended a little":
        assert shop.lateness(db)[0] >= 0


def test_one_row_of_several_changes(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """None of the others may be released by what the snapshot says."""
    product, other = sorted(shop.add_products(db, 2))
    id = shop.reserve(db, {product: 1, other: 2}, ttl_s=-1)
    neighbour = shop.reserve(db, {other: 4}, ttl_s=-1)
    with transaction(db, lock_product(other)) as holder:
        mirror(db, redis, id, neighbour)
        sweeper(*WAITING)
        wait_until(lambda: waiting(db), 20, "the release waits for the counter", step=0.005)
        holder.execute(
            "UPDATE inventory_reservations SET expires_at = now() + interval '1 hour'"
            " WHERE id = %s AND product_id = %s",
            (id, product),
        )
        holder.commit()
    wait_until(lambda: shop.statuses(db) == {"active": 2, "released": 1}, 20, "the neighbour")
    wait_until(lambda: redis.zrange(PENDING, 0, -1) == [id.encode()], 20, "only the extended one")
    assert (shop.stock(db, product), shop.stock(db, other)) == ((100, 99, 1), (100, 98, 2))


def test_the_counter_goes_away(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 5}, ttl_s=-1)
    with transaction(db, lock_product(product)) as holder:
        mirror(db, redis, id)
        daemon = sweeper(*WAITING)
        wait_until(lambda: waiting(db), 20, "the release waits for the counter", step=0.005)
        holder.execute("DELETE FROM inventory WHERE product_id = %s", (product,))
        holder.commit()
    wait_until(lambda: is_empty(redis), 20, "settled")
    assert shop.statuses(db) == {"released": 1}
    daemon.wait_for_record("no inventory row")


def test_a_commit_that_began_in_time(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The API locked the row while it was live, and commits long after it has expired."""
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 3}, ttl_s=0.7)
    mirror(db, redis, id)
    other = shop.reserve(db, {product: 2}, ttl_s=0.7)
    mirror(db, redis, other)
    with transaction(db) as conn:
        locks = (
            "SELECT status = 'active' AND expires_at > now() FROM inventory_reservations"
            " WHERE id = %s FOR UPDATE"
        )
        assert conn.execute(locks, (id,)).fetchone() == (True,)
        daemon = sweeper("--feed-interval", "200ms", "--scan-interval", "1s")
        wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the other one")
        conn.execute("UPDATE inventory SET reserved_stock = 0, total_stock = 97")
        conn.execute("UPDATE inventory_reservations SET status = 'committed' WHERE id = %s", (id,))
        conn.commit()
    wait_until(lambda: is_empty(redis), 20, "settled")
    assert shop.statuses(db) == {"committed": 1, "released": 1}
    assert shop.stock(db, product) == (97, 97, 0)
    assert daemon.stop() == 0
    assert daemon.wait_for_record("Stopped")["failedTotal"] == 0
