"""--reconcile of counters that several queues share: what all of them hold is added up, each hold once."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis as redis_py
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.sweeper import Finished, Run, Start

TABLES = """
    CREATE TABLE stocks (sku text, place int, free numeric NOT NULL DEFAULT 100, held numeric NOT NULL DEFAULT 0,
        PRIMARY KEY (sku, place));
    CREATE TABLE holds (id int PRIMARY KEY, kind text NOT NULL, sku varchar(20), place bigint, units int NOT NULL,
        state text NOT NULL DEFAULT 'open', expires_at timestamptz DEFAULT now() + interval '1 h');
    CREATE TABLE seats (seat uuid PRIMARY KEY DEFAULT gen_random_uuid(), "where" smallint, what text, busy boolean,
        until timestamptz DEFAULT now() + interval '1 h');
    INSERT INTO stocks (sku, place) VALUES ('a', 1), ('a', 2), ('b', 1);
    INSERT INTO holds VALUES (1, 'cart', 'a', 1, 2, 'open'), (2, 'offer', 'a', 1, 5, 'open'),
        (3, 'offer', 'b', 1, 7, 'open'), (4, 'cart', 'a', 2, 1, 'done');
    INSERT INTO seats ("where", what, busy) VALUES (1, 'a', true), (1, 'a', true), (2, 'a', true), (1, 'b', false);
    UPDATE stocks SET held = CASE WHEN sku = 'b' THEN 7 WHEN place = 1 THEN 9 ELSE 1 END;
    UPDATE stocks SET free = 100 - held;
"""
STOCK = """
  stock:
    table: {table}
    key: {key}
    free: free
    held: held
