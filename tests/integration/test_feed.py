"""The feed: who mirrors, what it finds, and what it puts back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.queue import FAILED, FEEDER, LEASES, PENDING, expires_ms, mirror, script_calls
from harness.scripts import Queue
from harness.sweeper import Start
from harness.web import metric, until_settled


def test_an_api_that_knows_no_redis(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db, stock=100)
    daemon = sweeper("--feed-interval", "200ms", "--lookahead", "10s")
    daemon.wait_for_record("Redis connected")
    for _ in range(20):
        shop.reserve(db, {product: 2}, ttl_s=1.5)
    wait_until(lambda: shop.count_status(db, "released") == 20, 20, "twenty releases")
    late = shop.lateness(db)
    assert min(late) >= 0 and max(late) < within(1)
    assert shop.stock(db, product) == (100, 100, 0)


def test_what_is_mirrored(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """What expires within the look-ahead, at its time rounded up; nothing else."""
    product = shop.add_product(db)
    near = [shop.reserve(db, {product: 1}, ttl_s=s) for s in (20, 25, 30)]
    shop.reserve(db, {product: 1}, ttl_s=90)
    sold = shop.reserve(db, {product: 1}, ttl_s=20)
    shop.commit(db, sold)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = date_trunc('second', expires_at)"
        " + interval '1 microsecond' WHERE id = %s",
        (near[0],),
    )
    sweeper("--feed-interval", "200ms", "--lookahead", "60s")
    wait_until(lambda: redis.zcard(PENDING) == 3, 20, "the mirror")
    scores = {id.decode(): int(ms) for id, ms in redis.zrange(PENDING, 0, -1, withscores=True)}
    assert scores == expires_ms(db, near)
    assert scores[near[0]] % 1000 == 1
    # Held longer now: the entry stays, since it is only a hint; held shorter: it moves.
    shop.extend(db, near[1], 40)
    shop.extend(db, near[2], 22)
    wait_until(lambda: int(redis.zscore(PENDING, near[2])) == expires_ms(db, near)[near[2]], 10)
    assert int(redis.zscore(PENDING, near[1])) == scores[near[1]]


def test_what_was_refused_or_claimed_before_it_was_extended(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Its new expiry counts, whatever Redis has of it: a retry before that or behind it, a claim
    that nobody works on any more."""
    product = shop.add_product(db)
    soon, later, claimed = ids = [shop.reserve(db, {product: 1}, ttl_s=within(3)) for _ in range(3)]
    due = expires_ms(db, ids)
    redis.zadd(PENDING, {claimed: 1})
    Queue(redis).claim(now=2, lease=due[claimed] + 600_000)
    redis.zadd(PENDING, {soon: due[soon] - 1000, later: due[later] + 600_000})
    redis.hset(FAILED, mapping=dict.fromkeys((soon, later), '{"attempts":9,"error":"a refusal"}'))
    daemon = sweeper("--feed-interval", "1s", "--lookahead", "20s", "--scan-interval", "off")
    daemon.wait_for_record("Redis connected")
    wait_until(lambda: redis.zscore(PENDING, claimed) == due[claimed], 10, "the mirror")
    assert redis.zscore(PENDING, later) == due[later]
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "three releases")
    late = shop.lateness(db)
    assert min(late) >= 0 and max(late) < within(1)
    assert not redis.exists(FAILED)


