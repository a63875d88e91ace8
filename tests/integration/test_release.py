"""Releasing: who is released on time and who is left alone."""

from __future__ import annotations

import uuid

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.queue import LEASES, PENDING, is_empty, mirror, pending
from harness.sweeper import ALONE, Run, Start
from harness.web import metric, until_settled


def released(db: Database) -> int:
    return shop.count_status(db, "released")


def count_flips(db: Database) -> None:
    """From now on the database itself writes down each row that becomes released."""
    db.conn.execute(
        """
        CREATE TABLE flips (id text);
        CREATE FUNCTION note_flip() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN INSERT INTO flips VALUES (NEW.id); RETURN NEW; END$$;
        CREATE TRIGGER note_flip AFTER UPDATE ON inventory_reservations FOR EACH ROW
            WHEN (NEW.status = 'released') EXECUTE FUNCTION note_flip()
        """
    )


@pytest.mark.valgrind
def test_mirrored_by_the_api(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db, stock=10)
    ids = [shop.reserve(db, {product: 1}, ttl_s=1.0 + n / 10) for n in range(5)]
    mirror(db, redis, *ids)
    sweeper(*ALONE)
    wait_until(lambda: released(db) == 5, 20, "five releases")
    assert min(shop.lateness(db)) >= 0
    assert shop.stock(db, product) == (10, 10, 0)
    wait_until(lambda: is_empty(redis), 5, "nothing left in Redis")


