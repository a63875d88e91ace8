"""What the sections of the alerts in docs/OPERATIONS.md, and those that answer questions, have one do,
while what they are about lasts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.queue import FAILED, PAUSED
from harness.runbook import KEEPS, PAGE, QUEUES, Day, OnCall, steps, unbroken
from harness.servers import Postgres, Redis
from harness.sweeper import Run


def all_released(db: Database) -> None:
    wait_until(lambda: set(shop.statuses(db)) == {"released"}, 10, "all are released")


def test_each_alert_with_commands_has_a_test() -> None:
    titles = re.findall(r"^## (ReservationSweeper\w+)$", PAGE.read_text(encoding="utf-8"), re.M)
    tested = re.findall(r'^ +day = Day\("(.*?)"', Path(__file__).read_text(encoding="utf-8"), re.M)
    assert len(titles) >= 15 and {title for title in titles if steps(title)} == set(tested)


def test_down(db: Database, on_call: OnCall) -> None:
    daemon, shell = on_call()
    daemon.stop()
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-60)
    day = Day("ReservationSweeperDown", shell)
    day.step()
    day.is_over()
    assert shop.statuses(db) == {"released": 1}


def test_postgres_unreachable(
    redis: redis_py.Redis, redis_server: Redis, on_call: OnCall, private_pg: Callable[..., Postgres]
) -> None:
    pg = private_pg(fsync=False)
    dsn = pg.dsn(pg.create_database())
    _, shell = on_call(env={"DATABASE_URL": dsn, "REDIS_URL": redis_server.url()})
    pg.kill9()
    day = Day("ReservationSweeperPostgresUnreachable", shell)
    day.step()
    assert "this host's clock" in unbroken(day.step()) and redis.exists(PAUSED)
    day.is_over()


def test_not_on_time(db: Database, on_call: OnCall) -> None:
    """A database that may not be written to."""
    daemon, shell = on_call()
    db.conn.execute(f"ALTER DATABASE {db.name} SET default_transaction_read_only = on")
    db.conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-60)
    wait_until(lambda: daemon.http("/readyz")[0] == 503, 10, "not on time")
    day = Day("ReservationSweeperNotOnTime", shell)
    day.step(patience=10)
    day.is_over()
    db.conn.execute(f"ALTER DATABASE {db.name} RESET default_transaction_read_only")
    all_released(db)


def test_failed_reservations(db: Database, redis: redis_py.Redis, on_call: OnCall) -> None:
    shop.reserve(db, {shop.add_product(db): 3}, ttl_s=-60)
    db.conn.execute("UPDATE inventory SET reserved_stock = 1, total_stock = available_stock + 1")
    day = Day("ReservationSweeperFailedReservations", on_call()[1])
    day.step(patience=20)
    day.step()
    all_released(db)
    day.step()
    day.step()
    day.is_over()
    wait_until(lambda: not redis.exists(FAILED), 10, "no record is left")
    shop.check_stock_adds_up(db)


def test_locked_reservations(db: Database, on_call: OnCall) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-60)
    with psycopg.connect(db.dsn, application_name="checkout") as conn:
        conn.execute("SELECT FROM inventory_reservations FOR UPDATE")
        day = Day("ReservationSweeperLockedReservations", on_call()[1])
        day.step()
        assert "checkout" in day.step()
        assert "open_for" in day.step()
        day.is_over()
    all_released(db)


def test_kept_reservations(db: Database, on_call: OnCall, tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUES.format(active="status = 'active'") + KEEPS)
    db.conn.execute("CREATE TABLE payments (reservation_id uuid, state text)")
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-9000)
    db.conn.execute("INSERT INTO payments SELECT id, 'pending' FROM inventory_reservations")
    _, shell = on_call("--queues", str(file), SWEEPER_QUEUES_FILE=str(file))
    day = Day("ReservationSweeperKeptReservations", shell)
    day.step(patience=10)
    db.conn.execute("UPDATE payments SET state = 'failed'")
    assert "retriedCount=1" in day.step()
    all_released(db)
    day.is_over()


def test_paused(db: Database, redis: redis_py.Redis, on_call: OnCall, run: Run) -> None:
    daemon, shell = on_call()
    run("--pause", "30m", "--reason", "the shop is down", env={"SUDO_USER": "ops"})
    daemon.wait_for_record("Paused: nothing is released")
    day = Day("ReservationSweeperPaused", shell)
    day.step()
    day.step()
    assert 3_600_000 < redis.pttl(PAUSED) <= 7_200_000
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-60)
    assert "cleanedCount=1" in day.step() and redis.exists(PAUSED)
    day.step()
    day.is_over()
    assert not redis.exists(PAUSED)


def test_degraded(db: Database, on_call: OnCall, private_redis: Callable[..., Redis]) -> None:
    server = private_redis()
    _, shell = on_call(env={"DATABASE_URL": db.dsn, "REDIS_URL": server.url()})
    server.kill9()
    day = Day("ReservationSweeperDegraded", shell)
    day.step()
    server.start()
    with server.client() as client:
        client.set(FAILED, "somebody else's")
    day.step()
    day.is_over()


def test_reconciliation_drift(db: Database, on_call: OnCall) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=600)
    db.conn.execute("UPDATE inventory SET reserved_stock = 6, total_stock = available_stock + 6")
    day = Day("ReservationSweeperReconciliationDrift", on_call()[1])
    day.step()
    day.is_over()


def test_is_it_running(db: Database, on_call: OnCall) -> None:
    for _ in range(9):
        shop.reserve(db, {shop.add_product(db): 1}, ttl_s=45)
    _, shell = on_call()
    running = Day("Four questions", shell)
    running.left = [step for step in running.left if step.shows is not None]
    running.step(patience=10)
    running.is_over()


def test_it_does_not_start(db: Database, on_call: OnCall) -> None:
    daemon, shell = on_call()
    daemon.stop()
    shell.env["DATABASE_URL"] = db.dsn.replace(db.name, "nope")
    stopped = Day("It does not start", shell)
    stopped.step(status=1)
    stopped.is_over()
