"""What one Redis can bear: claims and settlements alone, without Postgres and without a sweeper.

A claim of so many ids, all of which are released: that is the whole of what a sweeper asks of Redis
for them, but for their entries. Redis has one thread for it, so its processor time is the limit.
"""

from __future__ import annotations

import uuid
from functools import partial

import redis as redis_py
from bed import PENDING, Bed
from harness.scripts import CAP, KEYS, text_of
from measure import spent
from runner import Figures, Measurement

NOW, LEASE = 1_763_942_400_000, 1_763_942_500_000
IDS, IDS_QUICK = 200_000, 20_000
IDS_ALONE = 20_000  # of claims that are small, which take longer


def enter(client: redis_py.Redis, n: int) -> None:
    """As the feed does: a thousand at a time, in the order of their expiry."""
    ids = [str(uuid.UUID(int=i * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)) for i in range(n)]
    for at in range(0, n, 1000):
        client.zadd(PENDING, {ids[i]: NOW - n + i for i in range(at, min(at + 1000, n))}, lt=True, ch=True)


def script_us(client: redis_py.Redis) -> float:
    return float(client.info("commandstats").get("cmdstat_evalsha", {}).get("usec", 0))


def ceiling(size: int, bed: Bed, quick: bool) -> Figures:
    n = IDS_QUICK if quick else IDS if size >= 100 else IDS_ALONE
    batches = n // size
    with bed.redis.client() as client:
        client.flushall()
        claim, settle = client.script_load(text_of("claim")), client.script_load(text_of("settle"))
        start = bed.cpu_s()
        enter(client, n)
        entered = spent(start, bed.cpu_s())
        client.config_resetstat()
        start = bed.cpu_s()
        leases = [client.evalsha(claim, len(KEYS), *KEYS, NOW, LEASE + i, size)[6] for i in range(batches)]
        claimed, blocked_us = spent(start, bed.cpu_s()), script_us(client)
        start = bed.cpu_s()
        for lease in leases:
            assert client.evalsha(settle, len(KEYS), *KEYS, lease, CAP, 0, 0, 0, 0, 0) == 1
        settled, settled_us = spent(start, bed.cpu_s()), script_us(client) - blocked_us
        assert not client.exists(*KEYS)
        client.flushall()
    used_us = {
        what: 1e6 * used["Redis, CPU s"] / n
        for what, used in (("entered", entered), ("claimed", claimed), ("settled", settled))
    }
    return {
        "claim and settlement, µs an id": used_us["claimed"] + used_us["settled"],
        "ids a second of one core": 1e6 / (used_us["claimed"] + used_us["settled"]),
        "a claim's script, µs": blocked_us / batches,
        "a settlement's script, µs": settled_us / batches,
        "an entry, µs": used_us["entered"],
    }


CEILING = Measurement(
    name="ceiling",
    title="What one Redis can bear: claims of so many ids and their settlements, without Postgres",
    variants={f"claims of {size}": partial(ceiling, size) for size in (1, 5, 100, 500, 1000)},
)
