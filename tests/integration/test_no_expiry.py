"""A reservation with an active row that has no expiry is never due, whatever its others say."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until
from harness.queue import PENDING, is_empty
from harness.sweeper import Run, Start
from harness.web import metric

NEVER = ["NULL", "'infinity'"]


@pytest.fixture
def never(db: Database, request: Any) -> str:
    """Two rows have expired, the third has no end; another reservation of one row that has none."""
    db.conn.execute("ALTER TABLE inventory_reservations ALTER expires_at DROP NOT NULL")
    products = shop.add_products(db, 3, stock=1000)
    id = shop.reserve(db, dict.fromkeys(products, 1), ttl_s=-60)
    alone = shop.reserve(db, {products[0]: 1}, ttl_s=-60)
    db.conn.execute(
        f"UPDATE inventory_reservations SET expires_at = {request.param}"
        " WHERE (id = %s AND product_id = %s) OR id = %s",
        (id, products[1], alone),
    )
    return id


each = pytest.mark.parametrize("never", NEVER, indirect=True)


def active(db: Database) -> int:
    return shop.count_status(db, "active")


@each
@pytest.mark.parametrize("others", [3, 600])
def test_once(db: Database, run: Run, never: str, others: int) -> None:
    """The dry run and the run say the same."""
    shop.bulk_reserve(db, others, shop.add_products(db, 3, stock=1000))
    for extra in (("--dry-run",), ()):
        done = run("--once", *extra)
        record = done.record("Cleanup job completed")
        assert (record["cleanedCount"], record["releasedUnits"]) == (others, others)
        assert (record["failedCount"], record["skippedCount"], done.status) == (0, 0, 0)
    assert shop.statuses(db) == {"released": others, "active": 4}
    shop.check_stock_adds_up(db)


@each
def test_reconcile(db: Database, run: Run, never: str) -> None:
    for extra in (("--dry-run",), ()):
        done = run("--reconcile", "--lookahead", "off", *extra, "--report", "-")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line for line in found if line["kind"] == "expired"] == []
        assert done.record("Reconciliation completed")["releasedCount"] == 0
    assert active(db) == 4


@pytest.mark.parametrize("never", ["NULL"], indirect=True)
def test_nothing_is_missing_of_it(db: Database, run: Run, never: str) -> None:
    """No entry of Redis is asked for, and one that is there is stale, and stays until it is due."""
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + interval '1 h'"
        " WHERE expires_at IS NOT NULL"
    )
    done = run("--reconcile", "--lookahead", "off")
    record = done.record("Reconciliation completed")
    assert (record["mirrorMissing"], record["remainingCount"], done.status) == (0, 0, 0)


@pytest.mark.parametrize("never", ["NULL"], indirect=True)
def test_the_daemon_forgets_it(
    db: Database, redis: redis_py.Redis, sweeper: Start, never: str
) -> None:
    """It is mirrored by no look, and an entry of the API's is forgotten."""
    daemon = sweeper("--feed-interval", "200ms", "--scan-interval", "1s", http=True)
    redis.zadd(PENDING, {never: 1})
    wait_until(lambda: is_empty(redis), 20, "nothing is left to look at")
    holds(lambda: is_empty(redis), 2.5, "no look mirrors it again")
    status = json.loads(daemon.http("/status")[1])
    assert daemon.http("/readyz")[0] == 200
    assert active(db) == 4, status
    assert metric(daemon, "overdue_seconds") == 0


@pytest.mark.parametrize("never", ["NULL"], indirect=True)
def test_what_is_late_is_found_behind_many(db: Database, run: Run, never: str) -> None:
    """More of them than a look at what is late takes, all older than it."""
    product = shop.add_product(db)
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " SELECT md5(i::text)::uuid, product_id, 1,"
        " CASE WHEN product_id = %(p)s THEN now() - interval '1 h' END"
        " FROM generate_series(1, 600) AS i, inventory"
        " WHERE product_id IN (%(p)s, (SELECT min(product_id::text)::uuid FROM inventory"
        "                               WHERE product_id <> %(p)s))",
        {"p": product},
    )
    shop.reserve(db, {product: 1}, ttl_s=-50)
    found = json.loads(run("--status", "--lookahead", "off").stdout)
    assert 45 < found["overdueSeconds"] < 120, found


def test_minus_infinity(db: Database, run: Run) -> None:
    """It has expired, and so has what it stands beside."""
    products = shop.add_products(db, 2)
    shop.reserve(db, dict.fromkeys(products, 1), ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = '-infinity' WHERE product_id = %s",
        (products[0],),
    )
    shop.reserve(db, {products[0]: 1}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = '-infinity'"
        " WHERE id = (SELECT id FROM inventory_reservations GROUP BY id HAVING count(*) = 1)"
    )
    assert run("--once", "--dry-run").record("Cleanup job completed")["cleanedCount"] == 2
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 2
    shop.check_stock_adds_up(db)
