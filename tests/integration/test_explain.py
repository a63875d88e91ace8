"""--explain ID: why a reservation is not released, for each of the causes that keep one."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_reservation, transaction
from harness.poll import wait_until
from harness.process import free_port
from harness.queue import FAILED, FEEDER, KEPT, LEASES, PENDING
from harness.servers import Redis
from harness.shapes import NO_REDIS, SHAPES, Shape, Shop, name
from harness.sweeper import Finished, Run, Start, binary, environment

Explained = dict[str, Any]


def explained(done: Finished) -> Explained:
    (line,) = done.stdout.splitlines()
    return json.loads(line)


@pytest.fixture
def explain(run: Run) -> Callable[..., Explained]:
    def ask(id: str, *args: str, status: int = 0, **options: Any) -> Explained:
        done = run("--explain", id, *args, **options)
        assert done.status == status, done.stderr
        return explained(done)

    return ask


Explain = Callable[..., Explained]


@pytest.fixture
def product(db: Database) -> str:
    return shop.add_product(db)


@pytest.fixture
def feeder(redis: redis_py.Redis) -> None:
    """A sweeper seems to run."""
    redis.set(FEEDER, "host:1", px=60_000)


def contents(db: Database, redis: redis_py.Redis) -> Any:
    rows = [
        db.query(f"SELECT t::text, ctid, xmin FROM {table} t ORDER BY 1")
        for table in ("inventory", "inventory_reservations")
    ]
    return rows, {key: redis.dump(key) for key in redis.keys()}


# ---- What is planted ----------------------------------------------------------------------------


def test_due_and_no_sweeper(db: Database, redis: redis_py.Redis, product: str, explain: Explain) -> None:
    id = shop.reserve(db, {product: 2}, ttl_s=-5)
    before = contents(db, redis)
    said = explain(id)
    assert contents(db, redis) == before, "it changes nothing"
    assert (said["cause"], said["sweeper"]) == ("noSweeper", False)
    assert "--once" in said["todo"] and said["rehearsal"]["outcome"] == "released"
    (hold,) = said["holds"]
    assert (hold["active"], hold["due"], hold["units"], hold["productId"]) == (True, True, 2, product)
    (counter,) = said["counters"]
    assert (counter["held"], counter["activeHolds"], counter["fits"]) == (2, 2, True)


def test_in_redis(db: Database, redis: redis_py.Redis, product: str, explain: Explain, feeder: None) -> None:
    id = shop.reserve(db, {product: 2}, ttl_s=-5)
    assert explain(id)["cause"] == "notFoundYet"
    redis.zadd(PENDING, {id: 1000})
    said = explain(id)
    assert (said["cause"], said["entryAt"]) == ("waiting", "1970-01-01T00:00:01.000Z")
    assert said["feeder"] == "host:1" and said["next"].endswith("within 500 ms.")


def test_locked(db: Database, product: str, explain: Explain, feeder: None) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    statements = {
        "reservation": "SELECT FROM inventory_reservations FOR UPDATE",
        "counter": "SELECT FROM inventory FOR NO KEY UPDATE",
        "table": "LOCK TABLE inventory_reservations",
    }
    for what, statement in statements.items():
        with psycopg.connect(db.dsn, application_name="the till") as blocker:
            blocker.execute(statement)  # type: ignore[arg-type]
            said = explain(id)
            pid = blocker.info.backend_pid
            assert said["cause"] == ("tableLocked" if what == "table" else "locked"), said
            assert f"pid {pid} " in said["why"] and "the till" in said["why"]
            assert f"pg_terminate_backend({pid})" in said["todo"]
            assert said["blocker"]["lockOn"] == what and said["blocker"]["blockerSince"]
    assert explain(id)["cause"] == "notFoundYet"


@pytest.mark.parametrize(
    ("theirs", "ours", "hand"),
    [
        ("inventory", "inventory_reservations", "is releasing it just now"),
        ("inventory_reservations", "inventory", "is releasing others of its product just now"),
    ],
)
def test_a_sweeper_that_has_it_in_hand_stands_in_no_way(
    db: Database, product: str, explain: Explain, run: Run, feeder: None, theirs: str, ours: str, hand: str
) -> None:
    """Nobody is told to end its session; who has locked something beside it is named."""
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    with psycopg.connect(db.dsn, application_name="reservation-sweeper worker 1") as worker:
        worker.execute(f"SELECT FROM {ours} FOR NO KEY UPDATE")  # type: ignore[arg-type]
        said = explain(id)
        assert said["cause"] == "claimed" and not said["todo"], said
        assert f"a sweeper, pid {worker.info.backend_pid}, {hand}" in said["why"]
        assert run("--list", "locked").stdout == ""
        with psycopg.connect(db.dsn, application_name="the till") as blocker:
            blocker.execute(f"SELECT FROM {theirs} FOR NO KEY UPDATE")  # type: ignore[arg-type]
            said = explain(id)
            assert said["cause"] == "locked" and "the till" in said["why"], said
            (line,) = run("--list", "locked").stdout.splitlines()
            assert json.loads(line)["blockerPid"] == blocker.info.backend_pid


def test_a_drifted_counter(db: Database, product: str, explain: Explain, run: Run, feeder: None) -> None:
    id = shop.reserve(db, {product: 3}, ttl_s=-5)
    db.conn.execute("UPDATE inventory SET reserved_stock = 1, total_stock = available_stock + 1")
    said = explain(id)
    assert said["cause"] == "counterDrifted"
    assert "23514" in said["why"] and "it holds 1, its active holds are 3" in said["why"]
    assert "--reconcile --repair-stock" in said["todo"]
    assert run("--reconcile", "--repair-stock").status in (0, 3)
    assert explain(id)["cause"] == "inactive"


def test_a_trigger_that_raises(db: Database, product: str, sweeper: Start, explain: Explain) -> None:
    """With and without a sweeper that has tried it; and after it is gone."""
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    db.conn.execute(
        "CREATE FUNCTION no_sundays() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'not on Sundays'; END $$;"
        " CREATE TRIGGER sundays BEFORE UPDATE ON inventory_reservations"
        " FOR EACH ROW EXECUTE FUNCTION no_sundays()"
    )
    said = explain(id)
    assert (said["cause"], said["rehearsal"]["sqlstate"]) == ("refused", "P0001")
    daemon = sweeper()
    daemon.wait_for_record("Postgres refused to release a reservation")
    said = explain(id)
    assert said["cause"] == "refused" and said["failure"]["attempts"] >= 1
    assert "not on Sundays" in said["why"] and "trigger sundays" in said["todo"]
    assert said["failure"]["retryAt"] and said["sweeper"] is True
    daemon.stop()
    db.conn.execute("DROP TRIGGER sundays ON inventory_reservations")
    said = explain(id)
    assert "went through just now" in said["why"] and "--retry" in said["todo"]


def test_a_trigger_that_takes_its_time(db: Database, product: str, explain: Explain, feeder: None) -> None:
    """It is nothing of the row's own, and it stands in the way all the same."""
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    db.conn.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
        " CREATE TRIGGER dawdles BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    said = explain(id)
    assert (said["cause"], said["rehearsal"]["outcome"]) == ("cannotRelease", "failed"), said
    assert "SQLSTATE 57014" in said["why"] and "trigger dawdles" in said["todo"]


