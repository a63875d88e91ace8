"""keep_while: what is due, and kept. The races of payments with the release, in each order; how long it is
kept, and what becomes of it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis as redis_py
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.locks import transaction, waits
from harness.poll import wait_until
from harness.process import free_port
from harness.shapes import DEFAULT_LIKE, EPOCH, NO_REDIS, RAFFLE, SHAPES, SPREE, WAREHOUSE, Shape, Shop, last_row, name
from harness.statement import outcome, prepare_sent
from harness.sweeper import Run, Start, Sweeper
from psycopg.rows import namedtuple_row


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


Open = Callable[..., Shop]
ID = {WAREHOUSE.name: "order_id", SPREE.name: "order_id"}


def keep(shape: Shape, more: str = "") -> str:
    id = f"r.{ID.get(shape.name, 'id')}::text"
    if "uuid" in shape.tables:
        id = f"ltrim(replace({id}, '-', ''), '0')"
    return (
        "  keep_while: |\n"
        f"    EXISTS (SELECT FROM payments p WHERE p.hold = {id} AND p.pending) -- unless paid\n" + more
    )


@pytest.fixture
def open_shop(db: Database, run: Run, tmp_path: Path) -> Open:
    """A shop with payments."""

    def made(shape: Shape, more: str = "") -> Shop:
        shop = Shop(db, shape, tmp_path, run)
        db.conn.execute("CREATE TABLE payments (hold text NOT NULL, pending boolean DEFAULT true)")
        shop.write(shape.file + keep(shape, more))
        return shop

    return made


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_what_is_paid_for_is_kept(open_shop: Open, shape: Shape) -> None:
    """All of its rows, whichever of them is meant; and nothing else."""
    shop = open_shop(shape)
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(2, 2)
    if shape.several:
        shop.hold(2, 1)
    shop.db.conn.execute("INSERT INTO payments VALUES ('2', true), ('3', true), ('1', false)")
    done = shop.once()
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"]) == (0, 1), done.stderr
    assert shop.active() == {2: 2 if shape.several else 1}
    shop.db.conn.execute("UPDATE payments SET pending = false")
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 1
    assert not shop.active()
    shop.given_back(1, 2)


# ---- Races: the release, step by step, and a payment at each of them -------------------------------------

ROUNDS = int(os.environ.get("RS_RACES", "200"))  # of each order

SEATS = """
    CREATE TABLE holds (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'held',
        expires_at timestamptz NOT NULL);
    CREATE TABLE payments (hold integer NOT NULL REFERENCES holds, pending boolean NOT NULL DEFAULT true);
    CREATE INDEX ON payments (hold)
"""
SEATS_FILE = """
seats:
  table: holds
  active: status = 'held'
  released: status = 'free'
  keep_while: |
    EXISTS (SELECT FROM payments p WHERE p.hold = r.id AND p.pending)
