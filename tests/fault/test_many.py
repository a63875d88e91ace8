"""Several sweepers on one queue: the work is shared, nothing goes wrong, and it does not take
longer."""

from __future__ import annotations

import time

import pytest
from bed import Bed, complaints
from harness import shop
from harness.poll import until_ready, wait_until
from harness.queue import PENDING
from harness.sweeper import Sweeper
from harness.web import metric

BACKLOG = 20_000


def has_looked(daemon: Sweeper) -> bool:
    return metric(daemon, "feed_last_success_timestamp_seconds") > 0


def drain(bed: Bed, n_sweepers: int) -> float:
    """Seconds that so many sweepers need for the backlog."""
    fleet = [bed.start("--lookahead", "off", http=True) for _ in range(n_sweepers)]
    for one in fleet:
        until_ready(one)
        wait_until(lambda o=one: has_looked(o), 10, "its first look is over")
    before = shop.count_status(bed.db, "released")
    ids = shop.bulk_reserve(bed.db, BACKLOG, bed.products, "clock_timestamp()")
    for first in range(0, BACKLOG, 5000):
        bed.redis.zadd(PENDING, dict.fromkeys(ids[first : first + 5000], 1))
    began = time.monotonic()
    wait_until(lambda: bed.overdue() == 0, 30, "the backlog is gone")
    took = time.monotonic() - began
    bed.check_settled()
    shares = []
    for one in fleet:
        assert one.stop() == 0
        shares.append(one.find("Stopped")[0]["releasedTotal"])
        assert not complaints(one.records), complaints(one.records)
    assert sum(shares) == BACKLOG
    assert shop.count_status(bed.db, "released") == before + BACKLOG
    assert all(share > 0 for share in shares), f"shares: {shares}"
    return took


@pytest.mark.parametrize("n", [pytest.param(2, marks=pytest.mark.short), 4, 8])
def test_as_quick_as_one(bed: Bed, n: int) -> None:
    alone = drain(bed, 1)
    together = drain(bed, n)
    print(f"{BACKLOG} reservations: one sweeper {alone:.2f} s, {n} {together:.2f} s")
    # They share a machine's cores with the servers here: slack for that, none for getting stuck.
    assert together <= alone * 1.5 + 0.3, f"alone {alone:.2f} s, together {together:.2f} s"