"""


def queue(name: str, kind: str, stock: str = "", more: str = "") -> str:
    return (
        f"{name}:\n  table: holds\n  quantity: units\n  active: kind = '{kind}' AND state = 'open'\n"
        "  released: state = 'gone'"
        + (stock or STOCK.format(table="stocks", key="{sku: sku, place: place}"))
        + more
    )


SEATS = (
    "seats:\n  table: seats\n  id: seat\n  expires_at: until\n  active: busy\n  released: busy = false"
    + STOCK.format(table="stocks", key="{where: place, what: sku}")
)
ALL = queue("carts", "cart") + queue("offers", "offer") + SEATS
TOKEN = "reconcile-by-http"


@pytest.fixture
def db(empty_db: Database) -> Database:
    empty_db.conn.execute(TABLES)
    return empty_db


Reconcile = Callable[..., tuple[Finished, list[dict]]]


@pytest.fixture
def reconcile(run: Run) -> Reconcile:
    def one(*args: str, file: str = ALL) -> tuple[Finished, list[dict]]:
        done = run(
            *("--reconcile", "--lookahead", "off", "--report", "-", *args), env={"SWEEPER_QUEUES": file}
        )
        return done, [json.loads(line) for line in done.stdout.splitlines()]

    return one


def mirrored(reconcile: Reconcile) -> None:
    """From now on nothing but counters is found."""
    done, _ = reconcile()
    assert done.status == 0, done.stderr


def total(done: Finished) -> dict:
    """The last closing record: of all queues."""
    return [r for r in done.records if r["message"] == "Reconciliation completed"][-1]


WHICH = [(), ("--queue", "carts"), ("--queue", "offers"), ("--queue", "seats")]


@pytest.mark.parametrize("which", WHICH, ids=lambda which: " ".join(which))
def test_what_all_of_them_hold(
    db: Database, redis: redis_py.Redis, reconcile: Reconcile, which: tuple[str, ...]
) -> None:
    """Is found right by each of them, and by all; what drifted is found once, and repaired to the sum."""
    mirrored(reconcile)
    done, report = reconcile("--repair-stock", *which)
    record = total(done)
    assert (record["stockChecked"], record["stockDrifted"], report) == (3, 0, []), done.stderr
    db.conn.execute("UPDATE stocks SET held = held - 1, free = free + 1 WHERE place = 1 AND sku = 'a'")
    for args, left in ((("--dry-run",), 1), (("--repair-stock",), 0)):
        done, report = reconcile(*args, *which)
        record = total(done)
        assert (record["stockDrifted"], record["remainingCount"]) == (1, left)
        assert [line["kind"] for line in report] == ["stockDrifted"]
        assert report[0]["expected"] == {"availableStock": 91, "reservedStock": 9}
        assert report[0]["productId"] == ("1,a" if which[-1:] == ("seats",) else "a,1")
    assert db.query("SELECT free, held FROM stocks WHERE place = 1 AND sku = 'a'") == [(91, 9)]
    assert total(reconcile(*which)[0])["stockDrifted"] == 0


def test_a_name_with_a_schema(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    """May be that of a name without."""
    file = ALL.replace("table: stocks\n    key: {where", "table: public.stocks\n    key: {where")
    assert file != ALL
    for which in WHICH:
        done, report = reconcile("--repair-stock", *which, file=file)
        assert total(done)["stockDrifted"] == 0, report


def test_each_counter_is_compared_once(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    mirrored(reconcile)
    done, _ = reconcile()
    records = {r.get("queue"): r for r in done.records if r["message"] == "Reconciliation completed"}
    assert records["carts"]["stockChecked"] == records[None]["stockChecked"] == 3
    for name in ("offers", "seats"):
        assert records[name]["stockChecked"] is None and records[name]["stockDrifted"] is None
        assert records[name]["stockComparedWith"] == "carts"


def test_a_hold_that_two_queues_count_is_one(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    both = "    counted: state <> 'gone'\n"
    file = queue("carts", "cart", more=both) + queue("offers", "offer", more=both) + SEATS
    db.conn.execute("UPDATE stocks SET held = 2, free = 98 WHERE place = 2")  # what is done counts too
    for which in WHICH:
        done, report = reconcile("--repair-stock", *which, file=file)
        assert total(done)["stockDrifted"] == 0, report


def test_of_other_columns_is_not_added(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    """Counters of which another column is meant, of another table of the same name, and of `free` alone."""
    other = STOCK.format(table="stocks", key="{sku: sku, place: place}")
    db.conn.execute(
        "ALTER TABLE stocks ADD other integer NOT NULL DEFAULT 0; CREATE SCHEMA mall;"
        " CREATE TABLE mall.stocks (LIKE stocks INCLUDING ALL)"
    )
    db.conn.execute("UPDATE stocks SET held = 2, free = 98 WHERE place = 1 AND sku = 'a'")
    db.conn.execute("UPDATE stocks SET held = 0, free = 100 WHERE NOT (place = 1 AND sku = 'a')")
    carts = queue("carts", "cart")
    for stock in (
        other.replace("held: held", "held: other").replace("    free: free\n", ""),
        other.replace("table: stocks", "table: mall.stocks"),
        other.replace("    held: held\n", ""),
    ):
        done, report = reconcile("--repair-stock", "--queue", "carts", file=carts + queue("offers", "offer", stock))
        assert (total(done)["stockChecked"], total(done)["stockDrifted"]) == (3, 0), report


def test_by_other_columns_nobody_can_add(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    db.conn.execute("CREATE UNIQUE INDEX ON stocks (sku) WHERE place = 1")
    stock = STOCK.format(table="stocks", key="{sku: sku}")
    done, report = reconcile("--repair-stock", "--queue", "carts", file=queue("carts", "cart") + queue("offers", "offer", stock))
    record = total(done)
    assert record["stockDrifted"] is None and "by other columns" in record["notCheckable"]
    assert db.query("SELECT DISTINCT free + held FROM stocks") == [(100,)]


def test_sql_of_the_others_is_proved_too(db: Database, redis: redis_py.Redis, reconcile: Reconcile) -> None:
    """Of a queue that is not served, since it becomes a part of what this one sends."""
    bad = queue("offers", "offer", more="    counted: state = 7\n")
    done, _ = reconcile("--queue", "carts", file=queue("carts", "cart") + bad)
    assert done.status == 1
    error = done.record("Reconciliation failed")["error"]
    assert "stock.counted: Postgres refuses it" in error and ":21: " in error, error


def test_the_daemon_compares_them_once(
    db: Database, redis: redis_py.Redis, reconcile: Reconcile, sweeper: Start
) -> None:
    mirrored(reconcile)
    db.conn.execute("UPDATE stocks SET held = held - 1, free = free + 1 WHERE place = 1 AND sku = 'a'")
    env = {"SWEEPER_QUEUES": ALL, "SWEEPER_ADMIN_TOKEN": TOKEN}
    daemon = sweeper("--lookahead", "off", env=env, http=True)
    until_ready(daemon)
    assert daemon.http("/reconcile?dryRun=true", "POST", TOKEN)[0] == 202
    wait_until(lambda: len(daemon.find("Reconciliation completed")) == 3, 30, "all three")
    drifted = {r["queue"]: r["stockDrifted"] for r in daemon.find("Reconciliation completed")}
    assert drifted == {"carts": 1, "offers": None, "seats": None}
