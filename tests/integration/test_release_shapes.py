"""The careful release on tables of every shape: by the daemon's own statement, with what may happen
meanwhile, and by the program as a whole."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis as redis_py
from harness.database import Database
from harness.locks import transaction, waits
from harness.poll import wait_until
from harness.shapes import (
    COUNTED,
    CREDITS,
    DEFAULT_LIKE,
    EIGHT,
    EPOCH,
    NO_REDIS,
    RAFFLE,
    SHAPES,
    SPREE,
    UPDATED,
    WAREHOUSE,
    Shape,
    Shop,
    last_row,
    name,
)
from harness.statement import outcome
from harness.sweeper import Run, Start


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


Open = Callable[[Shape], Shop]


@pytest.fixture
def open_shop(db: Database, run: Run, tmp_path: Path) -> Open:
    return lambda shape: Shop(db, shape, tmp_path, run)


def fill(shop: Shop) -> tuple[set[int], set[int]]:
    """Some that are due, and some that are not: their ids. Of what is not, some have a row that is."""
    shop.counters(1, 2, 3)
    due, later = {1, 2, 3}, {11}
    shop.hold(1, 1, 2)
    shop.hold(2, 2, 1, s=-3600)
    shop.hold(3, 3, 3, s=-0.001)
    shop.hold(11, 1, 5, s=600)
    if shop.shape.several:
        due, later = due | {4}, later | {12}
        shop.hold(4, 1, 1)
        shop.hold(4, 2, 4, s=-5)
        shop.hold(4, 2, 1, s=-6)
        shop.hold(12, 3, 1, s=600)
        shop.hold(12, 2, 1, s=-600)
    return due, later


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_what_is_due_and_nothing_else(open_shop: Open, shape: Shape) -> None:
    """With its units, to its counters; once."""
    shop = open_shop(shape)
    due, later = fill(shop)
    before = shop.db.query("SELECT * FROM counters_seen ORDER BY 1")
    done = shop.once()
    assert done.status == 0, done.stderr
    record = done.record("Cleanup job completed")
    assert record["cleanedCount"] == len(due)
    units = (2 + 1 + 3 + (6 if shape.several else 0)) if shape.units else 3 + (3 if shape.several else 0)
    fraction = 0.125 * (3 + 3) if "0.125" in shape.tables else 0
    assert record["releasedUnits"] == units + fraction
    assert shop.active() == {id: 2 if id == 12 else 1 for id in later}
    left = {1: 5, 2: 1, 3: 1} if shape.units else {1: 1, 2: 1, 3: 1}
    for key, free, held in shop.db.query("SELECT * FROM counters_seen ORDER BY 1"):
        part = left[key] + (0.125 if fraction else 0)
        assert (free, held) == (100 - part if shape.free else None, part if shape.held else None)
    assert not before or before != shop.db.query("SELECT * FROM counters_seen ORDER BY 1")
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 0


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_what_becomes_of_each(open_shop: Open, shape: Shape) -> None:
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1)
    shop.hold(1)
    shop.hold(2, s=600)
    assert shop.release(2, 1, 3) == ["not due", "released", "missing"]
    assert shop.release(1) == ["missing" if shape.deletes else "settled"]
    assert shop.active() == {2: 1}


@pytest.mark.parametrize("table, counters", [("seen", "held"), ("flipped", "stocked"), ("locked", "page")])
def test_tables_with_names_that_statements_could_have(
    open_shop: Open, table: str, counters: str
) -> None:
    """They are themselves, in the operator's SQL too."""
    shop = open_shop(DEFAULT_LIKE)
    shop.counters(1)
    shop.hold(1, 1, 2)
    shop.db.conn.execute(f'ALTER TABLE holds RENAME TO {table}; ALTER TABLE "counter" RENAME TO {counters}')
    shop.db.conn.execute("CREATE TABLE taken (n int); INSERT INTO taken VALUES (7)")
    shop.write(
        DEFAULT_LIKE.file.replace("table: holds", f"table: {table}")
        .replace("table: counter", f"table: {counters}")
        .replace("place = NULL", "place = NULL, note = (SELECT max(n) FROM taken)")
    )
    for mode in ("--check-config", "--once"):
        done = shop.run(mode, *NO_REDIS, "--queues", str(shop.file))
        assert mode != "--once" or done.status == 0, done.stderr
        assert "42703" not in done.stdout + done.stderr
    assert shop.db.query(f"SELECT active, note FROM {table}") == [(False, "7")]
    shop.given_back()


