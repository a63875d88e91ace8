"""--once: the cron job's replacement."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable

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
from harness.process import free_port
from harness.queue import FAILED, INFLIGHT, PENDING, mirror, pending
from harness.servers import Postgres, Redis
from harness.sweeper import Finished, Record, Run, Start

DONE = "Cleanup job completed"
NO_REDIS = "redis://127.0.0.1:1"
REFUSE_13 = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN IF NEW.quantity = 13 THEN RAISE 'unlucky'; END IF; RETURN NEW; END$$;
    CREATE TRIGGER refuse BEFORE UPDATE ON inventory_reservations
        FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def counts(done: Finished) -> tuple[int, int, int]:
    record = done.record(DONE)
    return record["cleanedCount"], record["failedCount"], record["skippedCount"]


def last_error(done: Finished) -> Record:
    return [r for r in done.records if r["level"] == "ERROR"][-1]


@pytest.mark.valgrind
def test_without_redis(db: Database, run: Run) -> None:
    products = shop.add_products(db, 10, stock=1000)
    shop.bulk_reserve(db, 1200, products)
    keep = shop.reserve(db, {products[0]: 3}, ttl_s=600)
    done = run("--once", redis_url=NO_REDIS)
    assert done.status == 0
    assert counts(done) == (1200, 0, 0)
    warning = done.record("Redis is out of reach")
    assert warning["level"] == "WARN" and warning["redis"] == "127.0.0.1:1/0"
    shop.check_stock_adds_up(db)
    assert shop.statuses(db) == {"released": 1200, "active": 1}
    assert shop.extend(db, keep, 600)


def test_redis_is_not_configured(db: Database, run: Run) -> None:
    """The default address is tried; what matters is that the job is done."""
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    # A prefix of its own, in case somebody's Redis listens there.
    done = run("--once", redis_url=None, env={"SWEEPER_KEY_PREFIX": f"test-{uuid.uuid4()}"})
    assert done.status == 0 and counts(done) == (1, 0, 0)
    assert not [r for r in done.records if r["level"] == "ERROR"]


def test_clears_the_mirror(db: Database, redis: redis_py.Redis, run: Run) -> None:
    products = shop.add_products(db, 3, stock=1000)
    ids = shop.bulk_reserve(db, 3000, products)
    mirror(db, redis, *ids[100:])
    redis.zadd(INFLIGHT, {id: 4e12 for id in ids[:50]})
    redis.hset(FAILED, mapping={id: "{}" for id in ids[50:150]})
    redis.zadd(PENDING, {str(uuid.uuid4()): 4e12})
    assert counts(run("--once")) == (3000, 0, 0)
    assert redis.zcard(PENDING) == 1 and not redis.exists(INFLIGHT, FAILED)
    shop.check_stock_adds_up(db)


def test_entries_of_what_stays(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """What is locked or refused is looked at again at its time, by the daemon."""
    products = shop.add_products(db, 3)
    locked = shop.reserve(db, {products[0]: 1}, ttl_s=-1)
    refused = shop.reserve(db, {products[1]: 13}, ttl_s=-1)
    released = shop.reserve(db, {products[2]: 1}, ttl_s=-1)
    db.conn.execute(REFUSE_13)
    mirror(db, redis, locked, refused, released)
    before = pending(redis)
    with transaction(db, lock_reservation(locked)):
        assert counts(run("--once")) == (1, 1, 1)
    assert pending(redis) == {id: before[id] for id in (locked, refused)}


def test_nothing_to_do(db: Database, run: Run) -> None:
    done = run("--once")
    assert done.status == 0 and counts(done) == (0, 0, 0)
    assert [(r["level"], r["message"]) for r in done.records] == [
        ("INFO", "Reservations that are due at the start"),
        ("INFO", "Cleanup job completed"),
    ]


def test_beside_the_daemon(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    products = shop.add_products(db, 7, stock=1000)
    mirror(db, redis, *shop.bulk_reserve(db, 4000, products))
    daemon = sweeper("--batch-size", "20")
    done = run("--once", "--batch-size", "20")
    assert done.status == 0
    wait_until(lambda: shop.statuses(db) == {"released": 4000}, 30, "all releases")
    shop.check_stock_adds_up(db)
    assert daemon.stop() == 0
    total = daemon.wait_for_record("Stopped")["releasedTotal"] + counts(done)[0]
    assert total == 4000


def test_two_workers(db: Database, run: Run) -> None:
    products = shop.add_products(db, 20, stock=1000)
    shop.bulk_reserve(db, 12_000, products, "now() - i * interval '1 ms'")
    done = run("--once", "--workers", "2", "--batch-size", "100")
    assert done.status == 0 and counts(done) == (12_000, 0, 0)
    shop.check_stock_adds_up(db)
    marks = db.query("SELECT count(*) FROM inventory_reservations GROUP BY xmin::text")
    most = max(row[0] for row in marks)
    assert 500 < most <= 1000, "a transaction is a slice of a page, of up to ten batches"


@pytest.mark.parametrize("redis_url", [None, NO_REDIS], ids=["with Redis", "without Redis"])
def test_an_error_in_one_keeps_no_other(db: Database, run: Run, redis_url: str | None) -> None:
    products = shop.add_products(db, 3, stock=1000)
    refused = [shop.reserve(db, {products[0]: 13}, ttl_s=-2) for _ in range(2)]
    shop.bulk_reserve(db, 700, products, "now() - interval '3 s' + i * interval '4 ms'")
    db.conn.execute(REFUSE_13)
    done = run("--once", **({"redis_url": redis_url} if redis_url else {}))
    assert done.status == 1
    assert counts(done) == (700, 2, 0)
    errors = [r for r in done.records if r["level"] == "ERROR"]
    assert {r["reservationId"] for r in errors} == set(refused)
    assert {(r["error"], r["sqlstate"]) for r in errors} == {("unlucky", "P0001")}
    assert shop.statuses(db) == {"released": 700, "active": 2}
    shop.check_stock_adds_up(db)


def test_locked_ones_are_tried_for_ten_seconds(db: Database, run: Run) -> None:
    products = sorted(shop.add_products(db, 3))
    locked = shop.reserve(db, {products[0]: 1}, ttl_s=-1)
    both = shop.reserve(db, {products[0]: 1, products[1]: 1}, ttl_s=-1)
    sold = shop.reserve(db, {products[2]: 1}, ttl_s=-1)
    free = shop.bulk_reserve(db, 50, products[:2])
    began = time.monotonic()
    with transaction(db, lock_reservation(locked), lock_product(products[2])):
        with transaction(db, lock_reservation(both)):
            done = run("--once")
    assert done.status == 0 and counts(done) == (50, 0, 3)
    assert 9 < time.monotonic() - began < within(20)
    assert not [r for r in done.records if r["level"] == "ERROR"]
    assert len(free) == 50 and shop.statuses(db) == {"released": 50, "active": 4}
    assert run("--once").record(DONE)["cleanedCount"] == 3
    assert shop.stock(db, products[2]) == (100, 100, 0) and sold
    shop.check_stock_adds_up(db)


def test_another_release_that_does_not_end(db: Database, run: Run) -> None:
    """It has the release lock, as one does whose COMMIT waits for a standby that is gone. It is waited
    for, but not for each reservation again."""
    shop.bulk_reserve(db, 50, shop.add_products(db, 5))
    with db.connect() as other, other.transaction():
        other.execute("SELECT pg_advisory_xact_lock(1920169843)")
        began = time.monotonic()
        done = run("--once", redis_url=NO_REDIS)
        assert counts(done) == (0, 0, 50)
        assert time.monotonic() - began < within(20)
    assert counts(run("--once", redis_url=NO_REDIS)) == (50, 0, 0)


def test_locked_ones_that_come_free(db: Database, sweeper: Start) -> None:
    product = shop.add_product(db)
    locked = shop.reserve(db, {product: 1}, ttl_s=-1)
    shop.reserve(db, {product: 2}, ttl_s=-1)
    with transaction(db, lock_reservation(locked)):
        job = sweeper("--once")
        wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the other one")
    assert job.wait() == 0
    done = job.wait_for_record(DONE)
    assert (done["cleanedCount"], done["skippedCount"]) == (2, 0)


@pytest.mark.parametrize("read_only", [False, True], ids=["primary", "read-only"])
def test_dry_run(db: Database, redis: redis_py.Redis, run: Run, read_only: bool) -> None:
    products = shop.add_products(db, 3, stock=1000)
    shop.bulk_reserve(db, 50, products, quantity=3)
    shop.reserve(db, {product: 1 for product in products}, ttl_s=-1)
    shop.reserve(db, {products[0]: 1}, ttl_s=60)
    if read_only:
        db.conn.execute(f"ALTER DATABASE {db.name} SET default_transaction_read_only = on")
    done = run("--once", "--dry-run")
    assert done.status == 0, done.stderr
    record = done.record(DONE)
    assert (record["cleanedCount"], record["dryRun"]) == (51, True)
    assert record["releasedUnits"] == 153
    assert shop.statuses(db) == {"active": 54}
    assert redis.dbsize() == 0


def test_no_usable_postgres(
    db: Database, sweeper: Start, private_pg: Callable[..., Postgres]
) -> None:
    """After five seconds of trying, the reason is the last ERROR record. All cases at once."""
    silent = private_pg()
    silent.pause()
    db.conn.execute(f"ALTER DATABASE {db.name} SET default_transaction_read_only = on")
    began = time.monotonic()
    jobs = {
        "refused": sweeper(
            "--once", dsn=f"postgresql://someone:hush-hush@127.0.0.1:{free_port()}/shop"
        ),
        "within": sweeper("--once", dsn=silent.dsn("postgres")),
        "read-only": sweeper("--once"),
        "does not exist": sweeper("--once", dsn=db.server.dsn("no_such_database")),
    }
    for reason, job in jobs.items():
        job.expected_status = 1
        assert job.wait() == 1
        error = [r for r in job.records if r["level"] == "ERROR"][-1]
        assert error["message"] == "Postgres is out of reach"
        assert reason in error["error"].lower()
        assert "hush-hush" not in "".join(job.stderr_lines)
    assert time.monotonic() - began < within(8)


def test_no_tables(db: Database, run: Run) -> None:
    db.conn.execute("DROP TABLE inventory")
    done = run("--once")
    assert done.status == 1
    assert "inventory" in last_error(done)["error"]


def end_connections(db: Database) -> None:
    """... and let nobody in again."""
    with db.server.connect("postgres") as conn:
        conn.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS false")
        for pid in sweepers(db):
            conn.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_connection_lost_at_the_last_page(db: Database, sweeper: Start) -> None:
    """A whole page is released, and whether there is more cannot be known: that is no success."""
    products = shop.add_products(db, 5, stock=10_000)
    shop.bulk_reserve(db, 5000, products)
    slow_releases(db, within(0.15))
    job = sweeper("--once", "--batch-size", "5000")
    job.expected_status = 1
    wait_until(lambda: shop.statuses(db).get("released") == 4900, 40, "the last of it", step=0.002)
    with transaction(db, ("LOCK TABLE inventory_reservations", ())):  # as soon as it has committed
        wait_until(lambda: waiting(db), 20, "the next page is asked for")
        end_connections(db)
    assert job.wait() == 1
    assert job.wait_for_record("Cleanup job failed")["cleanedCount"] == 5000


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_batch(
    db: Database, redis: redis_py.Redis, sweeper: Start, signo: int
) -> None:
    products = shop.add_products(db, 5, stock=1000)
    mirror(db, redis, *shop.bulk_reserve(db, 3000, products))
    slow_releases(db, 0.3)
    job = sweeper("--once", "--batch-size", "100", "--workers", "2")
    job.expected_status = 1
    wait_until(lambda: sweepers(db, SLOW), 20, "it is at work", step=0.002)
    os.kill(job.pid, signo)
    assert job.wait(10) == 1
    job.wait_for_record("Cleanup job failed")
    assert 0 < shop.count_status(db, "released") <= 400
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_two_signals_end_it_at_once(
    db: Database, redis: redis_py.Redis, sweeper: Start, seconds: float
) -> None:
    products = shop.add_products(db, 5, stock=1000)
    mirror(db, redis, *shop.bulk_reserve(db, 20_000, products))
    if seconds:
        slow_releases(db, seconds)
    job = sweeper("--once", "--batch-size", "10", "--workers", "2")
    job.expected_status = 1
    wait_until(lambda: len(sweepers(db, "state = 'active'")) > 0, 20, "it is at work", step=0.001)
    os.kill(job.pid, signal.SIGTERM)
    os.kill(job.pid, signal.SIGINT)
    assert job.wait(10) == 1
    wait_until(lambda: not sweepers(db), 20, "its connections are gone")
    shop.check_stock_adds_up(db)
