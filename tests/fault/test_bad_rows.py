"""Rows that Postgres refuses hold up nothing else."""

from __future__ import annotations

import time

import pytest
from bed import Bed, complaints, drifted, fix
from harness import process, shop
from harness.poll import holds, until_ready, wait_until, within
from harness.queue import FAILED, PENDING, failures
from harness.sweeper import Record, Sweeper, run_once


def percentile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def rollbacks(bed: Bed) -> int:
    """Failed transactions in this database, of whoever it was."""
    bed.db.query("SELECT pg_stat_clear_snapshot()")
    return int(
        bed.db.value(  # type: ignore[call-overload]
            "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        )
    )


def mirror(bed: Bed, ids: list[str]) -> None:
    for first in range(0, len(ids), 1000):
        rows = bed.db.query(
            "SELECT id::text, ceil(extract(epoch FROM expires_at) * 1000)::bigint"
            " FROM inventory_reservations WHERE id = ANY (%s::uuid[])",
            (ids[first : first + 1000],),
        )
        bed.redis.zadd(PENDING, dict(rows))


def refusals(daemon: Sweeper) -> list[Record]:
    """One record for each time that a reservation was refused."""
    return [r for r in daemon.records if "refused to release a reservation" in r["message"]]


def waiting(records: list[Record]) -> list[str]:
    """The ids of those that the log names as waiting with their product."""
    named = [r for r in records if "waits with its product" in r["message"]]
    assert all(r["level"] == "WARN" and r["error"] and r["sqlstate"] for r in named)
    return [r["reservationId"] for r in named]


def test_ten_bad_rows_beside_good_ones(bed: Bed) -> None:
    bad_products = shop.add_products(bed.db, 10, stock=100)
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    bad = drifted(bed, 10, bad_products)
    bed.redis.zadd(PENDING, dict.fromkeys(bad, 1))
    wait_until(lambda: bed.redis.hlen(FAILED) == 10, 10, "ten records of failures")
    before = len(complaints(daemon.records))
    since = time.time()
    good = bed.stream(1200, rate=200, delay_s=1.0)
    mirror(bed, good)
    wait_until(lambda: len(bed.lateness(since)) == len(good), 12, "all good ones", step=0.1)
    late = bed.lateness(since)
    print(f"p50 {percentile(late, 0.5):.4f} s, p99 {percentile(late, 0.99):.4f} s")
    assert percentile(late, 0.99) < bed.in_time(0.1)

    records = failures(bed.redis)
    assert set(records) == set(bad)
    assert all(r["sqlstate"] == "23514" and r["attempts"] >= 2 for r in records.values())
    attempts = sum(r["attempts"] for r in records.values())
    assert len(complaints(daemon.records)) <= max(attempts, before)

    fix(bed, bad_products)
    bed.check_settled(timeout=30)


def test_a_drifted_hot_product(bed: Bed) -> None:
    """10,000 reservations cost tens of failed transactions, not thousands, and nobody's time."""
    hot = shop.add_products(bed.db, 1, stock=20_000)
    bad = drifted(bed, 10_000, hot)
    before = rollbacks(bed)
    daemon = bed.start(http=True)
    until_ready(daemon)
    began = time.time()
    wait_until(lambda: bed.redis.hlen(FAILED) == len(bad), 15, "all have their record")
    print(f"all are put aside after {time.time() - began:.1f} s")
    since = time.time()
    good = bed.stream(1000, rate=200, delay_s=0.5)
    mirror(bed, good)
    wait_until(lambda: len(bed.lateness(since)) == len(good), 15, "all good ones", step=0.1)
    late = bed.lateness(since)
    attempts = sum(r["attempts"] for r in failures(bed.redis).values())
    failed = rollbacks(bed) - before
    print(f"p50 {percentile(late, 0.5):.4f} s, p99 {percentile(late, 0.99):.4f} s,"
          f" {attempts} refused, {failed} failed transactions")  # fmt: skip
    assert percentile(late, 0.99) < bed.in_time(0.1)
    # Ten and those that led to them; then at most the ten and a probe for each back-off: 1, 2, 4 s.
    assert 10 <= attempts <= 80 and failed <= 150

    # All of them are on view, and what is refused does not count as overdue.
    untried = [r for r in failures(bed.redis).values() if r["attempts"] == 0]
    assert len(untried) >= len(bad) - attempts
    assert {r["sqlstate"] for r in untried} == {"23514"} and all(r["error"] for r in untried)
    assert daemon.http("/readyz")[0] == 200
    opened = daemon.wait_for_record("refuses all of a product")
    assert (opened["level"], opened["productId"]) == ("WARN", hot[0])
    held = waiting(daemon.records)
    assert len(held) == len(set(held)) and set(held) <= set(bad)
    assert 50 <= len(held) + len(refusals(daemon)) <= 200, "a hundred in a minute"

    fix(bed, hot)
    bed.check_settled(timeout=40)
    assert bed.redis.hlen(FAILED) == 0


def test_a_drifted_product_of_reservations_of_several(bed: Bed) -> None:
    """Its reservations have another product each, or one that is sold alone as well."""
    hot, beside = shop.add_products(bed.db, 2, stock=10_000)
    others = shop.add_products(bed.db, 300, stock=10)
    with bed.db.conn.transaction():
        bad = [shop.reserve(bed.db, {hot: 1, other: 1}, 0) for other in others]
        bad += [shop.reserve(bed.db, {hot: 1, beside: 1}, 0) for _ in range(300)]
    bed.db.conn.execute(
        "UPDATE inventory SET available_stock = total_stock, reserved_stock = 0"
        " WHERE product_id = %s",
        (hot,),
    )
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    before = rollbacks(bed)
    bed.redis.zadd(PENDING, dict.fromkeys(bad, 1))
    daemon.wait_for_record("refuses all of a product")
    since = time.time()
    good = shop.bulk_reserve(
        bed.db, 400, [beside], "clock_timestamp() + i * interval '5 ms' + interval '0.5 s'"
    )
    mirror(bed, good)
    wait_until(lambda: len(bed.lateness(since)) == len(good), 12, "all good ones", step=0.1)
    late = bed.lateness(since)
    failed = rollbacks(bed) - before
    print(f"p99 {percentile(late, 0.99):.4f} s, {failed} failed transactions")
    assert percentile(late, 0.99) < bed.in_time(0.1)
    assert failed <= 200 and len(refusals(daemon)) <= 80
    fix(bed, [hot])
    bed.check_settled(timeout=40)


@pytest.mark.short
def test_entries_that_are_no_ids_while_a_product_is_refused(bed: Bed) -> None:
    """Nothing is left of their batch then: there is nobody's product to ask for."""
    hot = shop.add_products(bed.db, 1, stock=1000)
    daemon = bed.start()
    bad = drifted(bed, 40, hot)
    bed.redis.zadd(PENDING, dict.fromkeys(bad, 1))
    daemon.wait_for_record("refuses all of a product")
    bed.redis.zadd(PENDING, {"no-uuid": 1})
    wait_until(lambda: bed.redis.zscore(PENDING, "no-uuid") is None, 10, "it is forgotten")
    assert daemon.running, daemon.tail()
    fix(bed, hot)
    bed.check_settled(timeout=30)


@pytest.mark.short
def test_once_with_a_drifted_hot_product(bed: Bed) -> None:
    hot = shop.add_products(bed.db, 1, stock=20_000)
    drifted(bed, 10_000, hot)
    good = shop.bulk_reserve(bed.db, 400, bed.products)
    before = rollbacks(bed)
    done = run_once("--once", dsn=bed.db.dsn, redis_url=bed.redis_server.url())
    failed = rollbacks(bed) - before
    record = done.record("Cleanup job completed")
    assert done.status == 1
    assert (record["cleanedCount"], record["failedCount"]) == (len(good), 10_000)
    refused = [r for r in done.records if "refused to release a reservation" in r["message"]]
    print(f"{len(refused)} refused, {failed} failed transactions, {record['durationMs']} ms")
    assert 10 <= len(refused) <= 20 and failed <= 100
    assert len(refused) + len(waiting(done.records)) == 100
    rest = done.record("More releases were refused than the log names in a minute")
    assert rest["unnamedCount"] == 9_900 and rest["sqlstates"] == {"23514": 9_900}
    assert rest["products"] == [{"productId": hot[0], "count": 9_900}]
    assert all(r["sqlstate"] == "23514" and r["reservationId"] for r in refused)
    assert done.record("refuses all of a product")["productId"] == hot[0]
    fix(bed, hot)
    again = run_once("--once", dsn=bed.db.dsn, redis_url=bed.redis_server.url())
    assert again.status == 0
    assert again.record("Cleanup job completed")["cleanedCount"] == 10_000
    bed.check_settled()


def refuse_some(bed: Bed, ids: list[str], sqlstate: str) -> None:
    """By a trigger, with an error that looks as if the statement were wrong or not permitted."""
    bed.db.conn.execute(
        f"""
        CREATE TABLE unwanted (id uuid);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            IF EXISTS (SELECT FROM unwanted u WHERE u.id = NEW.id) THEN
                RAISE 'unwanted' USING ERRCODE = '{sqlstate}';
            END IF;
            RETURN NEW;
        END$$;
        CREATE TRIGGER refuse BEFORE UPDATE ON inventory_reservations
            FOR EACH ROW EXECUTE FUNCTION refuse()
        """
    )
    bed.db.conn.execute("INSERT INTO unwanted SELECT unnest(%s::uuid[])", (ids,))


def test_rows_that_are_refused_themselves(bed: Bed) -> None:
    """Two dozen of one product, by a trigger; the breaker of their product stays closed."""
    ids = shop.bulk_reserve(bed.db, 500, bed.products[:1])
    bed.db.conn.execute("UPDATE inventory_reservations SET quantity = 1")
    bad = ids[100:124]
    refuse_some(bed, bad, "P0001")
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    bed.redis.zadd(PENDING, dict.fromkeys(ids, 1))
    wait_until(lambda: bed.redis.hlen(FAILED) == len(bad), 20, "each stands alone")
    assert set(failures(bed.redis)) == set(bad)
    assert all(r["attempts"] >= 1 for r in failures(bed.redis).values())
    wait_until(lambda: shop.count_status(bed.db, "released") == 476, 5, "the others")
    assert not [r for r in daemon.records if "refuses all of a product" in r["message"]]
    bed.db.conn.execute("TRUNCATE unwanted")
    bed.check_settled(timeout=30)


# A trigger of the API's that fails, or tables that the statement does not know: the SQLSTATE,
# what brings it about, and what ends it.
AUDITED = """
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {} RETURN NULL; END$$;
    CREATE TRIGGER note AFTER UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION note()
"""
NO_FAULT_OF_ROWS = {
    "42703": (
        "ALTER TABLE inventory RENAME COLUMN updated_at TO changed_at",
        "ALTER TABLE inventory RENAME COLUMN changed_at TO updated_at",
    ),
    "42883": (
        AUDITED.format("PERFORM noted(NEW.id);"),
        "CREATE FUNCTION noted(uuid) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    ),
    "42P01": (AUDITED.format("INSERT INTO notes VALUES (NEW.id);"), "CREATE TABLE notes (id uuid)"),
    "42601": (AUDITED.format("EXECUTE 'SELEC 1';"), "DROP FUNCTION note CASCADE"),
}


@pytest.mark.parametrize("sqlstate", NO_FAULT_OF_ROWS)
def test_what_is_no_fault_of_rows(bed: Bed, sqlstate: str) -> None:
    """No reservation is refused, a few attempts a second, and all are released when it is fixed."""
    spoil, fixed = NO_FAULT_OF_ROWS[sqlstate]
    daemon = bed.start(http=True)
    until_ready(daemon)
    ids = shop.bulk_reserve(bed.db, 1200, bed.products, "clock_timestamp() + interval '1 s'")
    bed.db.conn.execute(spoil)
    mirror(bed, ids)
    before = rollbacks(bed)
    if sqlstate == "42703":  # the catalog is read anew, and says it better
        daemon.wait_for_record("The database cannot be used as it is")
    else:
        fault = daemon.wait_for_record("Postgres cannot release at present")
        assert (fault["level"], fault["sqlstate"]) == ("ERROR", sqlstate)
    holds(lambda: bed.redis.hlen(FAILED) == 0, 3, "no reservation is refused")
    attempts = rollbacks(bed) - before
    print(f"{attempts} failed transactions in 3 s, {len(complaints(daemon.records))} complaints")
    assert attempts <= 100 and len(complaints(daemon.records)) <= 2
    bed.db.conn.execute(fixed)
    wait_until(lambda: bed.overdue() == 0, 10, "all are released")
    assert not refusals(daemon) and not bed.redis.exists(FAILED)
    bed.check_settled()


@pytest.mark.parametrize("sqlstate", ["42501", "XX000"])
def test_rows_that_seem_the_statements_fault(bed: Bed, sqlstate: str) -> None:
    """Others are released by the same statement: so it is these rows that are at fault."""
    due = shop.bulk_reserve(bed.db, 500, bed.products)
    bad = [due[0], due[1], due[250], due[499]]
    refuse_some(bed, bad, sqlstate)
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    mirror(bed, due)
    wait_until(lambda: bed.redis.hlen(FAILED) == len(bad), 10, "each stands alone")
    assert {r["sqlstate"] for r in failures(bed.redis).values()} == {sqlstate}
    wait_until(lambda: shop.count_status(bed.db, "released") == 496, 5, "the others")
    assert not daemon.find("Postgres cannot release at present")
    since = time.time()
    good = bed.stream(600, rate=200, delay_s=0.5)
    mirror(bed, good)
    wait_until(lambda: len(bed.lateness(since)) == len(good), 12, "all good ones", step=0.1)
    assert percentile(bed.lateness(since), 0.99) < bed.in_time(0.1)
    assert daemon.stop() == 0

    shop.bulk_reserve(bed.db, 50, bed.products)
    done = run_once("--once", dsn=bed.db.dsn, redis_url=bed.redis_server.url())
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["failedCount"]) == (50, len(bad)) and done.status == 1
    bed.db.conn.execute("TRUNCATE unwanted")
    again = run_once("--once", dsn=bed.db.dsn, redis_url=bed.redis_server.url())
    assert again.status == 0
    bed.start().wait_for_record("Redis connected")
    bed.check_settled(timeout=30)


def test_one_alone_that_seems_the_statements_fault(bed: Bed) -> None:
    """It is known whose fault it is when another comes, which waits for a rest at most."""
    bad = shop.bulk_reserve(bed.db, 1, bed.products)
    refuse_some(bed, bad, "42501")
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    mirror(bed, bad)
    daemon.wait_for_record("Postgres cannot release at present")
    since = time.time()
    good = bed.stream(1, rate=1, delay_s=0.5)
    mirror(bed, good)
    wait_until(lambda: len(bed.lateness(since)) == 1, 4, "the good one is released")
    assert bed.lateness(since)[0] < within(2)
    wait_until(lambda: set(failures(bed.redis)) == set(bad), 5, "and the other put aside")
    bed.db.conn.execute("TRUNCATE unwanted")
    bed.check_settled(timeout=20)


def test_direct_mode_with_a_drifted_hot_product(bed: Bed) -> None:
    """Without Redis the same: the pass comes by twice a second."""
    hot = shop.add_products(bed.db, 1, stock=5_000)
    daemon = bed.start(redis_url=f"redis://127.0.0.1:{process.free_port()}/0")
    daemon.wait_for_record("Postgres connected")
    before = rollbacks(bed)
    since = time.time()
    drifted(bed, 3_000, hot)
    good = bed.stream(400, rate=100, delay_s=0.5)
    wait_until(lambda: len(bed.lateness(since)) == len(good), 15, "all good ones", step=0.1)
    late = bed.lateness(since)
    failed = rollbacks(bed) - before
    print(f"max {late[-1]:.4f} s, {failed} failed transactions")
    assert late[-1] <= within(2.0)
    assert failed <= 150 and len(refusals(daemon)) <= 80
    fix(bed, hot)
    wait_until(lambda: bed.overdue() == 0, 30, "healed", step=0.1)