# ---- What others hold ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_locked_rows_are_passed_by(open_shop: Open, shape: Shape) -> None:
    """With all of their reservations. Of a row to be deleted, a foreign key's lock is enough."""
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(2, 2)
    if shape.several:
        shop.hold(2, 1)
    mode = "KEY SHARE" if shape.deletes else "UPDATE"
    lock = f"SELECT FROM {shape.holds} WHERE {last_row(shape)} FOR {mode}"
    rows = 2 if shape.several else 1
    with transaction(shop.db, (lock, None)):
        assert shop.release(1, 2) == ["released"] + ["locked"] * rows
        assert shop.active() == {2: rows}
    assert shop.release(2) == ["released"] * rows
    assert not shop.active()
    shop.given_back(1, 2)


@pytest.mark.parametrize("shape", COUNTED, ids=name)
def test_locked_counters_are_passed_by(open_shop: Open, shape: Shape) -> None:
    """It says which, by the text of the key."""
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1, 2)
    shop.hold(1, 1)
    shop.hold(2, 2)
    shop.hold(2, 1)
    with transaction(shop.db, (f"SELECT FROM {shape.counter.format(2)} FOR UPDATE", None)):
        answer = shop.answer(1, 2)
        assert [outcome(row) for row in answer] == ["released", "locked", "locked"]
        assert {row.unheld for row in answer} == {None, shape.key(2)}
        assert shop.active() == {2: 2}
    assert shop.release(2) == ["released"] * 2
    shop.given_back(1, 2)


@pytest.mark.parametrize("shape", COUNTED, ids=name)
def test_no_counter(open_shop: Open, shape: Shape) -> None:
    """Released, and said."""
    shop = open_shop(shape)
    shop.counters(1)
    shop.hold(1, 1)
    shop.hold(2, 7)
    done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 2), done.stderr
    assert f'"{shape.key(7)}"' in done.stderr
    assert not shop.active()
    shop.given_back()


@pytest.mark.parametrize("shape", [WAREHOUSE, EPOCH], ids=name)
def test_no_key(open_shop: Open, shape: Shape) -> None:
    """A key of which a part is NULL has no counter, whatever counters there are."""
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1)
    shop.hold(1, 1)
    shop.hold(2, 1)
    column = "warehouse" if shape is WAREHOUSE else "sku"
    shop.db.conn.execute(f"UPDATE holds SET {column} = NULL WHERE {last_row(shape)}")  # type: ignore[arg-type]
    before = shop.db.query("SELECT * FROM counters_seen WHERE key = 1")
    answer = shop.answer(2)
    assert [(outcome(row), row.unheld) for row in answer] == [("released", "")]
    assert shop.db.query("SELECT * FROM counters_seen WHERE key = 1") == before
    assert shop.release(1) == ["released"]


# ---- What changes meanwhile ------------------------------------------------------------------------------


