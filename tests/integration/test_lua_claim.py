"""claim.lua: what is due, what leases have ended, within which limits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis as redis_py
from harness.queue import FAILED, INFLIGHT, LEASES, PENDING, batch
from harness.scripts import LEASE, NOW, Queue
from harness.servers import Redis


def names(prefix: str, n: int, start: int = 0) -> list[bytes]:
    return [f"{prefix}{i}".encode() for i in range(start, n)]


def test_claim_takes_what_is_due(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"past": NOW - 5, "now": NOW, "later": NOW + 1})
    before = queue.client.time()
    got = queue.claim()
    assert (got.due, got.over, got.records) == ([b"past", b"now"], [], {})
    assert (got.pending, got.inflight, got.failed) == (1, 2, 0)
    assert (got.lease, got.left, got.odd) == (LEASE, 0, 0)
    assert got.next == str(NOW + 1).encode()
    assert abs(got.time_us - before[0] * 1_000_000 - before[1]) < 10_000_000
    assert queue.pending() == {b"later": NOW + 1}
    assert queue.leases() == {LEASE: [b"past", b"now"]}


def test_claim_of_nothing(queue: Queue) -> None:
    got = queue.claim()
    assert (got.due, got.over, got.next, got.pending, got.inflight) == ([], [], None, 0, 0)
    assert queue.client.dbsize() == 0
    queue.client.zadd(PENDING, {"later": NOW + 1})
    assert queue.claim().due == [] and not queue.leases()


def test_claim_takes_the_earliest_first(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"id{i}": NOW - 100 + i for i in range(10)} | {"later": NOW + 1})
    got = queue.claim(limit=3)
    assert got.due == names("id", 3)
    assert (got.next, got.pending, got.left) == (str(NOW - 97).encode(), 8, 7)
    got = queue.claim(limit=7)
    assert (got.due, got.left) == (names("id", 10, 3), 0)


def test_claims_never_have_the_same_end(queue: Queue) -> None:
    """It is the token of their settlements. Whoever else has written there, too."""
    queue.client.zadd(LEASES, {"a stranger's": LEASE + 2})
    for i, lease in enumerate((LEASE, LEASE + 1, LEASE + 3)):
        queue.client.zadd(PENDING, {f"id{i}": NOW})
        got = queue.claim()
        assert (got.lease, got.due) == (lease, [f"id{i}".encode()])
        assert got.inflight is None, "others have claimed something too"
    assert queue.settle(lease=LEASE + 1)
    queue.client.zrem(LEASES, "a stranger's")
    assert queue.leases() == {LEASE: [b"id0"], LEASE + 3: [b"id2"]}


def test_claim_never_exceeds_a_thousand(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"p{i}": NOW + i / 1e3 - 2 for i in range(1500)})
    got = queue.claim(limit=5000)
    assert (len(got.due), got.left) == (1000, 500)
    queue.client.zadd(INFLIGHT, {f"i{i}": NOW - i for i in range(700)})
    got = queue.claim(limit=5000)
    assert (len(got.over), got.due, got.left) == (700, names("p", 1300, 1000), 200)
    queue.lease(NOW - 1, *names("l", 1000))
    got = queue.claim(limit=5000)
    assert (got.over, got.due, got.left) == (names("l", 1000), [], 200)
    assert queue.claim(limit=5000).due == names("p", 1500, 1300)
    assert not queue.pending() and not queue.inflight() and len(queue.leases()) == 4


def test_five_scripts_take_five_thousand(queue: Queue) -> None:
    queue.client.zadd(PENDING, {f"p{i}": NOW + i / 1e3 - 6 for i in range(5001)})
    got = [queue.claim(limit=1000) for _ in range(5)]
    assert [g.lease for g in got] == [LEASE + i for i in range(5)]
    assert [id for g in got for id in g.due] == names("p", 5000)
    assert [g.left for g in got] == [4001, 3001, 2001, 1001, 1]
    assert queue.call("sizes")[2:5] == [1, 5000, 0]
    assert all(queue.settle(lease=LEASE + i) for i in range(5)) and not queue.leases()


# ---- leases that have ended -----------------------------------------------------------------------


def test_one_batch_is_taken_over_first(queue: Queue) -> None:
    queue.lease(NOW, "second")
    queue.lease(NOW - 9, "first", "one")
    queue.lease(NOW + 1, "alive")
    queue.client.zadd(PENDING, {"due": NOW - 50})
    got = queue.claim(limit=2)
    assert (got.over, got.due, got.left) == ([b"first", b"one"], [], 1)
    got = queue.claim(limit=2)
    assert (got.over, got.due) == ([b"second"], [b"due"])
    got = queue.claim(now=NOW + 1, lease=NOW + 2)
    assert got.over == [b"alive"] and queue.leases() == {
        LEASE: [b"first", b"one"],
        LEASE + 1: [b"second", b"due"],
        NOW + 2: [b"alive"],
    }
    assert queue.claim(now=LEASE, lease=LEASE + 9).over == [b"alive"]


def test_the_next_claim_is_made_at_once_while_leases_have_ended(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"later": NOW + 7})
    for i in range(2):
        queue.lease(NOW - 2 + i, f"id{i}")
    queue.lease(NOW + 1, "alive")
    got = queue.claim()
    assert (got.over, got.next) == ([b"id0"], str(NOW).encode())
    got = queue.claim()
    assert (got.over, got.next) == ([b"id1"], str(NOW + 7).encode())


def test_claims_of_the_former_version_are_taken_over(queue: Queue) -> None:
    """Each by itself, once its own lease has ended; none is written there any more."""
    queue.client.zadd(INFLIGHT, {"ended": NOW, "older": NOW - 9, "alive": NOW + 1})
    queue.client.zadd(PENDING, {"due": NOW - 50})
    got = queue.claim(limit=2)
    assert (got.over, got.due, got.inflight) == ([b"older", b"ended"], [], None)
    assert queue.inflight() == {b"alive": NOW + 1}
    assert queue.claim(limit=2).due == [b"due"]
    queue.lease(NOW - 1, "batch")
    got = queue.claim(limit=2, now=NOW + 1)
    assert got.over == [b"batch", b"alive"] and not queue.client.exists(INFLIGHT)


def test_a_batch_beyond_the_limit_becomes_due_for_others(queue: Queue) -> None:
    queue.lease(NOW - 1, *names("id", 1000))
    queue.client.zadd(PENDING, {"id7": NOW - 3, "id8": NOW + 60_000, "due": NOW - 9})
    got = queue.claim(limit=5)
    assert (got.over, got.due, got.left) == (names("id", 5), [], 997)
    expected = dict.fromkeys(names("id", 1000, 5), NOW) | {b"id7": NOW - 3, b"due": NOW - 9}
    assert queue.pending() == expected and got.pending == 996
    assert queue.leases() == {LEASE: names("id", 5)}
    assert len(queue.claim(limit=1000).due) == 996


def test_taken_over_and_due_is_claimed_once(queue: Queue) -> None:
    queue.lease(NOW - 1, "both", "extended")
    queue.client.zadd(INFLIGHT, {"now": NOW - 1, "both": NOW - 2})
    queue.client.zadd(PENDING, {"both": NOW - 7, "now": NOW, "extended": NOW + 7, "due": NOW - 3})
    got = queue.claim()
    assert (got.over, got.due, got.pending) == ([b"both", b"extended", b"now"], [b"due"], 1)
    assert queue.pending() == {b"extended": NOW + 7}, "what is not yet due stays"
    assert not queue.inflight()


def test_taken_over_beyond_the_limit_of_due(queue: Queue) -> None:
    """A lease that ended while its id stands far behind in pending: no second claim later."""
    queue.lease(NOW - 1, "both")
    queue.client.zadd(PENDING, {"both": NOW - 1, "first": NOW - 9, "second": NOW - 8})
    got = queue.claim(limit=2)
    assert (got.over, got.due, got.left) == ([b"both"], [b"first"], 1)
    assert queue.claim(limit=2).due == [b"second"] and not queue.pending()


def test_a_batch_that_names_an_id_twice(queue: Queue) -> None:
    queue.lease(NOW - 1, "a", "b", "a")
    assert queue.claim().over == [b"a", b"b"]


def test_due_under_a_live_lease_is_claimed_too(queue: Queue) -> None:
    """An entry says that somebody should look: both may, and Postgres decides."""
    queue.lease(LEASE - 5, "a")
    queue.client.zadd(PENDING, {"a": NOW})
    assert queue.claim().due == [b"a"]
    assert queue.settle(lease=LEASE - 5) and queue.settle()
    assert queue.state() == ({}, {}, {})


# ---- what strangers write -------------------------------------------------------------------------

STRANGE = {
    "empty": b"",
    "text": b"a reservation",
    "digits": b"1",
    "garbage": b"\xff\xfe\xc1\x00" * 9,
    "a batch cut off": batch("one", "two")[:-1],
    "a batch and more": batch("one", "two") + b"\x01",
    "no ids": b"\x91\x07",
    "an empty list": b"\x90",
    "a map": b"\x82\xa1a\x01\xa1b\x02",
    "numbers": b"\x93\x01\x02\x03",
    "nothing in it": b"\x93\x07\xc0\xa1a",
    "lists": b"\x92\x07\x91\xa1a",
    "deep": b"\x92\x07" + b"\x91" * 100_000,
    "too many": batch(*names("id", 1001)),
    "very many": b"\xdd\x00\x10\x00\x00" + b"\xa1x" * 0x100000,
    "many announced": b"\xdc\xff\xff",
    "huge": b"\xdc\x00\x02" + b"\x07" * 30_000_000,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_no_batch_blocks_nobody(queue: Queue, kind: str) -> None:
    queue.client.zadd(LEASES, {STRANGE[kind]: NOW - 9, batch("over"): NOW - 1, b"alive": LEASE + 1})
    queue.client.zadd(PENDING, {"due": NOW})
    got = queue.claim()
    assert (got.odd, got.over, got.due) == (1, [], [b"due"])
    assert queue.client.zscore(LEASES, STRANGE[kind]) is None
    got = queue.claim()
    assert (got.odd, got.over) == (0, [b"over"])
    assert queue.call("sizes")[3] == 2, "what is no batch has no ids"
    assert queue.settle() and queue.settle(lease=LEASE + 2) and queue.client.zcard(LEASES) == 1


def test_what_is_no_batch_while_nothing_is_due(queue: Queue) -> None:
    queue.client.zadd(LEASES, {"a": 1, "b": 2})
    assert [queue.claim().odd for _ in range(3)] == [1, 1, 0]
    assert queue.client.dbsize() == 0


@pytest.mark.parametrize(
    ("score", "due"),
    [("-inf", True), ("inf", False), (str(NOW - 0.5), True), (str(NOW + 0.5), False)]
    + [("4e12", False), ("-1", True), ("0.1", True), ("1e300", False), ("1e-300", True)],
)
def test_scores_of_strangers(queue: Queue, score: str, due: bool) -> None:
    queue.client.zadd(PENDING, {"a": score})
    got = queue.claim()
    assert got.due == ([b"a"] if due else [])
    assert (got.next is None) == due
    if not due:
        assert float(got.next or 0) == float(score)
    queue.client.delete(PENDING, LEASES)
    queue.client.zadd(INFLIGHT, {"a": score})
    assert queue.claim().over == ([b"a"] if due else [])
    queue.client.delete(INFLIGHT, LEASES)
    queue.client.zadd(LEASES, {batch("a"): score})
    assert queue.claim().over == ([b"a"] if due else [])


def test_claim_brings_the_failed_records(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW - 2, "b": NOW - 1})
    queue.client.zadd(INFLIGHT, {"c": NOW - 1})
    queue.lease(NOW, "d")
    queue.client.hset(FAILED, mapping={"b": '{"attempts":2}', "c": "", "z": "x"})
    got = queue.claim()
    assert got.records == {b"a": None, b"b": b'{"attempts":2}', b"c": b"", b"d": None}
    assert got.failed == 3


def test_long_ids_are_claimed_in_bounded_answers(queue: Queue) -> None:
    ids = [bytes([65 + i]) * 3_000_000 for i in range(6)]
    for i, member in enumerate(ids):
        queue.client.zadd(PENDING, {member: NOW - 10 + i})
    queue.lease(NOW - 1, b"short")
    seen: list[bytes] = []
    for _ in range(4):
        got = queue.claim()
        assert sum(map(len, got.due)) < 10_000_000
        seen += got.due
    assert seen == ids and queue.claim().due == []
    got = queue.claim(now=LEASE, lease=LEASE + 100)
    assert got.over == [b"short", *ids[:2]]
    queue.client.zadd(INFLIGHT, {member: NOW - 10 + i for i, member in enumerate(ids)})
    got = queue.claim()
    assert got.over == ids[:2] and len(queue.inflight()) == 4, "nor more of what is taken over"


def test_a_million_pending(queue: Queue) -> None:
    for start in range(0, 1_000_000, 50_000):
        queue.client.zadd(PENDING, {f"reservation-{i}": NOW + i for i in range(start, start + 50_000)})
    got = queue.claim(limit=1000, now=NOW + 499_999)
    assert got.due == names("reservation-", 1000)
    assert (got.pending, got.next, got.left) == (999_000, str(NOW + 1000).encode(), 499_000)
    assert queue.settle()
    assert queue.call("sizes")[2:5] == [999_000, 0, 0]


def test_out_of_memory_still_claims_and_settles(private_redis: Callable[..., Redis]) -> None:
    """Room is what releasing makes: only mirroring is refused."""
    queue = Queue(private_redis().client())
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW, "c": NOW + 5})
    queue.client.config_set("maxmemory", "1")
    with pytest.raises(redis_py.ResponseError, match="memory"):
        queue.schedule((NOW, "e"))
    assert queue.claim().due == [b"a", b"b"]
    queue.client.config_set("maxmemory", "0")
    queue.lease(NOW, "d", "f")
    queue.client.config_set("maxmemory", "1")
    assert queue.claim(limit=1).over == [b"d"]
    assert queue.settle(back=[("b", NOW + 9)]) and queue.settle(failed=[("d", NOW + 8, "r")], lease=LEASE + 1)
    assert queue.state() == ({b"c": NOW + 5, b"b": NOW + 9, b"d": NOW + 8, b"f": NOW}, {}, {b"d": b"r"})
