"""`call` of a queue: a function of the shop's makes the release of what the sweeper has locked and found due."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.locks import transaction
from harness.poll import wait_until
from harness.process import free_port
from harness.servers import Postgres
from harness.shapes import NO_REDIS
from harness.sweeper import Finished, Run, Start

TABLES = """
    CREATE SCHEMA shop;
    CREATE TABLE shop.events (id int PRIMARY KEY, free int NOT NULL);
    CREATE TABLE shop.holds (row_id bigserial PRIMARY KEY, id {id} NOT NULL, event int NOT NULL, seats int NOT NULL,
        status text NOT NULL DEFAULT 'PENDING', until timestamptz NOT NULL);
    CREATE TABLE shop.calls (n bigserial, ids text, role text);
    INSERT INTO shop.events VALUES (1, 0), (2, 0);
"""
BODY = """
DECLARE gone {id}[];
BEGIN
    INSERT INTO shop.calls (ids, role) VALUES (ids::text, current_user);
    UPDATE shop.holds SET status = 'EXPIRED' WHERE id = ANY (ids) AND status = 'PENDING';
    UPDATE shop.events e SET free = free + x.seats
      FROM (SELECT event, sum(seats) AS seats FROM shop.holds WHERE id = ANY (ids) GROUP BY 1) x WHERE x.event = e.id;
"""
SETOF = (
    "CREATE FUNCTION shop.release_holds(ids {id}[]) RETURNS SETOF {id} LANGUAGE plpgsql AS $$"
    + BODY
    + "RETURN QUERY SELECT unnest(ids); END$$"
)
ARRAY = (
    "CREATE FUNCTION shop.release_holds(ids {id}[]) RETURNS {id}[] LANGUAGE plpgsql AS $$"
    + BODY
    + "RETURN ids; END$$"
)
FILE = """\
tickets:
  table: shop.holds
  expires_at: until
  quantity: seats
  active: status = 'PENDING'
  call: shop.release_holds
"""


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


def make(db: Database, function: str = SETOF, id: str = "int", more: str = "") -> None:
    """more: said in the function before it gives anything back."""
    body = function.replace("RETURN QUERY", more + " RETURN QUERY").replace("RETURN ids", more + " RETURN ids")
    db.conn.execute(TABLES.replace("{id}", id))
    db.conn.execute(body.replace("{id}", id))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "shop.yaml"
    path.write_text(FILE, encoding="utf-8")
    return {"SWEEPER_QUEUES_FILE": str(path), "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}


# Waits for more than ten lock timeouts.
LONG = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    " AND clock_timestamp() - query_start > interval '200 ms'"
)


Mode = Callable[..., Finished]


@pytest.fixture
def mode(db: Database, run: Run, env: dict[str, str]) -> Mode:
    return lambda *args, **more: run(*args, dsn=more.pop("dsn", db.dsn), env={**env, **more})


def hold(db: Database, id: object, event: int = 1, seats: int = 2, s: float = -1) -> None:
    db.conn.execute(
        "INSERT INTO shop.holds (id, event, seats, until) VALUES (%s, %s, %s, now() + %s * interval '1 s')",
        (id, event, seats, s),
    )


def pending(db: Database) -> list:
    return [row[0] for row in db.query("SELECT DISTINCT id FROM shop.holds WHERE status = 'PENDING' ORDER BY 1")]


def free(db: Database) -> list[int]:
    return [row[0] for row in db.query("SELECT free FROM shop.events ORDER BY id")]


def calls(db: Database) -> list[str]:
    return [row[0] for row in db.query("SELECT ids FROM shop.calls ORDER BY n")]


@pytest.mark.parametrize("function", (SETOF, ARRAY), ids=("rows", "an array"))
@pytest.mark.parametrize("id", ("int", "text", "uuid", "bigint", "char(40)"))
def test_once(db: Database, mode: Mode, function: str, id: str) -> None:
    """It gets all that is due, and nothing else, in one array of the ids' own type; units are counted."""
    make(db, function, id)
    name = (lambda n: f"00000000-0000-0000-0000-{n:012}") if id == "uuid" else str
    for n in (1, 2):
        hold(db, name(n), event=n)
        hold(db, name(n), event=1)
    hold(db, name(3), s=600)
    done = mode("--once", *NO_REDIS)
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 2), done.stderr
    assert [str(one).strip() for one in pending(db)] == [name(3)]
    assert free(db) == [6, 2]
    assert len(calls(db)) == 1
    assert mode("--once", *NO_REDIS).status == 0
    assert len(calls(db)) == 1  # never with nothing


