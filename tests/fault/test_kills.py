"""Killed at any instruction, or stopped for longer than a lease: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from bed import Bed
from harness import shop
from harness.poll import wait_until
from harness.queue import LEASES, PENDING

LEASE_S = 1.0
# Times go through Redis alone, so that only claims and leases can bring what is released.
MIRRORED = ("--lease", "1s", "--lookahead", "off", "--scan-interval", "off")


def mirrored(bed: Bed, n: int, rate: float) -> list[str]:
    ids = bed.stream(n, rate)
    rows = bed.db.query(
        "SELECT id::text, ceil(extract(epoch FROM expires_at) * 1000)::bigint"
        " FROM inventory_reservations WHERE id = ANY (%s::uuid[])",
        (ids,),
    )
    bed.redis.zadd(PENDING, dict(rows))
    return ids


def leases(bed: Bed) -> set[tuple[bytes, float]]:
    return set(bed.redis.zrange(LEASES, 0, -1, withscores=True))


def test_two_sweepers_one_is_killed(bed: Bed) -> None:
    """Whichever it is, and wherever it is just then: the other one takes over within the lease."""
    dice = random.Random(4)
    pair = [bed.start(*MIRRORED, "--batch-size", "20") for _ in range(2)]
    for one in pair:
        one.wait_for_record("Postgres connected")
    ids = []
    for _ in range(20):
        ids += mirrored(bed, 150, rate=500)
        time.sleep(dice.uniform(0.02, 0.3))
        victim = dice.randrange(2)
        pair[victim].kill()
        bed.check_always()
        pair[victim] = bed.start(*MIRRORED, "--batch-size", "20")
        pair[victim].wait_for_record("Postgres connected")
    wait_until(lambda: len(bed.lateness()) == len(ids), 10, "everything was released", step=0.05)
    bed.check_settled()
    # The lease, and what the other needs for its next look.
    assert max(bed.lateness()) <= LEASE_S + bed.in_time(0.6)


@pytest.mark.short
def test_alone_and_killed(bed: Bed) -> None:
    """A restart has what was in flight back within the lease."""
    dice = random.Random(5)
    ids = mirrored(bed, 2500, rate=500)
    for _ in range(14):
        one = bed.start(*MIRRORED)
        one.wait_for_record("Postgres connected")
        time.sleep(dice.uniform(0.0, 0.3))
        one.kill()
        bed.check_always()
    bed.start(*MIRRORED).wait_for_record("Postgres connected")
    restarted = time.time()
    wait_until(
        lambda: len(bed.lateness(0, restarted)) + len(bed.lateness(restarted)) == len(ids),
        10,
        "everything was released",
        step=0.05,
    )
    last = bed.db.value(
        "SELECT max(extract(epoch FROM at))::float8 FROM audit WHERE expires_at < to_timestamp(%s)",
        (restarted,),
    )
    assert last - restarted <= LEASE_S + bed.in_time(0.6)  # type: ignore[operator]
    bed.check_settled()


def test_stopped_beyond_the_lease(bed: Bed) -> None:
    """With a claim in hand, in the middle of a transaction: another has released it meanwhile."""
    for turn in range(3):
        first = bed.start(*MIRRORED)
        first.wait_for_record("Postgres connected")
        ids = shop.bulk_reserve(bed.db, 400, bed.products, "clock_timestamp()")
        # A lock on one row keeps the transaction from its end for as long as we need to stop it.
        bed.redis.zadd(PENDING, dict.fromkeys(ids, 1))
        wait_until(lambda: bed.redis.zcard(LEASES) > 0, 5, "claimed", step=0.0)
        os.kill(first.pid, signal.SIGSTOP)
        held = leases(bed)
        second = bed.start(*MIRRORED)
        try:
            wait_until(
                lambda h=held: not h & leases(bed), LEASE_S + 5, "its leases have passed to the other"
            )
            # Those whose rows the one that is stopped still has locked come back after 5 s at most. In the
            # middle of sending it keeps all others from releasing until its session is ended, after 10 s.
            wait_until(lambda: bed.overdue() == 0, 10 + 5 + 15, f"the other released them ({turn})")
        finally:
            os.kill(first.pid, signal.SIGCONT)
        more = mirrored(bed, 50, rate=200)
        done = 450 * turn + len(ids) + len(more)
        wait_until(lambda n=done: len(bed.lateness()) == n, 10, "both go on")
        bed.check_settled()
        assert first.running and second.running
        first.stop()
        second.stop()
