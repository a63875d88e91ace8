"""Scripts that Redis refuses in the middle: one that fails has changed nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py
from harness.queue import ATTENTION, FAILED, FEEDER, INFLIGHT, KEPT, LEASES, ORDER, PAUSED, PENDING, batch
from harness.scripts import CAP, KEYS, LEASE, NOW, SCRIPTS, Queue, text_of
from harness.servers import Redis

RECORD = '{"attempts":1,"error":""}'
HELD = '{"attempts":0,"error":""}'

# Arguments that make a script do all that it can, over what the fixture puts there.
ARGS: dict[str, tuple[Any, ...]] = {
    "absent": ("due", "nowhere"),
    "after": ("due", NOW - 9, 5),
    "claim": (NOW, LEASE, 10),
    "drop": ("due", "former2", "failed", "kept"),
    "keep": (CAP, "kept", NOW + 5, RECORD, "", "fresh", NOW + 6, RECORD, NOW),
    "forget": (NOW, "failed", NOW, "held", NOW, "ours"),
    "leases": ("0", 1),
    "lookup": ("due", "ours"),
    "mark": ("here",),
    "pause": ("", "", RECORD, 5000, 7, 9000),
    "paused": (),
    "repair": ("remove", "due", NOW - 9, 0, "return", "former", NOW - 1, NOW, "forget", "held", HELD, 0)
    + ("add", "nowhere", "", NOW, "unclaim", "former2", LEASE, 0, "return", "over1", NOW - 1, NOW)
    + ("unclaim", "ours", LEASE, 0),
    "retrieve": ("0", NOW, NOW + 9),
    "retry": (NOW, "failed", NOW, "kept", NOW, "ours"),
    "role": ("holder", 1000),
    "schedule": (NOW, "nowhere", NOW, "due"),
    "settle": (LEASE, CAP, CAP, 1, 1, 1, 1, 0, 2, "ours", "back", NOW + 1, "failed", NOW + 2)
    + ("new", NOW + 3, RECORD, "kept", NOW + 4, RECORD, "", "fresh", NOW + 5, RECORD, NOW),
    "sizes": (),
}
OTHER_KEYS = {
    "mark": ("{reservations}:mark", PAUSED, ORDER),
    "pause": (PAUSED, ORDER),
    "paused": (PAUSED, ORDER),
    "role": (FEEDER,),
    "after": (PENDING,),
    "leases": (LEASES,),
}


def commands_of(script: str) -> list[str]:
    return sorted(set(re.findall(r"redis\.call\('(\w+)'", text_of(script))))


CASES = [(script, command) for script in sorted(ARGS) for command in commands_of(script)]
# What only the other scripts use of lib_leases.lua.
NOT_USED = {"sizes": ("ZMSCORE",), "leases": ("ZCARD", "ZMSCORE", "ZRANGE"), "after": ("ZCARD", "ZMSCORE")}
CASES = [case for case in CASES if case[1] not in NOT_USED.get(case[0], ())]
# What the arguments above do not come to: another way through the script.
OTHER_WAYS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("role", "DEL"): ("owner", 0),
    ("after", "ZRANGEBYSCORE"): ("nowhere", NOW, 5),
}


def fill(client: redis_py.Redis) -> None:
    client.zadd(PENDING, {"due": NOW - 9, "over0": NOW - 8, "later": NOW + 60_000, "kept": NOW + 60_000})
    client.zadd(LEASES, {batch("ours", "back", "failed", "new"): LEASE})
    client.zadd(LEASES, {batch(*(f"over{i}" for i in range(12))): NOW - 1})
    client.zadd(LEASES, {"stranger": LEASE + 1})
    client.zadd(INFLIGHT, {"former": NOW - 1, "former2": LEASE})
    client.hset(FAILED, mapping={"failed": RECORD, "held": HELD, "held2": HELD})
    client.hset(KEPT, mapping={"kept": RECORD, "ours": RECORD})
    client.zadd(ATTENTION, {"kept": NOW - 9, "ours": NOW - 9})
    client.set(FEEDER, "owner", px=60_000)


def state(client: redis_py.Redis) -> dict[bytes, Any]:
    return {key: client.dump(key) for key in client.keys()}


def allow(client: redis_py.Redis, *rules: str) -> None:
    client.execute_command("ACL", "SETUSER", "limited", *rules)


@pytest.fixture
def limited(redis_server: Redis, redis: redis_py.Redis) -> Iterator[Queue]:
    """The scripts, run by a user whose rights a test may take away."""
    allow(redis, "on", "nopass", "~*", "&*", "+@all")
    client = redis_server.client(username="limited", password="")
    fill(redis)
    yield Queue(client)
    client.close()
    redis.acl_deluser("limited")


def test_every_script_is_here() -> None:
    assert set(ARGS) == set(SCRIPTS)


@pytest.mark.parametrize(("script", "command"), CASES)
def test_a_right_that_is_missing(redis: redis_py.Redis, limited: Queue, script: str, command: str) -> None:
    allow(redis, f"-{command.lower()}")
    args = OTHER_WAYS.get((script, command), ARGS[script])
    if (script, command) == ("role", "SET"):
        redis.delete(FEEDER)
    before = state(redis)
    keys = OTHER_KEYS.get(script, KEYS)
    with pytest.raises(redis_py.ResponseError, match=r"(?i)permission|can't run|no such|NOPERM"):
        limited.call(script, *args, keys=keys)
    after = state(redis)
    assert after.keys() == before.keys() and after == before


@pytest.mark.parametrize("script", sorted(ARGS))
def test_with_all_rights(limited: Queue, script: str) -> None:
    limited.call(script, *ARGS[script], keys=OTHER_KEYS.get(script, KEYS))


@pytest.mark.parametrize("script", sorted(ARGS))
def test_a_redis_out_of_memory(redis: redis_py.Redis, limited: Queue, script: str) -> None:
    """What frees memory, or needs none, goes on; what is refused has changed nothing."""
    redis.delete(FEEDER)
    before = state(redis)
    redis.config_set("maxmemory", "1")
    try:
        limited.call(script, *ARGS[script], keys=OTHER_KEYS.get(script, KEYS))
        refused = False
    except redis_py.ResponseError as error:
        assert "memory" in str(error)
        refused = True
    finally:
        redis.config_set("maxmemory", "0")
    assert refused == (script in ("keep", "mark", "pause", "retrieve", "retry", "role", "schedule"))
    if refused:
        assert state(redis) == before


def test_nothing_is_lost_whatever_is_refused(redis: redis_py.Redis, limited: Queue) -> None:
    """The claim that failed is made again, and brings all of it."""
    for command in commands_of("claim"):
        allow(redis, f"-{command.lower()}")
        with pytest.raises(redis_py.ResponseError):
            limited.claim()
        allow(redis, f"+{command.lower()}")
    got = limited.claim()
    assert got.due == [b"due"] and got.over == [*(f"over{i}".encode() for i in range(12)), b"former"]
    assert limited.settle(back=[("over0", NOW + 5)], lease=got.lease)
