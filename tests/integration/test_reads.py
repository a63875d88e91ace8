"""Times of each type, with a grace: what is due when, that an index serves, what Redis is told; rows
that are never due by mistake; and what a reconciliation does in each shape."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
import redis as redis_py
from harness.database import Database
from harness.poll import holds, wait_until
from harness.sweeper import Run, Start

AFTER_S = 900


@dataclass(frozen=True)
class Time:
    type: str
    lines: str  # of the queues file
    value: str  # of a moment m
    after_s: int = AFTER_S


TIMES = {
    "zoned": Time("timestamptz", "", "m"),
    "zoned, at once": Time("timestamptz", "", "m", 0),
    "utc": Time("timestamp", "", "m AT TIME ZONE 'UTC'"),
    "berlin": Time("timestamp", "time_zone: Europe/Berlin", "m AT TIME ZONE 'Europe/Berlin'"),
    "ms": Time("bigint", "expires_unit: ms", "ceil(extract(epoch FROM m) * 1000)"),
    "s": Time("bigint", "expires_unit: s", "ceil(extract(epoch FROM m))"),
}
each_time = pytest.mark.parametrize("time", TIMES.values(), ids=TIMES)


def env(text: str) -> dict[str, str]:
    return {"SWEEPER_QUEUES": text}


def queue(time: Time, more: str = "") -> dict[str, str]:
    return env(
        "shop:\n  table: holds\n  expires_at: at\n  active: status = 'held'\n"
        "  released: status = 'free'\n"
        f"  after: {time.after_s}s\n" + (f"  {time.lines}\n" if time.lines else "") + more
    )


@pytest.fixture
def db(empty_db: Database) -> Database:
    empty_db.conn.execute(f"ALTER DATABASE {empty_db.name} SET timezone = 'Asia/Kolkata'")
    return empty_db


def table(db: Database, time: Time) -> None:
    db.conn.execute(
        f"CREATE TABLE holds (id integer, at {time.type}, status text DEFAULT 'held');"
        "CREATE INDEX holds_id ON holds (id); CREATE INDEX holds_at ON holds (at)"
    )


def hold(db: Database, time: Time, id: int | None, due_s: float) -> None:
    """One that is due so many seconds from now."""
    db.conn.execute(
        f"INSERT INTO holds SELECT %s, {time.value} FROM (SELECT now() - make_interval(secs => %s)"
        " + make_interval(secs => %s) AS m) AS moment",
        (id, time.after_s, due_s),
    )


def states(db: Database) -> dict[int, str]:
    return dict(db.query("SELECT id, status FROM holds WHERE id IS NOT NULL"))


@each_time
def test_what_is_due_is_released(db: Database, run: Run, time: Time) -> None:
    table(db, time)
    hold(db, time, 1, -3)
    hold(db, time, 2, -86400)
    hold(db, time, 3, 60)
    hold(db, time, 4, time.after_s + 60 if time.after_s else 60)
    dry = run("--once", "--dry-run", env=queue(time)).record("Cleanup job completed")
    done = run("--once", env=queue(time))
    due = done.record("Reservations that are due at the start")
    assert (dry["cleanedCount"], due["dueCount"]) == (2, 2)
    assert done.record("Cleanup job completed")["cleanedCount"] == 2
    assert states(db) == {1: "free", 2: "free", 3: "held", 4: "held"}
    day_ago = str(db.value("SELECT to_char((now() - interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD')"))
    assert due["dueSince"].startswith(day_ago[:7])


@each_time
def test_redis_is_told_when_it_is_due(
    db: Database, redis: redis_py.Redis, sweeper: Start, time: Time
) -> None:
    table(db, time)
    hold(db, time, 1, 50)
    hold(db, time, 2, 3.5)
    expected = float(db.value("SELECT extract(epoch FROM now()) * 1000")) + 50000  # type: ignore[arg-type]
    sweeper(env=queue(time))
    wait_until(lambda: redis.zscore("{shop}:pending", "1"), 20, "it is mirrored")
    assert abs(redis.zscore("{shop}:pending", "1") - expected) < 3000
    wait_until(lambda: states(db)[2] == "free", 20, "released at its time")
    assert states(db)[1] == "held"


@each_time
def test_what_is_late_counts_from_its_due_time(db: Database, run: Run, time: Time) -> None:
    table(db, time)
    hold(db, time, 1, -100)
    found = json.loads(run("--status", "--lookahead", "off", env=queue(time)).stdout)
    assert 95 < found["overdueSeconds"] < 200, found


@each_time
def test_an_index_serves(db: Database, run: Run, time: Time) -> None:
    """Of a long history the few that hold are found without a look at all of it."""
    table(db, time)
    db.conn.execute(
        f"INSERT INTO holds SELECT i, {time.value}, 'free' FROM (SELECT i, now() + i * interval '1 h' AS m"
        " FROM generate_series(1, 50000) AS i) AS moments; ANALYZE holds"
    )
    shown = run("--show-sql", env=queue(time)).stdout
    texts = [s.strip() for s in re.split(r"^;$", shown, flags=re.M)]
    for head, parameters in {
        "A page of active reservations by expiry": "(NULL, 0, -1, NULL, 10, false)",
        "The oldest reservations that should": "(1000000, 10)",
        "How many reservations are due, and since": "(11)",
    }.items():
        found = [text for text in texts if head in text]
        assert found, head
        for text in found:
            db.conn.execute(f"DEALLOCATE ALL; PREPARE q AS {text}".encode(), prepare=False)
            plan = "\n".join(row[0] for row in db.query(f"EXPLAIN EXECUTE q {parameters}"))
            assert re.search(r"holds_at", plan) and "Seq Scan on holds" not in plan, plan


def test_where_clocks_are_put_back_nothing_is_early(db: Database, run: Run) -> None:
    """Of the two times half past two of that night a column means the second; at a quarter to three, the
    first one, that has not come."""
    time = Time("timestamp", "time_zone: Europe/Berlin", "", 0)
    table(db, time)
    db.conn.execute("INSERT INTO holds VALUES (1, '2026-10-25 02:30'), (2, '2026-10-25 01:59')")
    shown = run("--show-sql", env=queue(time)).stdout
    [text] = [s for s in re.split(r"^;$", shown, flags=re.M) if "How many reservations are due (for" in s]
    for moment, due in {"00:45": 1, "01:29": 1, "01:30": 2}.items():
        at = f"timestamptz '2026-10-25 {moment}+00'"
        assert db.query(text.replace("pg_catalog.now()", at))[0][0] == due, moment


ENDS = {
    "zoned": TIMES["zoned"],
    "utc": TIMES["utc"],
    "west": Time("timestamp", "time_zone: America/St_Johns", "m AT TIME ZONE 'America/St_Johns'"),
    "east": Time("timestamp", "time_zone: Pacific/Auckland", "m AT TIME ZONE 'Pacific/Auckland'"),
}


@pytest.mark.parametrize("time", ENDS.values(), ids=ENDS)
def test_the_ends_of_what_a_time_can_be(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, time: Time
) -> None:
    """The greatest, which an ORM writes for "never", keeps no other from being released; nor the least."""
    table(db, time)
    ends = ("294276-12-31 23:59:59.999999", "infinity", "4713-01-01 BC", "-infinity")
    for id, at in enumerate(ends, start=1):
        db.conn.execute(f"INSERT INTO holds VALUES (%s, '{at}')", (id,))
    hold(db, time, 5, -1)
    hold(db, time, 6, 600)
    free = {1: "held", 2: "held", 3: "free", 4: "free", 5: "free", 6: "held"}
    redis.zadd("{shop}:pending", {str(id): 1000 for id in range(1, 7)})
    daemon = sweeper(env=queue(time), http=True)
    wait_until(lambda: states(db) == free, 20, "what is due is released")
    wait_until(lambda: redis.zscore("{shop}:pending", "6") not in (None, 1000), 20, "looked at")
    assert daemon.http("/status")[0] == 200 and daemon.stop() == 0
    assert [r for r in daemon.records if r["level"] == "ERROR"] == []
    db.conn.execute("UPDATE holds SET status = 'held' WHERE id = 5")
    for mode in ("--status", "--reconcile", "--once"):
        done = run(mode, env=queue(time))
        assert done.status == 0, done.stderr
    assert states(db) == free


def test_what_is_no_time_is_never_due_and_named(db: Database, run: Run, sweeper: Start) -> None:
    time = TIMES["ms"]
    table(db, time)
    hold(db, time, 1, -60)
    hold(db, time, None, -60)
    for id, at in ((2, 1700000000), (3, 2**63 - 1), (4, -5)):  # seconds; never; nonsense
        db.conn.execute("INSERT INTO holds VALUES (%s, %s)", (id, at))
    hold(db, time, 5, -60)
    db.conn.execute("INSERT INTO holds VALUES (5, 0)")  # all of the id
    done = run("--once", env=queue(time))
    assert states(db)[1] == "free" and done.status == 0
    assert done.record("A hold without an id is never due")["level"] == "WARN"
    named = done.record("A hold whose expiry is before 2001 or after 9999 is never due")
    assert named["level"] == "WARN" and named["reservationId"] in ("2", "3", "4", "5")
    daemon = sweeper(env=queue(time), http=True)
    daemon.wait_for_record("Reservations that are due at the start", 20)
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 20, "it does not count as overdue")
    holds(lambda: db.value("SELECT count(*) FROM holds WHERE status = 'held'") == 6, 1.0, "never")
    record = run("--reconcile", "--lookahead", "off", env=queue(time)).record("Reconciliation completed")
    assert (record["releasedCount"], record["mirrorMissing"], record["remainingCount"]) == (0, 0, 0)


def test_without_an_expiry_or_an_id(db: Database, run: Run) -> None:
    time = TIMES["zoned"]
    table(db, time)
    hold(db, time, None, -60)
    hold(db, time, 1, -60)
    db.conn.execute("INSERT INTO holds VALUES (1, NULL)")
    hold(db, time, 2, -60)
    done = run("--once", env=queue(time))
    assert db.query("SELECT id FROM holds WHERE status = 'free'") == [(2,)]
    assert done.record("A hold without an id is never due")["level"] == "WARN"


def test_beside_very_many_that_never_are_due(db: Database, run: Run) -> None:
    """Of a table that was never analyzed too, not each row is compared with each."""
    time = TIMES["zoned, at once"]
    db.conn.execute(
        "CREATE TABLE holds (id integer PRIMARY KEY, at timestamptz, status text, paid text);"
        "CREATE INDEX ON holds (at) WHERE status = 'held';"
        "INSERT INTO holds SELECT i, CASE WHEN i % 2 = 0 THEN now() - interval '1 h' END, 'held'"
        " FROM generate_series(1, 60000) AS i"
    )
    file = queue(time)["SWEEPER_QUEUES"].replace("'held'", "'held' AND paid IS NULL")
    found = json.loads(run("--status", "--lookahead", "off", env=env(file)).stdout)
    assert 3600 <= found["overdueSeconds"] < 4000, found


# ---- reconciliation ----

STOCK = {
    "held alone": ("  stock:\n    table: counters\n    key: {product: product}\n    held: held\n", False),
    "free alone": ("  stock:\n    table: counters\n    key: {product: product}\n    free: free\n", True),
    "two columns": (
        "  stock:\n    table: counters\n    key: {product: product, place: place}\n    free: free\n    held: held\n",
        False,
    ),
    "counted": (
        "  stock:\n    table: counters\n    key: {product: product}\n    free: free\n    held: held\n"
        "    counted: status <> 'free'\n",
        False,
    ),
    "free and held": (
        "  stock:\n    table: counters\n    key: {product: product}\n    free: free\n    held: held\n",
        False,
    ),
    "none": ("", False),
}


def shop(db: Database) -> None:
    db.conn.execute(
        "CREATE TABLE holds (id integer PRIMARY KEY, product integer, place integer, at timestamptz,"
        " status text DEFAULT 'held');"
        "CREATE TABLE counters (product integer, place integer, free integer, held integer,"
        " PRIMARY KEY (product, place)); CREATE UNIQUE INDEX ON counters (product);"
        "INSERT INTO counters VALUES (1, 1, 100, 9);"  # drifted
        "INSERT INTO holds VALUES (1, 1, 1, now() - interval '1 h'), (2, 1, 1, now() + interval '1 h')"
    )


@pytest.mark.parametrize("stock,unchecked", STOCK.values(), ids=STOCK)
def test_reconcile(
    db: Database, redis: redis_py.Redis, run: Run, stock: str, unchecked: bool
) -> None:
    """Rows and entries are mended in each shape; counters are never said not to have drifted unseen."""
    shop(db)
    redis.zadd("{shop}:pending", {"7": 1})
    done = run(
        *("--reconcile", "--repair-stock", "--lookahead", "off", "--report", "-"),
        env=queue(TIMES["zoned, at once"], stock),
    )
    record = done.record("Reconciliation completed")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (record["releasedCount"], record["mirrorMissing"], record["mirrorOrphaned"]) == (1, 1, 1), record
    assert states(db) == {1: "free", 2: "held"}
    assert [id.decode() for id in redis.zrange("{shop}:pending", 0, -1)] == ["2"]
    if unchecked:
        assert record["stockDrifted"] is None and record["stockChecked"] is None
        assert done.record("Stock counters are not compared")["reason"] == record["notCheckable"]
        assert [line for line in lines if line["kind"] == "notCheckable"]
    else:
        assert record["stockDrifted"] == record["stockRepaired"] == (1 if stock else 0)
        assert "notCheckable" not in record or record["notCheckable"] is None
        if stock:
            assert db.value("SELECT held FROM counters") == 1
