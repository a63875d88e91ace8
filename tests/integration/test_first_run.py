"""What a start finds due, and the first-run limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until
from harness.queue import PENDING, mirror
from harness.sweeper import Run, Start

ACCEPTED = "{reservations}:accepted"
HELD = "{reservations}:held"
DUE = "Reservations that are due at the start"
STOPPED = "More is due than the first-run limit allows: nothing is released"
TOKEN = "a-token-of-sixteen-bytes"
POST = {"SWEEPER_ADMIN_TOKEN": TOKEN}
OFF = "redis://127.0.0.1:1"


def overdue(db: Database, n: int) -> None:
    shop.bulk_reserve(db, n, shop.add_products(db, 3, stock=1000))


def released(db: Database) -> int:
    return shop.statuses(db).get("released", 0)


def is_held(db: Database, daemon: Any) -> None:
    daemon.wait_for_record(STOPPED, 20)
    status, body = daemon.http("/readyz")
    assert status == 503 and "--yes" in body, body
    holds(lambda: released(db) == 0, 1.0, "nothing is released")


def test_it_is_always_said(db: Database, run: Run) -> None:
    overdue(db, 7)
    since = str(
        db.value(
            "SELECT to_char(min(expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"
            " FROM inventory_reservations"
        )
    )
    record = run("--once").record(DUE)
    assert (record["dueCount"], record["orMore"], record["level"]) == (7, False, "INFO")
    assert record["dueSince"].startswith(since)
    assert run("--once").record(DUE)["dueCount"] == 0


def test_many_of_a_table_that_was_never_analyzed(db: Database, run: Run) -> None:
    """An index of all that is active is not read for each of them."""
    overdue(db, 20_000)
    record = run("--once").record(DUE)
    assert (record["dueCount"], record["orMore"]) == (10_000, True)


def test_rows_of_one_id_count_once_and_only_when_all_are_due(db: Database, run: Run) -> None:
    products = shop.add_products(db, 3, stock=100)
    shop.reserve(db, dict.fromkeys(products, 1), ttl_s=-60)
    shop.reserve(db, dict.fromkeys(products, 1), ttl_s=-60)
    waits = shop.reserve(db, dict.fromkeys(products, 1), ttl_s=-90)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + interval '1 h'"
        " WHERE id = %s AND product_id = %s",
        (waits, products[0]),
    )
    assert run("--once").record(DUE)["dueCount"] == 2


@pytest.mark.parametrize("n,limit,status", [(5, "5", 0), (6, "5", 1), (1, "0", 1)])
def test_once(db: Database, run: Run, n: int, limit: str, status: int) -> None:
    overdue(db, n)
    done = run("--once", "--first-run-limit", limit)
    assert done.status == status, done.stderr
    assert released(db) == (n if status == 0 else 0)
    if status == 1:
        record = done.record(STOPPED)
        assert (record["dueCount"], record["firstRunLimit"]) == (int(limit) + 1, int(limit))
        assert run("--once", "--first-run-limit", limit, "--yes").status == 0
        assert released(db) == n


def test_once_remembers_nothing(db: Database, redis: redis_py.Redis, run: Run) -> None:
    for n in (1, 2):
        overdue(db, n)
        done = run("--once", "--first-run-limit", "1")
        assert done.status == (0 if n == 1 else 1)
    assert not redis.exists(ACCEPTED)


def test_the_daemon_waits_for_a_yes(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """Neither what Postgres knows nor what Redis knows is released, nor by POST."""
    overdue(db, 6)
    ids = [id for (id,) in db.query("SELECT id::text FROM inventory_reservations")]
    mirror(db, redis, *ids)
    daemon = sweeper("--first-run-limit", "5", http=True, env=POST)
    is_held(db, daemon)
    for path in ("/sweep", "/reconcile"):
        status, body = daemon.http(path, method="POST", token=TOKEN)
        assert status == 503 and "--yes" in body, body
    assert released(db) == 0 and redis.zcard(PENDING) == 6 and not redis.exists(ACCEPTED)
    assert run("--reconcile", "--first-run-limit", "5").status == 1
    assert released(db) == 0
    daemon.stop()

    daemon = sweeper("--first-run-limit", "5", "--yes", http=True)
    wait_until(lambda: released(db) == 6, 20, "all are released")
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 20, "it is ready")
    daemon.stop()
    overdue(db, 8)  # by the mapping that was accepted
    sweeper("--first-run-limit", "5")
    wait_until(lambda: released(db) == 14, 20, "it is remembered")


def test_modes_say_that_a_daemon_holds_the_queue(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """They are not given its flag. Once it is accepted that is over, though another still holds it."""
    overdue(db, 6)
    later = shop.reserve(db, {shop.add_product(db, stock=5): 1}, ttl_s=600)
    due = str(db.value("SELECT id::text FROM inventory_reservations ORDER BY expires_at LIMIT 1"))

    def explained(id: str, *args: str) -> dict[str, Any]:
        done = run("--explain", id, *args)
        assert done.status == 0, done.stderr
        return json.loads(done.stdout)

    def status() -> dict[str, Any]:
        return json.loads(run("--status").stdout)

    daemon = sweeper("--first-run-limit", "5", http=True)
    is_held(db, daemon)
    wait_until(lambda: explained(due)["cause"] == "firstRunLimit", 20, "--explain says so")
    for said in (explained(due), explained(due, "--first-run-limit", "1000")):
        assert said["cause"] == "firstRunLimit" and "--yes" in said["todo"], said
        assert "more than 5 reservations are due" in said["why"], said
    assert "queue is held" in explained(later)["next"]
    assert not status()["ready"] and "the first-run limit" in status()["reason"], status()

    other = sweeper("--first-run-limit", "5", "--yes", http=True)
    wait_until(lambda: released(db) == 6, 20, "another releases")
    assert redis.exists(HELD)
    assert explained(later)["cause"] == "notDue" and "held" not in explained(later)["next"]
    assert "limit" not in status().get("reason", "")
    redis.delete(ACCEPTED)
    wait_until(lambda: "queue is held" in explained(later)["next"], 20, "it is held again")
    assert daemon.stop() == 0 and not redis.exists(HELD)
    assert other.stop() == 0


def test_a_daemon_that_is_gone_holds_nothing(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    overdue(db, 6)
    daemon = sweeper("--first-run-limit", "5")
    wait_until(lambda: redis.exists(HELD), 20, "it has told so")
    assert 0 < redis.pttl(HELD) <= 10_000
    daemon.kill()
    wait_until(lambda: not redis.exists(HELD), 20, "it is forgotten")


def test_another_mapping_is_asked_for_again(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    overdue(db, 6)
    redis.set(ACCEPTED, "0123456789abcdef 6 due")
    daemon = sweeper("--first-run-limit", "5", http=True)
    is_held(db, daemon)
    daemon.stop()
    sweeper("--first-run-limit", "6")
    wait_until(lambda: released(db) == 6, 20, "a higher limit")
    assert not redis.get(ACCEPTED).startswith(b"0123456789abcdef")


def test_without_redis_nothing_is_remembered(db: Database, sweeper: Start) -> None:
    overdue(db, 6)
    daemon = sweeper("--first-run-limit", "5", redis_url=OFF, http=True)
    is_held(db, daemon)
    daemon.stop()
    sweeper("--first-run-limit", "5", "--yes", redis_url=OFF)
    wait_until(lambda: released(db) == 6, 20, "it is released straight from Postgres")


def test_redis_that_comes_later_remembers(
    db: Database, private_redis: Callable[..., Any], sweeper: Start
) -> None:
    overdue(db, 1)
    server = private_redis()
    first = sweeper("--first-run-limit", "5", redis_url=server.url())
    wait_until(lambda: released(db) == 1, 20, "it is accepted")
    assert first.stop() == 0  # else it would go on without Redis
    with server.client() as client:
        assert client.exists(ACCEPTED)
    server.pause()
    overdue(db, 6)
    daemon = sweeper("--first-run-limit", "5", redis_url=server.url(), http=True)
    daemon.wait_for_record(STOPPED, 20)
    server.resume()
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 20, "it was accepted before")
