"""A table that somebody holds locked, as a migration does: whoever asks is told which one, by whom and since when,
of the queue's own tables and of those that its SQL alone names; and nothing of the queues file is blamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.poll import wait_until
from harness.process import free_port
from harness.sweeper import Run, Start, Sweeper
from harness.web import readyz

TABLES = """
    CREATE TABLE holds (id integer PRIMARY KEY, seat integer, status text NOT NULL DEFAULT 'held',
        expires_at timestamptz NOT NULL);
    CREATE TABLE seats (id integer PRIMARY KEY, held integer NOT NULL DEFAULT 0, sold boolean);
    CREATE TABLE payments (hold integer NOT NULL);
    CREATE VIEW underway AS SELECT hold FROM payments;
    CREATE TABLE "Log" (hold integer);
    CREATE TABLE ledger (hold integer);
    INSERT INTO seats VALUES (1, 1);
    INSERT INTO holds VALUES (7, 1, 'held', now() - interval '5 s')
"""
FILE = """
tickets:
  table: holds
  active: status = 'held'
  released: status = 'free'
  stock: {table: seats, key: {seat: id}, held: held, set: sold = false}
  keep_while: EXISTS (SELECT FROM underway u WHERE u.hold = r.id)
  also:
    - INSERT INTO "Log" SELECT id FROM {released}
  verify:
    - SELECT hold FROM ledger WHERE hold < 0
