"""--rehearse N: all that a release does, and nothing of it stays."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
from typing import Any

from harness import shop
from harness.database import Database
from harness.locks import transaction
from harness.servers import Redis
from harness.sweeper import Finished, Run, binary, environment


def rehearsed(done: Finished) -> dict[str, Any]:
    (line,) = done.stdout.splitlines()
    return json.loads(line)


def contents(db: Database) -> list[Any]:
    """Every row as it is; a rehearsal may leave the marks of a rolled back transaction on them."""
    return [
        db.query(f"SELECT t::text, ctid, xmin FROM {table} t ORDER BY 1")
        for table in ("inventory", "inventory_reservations")
    ]


def test_what_would_change(db: Database, run: Run) -> None:
    product = shop.add_product(db, stock=10)
    ids = [shop.reserve(db, {product: n}, ttl_s=-n) for n in (1, 2, 4)]
    shop.reserve(db, {product: 1}, ttl_s=600)
    before = contents(db)
    done = run("--rehearse", "2")
    assert done.status == 0, done.stderr
    assert contents(db) == before
    report = rehearsed(done)
    assert (report["rehearsed"], report["released"], report["refused"]) == (2, 2, 0)
    # The oldest two.
    assert {(r["id"], r["units"], r["outcome"]) for r in report["reservations"]} == {
        (ids[1], 2, "released"),
        (ids[2], 4, "released"),
    }
    holds = [c for c in report["changes"] if "id" in c]
    assert {(c["before"]["status"], c["after"]["status"]) for c in holds} == {("active", "released")}
    (counter,) = [c for c in report["changes"] if "key" in c]
    assert counter["key"] == product and counter["table"] == "inventory"
    assert counter["before"]["available_stock"] == 2 and counter["after"]["available_stock"] == 8
    assert counter["before"]["reserved_stock"] == 8 and counter["after"]["reserved_stock"] == 2
    assert report["also"] == [] and report["error"] is None
    # And the release itself does just that.
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 3


def test_nothing_due(db: Database, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=600)
    done = run("--rehearse", "5")
    assert done.status == 1
    assert "nothing was proved" in rehearsed(done)["error"]
    assert "nothing was proved" in done.record("rehearsal")["error"]


def test_one_is_refused(db: Database, run: Run) -> None:
    """Which of them, and why; the others are proved."""
    db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.quantity = 2 AND NEW.status = 'released' THEN RAISE 'two is too many'; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER t BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION f()"
    )
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: n}, ttl_s=-n) for n in (1, 2, 3)]
    before = contents(db)
    done = run("--rehearse", "3")
    report = rehearsed(done)
    assert done.status == 1 and contents(db) == before
    assert (report["released"], report["refused"]) == (2, 1)
    (refused,) = [r for r in report["reservations"] if r["outcome"] == "refused"]
    assert refused["id"] == ids[1] and "two is too many" in refused["error"]
    assert "two is too many" in done.record("rehearsal")["error"]


def test_triggers_at_the_end_have_their_say(db: Database, run: Run) -> None:
    """What waits for a COMMIT that never comes."""
    db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
        "CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON inventory DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION f()"
    )
    product = shop.add_product(db)
    db.conn.execute("ALTER TABLE inventory DISABLE TRIGGER t")
    shop.reserve(db, {product: 1}, ttl_s=-1)
    db.conn.execute("ALTER TABLE inventory ENABLE TRIGGER t")
    done = run("--rehearse", "1")
    assert done.status == 1 and "not today" in rehearsed(done)["reservations"][0]["error"]


def test_the_guard(db: Database, run: Run) -> None:
    """A trigger that makes it active again is found here, not by the first release."""
    db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN NEW.status := 'active'; RETURN NEW; END $$;"
        "CREATE TRIGGER t BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION f()"
    )
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    done = run("--rehearse", "1")
    assert done.status == 1
    assert "still active after `released`" in rehearsed(done)["reservations"][0]["error"]


def test_what_is_locked_is_passed_by(db: Database, run: Run) -> None:
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, ttl_s=-1)
    with transaction(db, ("SELECT FROM inventory_reservations FOR UPDATE", None)):
        report = rehearsed(run("--rehearse", "1"))
    assert report["reservations"] == [{"id": id, "outcome": "locked by somebody else", "units": 0}]


def test_numbers_are_whole(db: Database, run: Run) -> None:
    """What a double would round."""
    db.conn.execute("ALTER TABLE inventory ADD worth numeric NOT NULL DEFAULT 12345678901234567890.125")
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    assert '"worth": 12345678901234567890.125' in run("--rehearse", "1").stdout


def test_for_people(db: Database, redis_server: Redis) -> None:
    """Lines on a terminal, which is not told to obey."""
    product = shop.add_product(db, stock=10)
    other = shop.add_product(db, stock=10)
    id = shop.reserve(db, {product: 3, other: 2}, ttl_s=-1)
    db.conn.execute("ALTER TABLE inventory_reservations ADD note text DEFAULT E'a\\x1b[2Jb'")
    db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := E'c\\x1b'; RETURN NEW; END $$;"
        "CREATE TRIGGER t BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION f()"
    )
    leader, follower = pty.openpty()
    done = subprocess.run(
        [binary(), "--rehearse", "1"],
        env=environment(db.dsn, redis_server.url(), {}),
        stdout=follower,
        stderr=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(leader, 65536):
            said += data
    os.close(leader)
    lines = [line.strip() for line in said.decode().splitlines()]
    assert done.returncode == 0
    assert "1 rehearsed, 1 released, 0 refused; all of it is rolled back" in lines[0]
    for line in ("- status = active", "+ status = released", "- reserved_stock = 3", "+ reserved_stock = 0"):
        assert line in lines, lines
    for key in (product, other):
        assert f"counter {key} of inventory:" in lines
        assert f"hold {id} of inventory_reservations, key {key}:" in lines
    assert "- note = a?[2Jb" in lines and b"\x1b" not in said


def test_what_is_allowed(run: Run) -> None:
    for n in ("0", "-1", "many", "10001"):
        done = run("--rehearse", n)
        assert done.status == 2 and "a whole number from 1" in done.stderr
    assert run("--json").status == 2
