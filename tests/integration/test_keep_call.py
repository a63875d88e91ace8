"""keep_while and call in one queue: what is kept never reaches the shop's function."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis as redis_py
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.locks import transaction, waits
from harness.poll import wait_until
from harness.process import free_port
from harness.shapes import NO_REDIS
from harness.statement import prepare_sent
from harness.sweeper import Finished, Run, Start

# Two rows of an id, a counter that the function keeps, and a log of what it was called with.
TABLES = """
    CREATE TABLE events (id int PRIMARY KEY, free int NOT NULL DEFAULT 0);
    CREATE TABLE bookings (id int PRIMARY KEY);
    CREATE TABLE holds (seat int PRIMARY KEY, booking int NOT NULL REFERENCES bookings, event int NOT NULL DEFAULT 1,
        status text NOT NULL DEFAULT 'held', until timestamptz NOT NULL);
    CREATE INDEX ON holds (booking);
    CREATE TABLE payments (seat int NOT NULL REFERENCES holds, pending boolean NOT NULL DEFAULT true);
    CREATE TABLE calls (n serial, ids text);
    INSERT INTO events VALUES (1), (2);
    CREATE FUNCTION give_back(ids int[]) RETURNS SETOF int LANGUAGE plpgsql AS $$
    DECLARE n int;
    BEGIN
        INSERT INTO calls (ids) VALUES (ids::text);
        UPDATE holds SET status = 'free' WHERE booking = ANY (ids) AND status = 'held';
        GET DIAGNOSTICS n = ROW_COUNT;
        UPDATE events SET free = free + n WHERE id = 1;
        RETURN QUERY SELECT unnest(ids);
    END$$
"""
FILE = """\
tickets:
  table: holds
  id: booking
  expires_at: until
  active: status = 'held'
  keep_while: |
    EXISTS (SELECT FROM payments p WHERE p.seat = r.seat AND p.pending)
  call: give_back