@contextlib.contextmanager
def between_snapshot_and_lock(shop: Shop, *ids: int) -> Iterator[psycopg.Connection]:
    """What is done here happens after the release of these has its snapshot, and before it locks
    anything: a condition of its first scan waits for us. Then the release goes on."""
    db = shop.db
    text = str(db.value("SELECT statement FROM pg_prepared_statements WHERE name = 'release'"))
    gate = "WHERE (SELECT pg_catalog.pg_advisory_xact_lock_shared(7)) IS NOT NULL AND "
    assert "WHERE (true" in text
    db.conn.execute("DEALLOCATE release")
    db.conn.execute(text.replace("WHERE (true", gate + "(true", 1))  # type: ignore[arg-type]
    with psycopg.connect(db.dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_xact_lock(7)")
        done = pool.submit(shop.release, *ids)
        wait_until(lambda: waits(db) or done.done(), 20, "the release waits")
        assert not done.done(), done.result()
        yield other
        other.commit()
        done.result()


@pytest.mark.parametrize("change", ["moved", "extended", "settled", "deleted"])
@pytest.mark.parametrize("shape", SHAPES, ids=name)
def test_a_row_that_changes_between_snapshot_and_lock(
    open_shop: Open, shape: Shape, change: str
) -> None:
    """It is judged by its newest version, or left with its reservation; the others go."""
    if change == "settled" and not shape.settled:
        change = "moved"
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1, 2, 3)
    shop.hold(2, 2)
    if shape.several:
        shop.hold(1, 1, 2)
    shop.hold(1, 3, 2)
    rows = shop.active()[1]
    changes = {
        "moved": f"UPDATE {shape.holds} SET note = 'moved'",
        "extended": f"UPDATE {shape.holds} SET {shape.expires}",
        "settled": f"UPDATE {shape.holds} SET {shape.settled}",
        "deleted": f"DELETE FROM {shape.holds}",
    }
    with between_snapshot_and_lock(shop, 1, 2) as other:
        done = other.execute(f"{changes[change]} WHERE {last_row(shape)}")  # type: ignore[arg-type]
        assert done.rowcount == 1
    left = shop.active()
    assert 2 not in left
    shop.given_back(2)
    if change == "moved":
        assert left in ({}, {1: rows})
    elif change == "extended":
        assert left == {1: rows}
        assert shop.release(1) == ["not due"] * rows
    else:
        assert left == ({1: 1} if shape.several else {})
        shop.release(1)
    if change == "moved":
        shop.release(1)
        assert not shop.active()
        shop.given_back(1, 2, 3)
    elif shape.several and change != "extended":
        assert not shop.active()
        shop.given_back(1, 2)


@pytest.mark.parametrize("shape", [WAREHOUSE, CREDITS, DEFAULT_LIKE], ids=name)
def test_two_spellings_of_one_id(open_shop: Open, shape: Shape) -> None:
    """Released once, and its units given back once."""
    shop = open_shop(shape)
    shop.prepare()
    shop.counters(1)
    shop.hold(10, 1, 3)
    shop.hold(10, 1, 2)
    other = f"{{{shop.spelled(10)}}}" if shape is CREDITS else "010"
    assert shop.release(10, other, 10) == ["released"] * 2
    shop.given_back(1)


# ---- What would give stock back for ever -------------------------------------------------------------------


@pytest.mark.parametrize("good", [0, 150])
@pytest.mark.parametrize("shape", UPDATED, ids=name)
def test_a_released_that_leaves_it_active(open_shop: Open, shape: Shape, good: int) -> None:
    """It is refused, with its queue's name, in each way to release."""
    shop = open_shop(shape)
    lines = [
        "  released: note = 'gone'" if line.startswith("  released:") else line
        for line in shape.file.split("\n")
    ]
    shop.write("\n".join(lines))
    shop.counters(1, 2)
    shop.hold(1, 1)
    for id in range(2, 2 + good):
        shop.hold(id, 1 + id % 2)
    before = shop.db.query("SELECT * FROM counters_seen ORDER BY 1")
    done = shop.once()
    assert done.status == 1
    record = done.record("Cleanup job completed")
    assert record["cleanedCount"] == 0 and record["failedCount"] > 0
    refused = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert {r["sqlstate"] for r in refused} == {"RS002"}
    for r in refused:
        assert r["error"].startswith("queue shop: the row is still active after `released`: ")
    assert len(shop.active()) == 1 + good
    assert shop.db.query("SELECT * FROM counters_seen ORDER BY 1") == before
    shop.write(shape.file)
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 1 + good
    shop.given_back()


def trigger(shape: Shape, when: str, body: str, also: str = "") -> str:
    kind = "CONSTRAINT TRIGGER" if also else "TRIGGER"
    return (
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;"
        f" CREATE {kind} meddle {when} {'DELETE' if shape.deletes else 'UPDATE'} ON {shape.holds} {also}"
        " FOR EACH ROW EXECUTE FUNCTION meddle()"
    )