def test_locked_ones_are_left_out(db: Database, mode: Mode) -> None:
    """All rows of an id are locked before the function gets it, or it does not."""
    make(db)
    for n in (1, 2, 3):
        hold(db, n)
        hold(db, n, event=2)
    with transaction(db) as other:
        other.execute("SELECT FROM shop.holds WHERE id = 2 AND event = 2 FOR UPDATE")
        done = mode("--once", *NO_REDIS)
        assert done.record("Cleanup job completed")["skippedCount"] == 1
        assert set(calls(db)) == {"{1,3}"}
        assert pending(db) == [2]
    assert mode("--once", *NO_REDIS).status == 0
    assert (pending(db), calls(db)) == ([], ["{1,3}", "{2}"])


@pytest.mark.parametrize(
    ("more", "sentence"),
    (
        ("RETURN NEXT 77;", "gave back '77', which is none of the ids"),
        ("RETURN NEXT NULL;", "gave back NULL, which is none of the ids"),
        ("UPDATE shop.holds SET status = 'PENDING' WHERE id = 2;", "is still active"),
    ),
    ids=("another", "NULL", "still active"),
)
def test_what_it_must_not(db: Database, mode: Mode, more: str, sentence: str) -> None:
    """The guard: only the one of whom it is so is refused, and nothing of its changes stays."""
    make(db, more=f"IF 2 = ANY (ids) THEN {more} END IF;")
    for n in (1, 2, 3):
        hold(db, n)
    done = mode("--once", *NO_REDIS)
    refused = done.record("Postgres refused to release a reservation")
    assert (done.status, refused["reservationId"], refused["sqlstate"]) == (1, "2", "RS002")
    assert sentence in refused["error"] and "queue tickets" in refused["error"]
    assert (pending(db), free(db)) == ([2], [4, 0])


def test_a_null_for_all(db: Database, mode: Mode) -> None:
    make(db, ARRAY.replace("RETURN ids", "RETURN NULL"))
    hold(db, 1)
    done = mode("--once", *NO_REDIS)
    assert "gave back NULL" in done.record("Postgres refused to release a reservation")["error"]
    assert (pending(db), free(db)) == ([1], [0, 0])


def test_an_error_is_isolated(db: Database, mode: Mode) -> None:
    """By halving; the sentence says where the call stands in the file."""
    make(db, more="IF 5 = ANY (ids) THEN RAISE EXCEPTION 'the provider said no'; END IF;")
    for n in range(1, 9):
        hold(db, n)
    done = mode("--once", *NO_REDIS)
    refused = done.record("Postgres refused to release a reservation")
    assert (refused["reservationId"], refused["sqlstate"]) == ("5", "P0001")
    assert refused["error"].endswith("shop.yaml:6: call: the provider said no")
    assert (pending(db), free(db)) == ([5], [14, 0])


def test_what_it_declines(db: Database, mode: Mode) -> None:
    """What it does not give back stays, and is tried again as what is locked."""
    make(db, SETOF.replace("= ANY (ids)", "= ANY (ids) AND id <> 2").replace("SELECT unnest(ids)", "SELECT x FROM unnest(ids) x WHERE x <> 2"))
    for n in (1, 2, 3):
        hold(db, n)
    done = mode("--once", *NO_REDIS)
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"], record["skippedCount"]) == (0, 2, 1)
    assert (pending(db), free(db)) == ([2], [4, 0])


def test_no_lock_timeout_within(db: Database, mode: Mode) -> None:
    """It waits for a lock as long as a statement may; 20 ms are for what the sweeper locks itself."""
    make(db, more="PERFORM set_config('test.lock', current_setting('lock_timeout'), false);"
         " INSERT INTO shop.calls (ids) VALUES (current_setting('lock_timeout') || ' ' || current_setting('statement_timeout'));")
    hold(db, 1)
    assert mode("--once", *NO_REDIS, "--lease", "20s").status == 0
    assert calls(db) == ["{1}", "0 8s"]


