"""Moments: the boundary, microseconds, zones, the ends of time, and scores that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.queue import PENDING, expires_ms, is_empty, mirror, script_calls, until_probed
from harness.statement import prepare_release, release
from harness.sweeper import ALONE, Run, Start

COLUMNS = {
    "expires": ("inventory_reservations", "expires_at"),
    "updated": ("inventory_reservations", "updated_at"),
    "stock updated": ("inventory", "updated_at"),
}


def drop_zones(db: Database, zone: str, columns: tuple[str, ...] = tuple(COLUMNS)) -> None:
    """The columns become `timestamp`, in UTC; sessions other than db.conn live in the zone."""
    db.conn.execute("SET timezone = 'UTC'")
    db.conn.execute(f"ALTER DATABASE {db.name} SET timezone = '{zone}'")
    for name in columns:
        table, column = COLUMNS[name]
        db.conn.execute(f"ALTER TABLE {table} ALTER {column} TYPE timestamp")


def check_updated_at(db: Database, product: str) -> None:
    """Both are this moment in UTC (db.conn's zone), whatever the sweeper's session lives in."""
    fresh = "SELECT now() - updated_at BETWEEN interval '0' AND interval '1 minute' FROM "
    assert db.value(fresh + "inventory_reservations WHERE status = 'released'") is True
    assert db.value(fresh + "inventory WHERE product_id = %s", (product,)) is True


@pytest.mark.parametrize("zoned", [True, False], ids=["timestamptz", "timestamp"])
def test_the_boundary(db: Database, zoned: bool) -> None:
    """expires_at = now() is expired, a microsecond later is not: in a transaction now() stands."""
    if not zoned:
        drop_zones(db, "Asia/Kolkata")
    prepare_release(db)
    product, other = shop.add_product(db), shop.add_product(db)
    with db.conn.transaction():
        before, at, after = (
            shop.reserve(db, {product: 1}, ttl_s=us / 1e6) for us in (-1, 0, 1)
        )
        both_at = shop.reserve(db, {product: 1, other: 1}, ttl_s=0)
        one_after = shop.reserve(db, {product: 1, other: 1}, ttl_s=0)
        db.conn.execute(
            "UPDATE inventory_reservations SET expires_at = expires_at + interval '1 microsecond'"
            " WHERE id = %s AND product_id = %s",
            (one_after, other),
        )
        assert release(db, before, at, after) == ["released", "released", "not due"]
        assert release(db, both_at, one_after) == ["released"] * 2 + ["not due"] * 2
        assert release(db, at, both_at) == ["settled"] * 3
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_times_without_a_zone(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, zone: str
) -> None:
    """They are UTC, wherever the session lives: 14 hours east, 11 hours west."""
    drop_zones(db, zone)
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "200ms", "--lookahead", "20s", env={"PGTZ": zone})
    daemon.wait_for_record("Redis connected")
    soon = shop.reserve(db, {product: 1}, ttl_s=1)
    keep = shop.reserve(db, {product: 2}, ttl_s=8)
    far = shop.reserve(db, {product: 4}, ttl_s=600)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "one release")
    assert 0 <= shop.lateness(db, [soon])[0] < within(1)
    check_updated_at(db, product)
    assert daemon.stop() == 0
    assert int(redis.zscore(PENDING, keep)) == expires_ms(db, [keep])[keep]
    assert redis.zscore(PENDING, far) is None
    db.conn.execute("UPDATE inventory_reservations SET expires_at = now() WHERE id = %s", (keep,))
    counted = run("--once", "--dry-run").record("Cleanup job completed")
    assert (counted["cleanedCount"], counted["releasedUnits"]) == (1, 2)
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 1
    assert shop.stock(db, product) == (100, 96, 4)


@pytest.mark.parametrize("column", COLUMNS)
def test_one_column_without_a_zone(db: Database, run: Run, column: str) -> None:
    drop_zones(db, "America/New_York", (column,))
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1)
    shop.reserve(db, {product: 1}, ttl_s=60)
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 1
    check_updated_at(db, product)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_clock_in_the_shops_own_words(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, tmp_path: Path, zone: str
) -> None:
    """What `active` compares a time without a zone with is UTC wherever it is judged: whoever looks for
    what is due, mirrors it, counts it or releases it has the same rows."""
    db.conn.execute(
        "CREATE TABLE holds (id int PRIMARY KEY, status text DEFAULT 'held', seen timestamp, expires_at timestamptz)"
    )
    file = tmp_path / "queues.yaml"
    file.write_text(
        "seats:\n  table: holds\n  active: status = 'held' AND seen BETWEEN now() - interval '1 hour' AND now()\n"
        "  released: status = 'free'\n",
        encoding="utf-8",
    )
    options: Any = {"env": {"PGTZ": zone, "SWEEPER_QUEUES_FILE": str(file)}}
    for id, s in ((1, -1), (2, 600)):
        db.conn.execute(
            "INSERT INTO holds VALUES (%s, 'held', now() AT TIME ZONE 'UTC', now() + %s * interval '1 s')", (id, s)
        )
    assert run("--once", "--dry-run", **options).record("Cleanup job completed")["cleanedCount"] == 1
    assert run("--rehearse", "5", **options).status == 0
    assert run("--reconcile", "--dry-run", **options).record("Reconciliation completed")["releasedCount"] == 1
    db.conn.execute("UPDATE holds SET expires_at = now() + interval '2 s' WHERE id = 2")
    sweeper("--scan-interval", "off", "--feed-interval", "200ms", "--lookahead", "20s", **options)
    wait_until(lambda: db.value("SELECT count(*) FROM holds WHERE status = 'free'") == 2, 20, "both")


def test_microseconds_and_a_score_rounded_down(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Not early, not lost, and not asked for over and over until the millisecond is full."""
    products = shop.add_products(db, 3)
    expires = "date_trunc('second', now()) + interval '1.500999 s' + i * interval '0.1 s'"
    ids = shop.bulk_reserve(db, 8, products, expires)
    redis.zadd(PENDING, {id: ms - 1 for id, ms in expires_ms(db, ids).items()})
    sweeper(*ALONE)
    until_probed(redis)
    wait_until(lambda: is_empty(redis), 20, "all settled")
    late = shop.lateness(db, ids)
    assert len(late) == 8 and min(late) >= 0 and max(late) < within(1)
    # For each: claim, put back, claim, forget; and the looks between, two a second.
    assert script_calls(redis) < 8 * 4 + 20


@pytest.mark.parametrize("score", ["-inf", "-1", "0", "1.5", "inf", "4e12", "1e300", "fraction"])
def test_wrong_scores(db: Database, redis: redis_py.Redis, sweeper: Start, score: str) -> None:
    """The row in Postgres decides; the feed corrects what is too late."""
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, ttl_s=1.2)
    ms = expires_ms(db, [id])[id]
    redis.zadd(PENDING, {id: ms - 0.5 if score == "fraction" else float(score)})
    sweeper("--feed-interval", "300ms", "--lookahead", "5s")
    until_probed(redis)
    wait_until(lambda: redis.zscore(PENDING, id) in (ms, ms - 0.5, None), 10, "fixed")
    wait_until(lambda: is_empty(redis), 20, "settled")
    (late,) = shop.lateness(db)
    assert 0 <= late < within(1)
    assert script_calls(redis) < 40