"""


class Seats:
    """The release of one seat as the daemon makes it, step by step, on db.conn; and whoever pays."""

    def __init__(self, db: Database, folder: Path, run: Run, more: str = "") -> None:
        self.db = db
        self.n = 0
        db.conn.execute(SEATS)  # type: ignore[arg-type]
        self.file = folder / "queues.yaml"
        self.file.write_text(SEATS_FILE + more, encoding="utf-8")
        self.due()
        options = ("--once", *NO_REDIS, "--queues", str(self.file))
        prepare_sent(db, "lock", r"WITH rs\$seen AS", *options)
        self.due()
        prepare_sent(db, "release", r"WITH rs\$ours AS", *options)

    def due(self) -> int:
        """A hold that is."""
        self.n += 1
        self.db.conn.execute("INSERT INTO holds VALUES (%s, 'held', now() - interval '1 s')", (self.n,))
        return self.n

    def lock(self, id: int) -> None:
        self.db.conn.execute("BEGIN")
        self.db.conn.execute(f"EXECUTE lock ('{{{id}}}')")

    def judge(self, id: int) -> str:
        cursor = self.db.conn.cursor(row_factory=namedtuple_row)
        row = cursor.execute(f"EXECUTE release ('{{{id}}}')").fetchone()
        self.db.conn.execute("COMMIT")
        assert row is not None
        return "kept" if row.kept and row.units is None else outcome(row)

    def held(self, id: int) -> bool:
        return self.db.value("SELECT status FROM holds WHERE id = %s", (id,)) == "held"


@pytest.fixture
def seats(db: Database, run: Run, tmp_path: Path) -> Seats:
    return Seats(db, tmp_path, run)


@pytest.fixture
def customer(db: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(db.dsn) as conn:
        yield conn


PAY = "INSERT INTO payments (hold) VALUES (%s)"
# When the payment's row is inserted, and when that is committed: before the locks, between them and the
# judgement, or after that. None: never.
ORDERS = {
    "before": (0, 0, "kept"),
    "begun before, committed between": (0, 1, "kept"),
    "begun before, committed after": (0, 2, "locked"),
    "begun before, given up between": (0, None, "locked"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_a_payment_with_nothing_but_a_foreign_key(
    seats: Seats, customer: psycopg.Connection, order: str
) -> None:
    """A seat whose payment's row was inserted before its row was locked is never freed."""
    begun, committed, expected = ORDERS[order]
    for _ in range(ROUNDS):
        id = seats.due()
        customer.execute(PAY, (id,))
        if committed == 0:
            customer.commit()
        seats.lock(id)
        if committed == 1:
            customer.commit()
        elif committed is None:
            customer.rollback()
        assert seats.judge(id) == expected
        customer.commit()
        assert seats.held(id)
        seats.lock(id)
        assert seats.judge(id) == ("released" if committed is None else "kept")