def test_extended(db: Database, redis: redis_py.Redis, product: str, explain: Explain, feeder: None) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=5)
    redis.zadd(PENDING, {id: db.value("SELECT (extract(epoch FROM now()) * 1000)::bigint + 5000")})
    assert shop.extend(db, id, ttl_s=600)
    said = explain(id)
    assert said["cause"] == "extended" and "it was extended: Redis still has" in said["why"]
    assert "released when it is due" in said["next"]


def test_not_due_bought_and_unknown(db: Database, product: str, explain: Explain, feeder: None) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=600)
    said = explain(id)
    assert said["cause"] == "notDue" and said["next"].endswith(" s).")
    shop.commit(db, id)
    said = explain(id)
    assert said["cause"] == "inactive" and said["holds"][0]["values"] == {"status": "committed"}
    assert "nothing left to release" in said["next"]
    assert explain("00000000-0000-0000-0000-000000000000")["cause"] == "unknown"
    said = explain("a'; DROP TABLE inventory; --")
    assert said["cause"] == "malformed" and "uuid" in said["why"]


@pytest.fixture
def bare(empty_db: Database) -> Database:
    return empty_db


SEATS = """
    CREATE TABLE {0} (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'held', expires_at timestamptz);
    CREATE TABLE paying_{0} (hold integer, pending boolean)
"""
SEATS_FILE = """
{0}:
  table: {0}
  active: status = 'held'
  released: status = 'free'
  keep_while: |
    EXISTS (SELECT FROM paying_{0} p
            WHERE p.hold = r.id AND p.pending)
"""


