"""The operator's own statements (`also`), in the transaction of each release."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from harness.database import Database
from harness.locks import transaction
from harness.poll import wait_until
from harness.shapes import NO_REDIS, WAREHOUSE, Shape, Shop
from harness.sweeper import Run, Start


@pytest.fixture
def db(empty_db: Database) -> Database:
    return empty_db


Open = Callable[..., Shop]


@pytest.fixture
def open_shop(db: Database, run: Run, tmp_path: Path) -> Open:
    """The warehouse, with these statements."""

    def made(*statements: str, shape: Shape = WAREHOUSE, more: str = "") -> Shop:
        shop = Shop(db, shape, tmp_path, run)
        db.conn.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL DEFAULT 'open',"
            " CHECK (status <> 'never'));"
            "CREATE TABLE outbox (n bigserial, order_id bigint, variant bigint, units numeric)"
        )
        shop.write(shape.file + more + also(*statements))
        return shop

    return made


def also(*statements: str) -> str:
    lines = ["  also:"]
    for statement in statements:
        lines += ["    - |", *("      " + line for line in statement.strip().splitlines())]
    return "\n".join(lines) + "\n"


OUTBOX = "INSERT INTO outbox (order_id, variant, units) SELECT id, variant_id, quantity FROM {released}"
LAST_HOLD = """
UPDATE orders o SET status = 'expired'
  FROM (SELECT DISTINCT id FROM {released}) x
 WHERE o.id = x.id AND NOT EXISTS (SELECT FROM holds h
                                    WHERE h.order_id = o.id AND h.reservation_status = 'active');