@pytest.mark.parametrize("end", ["committed", "rolled back"])
def test_a_payment_of_a_shop_that_locks(seats: Seats, customer: psycopg.Connection, end: str) -> None:
    """It waits for us, or we pass it by; never do both have the seat."""
    free = "SELECT FROM holds WHERE id = %s AND status = 'held' FOR UPDATE NOWAIT"
    for _ in range(ROUNDS):
        id = seats.due()
        seats.lock(id)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            customer.execute(free, (id,))
        customer.rollback()
        assert seats.judge(id) == "released"
        assert customer.execute(free, (id,)).fetchone() is None
        customer.rollback()

        id = seats.due()
        assert customer.execute(free, (id,)).fetchone() is not None
        customer.execute(PAY, (id,))
        seats.lock(id)
        if end == "committed":
            customer.commit()
        else:
            customer.rollback()
        assert seats.judge(id) == ("kept" if end == "committed" else "locked")
        seats.lock(id)
        assert seats.judge(id) == ("kept" if end == "committed" else "released")


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_payment_that_fails(seats: Seats, customer: psycopg.Connection, when: str) -> None:
    """It is kept by what was committed; when that is no more, it goes with the next attempt."""
    for _ in range(ROUNDS // 2):
        id = seats.due()
        customer.execute(PAY, (id,))
        customer.commit()
        customer.execute("DELETE FROM payments WHERE hold = %s", (id,))
        if when == "before":
            customer.commit()
        seats.lock(id)
        if when == "between":
            customer.commit()
        # What a look without a lock found to be kept was not locked: it cannot be freed now.
        expected = {"before": "released", "between": "locked", "after": "kept"}
        assert seats.judge(id) == expected[when]
        customer.commit()
        if when != "before":
            seats.lock(id)
            assert seats.judge(id) == "released"


def test_a_payment_between_look_and_lock(seats: Seats, customer: psycopg.Connection) -> None:
    """The statement that locks has its snapshot, sees no payment, and gets the lock after it was
    committed: the one that judges sees it."""
    text = str(seats.db.value("SELECT statement FROM pg_prepared_statements WHERE name = 'lock'"))
    gate = "WHERE (SELECT pg_catalog.pg_advisory_xact_lock_shared(7)) IS NOT NULL AND (true"
    seats.db.conn.execute("DEALLOCATE lock")
    seats.db.conn.execute(text.replace("WHERE (true", gate, 1))  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        for _ in range(20):
            id = seats.due()
            customer.execute("SELECT pg_advisory_xact_lock(7)")
            done = pool.submit(seats.lock, id)
            wait_until(lambda: waits(seats.db), 20, "the locks wait")
            customer.execute(PAY, (id,))
            customer.commit()
            done.result()
            assert seats.judge(id) == "kept" and seats.held(id)


# ---- How long it is kept ---------------------------------------------------------------------------------


def record_of(redis: redis_py.Redis, id: int | str, queue: str = "seats") -> dict[str, Any] | None:
    text = redis.hget(f"{{{queue}}}:kept", str(id))
    return json.loads(text) if text is not None else None


def since_epoch_ms(db: Database, id: int) -> int:
    return db.value("SELECT floor(extract(epoch FROM expires_at) * 1000)::bigint FROM holds WHERE id = %s", (id,))


def pay(db: Database, id: int) -> None:
    db.conn.execute(PAY, (id,))


def gave_up(db: Database, id: int) -> None:
    db.conn.execute("UPDATE payments SET pending = false WHERE hold = %s", (id,))


class Hall:
    """Seats, a daemon's settings, and how the seats are."""

    def __init__(self, db: Database, folder: Path, more: str) -> None:
        self.db = db
        db.conn.execute(SEATS)  # type: ignore[arg-type]
        self.file = folder / "queues.yaml"
        self.write(more)

    def write(self, more: str) -> None:
        self.file.write_text(SEATS_FILE + more, encoding="utf-8")

    def hold(self, id: int, s: float = -1, paid: bool = True) -> None:
        """A sweeper that runs sees the hold with its payment."""
        with self.db.conn.transaction():
            self.db.conn.execute("INSERT INTO holds VALUES (%s, 'held', now() + %s * interval '1 s')", (id, s))
            if paid:
                pay(self.db, id)

    def held(self, id: int) -> bool:
        return self.db.value("SELECT status FROM holds WHERE id = %s", (id,)) == "held"

    def left(self, id: int) -> float:
        """How long until it expires, in seconds."""
        return float(self.db.value("SELECT extract(epoch FROM expires_at - now()) FROM holds WHERE id = %s", (id,)))


Open2 = Callable[[str], Hall]


@pytest.fixture
def open_hall(db: Database, tmp_path: Path) -> Open2:
    return lambda more: Hall(db, tmp_path, more)


def test_looked_at_again(open_hall: Open2, sweeper: Start, redis: redis_py.Redis) -> None:
    """It stays as it is, with a record, and is released when its payment has ended."""
    hall = open_hall("  keep: {look_again: 1s}\n")
    hall.hold(1)
    hall.hold(2, paid=False)
    due = since_epoch_ms(hall.db, 1)
    sweeper("--queues", str(hall.file))
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept")
    wait_until(lambda: not hall.held(2), 10, "the other one is released")
    record = record_of(redis, 1)
    assert record is not None and hall.held(1)
    assert record["since"] == due and record["attention"] is False
    assert due < record["lookAgainAt"] and since_epoch_ms(hall.db, 1) == due
    wait_until(lambda: (record_of(redis, 1) or record)["lookAgainAt"] > record["lookAgainAt"], 10, "again")
    assert hall.held(1)
    gave_up(hall.db, 1)
    wait_until(lambda: not hall.held(1), 10, "it is released")
    wait_until(lambda: not redis.exists("{seats}:kept", "{seats}:pending"), 10, "nothing is left")


def test_extended(open_hall: Open2, sweeper: Start, redis: redis_py.Redis) -> None:
    """It expires later, again and again, and never later than at_most; then it wants attention."""
    hall = open_hall("  keep: {extend: 1s, at_most: 4s}\n")
    hall.hold(1, s=0)
    due = since_epoch_ms(hall.db, 1)
    sweeper("--queues", str(hall.file))
    latest, seen = due, {due}
    while (record_of(redis, 1) or {}).get("attention") is not True:
        latest = since_epoch_ms(hall.db, 1)
        seen.add(latest)
        assert latest <= due + 4000 and hall.held(1)
        record = record_of(redis, 1)
        assert record is None or abs(record["since"] - due) <= 1
    assert len(seen) >= 3 and due + 2000 < latest <= due + 4000
    assert redis.zscore("{seats}:attention", "1") is not None
    assert hall.held(1)
    gave_up(hall.db, 1)
    redis.zadd("{seats}:pending", {"1": 0})
    wait_until(lambda: not hall.held(1), 10, "it is released")
    wait_until(lambda: not redis.exists("{seats}:kept", "{seats}:attention"), 10, "nothing is left")


@pytest.mark.parametrize("how", ["look_again: 1s", "look_again: 1h", "extend: 1s"])
def test_then_released(open_hall: Open2, sweeper: Start, redis: redis_py.Redis, how: str) -> None:
    """Where the operator wrote so."""
    hall = open_hall(f"  keep: {{{how}, at_most: 3s, then: release}}\n")
    hall.hold(1, s=0)
    daemon = sweeper("--queues", str(hall.file))
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept")
    assert hall.held(1)
    wait_until(lambda: not hall.held(1), 10, "it is released")
    assert -hall.left(1) < 5 and daemon.running
    wait_until(lambda: not redis.exists("{seats}:kept"), 10, "nothing is left")


TIMES = {
    EPOCH.name: "until / 1000.0",
    DEFAULT_LIKE.name: "extract(epoch FROM due AT TIME ZONE 'Europe/Berlin')",
    WAREHOUSE.name: "extract(epoch FROM expires_at AT TIME ZONE 'UTC')",
    RAFFLE.name: 'extract(epoch FROM "reservedUntil")',
}


@pytest.mark.parametrize("shape", [s for s in SHAPES if "after" not in s.file], ids=name)
def test_every_kind_of_time_is_extended(open_shop: Open, shape: Shape) -> None:
    """All rows of the id, in the column's own kind: a minute from now, and not due before."""
    shop = open_shop(shape, "  keep: {extend: 1m}\n")
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(2, 2, s=-2)
    if shape.several:
        shop.hold(2, 1)
    shop.db.conn.execute("INSERT INTO payments VALUES ('2', true)")
    record = shop.once().record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
    shop.db.conn.execute("UPDATE payments SET pending = false")
    record = shop.once().record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (0, 0), "it is not due"
    assert shop.active() == {2: 2 if shape.several else 1}
    time = TIMES.get(shape.name, "extract(epoch FROM expires_at)")
    rows = shop.db.query(f"SELECT {time} - extract(epoch FROM now()) FROM {shape.holds}")  # type: ignore[arg-type]
    ahead = [float(left) for (left,) in rows if left is not None and left > 0]
    assert len(ahead) == (2 if shape.several else 1) and all(45 < left <= 60 for left in ahead), ahead


# ---- How it is shown -------------------------------------------------------------------------------------


def metric(daemon: Sweeper, name: str) -> float | None:
    try:
        text = daemon.http("/metrics")[1]
    except OSError:
        return None  # not yet
    found = re.search(rf'^reservation_sweeper_{name}{{queue="seats"}} (\S+)$', text, re.M)
    return float(found[1]) if found else None


def test_shown_and_not_late(open_hall: Open2, sweeper: Start, redis: redis_py.Redis, run: Run) -> None:
    """Gauges and /status tell it; for /readyz it is not overdue, however long ago it was due."""
    hall = open_hall("  keep: {look_again: 1s, at_most: 1h}\n")
    hall.hold(1, s=-7200)
    hall.hold(2, s=-60)
    daemon = sweeper("--queues", str(hall.file), http=True)
    wait_until(lambda: metric(daemon, "kept_reservations") == 2, 15, "both are kept")
    wait_until(lambda: metric(daemon, "kept_attention_reservations") == 1, 15, "one for too long")
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 15, "it is ready")
    wait_until(lambda: metric(daemon, "overdue_seconds") == 0, 20, "nothing is overdue")
    status = json.loads(daemon.http("/status")[1])
    assert (status["kept"], status["keptAttention"], status["ready"]) == (2, 1, True)
    shown = json.loads(run("--status", "--queues", str(hall.file)).stdout)
    assert (shown["kept"], shown["keptAttention"], shown["ready"]) == (2, 1, True)
    for id in (1, 2):
        gave_up(hall.db, id)
    wait_until(lambda: metric(daemon, "kept_reservations") == 0, 15, "none is")
    assert metric(daemon, "kept_attention_reservations") == 0


