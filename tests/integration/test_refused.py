"""Rows that Postgres refuses to release: each stands alone, with its reason, and is tried again."""

from __future__ import annotations

import re

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.queue import FAILED, LEASES, PENDING, failures, is_empty, mirror
from harness.sweeper import ALONE, Run, Start


TRIGGER = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.quantity = 13 THEN
            RAISE EXCEPTION USING MESSAGE = 'thirteen is "unlucky"' || chr(10) || 'größer' {};
        END IF;
        RETURN NEW;
    END$$;
    CREATE {} ON inventory_reservations {} FOR EACH ROW EXECUTE FUNCTION refuse()
"""

# What makes the row of quantity 13 refused, the SQLSTATE, and what corrects it.
REFUSALS = {
    "a counter overflows": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up;"
        " UPDATE inventory SET available_stock = 2147483647 - 12 WHERE reserved_stock = 13",
        "22003",
        "UPDATE inventory SET available_stock = 87 WHERE reserved_stock = 13",
    ),
    "a counter would be negative": (
        "UPDATE inventory SET reserved_stock = 12, available_stock = 88 WHERE reserved_stock = 13",
        "23514",
        "UPDATE inventory SET reserved_stock = 13, available_stock = 87 WHERE reserved_stock = 12",
    ),
    "a trigger refuses": (
        TRIGGER.format("", "TRIGGER refuse BEFORE UPDATE", ""),
        "P0001",
        "DROP FUNCTION refuse CASCADE",
    ),
    "a trigger with a code of its own": (
        TRIGGER.format(", ERRCODE = 'SHOP1'", "TRIGGER refuse AFTER UPDATE", ""),
        "SHOP1",
        "DROP FUNCTION refuse CASCADE",
    ),
    # Codes that speak for the connection or the server, but not out of a function.
    **{
        f"a trigger passes on {code}": (
            TRIGGER.format(f", ERRCODE = '{code}'", "TRIGGER refuse AFTER UPDATE", ""),
            code,
            "DROP FUNCTION refuse CASCADE",
        )
        for code in ("08006", "25006", "53100", "57P01")
    },
    "COMMIT refuses": (
        TRIGGER.format(
            "", "CONSTRAINT TRIGGER refuse AFTER UPDATE", "DEFERRABLE INITIALLY DEFERRED"
        ),
        "P0001",
        "DROP FUNCTION refuse CASCADE",
    ),
}


def reserve_some(db: Database) -> tuple[str, list[str]]:
    """The one to be refused, of quantity 13 and a product of its own, among others."""
    products = shop.add_products(db, 3)
    refused = shop.reserve(db, {products[0]: 13}, ttl_s=0)
    return refused, [shop.reserve(db, {products[1 + n % 2]: 1}, ttl_s=0) for n in range(40)]


@pytest.mark.parametrize(
    "refusal",
    [pytest.param(next(iter(REFUSALS)), marks=pytest.mark.valgrind), *list(REFUSALS)[1:]],
)
def test_refused_and_healed(
    db: Database, redis: redis_py.Redis, sweeper: Start, refusal: str
) -> None:
    spoil, sqlstate, fix = REFUSALS[refusal]
    refused, others = reserve_some(db)
    db.conn.execute(spoil)
    mirror(db, redis, refused, *others)
    daemon = sweeper(*ALONE)
    record = daemon.wait_for_record("refused", 20)
    assert (record["level"], record["reservationId"]) == ("ERROR", refused)
    assert record["sqlstate"] == sqlstate and record["error"]
    wait_until(lambda: shop.count_status(db, "released") == 40, 20, "the others")
    wait_until(lambda: not redis.exists(LEASES), 5, "settled")
    (kept,) = failures(redis).items()
    assert kept[0] == refused
    assert kept[1].keys() == {
        "error", "sqlstate", "attempts", "firstFailedAt", "lastFailedAt", "retryAt"
    }  # fmt: skip
    assert kept[1]["sqlstate"] == sqlstate and kept[1]["error"]
    assert 1 <= kept[1]["attempts"] <= 2
    assert kept[1]["firstFailedAt"] <= kept[1]["lastFailedAt"]
    assert 1000 <= kept[1]["retryAt"] - kept[1]["lastFailedAt"] <= 2000
    now_ms = float(db.value("SELECT extract(epoch FROM now()) * 1000"))  # type: ignore[arg-type]
    assert now_ms - 20_000 < kept[1]["lastFailedAt"] < now_ms + 1000  # a clock that is estimated
    assert redis.zscore(PENDING, refused) == kept[1]["retryAt"]
    db.conn.execute(fix)
    wait_until(lambda: shop.count_status(db, "released") == 41, 20, "healed")
    wait_until(lambda: is_empty(redis), 5, "nothing is left of it")
    assert db.query("SELECT DISTINCT available_stock, reserved_stock FROM inventory") == [(100, 0)]


def test_attempts_are_counted_over_restarts(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    refused, others = reserve_some(db)
    db.conn.execute(REFUSALS["a trigger refuses"][0])
    mirror(db, redis, refused)
    first = sweeper(*ALONE)
    first.wait_for_record("refused")
    wait_until(lambda: failures(redis), 5, "its record")
    assert first.stop() == 0
    began = failures(redis)[refused]["firstFailedAt"]
    second = sweeper(*ALONE)
    wait_until(lambda: failures(redis)[refused]["attempts"] == 2, 20, "the second attempt")
    again = failures(redis)[refused]
    assert again["firstFailedAt"] == began < again["lastFailedAt"]
    assert again["retryAt"] - again["lastFailedAt"] == 2000
    assert second.wait_for_record("refused")["attempts"] >= 1
    assert re.search(r"unlucky\"\s", again["error"]) and "größer" in again["error"]


@pytest.mark.parametrize("change", ["extended", "committed", "deleted"])
def test_a_refused_one_changes(
    db: Database, redis: redis_py.Redis, sweeper: Start, change: str
) -> None:
    refused, others = reserve_some(db)
    db.conn.execute(REFUSALS["a trigger refuses"][0])
    mirror(db, redis, refused)
    sweeper(*ALONE)
    wait_until(lambda: failures(redis), 20, "its record")
    db.conn.execute("DROP FUNCTION refuse CASCADE")
    db.conn.execute(
        {
            "extended": "UPDATE inventory_reservations SET expires_at = now() + '1 h'",
            "committed": "UPDATE inventory_reservations SET status = 'committed'",
            "deleted": "DELETE FROM inventory_reservations",
        }[change]
        + " WHERE id = %s",
        (refused,),
    )
    wait_until(lambda: not redis.exists(FAILED), 20, "its record is gone")
    assert redis.zcard(PENDING) == (1 if change == "extended" else 0)


def test_many_refused(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """They do not keep the others, nor the next ones."""
    refused = [reserve_some(db)[0] for _ in range(30)]
    db.conn.execute(REFUSALS["a trigger refuses"][0])
    ids = [row[0] for row in db.query("SELECT id::text FROM inventory_reservations")]
    mirror(db, redis, *ids)
    sweeper(*ALONE)
    wait_until(lambda: shop.count_status(db, "released") == 1200, 30, "the others")
    product = shop.add_product(db)
    for _ in range(5):
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0.3))
    wait_until(lambda: shop.count_status(db, "released") == 1205, 20, "the next ones")
    wait_until(lambda: failures(redis).keys() == set(refused), 20, "all records")
    assert shop.statuses(db) == {"released": 1205, "active": 30}


SLOW = """
    CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.quantity = 13 THEN PERFORM pg_sleep(2); END IF;
        RETURN NEW;
    END$$;
    CREATE TRIGGER take_long BEFORE UPDATE ON inventory_reservations FOR EACH ROW
        EXECUTE FUNCTION take_long()
"""


def test_longer_than_a_release_may_take(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """It is named, kept, and tried again, like whatever else Postgres does not do."""
    slow, others = reserve_some(db)
    db.conn.execute(SLOW)
    done = run("--once", "--lease", "1s")  # of which a release may take 400 ms
    counts = done.record("Cleanup job completed")
    assert (counts["cleanedCount"], counts["failedCount"], counts["skippedCount"]) == (40, 1, 0)
    assert done.status == 1 and done.record("refused")["sqlstate"] == "57014"
    daemon = sweeper("--lease", "1s", "--feed-interval", "300ms")
    record = daemon.wait_for_record("refused", 20)
    assert (record["reservationId"], record["sqlstate"]) == (slow, "57014")
    wait_until(lambda: failures(redis).get(slow, {}).get("sqlstate") == "57014", 20, "its record")
    db.conn.execute("DROP FUNCTION take_long CASCADE")
    wait_until(lambda: shop.count_status(db, "released") == 41, 20, "it is released")
    wait_until(lambda: is_empty(redis), 20, "nothing is left of it")
    shop.check_stock_adds_up(db)
