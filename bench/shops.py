"""Backlogs of tables of other shapes, those of examples/shops, each by its own queues file; and
several queues in one daemon.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bed import Bed, active_due
from data import Data
from harness import shops
from harness.database import Database
from harness.poll import wait_until
from harness.shop import check_stock_adds_up
from harness.sweeper import Sweeper
from measure import cpu_s, spent
from runner import Figures, Measurement, Variant

N, N_QUICK = 12_000, 4_000
HALF, HALF_QUICK = 50_000, 10_000
# The tables of sql/schema.sql, said in a file.
QUEUE = """
queue_{number}:
  table: inventory_reservations
  quantity: quantity
  active: |
    status = 'active'
  released: |
    status = 'released', updated_at = now()
  stock:
    table: inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
    set: |
      updated_at = now()
  database: DB{number}
"""
# What is in hand at the start is meant to be released.
ALL = ("--yes",)


def timed(bed: Bed, env: dict[str, str], n: int, left: Callable[[], int]) -> Figures:
    """From the first look until nothing is left; then the daemon is stopped."""
    used_s = bed.cpu_s()
    begin = time.perf_counter()
    sweeper = Sweeper(*ALL, redis_url=bed.redis.url(), env=env)
    try:
        sweeper.wait_for_record("Redis connected")
        wait_until(lambda: left() == 0, 300, "the backlog is drained", step=0.05)
        took_s = time.perf_counter() - begin
        used_s = spent(used_s, bed.cpu_s())
        own_s = cpu_s(sweeper.pid)
        assert sweeper.stop() == 0, sweeper.tail()
    finally:
        if sweeper.running:
            sweeper.kill()
    return {
        "from start to empty, s": took_s,
        "a second": n / took_s,
        **used_s,
        "releasing program, CPU s": own_s,
    }


def shop_drain(name: str) -> Variant:
    def drain(bed: Bed, quick: bool) -> Figures:
        with bed.redis.client() as client:
            client.flushall()
        with shops.opened(name, bed.pg) as shop:
            shop.fill(N_QUICK if quick else N, soon=0)
            shop.db.conn.execute("VACUUM ANALYZE")
            shop.db.conn.execute("CHECKPOINT")
            wanted, n = shop.released(), shop.left()
            figures = timed(bed, shop.env(), n, shop.left)
            found = shops.differences(shop.books(), wanted)
            assert not found, found
            shop.check()
        return figures

    return drain


def queues_drain(queues: int) -> Variant:
    """So many queues of as many rows each, each with a database of its own."""

    def drain(bed: Bed, quick: bool) -> Figures:
        each = HALF_QUICK if quick else HALF
        with contextlib.ExitStack() as stack:
            dbs = [stack.enter_context(bed.fresh(Data(each))) for _ in range(queues)]
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            file = Path(folder) / "queues.yaml"
            file.write_text("".join(QUEUE.format(number=i) for i in range(queues)))
            env = {f"DB{i}_DATABASE_URL": db.dsn for i, db in enumerate(dbs)}
            written = wal_bytes(dbs[0])
            figures = timed(
                bed,
                {"SWEEPER_QUEUES_FILE": os.fspath(file), **env},
                queues * each,
                lambda: sum(active_due(db) for db in dbs),
            )
            figures["WAL, bytes a release"] = (wal_bytes(dbs[0]) - written) / (queues * each)
            for db in dbs:
                right(db, each)
        return figures

    return drain


def wal_bytes(db: Database) -> float:
    """Of the whole server, so far."""
    return float(str(db.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")))


def right(db: Database, n: int) -> None:
    check_stock_adds_up(db)
    released = db.value("SELECT count(*) FROM inventory_reservations WHERE status = 'released'")
    assert released == n, f"{released} released, not {n}"


SHOPS = Measurement(
    name="drain-shops",
    title="12,000 stale in each queue of examples/shops (--quick: 4,000)",
    variants={name: shop_drain(name) for name in shops.NAMES},
)
QUEUES = Measurement(
    name="queues",
    title="50,000 stale a queue, the tables of sql/schema.sql, each queue in its own database (--quick: 10,000)",
    variants={
        f"{n} queue{'s' if n > 1 else ''}": queues_drain(n) for n in (1, 2, 4)
    },
)
