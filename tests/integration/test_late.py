"""What a look finds late is released with that look, whatever else leads to it later."""

from __future__ import annotations

import json

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import until_ready, wait_until
from harness.queue import FAILED, PENDING, mirror, pending
from harness.sweeper import ALONE, Start
from harness.web import metric, until_settled

INTERVAL_S = 3.0
PAST_FULL = 3  # the first two looks at most see everything
# By no scan: with the scan's interval as it is by default it would come after five minutes.
LOOKS = ("--feed-interval", f"{INTERVAL_S:.0f}s")
WAYS = {
    "mirrored by the feed": LOOKS,
    "mirrored by the API": (*LOOKS, *ALONE),
    "an hour between looks": ("--feed-interval", "1h", "--lookahead", "2h"),
}


def move_back(db: Database, ids: list[str], ago: str) -> None:
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() - %s::interval"
        " WHERE id::text = ANY(%s)",
        (ago, ids),
    )


def released(db: Database) -> int:
    return shop.count_status(db, "released")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [1, 500])
def test_moved_back(n: int, way: str, db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """So many of a thousand: Redis has them at their old time."""
    products = shop.add_products(db, 10, stock=1000)
    ids = shop.bulk_reserve(db, 1000, products, "now() + interval '30 s'")
    mirror(db, redis, *ids)
    daemon = sweeper(*WAYS[way], http=True)
    until_settled(daemon, looks=PAST_FULL if way != "an hour between looks" else 1)
    move_back(db, ids[:n], "10 min")
    within = (INTERVAL_S if "3s" in WAYS[way] else 15) + 1
    # The rest of the time is the machine's: 500 rows, and others at work beside us.
    wait_until(lambda: released(db) == n, within + 3, "released with the look")
    until_ready(daemon, 5)
    assert shop.count_status(db, "active") == 1000 - n
    shop.check_stock_adds_up(db)
    wait_until(lambda: set(pending(redis)) == set(ids[n:]), 5, "nothing else is left")


@pytest.mark.parametrize("way", ["mirrored by the feed", "mirrored by the API"])
def test_committed_late(way: str, db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Expired when it became visible, and longer ago than regular looks go back."""
    products = shop.add_products(db, 10, stock=1000)
    daemon = sweeper(*WAYS[way], http=True)
    until_settled(daemon, looks=PAST_FULL)
    with db.connect() as conn, conn.transaction():
        for product in products:
            shop.reserve(conn, {product: 1}, ttl_s=-300)
        began = metric(daemon, "feed_last_success_timestamp_seconds")
        wait_until(
            lambda: metric(daemon, "feed_last_success_timestamp_seconds") > began, 20, "a look"
        )
        assert released(db) == 0
    wait_until(lambda: released(db) == 10, INTERVAL_S + 1 + 3, "released")
    shop.check_stock_adds_up(db)


def test_more_than_a_look_shows(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    products = shop.add_products(db, 20, stock=1000)
    daemon = sweeper(*WAYS["mirrored by the API"], http=True)
    until_settled(daemon, looks=PAST_FULL)
    shop.bulk_reserve(db, 5000, products, "now() - interval '1 h' + i * interval '1 ms'")
    wait_until(lambda: released(db) == 5000, INTERVAL_S + 10, "released")
    shop.check_stock_adds_up(db)


def test_two_sweepers(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Both see it; it is released once."""
    products = shop.add_products(db, 5, stock=1000)
    ids = shop.bulk_reserve(db, 300, products, "now() + interval '60 s'")
    mirror(db, redis, *ids)
    daemons = [sweeper(*WAYS["mirrored by the API"], http=True) for _ in range(2)]
    for daemon in daemons:
        until_settled(daemon, looks=PAST_FULL)
    move_back(db, ids, "1 min")
    wait_until(lambda: released(db) == 300, INTERVAL_S + 5, "released")
    assert sum(metric(d, "released_total") for d in daemons) == 300
    assert sum(metric(d, "released_units_total") for d in daemons) == 300
    shop.check_stock_adds_up(db)


def test_an_id_that_redis_cannot_hold(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    db.conn.execute("ALTER TABLE inventory_reservations ALTER id TYPE text")
    daemon = sweeper(*WAYS["mirrored by the feed"], http=True)
    until_settled(daemon, looks=PAST_FULL)
    product = shop.add_product(db)
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " VALUES (repeat('x', 300), %s, 1, now() - interval '1 min');",
        (product,),
    )
    db.conn.execute("UPDATE inventory SET reserved_stock = 1, available_stock = total_stock - 1")
    wait_until(lambda: released(db) == 1, INTERVAL_S + 5, "released")
    assert redis.zcard(PENDING) == 0


def test_refused_and_locked_are_left_in_peace(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Beside one that is moved back every look: the refused wait out their back-off, and the locked
    are tried as often as they would be."""
    bad, held, good = shop.add_products(db, 3, stock=1000)
    shop.reserve(db, {bad: 1}, ttl_s=-100)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (bad,),
    )
    shop.reserve(db, {held: 1}, ttl_s=-100)
    with transaction(db, lock_product(held)):
        daemon = sweeper(*ALONE, "--feed-interval", "1s", http=True)
        until_ready(daemon)
        wait_until(lambda: redis.hlen(FAILED) == 1, 20, "refused")
        attempts = [json.loads(text)["attempts"] for text in redis.hvals(FAILED)]
        for n in range(8):
            shop.reserve(db, {good: 1}, ttl_s=-100)
            wait_until(lambda n=n: released(db) == n + 1, 10, "the one that is moved back")
        after = [json.loads(text)["attempts"] for text in redis.hvals(FAILED)]
        # 8 looks take some 8 s; by its back-off it is tried after 1, 2 and 4 s.
        assert after[0] <= attempts[0] + 4
    wait_until(lambda: released(db) == 9, 20, "the locked one")


def test_hidden_by_five_hundred_that_are_refused(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A look sees the oldest 500. Where all of them are refused, what is behind them is seen too."""
    bad, good = shop.add_products(db, 2, stock=1000)
    shop.bulk_reserve(db, 600, [bad], "now() - interval '1 h'")
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (bad,),
    )
    daemon = sweeper(*ALONE, "--feed-interval", "1s", http=True)
    until_ready(daemon)
    wait_until(lambda: redis.hlen(FAILED) == 600, 30, "all are refused or held")
    until_settled(daemon, looks=PAST_FULL)
    shop.reserve(db, {good: 1}, ttl_s=-60)
    wait_until(lambda: released(db) == 1, 20, "the one behind them")
