"""--reconcile: every kind of finding is planted, reported by a dry run that changes nothing, mended
by a run, and gone in the next."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import shop
from harness.database import Database
from harness.sweeper import binary, environment, run_once

PENDING = "{reservations}:pending"
INFLIGHT = "{reservations}:inflight"
FAILED = "{reservations}:failed"
OFF = ("--lookahead", "off")
COUNTS = (
    "releasedCount",
    "mirrorMissing",
    "mirrorMisplaced",
    "mirrorOrphaned",
    "mirrorSpent",
    "leasesExpired",
    "stockDrifted",
    "stockRepaired",
    "remainingCount",
)


def now_ms(db: Any) -> int:
    return int(db.value("SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint"))


def expires_ms(db: Any, id: str) -> int:
    return int(
        db.value(
            "SELECT ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
            " FROM inventory_reservations WHERE id = %s",
            (id,),
        )
    )


def mirror(db: Any, redis: Any, *ids: str) -> None:
    for id in ids:
        redis.zadd(PENDING, {id: expires_ms(db, id)})


def hold(db: Any, redis: Any, product: str, ttl_s: float = 600) -> str:
    """A reservation that stands in Redis as it should."""
    id = shop.reserve(db, {product: 1}, ttl_s)
    mirror(db, redis, id)
    return id


def figures(done: Any) -> dict[str, int]:
    """The closing record's counts that are not 0."""
    record = done.record("Reconciliation completed")
    assert set(COUNTS) <= set(record)
    return {name: record[name] for name in COUNTS if record[name] != 0}


def everything(db: Any, redis: Any) -> tuple[object, ...]:
    """All that a run could change."""
    return (
        db.query("SELECT * FROM inventory ORDER BY product_id"),
        db.query("SELECT * FROM inventory_reservations ORDER BY id, product_id"),
        redis.zrange(PENDING, 0, -1, withscores=True),
        redis.zrange(INFLIGHT, 0, -1, withscores=True),
        redis.hgetall(FAILED),
        sorted(redis.keys("*")),
    )


Check = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def found(db: Any, redis: Any, run: Any, tmp_path: Path) -> Check:
    """Dry run, run, second run; returns the lines of the run's report."""

    def check(*args: str, status: int = 0, mended: dict[str, int] | None = None, **counts: int) -> Any:
        reports = []
        before = everything(db, redis)
        for extra in (("--dry-run",), ()):
            report = tmp_path / "report"
            done = run("--reconcile", *args, *extra, "--report", str(report))
            reports.append([json.loads(line) for line in report.read_text().splitlines()])
            if extra:
                assert everything(db, redis) == before
                findings = sum(n for name, n in counts.items() if name != "mirrorSpent")
                assert figures(done) == counts | ({"remainingCount": findings} if findings else {})
                assert done.status == (3 if findings else 0)
                assert {line["done"] for line in reports[0]} <= {"nothing"}
                assert len(reports[0]) == findings
            else:
                assert figures(done) == (counts if mended is None else mended), done.stderr
                assert done.status == status
        kinds = [[(line["kind"], line.get("reservationId")) for line in report] for report in reports]
        assert sorted(kinds[0], key=str) == sorted(kinds[1], key=str)
        again = run("--reconcile", *args)
        if status == 0:
            left = {name: n for name, n in figures(again).items() if name != "mirrorSpent"}
            assert (left, again.status) == ({}, 0)
        return reports[1]

    return check


