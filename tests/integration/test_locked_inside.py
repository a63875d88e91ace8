"""A lock that is met inside a release: by a trigger of the API's, a table that is being altered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_reservation, transaction
from harness.poll import holds, wait_until, within
from harness.queue import FAILED, PENDING, is_empty, mirror
from harness.sweeper import ALONE, Run, Start

TOKEN = "t" * 24

# What an API may do with each release: the cart that a reservation belongs to is touched.
CARTS = """
    CREATE TABLE carts (id text PRIMARY KEY, touched timestamptz);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql {options} AS $$BEGIN
        {before}
        UPDATE carts SET touched = now() WHERE id = {cart};
        RETURN NULL;
    END$$;
    CREATE {trigger} touch AFTER UPDATE ON inventory_reservations {when}
        FOR EACH ROW EXECUTE FUNCTION touch()
"""


def add_carts(
    db: Database,
    ids: list[str],
    cart: str = "NEW.id::text",
    before: str = "",
    options: str = "",
    trigger: str = "TRIGGER",
    when: str = "",
) -> None:
    db.conn.execute(
        CARTS.format(cart=cart, before=before, options=options, trigger=trigger, when=when)
    )
    with db.conn.cursor() as cursor:
        cursor.executemany("INSERT INTO carts VALUES (%s)", [(id,) for id in ids])


def lock_cart(id: str) -> tuple[str, object]:
    return ("UPDATE carts SET touched = NULL WHERE id = %s", (id,))


def released(db: Database) -> int:
    return shop.count_status(db, "released")


def seconds_until(db: Database, n: int, timeout: float) -> float:
    began = time.monotonic()
    wait_until(lambda: released(db) >= n, timeout, f"{n} are released")
    return time.monotonic() - began


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"trigger": "CONSTRAINT TRIGGER", "when": "DEFERRABLE INITIALLY DEFERRED"},
        {"before": "PERFORM FROM carts WHERE id = NEW.id::text FOR UPDATE NOWAIT;"},
        {"options": "SET lock_timeout = '100ms'"},
    ],
    ids=["a row", "at the commit", "nowait", "its own timeout"],
)
def test_one_of_600(
    db: Database, redis: redis_py.Redis, sweeper: Start, kind: dict[str, str]
) -> None:
    """The 599 others go at once, and those that come later too; the one goes with its lock."""
    products = shop.add_products(db, 5, stock=1000)
    ids = shop.bulk_reserve(db, 600, products)
    add_carts(db, ids, **kind)
    slow = 2.0 if "options" in kind else 0.0
    with transaction(db, lock_cart(ids[123])):
        mirror(db, redis, *ids)
        sweeper(*ALONE)
        assert seconds_until(db, 599, 20) < within(2.5 + slow)
        wait_until(lambda: redis.zscore(PENDING, ids[123]) is not None, 5, "put back")
        later = shop.bulk_reserve(db, 30, products)
        mirror(db, redis, *later)
        assert seconds_until(db, 629, 20) < within(1 + slow)
        assert shop.statuses(db) == {"released": 629, "active": 1}
    wait_until(lambda: is_empty(redis), 10, "the one is released")
    assert released(db) == 630
    assert not redis.exists(FAILED)
    shop.check_stock_adds_up(db)


def test_twenty_of_600(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    products = shop.add_products(db, 5, stock=1000)
    ids = shop.bulk_reserve(db, 600, products)
    add_carts(db, ids)
    with transaction(db, *(lock_cart(id) for id in ids[::30])):
        mirror(db, redis, *ids)
        sweeper(*ALONE)
        assert seconds_until(db, 580, 20) < within(4)
    wait_until(lambda: released(db) == 600, 10, "the others")


def test_all_of_600_hold_up_no_others(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """As when each release counts in one row that somebody holds."""
    product = shop.add_product(db, stock=2000)
    ids = shop.bulk_reserve(db, 600, [product])
    add_carts(db, ["all", *ids], cart="CASE WHEN NEW.quantity = 1 THEN 'all' END")
    with transaction(db, lock_cart("all")):
        mirror(db, redis, *ids)
        daemon = sweeper(*ALONE, http=True)
        wait_until(lambda: redis.zcard(PENDING) == 600, 20, "put back")
        holds(lambda: released(db) == 0, 2, "all are locked")
        for _ in range(3):
            others = shop.bulk_reserve(db, 20, [product], quantity=2)
            before = released(db)
            mirror(db, redis, *others)
            assert seconds_until(db, before + 20, 20) < within(1.5)
        assert daemon.http("/readyz")[0] == 200
    wait_until(lambda: is_empty(redis), 10, "all are released")
    assert released(db) == 660
    shop.check_stock_adds_up(db)


def test_post_sweep(db: Database, sweeper: Start) -> None:
    ids = shop.bulk_reserve(db, 600, shop.add_products(db, 5, stock=1000))
    add_carts(db, ids)
    statuses = []
    with transaction(db, lock_cart(ids[77])):
        daemon = sweeper(
            "--lookahead", "off", "--feed-interval", "1h", http=True,
            redis_url="redis://127.0.0.1:1", env={"SWEEPER_ADMIN_TOKEN": TOKEN},
        )
        wait_until(lambda: released(db) == 599, 20, "the others, in direct mode")
        post = threading.Thread(
            target=lambda: statuses.append(daemon.http("/sweep", "POST", TOKEN, 30))
        )
        post.start()
        post.join()
    assert statuses[0][0] == 200, statuses
    wait_until(lambda: released(db) == 600, 10, "the one")


def test_once(db: Database, run: Run) -> None:
    """Tried again for 10 s, then counted as skipped."""
    ids = shop.bulk_reserve(db, 600, shop.add_products(db, 5, stock=1000))
    add_carts(db, ids)
    with transaction(db, lock_cart(ids[300])):
        times: list[float] = []
        watch = threading.Thread(target=lambda: times.append(seconds_until(db, 599, 20)))
        watch.start()
        once = run("--once")
        watch.join()
    assert once.status == 0, once.stderr
    record = once.record("Cleanup job completed")
    assert (record["cleanedCount"], record["failedCount"], record["skippedCount"]) == (599, 0, 1)
    assert times[0] < within(3)


def test_reconcile(db: Database, run: Run) -> None:
    ids = shop.bulk_reserve(db, 100, shop.add_products(db, 5, stock=1000))
    add_carts(db, ids)
    with transaction(db, lock_cart(ids[30])):
        done = run("--reconcile")
    assert done.record("Reconciliation completed")["releasedCount"] == 99
    assert done.status == 3


@contextmanager
def locked_table(db: Database, table: str) -> Iterator[psycopg.Connection]:
    with transaction(db, (f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE", None)) as conn:
        yield conn


@pytest.mark.parametrize("table", ["inventory_reservations", "inventory"])
def test_a_table_that_is_being_altered(
    db: Database, redis: redis_py.Redis, sweeper: Start, table: str
) -> None:
    """Nothing can be released; little is tried, and all of it goes on at once when it is over."""
    ids = shop.bulk_reserve(db, 600, shop.add_products(db, 5, stock=1000))
    mirror(db, redis, *ids)
    with locked_table(db, table):
        daemon = sweeper(*ALONE)
        wait_until(lambda: redis.zcount(PENDING, "-inf", "+inf") == 600, 20, "put back")
        used = daemon.cpu_seconds()
        time.sleep(2)  # what it does meanwhile is measured
        assert daemon.cpu_seconds() - used < within(1)
    assert seconds_until(db, 600, 20) < within(7)
    wait_until(lambda: is_empty(redis), 5, "settled")


def test_rows_that_were_skipped_are_no_conflict(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A row that somebody holds is passed by in the batch itself: nothing is halved."""
    ids = shop.bulk_reserve(db, 50, shop.add_products(db, 2))
    with transaction(db, lock_reservation(ids[7])):
        mirror(db, redis, *ids)
        sweeper(*ALONE)
        wait_until(lambda: released(db) == 49, 20, "the others")
        parts = db.value(
            "SELECT count(DISTINCT xmin::text) FROM inventory_reservations"
            " WHERE status = 'released'"
        )
    assert parts <= 3


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_another_default_of_the_isolation_level(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, level: str
) -> None:
    """Releases, and whatever else is done, are READ COMMITTED: said by the statement's own trigger."""
    db.conn.execute(
        """
        CREATE TABLE levels (level text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            INSERT INTO levels VALUES (current_setting('transaction_isolation'));
            RETURN NULL;
        END$$;
        CREATE TRIGGER note AFTER UPDATE ON inventory_reservations
            FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER note AFTER UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION note()
        """
    )
    product = shop.add_product(db)
    ids = shop.bulk_reserve(db, 5, [product])
    db.conn.execute("UPDATE inventory SET reserved_stock = 7, total_stock = available_stock + 7")
    db.conn.execute("TRUNCATE levels")
    db.conn.execute(f"ALTER DATABASE {db.name} SET default_transaction_isolation = '{level}'")
    done = run("--reconcile", "--repair-stock")
    assert done.record("Reconciliation completed")["stockRepaired"] == 1
    assert db.query("SELECT DISTINCT level FROM levels") == [("read committed",)]
    ids = shop.bulk_reserve(db, 5, [product])
    db.conn.execute("TRUNCATE levels")
    mirror(db, redis, *ids)
    sweeper(*ALONE)
    wait_until(lambda: released(db) == 10, 20, "all")
    assert db.query("SELECT DISTINCT level FROM levels") == [("read committed",)]
