"""The scripts of lua/, all of them: strange ids, wrong types; schedule, drop, sizes and role."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from harness.queue import ATTENTION, FAILED, FEEDER, INFLIGHT, KEPT, LEASES, PENDING, batch
from harness.scripts import CAP, KEYS, LEASE, LUA, NOW, SCRIPTS, Queue, text_of

STRANGE_IDS = [
    b"x" * 255,
    b"y" * 70_000,
    b"with\0nul",
    b"with\r\nnewlines\n",
    b"\xff\xfe\x80 not UTF-8",
    b"",
    b"-inf",
    b"LT",
    "größe €".encode(),
]


@pytest.mark.parametrize("member", STRANGE_IDS, ids=lambda m: repr(m[:12]))
def test_ids_of_any_bytes(queue: Queue, member: bytes) -> None:
    queue.schedule((NOW, member))
    queue.client.zadd(PENDING, {b"other": NOW})
    assert set(queue.claim().due) == {member, b"other"}
    assert set(queue.leases()[LEASE]) == {member, b"other"}
    assert queue.schedule((NOW, member), (NOW, b"another")) == 1, "it is claimed"
    assert queue.call("lookup", member)[1] == [str(LEASE).encode()]
    assert queue.settle(back=[(member, NOW + 1)], failed=[(b"other", NOW + 2, member)])
    queue.client.zrem(PENDING, b"another")
    assert queue.state() == ({member: NOW + 1, b"other": NOW + 2}, {}, {b"other": member})
    got = queue.claim(now=NOW + 2)
    assert got.records == {member: None, b"other": member}
    got = queue.claim(now=LEASE, lease=LEASE + 1)
    assert got.records == {member: None, b"other": member} and set(got.over) == {member, b"other"}
    assert queue.settle(forget=[member, b"other"], lease=LEASE + 1)
    assert queue.state() == ({}, {}, {})
    queue.schedule((NOW, member))
    assert queue.call("drop", member) == 1


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("script", ["claim", "settle", "schedule", "drop", "sizes"])
def test_wrong_types_change_nothing(queue: Queue, key: str, script: str) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW})
    queue.client.zadd(INFLIGHT, {"d": NOW - 1})
    queue.lease(NOW - 2, "f")
    queue.lease(LEASE, "c")
    queue.client.hset(FAILED, mapping={"a": "1", "c": "2"})
    queue.client.delete(key)
    queue.client.set(key, "a string")
    before = {k: queue.client.dump(k) for k in KEYS}
    args: dict[str, tuple[Any, ...]] = {
        "claim": (NOW, LEASE, 10),
        "settle": (LEASE, CAP, CAP, 1, 1, 0, 0, 0, 0, "a", "c", NOW),
        "schedule": (NOW, "e"),
        "drop": ("a", "c"),
        "sizes": (),
    }
    if (script, key) in {("settle", INFLIGHT), ("drop", LEASES), ("schedule", ATTENTION)}:
        return  # it has nothing to do with that one
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        queue.call(script, *args[script])
    assert {k: queue.client.dump(k) for k in KEYS} == before


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_say_what_they_do_and_compile(redis: redis_py.Redis, script: str) -> None:
    text = text_of(script)
    lines = (LUA / f"{script}.lua").read_text().splitlines()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("--"), lines))
    assert all(word in head for word in ("KEYS", "ARGV", "Returns"))
    assert redis.script_load(text) == hashlib.sha1(text.encode()).hexdigest()


@pytest.mark.parametrize("file", sorted(LUA.glob("*.lua")), ids=lambda file: file.stem)
def test_a_line_calls_once(file: Path) -> None:
    """Redis says in which line a call has failed: that has to say which call it was."""
    calls = [line.count("redis.call(") for line in file.read_text().splitlines()]
    assert not calls or max(calls) <= 1


# ---- schedule, drop, sizes ------------------------------------------------------------------------


def test_schedule_keeps_the_earlier_score(queue: Queue) -> None:
    assert queue.schedule((NOW, "a"), (NOW, "b")) == 2
    assert queue.schedule((NOW + 1, "a"), (NOW - 1, "b"), (NOW, "c")) == 2
    assert queue.pending() == {b"a": NOW, b"b": NOW - 1, b"c": NOW}
    queue.client.zadd(PENDING, {"a": "-inf", "b": "inf"})
    assert queue.schedule((NOW, "a"), (NOW, "b")) == 1
    assert queue.pending() == {b"a": float("-inf"), b"b": NOW, b"c": NOW}


def test_schedule_leaves_claimed_and_failed_ones(queue: Queue) -> None:
    queue.lease(LEASE, "claimed")
    queue.lease(NOW - 1, "ended")
    queue.client.zadd(PENDING, {"failed": NOW + 300})
    queue.client.hset(FAILED, mapping={"failed": "r", "lost": "r", "claimed": "r"})
    queue.client.zadd(PENDING, {"kept": NOW + 400})
    queue.client.hset(KEPT, mapping={"kept": "r", "gone": "r"})
    entries = [(NOW, name) for name in ("claimed", "ended", "failed", "lost", "new", "kept", "gone")]
    assert queue.schedule(*entries) == 3
    entries_now = {b"failed": NOW + 300, b"lost": NOW, b"new": NOW, b"kept": NOW + 400, b"gone": NOW}
    assert queue.pending() == entries_now
    assert queue.failed().keys() == {b"failed", b"lost", b"claimed"}
    assert queue.schedule(*entries[:3]) == 0


def test_schedule_with_claims_alone_and_with_records_alone(queue: Queue) -> None:
    queue.client.zadd(INFLIGHT, {"former": LEASE})
    assert queue.schedule((NOW, "former"), (NOW, "new")) == 1
    queue.client.zadd(LEASES, {"a stranger's": LEASE, batch("claimed", "other"): LEASE})
    assert queue.schedule((NOW, "claimed"), (NOW, "former"), (NOW, "new")) == 0
    assert queue.pending() == {b"new": NOW}
    queue.client.delete(INFLIGHT, LEASES)
    queue.client.zadd(PENDING, {"failed": NOW + 300})
    queue.client.hset(FAILED, "failed", "r")
    assert queue.schedule((NOW, "failed"), (NOW - 1, "new")) == 1
    assert queue.schedule((NOW, "new")) == 0, "the earlier one is kept"
    assert queue.pending() == {b"failed": NOW + 300, b"new": NOW - 1}
    queue.client.delete(FAILED)
    assert queue.schedule((NOW, "failed"), (NOW, "new")) == 1
    assert queue.pending() == {b"failed": NOW, b"new": NOW - 1}


@pytest.mark.parametrize("script", ["schedule", "absent"])
def test_what_is_claimed_in_a_batch(queue: Queue, script: str) -> None:
    """By the batch and by the id; a lease that has ended claims as well, until somebody takes it
    over; what strangers put there claims nothing."""

    def free(*ids: str) -> list[str]:
        if script == "absent":
            return [ids[i - 1] for i in queue.call("absent", *ids)]
        before = queue.pending()
        added = queue.schedule(*((NOW, id) for id in ids))
        entered = sorted(id.decode() for id in queue.pending() if id not in before)
        assert added == len(entered)
        queue.client.zrem(PENDING, *ids)
        return entered

    queue.client.zadd(LEASES, {b"\x93\xa1t\xa1a\xa1b": LEASE, b"\x92\xa1u\xa1c": NOW - 1, b"z": LEASE})
    assert free("a", "b", "c", "d", "t", "z") == ["d", "t", "z"]
    assert free("a", "d", "c", "e") == ["d", "e"]
    assert free("a", "b") == []
    queue.client.zadd(INFLIGHT, {"d": LEASE, "e": NOW - 1})
    assert free("a", "d", "e", "f") == ["f"]
    queue.client.delete(LEASES)
    assert free("a", "d") == ["a"]
    queue.client.delete(INFLIGHT)
    queue.client.hset(FAILED, "a", "r")
    assert free("a", "d") == (["a", "d"] if script == "schedule" else ["d"])


def test_schedule_of_what_is_claimed_and_due_as_well(queue: Queue) -> None:
    """It is looked at again anyway: nobody need know that it is claimed. Others beside it are not."""
    queue.client.zadd(LEASES, {b"\x93\xa1t\xa1a\xa1b": LEASE})
    queue.client.zadd(PENDING, {"a": NOW + 5})
    assert queue.schedule((NOW, "a"), (NOW, "b"), (NOW, "c")) == 2
    assert queue.pending() == {b"a": NOW, b"c": NOW}


def test_schedule_of_nothing_and_of_too_much(queue: Queue) -> None:
    assert queue.schedule() == 0
    assert queue.schedule(*((NOW, f"id{i}") for i in range(1000))) == 1000
    queue.client.zadd(INFLIGHT, {"x": NOW})
    queue.client.hset(FAILED, "x", "r")
    assert queue.schedule(*((NOW - 1, f"id{i}") for i in range(1000))) == 1000
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.schedule(*((NOW, f"id{i}") for i in range(1001)))


def test_drop(queue: Queue) -> None:
    """What is claimed is left to whoever has it: in Postgres there is nothing to do any more."""
    queue.client.zadd(PENDING, {"b": NOW})
    assert queue.claim().due == [b"b"]
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW, "c": NOW})
    queue.client.hset(FAILED, mapping={"a": "r", "c": "r"})
    queue.client.zadd(INFLIGHT, {"d": LEASE, "b": LEASE, "e": LEASE})
    assert queue.call("drop", "a", "b", "d", "unknown") == 4
    assert queue.state() == ({b"c": NOW}, {LEASE: [b"b"]}, {b"c": b"r"})
    assert queue.inflight() == {b"e": LEASE}
    assert queue.call("drop") == 0
    assert queue.call("drop", *range(1000)) == 0
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.call("drop", *range(1001))


def test_sizes(queue: Queue) -> None:
    assert queue.call("sizes")[2:] == [0, 0, 0, 0, 0, None]
    queue.client.zadd(PENDING, {"a": NOW + 2, "b": NOW + 1})
    queue.client.zadd(INFLIGHT, {"c": LEASE})
    queue.client.hset(FAILED, "a", "r")
    for i in range(25):
        queue.lease(LEASE + i, *(f"{i}-{j}" for j in range(i + 1)))
    seconds, microseconds, *sizes = queue.call("sizes")
    assert sizes == [2, 1 + 25 * 26 // 2, 1, 0, 0, str(NOW + 1).encode()]
    assert abs(seconds - queue.client.time()[0]) <= 10 and 0 <= microseconds < 1_000_000


# ---- role -----------------------------------------------------------------------------------------


def role(queue: Queue, holder: str, ttl_ms: int) -> list[Any]:
    return queue.call("role", holder, ttl_ms, keys=(FEEDER,))


def test_a_role_has_one_holder(queue: Queue) -> None:
    assert role(queue, "one", 60_000) == [1, 60_000, b"one"]
    held, remaining, owner = role(queue, "two", 60_000)
    assert (held, owner) == (0, b"one") and 0 < remaining <= 60_000
    assert role(queue, "one", 90_000) == [1, 90_000, b"one"]
    assert 60_000 < queue.client.pttl(FEEDER) <= 90_000
    assert role(queue, "two", 60_000)[0] == 0, "whoever asks for less does not get it"
    assert role(queue, "two", 0)[:3:2] == [0, b"one"], "only its holder gives it up"
    assert role(queue, "one", 0) == [0, 0, b""]
    assert role(queue, "one", 0) == [0, 0, b""]
    assert role(queue, "two", 1_000) == [1, 1_000, b"two"]


def test_a_role_ends_by_itself(queue: Queue) -> None:
    assert role(queue, "one", 60_000)[0] == 1
    queue.client.pexpire(FEEDER, 0)
    assert role(queue, "two", 60_000)[0] == 1


def test_a_role_without_an_end_gives_way(queue: Queue) -> None:
    queue.client.set(FEEDER, "a stranger")
    assert role(queue, "one", 60_000) == [1, 60_000, b"one"]
    assert 0 < queue.client.pttl(FEEDER) <= 60_000


def test_a_role_from_before_the_clock_was_set_back_gives_way(queue: Queue) -> None:
    assert role(queue, "one", 600_000)[0] == 1
    assert role(queue, "two", 0)[:3:2] == [0, b"one"]
    assert role(queue, "two", 60_000) == [1, 60_000, b"two"]
    assert role(queue, "one", 60_000)[0] == 0


def test_a_role_of_a_wrong_type(queue: Queue) -> None:
    queue.client.zadd(FEEDER, {"a": 1})
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        role(queue, "one", 60_000)