"""


class Box:
    """A box office: bookings of two seats each, and how the sweeper is run there."""

    def __init__(self, db: Database, folder: Path, run: Run) -> None:
        self.db, self.run, self.file = db, run, folder / "queues.yaml"
        db.conn.execute(TABLES)  # type: ignore[arg-type]
        self.write()

    def write(self, more: str = "") -> None:
        self.file.write_text(FILE + more, encoding="utf-8")

    def mode(self, *args: str, dsn: str | None = None) -> Finished:
        env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
        return self.run(*args, "--queues", str(self.file), dsn=dsn or self.db.dsn, env=env)

    def book(self, *ids: int, s: float = -1) -> None:
        for id in ids:
            self.db.conn.execute(
                "WITH b AS (INSERT INTO bookings VALUES (%s) RETURNING id)"
                " INSERT INTO holds SELECT 10 * id + x, id, x, 'held', now() + %s * interval '1 s'"
                " FROM b, generate_series(1, 2) x",
                (id, s),
            )

    def pay(self, id: int) -> None:
        """For one of its seats."""
        self.db.conn.execute("INSERT INTO payments VALUES (%s)", (10 * id + 2,))

    def gave_up(self) -> None:
        self.db.conn.execute("UPDATE payments SET pending = false")

    def held(self) -> dict[int, int]:
        return dict(self.db.query("SELECT booking, count(*) FROM holds WHERE status = 'held' GROUP BY 1"))

    def calls(self) -> list[str]:
        return [ids for (ids,) in self.db.query("SELECT ids FROM calls ORDER BY n")]


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


@pytest.fixture
def box(db: Database, run: Run, tmp_path: Path) -> Box:
    return Box(db, tmp_path, run)


def test_what_is_kept_is_not_asked_for(box: Box) -> None:
    """Nor any other row of its id; and with nothing else due the function is not called at all."""
    box.book(1, 2, 3)
    box.book(4, s=600)
    box.pay(2)
    done = box.mode("--once", *NO_REDIS)
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"], record["keptCount"]) == (0, 2, 1), done.stderr
    assert (box.held(), box.calls()) == ({2: 2, 4: 2}, ["{1,3}"])
    record = box.mode("--once", *NO_REDIS).record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"], box.calls()) == (0, 1, ["{1,3}"])
    box.gave_up()
    assert box.mode("--once", *NO_REDIS).record("Cleanup job completed")["cleanedCount"] == 1
    assert (box.held(), box.calls()) == ({4: 2}, ["{1,3}", "{2}"])
    assert box.db.value("SELECT free FROM events WHERE id = 1") == 6


@pytest.mark.parametrize("held", ["a payment that is not committed", "the booking's other seat"])
def test_what_is_locked_is_not_asked_for(box: Box, held: str) -> None:
    box.book(1, 2)
    lock = {
        "a payment that is not committed": "INSERT INTO payments VALUES (22)",
        "the booking's other seat": "SELECT FROM holds WHERE seat = 21 FOR KEY SHARE",
    }[held]
    with transaction(box.db, (lock, None)):
        record = box.mode("--once", *NO_REDIS).record("Cleanup job completed")
        assert (record["cleanedCount"], record["keptCount"], record["skippedCount"]) == (1, 0, 1)
    assert (box.held(), set(box.calls())) == ({2: 2}, {"{1}"})


def test_a_payment_between_look_and_lock(box: Box) -> None:
    """The look saw none, and had the lock after it was committed: the function does not get the booking."""
    statements = {"lock": r"WITH rs\$seen AS", "release": r"WITH rs\$ours AS", "call": r"WITH rs\$taken AS"}
    for n, (name, begins) in enumerate(statements.items()):
        box.book(n + 1)
        prepare_sent(box.db, name, begins, "--once", *NO_REDIS, "--queues", str(box.file))
    text = str(box.db.value("SELECT statement FROM pg_prepared_statements WHERE name = 'lock'"))
    gate = "WHERE (SELECT pg_catalog.pg_advisory_xact_lock_shared(7)) IS NOT NULL AND (true"
    assert "WHERE (true" in text
    box.db.conn.execute("DEALLOCATE lock")
    box.db.conn.execute(text.replace("WHERE (true", gate, 1))  # type: ignore[arg-type]
    before = box.calls()

    def released(ids: str) -> int:
        box.db.conn.execute(f"EXECUTE release ('{ids}')")
        given = box.db.conn.execute(f"EXECUTE call ('{ids}')").fetchall()
        box.db.conn.execute("COMMIT")
        return len(given)

    with psycopg.connect(box.db.dsn) as customer, ThreadPoolExecutor(1) as pool:
        for id in range(10, 30):
            box.book(id)
            customer.execute("SELECT pg_advisory_xact_lock(7)")
            box.db.conn.execute("BEGIN")
            locking = pool.submit(box.db.conn.execute, f"EXECUTE lock ('{{{id}}}')")
            wait_until(lambda: waits(box.db), 20, "the locks wait")
            customer.execute("INSERT INTO payments VALUES (%s)", (10 * id + 2,))
            customer.commit()
            locking.result()
            assert released(f"{{{id}}}") == 0
    assert box.calls() == before and len(box.held()) == 20
    box.gave_up()
    box.db.conn.execute("BEGIN")
    box.db.conn.execute("EXECUTE lock ('{10}')")
    assert released("{10}") == 1


@pytest.mark.parametrize("keep", ["look_again: 1s", "extend: 1s"])
def test_a_daemon(box: Box, sweeper: Start, redis: redis_py.Redis, keep: str) -> None:
    """Kept, and then released, once, with what becomes due meanwhile."""
    box.write(f"  keep: {{{keep}}}\n")
    box.book(1, 2, 3, s=0)
    box.pay(2)
    daemon = sweeper("--queues", str(box.file), dsn=box.db.dsn)
    wait_until(lambda: box.held() == {2: 2}, 15, "the others")
    wait_until(lambda: redis.hexists("{tickets}:kept", "2"), 15, "it is kept")
    box.book(4)
    wait_until(lambda: box.held() == {2: 2}, 15, "one more")
    box.gave_up()
    wait_until(lambda: not box.held(), 15, "it is released")
    wait_until(lambda: not redis.exists("{tickets}:kept", "{tickets}:pending"), 15, "nothing is left")
    asked = sorted(id for ids in box.calls() for id in ids.strip("{}").split(","))
    assert asked == ["1", "2", "3", "4"] and daemon.stop() == 0


def test_one_error_of_each_kind(box: Box) -> None:
    """The function's own, the condition's, and the guard's: each is of one booking."""
    box.file.write_text(FILE.replace("p.pending)", "p.pending AND 1 / (r.booking - 2) < 9)"), encoding="utf-8")
    box.db.conn.execute(
        "ALTER FUNCTION give_back(int[]) RENAME TO given_back;"
        "CREATE FUNCTION give_back(ids int[]) RETURNS SETOF int LANGUAGE plpgsql AS $$BEGIN"
        "  IF 4 = ANY (ids) THEN RAISE EXCEPTION 'no'; END IF;"
        "  RETURN QUERY SELECT * FROM given_back(array_remove(ids, 5));"
        "  IF 5 = ANY (ids) THEN RETURN NEXT 5; END IF; END$$"
    )
    box.book(1, 2, 3, 4, 5)
    box.pay(2)
    box.pay(3)
    done = box.mode("--once", *NO_REDIS)
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"], record["failedCount"]) == (1, 1, 3), done.stderr
    refused = {
        r["reservationId"]: r["sqlstate"] for r in done.records if "refused to release a reservation" in r["message"]
    }
    assert refused == {"2": "22012", "4": "P0001", "5": "RS002"}
    assert box.held() == {2: 2, 3: 2, 4: 2, 5: 2}


