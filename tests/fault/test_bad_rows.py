"""Rows that Postgres refuses hold up nothing else."""

from __future__ import annotations

import time

from bed import Bed, complaints
from harness import shop
from harness.poll import wait_until
from harness.queue import FAILED, failures


def drifted(bed: Bed, n: int, products: list[str]) -> list[str]:
    """Reservations that are due and whose products' counters would go below zero."""
    ids = shop.bulk_reserve(bed.db, n, products, "clock_timestamp()")
    bed.db.conn.execute(
        "UPDATE inventory SET available_stock = total_stock, reserved_stock = 0"
        " WHERE product_id = ANY (%s::uuid[])",
        (products,),
    )
    return ids


def mend(bed: Bed, products: list[str]) -> None:
    bed.db.conn.execute(
        """
        UPDATE inventory i SET reserved_stock = held, available_stock = total_stock - held
          FROM (SELECT product_id, sum(quantity) AS held FROM inventory_reservations
                 WHERE status = 'active' GROUP BY 1) r
         WHERE r.product_id = i.product_id AND i.product_id = ANY (%s::uuid[])
        """,
        (products,),
    )


def percentile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)]


def test_ten_bad_rows_beside_good_ones(bed: Bed) -> None:
    bad_products = shop.add_products(bed.db, 10, stock=100)
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    bad = drifted(bed, 10, bad_products)
    bed.redis.zadd("{reservations}:pending", dict.fromkeys(bad, 1))
    wait_until(lambda: bed.redis.hlen(FAILED) == 10, 10, "ten records of failures")
    before = len(complaints(daemon.records))
    since = time.time()
    good = bed.stream(1200, rate=200, delay_s=1.0)
    for first in range(0, len(good), 400):
        rows = bed.db.query(
            "SELECT id::text, ceil(extract(epoch FROM expires_at) * 1000)::bigint"
            " FROM inventory_reservations WHERE id = ANY (%s::uuid[])",
            (good[first : first + 400],),
        )
        bed.redis.zadd("{reservations}:pending", dict(rows))
    wait_until(lambda: len(bed.lateness(since)) == len(good), 12, "all good ones", step=0.1)
    late = bed.lateness(since)
    print(f"p50 {percentile(late, 0.5):.4f} s, p99 {percentile(late, 0.99):.4f} s")
    assert percentile(late, 0.99) < 0.1

    records = failures(bed.redis)
    assert set(records) == set(bad)
    assert all(r["sqlstate"] == "23514" and r["attempts"] >= 2 for r in records.values())
    attempts = sum(r["attempts"] for r in records.values())
    assert len(complaints(daemon.records)) <= max(attempts, before)

    mend(bed, bad_products)
    bed.check_settled(timeout=30)
