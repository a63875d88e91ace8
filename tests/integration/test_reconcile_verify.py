"""--reconcile and the operator's own queries, `verify`: each row is a finding, reported only; nothing is changed
by them, and what cannot be such a query is refused before it runs."""

from __future__ import annotations

import json

import pytest
import redis as redis_py
from harness.database import Database
from harness.reconciliation import OFF
from harness.sweeper import Run

FILE = "shop:\n  table: holds\n  active: state = 'open'\n  released: state = 'gone'\n  verify:\n"


@pytest.fixture
def db(empty_db: Database) -> Database:
    empty_db.conn.execute(
        "CREATE TABLE holds (id int PRIMARY KEY, state text NOT NULL DEFAULT 'open', expires_at timestamptz);"
        " CREATE TABLE seats (seat int PRIMARY KEY, hold int, price numeric, what text);"
        " INSERT INTO seats VALUES (1, NULL, 12.50, 'a'), (2, 7, 1e30, 'größe \"'), (3, NULL, NULL, repeat('ä', 9000))"
    )
    return empty_db


def env(*queries: str) -> dict[str, str]:
    items = ["    - |\n" + "".join(f"      {line}\n" for line in query.split("\n")) for query in queries]
    return {"SWEEPER_QUEUES": FILE + "".join(items)}