def test_what_is_late_behind_many_that_are_kept(open_hall: Open2, redis: redis_py.Redis, run: Run) -> None:
    hall = open_hall("")
    hall.db.conn.execute(
        "INSERT INTO holds SELECT i, 'held', now() - interval '1 h' FROM generate_series(1, 600) i;"
        "INSERT INTO payments SELECT i FROM generate_series(1, 600) i"
    )
    assert run("--once", "--queues", str(hall.file)).record("Cleanup job completed")["keptCount"] == 600
    hall.hold(1000, s=-60, paid=False)
    shown = json.loads(run("--status", "--queues", str(hall.file)).stdout)
    assert (shown["kept"], shown["ready"]) == (600, False) and 60 <= shown["overdueSeconds"] < 600, shown


# ---- Whatever goes away ----------------------------------------------------------------------------------


def test_redis_lost(open_hall: Open2, sweeper: Start, redis: redis_py.Redis) -> None:
    """Its records come back as they were, since this process knows them; and it is said."""
    hall = open_hall("  keep: {extend: 1s, at_most: 1h}\n")
    hall.hold(1, s=0)
    daemon = sweeper("--queues", str(hall.file))
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept")
    first = record_of(redis, 1) or {}
    since = first["since"]
    wait_until(lambda: (record_of(redis, 1) or first)["dueAt"] > first["dueAt"], 10, "it is kept once more")
    assert not daemon.find("Redis has lost the record")
    redis.delete("{seats}:kept")
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept again")
    assert (record_of(redis, 1) or {})["since"] == since and hall.held(1)
    lost = daemon.wait_for_record("Redis has lost the record of a kept reservation")
    assert (lost["level"], lost["reservationId"]) == ("WARN", "1")