def test_nothing(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    for _ in range(20):
        hold(db, redis, product)
    assert found(*OFF) == []


def test_empty_shop(found: Check) -> None:
    assert found() == []


def test_expired(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 3, stock=100)
    ids = shop.bulk_reserve(db, 40, products)
    pair = shop.reserve(db, {products[0]: 1, products[1]: 2}, -1.0)
    hold(db, redis, products[0])
    report = found(*OFF, releasedCount=41)
    assert {line["reservationId"] for line in report} == {*ids, pair}
    assert {line["done"] for line in report} == {"released"}
    shop.check_stock_adds_up(db)
    assert shop.statuses(db) == {"released": 42, "active": 1}


@pytest.mark.valgrind
def test_missing(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    lost = [shop.reserve(db, {product: 1}, 600) for _ in range(7)]
    hold(db, redis, product)
    report = found(*OFF, mirrorMissing=7)
    assert {line["reservationId"] for line in report} == set(lost)
    assert report[0]["found"] is None and report[0]["done"] == "added"
    assert {line["expected"] for line in report} == {expires_ms(db, id) for id in lost}
    for id in lost:
        assert redis.zscore(PENDING, id) == expires_ms(db, id)


def test_missing_of_several_rows_counts_once(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 3, stock=100)
    same = shop.reserve(db, {p: 1 for p in products}, 600)
    other = shop.reserve(db, {p: 1 for p in products}, 600)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = expires_at + interval '1 minute'"
        " WHERE id = %s AND product_id = %s",
        (other, products[1]),
    )
    found(*OFF, mirrorMissing=2)
    for id in (same, other):
        assert redis.zscore(PENDING, id) == expires_ms(db, id)


def test_missing_within_the_look_ahead(db: Any, redis: Any, found: Check) -> None:
    """What the feed is not yet to mirror is not missing; what it should have met is."""
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 1}, 600)
    lost = shop.reserve(db, {product: 1}, 30)
    report = found("--lookahead", "60s", "--feed-interval", "500ms", mirrorMissing=1)
    assert report[0]["reservationId"] == lost
    assert redis.zcard(PENDING) == 1


def test_old_rows_need_no_long_wait(db: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 1}, 20)
    db.conn.execute("UPDATE inventory_reservations SET updated_at = now() - interval '10 minutes'")
    started = time.monotonic()
    assert figures(run("--reconcile"))["mirrorMissing"] == 1
    assert time.monotonic() - started < 10