REINSERT = "INSERT INTO {holds} SELECT OLD.*; RETURN OLD;"
REVERT = "IF pg_trigger_depth() = 1 THEN UPDATE {holds} SET {active} WHERE id = NEW.id; END IF; RETURN NEW;"
NOTHING = "RETURN NULL;"
AT_THE_END = "DEFERRABLE INITIALLY DEFERRED"
MEDDLING = {
    "a row is kept": (RAFFLE, "BEFORE", NOTHING, "", "not changed"),
    "a row is made active again": (RAFFLE, "AFTER", REVERT, "", "still active"),
    "a row is made active again at the end": (RAFFLE, "AFTER", REVERT, AT_THE_END, "still active"),
    "a counted row is kept": (EPOCH, "BEFORE", NOTHING, "", "not changed"),
    "a deleted row is kept": (SPREE, "BEFORE", NOTHING, "", "not deleted"),
    "a deleted row is put back": (CREDITS, "AFTER", REINSERT, "", "active after it was deleted"),
    "a deleted row is put back at the end": (
        *(SPREE, "AFTER", REINSERT, AT_THE_END, "active after it was deleted"),
    ),
}


@pytest.mark.parametrize("wrong", MEDDLING)
def test_a_trigger_that_undoes_it(open_shop: Open, wrong: str) -> None:
    shape, when, body, also, said = MEDDLING[wrong]
    shop = open_shop(shape)
    shop.counters(1)
    shop.hold(1)
    shop.hold(2)
    active = "state = 'RESERVED'" if shape is RAFFLE else ""
    body = body.format(holds=shape.holds, active=active)
    shop.db.conn.execute(trigger(shape, when, body, also))  # type: ignore[arg-type]
    before = shop.db.query("SELECT * FROM counters_seen")
    done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["failedCount"]) == (1, 2), done.stderr
    refused = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert {r["sqlstate"] for r in refused} == {"RS002"}
    assert all(r["error"].startswith("queue shop: ") and said in r["error"] for r in refused)
    assert len(shop.active()) == 2
    assert shop.db.query("SELECT * FROM counters_seen") == before
    shop.db.conn.execute("DROP FUNCTION meddle() CASCADE")
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 2


RESTOCKS = {
    WAREHOUSE: "UPDATE stocks SET quantity_reserved = quantity_reserved + 1 WHERE variant_id = OLD.variant_id"
    " AND warehouse = OLD.warehouse",
    CREDITS: "UPDATE bank.accounts SET credit = credit + 1 WHERE account = OLD.account",
}


@pytest.mark.parametrize("shape", RESTOCKS, ids=name)
def test_a_trigger_that_counts_too(open_shop: Open, shape: Shape) -> None:
    shop = open_shop(shape)
    shop.counters(1)
    shop.hold(1)
    before = shop.db.query("SELECT * FROM counters_seen")
    shop.db.conn.execute(trigger(shape, "AFTER", f"{RESTOCKS[shape]}; RETURN NULL;"))  # type: ignore[arg-type]
    done = shop.once()
    assert done.status == 1
    (refused,) = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert refused["sqlstate"] == "RS001"
    assert refused["error"].startswith(f"the counter of product {shape.key(1)} was changed again")
    assert shop.active() == {1: 1}
    assert shop.db.query("SELECT * FROM counters_seen") == before


# ---- What is given back is what was held -------------------------------------------------------------------


def test_units_and_keys_from_before(open_shop: Open) -> None:
    """A trigger sets both to something else, which RETURNING shows."""
    shop = open_shop(WAREHOUSE)
    shop.db.conn.execute(
        trigger(WAREHOUSE, "BEFORE", "NEW.reserved_quantity := 0; NEW.variant_id := NULL; RETURN NEW;")  # type: ignore[arg-type]
    )
    shop.counters(1, 2)
    shop.hold(1, 1, 7)
    shop.hold(1, 2, 5)
    done = shop.once()
    assert done.status == 0, done.stderr
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["releasedUnits"]) == (1, 12)
    assert shop.db.query("SELECT DISTINCT reserved_quantity FROM holds") == [(0,)]
    shop.given_back()