def test_beside_stock(db: Database, run: Run, env: dict[str, str], tmp_path: Path) -> None:
    """Counters are the function's alone: named in the file they are neither changed nor locked by the sweeper, and
    one that a checkout holds is waited for, much longer than the lock timeout."""
    make(db)
    path = tmp_path / "stock.yaml"
    path.write_text(FILE + "  stock:\n    table: shop.events\n    key: {event: id}\n    free: free\n", encoding="utf-8")
    for n in (1, 2):
        hold(db, n)
    stock = {**env, "SWEEPER_QUEUES_FILE": str(path)}
    ended: list[Finished] = []
    thread = Thread(target=lambda: ended.append(run("--once", *NO_REDIS, dsn=db.dsn, env=stock)))
    with psycopg.connect(db.dsn) as other:
        other.execute("UPDATE shop.events SET free = free + 100 WHERE id = 1")
        thread.start()
        wait_until(lambda: db.value(LONG), 10, "it does not wait")
    thread.join()
    assert ended[0].status == 0, ended[0].stderr
    assert (pending(db), free(db), set(calls(db))) == ([], [104, 0], {"{1,2}"})
    done = run("--reconcile", dsn=db.dsn, env=stock)
    assert done.status == 0 and free(db) == [104, 0], done.stderr


def test_a_rehearsal(db: Database, mode: Mode) -> None:
    make(db)
    for n in (1, 2):
        hold(db, n)
    done = mode("--rehearse", "5", "--json")
    said = json.loads(done.stdout)
    assert (done.status, said["released"], said["refused"]) == (0, 2, 0), done.stdout
    assert all(one["after"]["status"] == "EXPIRED" for one in said["changes"])
    assert (pending(db), free(db), calls(db)) == ([1, 2], [0, 0], [])


def test_check_config(db: Database, mode: Mode) -> None:
    """A name that there is not, a right that is missing, a type that does not fit: one sentence with the line."""
    make(db)
    hold(db, 1)
    role = role_of(db)
    db.conn.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA shop TO {role};"
        f"GRANT SELECT, UPDATE ON shop.holds TO {role}; REVOKE EXECUTE ON FUNCTION shop.release_holds FROM PUBLIC"
    )
    try:
        done = mode("--check-config", dsn=dsn_of(db))
        assert any("permission denied for function release_holds" in one for one in verdicts(done, "FAIL")), done.stdout
        db.conn.execute(f"GRANT EXECUTE ON FUNCTION shop.release_holds TO {role}")
        done = mode("--check-config", dsn=dsn_of(db))
        assert done.status == 0 and not verdicts(done, "FAIL"), done.stdout
        assert calls(db) == []
        sql = mode("--show-sql", dsn=dsn_of(db)).stdout
        assert '"shop"."release_holds"(l.rs$ids)' in sql
        assert f'GRANT EXECUTE ON FUNCTION "shop"."release_holds" TO {role};' in sql
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    db.conn.execute("DROP FUNCTION shop.release_holds")
    done = mode("--check-config")
    assert any(
        "shop.yaml:6: call: Postgres refuses it: function shop.release_holds(integer[]) does not exist" in one
        for one in verdicts(done, "FAIL")
    ), done.stdout


def test_a_daemon(db: Database, sweeper: Start, env: dict[str, str]) -> None:
    """What comes due one after the other, two workers; what was released is told by no second call."""
    make(db)
    for n in range(100):
        hold(db, n, s=0.5 + n / 50)
    daemon = sweeper("--workers", "2", "--feed-interval", "1s", "--lookahead", "5s", dsn=db.dsn, env=env)
    wait_until(lambda: not pending(db), 15, "not all are released")
    assert free(db) == [200, 0]
    asked = [n for one in calls(db) for n in one.strip("{}").split(",")]
    assert sorted(asked, key=int) == [str(n) for n in range(100)]
    assert daemon.stop() == 0