"""


def order(shop: Shop, id: int, *keys: int, s: float = -1) -> None:
    shop.db.conn.execute("INSERT INTO orders (id) VALUES (%s) ON CONFLICT DO NOTHING", (id,))
    for key in keys:
        shop.hold(id, key, 2, s)


def outbox(db: Database) -> list[tuple]:
    return db.query("SELECT order_id, variant, units FROM outbox ORDER BY 1, 2")


def statuses(db: Database) -> dict[int, str]:
    return dict(db.query("SELECT id, status FROM orders ORDER BY id"))


def test_an_order_expires_with_its_last_hold(open_shop: Open) -> None:
    """A statement sees what the release has changed, and each one what those before it have."""
    shop = open_shop(
        LAST_HOLD,
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 2)"
        " INSERT INTO outbox (order_id, variant) SELECT {released}.id, i FROM {released}, n, orders o"
        "  WHERE o.id = {released}.id AND o.status = 'expired' AND {released}.variant_id = 1",
    )
    shop.counters(1, 2, 3)
    order(shop, 1, 1, 2)
    order(shop, 2, 1)
    order(shop, 3, 1, s=600)
    done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 2), done.stderr
    assert statuses(shop.db) == {1: "expired", 2: "expired", 3: "open"}
    assert outbox(shop.db) == [(1, 1, None), (1, 2, None), (2, 1, None), (2, 2, None)]
    assert shop.db.query("SELECT key, held FROM counters_seen WHERE held > 0") == [(1, 2)]


def test_one_that_makes_a_row_active_again(open_shop: Open) -> None:
    """It would be given back for ever. There are no triggers that would have it looked at."""
    shop = open_shop(
        "UPDATE holds h SET reservation_status = 'active' FROM {released} x WHERE h.order_id = x.id AND x.id = 2"
    )
    shop.counters(1)
    for id in (1, 2, 3):
        order(shop, id, 1)
    for _ in range(2):
        done = shop.once()
        refused = done.record("Postgres refused to release a reservation")
        assert (done.status, refused["reservationId"], refused["sqlstate"]) == (1, "2", "RS002")
        assert "active after `released`: a statement of `also`" in refused["error"]
        assert shop.active() == {2: 1}
        assert shop.db.value("SELECT held FROM counters_seen WHERE key = 1") == 2


def test_what_was_kept_back_is_not_told(open_shop: Open) -> None:
    """Locked, extended or settled meanwhile: nothing of it, and an empty relation where all are."""
    shop = open_shop(
        OUTBOX, "INSERT INTO outbox (order_id, units) SELECT -1, count(*) FROM {released}"
    )
    shop.counters(1, 2)
    order(shop, 1, 1)
    order(shop, 2, 2)
    order(shop, 3, 1, 2)
    with transaction(shop.db) as other:
        other.execute("SELECT FROM stocks WHERE variant_id = 2 FOR UPDATE")
        done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["skippedCount"]) == (0, 2)
    told = outbox(shop.db)
    assert (1, 1, 2) in told and not {2, 3} & {row[0] for row in told}
    assert (-1, None, 0) in told  # while both were locked
    shop.db.conn.execute("DELETE FROM outbox")
    assert shop.once().status == 0
    assert [row for row in outbox(shop.db) if row[0] > 0] == [(2, 2, 2), (3, 1, 2), (3, 2, 2)]


TYPES = {
    "u uuid": "md5(i::text)::uuid",
    "n numeric": "i / 7.0",
    "m numeric(9,2)": "i",
    "t timestamptz": "now() - i * interval '1.000001 s'",
    "z timestamp(3)": "now()",
    "d date": "'-infinity'",
    "f float8": "i / 3.0::float8",
    "a int[]": "ARRAY[[i, NULL], [3, 4]]",
    "x text[]": "ARRAY['a,\"b\"', NULL, '{}', '\\', '']",
    "j jsonb": "'{\"a\": [1, null, \"\\u00e9\"]}'",
    "b bytea": "'\\x00ff27'",
    "s text": "E'\\x01\\x1f\\t\\n\\\\\"''{}$1'",
    "c character(5)": "'a'",
    "v varchar(9)": "''",
    "k mood": "'so \"so\"'",
    "o positive": "i",
    "r int4range": "int4range(i, i + 1)",
    "l boolean": "NULL",
    '"{odd} ""Name"" \'s"': "'x'",
}


def texts(db: Database, query: str) -> list[tuple]:
    return db.query(f"SELECT x::text FROM ({query}) x ORDER BY x.id")


def test_types(open_shop: Open, db: Database) -> None:
    """What arrives is what was there, of the type that it was there, NULL too."""
    db.conn.execute("CREATE TYPE mood AS ENUM ('so \"so\"'); CREATE DOMAIN positive AS int CHECK (VALUE > 0)")
    names = [name.split(" ")[0] if name[0] != '"' else name for name in TYPES]
    columns = [name if name[0] != '"' else name + " text" for name in TYPES]
    carry = "".join(f"    - '{name}'\n" for name in (n.replace("'", "''") for n in names))
    shop = open_shop(
        "INSERT INTO copies SELECT id, warehouse, expires_at, " + ", ".join(names) + " FROM {released}",
        more="  carry:\n" + carry,
    )
    for column in columns:
        db.conn.execute(f"ALTER TABLE holds ADD COLUMN {column}")  # type: ignore[arg-type]
    db.conn.execute(
        "CREATE TABLE copies AS SELECT order_id AS id, warehouse, expires_at, "
        + ", ".join(names)
        + " FROM holds"
    )  # type: ignore[arg-type]
    shop.counters(1)
    for id in (1, 2, 3):
        shop.hold(id, 1)
    values = ", ".join(f"{n} = {v}" for n, v in zip(names, TYPES.values(), strict=True))
    db.conn.execute(
        f"UPDATE holds SET {values} FROM generate_series(1, 2) i WHERE order_id = i"  # type: ignore[arg-type]
    )
    expected = texts(db, "SELECT order_id AS id, warehouse, expires_at, " + ", ".join(names) + " FROM holds")
    assert shop.once().status == 0
    assert texts(db, "SELECT * FROM copies") == expected and len(expected) == 3


def test_bytes(pg_server: object, run: Run, tmp_path: Path) -> None:
    """Of a database without an encoding, whose texts are any bytes."""
    db = Database.create(pg_server, schema=False, encoding="SQL_ASCII")  # type: ignore[arg-type]
    try:
        shop = Shop(db, WAREHOUSE, tmp_path, run)
        db.conn.execute("CREATE TABLE copies (id bigint, note text)")
        shop.write(
            WAREHOUSE.file
            + "  carry: [note]\n"
            + also("INSERT INTO copies SELECT id, note FROM {released}")
        )
        shop.counters(1)
        shop.hold(1, 1)
        db.conn.execute("UPDATE holds SET note = convert_from('\\xff27fe', 'SQL_ASCII')")
        assert shop.once(dsn=db.dsn).status == 0
        assert db.value("SELECT convert_to(note, 'SQL_ASCII') FROM copies") == b"\xff'\xfe"
    finally:
        db.drop()


def test_many_rows_of_one_id(open_shop: Open, db: Database) -> None:
    """One reservation may have very many rows."""
    shop = open_shop(OUTBOX)
    shop.counters(1)
    db.conn.execute(
        "INSERT INTO holds (order_id, variant_id, warehouse, reserved_quantity, expires_at)"
        " SELECT 1, 1, 'w1', 1, now() AT TIME ZONE 'UTC' - interval '1 s' FROM generate_series(1, 20000);"
        "UPDATE stocks SET quantity_reserved = 20000 WHERE variant_id = 1"
    )
    # The time of `also` is ten of these: 20,000 rows take long on a machine that is busy.
    assert shop.once(env={"SWEEPER_LOCK_TIMEOUT": "900ms"}).status == 0
    assert db.value("SELECT count(*) FROM outbox") == 20000


def test_an_error_is_of_one(open_shop: Open, db: Database) -> None:
    """It is isolated, and says which statement it was, and where that stands."""
    shop = open_shop(
        OUTBOX,
        "UPDATE orders o SET status = CASE o.id WHEN 7 THEN 'never' ELSE 'expired' END"
        " FROM {released} x WHERE x.id = o.id",
    )
    shop.counters(1)
    for id in range(1, 13):
        order(shop, id, 1)
    done = shop.once()
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (1, 11)
    failed = [r for r in done.records if r.get("reservationId")]
    assert [r["reservationId"] for r in failed] == ["7"]
    line = shop.file.read_text().splitlines().index("    - |", shop.file.read_text().count("\n") - 2) + 1
    assert f"queues.yaml:{line}: also (statement 2): " in failed[0]["error"], failed
    assert "violates check constraint" in failed[0]["error"]
    assert statuses(db)[7] == "open"
    assert sorted(row[0] for row in outbox(db)) == [i for i in range(1, 13) if i != 7]
    assert db.value("SELECT held FROM counters_seen WHERE key = 1") == 2


@pytest.mark.parametrize("how", ["a lock", "time"])
def test_a_lock_or_a_long_one_keeps_no_other(open_shop: Open, db: Database, how: str) -> None:
    shop = open_shop(
        "UPDATE orders o SET status = 'expired' FROM {released} x WHERE x.id = o.id"
        + (" AND (o.id <> 7 OR pg_sleep(60) IS NOT NULL)" if how == "time" else ""),
        OUTBOX,
    )
    shop.counters(1, 2)
    for id in range(1, 13):
        order(shop, id, 1)
    with transaction(db) as other:
        if how == "a lock":
            other.execute("SELECT FROM orders WHERE id = 7 FOR UPDATE")
        done = shop.once()
    record = done.record("Cleanup job completed")
    assert (done.status, record["cleanedCount"], record["skippedCount"]) == (0, 11, 1), done.stderr
    assert statuses(db)[7] == "open" and shop.active() == {7: 1}


def test_the_time_is_of_all_together(open_shop: Open, db: Database) -> None:
    """Ten lock timeouts, 200 ms at least: each statement has what those before it have left."""
    shop = open_shop(*["SELECT pg_sleep(0.15) FROM {released}"] * 3)
    shop.counters(1)
    order(shop, 1, 1)
    record = shop.once().record("Cleanup job completed")
    assert (record["cleanedCount"], record["skippedCount"]) == (0, 1)
    record = shop.once(env={"SWEEPER_LOCK_TIMEOUT": "100ms"}).record("Cleanup job completed")
    assert (record["cleanedCount"], record["skippedCount"]) == (1, 0)


def test_a_hundred_at_most(open_shop: Open, db: Database) -> None:
    shop = open_shop("INSERT INTO outbox (units) SELECT count(DISTINCT id) FROM {released}")
    shop.counters(*range(1, 5))
    db.conn.execute("SELECT hold(i, 1 + i % 4, 1, -1) FROM generate_series(1, 450) i")
    assert shop.once().status == 0
    assert db.query("SELECT sum(units), max(units) <= 100 FROM outbox") == [(450, True)]
    shop.given_back()


def test_deferred_constraints(open_shop: Open, db: Database) -> None:
    """What waits for the COMMIT is an error of its row as well."""
    shop = open_shop(OUTBOX)
    db.conn.execute(
        "ALTER TABLE outbox ADD FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE INITIALLY DEFERRED"
    )
    shop.counters(1)
    for id in (1, 2, 3):
        order(shop, id, 1)
    db.conn.execute("DELETE FROM orders WHERE id = 2")
    done = shop.once()
    assert done.record("Cleanup job completed")["cleanedCount"] == 2
    assert [r["reservationId"] for r in done.records if r.get("reservationId")] == ["2"]
    assert [row[0] for row in outbox(db)] == [1, 3]


def test_synchronous_commit_stays_on(open_shop: Open, db: Database) -> None:
    shop = open_shop(
        "INSERT INTO outbox (units) SELECT 1 FROM {released}"
        " WHERE current_setting('synchronous_commit') <> 'on'"
    )
    shop.counters(1)
    order(shop, 1, 1)
    done = shop.once(env={"SWEEPER_SYNCHRONOUS_COMMIT": "off"})
    assert done.status == 0 and not outbox(db)


def test_two_sweepers_and_kills(open_shop: Open, db: Database, sweeper: Start) -> None:
    """Whoever dies in the middle: both, or neither; each reservation is told once."""
    shop = open_shop(LAST_HOLD, OUTBOX)
    shop.counters(*range(1, 9))
    for id in range(1, 1201):
        order(shop, id, 1 + id % 8, s=id / 300)
    options = ("--queues", str(shop.file), *NO_REDIS)
    first, second = sweeper(*options, http=False), sweeper(*options, http=False)
    stop = threading.Event()

    def kill_backends() -> None:
        left = "SELECT count(*) FROM holds WHERE reservation_status = 'active'"
        before = None
        with psycopg.connect(db.dsn, autocommit=True) as conn:
            while not stop.wait(0.25):
                active = conn.execute(left).fetchone()
                if active == before:
                    continue  # a busy machine: nobody has had the time to release anything since
                before = active
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE 'reservation-sweeper%'"
                )

    killer = threading.Thread(target=kill_backends)
    killer.start()
    try:
        wait_until(lambda: len(shop.active()) < 700, 60)
        first.kill()
        wait_until(lambda: len(shop.active()) < 100, 60)
    finally:
        stop.set()
        killer.join()
    wait_until(lambda: not shop.active(), 60)
    second.stop()
    told = [row[0] for row in outbox(db)]
    assert told == list(range(1, 1201))
    assert set(statuses(db).values()) == {"expired"}
    shop.given_back()


# ---- What is no such piece of SQL


@pytest.mark.parametrize(
    "before,after,expected",
    [
        ("reservation_status = 'active'", "nothing = 1", "active: Postgres refuses it: column"),
        ("reservation_status = 'active'", "'x' || reservation_status", "active: Postgres refuses it"),
        ("reservation_status = 'active'", "count(*) > 0", "active: Postgres refuses it: aggregate"),
        ("reservation_status = 'active'", "true ORDER BY 1", "active: Postgres refuses it: syntax"),
        ("note = note", "nothing = note", "table holds has no column nothing"),
        ("note = note", "note = note GROUP BY 1", "released: Postgres refuses it: syntax"),
        ("touched = now()", "touched = 1", "stock.set: Postgres refuses it: column"),
        ("touched = now()", "warehouse[1] = 1", "stock.set"),
        ("SELECT id", "SELECT nothing", "also (statement 1): Postgres refuses it: column"),
        ("FROM {released}", "FROM {released} GROUP", "also (statement 1): Postgres refuses it: syntax"),
    ],
)
def test_a_piece_that_does_not_fit(
    open_shop: Open, db: Database, before: str, after: str, expected: str
) -> None:
    """Nothing is released before Postgres has said that each piece is what it claims to be."""
    shop = open_shop(OUTBOX)
    shop.counters(1)
    order(shop, 1, 1)
    text = shop.file.read_text()
    assert before in text
    shop.write(text.replace(before, after))
    done = shop.once()
    assert done.status in (1, 2)
    assert expected in done.stderr and "queues.yaml:" in done.stderr, done.stderr
    assert shop.active() == {1: 1} and not outbox(db)


def test_rehearsal_and_shown_sql(open_shop: Open, db: Database) -> None:
    """What `also` would do is rehearsed, and the statement that it is sent as is shown."""
    shop = open_shop(OUTBOX, LAST_HOLD)
    shop.counters(1, 2)
    order(shop, 1, 1, 2)
    order(shop, 2, 1)
    files = ("--queues", str(shop.file))
    rehearsed = json.loads(shop.run("--rehearse", "5", *files).stdout)
    assert (rehearsed["released"], [one["rows"] for one in rehearsed["also"]]) == (2, [3, 2])
    assert shop.active() == {1: 2, 2: 1} and not outbox(db)
    shown = shop.run("--show-sql", *files).stdout
    assert "FROM rs$released" in shown and "WITH rs$released" in shown
    assert shop.run("--check-config", *files).status == 0
    shop.write(shop.file.read_text().replace("units)", "unites)"))
    checked = shop.run("--check-config", *files)
    assert checked.status == 1 and "also (statement 1): Postgres refuses it" in checked.stdout + checked.stderr
    db.conn.execute("ALTER TABLE orders ADD CHECK (status <> 'expired') NOT VALID")
    shop.write(shop.file.read_text().replace("unites)", "units)"))
    rehearsal = shop.run("--rehearse", "5", *files)
    assert rehearsal.status == 1 and "also (statement 2): new row" in rehearsal.stdout, rehearsal.stdout


def test_a_piece_that_fits_no_more(open_shop: Open, db: Database, sweeper: Start) -> None:
    """The outbox is altered: nothing is released, and the reason is said; then it goes on."""
    shop = open_shop(OUTBOX)
    shop.counters(1)
    daemon = sweeper("--queues", str(shop.file), *NO_REDIS, http=False)
    order(shop, 1, 1)
    wait_until(lambda: shop.active() == {}, 30)
    db.conn.execute("ALTER TABLE outbox RENAME TO other")
    order(shop, 2, 1)
    wait_until(lambda: "also (statement 1)" in json.dumps(daemon.records), 30)
    assert shop.active() == {2: 1}
    db.conn.execute("ALTER TABLE other RENAME TO outbox")
    wait_until(lambda: shop.active() == {}, 30)
    assert [row[0] for row in outbox(db)] == [1, 2]
