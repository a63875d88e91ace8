"""--reconcile for shops of every shape: each finding is planted, reported by a dry run, repaired by a run, and
gone in the next; and what nobody can compare is said to be so."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
import redis as redis_py
from harness.database import Database
from harness.reconciliation import figures
from harness.shapes import COUNTED, CREDITS, SHAPES, WAREHOUSE, Shape, Shop, last_row, name
from harness.sweeper import Finished, Run


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


Open = Callable[[Shape], Shop]


@pytest.fixture
def open_shop(db: Database, run: Run, tmp_path: Path) -> Open:
    return lambda shape: Shop(db, shape, tmp_path, run)


def reconcile(shop: Shop, *args: str) -> tuple[Finished, list[dict]]:
    """A run, and its report."""
    done = shop.run("--reconcile", "--lookahead", "off", "--report", "-", "--queues", str(shop.file), *args)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def text(shop: Shop, id: int) -> str:
    """An id as Redis has it."""
    return str(uuid.UUID(shop.spelled(id))) if "uuid" in shop.shape.tables else str(id)


def drift(shop: Shop, key: int, units: int) -> None:
    """Settles a hold and forgets its counter."""
    shop.hold(50, key, units, s=600)
    shop.db.conn.execute(f"UPDATE {shop.shape.holds} SET {shop.shape.settled} WHERE {last_row(shop.shape)}")


def plant(shop: Shop, redis: redis_py.Redis) -> dict[str, str]:
    """One of each finding; returns whose each is."""
    now_ms = int(time.time() * 1000)
    shop.counters(1, 2, 3)
    shop.hold(1, 1, 2, s=-60)
    for id, key, units in ((11, 1, 5), (12, 2, 1), (13, 3, 1), (14, 3, 2), (15, 3, 1)):
        shop.hold(id, key, units, s=600)
    redis.zadd("{shop}:pending", {text(shop, 11): now_ms + 300_000, text(shop, 13): now_ms + 3_600_000})
    redis.zadd("{shop}:pending", {text(shop, 77): now_ms + 300_000})
    redis.zadd("{shop}:inflight", {text(shop, 15): now_ms - 600_000})
    record = json.dumps({"error": "it was", "sqlstate": "23514", "attempts": 1, "retryAt": now_ms})
    redis.hset("{shop}:failed", mapping={text(shop, 14): record, text(shop, 78): record})
    found = {
        "expired": text(shop, 1),
        "mirrorMissing": text(shop, 12),
        "mirrorMisplaced": text(shop, 13),
        "recordUnscheduled": text(shop, 14),
        "leaseExpired": text(shop, 15),
        "mirrorOrphaned": text(shop, 77),
        "recordOrphaned": text(shop, 78),
    }
    if shop.shape.held:
        drift(shop, 2, 3)
        found["stockDrifted"] = shop.shape.key(2)
    return found


def held_rightly(shop: Shop, **more: int) -> None:
    """What each counter holds, by the holds that plant leaves."""
    units = {1: 5, 2: 1, 3: 4} if shop.shape.units else {1: 1, 2: 1, 3: 3}
    for key, free, held in shop.db.query("SELECT key, free, held FROM counters_seen ORDER BY key"):
        if shop.shape.held:
            assert held == units[key], key
        if shop.shape.free:
            assert free == 100 - units[key] - sum(Decimal("0.125") for _ in range(3 if key == 3 else 1)) * (
                shop.shape is CREDITS
            ), key


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_each_finding(open_shop: Open, redis: redis_py.Redis, shape: Shape) -> None:
    shop = open_shop(shape)
    planted = plant(shop, redis)
    counts = {
        "releasedCount": 1,
        "mirrorMissing": 2,
        "mirrorMisplaced": 1,
        "mirrorOrphaned": 2,
        "leasesExpired": 1,
    }
    if shape is CREDITS:
        counts |= dict.fromkeys(("stockDrifted", "stockRepaired"))  # type: ignore[arg-type]
    drifted = {"stockDrifted": 1} if shape.held else {}
    for args, extra in (
        (("--dry-run", "--repair-stock"), {"remainingCount": 7 + len(drifted)}),
        (("--repair-stock",), {"stockRepaired": 1} if shape.held else {}),
    ):
        done, report = reconcile(shop, *args)
        unchecked = [line for line in report if line["kind"] == "notCheckable"]
        lines = [line for line in report if line["kind"] != "notCheckable"]
        assert {line["kind"]: line.get("productId", line.get("reservationId")) for line in lines} == planted
        assert figures(done) == counts | drifted | extra, done.stderr
        assert done.status == (3 if "--dry-run" in args else 0)
        assert len(unchecked) == (shape is CREDITS)
        assert all(("nothing" == line["done"]) == ("--dry-run" in args) for line in lines)
    held_rightly(shop)
    done, report = reconcile(shop)
    left = {key: n for key, n in figures(done).items() if n is not None}
    assert (left, done.status) == ({}, 0)
    assert [line["kind"] for line in report] == ["notCheckable"] * (shape is CREDITS)


@pytest.mark.parametrize("shape", [s for s in COUNTED if s.held], ids=name)
def test_what_a_counter_should_be(open_shop: Open, redis: redis_py.Redis, shape: Shape) -> None:
    """Reported by what there is of it; only with --repair-stock is it set."""
    shop = open_shop(shape)
    plant(shop, redis)
    done, report = reconcile(shop)
    (line,) = [line for line in report if line["kind"] == "stockDrifted"]
    three = 3 if shape.units else 1
    found = {"reservedStock": 1 + three} | ({"availableStock": 99 - three} if shape.free else {})
    expected = {"reservedStock": 1} | ({"availableStock": 99} if shape.free else {})
    total = {"totalStock": 100} if "total:" in shape.file else {}
    assert (line["expected"], line["found"], line["done"]) == (expected | total, found | total, "nothing")
    assert (figures(done)["remainingCount"], done.status) == (1, 3)


def test_free_alone_is_never_said_not_to_drift(open_shop: Open, redis: redis_py.Redis) -> None:
    shop = open_shop(CREDITS)
    shop.counters(1)
    shop.db.conn.execute("UPDATE bank.accounts SET credit = 7")
    done, report = reconcile(shop, "--repair-stock")
    record = done.record("Reconciliation completed")
    assert [record[key] for key in ("stockChecked", "stockDrifted", "stockRepaired")] == [None] * 3
    assert "`free` alone" in record["notCheckable"]
    assert done.record("Stock counters are not compared")["reason"] == record["notCheckable"]
    assert [(line["kind"], line["queue"]) for line in report] == [("notCheckable", "shop")]
    assert shop.db.value("SELECT credit FROM bank.accounts") == 7


# ---- counted ------------------------------------------------------------------------------------

COUNTED_FILE = WAREHOUSE.file + "    counted: reservation_status IN ('active', 'sold')\n"


def test_what_is_counted_is_not_what_is_active(open_shop: Open, redis: redis_py.Redis) -> None:
    shop = open_shop(WAREHOUSE)
    shop.write(COUNTED_FILE)
    shop.counters(1, 2)
    drift(shop, 1, 3)  # sold, and counted until it is shipped
    done, _ = reconcile(shop, "--repair-stock")
    assert (figures(done), done.status) == ({}, 0)
    shop.db.conn.execute("UPDATE holds SET reservation_status = 'shipped'")
    done, report = reconcile(shop, "--repair-stock")
    assert figures(done) == {"stockDrifted": 1, "stockRepaired": 1}
    assert report[0]["productId"] == "1,w1" and report[0]["expected"] == {"reservedStock": 0}
    assert reconcile(shop)[0].status == 0


def test_held_alone_is_not_set_below_zero(open_shop: Open, redis: redis_py.Redis) -> None:
    shop = open_shop(WAREHOUSE)
    shop.counters(1)
    shop.db.conn.execute("ALTER TABLE stocks DROP CONSTRAINT stocks_quantity_reserved_check")
    shop.hold(1, 1, -5, s=600)
    shop.db.conn.execute("UPDATE stocks SET quantity_reserved = 2 WHERE variant_id = 1 AND warehouse = 'w1'")
    redis.zadd("{shop}:pending", {"1": 1})
    done, report = reconcile(shop, "--repair-stock")
    assert figures(done)["remainingCount"] == 1 and report[0]["done"] == "nothing"
    assert shop.db.value("SELECT quantity_reserved FROM stocks WHERE warehouse = 'w1'") == 2


# ---- keys of several columns ----------------------------------------------------------------------


def test_pages_of_keys(open_shop: Open, redis: redis_py.Redis) -> None:
    """Of several columns, over several pages: each counter is met once, whichever column tells."""
    shop = open_shop(WAREHOUSE)
    shop.db.conn.execute(
        "INSERT INTO stocks (variant_id, warehouse, quantity_reserved)"
        " SELECT i / 7, 'w' || i % 7, 0 FROM generate_series(0, 45000) AS i;"
        " INSERT INTO holds (order_id, variant_id, warehouse, reserved_quantity, expires_at)"
        " SELECT i, i / 7, 'w' || i % 7, 2, now() AT TIME ZONE 'UTC' + interval '1 h'"
        " FROM generate_series(0, 45000, 5) AS i;"
        " UPDATE stocks SET quantity_reserved = 2 WHERE (variant_id * 7 + right(warehouse, 1)::int) % 5 = 0;"
        " UPDATE stocks SET quantity_reserved = quantity_reserved + 1"
        " WHERE variant_id IN (0, 2856, 2857, 6428); ANALYZE"
    )
    done, report = reconcile(shop, "--repair-stock")
    assert done.record("Reconciliation completed")["stockChecked"] == 45001
    drifted = {f"{v},w{w}" for v in (0, 2856, 2857) for w in range(7)} | {"6428,w0", "6428,w1", "6428,w2", "6428,w3", "6428,w4"}
    lines = [line for line in report if line["kind"] == "stockDrifted"]
    assert {line["productId"] for line in lines} == drifted and len(lines) == len(drifted)
    assert figures(done)["stockRepaired"] == len(drifted)
    assert figures(reconcile(shop)[0]) == {}
