"""keep_while: what is known before anything is sent; dry runs, rehearsals and reconciliations."""

from __future__ import annotations

import json
import re

import pytest
import redis as redis_py
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.payments import SEATS_FILE, OpenHall, record_of
from harness.process import free_port
from harness.sweeper import Run


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


def test_a_dry_run(open_hall: OpenHall, run: Run) -> None:
    """It counts what would be kept, and changes nothing."""
    hall = open_hall("  keep: {extend: 1m}\n")
    hall.hold(1)
    hall.hold(2, paid=False)
    hall.hold(3, s=600)
    record = run("--once", "--dry-run", "--queues", str(hall.file)).record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
    assert hall.held(1) and hall.held(2) and hall.left(1) < 0


def test_a_rehearsal(open_hall: OpenHall, run: Run) -> None:
    hall = open_hall("  keep: {extend: 1m}\n")
    hall.hold(1)
    hall.hold(2, paid=False)
    report = json.loads(run("--rehearse", "5", "--queues", str(hall.file)).stdout)
    assert {(r["id"], r["outcome"]) for r in report["reservations"]} == {
        ("1", "kept by keep_while"),
        ("2", "released"),
    }
    changes = {c["id"]: (c["before"], c["after"]) for c in report["changes"]}
    assert changes["1"][0]["expires_at"] < changes["1"][1]["expires_at"]
    assert hall.held(1) and hall.held(2) and hall.left(1) < 0


def test_what_it_needs_is_shown(open_hall: OpenHall, db: Database, run: Run) -> None:
    """The statements can be prepared; the grants are enough, and one that is missing is named."""
    hall = open_hall("  keep: {extend: 1m}\n")
    shown = run("--show-sql", "--queues", str(hall.file)).stdout
    statements = [s for s in re.split(r"^;$", shown[: shown.index("-- the grants")], flags=re.M) if s.strip()]
    assert any("the lock before a release" in s for s in statements)
    for i, sql in enumerate(statements):
        db.conn.execute(f"PREPARE s{i} AS\n{sql}".encode(), prepare=False)
    grants = [g for g in shown.splitlines() if g.startswith("GRANT ")]
    assert any('UPDATE ("expires_at", "status")' in g for g in grants)
    role = role_of(db)
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    me = db.value("SELECT quote_ident(current_user)")
    for grant in grants:
        db.conn.execute(grant.replace(f" TO {me};", f" TO {role};").encode(), prepare=False)
    hall.hold(1)
    hall.hold(2, paid=False)
    env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    check = run("--check-config", "--queues", str(hall.file), dsn=dsn_of(db), env=env)
    assert check.status == 0, check.stdout
    record = run("--once", "--queues", str(hall.file), dsn=dsn_of(db)).record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
    db.conn.execute(f"REVOKE SELECT ON payments FROM {role}".encode())
    check = run("--check-config", "--queues", str(hall.file), dsn=dsn_of(db), env=env)
    assert check.status == 1 and "permission denied for table payments" in check.stdout
    db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode(), prepare=False)


@pytest.mark.parametrize("through", ["payments", "a view"])
def test_payments_that_are_hidden(open_hall: OpenHall, db: Database, run: Run, through: str) -> None:
    """What row security hides keeps nothing: that is said, of whichever table it is."""
    hall = open_hall("")
    if through == "a view":
        hall.file.write_text(SEATS_FILE.replace("FROM payments p", "FROM underway p"), encoding="utf-8")
    role = role_of(db)
    db.conn.execute(
        "CREATE VIEW underway AS SELECT * FROM payments; ALTER TABLE payments ENABLE ROW LEVEL SECURITY;"
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT ON payments, underway TO {role};"
        f"GRANT SELECT, UPDATE ON holds TO {role}"
    )

    def hidden() -> list[str]:
        env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
        done = run("--check-config", "--queues", str(hall.file), dsn=dsn_of(db), env=env)
        assert done.status == 0, done.stdout
        return [line for line in verdicts(done, "note") if "what it hides keeps nothing" in line]

    try:
        assert len(hidden()) == 1 and "table payments" in hidden()[0] and "(policies: none)" in hidden()[0]
        db.conn.execute(f"CREATE POLICY tenants ON payments TO {role} USING (true)")
        assert "(policies: tenants)" in hidden()[0]
        db.conn.execute("ALTER TABLE payments DISABLE ROW LEVEL SECURITY")
        assert not hidden()
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("EXISTS (SELECT FROM payment)", 'relation "payment" does not exist'),
        ("id = 1 OR paid", 'column "paid" does not exist'),
        ("id", "must be type boolean"),
        ("count(*) > 1", "aggregate functions are not allowed"),
        ("(SELECT true FROM payments), true", "follows the condition"),
        ("EXISTS (SELECT FROM payments))", "closes what nothing opened"),
        ("EXISTS (SELECT FROM payments) GROUP BY id", 'syntax error at or near "GROUP"'),
    ],
)
def test_what_is_refused(open_hall: OpenHall, run: Run, condition: str, wanted: str) -> None:
    """With file and line, before anything is sent."""
    hall = open_hall("")
    kept = "EXISTS (SELECT FROM payments p WHERE p.hold = r.id AND p.pending)"
    hall.file.write_text(SEATS_FILE.replace(kept, condition))
    hall.hold(1)
    done = run("--once", "--queues", str(hall.file))
    assert done.status in (1, 2) and wanted in done.stderr.replace("\\\"", "\""), done.stderr
    assert re.search(r"queues\.yaml:6: .*keep_while: ", done.stderr)
    assert hall.held(1) and hall.left(1) < 0