class Halls:
    """Two queues, of seats and of boxes."""

    def __init__(self, db: Database, folder: Path, run: Run) -> None:
        self.db = db
        self.run = run
        self.file = folder / "queues.yaml"
        self.file.write_text("".join(SEATS_FILE.format(name) for name in ("seats", "boxes")))
        for name in ("seats", "boxes"):
            db.conn.execute(SEATS.format(name))  # type: ignore[arg-type]

    def explain(self, id: object, *args: str, status: int = 0) -> Explained:
        done = self.finished(id, *args)
        assert done.status == status, done.stderr
        return explained(done)

    def finished(self, id: object, *args: str) -> Finished:
        return self.run("--explain", str(id), "--queues", str(self.file), *args, dsn=self.db.dsn)

    def hold(self, table: str, id: int, expires: str = "now() - interval '9 s'") -> None:
        self.db.conn.execute(f"INSERT INTO {table} VALUES ({id}, 'held', {expires})")  # type: ignore[arg-type]


@pytest.fixture
def halls(bare: Database, run: Run, tmp_path: Path) -> Halls:
    return Halls(bare, tmp_path, run)


def test_kept_and_for_how_long(halls: Halls, redis: redis_py.Redis) -> None:
    redis.set("{seats}:feeder", "host:1", px=60_000)
    halls.hold("seats", 1)
    halls.db.conn.execute("INSERT INTO paying_seats VALUES (1, true)")
    said = halls.explain(1)
    assert said["cause"] == "kept" and said["holds"][0]["kept"] is True
    assert "EXISTS (SELECT FROM paying_seats p" in said["why"]
    halls.db.conn.execute("UPDATE seats SET expires_at = now() - interval '3 h'")
    redis.hset("{seats}:kept", "1", '{"since":1000,"lookAgainAt":9999999999999,"attention":true}')
    said = halls.explain(1)
    assert said["cause"] == "keptAttention" and said["kept"]["attention"] is True
    assert "looked at again at 2286" in said["next"]
    halls.db.conn.execute("DELETE FROM paying_seats")
    assert halls.explain(1)["cause"] == "waiting" or halls.explain(1)["cause"] == "notFoundYet"


def test_no_expiry(halls: Halls) -> None:
    halls.hold("seats", 1, "NULL")
    said = halls.explain(1)
    assert said["cause"] == "neverExpires" and said["dueAt"] is None
    assert "its expires_at is NULL" in said["why"] and "never released" in said["next"]


def test_an_id_of_another_queue_and_of_several(halls: Halls) -> None:
    halls.hold("boxes", 7)
    assert halls.explain(7)["queue"] == "boxes"
    said = halls.explain(7, "--queue", "seats")
    assert (said["cause"], said["queue"]) == ("otherQueue", "seats")
    assert "it is one of queue boxes" in said["why"] and "--queue boxes" in said["todo"]
    halls.hold("seats", 7)
    done = halls.finished(7)
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith('"7" is in several queues (seats, boxes): say which with --queue')
    assert halls.explain(7, "--queue", "seats")["cause"] == "noSweeper"
    unknown = [json.loads(line) for line in halls.finished(8).stdout.splitlines()]
    assert [(one["queue"], one["cause"]) for one in unknown] == [("seats", "unknown"), ("boxes", "unknown")]