def test_redis_away(open_hall: Open2, sweeper: Start, private_redis: Any) -> None:
    """Kept and extended all the same, for no longer than at_most; and released when it may be."""
    server = private_redis()
    hall = open_hall("  keep: {extend: 1s, at_most: 4s}\n")
    daemon = sweeper("--queues", str(hall.file), redis_url=server.url(), http=True)
    wait_until(lambda: metric(daemon, "degraded") == 0, 10, "Redis is there")
    server.stop()
    wait_until(lambda: metric(daemon, "degraded") == 1, 15, "Redis is gone")
    hall.hold(1, s=2)
    hall.hold(2, s=2, paid=False)
    due, seen = since_epoch_ms(hall.db, 1), set()

    def attention() -> bool:
        seen.add(since_epoch_ms(hall.db, 1))
        return metric(daemon, "kept_attention_reservations") == 1

    wait_until(attention, 30, "it wants attention")
    assert due + 2000 < max(seen) <= due + 4000 and len(seen) >= 3 and hall.held(1) and not hall.held(2)
    assert metric(daemon, "kept_reservations") == 1
    server.start()
    client = server.client()
    wait_until(lambda: (record_of(client, 1) or {}).get("attention") is True, 20, "Redis is told")
    assert abs((record_of(client, 1) or {})["since"] - due) <= 1
    client.close()


