"""What the log says of single reservations: a hundred in a minute, and a summary of the rest."""

from __future__ import annotations

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until
from harness.queue import FAILED, failures, mirror
from harness.sweeper import ALONE, Record, Run, Start

REFUSE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF NEW.quantity = 13 THEN RAISE EXCEPTION 'unlucky'; END IF;
        IF NEW.quantity = 14 THEN RAISE EXCEPTION USING ERRCODE = 'SHOP1', MESSAGE = 'no'; END IF;
        RETURN NEW;
    END$$;
    CREATE TRIGGER refuse BEFORE UPDATE ON inventory_reservations FOR EACH ROW
        EXECUTE FUNCTION refuse()
"""
SUMMARY = "More releases were refused than the log names in a minute"


def refuse_many(db: Database, n: int) -> dict[str, str]:
    """Reservations that are refused, each of a product of its own, every fourth with SHOP1; ids and
    products."""
    db.conn.execute(REFUSE)
    return {
        shop.reserve(db, {product: 14 if i % 4 == 0 else 13}, ttl_s=0): product
        for i, product in enumerate(shop.add_products(db, n))
    }


def named(records: list[Record]) -> list[Record]:
    return [r for r in records if "reservationId" in r and r["level"] in ("WARN", "ERROR")]


def check(records: list[Record], refused: dict[str, str], attempts: int) -> None:
    """A hundred are named, each with its product, and the summary has the others, whoever they are."""
    lines = named(records)
    assert len(lines) == 100
    assert all(refused[r["reservationId"]] == r["productId"] and r["error"] for r in lines)
    [summary] = [r for r in records if r["message"] == SUMMARY]
    assert summary["level"] == "ERROR"
    assert summary["unnamedCount"] == attempts - 100
    counts = summary["sqlstates"]
    assert set(counts) == {"P0001", "SHOP1"} and sum(counts.values()) == attempts - 100
    assert len(summary["products"]) == 20
    assert all(p["productId"] in refused.values() and p["count"] >= 1 for p in summary["products"])
    assert sum(p["count"] for p in summary["products"]) + summary["otherProducts"] == (
        attempts - 100
    )


def test_once(db: Database, redis: redis_py.Redis, run: Run) -> None:
    refused = refuse_many(db, 500)
    done = run("--once")
    assert done.status == 1
    assert done.record("Cleanup job completed")["failedCount"] == 500
    check(done.records, refused, 500)
    errors = [r for r in done.records if r["level"] == "ERROR"]
    assert errors[-1]["message"] == SUMMARY, "the last of them says why it failed"


def test_daemon(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Those that are tried again and again count each time; the end of the daemon tells the rest."""
    refused = refuse_many(db, 300)
    mirror(db, redis, *refused)
    daemon = sweeper(*ALONE)
    wait_until(lambda: redis.hlen(FAILED) == 300, 30, "each has its record")
    wait_until(
        lambda: all(r["attempts"] >= 2 for r in failures(redis).values()), 30, "tried again"
    )
    assert daemon.stop() == 0
    attempts = sum(r["attempts"] for r in failures(redis).values())
    check(daemon.records, refused, attempts)


def test_an_attempt_alone_names_its_product(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Also the second one, and those of a reservation of several products."""
    db.conn.execute(REFUSE)
    products = sorted(shop.add_products(db, 3))
    id = shop.reserve(db, dict.fromkeys(products, 13), ttl_s=0)
    mirror(db, redis, id)
    daemon = sweeper(*ALONE)
    wait_until(lambda: len(named(daemon.records)) >= 2, 20, "tried again")
    for record in named(daemon.records):
        assert record["reservationId"] == id
        assert sorted(record["productId"].split(",")) == products


def test_refused_beside_good_ones(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    db.conn.execute(REFUSE)
    bad, good = shop.add_products(db, 2)
    id = shop.reserve(db, {bad: 13}, ttl_s=0)
    mirror(db, redis, id, *[shop.reserve(db, {good: 1}, ttl_s=0) for _ in range(50)])
    daemon = sweeper(*ALONE)
    assert daemon.wait_for_record("refused to release")["productId"] == bad
    wait_until(lambda: shop.count_status(db, "released") == 50, 20, "the others")


def test_without_redis(db: Database, sweeper: Start) -> None:
    """A direct pass comes by twice a second."""
    refused = refuse_many(db, 150)
    daemon = sweeper("--feed-interval", "1s", redis_url="redis://127.0.0.1:1/0")
    wait_until(lambda: len(named(daemon.records)) == 100, 20, "a hundred are named")
    assert daemon.stop() == 0
    lines = named(daemon.records)
    assert len(lines) == 100
    assert all(refused[r["reservationId"]] == r["productId"] for r in lines)
    assert daemon.find(SUMMARY)[0]["unnamedCount"] >= 50


def test_without_an_inventory_row(db: Database, redis: redis_py.Redis, run: Run) -> None:
    product = shop.add_product(db, stock=1000)
    for _ in range(120):
        shop.reserve(db, {product: 1}, ttl_s=0)
    db.conn.execute("DELETE FROM inventory")
    done = run("--once")
    assert done.status == 0
    lines = named(done.records)
    assert len(lines) == 100 and {r["productId"] for r in lines} == {product}
    summary = done.record("More was released without an inventory row")
    assert summary["level"] == "WARN"
    assert summary["products"] == [{"productId": product, "count": 20}]


def test_a_fault_is_said_once(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A trigger that fails for all of them: tried each second by each worker."""
    products = shop.add_products(db, 5)
    ids = shop.bulk_reserve(db, 20, products)
    db.conn.execute(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO notes VALUES (NEW.id); RETURN NULL; END$$;"
        " CREATE TRIGGER note AFTER UPDATE ON inventory_reservations FOR EACH ROW"
        " EXECUTE FUNCTION note();"
    )
    mirror(db, redis, *ids)
    daemon = sweeper("--workers", "2", *ALONE)
    fault = daemon.wait_for_record("cannot release at present")
    assert (fault["level"], fault["sqlstate"]) == ("ERROR", "42P01")
    holds(lambda: shop.count_status(db, "released") == 0, 5, "it is tried in vain")
    assert len(daemon.find("cannot release at present")) == 1
    db.conn.execute("CREATE TABLE notes (id uuid)")
    over = daemon.wait_for_record("can release again")
    assert over["level"] == "INFO" and over["faultSeconds"] >= 4
    wait_until(lambda: shop.count_status(db, "released") == 20, 20, "all are released")
