"""--reconcile: every kind of finding about reservations and entries is planted, reported by a dry run
that changes nothing, repaired by a run, and gone in the next."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from harness import shop
from harness.locks import lock_product, transaction
from harness.poll import within
from harness.queue import FAILED, INFLIGHT, LEASES, PENDING, batch, is_empty, pending
from harness.queue import expires_ms as expires
from harness.reconciliation import OFF, Check, expires_ms, figures, hold, now_ms


def test_nothing(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    for _ in range(20):
        hold(db, redis, product)
    assert found(*OFF) == []


def test_empty_shop(found: Check) -> None:
    assert found() == []


@pytest.mark.valgrind
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


def test_missing_with_odd_ids(db: Any, redis: Any, found: Check) -> None:
    """An empty id is one; one that is longer than an entry of Redis may be is not missing there."""
    db.conn.execute("ALTER TABLE inventory_reservations ALTER id TYPE text")
    product = shop.add_product(db, stock=100)
    for id in ("", "x" * 255, "x" * 256):
        shop.reserve(db, {product: 1}, 600, id=id)
    report = found(*OFF, mirrorMissing=2)
    assert {line["reservationId"] for line in report} == {"", "x" * 255}


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
    assert time.monotonic() - started < within(10)


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


@pytest.mark.valgrind
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
    # One due for longer than a lease, one not, however long the runs take.
    redis.zadd(PENDING, {settled[0]: now - 600_000, settled[1]: now - 1000})
    report = found(*OFF, "--lease", "5m", mirrorOrphaned=8, mirrorSpent=2)
    assert {line["done"] for line in report} == {"removed"}
    assert settled[0] in {line["reservationId"] for line in report}
    assert set(redis.zrange(PENDING, 0, -1)) == {id.encode() for id in (kept, *settled[1:])}


def test_capital_letters_are_the_same_uuid(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    id = hold(db, redis, product)
    redis.zadd(PENDING, {id.upper(): expires_ms(db, id)})
    found(*OFF)
    assert redis.zcard(PENDING) == 2


@pytest.mark.valgrind
def test_leases(db: Any, redis: Any, found: Check) -> None:
    """Of batches and of version 0.1: those that have ended are returned, due when their rows are."""
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    dead = [shop.reserve(db, {product: 1}, 600) for _ in range(6)]
    alive = [shop.reserve(db, {product: 1}, 600) for _ in range(3)]
    for id in dead[:3]:
        redis.zadd(INFLIGHT, {id: now - 5000})
    redis.zadd(INFLIGHT, {alive[0]: now + 120_000})
    living = batch(*alive[1:])
    redis.zadd(LEASES, {batch(*dead[3:5]): now - 5000, batch(dead[5]): now - 4000, living: now + 120_000})
    report = found(*OFF, leasesExpired=6)
    assert {line["reservationId"] for line in report} == set(dead)
    assert redis.zrange(INFLIGHT, 0, -1) == [alive[0].encode()]
    assert redis.zrange(LEASES, 0, -1) == [living]
    assert pending(redis) == expires(db, dead)


def test_a_batch_of_which_only_some_are_returned(db: Any, redis: Any, found: Check) -> None:
    """An entry that somebody else's batch has too is that one's; the others stay as they are."""
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    dead, shared = (shop.reserve(db, {product: 1}, 600) for _ in range(2))
    living = batch(shared, token=9)
    redis.zadd(LEASES, {batch(dead, shared): now - 5000, living: now + 120_000})
    found(*OFF, leasesExpired=1)
    left = b"\x92\x07\xd9$" + shared.encode()  # as cmsgpack makes it
    assert redis.zrange(LEASES, 0, 0, withscores=True) == [(left, now - 5000)]
    assert redis.zrange(LEASES, 1, -1) == [living]
    assert pending(redis) == expires(db, [dead])


def test_very_many_batches(db: Any, redis: Any, found: Check) -> None:
    """More than a script looks at, and full ones."""
    products = shop.add_products(db, 10, stock=10_000)
    now = now_ms(db)
    ids = shop.bulk_reserve(db, 3700, products, "now() + interval '10 minutes'")
    batches = [ids[:1000], ids[1000:2000], *([id] for id in ids[2000:2700])]
    redis.zadd(LEASES, {batch(*members): now - 9000 + i for i, members in enumerate(batches)})
    living = batch(*ids[2700:])
    redis.zadd(LEASES, {living: now + 300_000})
    found(*OFF, leasesExpired=2700)
    assert redis.zrange(LEASES, 0, -1) == [living]
    assert redis.zcard(PENDING) == 2700


ODD = [b"", b"x", b"\xc1", b"\x91\x07", batch("a")[:-1], batch("a") + b"\0", b"\x92\x07\x90", b"z" * 300_000]


def test_what_is_no_batch(db: Any, redis: Any, found: Check) -> None:
    """Somebody wrote into leases: it is said, removed, and is in nobody's way."""
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    dead, alive = (shop.reserve(db, {product: 1}, 600) for _ in range(2))
    living = batch(alive)
    redis.zadd(LEASES, {batch(dead): now - 5000, living: now + 120_000})
    redis.zadd(LEASES, {member: now + 1000 * i for i, member in enumerate(ODD)})
    report = found(*OFF, leasesExpired=1, mirrorOrphaned=len(ODD))
    odd = [line for line in report if line["kind"] == "leaseUnreadable"]
    assert {line["found"] for line in odd} == {now + 1000 * i for i in range(len(ODD))}
    assert all(len(line["reservationId"]) <= 100 for line in odd)
    assert redis.zrange(LEASES, 0, -1) == [living]


