"""keep_while: how long what is due is kept, how it is shown, and what becomes of it whatever goes away."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import psycopg
import pytest
import redis as redis_py
from harness.database import Database
from harness.locks import transaction
from harness.payments import PAY, SEATS_FILE, Open, OpenHall, gave_up, record_of, since_epoch_ms
from harness.poll import wait_until
from harness.shapes import DEFAULT_LIKE, EPOCH, NO_REDIS, RAFFLE, SHAPES, WAREHOUSE, Shape, last_row, name
from harness.sweeper import Run, Start, Sweeper


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


def test_looked_at_again(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis) -> None:
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


def test_extended(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis) -> None:
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
def test_then_released(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis, how: str) -> None:
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
def test_every_kind_of_time_is_extended(paid_shop: Open, shape: Shape) -> None:
    """All rows of the id, in the column's own kind: a minute from now, and not due before."""
    shop = paid_shop(shape, "  keep: {extend: 1m}\n")
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


@pytest.mark.parametrize("held", ["row", "nothing"])
def test_extended_as_a_whole(paid_shop: Open, held: str) -> None:
    """All rows of an id, or none: while somebody has one of them locked it is tried again."""
    shop = paid_shop(WAREHOUSE, "  keep: {extend: 1m}\n")
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


def test_bought(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis) -> None:
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
    open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis, run: Run
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
def test_looked_at_sooner_than_it_was_said(
    open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis, how: str
) -> None:
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


# ---- How it is shown -------------------------------------------------------------------------------------


def metric(daemon: Sweeper, name: str) -> float | None:
    try:
        text = daemon.http("/metrics")[1]
    except OSError:
        return None  # not yet
    found = re.search(rf'^reservation_sweeper_{name}{{queue="seats"}} (\S+)$', text, re.M)
    return float(found[1]) if found else None


def test_shown_and_not_late(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis, run: Run) -> None:
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


def test_what_is_late_behind_many_that_are_kept(open_hall: OpenHall, redis: redis_py.Redis, run: Run) -> None:
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


def test_redis_lost(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis) -> None:
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


def test_redis_away(open_hall: OpenHall, sweeper: Start, private_redis: Any) -> None:
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


def test_redis_away_and_looked_at_seldom(open_hall: OpenHall, sweeper: Start) -> None:
    """No longer than at_most either."""
    hall = open_hall("  keep: {look_again: 1h, at_most: 3s, then: release}\n")
    hall.hold(1, s=0)
    sweeper("--queues", str(hall.file), redis_url=NO_REDIS[1], http=True)
    wait_until(lambda: not hall.held(1), 15, "it is released")
    assert 3 <= -hall.left(1)


def test_started_again(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis, run: Run) -> None:
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


def test_another_hold_of_the_same_id(open_hall: OpenHall, redis: redis_py.Redis, run: Run) -> None:
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
def test_a_record_that_says_nothing(open_hall: OpenHall, redis: redis_py.Redis, run: Run, text: str) -> None:
    hall = open_hall("  keep: {extend: 1m, then: release}\n")
    hall.hold(1)
    redis.hset("{seats}:kept", "1", text)
    assert run("--once", "--queues", str(hall.file)).record("Cleanup job completed")["keptCount"] == 1
    assert hall.held(1) and hall.left(1) > 30


def test_two_sweepers(open_hall: OpenHall, sweeper: Start, redis: redis_py.Redis) -> None:
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
