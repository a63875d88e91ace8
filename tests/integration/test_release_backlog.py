"""The release by places, as the sweeper sends it: what it releases of what a page has shown."""

from __future__ import annotations

import time

import psycopg
import pytest
from harness import shop
from harness.database import Database
from harness.locks import lock_product, lock_reservation, transaction
from harness.statement import excepted_by_places, places, prepare_explained, release_by_places
from harness.sweeper import Run


@pytest.fixture(autouse=True)
def prepared(db: Database, run: Run) -> None:
    prepare_explained(db, run, by_places=True)


def test_it_releases_what_a_page_has_shown(db: Database) -> None:
    ids = shop.bulk_reserve(db, 30, shop.add_products(db, 3), quantity=2)
    assert release_by_places(db, places(db)) == set(ids)
    assert shop.statuses(db) == {"released": 30}
    shop.check_stock_adds_up(db)


def test_all_rows_of_a_reservation_or_none(db: Database) -> None:
    apple, pear = shop.add_products(db, 2)
    whole, seen_in_part = (shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1) for _ in range(2))
    rows = places(db)
    rows.remove(next(row for row in rows if row[0] == seen_in_part))
    assert release_by_places(db, rows) == {whole}
    assert shop.statuses(db) == {"released": 2, "active": 2}
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("expires", ["now() + interval '1 minute'", "'infinity'"])
def test_a_row_that_is_not_due_keeps_its_reservation(db: Database, expires: str) -> None:
    apple, pear = shop.add_products(db, 2)
    id = shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1)
    db.conn.execute(
        f"UPDATE inventory_reservations SET expires_at = {expires} WHERE product_id = %s", (pear,)
    )
    assert release_by_places(db, places(db)) == set()
    assert shop.statuses(db) == {"active": 2}, id


def test_a_row_at_the_same_place_of_a_child_table(db: Database) -> None:
    """The table may have become a parent since its catalog was read."""
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    rows = places(db)
    db.conn.execute("CREATE TABLE child (LIKE inventory_reservations INCLUDING ALL)")
    db.conn.execute("INSERT INTO child SELECT * FROM inventory_reservations")
    db.conn.execute("ALTER TABLE child INHERIT inventory_reservations")
    same = "SELECT count(*) FROM inventory_reservations WHERE (id::text, ctid::text) = (%s, %s)"
    assert db.value(same, rows[0]) == 2
    assert release_by_places(db, rows) == set()
    assert shop.statuses(db) == {"active": 2}, id


def test_a_locked_row_keeps_its_own_reservation_only(db: Database) -> None:
    apple, pear = shop.add_products(db, 2)
    free, busy = (shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1) for _ in range(2))
    lock = "SELECT FROM inventory_reservations WHERE id = %s AND product_id = %s FOR UPDATE"
    with transaction(db, (lock, (busy, pear))):
        assert release_by_places(db, places(db)) == {free}
    assert release_by_places(db, places(db)) == {busy}
    shop.check_stock_adds_up(db)


def test_a_place_where_another_row_lies_by_now(db: Database) -> None:
    """A place says nothing of the id: what was not asked for is left, though it is due."""
    product = shop.add_product(db)
    asked, other = (shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(2))
    rows = dict(places(db))
    assert release_by_places(db, [(asked, rows[other])]) == set()
    assert shop.statuses(db) == {"active": 2}


def test_it_reads_the_places_and_not_the_table(db: Database) -> None:
    """A constant of many places would be worth a sequential scan to the planner."""
    shop.bulk_reserve(db, 2000, [shop.add_product(db)])
    db.conn.execute("ANALYZE inventory_reservations; SET plan_cache_mode = force_custom_plan")
    rows = places(db)
    ids, tids = (",".join(f'"{row[i]}"' for row in rows) for i in (0, 1))
    plan = db.query(
        f"EXPLAIN EXECUTE by_places ('{{{ids}}}', '2s', '2s', '{{{tids}}}')"  # type: ignore[arg-type]
    )
    scans = [line for (line,) in plan if "on inventory_reservations r" in line and "Scan" in line]
    # The third is the look-up of what else an id has.
    assert len(scans) == 3 and not any("Seq Scan" in line for line in scans), plan
    assert len([line for line in scans if "Tid Scan" in line]) == 2, plan


def test_it_waits_for_a_counter_but_shortly(db: Database) -> None:
    free, busy = shop.add_products(db, 2)
    ids = [shop.reserve(db, {product: 1}, ttl_s=-1) for product in (free, free, busy)]
    with transaction(db, lock_product(busy)):
        start = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            release_by_places(db, places(db), counters_ms=100, others_ms=20_000)
        assert 0.1 <= time.monotonic() - start < 10
    assert release_by_places(db, places(db)) == set(ids)
    shop.check_stock_adds_up(db)


def test_products_without_a_counter_are_named(db: Database) -> None:
    with_counter, without = shop.add_products(db, 2)
    counted = shop.reserve(db, {with_counter: 1}, ttl_s=-1)
    uncounted = shop.reserve(db, {without: 1, with_counter: 1}, ttl_s=-1)
    left = shop.reserve(db, {with_counter: 1}, ttl_s=-1)
    db.conn.execute("DELETE FROM inventory WHERE product_id = %s", (without,))
    rows = places(db)
    with transaction(db, lock_reservation(left)):
        excepted = excepted_by_places(db, rows)
    assert excepted == {(uncounted, without), (left, None)}
    assert db.value("SELECT status FROM inventory_reservations WHERE id = %s", (counted,)) == "released"


def test_a_row_without_a_quantity_is_left(db: Database) -> None:
    product = shop.add_product(db)
    good, bad = (shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(2))
    db.conn.execute("ALTER TABLE inventory_reservations ALTER quantity DROP NOT NULL")
    db.conn.execute("UPDATE inventory_reservations SET quantity = NULL WHERE id = %s", (bad,))
    assert release_by_places(db, places(db)) == {good}