def test_redis_away_and_looked_at_seldom(open_hall: Open2, sweeper: Start) -> None:
    """No longer than at_most either."""
    hall = open_hall("  keep: {look_again: 1h, at_most: 3s, then: release}\n")
    hall.hold(1, s=0)
    sweeper("--queues", str(hall.file), redis_url=NO_REDIS[1], http=True)
    wait_until(lambda: not hall.held(1), 15, "it is released")
    assert 3 <= -hall.left(1)


def test_started_again(open_hall: Open2, sweeper: Start, redis: redis_py.Redis, run: Run) -> None:
    """Redis knows since when, for the next sweeper and for --once: neither extends it any more."""
    hall = open_hall("  keep: {extend: 1s, at_most: 2s}\n")
    hall.hold(1, s=0)
    due = since_epoch_ms(hall.db, 1)
    first = sweeper("--queues", str(hall.file))
    wait_until(lambda: (record_of(redis, 1) or {}).get("attention") is True, 15, "it wants attention")
    first.stop()
    latest = since_epoch_ms(hall.db, 1)
    assert due < latest <= due + 2000
    place = hall.db.value("SELECT ctid FROM holds")
    for _ in range(2):
        record = run("--once", "--queues", str(hall.file)).record("Cleanup job completed")
        assert (record["cleanedCount"], record["keptCount"]) == (0, 1)
    assert since_epoch_ms(hall.db, 1) == latest
    assert hall.db.value("SELECT ctid FROM holds") == place, "nothing is written any more"
    sweeper("--queues", str(hall.file))
    redis.zadd("{seats}:pending", {"1": 0})
    wait_until(lambda: redis.zscore("{seats}:pending", "1") not in (0.0, None), 10, "it was looked at")
    assert since_epoch_ms(hall.db, 1) == latest and hall.held(1)
    assert abs((record_of(redis, 1) or {})["since"] - due) <= 1


def test_another_hold_of_the_same_id(open_hall: Open2, redis: redis_py.Redis, run: Run) -> None:
    """A seat: what Redis has of its last hold says nothing of this one, not even where what has been kept
    for too long is released."""
    hall = open_hall("  keep: {extend: 1m, at_most: 1h, then: release}\n")
    hall.hold(1)
    record = {"since": 1_000_000_000_000, "dueAt": 1_000_003_600_000, "lookAgainAt": 1, "attention": True}
    redis.hset("{seats}:kept", "1", json.dumps(record))
    redis.zadd("{seats}:attention", {"1": 1})
    due = since_epoch_ms(hall.db, 1)
    done = run("--once", "--queues", str(hall.file)).record("Cleanup job completed")
    assert (done["cleanedCount"], done["keptCount"]) == (0, 1)
    assert hall.held(1) and hall.left(1) > 30
    record = record_of(redis, 1) or {}
    assert record["since"] == due and not record["attention"] and not redis.exists("{seats}:attention")


@pytest.mark.parametrize("text", ["", "x", "[]", '{"since": -1, "dueAt": 1e99}', '{"since": "1"}'])
def test_a_record_that_says_nothing(open_hall: Open2, redis: redis_py.Redis, run: Run, text: str) -> None:
    hall = open_hall("  keep: {extend: 1m, then: release}\n")
    hall.hold(1)
    redis.hset("{seats}:kept", "1", text)
    assert run("--once", "--queues", str(hall.file)).record("Cleanup job completed")["keptCount"] == 1
    assert hall.held(1) and hall.left(1) > 30


