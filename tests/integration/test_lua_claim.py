"""claim.lua: what is due, what leases have ended, within which limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis as redis_py
from harness.queue import FAILED, INFLIGHT, PENDING
from harness.scripts import LEASE, NOW, Queue
from harness.servers import Redis


def test_claim_moves_what_is_due(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"past": NOW - 5, "now": NOW, "later": NOW + 1})
    before = queue.client.time()
    got = queue.claim()
    assert got.due == {b"past": NOW - 5, b"now": NOW} and got.over == {}
    assert got.records == {}
    assert (got.pending, got.inflight, got.failed) == (1, 2, 0)
    assert got.next == str(NOW + 1).encode()
    assert abs(got.time_us - before[0] * 1_000_000 - before[1]) < 10_000_000
    assert queue.pending() == {b"later": NOW + 1}
    assert queue.inflight() == {b"past": LEASE, b"now": LEASE}


def test_claim_of_nothing(queue: Queue) -> None:
    got = queue.claim()
    assert (got.due, got.over, got.next, got.pending, got.inflight) == ({}, {}, None, 0, 0)
    assert queue.client.dbsize() == 0


def test_claim_takes_the_earliest_first(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"id{i}": NOW - 100 + i for i in range(10)})
    got = queue.claim(limit=3)
    assert list(got.due) == [b"id0", b"id1", b"id2"]
    assert got.next == str(NOW - 97).encode() and got.pending == 7
    assert list(queue.claim(limit=100).due) == [f"id{i}".encode() for i in range(3, 10)]


def test_claim_never_exceeds_a_thousand(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"p{i}": NOW - i for i in range(1500)})
    assert len(queue.claim(limit=5000).due) == 1000
    queue.client.zadd(INFLIGHT, {f"i{i}": NOW - i for i in range(700)})
    got = queue.claim(limit=5000)
    assert (len(got.over), len(got.due)) == (700, 300)
    assert len(queue.claim(limit=5000).due) == 200


def test_leases_are_taken_over_first(queue: Queue) -> None:
    queue.client.zadd(INFLIGHT, {"ended": NOW, "older": NOW - 9, "alive": NOW + 1})
    queue.client.zadd(PENDING, {"due": NOW - 50})
    got = queue.claim(limit=2)
    assert got.over == {b"ended": NOW, b"older": NOW - 9} and got.due == {}
    assert queue.inflight() == {b"ended": LEASE, b"older": LEASE, b"alive": NOW + 1}
    got = queue.claim(limit=2)
    assert got.due == {b"due": NOW - 50}
    assert queue.claim(now=LEASE, lease=LEASE + 1).over.keys() == {b"alive", b"ended", b"older", b"due"}


def test_taken_over_and_due_is_claimed_once(queue: Queue) -> None:
    queue.client.zadd(INFLIGHT, {"both": NOW - 1, "extended": NOW - 2})
    queue.client.zadd(INFLIGHT, {"now": NOW - 1})
    queue.client.zadd(PENDING, {"both": NOW - 7, "now": NOW, "extended": NOW + 7, "due": NOW - 3})
    got = queue.claim()
    assert got.over.keys() == {b"both", b"now", b"extended"} and got.due.keys() == {b"due"}
    assert queue.pending() == {b"extended": NOW + 7}, "what is not yet due stays"


def test_taken_over_beyond_the_limit_of_due(queue: Queue) -> None:
    """A lease that ended while its id stands far behind in pending: no second claim later."""
    queue.client.zadd(INFLIGHT, {"both": NOW - 1})
    queue.client.zadd(PENDING, {"both": NOW - 1, "first": NOW - 9, "second": NOW - 8})
    got = queue.claim(limit=2)
    assert (list(got.over), list(got.due)) == ([b"both"], [b"first"])
    assert list(queue.claim(limit=2).due) == [b"second"]


def test_due_under_a_live_lease_is_claimed_anew(queue: Queue) -> None:
    queue.client.zadd(INFLIGHT, {"a": LEASE - 5})
    queue.client.zadd(PENDING, {"a": NOW})
    assert queue.claim().due == {b"a": NOW}
    assert queue.inflight() == {b"a": LEASE}
    assert queue.settle(forget=["a"], lease=LEASE - 5) == 1, "the former holder has lost it"
    assert queue.settle(forget=["a"]) == 0


def test_claim_brings_the_failed_records(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW - 2, "b": NOW - 1})
    queue.client.zadd(INFLIGHT, {"c": NOW - 1, "d": NOW})
    queue.client.hset(FAILED, mapping={"b": '{"attempts":2}', "c": "", "z": "x"})
    got = queue.claim()
    assert got.records == {b"a": None, b"b": b'{"attempts":2}', b"c": b"", b"d": None}
    assert got.failed == 3


@pytest.mark.parametrize(
    ("score", "due"),
    [("-inf", True), ("inf", False), (str(NOW - 0.5), True), (str(NOW + 0.5), False)]
    + [("4e12", False), ("-1", True), ("0.1", True), ("1e300", False), ("1e-300", True)],
)
def test_scores_of_strangers(queue: Queue, score: str, due: bool) -> None:
    queue.client.zadd(PENDING, {"a": score})
    got = queue.claim()
    assert got.due == ({b"a": float(score)} if due else {})
    assert (got.next is None) == due
    if not due:
        assert float(got.next or 0) == float(score)
    queue.client.delete(PENDING, INFLIGHT)
    queue.client.zadd(INFLIGHT, {"a": score})
    assert queue.claim().over == ({b"a": float(score)} if due else {})


def test_long_ids_are_claimed_in_bounded_answers(queue: Queue) -> None:
    ids = [bytes([65 + i]) * 3_000_000 for i in range(6)]
    for i, member in enumerate(ids):
        queue.client.zadd(PENDING, {member: NOW - 10 + i})
    queue.client.zadd(INFLIGHT, {b"short": NOW - 1})
    seen: list[bytes] = []
    for _ in range(4):
        got = queue.claim()
        assert sum(map(len, got.due)) < 10_000_000
        seen += got.due
    assert seen == ids
    assert queue.claim(now=LEASE, lease=LEASE + 1).over.keys() == {ids[0], ids[1]}


def test_a_million_pending(queue: Queue) -> None:
    for start in range(0, 1_000_000, 50_000):
        queue.client.zadd(PENDING, {f"reservation-{i}": NOW + i for i in range(start, start + 50_000)})
    got = queue.claim(limit=1000, now=NOW + 499_999)
    assert list(got.due) == [f"reservation-{i}".encode() for i in range(1000)]
    assert (got.pending, got.next) == (999_000, str(NOW + 1000).encode())
    assert queue.settle(forget=list(got.due)) == 0
    assert queue.call("sizes")[2:5] == [999_000, 0, 0]


def test_out_of_memory_still_claims_and_settles(private_redis: Callable[..., Redis]) -> None:
    """Room is what releasing makes: only mirroring is refused."""
    queue = Queue(private_redis().client())
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW, "c": NOW + 5})
    queue.client.zadd(INFLIGHT, {"d": NOW})
    queue.client.config_set("maxmemory", "1")
    with pytest.raises(redis_py.ResponseError, match="memory"):
        queue.schedule((NOW, "e"))
    assert queue.claim().due.keys() == {b"a", b"b"}
    queue.client.config_set("maxmemory", "0")
    queue.client.zadd(INFLIGHT, {"d": NOW})
    queue.client.config_set("maxmemory", "1")
    assert queue.claim().over.keys() == {b"d"}
    assert queue.settle(forget=["a"], back=[("b", NOW + 9)], failed=[("d", NOW + 8, "r")]) == 0
    assert queue.state() == ({b"c": NOW + 5, b"b": NOW + 9, b"d": NOW + 8}, {}, {b"d": b"r"})