def test_the_first_run_limit(db: Database, product: str, explain: Explain, feeder: None) -> None:
    ids = shop.bulk_reserve(db, 3, [product])
    assert explain(ids[0], "--first-run-limit", "3")["cause"] == "notFoundYet"
    said = explain(ids[0], "--first-run-limit", "2")
    assert said["cause"] == "firstRunLimit" and "--yes" in said["todo"]


def test_in_flight(db: Database, redis: redis_py.Redis, product: str, queue: Any, explain: Explain) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    now = db.value("SELECT (extract(epoch FROM now()) * 1000)::bigint")
    queue.schedule((now - 1, id))
    assert queue.claim(now=now, lease=now + 60_000).due == [id.encode()]
    said = explain(id)
    assert said["cause"] == "claimed" and said["leaseUntil"] and said["entryAt"] is None


# ---- With a server away, without a terminal and on one ------------------------------------------


def test_with_redis_away(db: Database, product: str, explain: Explain) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    away = f"redis://127.0.0.1:{free_port()}"
    said = explain(id, redis_url=away)
    assert said["cause"] == "redisAway" and said["redisError"] and said["sweeper"] is None
    with transaction(db, lock_reservation(id)):
        assert explain(id, redis_url=away)["cause"] == "locked"


def test_with_postgres_away(redis: redis_py.Redis, explain: Explain) -> None:
    redis.zadd(PENDING, {"x": 1000})
    redis.hset(FAILED, "x", '{"sqlstate":"23514","error":"no","attempts":3,"retryAt":2000}')
    redis.hset(KEPT, "x", "no JSON")
    redis.zadd(LEASES, {"no batch": 5})
    said = explain("x", dsn=f"host=127.0.0.1 port={free_port()}", status=1)
    assert said["cause"] == "postgresAway" and said["postgresError"] and said["rows"] is None
    assert said["sweeper"] is None, "none feeds without Postgres"
    assert said["failure"]["attempts"] == 3 and said["entryAt"] == "1970-01-01T00:00:01.000Z"


def test_tables_that_do_not_fit(bare: Database, explain: Explain) -> None:
    said = explain("x", dsn=bare.dsn, status=1)
    assert said["cause"] == "tablesUnusable" and "--check-config" in said["todo"]


def test_on_a_terminal(db: Database, product: str, redis_server: Redis) -> None:
    """One screen; nothing in it moves the cursor."""
    id = shop.reserve(db, {product: 1}, ttl_s=600)
    ours, theirs = pty.openpty()
    env = environment(db.dsn, redis_server.url(), {})
    done = subprocess.run([binary(), "--explain", id], env=env, stdout=theirs, timeout=30, check=False)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    lines = shown.decode().splitlines()
    assert done.returncode == 0 and len(lines) <= 24, lines
    assert all(len(line) <= 80 and line.isprintable() for line in lines), lines
    assert lines[0].startswith("reservation ") and any(line.startswith("next ") for line in lines[-4:])


# ---- Every shape ---------------------------------------------------------------------------------


