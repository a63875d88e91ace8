"""The release by places, as the sweeper sends it: what it releases of what a page has shown."""

from __future__ import annotations

from harness import shop
from harness.database import Database
from harness.locks import lock_product, lock_reservation, transaction
from harness.statement import places, prepare_backlog_release, release_by_places


def test_it_releases_what_a_page_has_shown(db: Database) -> None:
    prepare_backlog_release(db)
    products = shop.add_products(db, 3)
    ids = shop.bulk_reserve(db, 30, products, quantity=2)
    assert release_by_places(db, places(db)) == set(ids)
    assert shop.statuses(db) == {"released": 30}
    shop.check_stock_adds_up(db)


def test_all_rows_of_a_reservation_or_none(db: Database) -> None:
    prepare_backlog_release(db)
    apple, pear = shop.add_products(db, 2)
    whole, seen_in_part = (shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1) for _ in range(2))
    rows = places(db)
    rows.remove(next(row for row in rows if row[0] == seen_in_part))
    assert release_by_places(db, rows) == {whole}
    assert shop.statuses(db) == {"released": 2, "active": 2}
    shop.check_stock_adds_up(db)


def test_a_locked_row_keeps_its_own_reservation_only(db: Database) -> None:
    prepare_backlog_release(db)
    apple, pear = shop.add_products(db, 2)
    free, busy = (shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1) for _ in range(2))
    lock = "SELECT FROM inventory_reservations WHERE id = %s AND product_id = %s FOR UPDATE"
    with transaction(db, (lock, (busy, pear))):
        assert release_by_places(db, places(db)) == {free}
    assert release_by_places(db, places(db)) == {busy}
    shop.check_stock_adds_up(db)