@pytest.mark.valgrind
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


def test_leases_with_nothing_to_release(db: Any, redis: Any, found: Check) -> None:
    """A claim whose reservation is gone, or was bought meanwhile, is removed with its record."""
    product = shop.add_product(db, stock=100)
    now = now_ms(db)
    sold = shop.reserve(db, {product: 1}, 600)
    assert shop.commit(db, sold)
    nobody = str(uuid.uuid4())
    bought = shop.reserve(db, {product: 1}, 600)
    assert shop.commit(db, bought)
    redis.zadd(INFLIGHT, {sold: now - 100_000, nobody: now - 1000, "no id": now - 1000})
    redis.zadd(LEASES, {batch(bought, str(uuid.uuid4()), "neither"): now - 1000})
    for id in (sold, bought):
        redis.hset(FAILED, id, json.dumps({"error": "no", "retryAt": now}))
    report = found(*OFF, leasesExpired=6)
    assert {line["done"] for line in report} == {"removed"}
    assert is_empty(redis)


def test_what_a_crashed_sweeper_left(db: Any, redis: Any, found: Check) -> None:
    """Expired, and claimed by somebody who is gone, or refused and not to be tried again."""
    products = shop.add_products(db, 2, stock=100)
    now = now_ms(db)
    claimed, refused = (shop.reserve(db, {product: 1}, -60) for product in products)
    redis.zadd(LEASES, {batch(claimed): now - 1000})
    redis.hset(FAILED, refused, json.dumps({"error": "no", "retryAt": now - 1000}))
    report = found(*OFF, releasedCount=2, leasesExpired=1, mirrorMissing=1)
    assert sorted((line["kind"], line["reservationId"]) for line in report) == sorted(
        [
            *(("expired", claimed), ("leaseExpired", claimed)),
            *(("expired", refused), ("recordUnscheduled", refused)),
        ]
    )
    assert is_empty(redis)
    shop.check_stock_adds_up(db)


def test_locked_ones_are_reported(db: Any, redis: Any, run: Any, tmp_path: Any) -> None:
    product = shop.add_product(db, stock=100)
    id = shop.reserve(db, {product: 1}, -60)
    report = tmp_path / "report"
    with transaction(db, lock_product(product)):
        done = run("--reconcile", *OFF, "--report", str(report))
    assert done.status == 3
    record = done.record("Reconciliation completed")
    assert (record["skippedCount"], record["remainingCount"]) == (1, 1)
    (line,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert (line["kind"], line["reservationId"], line["done"]) == ("expired", id, "locked")
    assert abs(line["found"]["expiresAt"] - expires_ms(db, id)) <= 1
