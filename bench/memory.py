"""How much memory the sweeper needs beside a million pending reservations."""

from __future__ import annotations

import re
import time
from pathlib import Path

from bed import PENDING, Bed, settle_down, verify
from harness import shop
from harness.poll import wait_until
from runner import Figures, Measurement, Target

N, N_QUICK = 1_000_000, 100_000
SETTLED_S = 3.0


def peak_kb(pid: int) -> int:
    found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0


def million(bed: Bed, quick: bool) -> Figures:
    """The feed itself carries them from Postgres to Redis: all are due within its look-ahead."""
    n = N_QUICK if quick else N
    with bed.database() as db:
        products = shop.add_products(db, 1000, stock=n)
        shop.bulk_reserve(db, n, products, "now() + interval '1 hour' + i * interval '1 ms'")
        settle_down(db.conn)
        begin = time.perf_counter()
        with bed.sweeper(db, "--lookahead", "2h") as sweeper, bed.redis.client() as client:
            wait_until(lambda: client.zcard(PENDING) == n, 120, "the feed has mirrored all", 0.05)
            took_s = time.perf_counter() - begin
            time.sleep(SETTLED_S)
            result = {
                "resident memory, MB": sweeper.rss_kb() / 1024,
                "its peak, MB": peak_kb(sweeper.pid) / 1024,
                "time to mirror them, s": took_s,
                "sweeper, CPU s": sweeper.cpu_seconds(),
            }
            verify(db, bed.redis, 0)
    return result


MEMORY = Measurement(
    name="memory",
    title="A million pending reservations (--quick: 100,000)",
    variants={"feed": million},
    targets=[Target("its peak, MB", lambda m: m["feed"]["its peak, MB"], 16.0)],
    repeat=1,
)
