"""The bulk release, as the sweeper sends it: for what it waits, and how long."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import holds, wait_until
from harness.statement import prepare_explained, prepare_sent, release_in_bulk
from harness.sweeper import Run

RELEASES = ("SELECT pg_advisory_xact_lock(1920169843)", None)  # docs/ARCHITECTURE.md
COUNTERS_MS, OTHERS_MS = 100, 20_000
LEAVES_IT_ACTIVE = """
shop:
  table: inventory_reservations
  quantity: quantity
  active: status = 'active'
  released: updated_at = now()
  stock:
    table: inventory
    key: {product_id: product_id}
    free: available_stock
    held: reserved_stock
"""


def test_the_times_it_is_sent_with(db: Database) -> None:
    """So is the release by places, which a pass sends first: a tenth of the lock timeout for a counter, half of the statement timeout for a release."""
    shop.bulk_reserve(db, 150, [shop.add_product(db, stock=150)])
    sent = prepare_sent(
        db, "by_places", r"WITH rs\$locked AS", "--once", "--redis-url", "redis://127.0.0.1:1"
    )
    assert (sent["$2"], sent["$3"]) == ("2ms", "2000ms")


def test_it_waits_for_a_counter_but_shortly(db: Database, run: Run) -> None:
    """It has locked other counters meanwhile: the time for another release would be far too long."""
    prepare_explained(db, run, by_places=False)
    free, busy = shop.add_products(db, 2)
    ids = [shop.reserve(db, {product: 1}, ttl_s=-1) for product in (free, free, busy)]
    with transaction(db, lock_product(busy)):
        start = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            release_in_bulk(db, *ids, counters_ms=COUNTERS_MS, others_ms=OTHERS_MS)
        assert COUNTERS_MS <= (time.monotonic() - start) * 1000 < OTHERS_MS / 2
    assert release_in_bulk(db, *ids, counters_ms=COUNTERS_MS, others_ms=OTHERS_MS) == 3
    shop.check_stock_adds_up(db)


def test_what_stays_active_fails_it(db: Database, run: Run, tmp_path: Path) -> None:
    """Else its units would be given back again and again. A pass tries places first, and never comes here."""
    file = tmp_path / "shop.yaml"
    file.write_text(LEAVES_IT_ACTIVE, encoding="utf-8")
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(3)]
    prepare_explained(db, run, "--queues", str(file), by_places=False)
    with pytest.raises(psycopg.errors.DivisionByZero):
        release_in_bulk(db, *ids, counters_ms=COUNTERS_MS, others_ms=OTHERS_MS)
    shop.check_stock_adds_up(db)


def test_it_waits_longer_for_another_release_and_locks_no_counter_meanwhile(db: Database, run: Run) -> None:
    prepare_explained(db, run, by_places=False)
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(3)]

    def waits() -> object:
        with db.connect() as other:
            return other.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event = 'advisory'",
                (db.conn.info.backend_pid,),
            ).fetchone()

    with ThreadPoolExecutor(1) as pool:
        with transaction(db, RELEASES):
            released = pool.submit(
                release_in_bulk, db, *ids, counters_ms=COUNTERS_MS, others_ms=OTHERS_MS
            )
            wait_until(waits, 20, "it waits for the other release")
            holds(waits, 3 * COUNTERS_MS / 1000, "longer than for a counter")
            with db.connect() as checkout:
                checkout.execute(
                    "SELECT FROM inventory WHERE product_id = %s FOR UPDATE NOWAIT", (product,)
                )
        assert released.result() == 3
    shop.check_stock_adds_up(db)


def test_it_does_not_wait_long_for_a_release_that_does_not_end(db: Database, run: Run) -> None:
    prepare_explained(db, run, by_places=False)
    ids = [shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)]
    with transaction(db, RELEASES), pytest.raises(psycopg.errors.LockNotAvailable):
        release_in_bulk(db, *ids, counters_ms=OTHERS_MS, others_ms=COUNTERS_MS)
    assert shop.statuses(db)["active"] == 1