def test_scores_for_nothing(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Entries at the end of time, which the sweeper reads as the next ones, make it neither spin
    nor sleep past the others."""
    redis.zadd(PENDING, {"a": "inf", "b": 1e300, "c": 9e15, "d": 4e12})
    product = shop.add_product(db)
    sweeper(*ALONE)
    until_probed(redis)
    id = shop.reserve(db, {product: 1}, ttl_s=1)
    mirror(db, redis, id)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    assert 0 <= shop.lateness(db)[0] < within(1)
    assert script_calls(redis) < 20
    wait_until(lambda: redis.zcard(PENDING) == 4, 5, "they alone are left")


def test_an_idle_sweeper_is_idle(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    keep = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=600)
    mirror(db, redis, keep)
    daemon = sweeper()
    until_probed(redis)
    began, used = redis.time()[0], daemon.cpu_seconds()
    wait_until(lambda: redis.time()[0] >= began + 3, 20, "two seconds and more")
    calls, cpu_s = script_calls(redis), daemon.cpu_seconds() - used
    assert 2 < calls < 24, "a few looks a second"
    assert cpu_s < within(0.5)


ENDS = {
    "-infinity": True,
    "0001-01-01 BC": True,
    "1969-12-31 23:59:59.999999+00": True,
    "1970-01-01 00:00:00+00": True,
    "9999-12-31 23:59:59+00": False,
    "294276-12-31 23:59:59+00": False,
    "infinity": False,
}


@pytest.mark.parametrize("way", ["the feed", "Redis", "--once"])
def test_the_ends_of_time(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, way: str
) -> None:
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=0) for _ in ENDS]
    for id, moment in zip(ids, ENDS, strict=True):
        db.conn.execute(
            "UPDATE inventory_reservations SET expires_at = %s WHERE id = %s", (moment, id)
        )
    if way == "--once":
        assert run("--once").record("Cleanup job completed")["cleanedCount"] == 4
    else:
        if way == "Redis":
            redis.zadd(PENDING, {id: 1 for id in ids})
        daemon = sweeper(*(ALONE if way == "Redis" else ("--feed-interval", "200ms")))
        wait_until(lambda: shop.count_status(db, "released") == 4, 20, "what has expired")
        kept = 3 if way == "Redis" else 0
        wait_until(lambda: redis.zcount(PENDING, "(2", "inf") == redis.zcard(PENDING) == kept, 10)
        assert daemon.stop() == 0
    found = dict(db.query("SELECT id::text, status FROM inventory_reservations"))
    expected = ["released" if over else "active" for over in ENDS.values()]
    assert [found[id] for id in ids] == expected


def test_no_expiry_at_all(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A column that allows NULL: such a reservation never expires."""
    db.conn.execute("ALTER TABLE inventory_reservations ALTER expires_at DROP NOT NULL")
    product = shop.add_product(db)
    never = shop.reserve(db, {product: 1}, ttl_s=0)
    over = shop.reserve(db, {product: 1}, ttl_s=-1)
    db.conn.execute("UPDATE inventory_reservations SET expires_at = NULL WHERE id = %s", (never,))
    redis.zadd(PENDING, {never: 1, over: 1})
    sweeper("--feed-interval", "200ms")
    wait_until(lambda: is_empty(redis), 20, "nothing is left to look at")
    assert shop.statuses(db) == {"released": 1, "active": 1}
