"""Direct mode: while Redis is out of reach all workers release straight from Postgres."""

from __future__ import annotations

import os
import signal

import pytest
from harness import shop
from harness.database import Database
from harness.locks import SLOW, slow_releases, sweepers
from harness.poll import wait_until
from harness.sweeper import Start

NO_REDIS = "redis://127.0.0.1:1"
# Whoever releases a reservation is noted with it.
NOTE_WHO = """
    CREATE TABLE released_by (id text, who text);
    CREATE FUNCTION note_who() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN
            INSERT INTO released_by VALUES (NEW.id, current_setting('application_name'));
            RETURN NEW;
        END$$;
    CREATE TRIGGER note_who BEFORE UPDATE ON inventory_reservations
        FOR EACH ROW EXECUTE FUNCTION note_who();
"""


def workers(n: int) -> set[str]:
    return {f"reservation-sweeper worker {i}" for i in range(1, n + 1)}


def released_by(db: Database) -> dict[str, int]:
    return dict(db.query("SELECT who, count(*) FROM released_by GROUP BY who"))


@pytest.mark.parametrize("n", [1, 4])
def test_all_workers_release(db: Database, sweeper: Start, n: int) -> None:
    """As many batches at a time as there are workers: the feed's connection reads pages."""
    db.conn.execute(NOTE_WHO)
    products = shop.add_products(db, 40, stock=100_000)
    daemon = sweeper("--workers", str(n), "--batch-size", "100", redis_url=NO_REDIS)
    daemon.wait_for_record("Redis is out of reach")
    wait_until(lambda: len(sweepers(db)) == n + 1, 10, "all are connected")
    shop.bulk_reserve(db, 6000, products)
    wait_until(lambda: shop.count_status(db, "active") == 0, 30, "the backlog is drained")
    shop.check_stock_adds_up(db)
    who = released_by(db)
    assert set(who) == workers(n) and sum(who.values()) == 6000, who
    assert daemon.stop() == 0
    assert daemon.find("Stopped")[0]["releasedTotal"] == 6000


def test_without_the_workers(db: Database, sweeper: Start) -> None:
    """The feed's connection releases by itself where it is the only one that there is."""
    db.conn.execute(NOTE_WHO)
    product = shop.add_product(db, stock=1000)
    daemon = sweeper("--workers", "2", redis_url=NO_REDIS)
    daemon.wait_for_record("Redis is out of reach")
    wait_until(lambda: len(sweepers(db)) == 3, 10, "all are connected")
    with db.server.connect("postgres") as conn:
        conn.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS false")
        for pid in sweepers(db, "application_name LIKE '%% worker %%'"):
            conn.execute("SELECT pg_terminate_backend(%s)", (pid,))
        wait_until(lambda: len(sweepers(db)) == 1, 10, "the feed's is left")
        shop.bulk_reserve(db, 700, [product])
        wait_until(lambda: shop.count_status(db, "active") == 0, 30, "all are released")
        conn.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS true")
    assert released_by(db) == {"reservation-sweeper feed": 700}


def test_a_stop_at_once(db: Database, sweeper: Start) -> None:
    """Two signals, while workers have batches of the feed's pass."""
    products = shop.add_products(db, 5, stock=10_000)
    slow_releases(db, 0.3)
    daemon = sweeper("--workers", "2", "--batch-size", "100", redis_url=NO_REDIS)
    daemon.expected_status = 1
    daemon.wait_for_record("Redis is out of reach")
    shop.bulk_reserve(db, 2000, products)
    at_work = f"{SLOW} AND application_name LIKE '%% worker %%'"
    wait_until(lambda: sweepers(db, at_work), 20, "they are at work", step=0.002)
    os.kill(daemon.pid, signal.SIGTERM)
    os.kill(daemon.pid, signal.SIGINT)
    assert daemon.wait(10) == 1
    wait_until(lambda: not sweepers(db), 20, "its connections are gone")
    shop.check_stock_adds_up(db)


def test_a_worker_loses_its_connection(db: Database, sweeper: Start) -> None:
    """The others go on with the pass; only its batch waits for the next one."""
    slow_releases(db, 0.1)
    daemon = sweeper(
        "--workers", "2", "--batch-size", "100", "--log-level", "DEBUG", redis_url=NO_REDIS
    )
    daemon.wait_for_record("Redis is out of reach")
    wait_until(lambda: len(sweepers(db)) == 3, 10, "all are connected")
    with db.conn.transaction():
        for i in range(20):  # a batch each, which waits for no other's counter
            expires = f"now() - interval '1 hour' + {i} * interval '1 s'"
            shop.bulk_reserve(db, 100, [shop.add_product(db, stock=100)], expires=expires)
    at_work = f"{SLOW} AND application_name LIKE '%% worker %%'"
    pids = wait_until(lambda: sweepers(db, at_work), 20, "they are at work", step=0.002)
    db.conn.execute("SELECT pg_terminate_backend(%s)", (pids[0],))
    failed = daemon.wait_for_record("A direct pass over Postgres failed", timeout=30)
    assert shop.count_status(db, "active") <= 100
    assert failed["level"] == "DEBUG" and failed["error"] == "the connection to Postgres was lost"
    wait_until(lambda: shop.count_status(db, "active") == 0, 30, "that one is released too")
    shop.check_stock_adds_up(db)