@pytest.mark.parametrize("n", [3, 150, 6000])
def test_an_expiry_from_before_where_it_could_go_fast(open_shop: Open, n: int) -> None:
    """The expiry is set by `released`: in none of the ways to release does the new one count."""
    shop = open_shop(DEFAULT_LIKE)
    shop.write(
        DEFAULT_LIKE.file.replace("place = NULL", "place = NULL, due = NULL")
    )
    shop.counters(1, 2)
    shop.db.conn.execute(
        "WITH made AS (INSERT INTO holds SELECT i, 1 + i %% 2, 1, true, 'here',"
        " now() AT TIME ZONE 'Europe/Berlin' - interval '1 s' FROM generate_series(1, %s) i RETURNING n),"
        " of_each AS (SELECT n, count(*) AS c FROM made GROUP BY n)"
        ' UPDATE "counter" SET held = c, free = 100 - c FROM of_each WHERE of_each.n = "counter".n',
        (n,),
    )
    done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["releasedUnits"]) == (0, n), done.stderr
    assert shop.db.query("SELECT DISTINCT due FROM holds") == [(None,)]
    shop.given_back()


# ---- Rows that are deleted -----------------------------------------------------------------------------------


def test_a_child_that_refuses(open_shop: Open) -> None:
    """It is the row's own; the others go."""
    shop = open_shop(SPREE)
    for id in range(1, 40):
        shop.hold(id)
        shop.hold(id)
    shop.db.conn.execute(
        "CREATE TABLE kids (hold bigint REFERENCES holds);"
        " INSERT INTO kids SELECT max(row_id) FROM holds WHERE order_id = 7"
    )
    done = shop.once()
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"], record["failedCount"]) == (1, 38, 1)
    (refused,) = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert (refused["reservationId"], refused["sqlstate"]) == ("7", "23503")
    assert shop.active() == {7: 2}


def test_a_right_that_is_missing(open_shop: Open) -> None:
    """To lock a row that is to be deleted takes the right to UPDATE it."""
    shop = open_shop(SPREE)
    shop.hold(1)
    role = f"{shop.db.name}_sweeper"
    try:
        shop.db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")  # type: ignore[arg-type]
        shop.db.conn.execute(f"GRANT SELECT, DELETE ON holds TO {role}")  # type: ignore[arg-type]
        dsn = f"postgresql://{role}:pw@127.0.0.1:{shop.db.server.port}/{shop.db.name}"
        done = shop.once(dsn=dsn)
        assert done.status == 1
        assert "the grant to UPDATE" in done.stderr and "holds" in done.stderr
        shop.db.conn.execute(f"REVOKE DELETE ON holds FROM {role}; GRANT UPDATE ON holds TO {role}")  # type: ignore[arg-type]
        done = shop.once(dsn=dsn)
        assert (done.status, "the grant to DELETE" in done.stderr) == (1, True), done.stderr
        shop.db.conn.execute(f"GRANT DELETE ON holds TO {role}")  # type: ignore[arg-type]
        assert shop.once(dsn=dsn).status == 0
        assert not shop.active()
    finally:
        shop.db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")  # type: ignore[arg-type]


# ---- Times -----------------------------------------------------------------------------------------------------


def test_numbers_that_are_no_times(open_shop: Open) -> None:
    """Seconds among milliseconds, and the largest number, are never due, nor is what has such a row."""
    shop = open_shop(EPOCH)
    shop.prepare()
    shop.counters(1)
    for id in range(1, 6):
        shop.hold(id)
    shop.hold(3)
    seconds = "extract(epoch FROM now())::bigint - 5"
    shop.db.conn.execute(f"UPDATE holds SET until = {seconds} WHERE {last_row(EPOCH)}")  # type: ignore[arg-type]
    for id, value in ((1, seconds), (2, "9223372036854775807"), (4, "-9223372036854775808"), (5, "NULL")):
        shop.db.conn.execute(f"UPDATE holds SET until = {value} WHERE id = {id}")  # type: ignore[arg-type]
    done = shop.once()
    assert done.record("Cleanup job completed")["cleanedCount"] == 0
    assert done.status == 0 and not [r for r in done.records if "refuse" in r["message"]]
    assert len(shop.active()) == 5
    assert shop.release(1, 2, 3, 4, 5) == ["not due"] * 6  # by their ids, as Redis knows them
    prepare = "UPDATE holds SET until = (extract(epoch FROM now()) * 1000)::bigint - 1 WHERE id = 3"
    shop.db.conn.execute(prepare)
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 1