"""
# The table, and what leads to it.
NAMED = {
    "holds": "holds",
    "counters": "seats",
    "keep_while, by a view": "payments",
    "also": '"Log"',
    "verify": "ledger",
}


@pytest.fixture
def db(empty_db: Database) -> Database:
    empty_db.conn.execute(TABLES)
    return empty_db


@pytest.fixture
def queues(tmp_path: Path) -> tuple[str, ...]:
    file = tmp_path / "queues.yaml"
    file.write_text(FILE, encoding="utf-8")
    return ("--queues", str(file))


@contextmanager
def migration(db: Database, table: str) -> Iterator[int]:
    with psycopg.connect(db.dsn, application_name="mig") as conn:
        conn.execute(f"LOCK TABLE {table}".encode())
        yield conn.info.backend_pid
        conn.rollback()


def is_said(text: str, table: str, pid: int) -> None:
    said = text.replace('\\"', '"')
    assert f"table {table} is locked by pid {pid} (" in said, text
    assert 'application "mig", AccessExclusiveLock) since 20' in said, text
    assert "refuses" not in text and "queues.yaml" not in text, text


@pytest.mark.parametrize("table", NAMED.values(), ids=NAMED)
def test_the_modes(db: Database, run: Run, queues: tuple[str, ...], table: str) -> None:
    env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    with migration(db, table) as pid:
        (failure,) = verdicts(run("--check-config", *queues, env=env), "FAIL")
        is_said(failure, table, pid)
        done = run("--explain", "7", *queues)
        said = json.loads(done.stdout)
        assert done.status == 0 and said["cause"] == "tableLocked", done.stdout
        assert f"A whole table is locked, {table}, by pid {pid} " in said["why"] and "mig" in said["why"]
        assert f"pg_terminate_backend({pid})" in said["todo"] and "--check-config" not in said["todo"]
        assert said["blocker"]["blockerPid"] == pid and said["blocker"]["blockerSince"]
        done = run("--list", "locked", *queues)
        is_said(done.record("Reservations could not be listed")["error"], table, pid)
        done = run("--once", *queues)
        assert done.status == 1
        is_said(done.record("Cleanup job failed")["error"], table, pid)
    done = run("--once", *queues)
    assert done.status == 0 and done.record("Cleanup job completed")["cleanedCount"] == 1


def test_a_daemon_started_meanwhile(
    db: Database, redis: redis_py.Redis, sweeper: Start, queues: tuple[str, ...]
) -> None:
    """It says who is in its way, once, and serves when the table is free."""
    with migration(db, "payments") as pid:
        daemon = sweeper(*queues, http=True)
        is_said(daemon.wait_for_record("The database cannot be used as it is", 20)["error"], "payments", pid)
        wait_until(lambda: "payments" in readyz(daemon)[1]["reason"], 20, "not ready for it")
        is_said(readyz(daemon)[1]["reason"], "payments", pid)
        said = asked(daemon, 7)
        assert said["cause"] == "tableLocked" and f"pid {pid} " in said["why"], said
        assert len(daemon.find("The database cannot be used as it is")) == 1
    wait_until(lambda: db.value("SELECT status FROM holds") == "free", 20, "released")


def asked(daemon: Sweeper, id: int) -> dict[str, Any]:
    status, body = daemon.http(f"/explain?id={id}")
    assert status == 200, body
    return json.loads(body)


def test_a_daemon_that_serves(db: Database, redis: redis_py.Redis, sweeper: Start, queues: tuple[str, ...]) -> None:
    """Its statements have been proved before."""
    daemon = sweeper(*queues, http=True)
    wait_until(lambda: db.value("SELECT status FROM holds") == "free", 20, "released")
    db.conn.execute("INSERT INTO holds VALUES (8, 1, 'held', now() + interval '1 h')")
    with migration(db, "payments") as pid:
        said = asked(daemon, 8)
        assert said["cause"] == "tableLocked" and f"payments, by pid {pid} " in said["why"], said
    assert asked(daemon, 8)["cause"] == "notDue"


def test_by_whom_is_not_known(db: Database, run: Run, queues: tuple[str, ...]) -> None:
    """Of a table within a function: it is still a lock, and Postgres is not to be seen to."""
    db.conn.execute(
        "CREATE TABLE hidden (hold integer);"
        "CREATE FUNCTION paid(hold integer) RETURNS boolean STABLE LANGUAGE sql AS"
        " 'SELECT EXISTS (SELECT FROM hidden h WHERE h.hold = $1)'"
    )
    file = Path(queues[1])
    file.write_text(FILE.replace("EXISTS (SELECT FROM underway u WHERE u.hold = r.id)", "paid(r.id)"), encoding="utf-8")
    with migration(db, "hidden"):
        done = run("--explain", "7", *queues)
        said = json.loads(done.stdout)
        assert done.status == 1 and said["cause"] == "tableLocked", done.stdout
        assert "by whom is not known" in said["why"] and "pg_locks" in said["todo"]


def test_without_a_file(pg_server: object, run: Run) -> None:
    """The tables that are built in: a job that waits for one says for whom."""
    db = Database.create(pg_server)  # type: ignore[arg-type]
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-5)
    try:
        with migration(db, "inventory_reservations") as pid:
            done = run("--once", dsn=db.dsn, timeout=60)
            assert done.status == 1
            is_said(done.record("Cleanup job failed")["error"], "inventory_reservations", pid)
            done = run("--list", "due", dsn=db.dsn)
            error = done.record("Reservations could not be listed")["error"]
            is_said(error, "inventory_reservations", pid)
            assert error.startswith("what is due cannot be looked for in Postgres: ")
    finally:
        db.drop()


def test_a_right_that_is_missing(db: Database, run: Run, queues: tuple[str, ...]) -> None:
    """Postgres was asked, and says which: it is to be granted, and Postgres not to be seen to."""
    role = role_of(db)
    db.conn.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT, UPDATE, INSERT ON ALL TABLES IN SCHEMA public TO {role};"
        f"REVOKE SELECT ON payments, underway FROM {role}"
    )
    try:
        done = run("--explain", "7", *queues, dsn=dsn_of(db))
        said = json.loads(done.stdout)
        assert done.status == 1 and said["cause"] == "tablesUnusable", done.stdout
        assert "lacks a right" in said["why"] and "permission denied for view underway" in said["why"]
        assert said["todo"] == "Grant it; --show-sql prints the grants that are needed."
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