def test_two_sweepers(open_hall: Open2, sweeper: Start, redis: redis_py.Redis) -> None:
    """Payments come and go while both are at work: none is freed that is being paid for, all others are."""
    hall = open_hall("  keep: {extend: 1s}\n")
    hall.db.conn.execute(
        "CREATE TABLE freed (id integer, paying boolean);"
        "CREATE FUNCTION freed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " INSERT INTO freed VALUES (OLD.id,"
        "  EXISTS (SELECT FROM payments p WHERE p.hold = OLD.id AND p.pending)); RETURN NULL; END$$;"
        "CREATE TRIGGER freed AFTER UPDATE OF status ON holds FOR EACH ROW EXECUTE FUNCTION freed();"
        "INSERT INTO holds SELECT i, 'held', now() + i % 7 * interval '0.3 s' FROM generate_series(1, 300) i"
    )
    for _ in range(2):
        sweeper("--queues", str(hall.file))
    with psycopg.connect(hall.db.dsn) as customer:
        for id in range(1, 301):
            if customer.execute(
                "SELECT FROM holds WHERE id = %s AND status = 'held' FOR UPDATE SKIP LOCKED", (id,)
            ).fetchone():
                customer.execute(PAY, (id,))
            customer.commit()
    held = {id for (id,) in hall.db.query("SELECT hold FROM payments")}
    wait_until(
        lambda: hall.db.value("SELECT count(*) FROM holds WHERE status = 'held'") == len(held), 20, "the rest"
    )
    hall.db.conn.execute("UPDATE payments SET pending = false")
    wait_until(lambda: hall.db.value("SELECT count(*) FROM holds WHERE status = 'held'") == 0, 20, "all")
    assert hall.db.value("SELECT count(*) FROM freed WHERE paying") == 0
    assert hall.db.value("SELECT count(*) FROM freed") == 300
    wait_until(lambda: not redis.exists("{seats}:kept", "{seats}:pending"), 20, "nothing is left")


# ---- Before anything is sent -----------------------------------------------------------------------------


def test_a_dry_run(open_hall: Open2, run: Run) -> None:
    """It counts what would be kept, and changes nothing."""
    hall = open_hall("  keep: {extend: 1m}\n")
    hall.hold(1)
    hall.hold(2, paid=False)
    hall.hold(3, s=600)
    record = run("--once", "--dry-run", "--queues", str(hall.file)).record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, 1)
    assert hall.held(1) and hall.held(2) and hall.left(1) < 0


def test_a_rehearsal(open_hall: Open2, run: Run) -> None:
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


def test_what_it_needs_is_shown(open_hall: Open2, db: Database, run: Run) -> None:
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
def test_payments_that_are_hidden(open_hall: Open2, db: Database, run: Run, through: str) -> None:
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
def test_what_is_refused(open_hall: Open2, run: Run, condition: str, wanted: str) -> None:
    """With file and line, before anything is sent."""
    hall = open_hall("")
    hall.file.write_text(SEATS_FILE.replace("EXISTS (SELECT FROM payments p WHERE p.hold = r.id AND p.pending)", condition))
    hall.hold(1)
    done = run("--once", "--queues", str(hall.file))
    assert done.status in (1, 2) and wanted in done.stderr.replace("\\\"", "\""), done.stderr
    assert re.search(r"queues\.yaml:6: .*keep_while: ", done.stderr)
    assert hall.held(1) and hall.left(1) < 0


def test_an_expiry_that_stays(open_hall: Open2, run: Run) -> None:
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


def test_an_error_in_the_condition_is_the_rows(open_hall: Open2, run: Run) -> None:
    hall = open_hall("")
    hall.file.write_text(SEATS_FILE.replace("p.pending)", "p.pending AND 1 / (r.id - 2) < 9)"))
    for id in (1, 2, 3, 4):
        hall.hold(id, paid=id in (2, 3))
    done = run("--once", "--queues", str(hall.file))
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"], record["failedCount"]) == (2, 1, 1)
    assert done.record("Postgres refused to release a reservation")["reservationId"] == "2"