def test_a_row_without_an_expiry(open_shop: Open) -> None:
    """The whole id is never due."""
    shop = open_shop(EIGHT)
    shop.counters(1)
    shop.hold(1)
    shop.hold(1)
    shop.hold(2)
    shop.db.conn.execute("UPDATE holds SET expires_at = NULL WHERE ctid = '(0,2)'")
    assert shop.once().record("Cleanup job completed")["cleanedCount"] == 1
    assert shop.active() == {1: 2}


def test_never_early(open_shop: Open, redis: redis_py.Redis, sweeper: Start) -> None:
    """With a time to live over another time, by a daemon."""
    shop = open_shop(CREDITS)
    shop.counters(1)
    for id in range(1, 11):
        shop.hold(id, s=0.5 + id * 0.05)
    due = dict(shop.db.query("SELECT id, created_at + interval '15 min' FROM bank.holds"))
    sweeper("--queues", str(shop.file), "--feed-interval", "200ms", "--lookahead", "1s")

    def none_is_left() -> bool:
        ids, now = shop.db.query("SELECT array_agg(id), clock_timestamp() FROM bank.holds")[0]
        gone = due.keys() - set(ids or [])
        assert all(due[id] <= now for id in gone), (now, {id: due[id] for id in gone})
        return gone == due.keys()

    wait_until(none_is_left, 30, "all are released")
    shop.given_back()


ID_TYPES = {
    "smallint": "7",
    "integer": "70000",
    "bigint": "-9007199254740993",
    "text": "a '\\ \"{,}ß",
    "varchar(20)": "x y",
    "char(20)": "x",
    "uuid": "0b5a6c1e-1f6f-4f62-9a87-1f2c5b7a9d00",
}


@pytest.mark.parametrize("type", ID_TYPES)
def test_ids_of_each_type(db: Database, run: Run, tmp_path: Path, type: str) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(
        "shop:\n  table: holds\n  active: true\n  released: delete\n", encoding="utf-8"
    )
    db.conn.execute(f"CREATE TABLE holds (id {type}, expires_at timestamptz)")  # type: ignore[arg-type]
    for n in (-1, -2):
        db.conn.execute(
            f"INSERT INTO holds VALUES (%s::{type}, now() + %s * interval '1 s')", (ID_TYPES[type], n)  # type: ignore[arg-type]
        )
    done = run("--once", "--queues", str(file))
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 1), done.stderr
    assert db.query("SELECT * FROM holds") == []


# ---- What is told to the operator's own statements ---------------------------------------------------------------


ALSO = """  carry: [note]
  also:
    - |
      INSERT INTO outbox SELECT * FROM {released}
"""


def test_what_was_released_is_noted(open_shop: Open) -> None:
    """Each column an array of texts, as it was before; empty when nothing was released."""
    shop = open_shop(WAREHOUSE)
    shop.db.conn.execute(
        "CREATE TABLE outbox (id bigint, variant_id bigint, warehouse text, quantity int, expires_at timestamp,"
        " note text)"
    )
    shop.write(WAREHOUSE.file + ALSO)
    shop.prepare()
    shop.counters(1, 2)
    shop.hold(5, 1, 2)
    shop.hold(5, 2, 3)
    shop.db.conn.execute("UPDATE holds SET note = E'a\t\"b\"' WHERE variant_id = 1")
    shop.db.conn.execute("UPDATE holds SET warehouse = NULL WHERE variant_id = 2")
    with shop.db.conn.transaction():
        times = [t for (t,) in shop.db.query("SELECT expires_at::text FROM holds WHERE order_id = 5")]
        assert shop.release(5) == ["released"] * 2
        told = json.loads(str(shop.db.value("SELECT current_setting('reservation_sweeper.holds')")))
    rows = sorted(zip(*told.values(), strict=True), key=lambda row: row[1])
    assert list(told) == ["id", "variant_id", "warehouse", "quantity", "expires_at", "note"]
    assert rows == [
        ("5", "1", "w1", "2", times[0], 'a\t"b"'),
        ("5", "2", None, "3", times[1], None),
    ]
    with shop.db.conn.transaction():
        assert shop.release(5) == ["settled"] * 2
        told = json.loads(str(shop.db.value("SELECT current_setting('reservation_sweeper.holds')")))
        assert set(map(tuple, told.values())) == {()}
