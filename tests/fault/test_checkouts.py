"""Checkouts come first: no deadlock, none held for longer than the sweeper's lock timeout."""

from __future__ import annotations

import random
import threading
import time

import psycopg
import pytest
from bed import Bed
from harness import shop
from harness.poll import wait_until, within
from harness.queue import PENDING

LOCK_TIMEOUT_S = 0.02
# What a busy machine adds: the sweeper's transaction itself, and everybody's turn on the processor.
SLACK_S = within(0.13)
# How long the load lasts.
LASTS_S = [pytest.param(4, marks=pytest.mark.short), 60]


class Till(threading.Thread):
    """Sells carts over and over, and notes how long it had to wait for each counter."""

    def __init__(self, bed: Bed, products: list[str], ordered: bool, rest_s: float) -> None:
        super().__init__(daemon=True)
        self.bed = bed
        self.products = products
        self.ordered = ordered
        self.rest_s = rest_s
        self.carts = 0
        self.waits_s: list[float] = []
        self.errors: list[str] = []
        self.stop = threading.Event()
        self.dice = random.Random(len(products) + ordered)

    def run(self) -> None:
        conn = self.bed.db.connect()
        while not self.stop.wait(self.rest_s):
            cart = self.dice.sample(self.products, min(5, len(self.products)))
            if self.ordered:
                cart.sort()
            try:
                self._sell(conn, cart)
                self.carts += 1
            except psycopg.Error as error:
                self.errors.append(f"{error.sqlstate}: {error}")
        conn.close()

    def _sell(self, conn: psycopg.Connection, cart: list[str]) -> None:
        with conn.transaction():
            for product in cart:
                asked = time.monotonic()
                conn.execute(
                    "UPDATE inventory SET available_stock = available_stock - 1,"
                    " total_stock = total_stock - 1 WHERE product_id = %s",
                    (product,),
                )
                self.waits_s.append(time.monotonic() - asked)
                time.sleep(0.001)  # the round trip of an API elsewhere


def mirror_all(bed: Bed) -> None:
    rows = bed.db.query(
        "SELECT id::text, ceil(extract(epoch FROM expires_at) * 1000)::bigint"
        " FROM inventory_reservations WHERE status = 'active'"
    )
    for first in range(0, len(rows), 5000):
        bed.redis.zadd(PENDING, dict(rows[first : first + 5000]))


def run_tills(tills: list[Till], seconds: float) -> None:
    for till in tills:
        till.start()
    time.sleep(seconds)
    for till in tills:
        till.stop.set()
    for till in tills:
        till.join()


@pytest.mark.parametrize("lasts_s", LASTS_S)
@pytest.mark.parametrize("ordered", [False, True], ids=["one-cart-any-order", "many-carts-in-order"])
def test_carts(bed: Bed, ordered: bool, lasts_s: int) -> None:
    bed.start().wait_for_record("Postgres connected")
    for product in bed.products:
        bed.db.conn.execute(
            "UPDATE inventory SET total_stock = total_stock + 1000000,"
            " available_stock = available_stock + 1000000 WHERE product_id = %s",
            (product,),
        )
    n = lasts_s * 700
    bed.stream(n, rate=700, delay_s=0.3)
    mirror_all(bed)
    tills = [
        Till(bed, bed.products, ordered, rest_s=0.002 * (1 + ordered))
        for _ in range(5 if ordered else 1)
    ]
    run_tills(tills, lasts_s)
    errors = [error for till in tills for error in till.errors]
    waits = sorted(wait for till in tills for wait in till.waits_s)
    carts = sum(till.carts for till in tills)
    late = bed.lateness()
    print(
        f"{carts} carts, a counter's wait p99 {waits[int(len(waits) * 0.99)] * 1000:.1f} ms, longest"
        f" {waits[-1] * 1000:.1f} ms; {len(late)} of {n} released, longest {late[-1]:.3f} s late"
    )
    assert not errors, errors[:3]
    assert carts > 16 * lasts_s / within(1)
    if not ordered:  # with many carts they wait for each other too
        assert waits[-1] <= LOCK_TIMEOUT_S + SLACK_S
    assert len(late) > n * 0.9
    wait_until(lambda: bed.overdue() == 0, 10, "the rest is released")
    bed.check_settled()


@pytest.mark.parametrize("lasts_s", LASTS_S)
def test_flash_sale(bed: Bed, lasts_s: int) -> None:
    """50 checkouts a second on the product of which 500 reservations a second expire."""
    hot = shop.add_product(bed.db, stock=1_000_000)
    bed.products = [hot]
    bed.start().wait_for_record("Postgres connected")
    n = (lasts_s - 1) * 500
    bed.stream(n, rate=500, delay_s=0.3)
    mirror_all(bed)
    tills = [Till(bed, [hot], True, rest_s=0.035) for _ in range(2)]
    run_tills(tills, lasts_s)
    late = bed.lateness()
    carts = sum(till.carts for till in tills)
    waits = sorted(wait for till in tills for wait in till.waits_s)
    print(
        f"{carts} checkouts, longest wait {waits[-1] * 1000:.1f} ms; {len(late)} of {n} released,"
        f" p99 {late[int(len(late) * 0.99)]:.3f} s late, longest {late[-1]:.3f} s"
    )
    assert not [error for till in tills for error in till.errors]
    assert carts > 33 * lasts_s / within(1)
    assert len(late) == n and late[-1] <= within(2.0)
    bed.check_settled()