@pytest.mark.parametrize("held", ["row", "nothing"])
def test_extended_as_a_whole(open_shop: Open, held: str) -> None:
    """All rows of an id, or none: while somebody has one of them locked it is tried again."""
    shop = open_shop(WAREHOUSE, "  keep: {extend: 1m}\n")
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(1, 2)
    shop.db.conn.execute("INSERT INTO payments VALUES ('1', true)")
    mode = "NO KEY UPDATE" if held == "row" else "KEY SHARE"
    with transaction(shop.db, (f"SELECT FROM holds WHERE {last_row(WAREHOUSE)} FOR {mode}", None)):
        record = shop.once().record("Cleanup job completed")
        kept = 0 if held == "row" else 1
        assert (record["keptCount"], record["skippedCount"]) == (kept, 1 - kept)
        soon = shop.db.query("SELECT expires_at > now() AT TIME ZONE 'UTC' FROM holds")
        assert soon == [(held != "row",)] * 2


def test_bought(open_hall: Open2, sweeper: Start, redis: redis_py.Redis) -> None:
    """By a shop that removes its entry: its record goes too."""
    hall = open_hall("  keep: {look_again: 1h}\n")
    hall.hold(1)
    sweeper("--queues", str(hall.file))
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept")
    gave_up(hall.db, 1)
    hall.db.conn.execute("UPDATE holds SET status = 'sold' WHERE id = 1")
    redis.zrem("{seats}:pending", "1")
    wait_until(lambda: not redis.exists("{seats}:kept", "{seats}:pending"), 15, "nothing is left")


def test_where_nothing_is_kept_any_more(
    open_hall: Open2, sweeper: Start, redis: redis_py.Redis, run: Run
) -> None:
    """The file has no keep_while by now: what it had kept is released at once, and its records go, those of what
    was bought too."""
    hall = open_hall("  keep: {look_again: 1h}\n")
    for id in (1, 2, 3):
        hall.hold(id)
    assert run("--once", "--queues", str(hall.file)).record("Cleanup job completed")["keptCount"] == 3
    hall.db.conn.execute("UPDATE holds SET status = 'sold' WHERE id = 1")
    redis.zrem("{seats}:pending", "1", "2")
    hall.file.write_text(SEATS_FILE[: SEATS_FILE.index("  keep_while")], encoding="utf-8")
    sweeper("--queues", str(hall.file))
    wait_until(lambda: not hall.held(2) and not hall.held(3), 15, "nothing keeps it")
    wait_until(lambda: not redis.exists("{seats}:kept", "{seats}:pending"), 15, "nothing is left")


@pytest.mark.parametrize("how", ["look_again: 1s", "extend: 1m"])
def test_looked_at_sooner_than_it_was_said(open_hall: Open2, sweeper: Start, redis: redis_py.Redis, how: str) -> None:
    """The file is another by now (SIGHUP): what was kept by the former is looked at by this one."""
    hall = open_hall("  keep: {look_again: 1h}\n")
    hall.hold(1)
    daemon = sweeper("--queues", str(hall.file))
    wait_until(lambda: record_of(redis, 1) is not None, 10, "it is kept")
    hall.write(f"  keep: {{{how}}}\n")
    daemon.process.send_signal(signal.SIGHUP)
    if "extend" in how:
        wait_until(lambda: hall.left(1) > 30, 15, "it is extended")
        return
    gave_up(hall.db, 1)
    wait_until(lambda: not hall.held(1), 15, "it is released")


def test_reconciled(open_hall: Open2, redis: redis_py.Redis, run: Run) -> None:
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


def test_what_is_kept_is_not_locked(seats: Seats, customer: psycopg.Connection) -> None:
    """A look without a lock says so: whoever pays need not wait for the sweeper."""
    id = seats.due()
    pay(seats.db, id)
    seats.lock(id)
    assert customer.execute("SELECT FROM holds WHERE id = %s FOR UPDATE NOWAIT", (id,)).fetchone() is not None
    customer.rollback()
    assert seats.judge(id) == "kept"


def test_as_many_statements_as_there_may_be(open_hall: Open2, run: Run) -> None:
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