def test_each_row_is_a_finding(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """Of every query, in the dry run too; and no more when what is wrong is gone."""
    queries = env(
        "SELECT seat, hold, what FROM seats WHERE seat = 1;  -- the end",
        "WITH w AS (SELECT 5 AS n)\nSELECT n FROM w ORDER BY n",
        "TABLE holds",
        "SELECT price FROM seats WHERE seat < 3 ORDER BY seat -- no end",
        "VALUES (1), (2)",
        "SELECT what FROM seats WHERE seat > 2",
        "SELECT FROM seats WHERE seat = 1",
        "SELECT substring('abc' FOR 2) AS update",
    )
    for args in ((), ("--dry-run",)):
        done = run("--reconcile", *OFF, *args, "--report", "-", env=queries)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [(line["query"], line["found"]) for line in lines[:6]] == [
            (1, {"seat": 1, "hold": None, "what": "a"}),
            (2, {"n": 5}),
            (4, {"price": 12.5}),
            (4, '{"price":1' + "0" * 30 + "}"),
            (5, {"column1": 1}),
            (5, {"column1": 2}),
        ]
        assert lines[6]["query"] == 6 and lines[6]["found"].startswith('{"what":"ää') and len(lines[6]["found"]) == 2000
        assert [(line["query"], line["found"]) for line in lines[7:]] == [(7, {}), (8, {"update": "ab"})]
        assert {(line["kind"], line["queue"], line["expected"], line["done"]) for line in lines} == {
            ("verify", "shop", None, "nothing")
        }
        record = done.record("Reconciliation completed")
        assert (record["verifyFound"], record["remainingCount"], done.status) == (9, 9, 3)
    db.conn.execute("DELETE FROM seats")
    done = run("--reconcile", *OFF, env=env("SELECT seat FROM seats"))
    record = done.record("Reconciliation completed")
    assert (record["verifyFound"], record["remainingCount"], done.status) == (0, 0, 0)


def test_what_repairs_leave(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """They come after the repairs."""
    db.conn.execute("INSERT INTO holds VALUES (1, 'open', now() - interval '1 min')")
    late = env("SELECT id FROM holds WHERE state = 'open' AND expires_at < now()")
    assert run("--reconcile", *OFF, "--dry-run", env=late).record("completed")["verifyFound"] == 1
    done = run("--reconcile", *OFF, env=late)
    assert (done.record("completed")["verifyFound"], done.status) == (0, 0)


def test_more_rows_than_are_reported(db: Database, redis: redis_py.Redis, run: Run) -> None:
    done = run("--reconcile", *OFF, "--report", "-", env=env("SELECT i FROM generate_series(1, 10001) AS i"))
    assert len(done.stdout.splitlines()) == 10000
    record = done.record("Reconciliation completed")
    assert (record["verifyFound"], record["remainingCount"], done.status) == (10001, 10001, 3)
    assert done.record("more rows than are reported")["found"] == 10001


REFUSED = {
    "no query": ("DELETE FROM seats RETURNING seat", 'begins with "DELETE"'),
    "several": ("SELECT 1; SELECT 2", '";" ends it'),
    "a lock": ("SELECT seat FROM seats FOR NO KEY UPDATE", "only reads is wanted"),
    "a table": ("SELECT seat INTO other FROM seats", "INTO is not allowed"),
    "a place": ("SELECT seat FROM {released}", "{released} is nothing here"),
    "a parameter": ("SELECT $1", "$1 is a parameter"),
    "a bracket": ("SELECT 1) AS a, (SELECT 2", 'a ")" closes'),
}


@pytest.mark.parametrize("query,why", REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_whatever_the_database(run: Run, query: str, why: str) -> None:
    done = run("--reconcile", env=env("SELECT 1", query))
    assert done.status == 2 and ":8: " in done.stderr and "verify: " in done.stderr, done.stderr
    assert why in done.stderr


UNFIT = {
    "a change within": "WITH gone AS (DELETE FROM seats RETURNING seat) SELECT seat FROM gone",
    "an unknown name": "SELECT nothing FROM seats",
}


@pytest.mark.parametrize("query", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("mode", ["--reconcile", "--check-config"])
def test_what_postgres_refuses(db: Database, redis: redis_py.Redis, run: Run, mode: str, query: str) -> None:
    """By its proof, before anything is done; with its line."""
    db.conn.execute("INSERT INTO holds VALUES (1, 'open', now() - interval '1 min')")
    done = run(mode, env=env("SELECT 1", query))
    assert done.status == 1
    assert "SWEEPER_QUEUES:8: verify (query 2): Postgres refuses it: " in done.stdout + done.stderr
    assert db.query("SELECT state, (SELECT count(*) FROM seats) FROM holds") == [("open", 3)]


def test_a_function_that_changes_rows(db: Database, redis: redis_py.Redis, run: Run) -> None:
    db.conn.execute(
        "CREATE FUNCTION clean() RETURNS int LANGUAGE sql AS $$ DELETE FROM seats RETURNING seat $$"
    )
    done = run("--reconcile", *OFF, env=env("SELECT 1 WHERE false", "SELECT clean()"))
    assert done.status == 1
    error = done.record("Reconciliation failed")["error"]
    assert ":8: verify (query 2): cannot execute DELETE in a read-only transaction" in error, error
    assert db.value("SELECT count(*) FROM seats") == 3


def test_one_that_fails(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """Everything else has been done."""
    db.conn.execute("INSERT INTO holds VALUES (1, 'open', now() - interval '1 min')")
    done = run("--reconcile", *OFF, env=env("SELECT 1 / (seat - 1) FROM seats"))
    assert done.status == 1
    assert "verify (query 1): division by zero" in done.record("Reconciliation failed")["error"]
    assert db.query("SELECT state FROM holds") == [("gone",)]


def test_it_has_a_time_limit(db: Database, redis: redis_py.Redis, run: Run) -> None:
    query = "SELECT current_setting('statement_timeout') AS s, current_setting('TimeZone') AS z"
    done = run("--reconcile", *OFF, "--report", "-", env=env(query))
    assert json.loads(done.stdout)["found"] == {"s": "50s", "z": "UTC"}


def test_the_grants_are_looked_at(db: Database, redis: redis_py.Redis, run: Run) -> None:
    role = f"{db.name}_sweeper"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT, UPDATE ON holds TO {role}")
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    try:
        done = run("--check-config", dsn=dsn, env=env("SELECT seat FROM seats"))
        assert done.status == 1
        assert "query 1 of `verify`" in done.stdout and "SELECT" in done.stdout, done.stdout
        shown = run("--show-sql", dsn=dsn, env=env("SELECT seat FROM seats")).stdout
        assert "-- verify, query 1: at the end of --reconcile, read only\n" in shown
        db.conn.execute(f"GRANT SELECT ON seats TO {role}")
        shown = run("--show-sql", dsn=dsn, env=env("SELECT seat FROM seats")).stdout
        assert f"GRANT SELECT ON public.seats TO {role};" in shown, shown
        assert run("--reconcile", *OFF, dsn=dsn, env=env("SELECT seat FROM seats")).status == 3
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