def test_before_anything_is_changed(box: Box) -> None:
    """A dry run counts both kinds, a rehearsal shows both, and neither has changed anything."""
    box.write("  keep: {extend: 1m}\n")
    box.book(1, 2)
    box.pay(2)
    record = box.mode("--once", "--dry-run").record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
    report = json.loads(box.mode("--rehearse", "5").stdout)
    outcomes = {r["id"]: r["outcome"] for r in report["reservations"]}
    assert outcomes == {"1": "released", "2": "kept by keep_while"}
    assert (report["released"], report["refused"]) == (1, 0)
    assert (box.held(), box.calls()) == ({1: 2, 2: 2}, [])
    assert box.db.value("SELECT count(*) FROM holds WHERE until > now()") == 0


def test_what_it_needs_is_shown(box: Box, db: Database) -> None:
    """Locks, release, call: in that order; the grants are enough, and one that is missing is named."""
    box.write("  keep: {extend: 1m}\n")
    shown = box.mode("--show-sql").stdout
    sql, grants = shown[: shown.index("-- the grants")], re.findall(r"^GRANT .*;$", shown, re.M)
    order = [sql.index(text) for text in ("WITH rs$seen", "WITH rs$ours", '"give_back"(l.rs$ids)')]
    assert order == sorted(order)
    for i, statement in enumerate(s for s in re.split(r"^;$", sql, flags=re.M) if s.strip()):
        db.conn.execute(f"PREPARE s{i} AS\n{statement}".encode(), prepare=False)
    role, me = role_of(db), db.value("SELECT quote_ident(current_user)")
    db.conn.execute(
        "ALTER FUNCTION give_back SECURITY DEFINER; REVOKE EXECUTE ON FUNCTION give_back FROM PUBLIC;"
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'"
    )
    try:
        for grant in grants:
            db.conn.execute(grant.replace(f" TO {me};", f" TO {role};").encode(), prepare=False)
        box.book(1, 2)
        box.pay(2)
        check = box.mode("--check-config", dsn=dsn_of(db))
        assert check.status == 0 and not verdicts(check, "FAIL"), check.stdout
        record = box.mode("--once", *NO_REDIS, dsn=dsn_of(db)).record("Cleanup job completed")
        assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
        for right, wanted in (
            ("SELECT ON payments", "permission denied for table payments"),
            ("EXECUTE ON FUNCTION give_back", "permission denied for function give_back"),
        ):
            db.conn.execute(f"REVOKE {right} FROM {role}")
            check = box.mode("--check-config", dsn=dsn_of(db))
            assert check.status == 1 and wanted in check.stdout, check.stdout
            db.conn.execute(f"GRANT {right} TO {role}")
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
