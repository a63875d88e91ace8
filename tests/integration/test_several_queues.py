"""Several queues in one daemon, and in the modes that end by themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import behind_a_lock
from harness.poll import until_ready, wait_until, within
from harness.process import free_port
from harness.servers import Postgres
from harness.sweeper import Record, Run, Start, Sweeper
from harness.web import TOKEN, WITH_TOKEN, readyz, scrape

QUEUE = """
{name}:
  table: inventory_reservations
  id: id
  expires_at: expires_at
  quantity: quantity
  active: status = 'active'
  released: status = 'released', updated_at = now()
  stock:
    table: inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
    set: updated_at = now()
"""
NOWHERE = f"postgresql://nobody@127.0.0.1:{free_port()}/none"


def queues(second: str = "OTHER") -> str:
    """The first in the database of DATABASE_URL, the second in another."""
    return QUEUE.format(name="first") + QUEUE.format(name="second") + f"  database: {second}\n"


@pytest.fixture
def other(pg_server: Postgres) -> Iterator[Database]:
    database = Database.create(pg_server)
    yield database
    database.drop()


def two(other: Database | str, **more: str) -> dict[str, str]:
    dsn = other if isinstance(other, str) else other.dsn
    return {"SWEEPER_QUEUES": queues(), "OTHER_DATABASE_URL": dsn, **more}


def about(daemon: Sweeper, message: str) -> dict[str | None, list[Record]]:
    found: dict[str | None, list[Record]] = {}
    for record in daemon.records:
        if message in record["message"]:
            found.setdefault(record.get("queue"), []).append(record)
    return found


def answers(daemon: Sweeper) -> None:
    def asked() -> bool:
        try:
            return daemon.http("/healthz")[0] == 200
        except OSError:
            return False

    wait_until(asked, 20, "it answers")


def hold(db: Database, n: int = 1, ttl_s: float = 0.3) -> None:
    product = shop.add_product(db, stock=1000)
    for _ in range(n):
        shop.reserve(db, {product: 1}, ttl_s=ttl_s)


def test_each_releases_its_own(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """By keys of its own, with figures of its own."""
    daemon = sweeper("--feed-interval", "1s", env=two(other), http=True)
    until_ready(daemon)
    hold(db, 3)
    hold(other, 2)
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "the first's")
    wait_until(lambda: shop.count_status(other, "released") == 2, 20, "the second's")
    assert scrape(daemon, "first")["released_total"] == 3
    assert scrape(daemon, "second")["released_total"] == 2
    status = json.loads(daemon.http("/status")[1])
    assert [q["queue"] for q in status["queues"]] == ["first", "second"]
    assert status["queues"][1]["postgres"]["address"] != status["queues"][0]["postgres"]["address"]
    assert "pending" not in status and status["ready"] is True and status["redis"]["up"] is True
    assert json.loads(daemon.http("/status?queue=second")[1])["pending"] == 0
    assert not redis.exists("{reservations}:pending")
    assert redis.exists("{first}:feeder") and redis.exists("{second}:feeder")
    for queue, records in about(daemon, "Serving a queue").items():
        assert [r["keyPrefix"] for r in records] == [queue]
    assert daemon.stop() == 0
    [stopped] = daemon.find("Stopped")
    assert stopped["releasedTotal"] == 5 and "queue" not in stopped


def test_one_database_is_out_of_reach(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """The other queue goes on; readiness says which is late; the outage is said once, of no queue."""
    daemon = sweeper("--feed-interval", "1s", env=two(NOWHERE), http=True)
    answers(daemon)
    wait_until(lambda: readyz(daemon)[1]["queues"][0]["ready"], 20, "the first is on time")
    hold(db)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "it releases")
    status, body = readyz(daemon)
    assert status == 503 and body["reason"].startswith("queue second: Postgres is out of reach")
    assert [q["ready"] for q in body["queues"]] == [True, False]
    assert daemon.http("/readyz?queue=first")[0] == 200
    assert daemon.http("/readyz?queue=second")[0] == 503
    wait_until(lambda: about(daemon, "Postgres is out of reach"), 20, "an outage")
    assert set(about(daemon, "Postgres is out of reach")) == {None}
    assert scrape(daemon, "first")["postgres_up"] == 1
    assert scrape(daemon, "second")["postgres_up"] == 0
    assert daemon.stop() == 0


def test_a_table_that_does_not_exist(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    other.conn.execute("DROP TABLE inventory_reservations")
    daemon = sweeper("--feed-interval", "1s", env=two(other), http=True)
    hold(db)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the first releases")
    wait_until(lambda: about(daemon, "cannot be used as it is"), 20, "it is said")
    assert set(about(daemon, "cannot be used as it is")) == {"second"}
    status, body = readyz(daemon)
    assert status == 503 and "queue second: " in body["reason"] and "first" not in body["reason"]


def test_both_fail_at_once(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Each record about a reservation has its own queue's name, whatever both do meanwhile."""
    for one in (db, other):
        hold(one, 5, ttl_s=0.5)
        one.conn.execute(
            "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        )
    daemon = sweeper("--feed-interval", "1s", env=two(other), http=True)
    answers(daemon)
    refused = "Postgres refused to release a reservation"
    wait_until(
        lambda: all(scrape(daemon, q).get('failed_total{sqlstate="23514"}') for q in ("first", "second")),
        20,
        "both are refused",
    )
    wait_until(lambda: set(about(daemon, refused)) == {"first", "second"}, 20, "both are said")
    for queue, database in (("first", db), ("second", other)):
        ids = {row[0] for row in database.query("SELECT id::text FROM inventory_reservations")}
        assert {r["reservationId"] for r in about(daemon, refused)[queue]} <= ids
    assert set(about(daemon, "Redis connected")) == {None}


def test_http_chooses(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    daemon = sweeper("--lookahead", "off", "--scan-interval", "off", env=two(other, **WITH_TOKEN), http=True)
    until_ready(daemon)
    for one in (db, other):
        hold(one, 2, ttl_s=-1)

    def post(path: str) -> tuple[int, dict[str, Any]]:
        status, body = daemon.http(path, "POST", TOKEN)
        return status, json.loads(body)

    status, body = post("/sweep?queue=third")
    assert status == 400 and body["error"] == 'unknown queue "third": there are first, second'
    assert daemon.http("/status?queue=third")[0] == 400
    assert post("/sweep?queue=second") == (200, {"cleanedCount": 2})
    assert shop.count_status(db, "released") == 0
    assert post("/sweep") == (200, {"cleanedCount": 2, "queues": {"first": 2, "second": 0}})
    wait_until(lambda: len(daemon.find("Cleanup job completed")) == 2, 10, "both are said")
    one, both = daemon.find("Cleanup job completed")
    assert one["queue"] == "second" and "queues" not in one
    assert "queue" not in both and both["queues"] == {"first": 2, "second": 0}
    assert post("/reconcile?dryRun=true")[0] == 202
    wait_until(
        lambda: set(about(daemon, "Reconciliation completed")) == {"first", "second"}, 60, "both"
    )
    assert "reconcile_success" in scrape(daemon, "first")
    assert "reconcile_success" in scrape(daemon, "second")


def test_a_sweep_of_which_one_fails(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper("--lookahead", "off", "--scan-interval", "off", env=two(NOWHERE, **WITH_TOKEN), http=True)
    answers(daemon)
    wait_until(lambda: readyz(daemon)[1]["queues"][0]["ready"], 20, "the first is on time")
    hold(db, 2, ttl_s=-1)
    status, body = daemon.http("/sweep", "POST", TOKEN)
    found = json.loads(body)
    assert status == 503 and "Postgres is out of reach" in found["error"]
    assert found["cleanedCount"] == 2 and found["queues"] == {"first": 2, "second": 0}
    for message in ("Cleanup job completed", "Cleanup job failed"):  # of one stream and of the other
        daemon.wait_for_record(message)
    assert set(about(daemon, "Cleanup job failed")) == {"second"}
    assert [r["cleanedCount"] for r in daemon.find("Cleanup job completed")] == [2]


def test_modes_go_through_all(
    db: Database, other: Database, redis: redis_py.Redis, run: Run
) -> None:
    for one in (db, other):
        hold(one, 2, ttl_s=-1)
    done = run("--once", "--queue", "second", env=two(other))
    assert done.status == 0 and done.record("Cleanup job completed")["queue"] == "second"
    hold(other, 1, ttl_s=-1)
    done = run("--once", env=two(other))
    record = done.record("Cleanup job completed")
    assert done.status == 0 and record["cleanedCount"] == 3
    assert record["queues"] == {"first": 2, "second": 1} and "queue" not in record
    status = json.loads(run("--status", env=two(other)).stdout)
    assert [q["queue"] for q in status["queues"]] == ["first", "second"] and status["ready"] is True
    done = run("--reconcile", env=two(other))
    assert done.status == 0
    names = [r.get("queue") for r in done.records if r["message"] == "Reconciliation completed"]
    assert names == ["first", "second", None]


def test_a_failure_does_not_stop_the_others(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """... and decides the exit status."""
    hold(db, 2, ttl_s=-1)
    env = {"SWEEPER_QUEUES": QUEUE.format(name="broken") + "  database: OTHER\n" + QUEUE.format(name="sound"),
           "OTHER_DATABASE_URL": NOWHERE}
    done = run("--once", env=env)
    assert done.status == 1
    assert [r.get("queue") for r in done.records if r["level"] == "ERROR"] == ["broken"]
    assert done.record("Cleanup job completed")["queues"] == {"broken": 0, "sound": 2}
    product = shop.add_product(db)
    db.conn.execute(
        "UPDATE inventory SET total_stock = total_stock + 1, available_stock = available_stock + 1,"
        " reserved_stock = reserved_stock + 0 WHERE product_id = %s", (product,))
    assert run("--reconcile", env=env).status == 1
    assert run("--status", env=env).status == 1


def test_a_backlog_of_one_does_not_make_the_other_late(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    products = shop.add_products(db, 50, stock=10_000)
    shop.bulk_reserve(db, 100_000, products)
    daemon = sweeper("--feed-interval", "1s", env=two(other), http=True)
    product = shop.add_product(other, stock=1000)
    wait_until(lambda: shop.count_status(db, "released") > 0, 30, "the backlog is being released")
    began = time.monotonic()
    for _ in range(20):
        shop.reserve(other, {product: 1}, ttl_s=1.5)
    wait_until(lambda: shop.count_status(other, "released") == 20, 30, "the other's")
    assert max(shop.lateness(other)) < within(1), time.monotonic() - began
    wait_until(lambda: shop.count_status(db, "released") == 100_000, 120, "the backlog", step=0.5)


def test_stop_while_both_are_busy(
    db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    with behind_a_lock(db, 100), behind_a_lock(other, 100):
        for one in (db, other):
            shop.bulk_reserve(one, 20_000, shop.add_products(one, 20, stock=10_000))
        daemon = sweeper(env=two(other))
        for one in (db, other):
            wait_until(lambda one=one: shop.count_status(one, "released") > 0, 30, "it releases")
        assert daemon.stop() == 0
    for one, name in ((db, "first"), (other, "second")):
        shop.check_stock_adds_up(one)
        assert redis.zcard(f"{{{name}}}:leases") == 0