def test_a_transaction_that_commits_late(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Its rows become visible after looks that went past their expiry."""
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "200ms", "--lookahead", "1s", "--scan-interval", "off")
    daemon.wait_for_record("Redis connected")
    began = db.value("SELECT now()")
    with db.connect() as conn, conn.transaction():
        shop.reserve(conn, {product: 1}, ttl_s=0.5)
        long_after = "SELECT now() > %s + interval '2 s'"
        wait_until(lambda: db.value(long_after, (began,)), 20, "the feed has looked past it")
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "the release")
    assert shop.stock(db, product) == (100, 100, 0)


def feeder(redis: redis_py.Redis) -> str | None:
    """The process that feeds at present."""
    holder = redis.get(FEEDER)
    return holder.decode().split(":")[1] if holder else None


def wait_for_scripts(redis: redis_py.Redis, n: int, meanwhile: Callable[[], object] = bool) -> None:
    """Until so many more scripts have run: the sweepers' own measure of time."""
    more = script_calls(redis) + n

    def ran() -> bool:
        meanwhile()
        return script_calls(redis) >= more

    wait_until(ran, 20, f"{n} scripts")


def test_one_feeder_at_a_time(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The other takes over when it is killed, or stops."""
    options = ("--feed-interval", "500ms", "--lookahead", "5s")
    daemons = {str(d.pid): d for d in (sweeper(*options), sweeper(*options))}
    first = wait_until(lambda: feeder(redis), 20, "a feeder")
    seen = set()
    wait_for_scripts(redis, 15, lambda: seen.add(feeder(redis)))
    assert seen == {first}
    daemons.pop(first).kill()
    ((second, survivor),) = daemons.items()
    wait_until(lambda: feeder(redis) == second, 20, "the other takes over")
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=1.5)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the other feeds")
    assert 0 <= shop.lateness(db, [id])[0] < within(1)
    third = sweeper(*options)
    assert survivor.stop() == 0
    wait_until(lambda: feeder(redis) == str(third.pid), 20, "handed over")


def test_who_has_not_the_role_leaves_the_scan_alone(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Once the scan's time has come it asks for the role, and for Postgres's clock, then rests."""
    options = ("--feed-interval", "5s", "--lookahead", "10s", "--scan-interval", "1s")
    sweeper(*options)
    first = wait_until(lambda: feeder(redis), 20, "a feeder")
    second = sweeper(*options, http=True)
    until_settled(second, looks=2)
    polls = [metric(second, "feed_last_success_timestamp_seconds")]

    def polled_again() -> bool:
        last = metric(second, "feed_last_success_timestamp_seconds")
        if last != polls[-1]:
            polls.append(last)
        return len(polls) == 5

    wait_until(polled_again, 20, "four polls")
    assert min(after - before for before, after in pairwise(polls)) > 0.5, polls
    assert feeder(redis) == first


def test_lookahead_off(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Nothing is mirrored ahead; what nobody mirrored is found by the scan."""
    product = shop.add_product(db)
    options = ("--lookahead", "off", "--feed-interval", "300ms", "--scan-interval", "2s")
    daemon = sweeper(*options)
    daemon.wait_for_record("Redis connected")
    shop.reserve(db, {product: 1}, ttl_s=30)
    expires = [shop.reserve(db, {product: 1}, ttl_s=0.5) for _ in range(5)]
    wait_until(lambda: shop.count_status(db, "released") == 5, 20, "the scan")
    assert 0 <= min(shop.lateness(db, expires)) and max(shop.lateness(db, expires)) < within(4)
    wait_until(lambda: redis.zcard(PENDING) == 0, 5, "the one that is due later is not there")


def test_everything_off(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The API mirrors everything; what it forgot is late, and released with the look that sees it."""
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-5)
    sweeper("--lookahead", "off", "--feed-interval", "100ms", "--scan-interval", "off")
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "what had expired")
    wait_until(lambda: feeder(redis), 20, "it has the feeder's role")
    wait_for_scripts(redis, 10)
    id = shop.reserve(db, {product: 1}, ttl_s=0.3)
    mirror(db, redis, id)
    wait_until(lambda: shop.count_status(db, "released") == 2, 20, "what the API mirrored")
    shop.reserve(db, {product: 1}, ttl_s=-5)
    shop.reserve(db, {product: 1}, ttl_s=60)
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "what it forgot")
    assert redis.zcard(PENDING) == 0


def test_flushall_while_running(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The next look puts back what lies ahead; what was due meanwhile is found too."""
    products = shop.add_products(db, 5, stock=1000)
    sweeper("--feed-interval", "300ms", "--lookahead", "30s", "--scan-interval", "2s")
    ids = shop.bulk_reserve(db, 300, products, "now() + interval '1 s' + i * interval '10 ms'")
    keep = shop.bulk_reserve(db, 100, products, "now() + interval '20 s'")
    wait_until(lambda: None not in redis.zmscore(PENDING, keep), 10, "the mirror")
    for share in (50, 150, 250):
        wait_until(lambda n=share: shop.count_status(db, "released") >= n, 20, "at work")
        redis.flushall()
    wait_until(lambda: shop.count_status(db, "released") == 300, 20, "all releases")
    late = shop.lateness(db, ids)
    assert min(late) >= 0 and max(late) < within(4)
    wait_until(lambda: redis.zcard(PENDING) == 100 and not redis.exists(LEASES), 10, "the mirror")
    assert {id.decode() for id in redis.zrange(PENDING, 0, -1)} == set(keep)
    shop.check_stock_adds_up(db)


def test_a_wrong_type_under_a_key(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Somebody else's key there is logged once; releases go on without Redis until it is gone."""
    product = shop.add_product(db)
    redis.set(PENDING, "a string")
    daemon = sweeper("--feed-interval", "300ms")
    shop.reserve(db, {product: 1}, ttl_s=0.3)
    record = daemon.wait_for_record("straight from Postgres", 20)
    assert "WRONGTYPE" in record["error"]
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    redis.delete(PENDING)
    shop.reserve(db, {product: 1}, ttl_s=2)
    daemon.wait_for_record("Redis is back", 20)
    wait_until(lambda: shop.count_status(db, "released") == 2, 20, "the next one")


def test_many_rows_are_mirrored_page_by_page(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """All of one moment, so that pages end between equal times."""
    products = shop.add_products(db, 5)
    shop.bulk_reserve(db, 25_000, products, "date_trunc('second', now()) + interval '50 s'")
    sweeper("--feed-interval", "1s")
    wait_until(lambda: redis.zcard(PENDING) == 25_000, 20, "all of them")


def test_two_prefixes_share_a_redis(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=30)
    sweeper("--key-prefix", "one", "--feed-interval", "200ms")
    sweeper("--key-prefix", "two words", "--feed-interval", "200ms")
    mirrors = ("{one}:pending", "{two words}:pending")
    wait_until(lambda: redis.exists(*mirrors) == 2, 20, "both mirrors")
    shop.reserve(db, {product: 1}, ttl_s=0.5)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    assert not redis.exists(PENDING)