def test_an_expiry_that_stays(open_hall: OpenHall, run: Run) -> None:
    """It cannot be extended: it is refused, and nothing else is."""
    hall = open_hall("  keep: {extend: 1m}\n")
    hall.hold(1)
    hall.hold(2)
    hall.hold(3, paid=False)
    hall.db.conn.execute(
        "CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;"
        "CREATE TRIGGER stays BEFORE UPDATE ON holds FOR EACH ROW"
        " WHEN (OLD.id = 1 AND NEW.expires_at <> OLD.expires_at) EXECUTE FUNCTION stays()"
    )
    done = run("--once", "--queues", str(hall.file))
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"], record["failedCount"]) == (1, 1, 1)
    refused = done.record("Postgres refused to release a reservation")
    assert refused["sqlstate"] == "RS002" and "was not extended by `keep.extend`" in refused["error"]
    assert hall.left(1) < 0 < hall.left(2)


def test_an_error_in_the_condition_is_the_rows(open_hall: OpenHall, run: Run) -> None:
    hall = open_hall("")
    hall.file.write_text(SEATS_FILE.replace("p.pending)", "p.pending AND 1 / (r.id - 2) < 9)"))
    for id in (1, 2, 3, 4):
        hall.hold(id, paid=id in (2, 3))
    done = run("--once", "--queues", str(hall.file))
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"], record["failedCount"]) == (2, 1, 1)
    assert done.record("Postgres refused to release a reservation")["reservationId"] == "2"


def test_reconciled(open_hall: OpenHall, redis: redis_py.Redis, run: Run) -> None:
    """What is kept is no finding, in a dry run neither; what is not kept is released."""
    hall = open_hall("  keep: {look_again: 30s}\n")
    hall.hold(1)
    hall.hold(2, paid=False)
    reconcile = ("--reconcile", "--queues", str(hall.file))
    dry = run(*reconcile, "--dry-run", "--report", "-")
    assert dry.status == 3 and [json.loads(line)["reservationId"] for line in dry.stdout.splitlines()] == ["2"]
    assert run(*reconcile).record("Reconciliation completed")["releasedCount"] == 1
    assert hall.held(1) and not hall.held(2) and record_of(redis, 1) is not None
    again = run(*reconcile, "--dry-run")
    assert again.status == 0, again.stderr
    record = again.record("Reconciliation completed")
    assert (record["releasedCount"], record["mirrorMissing"], record["mirrorMisplaced"]) == (0, 0, 0)


def test_as_many_statements_as_there_may_be(open_hall: OpenHall, run: Run) -> None:
    """Locks, release, 32 of `also`, triggers that wait, the last look: released, and rehearsed."""
    also = "  also:\n" + "    - SELECT count(*) FROM {released}\n" * 32
    hall = open_hall("  keep: {extend: 1m}\n" + also)
    hall.db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION f();"
        "CREATE CONSTRAINT TRIGGER c AFTER UPDATE ON holds DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION f()"
    )
    hall.hold(1)
    hall.hold(2, paid=False)
    report = json.loads(run("--rehearse", "5", "--queues", str(hall.file)).stdout)
    assert (report["released"], report["refused"]) == (1, 0) and len(report["also"]) == 32
    record = run("--once", "--queues", str(hall.file)).record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)

