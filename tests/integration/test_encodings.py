"""Ids, products and messages that are no UTF-8: named, released, and no trouble to any other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis as redis_py
from harness.database import Database
from harness.poll import until_ready, wait_until, within
from harness.queue import PENDING
from harness.servers import Postgres
from harness.sweeper import Finished, Run, Start

GOOD = [b"good %d" % n for n in range(20)] + ["schön".encode()]
BAD = [b"bad \xff", b"\x81", b"\xc3(", b"quote \" \\ \xe9"]
PRODUCT = b"product \xfe"


@pytest.fixture
def bytes_db(pg_server: Postgres) -> Iterator[Database]:
    """SQL_ASCII, ids and products of any bytes."""
    database = Database.create(pg_server, encoding="SQL_ASCII")
    database.conn.execute(
        "ALTER TABLE inventory_reservations ALTER id TYPE text, ALTER product_id TYPE text;"
        "ALTER TABLE inventory ALTER product_id TYPE text"
    )
    yield database
    database.drop()


def add(db: Database, ids: list[bytes], seconds: float, encoding: str = "SQL_ASCII") -> None:
    """One unit of the one product each."""
    db.conn.execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock)"
        f" VALUES (convert_from(%s, '{encoding}'), 1000, 1000) ON CONFLICT DO NOTHING",
        (PRODUCT,),
    )
    for id in ids:
        db.conn.execute(
            "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
            f" SELECT convert_from(%s, '{encoding}'), product_id, 1,"
            " now() + %s * interval '1 second' FROM inventory",
            (id, seconds),
        )
        db.conn.execute(
            "UPDATE inventory SET available_stock = available_stock - 1,"
            " reserved_stock = reserved_stock + 1"
        )


def released(db: Database) -> int:
    found = db.value("SELECT count(*) FROM inventory_reservations WHERE status = 'released'")
    assert isinstance(found, int)
    return found


def counters(db: Database) -> tuple:
    return db.query("SELECT available_stock, reserved_stock FROM inventory")[0]


def test_the_daemon(
    bytes_db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """Mirrored as the bytes that they are, released on time, and named."""
    db = bytes_db
    daemon = sweeper("--feed-interval", "300ms", dsn=db.dsn, http=True)
    until_ready(daemon)
    add(db, GOOD + BAD, 2)
    wait_until(lambda: redis.zcard(PENDING) == len(GOOD + BAD), 5, "mirrored")
    assert set(redis.zrange(PENDING, 0, -1)) == set(GOOD + BAD)
    wait_until(lambda: released(db) == len(GOOD + BAD), 6, "released")
    assert counters(db) == (1000, 0)
    late = db.value(
        "SELECT max(extract(epoch FROM pg_xact_commit_timestamp(xmin) - expires_at))::float8"
        " FROM inventory_reservations"
    )
    assert isinstance(late, float) and late < within(1)

    def named() -> set[str]:
        return {r["bytes"] for r in daemon.find("is not UTF-8")}

    wait_until(lambda: named() == {id.hex() for id in BAD}, 10, "each is named")
    assert not [r for r in daemon.records if r["level"] == "ERROR"]


def test_direct_mode_and_sweep(
    bytes_db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    db = bytes_db
    daemon = sweeper(dsn=db.dsn, redis_url="redis://127.0.0.1:1/0", http=True)
    until_ready(daemon)
    add(db, GOOD + BAD, 0.5)
    wait_until(lambda: released(db) == len(GOOD + BAD), 6, "released")
    assert counters(db) == (1000, 0)


def test_once(bytes_db: Database, run: Run) -> None:
    db = bytes_db
    add(db, GOOD + BAD, -1)
    dry = run("--once", "--dry-run", dsn=db.dsn)
    assert (dry.status, dry.record("completed")["cleanedCount"]) == (0, len(GOOD + BAD))
    done = run("--once", dsn=db.dsn)
    assert (done.status, done.record("completed")["cleanedCount"]) == (0, len(GOOD + BAD))
    assert counters(db) == (1000, 0)


@pytest.mark.slow
def test_reconcile(bytes_db: Database, redis: redis_py.Redis, run: Run) -> None:
    db = bytes_db
    add(db, GOOD + BAD, -1)
    add(db, [b"later " + id for id in BAD], 600)
    db.conn.execute("UPDATE inventory SET reserved_stock = reserved_stock + 3, total_stock = 1003")

    def reconcile(*args: str) -> tuple[Finished, list[dict]]:
        done = run("--reconcile", "--lookahead", "1h", "--report", "-", *args, dsn=db.dsn)
        return done, [json.loads(line) for line in done.stdout.splitlines()]

    dry, findings = reconcile("--dry-run", "--repair-stock")
    assert dry.status == 3, dry.stderr
    assert len(findings) == len(GOOD) + 2 * len(BAD) + 1
    done, _ = reconcile("--repair-stock")
    assert done.status == 0, done.stderr
    assert redis.zcard(PENDING) == len(BAD)
    again, findings = reconcile("--repair-stock")
    assert (again.status, findings) == (0, [])
    assert counters(db) == (1003 - len(BAD), len(BAD))


def test_refused_and_overdue(
    bytes_db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """What is refused or late has such an id and such a product; its reason has such bytes, too."""
    db = bytes_db
    db.conn.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " IF OLD.id LIKE 'bad%' THEN RAISE 'no: %', OLD.id; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER refuse BEFORE UPDATE ON inventory_reservations"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    add(db, GOOD + BAD, 0.5)
    daemon = sweeper("--feed-interval", "300ms", dsn=db.dsn, http=True)
    wait_until(lambda: released(db) == len(GOOD + BAD) - 1, 10, "all but one")
    record = daemon.wait_for_record("refused to release")
    assert record["reservationId"].startswith("bad ")
    wait_until(lambda: len(json.loads(daemon.http("/status")[1])["failures"]) == 1, 10, "named")
    assert json.loads(run("--status", dsn=db.dsn).stdout)["failures"]
    assert run("--once", dsn=db.dsn).record("completed")["failedCount"] == 1


def test_another_encoding(
    pg_server: Postgres, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """A byte that WIN1252 does not define has no form in UTF-8; é has one, but travels with it."""
    db = Database.create(pg_server, encoding="WIN1252")
    db.conn.execute("ALTER TABLE inventory_reservations ALTER id TYPE text")
    db.conn.execute("ALTER TABLE inventory_reservations ALTER product_id TYPE text")
    db.conn.execute("ALTER TABLE inventory ALTER product_id TYPE text")
    ids = [b"plain %d" % n for n in range(20)] + [b"caf\xe9", b"none \x81", b"\x8d"]
    daemon = sweeper("--feed-interval", "300ms", dsn=db.dsn, http=True)
    until_ready(daemon)
    add(db, [b"with a product", "caf\u00e9".encode("cp1252")], 0.5, "WIN1252")
    db.conn.execute(
        "UPDATE inventory SET product_id = convert_from('\\x81', 'WIN1252');"
        "UPDATE inventory_reservations SET product_id = convert_from('\\x81', 'WIN1252')"
    )
    wait_until(lambda: released(db) == 2, 6, "whose product has no form")
    db.conn.execute("DELETE FROM inventory_reservations; DELETE FROM inventory")
    add(db, ids, 0.5, "WIN1252")
    wait_until(lambda: released(db) == len(ids), 6, "released")
    db.conn.execute("DELETE FROM inventory_reservations")
    daemon.stop()
    add(db, ids, -1, "WIN1252")
    assert run("--once", "--dry-run", dsn=db.dsn).record("completed")["cleanedCount"] == len(ids)
    assert run("--reconcile", "--dry-run", dsn=db.dsn).status == 3
    assert run("--once", dsn=db.dsn).record("completed")["cleanedCount"] == len(ids)
    db.drop()