def test_misplaced(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    ids = [hold(db, redis, product) for _ in range(4)]
    at = expires_ms(db, ids[0])
    redis.zadd(PENDING, {ids[0]: at + 1, ids[1]: at + 3_600_000, ids[2]: "inf", ids[3]: at - 5000})
    report = found(*OFF, mirrorMisplaced=3)
    assert {line["reservationId"] for line in report} == set(ids[:3])
    for id in ids[:3]:
        assert redis.zscore(PENDING, id) == expires_ms(db, id)
    assert redis.zscore(PENDING, ids[3]) == at - 5000  # earlier: the sweeper looks, and puts it back


def test_misplaced_beyond_the_look_ahead(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    id = hold(db, redis, product)
    redis.zadd(PENDING, {id: expires_ms(db, id) + 60_000})
    found(mirrorMisplaced=1)


def test_orphaned(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    kept = hold(db, redis, product)
    now = now_ms(db)
    nobody = [str(uuid.uuid4()) for _ in range(3)]
    strange = [b"not an id", b"\xff\xfe\x00", b"", b"x" * 300]
    settled = [hold(db, redis, product) for _ in range(3)]
    for id in settled:
        assert shop.commit(db, id)
    redis.zadd(PENDING, {nobody[0]: now + 10**9, nobody[1]: now, nobody[2]: "-inf"})
    for id in strange:
        redis.zadd(PENDING, {id: now + 10**6})
    redis.zadd(PENDING, {settled[0]: now - 60_000, settled[1]: now - 1000})
    report = found(*OFF, mirrorOrphaned=8, mirrorSpent=2)
    assert {line["done"] for line in report} == {"removed"}
    assert settled[0] in {line["reservationId"] for line in report}
    assert set(redis.zrange(PENDING, 0, -1)) == {id.encode() for id in (kept, *settled[1:])}


def test_capital_letters_are_the_same_uuid(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    id = hold(db, redis, product)
    redis.zadd(PENDING, {id.upper(): expires_ms(db, id)})
    found(*OFF)
    assert redis.zcard(PENDING) == 2


def test_leases(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    dead = [shop.reserve(db, {product: 1}, 600) for _ in range(3)]
    alive = shop.reserve(db, {product: 1}, 600)
    for id in dead:
        redis.zadd(INFLIGHT, {id: now - 5000})
    redis.zadd(INFLIGHT, {alive: now + 120_000})
    report = found(*OFF, leasesExpired=3)
    assert {line["reservationId"] for line in report} == set(dead)
    assert redis.zrange(INFLIGHT, 0, -1) == [alive.encode()]
    assert {redis.zscore(PENDING, id) for id in dead} == {now - 5000}


def test_records_of_failures(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    record = {"error": "no", "sqlstate": "23514", "attempts": 3, "retryAt": now + 60_000}
    lost, waiting, gone = (shop.reserve(db, {product: 1}, 600) for _ in range(3))
    assert shop.cancel(db, gone)
    nobody = str(uuid.uuid4())
    for id in (lost, waiting, gone, nobody, "junk"):
        redis.hset(FAILED, id, json.dumps(record))
    redis.zadd(PENDING, {waiting: now + 700_000})
    redis.hset(FAILED, "junk", "no JSON")
    report = found(*OFF, mirrorOrphaned=3, mirrorMissing=1)
    kinds = {line["reservationId"]: line["kind"] for line in report}
    assert kinds == {
        lost: "recordUnscheduled",
        gone: "recordOrphaned",
        nobody: "recordOrphaned",
        "junk": "recordOrphaned",
    }
    assert redis.zscore(PENDING, lost) == now + 60_000
    assert set(redis.hkeys(FAILED)) == {lost.encode(), waiting.encode()}


def drift(db: Any, product: str, available: int = 0, reserved: int = 0) -> None:
    """Moves the counters; the total follows them, as the table's own check demands."""
    db.conn.execute(
        "UPDATE inventory SET available_stock = available_stock + %s,"
        " reserved_stock = reserved_stock + %s, total_stock = total_stock + %s"
        " WHERE product_id = %s",
        (available, reserved, available + reserved, product),
    )


def test_stock_is_reported(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 5, stock=100)
    hold(db, redis, products[0])
    drift(db, products[1], available=-3, reserved=3)
    report = found(*OFF, status=3, stockDrifted=1, mended={"stockDrifted": 1, "remainingCount": 1})
    assert report == [
        {
            "kind": "stockDrifted",
            "productId": products[1],
            "expected": {"totalStock": 100, "availableStock": 100, "reservedStock": 0},
            "found": {"totalStock": 100, "availableStock": 97, "reservedStock": 3},
            "done": "nothing",
        }
    ]


def test_stock_is_repaired(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 30, stock=100)
    for product in products[:10]:
        hold(db, redis, product)
    for product in products[5:15]:
        drift(db, product, available=-3, reserved=3)
    report = found(
        *OFF, "--repair-stock", stockDrifted=10, mended={"stockDrifted": 10, "stockRepaired": 10}
    )
    assert {line["done"] for line in report} == {"repaired"}
    shop.check_stock_adds_up(db)
    assert {shop.stock(db, p) for p in products[:10]} == {(100, 99, 1)}
    assert {shop.stock(db, p) for p in products[10:]} == {(100, 100, 0)}


def test_stock_that_does_not_add_up_to_its_total(db: Any, redis: Any, found: Check) -> None:
    db.conn.execute("ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up")
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    db.conn.execute("UPDATE inventory SET available_stock = 120")
    found(*OFF, "--repair-stock", stockDrifted=1, mended={"stockDrifted": 1, "stockRepaired": 1})
    assert shop.stock(db, product) == (100, 99, 1)


def test_stock_without_a_total(db: Any, redis: Any, found: Check) -> None:
    db.conn.execute("ALTER TABLE inventory DROP COLUMN total_stock")
    db.conn.execute(
        "INSERT INTO inventory (product_id, available_stock, reserved_stock)"
        " VALUES (gen_random_uuid(), 10, 2)"
    )
    report = found(
        *OFF, "--repair-stock", stockDrifted=1, mended={"stockDrifted": 1, "stockRepaired": 1}
    )
    assert report[0]["found"] == {"availableStock": 10, "reservedStock": 2}
    assert db.query("SELECT available_stock, reserved_stock FROM inventory") == [(12, 0)]


def test_stock_below_zero_is_not_repaired(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    db.conn.execute("UPDATE inventory SET total_stock = 0, available_stock = 0, reserved_stock = 0")
    found(
        *OFF,
        "--repair-stock",
        status=3,
        stockDrifted=1,
        mended={"stockDrifted": 1, "remainingCount": 1},
    )
    assert shop.stock(db, product) == (0, 0, 0)


def test_too_much_drift_is_suspicious(db: Any, redis: Any, run: Any) -> None:
    products = shop.add_products(db, 6, stock=100)
    for product in products:
        drift(db, product, available=-1, reserved=1)
    done = run("--reconcile", *OFF, "--repair-stock", "--max-repairs", "5", "--report", "-")
    assert (done.status, figures(done)) == (3, {"stockDrifted": 6, "remainingCount": 6})
    assert sum('"kind":"stockDrifted"' in line for line in done.stdout.splitlines()) == 6
    assert done.record("Too many")["level"] == "WARN"
    done = run("--reconcile", *OFF, "--repair-stock", "--max-repairs", "6")
    assert (done.status, figures(done)) == (0, {"stockDrifted": 6, "stockRepaired": 6})
    shop.check_stock_adds_up(db)


def test_counters_come_before_releases(db: Any, redis: Any, run: Any) -> None:
    """A counter that drifted refuses the release of what it forgot."""
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 5}, -1.0)
    drift(db, product, available=5, reserved=-5)
    done = run("--reconcile", *OFF)
    assert (done.status, figures(done)["remainingCount"]) == (3, 2)
    done = run("--reconcile", *OFF, "--repair-stock")
    assert (done.status, figures(done)) == (
        0,
        {"releasedCount": 1, "stockDrifted": 1, "stockRepaired": 1},
    )
    assert shop.stock(db, product) == (100, 100, 0)


def test_report_on_stdout(db: Any, redis: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    id = shop.reserve(db, {product: 1}, 600)
    done = run("--reconcile", *OFF, "--dry-run", "--report", "-")
    assert [json.loads(line)["reservationId"] for line in done.stdout.splitlines()] == [id]
    assert "Reconciliation completed" in done.stderr


def test_report_that_cannot_be_written(run: Any) -> None:
    done = run("--reconcile", "--report", "/nonexistent/report")
    assert done.status == 2
    assert done.stderr.count("\n") == 1 and "/nonexistent/report" in done.stderr
    done = run("--reconcile", "--report", "/dev/full", *OFF)
    assert done.status == 0  # nothing to report


def test_servers_out_of_reach(db: Any, redis: Any, run: Any) -> None:
    done = run("--reconcile", redis_url="redis://127.0.0.1:1")
    assert (done.status, done.records[-1]["level"]) == (1, "ERROR")
    done = run("--reconcile", dsn="postgresql://127.0.0.1:1/none")
    assert (done.status, done.records[-1]["level"]) == (1, "ERROR")
    assert redis.dbsize() == 0


def test_very_many_that_expire_together(db: Any, redis: Any, run: Any) -> None:
    """Several pages of one moment; and what is in several pages is mended page by page."""
    products = shop.add_products(db, 10, stock=100)
    shop.bulk_reserve(db, 170_000, products, "now() + interval '1 hour'")
    shop.bulk_reserve(db, 20_000, products, "now() + interval '2 hours' + i * interval '1 ms'")
    done = run("--reconcile", *OFF, "--dry-run")
    assert figures(done) == {"mirrorMissing": 190_000, "remainingCount": 190_000}
    assert figures(run("--reconcile", *OFF)) == {"mirrorMissing": 190_000}
    assert redis.zcard(PENDING) == 190_000
    gone = [id.decode() for id in redis.zrange(PENDING, 0, -1)[::7]]
    for at in range(0, len(gone), 10_000):
        redis.zrem(PENDING, *gone[at : at + 10_000])
    assert figures(run("--reconcile", *OFF)) == {"mirrorMissing": len(gone)}
    assert figures(run("--reconcile", *OFF)) == {}
    assert redis.zscore(PENDING, gone[0]) == expires_ms(db, gone[0])


@pytest.mark.parametrize(
    ("id_type", "time_type", "product_type", "ids"),
    [
        ("text", "timestamp", "text", ["a", 'b"\\{},', "größe €", "x" * 255]),
        ("bigint", "timestamptz", "integer", ["1", "-5", "9000000000000000000", "77"]),
        ("char(8)", "timestamp", "varchar(20)", ["abc", "abcdefgh", "x y", "q"]),
    ],
)
def test_other_types(
    pg_server: Any, redis: Any, redis_server: Any, id_type: str, time_type: str, product_type: str, ids: Any
) -> None:
    db = Database.create(pg_server, schema=False)
    try:
        db.conn.execute(
            f"""
            CREATE TABLE inventory (product_id {product_type} PRIMARY KEY, available_stock integer,
                reserved_stock integer, updated_at {time_type});
            CREATE TABLE inventory_reservations (id {id_type} PRIMARY KEY,
                product_id {product_type}, quantity integer, expires_at {time_type}, status text,
                updated_at {time_type});
            INSERT INTO inventory VALUES ('1', 10, 5), ('2', 10, 0);
            """
        )
        now = "now()" if time_type == "timestamptz" else "now() AT TIME ZONE 'UTC'"
        for id in ids:
            db.conn.execute(
                "INSERT INTO inventory_reservations"
                f" VALUES (%s, '1', 1, {now} + interval '1 hour', 'active')",
                (id,),
            )
        redis.zadd(PENDING, {"no such id": 4e12})
        options = {"dsn": db.dsn, "redis_url": redis_server.url()}
        expected = {"mirrorMissing": 4, "mirrorOrphaned": 1, "stockDrifted": 1}
        done = run_once("--reconcile", *OFF, "--dry-run", **options)
        assert figures(done) == expected | {"remainingCount": 6}
        done = run_once("--reconcile", *OFF, "--repair-stock", **options)
        assert figures(done) == expected | {"stockRepaired": 1}
        assert figures(run_once("--reconcile", *OFF, **options)) == {}
        assert db.query("SELECT available_stock, reserved_stock FROM inventory ORDER BY 1 DESC") == [
            (11, 4),
            (10, 0),
        ]
    finally:
        db.drop()


def test_words_on_a_terminal(db: Any, redis: Any, redis_server: Any) -> None:
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 1}, 600)
    command = [binary(), "--reconcile", *OFF, "--dry-run"]
    leader, follower = pty.openpty()
    status = subprocess.run(
        command,
        env=environment(db.dsn, redis_server.url(), {"SWEEPER_LOG_FORMAT": "auto"}),
        stdout=follower,
        stderr=follower,
        timeout=30,
        check=False,
    ).returncode
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(leader, 65536):
            said += data
    os.close(leader)
    text = said.decode()
    assert status == 3
    assert "looking again: " in text  # the progress display
    assert "missing in Redis  " in text and "inconsistencies that remain" in text
    assert "Reconciliation completed" in text
