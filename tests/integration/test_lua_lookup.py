"""absent.lua, lookup.lua, after.lua and mark.lua: what a reconciliation and the feed ask."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness.poll import wait_until
from harness.queue import FAILED, INFLIGHT, KEPT, ORDER, PAUSED, PENDING
from harness.scripts import LEASE, NOW, Queue

MARK = "{reservations}:mark"


def test_absent_is_what_is_in_none_of_the_four(queue: Queue) -> None:
    ids = ["a", "b", "c", "d", "e", "f"]
    assert queue.call("absent", *ids) == [1, 2, 3, 4, 5, 6]
    queue.client.hset(KEPT, "f", "")
    assert queue.call("absent", *ids) == [1, 2, 3, 4, 5]
    queue.client.zadd(PENDING, {"b": NOW})
    assert queue.call("absent", *ids) == [1, 3, 4, 5]
    queue.client.zadd(INFLIGHT, {"c": LEASE})
    assert queue.call("absent", *ids) == [1, 4, 5]
    queue.client.hset(FAILED, "d", "")
    assert queue.call("absent", *ids) == [1, 5]
    queue.client.delete(INFLIGHT)
    assert queue.call("absent", *ids) == [1, 3, 5]
    queue.client.delete(PENDING)
    assert queue.call("absent", *ids) == [1, 2, 3, 5]


def test_lookup_says_what_there_is_of_each(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "c": NOW + 0.5})
    queue.client.zadd(INFLIGHT, {"b": LEASE, "c": "inf"})
    queue.client.hset(FAILED, mapping={"a": "record", "b": ""})
    queue.client.hset(KEPT, mapping={"a": "kept"})
    now, lease = str(NOW).encode(), str(LEASE).encode()
    assert queue.call("lookup", "c", "a", "nowhere", "b") == [
        [f"{NOW}.5".encode(), now, None, None],
        [b"inf", None, None, lease],
        [None, b"record", None, b""],
        [None, b"kept", None, None],
    ]


@pytest.mark.parametrize(("script", "nothing"), [("absent", []), ("lookup", [[], [], [], []])])
def test_of_nothing_and_of_too_much(queue: Queue, script: str, nothing: list[Any]) -> None:
    before = queue.state()
    assert queue.call(script) == nothing
    for _ in range(2):
        queue.call(script, *range(1000))
        with pytest.raises(redis_py.ResponseError, match="too many ids"):
            queue.call(script, *range(1001))
        queue.client.zadd(INFLIGHT, {"x": NOW})
        queue.client.hset(FAILED, "x", "r")
        queue.client.hset(KEPT, "x", "r")
    queue.client.delete(INFLIGHT, FAILED, KEPT)
    assert queue.state() == before


def after(queue: Queue, member: Any, score: Any, limit: int = 1000) -> list[bytes]:
    reply = queue.call("after", member, score, limit, keys=(PENDING,))
    assert all(float(score) == queue.client.zscore(PENDING, m) for m, score in zip(*[iter(reply)] * 2))
    return reply[::2]


def test_after_goes_on_behind_an_entry(queue: Queue) -> None:
    queue.client.zadd(PENDING, dict.fromkeys("abcd", NOW) | {"e": NOW + 1, "early": NOW - 1})
    assert after(queue, "b", NOW) == [b"c", b"d", b"e"]
    assert after(queue, "b", NOW, 1) == [b"c"]
    assert after(queue, "b", NOW, 2) == [b"c", b"d"]
    assert after(queue, "e", NOW + 1) == []
    assert after(queue, "early", NOW - 1, 2) == [b"a", b"b"]


def test_after_an_entry_that_is_gone_or_has_moved(queue: Queue) -> None:
    """From the first one of its score on: some are met again, none is left out."""
    queue.client.zadd(PENDING, dict.fromkeys("acd", NOW) | {"b": NOW - 5})
    assert after(queue, "gone", NOW) == [b"a", b"c", b"d"]
    assert after(queue, "b", NOW) == [b"a", b"c", b"d"]
    assert after(queue, "b", NOW, 2) == [b"a", b"c"]
    assert after(queue, "gone", NOW + 1) == []
    queue.client.zadd(PENDING, {"b": NOW + 5})
    assert after(queue, "b", NOW) == [b"a", b"c", b"d", b"b"]


def test_after_brings_a_thousand_at_most(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"id{i:04}": NOW for i in range(1500)})
    assert after(queue, "id0000", NOW, 5000) == [f"id{i:04}".encode() for i in range(1, 1001)]
    assert after(queue, "gone", NOW, 5000) == [f"id{i:04}".encode() for i in range(1000)]


def test_mark_is_set_once(queue: Queue) -> None:
    keys = (MARK, PAUSED, ORDER)
    assert queue.call("mark", "first", keys=keys) == [None, None, None]
    assert queue.call("mark", "second", keys=keys) == [b"first", None, None]
    assert queue.client.get(MARK) == b"first"
    assert queue.client.pttl(MARK) == -1
    queue.client.flushall()
    queue.client.mset({PAUSED: "a pause", ORDER: "7"})
    assert queue.call("mark", "third", keys=keys) == [None, b"a pause", b"7"]


def test_a_mark_without_a_name_gets_one(queue: Queue) -> None:
    """As version 0.1 has left it: nothing was lost."""
    queue.client.set(MARK, "1")
    keys = (MARK, PAUSED, ORDER)
    assert queue.call("mark", "1", keys=keys)[0] == b"1"
    assert queue.call("mark", "a name", keys=keys)[0] == b"1"
    assert queue.call("mark", "another", keys=keys)[0] == b"a name"


def test_an_order_is_given_once(queue: Queue) -> None:
    """Only if what was seen stands there still; a resume takes the pause away."""
    keys = (PAUSED, ORDER)
    assert queue.call("paused", keys=keys) == [None, None]
    assert queue.call("pause", "", "", "one", 60_000, 5, 90_000, keys=keys) == 1
    assert queue.call("paused", keys=keys) == [b"one", b"5"]
    assert 0 < queue.client.pttl(PAUSED) <= 60_000 < queue.client.pttl(ORDER) <= 90_000
    for seen in (("", ""), ("one", ""), ("", "5"), ("another", "5"), ("one", "6")):
        assert queue.call("pause", *seen, "two", 60_000, 6, 90_000, keys=keys) == 0
    assert queue.call("pause", "one", "5", "", 60_000, 6, 90_000, keys=keys) == 1
    wait_until(lambda: not queue.client.exists(PAUSED))
    assert queue.call("paused", keys=keys) == [None, b"6"]


def test_what_is_kept_and_has_no_entry_is_retrieved(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW + 9})
    queue.client.hset(KEPT, mapping={"a": "r", "b": "r", "c": "r", "d": "r"})
    queue.lease(LEASE, "c")
    queue.client.zadd(INFLIGHT, {"d": LEASE})
    assert queue.call("retrieve", "0", NOW, NOW + 9) == [b"0", [], []]
    assert queue.pending() == {b"a": NOW + 9, b"b": NOW} and len(queue.kept()) == 4
    queue.client.hset(KEPT, mapping={f"{i:070}": "r" for i in range(1500)})
    cursor, steps = b"0", 0
    while steps == 0 or cursor != b"0":
        cursor = queue.call("retrieve", cursor, NOW + 1, NOW + 9)[0]
        steps += 1
    assert steps > 1 and len(queue.pending()) == 1502


def test_what_is_kept_and_has_too_late_an_entry_is_retrieved(queue: Queue) -> None:
    """But for what was extended, and what has been refused since."""
    queue.client.zadd(PENDING, {id: NOW + 10 for id in "abcdef"} | {"g": NOW + 9})
    due, ahead = f'{{"dueAt":{NOW}}}', f'{{"dueAt":{NOW + 1}}}'
    records = {"a": due, "b": ahead, "c": "", "d": '{"dueAt":"x"}', "e": due, "f": "[7]", "g": due}
    queue.client.hset(KEPT, mapping=records)
    queue.client.hset(FAILED, "e", "r")
    assert queue.call("retrieve", "0", NOW, NOW + 9) == [b"0", [], []]
    assert {id for id, at in queue.pending().items() if at == NOW} == {b"a", b"c", b"d", b"f"}
    assert queue.pending()[b"g"] == NOW + 9 and len(queue.kept()) == 7
