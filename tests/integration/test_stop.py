"""Orderly stops: in time, with nothing left in flight, whatever the servers do."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import SLOW, slow_releases, sweepers
from harness.poll import wait_until, within
from harness.process import free_port
from harness.queue import FEEDER, LEASES, PENDING, claimed, expires_ms, is_empty, mirror, pending
from harness.reconciliation import now_ms
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Start, Sweeper

# From the signal to the end, for what takes no time at all: a loaded machine needs some.
AT_ONCE_S = within(3.0)


def timed_stop(daemon: Sweeper, signo: int = signal.SIGTERM) -> float:
    """Stops it with status 0; the seconds that took."""
    began = time.monotonic()
    assert daemon.stop(signo) == 0, daemon.tail()
    return time.monotonic() - began


@pytest.fixture
def own_db(private_pg: Callable[..., Postgres]) -> Iterator[Database]:
    """A database on a server of its own, which may be paused. It is resumed at the end."""
    database = Database.create(private_pg(max_connections=20))
    yield database
    if database.server.running:
        database.server.resume()
    database.conn.close()


@pytest.mark.valgrind
def test_sigterm(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    keep = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=30)
    daemon = sweeper("--feed-interval", "300ms")
    wait_until(lambda: redis.zscore(PENDING, keep), 20, "mirrored")
    wait_until(lambda: redis.exists(FEEDER), 20, "it has the feeder's role")
    timed_stop(daemon)
    assert [r["message"] for r in daemon.records][-2:] == ["Stopping", "Stopped"]
    assert not redis.exists(LEASES, FEEDER), "the role is given up"
    assert redis.zcard(PENDING) == 1


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_idle(db: Database, redis: redis_py.Redis, sweeper: Start, signo: int) -> None:
    daemon = sweeper("--workers", "4")
    daemon.wait_for_record("Redis connected")
    daemon.wait_for_record("Postgres connected")
    assert timed_stop(daemon, signo) < AT_ONCE_S


def test_under_load(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """What is not released is in :pending, and due; nothing is in between."""
    products = shop.add_products(db, 50, stock=1000)
    ids = shop.bulk_reserve(db, 20_000, products, "now() - i * interval '1 ms'")
    mirror(db, redis, *ids)
    daemon = sweeper("--workers", "2", "--batch-size", "20", *ALONE)
    wait_until(lambda: shop.count_status(db, "released") > 500, 30, "it is at work", step=0.001)
    assert timed_stop(daemon) < AT_ONCE_S
    assert not redis.exists(LEASES)
    active = expires_ms(db, ids)
    assert 0 < len(active) < 19_500
    back = pending(redis)
    assert active.keys() <= back.keys() and max(back.values()) <= now_ms(db)
    assert sum(back[id] != at for id, at in active.items()) <= 4 * 20, "no more than was claimed"
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_batch_in_flight_is_finished(
    db: Database, redis: redis_py.Redis, sweeper: Start, workers: int
) -> None:
    """And what was claimed ahead goes back."""
    products = shop.add_products(db, 12)
    slow_releases(db, 0.6)
    ids = [shop.reserve(db, {product: 1}, ttl_s=0) for product in products]
    mirror(db, redis, *ids)
    daemon = sweeper("--workers", str(workers), "--batch-size", "2", "--pace", "0ms", *ALONE)
    at_it = f"{SLOW} OR wait_event_type = 'Lock'"  # one at the counters, the others before them
    wait_until(lambda: len(sweepers(db, f"({at_it})")) == workers, 20, "all are at it", step=0.005)
    assert timed_stop(daemon) < workers * 0.6 + AT_ONCE_S
    assert not redis.exists(LEASES)
    assert shop.count_status(db, "released") == 2 * workers
    assert redis.zcard(PENDING) == 12 - 2 * workers
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_postgres_does_not_answer(
    own_db: Database, redis: redis_py.Redis, sweeper: Start, signo: int
) -> None:
    """What it has been asked goes back to :pending, within the grace; asked again later it is
    found released, or is released: never twice."""
    products = shop.add_products(own_db, 5)
    slow_releases(own_db, 0.2)
    ids = shop.bulk_reserve(own_db, 100, products, "now()")
    later = shop.bulk_reserve(own_db, 10, products, "now() + interval '1 s'")
    mirror(own_db, redis, *ids, *later)
    due = expires_ms(own_db, ids + later)
    daemon = sweeper(
        "--shutdown-grace", "2s", "--lease", "60s", "--batch-size", "50", *ALONE, dsn=own_db.dsn
    )
    wait_until(lambda: sweepers(own_db, SLOW), 20, "a batch is on its way", step=0.005)
    own_db.server.pause()
    wait_until(lambda: redis.zcard(LEASES) > 0, 5, "in flight")
    assert timed_stop(daemon, signo) < 2 + AT_ONCE_S
    assert not redis.exists(LEASES)
    kept = pending(redis)
    own_db.server.resume()
    assert len(kept) >= 60 and kept.keys() <= due.keys()
    now = now_ms(own_db) + within(0.5) * 1000  # by what it knows of Postgres's clock
    late = {id: (at - due[id], at - now) for id, at in kept.items() if at > max(now, due[id])}
    assert not late, "due at once"
    sweeper(*ALONE, dsn=own_db.dsn)
    wait_until(lambda: shop.count_status(own_db, "released") == 110, 20, "all releases")
    wait_until(lambda: is_empty(redis), 20, "settled")
    shop.check_stock_adds_up(own_db)


def test_a_second_signal_ends_at_once(
    own_db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """The lease covers what was in flight."""
    product = shop.add_product(own_db)
    slow_releases(own_db, 0.5)
    id = shop.reserve(own_db, {product: 1}, ttl_s=0)
    mirror(own_db, redis, id)
    daemon = sweeper("--lease", "3s", "--shutdown-grace", "1m", *ALONE, dsn=own_db.dsn)
    wait_until(lambda: sweepers(own_db, SLOW), 20, "a batch is on its way", step=0.005)
    own_db.server.pause()
    os.kill(daemon.pid, signal.SIGTERM)
    daemon.wait_for_record("Stopping")
    daemon.expected_status = 1
    began = time.monotonic()
    assert daemon.stop() == 1
    assert time.monotonic() - began < AT_ONCE_S
    assert claimed(redis) == [id]
    own_db.server.resume()
    sweeper(*ALONE, dsn=own_db.dsn)
    wait_until(lambda: is_empty(redis), 20, "taken over when the lease has ended")
    assert shop.stock(own_db, product) == (100, 100, 0)


@pytest.mark.parametrize("table", ["pg_catalog.pg_trigger", "inventory_reservations"])
def test_a_second_signal_at_the_start(
    db: Database, redis: redis_py.Redis, sweeper: Start, table: str
) -> None:
    """While the catalog is read, or what is due is counted: nobody listens to the answer any more."""
    with db.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")  # type: ignore[arg-type]
        daemon = sweeper(*ALONE)
        wait_until(lambda: sweepers(db, "wait_event_type = 'Lock'"), 20, "it waits", step=0.005)
        os.kill(daemon.pid, signal.SIGTERM)
        daemon.wait_for_record("Stopping")
        daemon.expected_status = None  # there may have been no need for the second
        assert daemon.stop() in (0, 1)


def test_redis_does_not_answer(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """What cannot be settled is left to the lease, and the next sweeper finds it settled."""
    cache = private_redis()
    product = shop.add_product(db)
    slow_releases(db, 0.7)
    id = shop.reserve(db, {product: 1}, ttl_s=0)
    mirror(db, cache.client(), id)
    options = ("--lease", "3s", "--shutdown-grace", "2s", *ALONE)
    daemon = sweeper(*options, redis_url=cache.url())
    wait_until(lambda: sweepers(db, SLOW), 20, "a batch is on its way", step=0.005)
    cache.pause()
    assert timed_stop(daemon) < 2 + AT_ONCE_S
    cache.resume()
    sweeper(*options, redis_url=cache.url())
    wait_until(lambda: is_empty(cache.client()), 20, "settled")
    assert shop.stock(db, product) == (100, 100, 0)


def test_redis_is_gone(db: Database, private_redis: Callable[..., Redis], sweeper: Start) -> None:
    cache = private_redis()
    products = shop.add_products(db, 5)
    daemon = sweeper("--shutdown-grace", "2s", redis_url=cache.url())
    daemon.wait_for_record("Redis connected")
    cache.kill9()
    shop.bulk_reserve(db, 2000, products, "now()")
    wait_until(lambda: shop.count_status(db, "released") > 0, 20, "direct releases")
    assert timed_stop(daemon) < 2 + AT_ONCE_S
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("workers", ["1", "16"])
def test_no_server_at_all(db: Database, sweeper: Start, workers: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    daemon = sweeper(
        "--workers", workers, dsn=f"postgresql://{nowhere}/x", redis_url=f"redis://{nowhere}"
    )
    daemon.wait_for_record("Redis is out of reach")
    assert timed_stop(daemon) < AT_ONCE_S


def test_right_after_the_start(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """At any moment of it: handshakes, the catalog, the first looks."""
    products = shop.add_products(db, 5)
    ids = shop.bulk_reserve(db, 500, products)
    mirror(db, redis, *ids)
    for n in range(20):
        daemon = sweeper("--batch-size", "10", "--workers", str(1 + n % 4))
        daemon.wait_for_record("Started")
        time.sleep(n * 0.002)  # not for something to happen: to come at different moments
        assert timed_stop(daemon) < AT_ONCE_S
        assert not redis.exists(LEASES)
        assert not daemon.stderr_lines
    shop.check_stock_adds_up(db)


def test_amid_a_full_look(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    products = shop.add_products(db, 5)
    shop.bulk_reserve(db, 60_000, products, "now() + interval '50 s'")
    daemon = sweeper()
    wait_until(lambda: redis.zcard(PENDING) > 0, 20, "it has begun", step=0.002)
    assert timed_stop(daemon) < AT_ONCE_S
    assert not redis.exists(FEEDER)