def test_what_is_written(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Status, updated_at and the two counters; nothing else, and only of what is released."""
    product, other = shop.add_product(db, stock=9), shop.add_product(db, stock=9)
    id = shop.reserve(db, {product: 4}, ttl_s=0.2)
    keep = shop.reserve(db, {product: 2, other: 1}, ttl_s=600)
    db.conn.execute("UPDATE inventory SET updated_at = '2001-01-01'")
    db.conn.execute("UPDATE inventory_reservations SET updated_at = '2001-01-01'")
    rows = (
        "SELECT to_jsonb(r) - '{status,updated_at}'::text[] FROM inventory_reservations r"
        " ORDER BY id"
    )
    before = db.query(rows)
    mirror(db, redis, id, keep)
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", http=True)
    wait_until(lambda: released(db) == 1, 20, "one release")
    until_settled(daemon, looks=3)  # one that read the row before its release enters it again
    wait_until(lambda: pending(redis).keys() == {keep} and not redis.exists(LEASES), 10, "settled")
    daemon.stop()
    assert db.query(rows) == before
    assert shop.stock(db, product) == (9, 7, 2) and shop.stock(db, other) == (9, 8, 1)
    late = "SELECT {}::text, updated_at BETWEEN %s AND now() FROM {} ORDER BY 1"
    expired = db.value("SELECT expires_at FROM inventory_reservations WHERE id = %s", (id,))
    assert dict(db.query(late.format("id", "inventory_reservations"), (expired,))) == {
        id: True,
        keep: False,
    }
    assert dict(db.query(late.format("product_id", "inventory"), (expired,))) == {
        product: True,
        other: False,
    }
    assert pending(redis).keys() == {keep}


# How many reservations, and whether a trigger stands by.
WAYS = {"lean": (1, False), "explaining": (1, True), "bulk": (150, False)}


@pytest.mark.parametrize("way", WAYS)
def test_when_it_was_written(db: Database, run: Run, way: str) -> None:
    n, trigger = WAYS[way]
    product = shop.add_product(db, stock=n)
    shop.bulk_reserve(db, n, [product])
    db.conn.execute("UPDATE inventory SET updated_at = '2001-01-01'")
    db.conn.execute("UPDATE inventory_reservations SET updated_at = '2001-01-01'")
    if trigger:
        count_flips(db)
    began = db.value("SELECT clock_timestamp()")
    assert run("--once").status == 0
    assert released(db) == n
    for table in ("inventory", "inventory_reservations"):
        written = f"SELECT count(*) FROM {table} WHERE updated_at BETWEEN %s AND clock_timestamp()"
        assert db.value(written, (began,)) == (n if table != "inventory" else 1), table


def test_never_early(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Whatever Redis says: these entries are due at once, and again and again."""
    products = shop.add_products(db, 5, stock=1000)
    ids = shop.bulk_reserve(db, 300, products, "now() + interval '1 s' + i * interval '3 ms'")
    redis.zadd(PENDING, {id: 1 for id in ids})
    sweeper(*ALONE)
    wait_until(lambda: redis.zcount(PENDING, 2, "inf"), 20, "put back at their own times")
    redis.zadd(PENDING, {id: "-inf" for id in ids[:100]})
    wait_until(lambda: released(db) == 300, 20, "all releases")
    assert min(shop.lateness(db)) >= 0
    shop.check_stock_adds_up(db)


def test_never_twice_with_two_sweepers(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    products = shop.add_products(db, 20, stock=100)
    count_flips(db)
    soon = "date_trunc('second', now()) + interval '3 s'"  # when both are up
    ids = shop.bulk_reserve(db, 6000, products, soon, quantity=2)
    keep = shop.bulk_reserve(db, 200, products, "now() + interval '1 hour'")
    mirror(db, redis, *ids, *keep)
    daemons = [sweeper("--workers", "2", "--batch-size", "50", "--pace", "0ms") for _ in range(2)]
    wait_until(lambda: released(db) > 0, 20, "they are due")

    def done() -> bool:
        """Entries come back, in flight or not, as from an API that repeats itself: never more than
        a busy machine gets rid of, since what is repeated comes first."""
        if redis.zcount(PENDING, 1, 1) == 0:
            redis.zadd(PENDING, {id: 1 for id in ids[::7]})
        return released(db) == 6000

    wait_until(done, 60, "all releases")
    wait_until(lambda: redis.zcard(PENDING) == 200 and not redis.exists(LEASES), 20, "settled")
    assert [daemon.stop() for daemon in daemons] == [0, 0]
    assert db.query("SELECT count(*), count(DISTINCT id) FROM flips") == [(6000, 6000)]
    shop.check_stock_adds_up(db)
    assert shop.statuses(db) == {"released": 6000, "active": 200}
    totals = [d.wait_for_record("Stopped")["releasedTotal"] for d in daemons]
    assert sum(totals) == 6000 and min(totals) > 0


def test_committed_and_extended_are_left_alone(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """By an API that does not tell Redis."""
    product = shop.add_product(db, stock=100)
    sold, longer, cancelled, expires = (
        shop.reserve(db, {product: n}, ttl_s=1.5) for n in (1, 2, 4, 8)
    )
    mirror(db, redis, sold, longer, cancelled, expires)
    assert shop.commit(db, sold) and shop.extend(db, longer, 4) and shop.cancel(db, cancelled)
    sweeper(*ALONE)
    wait_until(lambda: released(db) == 2, 20, "the one that expires")
    wait_until(lambda: pending(redis).keys() == {longer}, 5, "only the extended one")
    assert shop.statuses(db) == {"committed": 1, "released": 2, "active": 1}
    assert shop.stock(db, product) == (99, 97, 2)
    wait_until(lambda: released(db) == 3, 20, "the extended one in its time")
    assert min(shop.lateness(db, [longer, expires])) >= 0
    assert shop.stock(db, product) == (99, 99, 0)
    wait_until(lambda: is_empty(redis), 5, "nothing left in Redis")


def test_unknown_and_spent_entries_are_forgotten(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    product = shop.add_product(db)
    sold = shop.reserve(db, {product: 1}, ttl_s=60)
    gone = shop.reserve(db, {product: 1}, ttl_s=-1)
    shop.commit(db, sold)
    db.conn.execute("DELETE FROM inventory_reservations WHERE id = %s", (gone,))
    redis.zadd(PENDING, {sold: 1, gone: 1, str(uuid.uuid4()): 1})
    sweeper(*ALONE)
    wait_until(lambda: is_empty(redis), 20, "nothing left in Redis")
    assert shop.statuses(db) == {"committed": 1}


def test_a_product_without_an_inventory_row(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    product, gone = shop.add_product(db), shop.add_product(db)
    id = shop.reserve(db, {gone: 1, product: 3}, ttl_s=-1)
    db.conn.execute("DELETE FROM inventory WHERE product_id = %s", (gone,))
    mirror(db, redis, id)
    daemon = sweeper(*ALONE, http=True)
    record = daemon.wait_for_record("no inventory row")
    assert metric(daemon, "released_without_inventory_total") == 1
    assert (record["level"], record["reservationId"], record["rows"]) == ("WARN", id, 1)
    wait_until(lambda: released(db) == 2, 5, "both rows")
    assert shop.stock(db, product) == (100, 100, 0)


@pytest.mark.parametrize("n", [3, 300], ids=["a few", "a backlog"])
def test_no_product_at_all(db: Database, redis: redis_py.Redis, run: Run, n: int) -> None:
    """A reservation that outlived its product, whose column is NULL now, is released all the same."""
    kept, gone = shop.add_product(db, stock=1000), shop.add_product(db, stock=1000)
    shop.bulk_reserve(db, n, [kept, gone])
    db.conn.execute(
        "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey,"
        " ALTER product_id DROP NOT NULL"
    )
    db.conn.execute(
        "UPDATE inventory_reservations SET product_id = NULL WHERE product_id = %s", (gone,)
    )
    db.conn.execute("DELETE FROM inventory WHERE product_id = %s", (gone,))
    done = run("--once")
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, n)
    named = [r for r in done.records if "Released a reservation" in r["message"]]
    assert len(named) == min(n // 2, 100)  # of a minute; the others are counted
    assert shop.stock(db, kept) == (1000, 1000, 0)


def test_empty_tables(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper("--feed-interval", "100ms", "--scan-interval", "1s")
    daemon.wait_for_record("Redis connected")
    redis.zadd(PENDING, {str(uuid.uuid4()): 1})
    wait_until(lambda: is_empty(redis), 20, "the stray entry is forgotten")
    assert daemon.stop() == 0
    assert not [r for r in daemon.records if r["level"] in ("WARN", "ERROR")], daemon.tail()


def test_script_flush(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db, stock=100)
    sweeper(*ALONE)
    for n in range(1, 6):
        redis.script_flush()
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0.05))
        wait_until(lambda n=n: released(db) == n and is_empty(redis), 20, f"release {n}")
    assert max(shop.lateness(db)) < within(2)


@pytest.mark.slow
def test_a_million_pending(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """What waits for its time costs nothing."""
    far_ms = db.value("SELECT extract(epoch FROM now() + interval '1 hour')::bigint * 1000")
    for start in range(0, 1_000_000, 50_000):
        entries = {str(uuid.UUID(int=n)): far_ms + n for n in range(start, start + 50_000)}
        redis.zadd(PENDING, entries)
    products = shop.add_products(db, 10, stock=100)
    daemon = sweeper("--feed-interval", "300ms")
    daemon.wait_for_record("Redis connected")
    ids = shop.bulk_reserve(db, 200, products, "now() + interval '1 s' + i * interval '2 ms'")
    wait_until(lambda: released(db) == 200, 20, "all releases")
    late = shop.lateness(db, ids)
    assert min(late) >= 0 and max(late) < within(1)
    wait_until(lambda: redis.zcard(PENDING) == 1_000_000, 5, "the others stay")
    assert daemon.rss_kb() < 200_000
    redis.flushall()


def test_a_backlog_of_entries_without_rows(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A hundred thousand stale entries do not keep the real one waiting for long."""
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    for start in range(0, 100_000, 50_000):
        redis.zadd(PENDING, {str(uuid.UUID(int=n)): n for n in range(start, start + 50_000)})
    mirror(db, redis, id)
    sweeper("--workers", "2", *ALONE)
    wait_until(lambda: is_empty(redis), 60, "nothing left in Redis")
    assert shop.statuses(db) == {"released": 1}
