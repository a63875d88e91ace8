"""The sweeper's keys in Redis, and what an API beside it writes there."""

from __future__ import annotations

import json
from typing import Any

import redis as redis_py

from .database import Database
from .poll import wait_until

PENDING = "{reservations}:pending"
LEASES = "{reservations}:leases"
INFLIGHT = "{reservations}:inflight"
FAILED = "{reservations}:failed"
KEPT = "{reservations}:kept"
ATTENTION = "{reservations}:attention"
FEEDER = "{reservations}:feeder"
PAUSED = "{reservations}:paused"
ORDER = "{reservations}:order"


def expires_ms(db: Database, ids: list[str]) -> dict[str, int]:
    """When each reservation is due, in milliseconds, rounded up: the latest of its active rows."""
    rows = db.query(
        "SELECT id::text, ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
        " FROM inventory_reservations WHERE id::text = ANY(%s) AND status = 'active' GROUP BY id",
        (ids,),
    )
    return dict(rows)


def mirror(db: Database, redis: redis_py.Redis, *ids: str) -> None:
    """What an API does after its transaction, which a sweeper may have been faster than."""
    entries = expires_ms(db, list(ids))
    if entries:
        redis.zadd(PENDING, entries)


def pending(redis: redis_py.Redis) -> dict[str, float]:
    return {id.decode(): at for id, at in redis.zrange(PENDING, 0, -1, withscores=True)}


def claimed(redis: redis_py.Redis) -> list[str]:
    """The ids that sweepers have claimed."""
    return [id.decode() for member in redis.zrange(LEASES, 0, -1) for id in ids_of(member)]


def is_empty(redis: redis_py.Redis) -> bool:
    return not redis.exists(PENDING, LEASES, INFLIGHT, FAILED, KEPT, ATTENTION)


def failures(redis: redis_py.Redis) -> dict[str, dict[str, Any]]:
    """The records of the reservations that Postgres refused."""
    return {id.decode(): json.loads(text) for id, text in redis.hgetall(FAILED).items()}


def script_calls(redis: redis_py.Redis) -> int:
    """How many scripts have run since CONFIG RESETSTAT: how busy the sweepers are."""
    stats = redis.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


def until_probed(redis: redis_py.Redis) -> None:
    """Waits until a sweeper that has just been started has tried all that it asks of Redis (the last
    of it is the only DEL), and has what Redis is asked counted from then on."""
    wait_until(lambda: "cmdstat_del" in redis.info("commandstats"), 20, "the probe is over", 0.005)
    redis.config_resetstat()


def batch(*ids: str | bytes, token: int = 7) -> bytes:
    """A member of leases, as a claim makes it; the token may be any."""
    packed = b"\xdc" + (len(ids) + 1).to_bytes(2, "big") + bytes([token])
    for id in ids:
        text = id.encode() if isinstance(id, str) else id
        packed += b"\xdb" + len(text).to_bytes(4, "big") + text
    return packed


def ids_of(member: bytes) -> list[bytes]:
    """The ids of a batch that a claim has made."""
    at, ids = 0, []

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(member[at - size : at], "big")

    kind = number(1)
    n = kind & 0x0F if kind & 0xF0 == 0x90 else number(2)
    assert kind & 0xF0 == 0x90 or kind == 0xDC
    assert number(1) == 0xCF and number(8) > 0, "the token"
    for _ in range(n - 1):
        kind = number(1)
        size = kind & 0x1F if kind & 0xE0 == 0xA0 else number({0xD9: 1, 0xDA: 2, 0xDB: 4}[kind])
        ids.append(member[at : at + size])
        at += size
    assert at == len(member)
    return ids
