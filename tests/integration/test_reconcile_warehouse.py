"""--reconcile of the warehouse shop (examples/shops) beside its customers and sweepers: what is confirmed stays in
the counters until it is shipped; keys of two columns; `held` alone. No false finding, no wrong repair."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
import redis as redis_py
from harness import shops
from harness.poll import wait_until
from harness.servers import Postgres, Redis
from harness.shops import Shop
from harness.sweeper import Finished, Sweeper, run_once

SETTINGS = ("--lookahead", "3s", "--feed-interval", "400ms", "--scan-interval", "1s")
FINDINGS = ("releasedCount", "mirrorMissing", "mirrorMisplaced", "mirrorOrphaned", "leasesExpired", "stockDrifted")
KEYS = [(v, w) for v in range(1, 5) for w in range(1, 4)]


@pytest.fixture
def shop(pg_server: Postgres, redis: redis_py.Redis) -> Iterator[Shop]:
    with shops.opened("warehouse", pg_server) as one:
        one.fill(60)
        yield one


class Customers:
    """They order, confirm, cancel; what is confirmed is shipped."""

    MOVE = "UPDATE inventory_stocks SET quantity_reserved = quantity_reserved + %s WHERE (variant_id, warehouse_id) = (%s, %s)"

    def __init__(self, shop: Shop, n: int = 3) -> None:
        self.shop = shop
        self.stopping = threading.Event()
        self.steps = 0
        self.errors: list[BaseException] = []
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def _order(self, conn: psycopg.Connection, rng: random.Random) -> int:
        with conn.transaction():
            row = conn.execute("INSERT INTO orders DEFAULT VALUES RETURNING id").fetchone()
            assert row
            for key in sorted(rng.sample(KEYS, rng.randint(1, 3))):
                units = rng.randint(1, 3)
                conn.execute(self.MOVE, (units, *key))
                conn.execute(
                    "INSERT INTO inventory_reservations VALUES (%s, %s, %s, %s, 'RESERVED',"
                    " (now() + %s * interval '1 s') AT TIME ZONE 'UTC')",
                    (row[0], *key, units, rng.choice([0.2, 0.5, 1.5, 30.0])),
                )
            return int(row[0])

    def _change(self, conn: psycopg.Connection, order: int, former: str, to: str, back: bool) -> None:
        """All rows of an order, if none of them is due."""
        with conn.transaction():
            rows = conn.execute(
                "SELECT reserved_quantity, variant_id, warehouse_id, expires_at > now() AT TIME ZONE 'UTC'"
                " FROM inventory_reservations WHERE order_id = %s AND reservation_status = %s"
                " ORDER BY 2, 3 FOR UPDATE",
                (order, former),
            ).fetchall()
            if not all(row[3] in (True, None) for row in rows):
                return
            for units, variant, warehouse, _ in rows if back else []:
                conn.execute(self.MOVE, (-units, variant, warehouse))
            conn.execute(
                "UPDATE inventory_reservations SET reservation_status = %s,"
                " expires_at = CASE WHEN %s = 'CONFIRMED' THEN NULL ELSE expires_at END"
                " WHERE order_id = %s AND reservation_status = %s",
                (to, to, order, former),
            )

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        try:
            with self.shop.db.connect() as conn:
                while not self.stopping.is_set():
                    order, choice = self._order(conn, rng), rng.random()
                    if choice < 0.5:
                        self._change(conn, order, "RESERVED", "CONFIRMED", back=False)
                    elif choice < 0.7:
                        self._change(conn, order, "RESERVED", "RELEASED", back=True)
                    if choice < 0.3:
                        self._change(conn, order, "CONFIRMED", "SHIPPED", back=True)
                    self.steps += 1
                    time.sleep(0.002)
        except BaseException as error:
            self.errors.append(error)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.errors, self.errors
        assert self.steps > 100


def reconcile(shop: Shop, redis_server: Redis, *args: str) -> Finished:
    return run_once("--reconcile", *SETTINGS, *args, redis_url=redis_server.url(), env=shop.env())


def drifted(shop: Shop) -> list[tuple]:
    return shop.db.query(
        "SELECT variant_id, warehouse_id, quantity_reserved, held FROM inventory_stocks LEFT JOIN ("
        " SELECT variant_id, warehouse_id, sum(reserved_quantity) AS held FROM inventory_reservations"
        " WHERE reservation_status IN ('RESERVED', 'CONFIRMED') GROUP BY 1, 2) AS r"
        " USING (variant_id, warehouse_id) WHERE quantity_reserved <> coalesce(held, 0)"
    )


def test_no_false_finding(shop: Shop, redis_server: Redis) -> None:
    daemons = [Sweeper(*SETTINGS, redis_url=redis_server.url(), env=shop.env()) for _ in range(2)]
    customers = Customers(shop)
    released = "SELECT count(*) FROM inventory_reservations WHERE reservation_status = 'RELEASED'"
    try:
        wait_until(lambda: shop.db.value(released) > 200, 20, "the sweepers are at work")  # type: ignore[operator]
        for number in range(5):
            done = reconcile(shop, redis_server, *[("--dry-run",), ("--repair-stock",), ()][number % 3])
            record = done.record("Reconciliation completed")
            assert [record[name] for name in FINDINGS] == [0] * len(FINDINGS), done.stderr
            assert (record["stockChecked"], done.status) == (len(KEYS), 0)
    finally:
        customers.stop()
        for daemon in daemons:
            assert daemon.stop() == 0
    assert not drifted(shop)


def test_counters_are_repaired_beside_customers(shop: Shop, redis_server: Redis) -> None:
    """A right counter must not become wrong: each sum is made after the lock was had."""
    customers = Customers(shop, n=4)
    try:
        for _ in range(4):
            for key in KEYS:
                shop.db.conn.execute(Customers.MOVE, (7, *key))
            record = reconcile(shop, redis_server, "--repair-stock").record("Reconciliation completed")
            assert (record["stockDrifted"], record["stockRepaired"]) == (len(KEYS), len(KEYS))
    finally:
        customers.stop()
    assert not drifted(shop)
