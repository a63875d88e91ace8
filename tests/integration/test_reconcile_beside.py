"""--reconcile while everything else runs: no false finding, no wrong repair, one at a time, and
right however it is interrupted. And the daemon when Redis loses its data."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.queue import LEASES, PENDING, is_empty
from harness.sweeper import Sweeper, run_once

FINDINGS = ("releasedCount", "mirrorMissing", "mirrorMisplaced", "mirrorOrphaned", "leasesExpired", "stockDrifted")
WAITING = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'reservation-sweeper%' AND wait_event_type = 'Lock'"
)


class Load:
    """Customers: they reserve, extend, commit, cancel and forget; with redis, they mirror it too."""

    def __init__(self, db: Any, products: list[str], redis: Any = None, n: int = 3) -> None:
        self.db, self.products, self.redis = db, products, redis
        self.stopping = threading.Event()
        self.steps = 0
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def _mirror(self, conn: psycopg.Connection, id: str) -> None:
        if self.redis is None:
            return
        row = conn.execute(
            "SELECT ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
            " FROM inventory_reservations WHERE id = %s AND status = 'active'",
            (id,),
        ).fetchone()
        if row and row[0] is not None:
            self.redis.zadd(PENDING, {id: row[0]})

    def _forget(self, id: str) -> None:
        if self.redis is not None:
            self.redis.zrem(PENDING, id)

    def _step(self, conn: psycopg.Connection, rng: random.Random) -> None:
        cart = {p: rng.randint(1, 3) for p in rng.sample(self.products, rng.randint(1, 3))}
        try:
            id = shop.reserve(conn, dict(sorted(cart.items())), rng.choice([0.2, 0.5, 1.5, 30.0]))
        except shop.OutOfStock:
            return
        self._mirror(conn, id)
        choice = rng.random()
        if choice < 0.3 and shop.commit(conn, id):
            self._forget(id)
        elif choice < 0.5 and shop.cancel(conn, id):
            self._forget(id)
        elif choice < 0.7 and shop.extend(conn, id, rng.choice([1.0, 40.0])):
            self._mirror(conn, id)

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        try:
            with self.db.connect() as conn:
                while not self.stopping.is_set():
                    self._step(conn, rng)
                    self.steps += 1
                    time.sleep(0.002)
        except BaseException as error:
            self.errors.append(error)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.errors, self.errors
        assert self.steps > 100


@pytest.mark.parametrize("knows_redis", [False, True], ids=["feed", "api"])
def test_no_false_finding(
    db: Any, redis: Any, sweeper: Any, run: Any, redis_server: Any, knows_redis: bool
) -> None:
    settings = ["--lookahead", "off"] if knows_redis else ["--feed-interval", "400ms"]
    products = shop.add_products(db, 20, stock=100_000)
    for _ in range(2):
        sweeper(*settings).wait_for_record("Redis connected")
    load = Load(db, products, redis_server.client() if knows_redis else None)
    try:
        wait_until(lambda: shop.count_status(db, "released") > 20, what="the sweepers are at work")
        for number in range(6):
            extra = [["--dry-run"], ["--repair-stock"], []][number % 3]
            done = run("--reconcile", *settings, *extra)
            record = done.record("Reconciliation completed")
            assert [record[name] for name in FINDINGS] == [0] * len(FINDINGS), done.stdout
            assert done.status == 0
            assert record["stockChecked"] == 20
    finally:
        load.stop()
    shop.check_stock_adds_up(db)


def test_no_false_finding_about_claims(db: Any, redis: Any, sweeper: Any, run: Any) -> None:
    """Thousands a second: much is claimed at any moment, and nothing of that is missing or left."""
    settings = ("--feed-interval", "400ms", "--lookahead", "5s")
    products = shop.add_products(db, 50, stock=1_000_000)
    for _ in range(2):
        sweeper(*settings, "--batch-size", "200", "--workers", "2").wait_for_record("Redis connected")
    stopping = threading.Event()
    claimed: list[int] = []

    def reserve() -> None:
        with db.connect() as conn:
            own = Database(db.server, db.name, conn)
            while not stopping.is_set():
                expires = "clock_timestamp() + interval '300 ms' + i * interval '500 microseconds'"
                shop.bulk_reserve(own, 600, products, expires)
                claimed.append(redis.zcard(LEASES))
                stopping.wait(0.3)

    thread = threading.Thread(target=reserve, daemon=True)
    thread.start()
    try:
        wait_until(lambda: shop.count_status(db, "released") > 600, what="the sweepers are at work")
        for number in range(3):
            done = run("--reconcile", *settings, *([["--dry-run"], []][number % 2]))
            record = done.record("Reconciliation completed")
            assert [record[name] for name in FINDINGS] == [0] * len(FINDINGS), done.stdout
    finally:
        stopping.set()
        thread.join(30)
    assert any(claimed), "it was looked at while something was claimed"
    wait_until(lambda: is_empty(redis), 20, "all of it is released")
    shop.check_stock_adds_up(db)


def test_counters_are_repaired_beside_checkouts(db: Any, redis: Any, run: Any) -> None:
    """A right counter must not become wrong: each sum is made after the lock was had."""
    products = shop.add_products(db, 4, stock=100_000)
    load = Load(db, products, n=4)
    try:
        for _ in range(5):
            for product in products:
                db.conn.execute(
                    "UPDATE inventory SET available_stock = available_stock - 7,"
                    " reserved_stock = reserved_stock + 7 WHERE product_id = %s",
                    (product,),
                )
            done = run("--reconcile", "--repair-stock", "--lookahead", "1s", "--feed-interval", "500ms")
            record = done.record("Reconciliation completed")
            assert (record["stockDrifted"], record["stockRepaired"]) == (4, 4)
    finally:
        load.stop()
    shop.check_stock_adds_up(db)


def test_a_lock_that_is_held_is_waited_for(db: Any, redis: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    db.conn.execute("UPDATE inventory SET available_stock = 90, reserved_stock = 10")
    with db.connect() as other:
        with other.transaction():
            other.execute("SELECT FROM inventory FOR UPDATE")
            done: list[Any] = []
            thread = threading.Thread(target=lambda: done.append(run("--reconcile", "--repair-stock")))
            thread.start()
            wait_until(lambda: db.query(WAITING), what="it waits for the lock")
            assert not done
        thread.join(20)
    assert done[0].record("Reconciliation completed")["stockRepaired"] == 1
    assert shop.stock(db, product) == (100, 100, 0)


@pytest.fixture
def start(db: Any, redis: Any, redis_server: Any) -> Callable[..., Sweeper]:
    def begin(*args: str, **options: Any) -> Sweeper:
        return Sweeper("--reconcile", *args, dsn=db.dsn, redis_url=redis_server.url(), **options)

    return begin


def slow_run(db: Any, redis: Any, start: Any) -> Sweeper:
    """A run that takes a while: it has to give the feed two intervals."""
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 1}, 50)
    sweeper = start("--feed-interval", "15s")
    wait_until(lambda: redis.exists("{reservations}:reconciler"), what="the role is held")
    return sweeper


def test_two_at_once(db: Any, redis: Any, start: Any, run: Any) -> None:
    first = slow_run(db, redis, start)
    second = run("--reconcile", "--dry-run")
    assert second.status == 1
    error = second.record("Reconciliation failed")["error"]
    assert "another reconciliation" in error and f":{first.pid}:" in error
    assert first.stop(signal.SIGINT) == 1
    assert first.find("Reconciliation failed")[0]["error"] == "stopped"
    assert not redis.exists("{reservations}:reconciler")
    assert run("--reconcile", "--lookahead", "off").status == 0


def test_killed_and_started_again(db: Any, redis: Any, start: Any, run: Any) -> None:
    products = shop.add_products(db, 50, stock=100)
    shop.bulk_reserve(db, 30_000, products, "now() + interval '1 hour'")
    rng = random.Random(1)
    for _ in range(4):
        sweeper = start("--lookahead", "off")
        time.sleep(rng.uniform(0.2, 1.6))
        sweeper.kill()
    done = run("--reconcile", "--lookahead", "off")
    assert done.status == 0
    assert redis.zcard(PENDING) == 30_000
    done = run("--reconcile", "--lookahead", "off")
    assert done.record("Reconciliation completed")["mirrorMissing"] == 0
    shop.check_stock_adds_up(db)


def test_a_server_goes_away(private_pg: Any, private_redis: Any) -> None:
    for victim in ("postgres", "redis"):
        pg, redis = private_pg(), private_redis()
        db = Database.create(pg)
        product = shop.add_product(db, stock=100)
        shop.reserve(db, {product: 1}, 50)
        sweeper = Sweeper("--reconcile", dsn=db.dsn, redis_url=redis.url())
        client = redis.client()
        wait_until(lambda: client.exists("{reservations}:reconciler"), what="the role is held")
        (pg if victim == "postgres" else redis).stop()
        assert sweeper.wait() == 1
        assert sweeper.find("Reconciliation failed")
        (pg if victim == "postgres" else redis).start()
        done = run_once("--reconcile", "--lookahead", "off", dsn=db.dsn, redis_url=redis.url())
        assert done.status == 0
        assert done.record("Reconciliation completed")["mirrorMissing"] == 1
        assert client.zcard(PENDING) == 1


def test_redis_loses_its_data(db: Any, redis: Any, sweeper: Any) -> None:
    """FLUSHALL while connected: all that is due within the look-ahead is back within a second."""
    product = shop.add_product(db, stock=1000)
    ids = [shop.reserve(db, {product: 1}, 40) for _ in range(50)]
    daemon = sweeper("--feed-interval", "15s")  # the first look finds them, the next is far
    for _ in range(2):
        wait_until(lambda: redis.exists("{reservations}:mark"), what="the mark is set")
        wait_until(lambda: redis.zcard(PENDING) == len(ids), what="all are mirrored")
        seen = len(daemon.records)
        redis.flushall()
        flushed = time.monotonic()
        wait_until(lambda: redis.zcard(PENDING) == len(ids), 3, "all entries are back")
        assert time.monotonic() - flushed < within(1.0)
        # What was being written at the flush may bring the entries back before the loss is seen.
        daemon.wait_for_record("Redis has lost its data", since=seen)
    assert len(daemon.find("Redis has lost its data")) == 2


def test_redis_comes_back_empty(db: Any, sweeper: Any, private_redis: Any) -> None:
    server = private_redis()
    product = shop.add_product(db, stock=1000)
    ids = [shop.reserve(db, {product: 1}, 50) for _ in range(50)]
    daemon = sweeper("--feed-interval", "15s", redis_url=server.url())
    daemon.wait_for_record("Redis connected")
    wait_until(lambda: server.client().zcard(PENDING) == len(ids), what="all are mirrored")
    server.kill9()
    server.start()
    wait_until(lambda: server.client().zcard(PENDING) == len(ids), 4.0, "all are back")