def test_postgres_goes_on_beside_it(db: Database, product: str, explain: Explain) -> None:
    """A checkout that has the counter locked waits for nobody, and is not waited for."""
    id = shop.reserve(db, {product: 1}, ttl_s=-5)
    with psycopg.connect(db.dsn) as conn:
        conn.execute("UPDATE inventory SET updated_at = now()")
        said = explain(id)
        assert said["cause"] == "locked"
    wait_until(lambda: explain(id)["cause"] == "noSweeper", 10, "the lock is gone")


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_every_shape(bare: Database, run: Run, tmp_path: Path, shape: Shape) -> None:
    """Each question is one that its tables answer: a hold that is due, one that is not, its counter."""
    made = Shop(bare, shape, tmp_path, run)
    made.write(shape.file)
    made.counters(1)
    made.hold(1, 1, 2, s=-60)
    made.hold(2, 1, 1, s=600)

    def ask(id: int) -> Explained:
        done = run("--explain", made.spelled(id), "--queues", str(made.file), *NO_REDIS, dsn=bare.dsn)
        assert done.status == 0, done.stderr
        return explained(done)

    due = ask(1)
    assert due["cause"] == "redisAway" and due["countersError"] is None, due
    assert due["rehearsal"] == {"outcome": "released", "sqlstate": None, "error": None}
    assert due["activeRows"] == 1 and due["holds"][0]["due"] is True
    assert due["holds"][0]["units"] in ((2, "2.125") if shape.units else (1,))
    if shape.held or shape.free:
        (counter,) = due["counters"]
        assert counter["productId"] == shape.key(1)
        assert counter["fits"] is (True if shape.held else None), counter
    else:
        assert due["counters"] == []
    assert ask(2)["cause"] == "notDue"


def test_kept_and_extended(halls: Halls, redis: redis_py.Redis) -> None:
    """Not due, since the sweeper has extended it; then past `at_most`, and to be released."""
    more = "  keep: {extend: 10m, at_most: 20m, then: release}\n"
    halls.file.write_text(SEATS_FILE.format("seats") + more)
    redis.set("{seats}:feeder", "host:1", px=60_000)
    halls.hold("seats", 1)
    halls.db.conn.execute("INSERT INTO paying_seats VALUES (1, true)")
    assert halls.explain(1)["cause"] == "kept"
    done = halls.run("--once", "--queues", str(halls.file), dsn=halls.db.dsn)
    assert done.record("Cleanup job completed")["keptCount"] == 1
    said = halls.explain(1)
    assert said["cause"] == "kept" and "has extended it" in said["next"], said
    assert f"it is released when its new expiry has come, at {said['dueAt'][:19]}Z" in said["todo"], said
    assert halls.run("--retry", "all", "--queues", str(halls.file), dsn=halls.db.dsn).status == 0
    halls.db.conn.execute("DELETE FROM paying_seats")
    said = halls.explain(1)
    assert said["cause"] in ("notDue", "extended"), said
    assert "expiry of its active rows to the present time" in said["todo"], said
    halls.db.conn.execute("INSERT INTO paying_seats VALUES (1, true)")
    halls.db.conn.execute("UPDATE seats SET expires_at = now() - interval '1 h'")
    said = halls.explain(1)
    assert said["cause"] != "kept" and said["rehearsal"]["outcome"] == "released", said


def test_a_queue_beside_whose_database_is_not_known_here(halls: Halls) -> None:
    """One that is named is explained all the same; without a name it might be of that one."""
    halls.file.write_text(SEATS_FILE.format("seats") + SEATS_FILE.format("boxes") + "  database: BOXES\n")
    assert halls.explain(1, "--queue", "seats")["cause"] == "unknown"
    for args in ((), ("--queue", "boxes")):
        done = halls.finished(1, *args)
        assert done.status == 2 and "BOXES_DATABASE_URL" in done.stderr


def test_paused(db: Database, redis: redis_py.Redis, product: str, run: Run, explain: Explain) -> None:
    """By the mode alone, and before it is due."""
    ids = [shop.reserve(db, {product: 1}, ttl_s=ttl_s) for ttl_s in (-5, 60)]
    assert run("--pause", "1h", "--reason", "the shop is down").status == 0
    said = explain(ids[0])
    assert said["cause"] == "paused" and "the shop is down" in said["why"], said
    assert said["paused"]["until"] and "--resume" in said["todo"]
    assert "when the pause has ended" in explain(ids[1])["next"]
    assert run("--resume").status == 0
    assert explain(ids[0])["cause"] == "noSweeper"
