"""settle.lua: every verdict, and leases that were lost."""

from __future__ import annotations

import pytest
import redis as redis_py
from harness.queue import ATTENTION, FAILED, KEPT, LEASES, PENDING
from harness.scripts import LEASE, NOW, Queue


@pytest.fixture
def claimed(queue: Queue) -> Queue:
    queue.client.zadd(PENDING, {name: NOW for name in "abcdef"})
    assert len(queue.claim().due) == 6
    return queue


def test_every_verdict(claimed: Queue) -> None:
    """What is not named is forgotten: it goes with its batch."""
    claimed.client.hset(FAILED, mapping={name: "old" for name in "abcd"})
    assert claimed.settle(
        forget=["a"],
        back=[("b", NOW + 1)],
        healed=[("c", NOW + 2)],
        failed=[("d", NOW + 3, "new"), ("e", NOW + 4, "first")],
    )
    assert claimed.pending() == {b"b": NOW + 1, b"c": NOW + 2, b"d": NOW + 3, b"e": NOW + 4}
    assert claimed.leases() == {}
    assert claimed.failed() == {b"b": b"old", b"d": b"new", b"e": b"first"}


def test_a_batch_of_which_nothing_is_named(claimed: Queue) -> None:
    claimed.client.zadd(PENDING, {"g": NOW})
    assert claimed.claim(lease=LEASE + 5).due == [b"g"]
    assert claimed.settle()
    assert claimed.state() == ({}, {LEASE + 5: [b"g"]}, {}), "another batch is not touched"
    assert not claimed.settle(), "it is settled once"


def test_forget_leaves_an_entry_that_appeared(claimed: Queue) -> None:
    claimed.client.zadd(PENDING, {"a": NOW + 60_000})
    assert claimed.settle(forget=["a", "b"])
    assert claimed.state() == ({b"a": NOW + 60_000}, {}, {})


def test_put_back_keeps_the_earlier_score(claimed: Queue) -> None:
    claimed.client.zadd(PENDING, {"a": NOW + 5, "b": NOW + 50, "c": NOW + 5, "d": NOW + 5})
    back = [("a", NOW + 20), ("b", NOW + 20)]
    assert claimed.settle(back=back, healed=[("c", NOW + 20)], failed=[("d", NOW + 20, "r")])
    assert claimed.pending() == {b"a": NOW + 5, b"b": NOW + 20, b"c": NOW + 5, b"d": NOW + 5}


def test_a_lost_lease_settles_nothing(claimed: Queue) -> None:
    """Taken over by another, which has it under a lease of its own."""
    claimed.client.hset(FAILED, "a", "record")
    assert len(claimed.claim(now=LEASE, lease=LEASE + 1).over) == 6
    before = claimed.state()
    everything = {
        "forget": ["a"],
        "back": [("b", NOW)],
        "healed": [("c", NOW)],
        "failed": [("d", NOW, "r"), ("nobody's", NOW, "r")],
    }
    assert not claimed.settle(**everything)
    assert not claimed.settle(**everything, lease=LEASE + 2)
    assert not claimed.settle()
    assert claimed.state() == before
    assert claimed.settle(**everything, lease=LEASE + 1)
    assert claimed.leases() == {}


def test_failed_is_capped(claimed: Queue) -> None:
    claimed.client.hset(FAILED, mapping={"x": "1", "b": "old"})
    failed = [("a", NOW + 1, "ra"), ("b", NOW + 1, "rb"), ("c", NOW + 1, "rc"), ("d", NOW + 1, "rd")]
    assert claimed.settle(failed=failed, cap=3)
    assert claimed.failed() == {b"x": b"1", b"a": b"ra", b"b": b"rb"}
    assert claimed.pending() == {b"a": NOW + 1, b"b": NOW + 1}, "others are for the scan"
    assert claimed.leases() == {}


def test_refused_ones_find_room_beyond_deferred_ones(queue: Queue) -> None:
    queue.client.hset(FAILED, mapping={f"there{i}": "r" for i in range(18)})
    queue.schedule(*((NOW, f"id{i}") for i in range(10)))
    assert [queue.claim(limit=4, lease=LEASE + i).lease for i in range(3)] == [LEASE, LEASE + 1, LEASE + 2]
    deferred = [(f"id{i}", NOW + 1, "d") for i in range(3)]
    assert queue.settle(failed=[("id9", NOW + 1, "f")], deferred=deferred, cap=20)
    assert queue.failed().keys() >= {b"id9", b"id0"} and len(queue.failed()) == 20
    assert queue.pending() == {b"id9": NOW + 1, b"id0": NOW + 1}, "others are for the scan"
    refused = [(f"id{i}", NOW + 1, "f") for i in range(3, 6)]
    assert queue.settle(failed=refused, cap=20, lease=LEASE + 1)
    assert queue.failed().keys() >= {b"id3", b"id4"} and len(queue.failed()) == 22
    assert queue.claim(now=NOW + 1).records.keys() >= {b"id0"}
    assert queue.settle(deferred=[("id0", NOW + 5, "again")], cap=20)
    assert queue.failed()[b"id0"] == b"again" and len(queue.failed()) == 22


def test_the_last_of_the_refused_ones_finds_that_room_too(claimed: Queue) -> None:
    claimed.client.hset(FAILED, mapping={f"there{i}": "r" for i in range(20)})
    failed, deferred = [("a", NOW + 1, "f"), ("b", NOW + 1, "f")], [("c", NOW + 1, "d")]
    assert claimed.settle(failed=failed, deferred=deferred, cap=20)
    assert claimed.failed().keys() >= {b"a", b"b"} and len(claimed.failed()) == 22
    assert claimed.pending().keys() == {b"a", b"b"}


def test_settle_of_nothing_and_of_too_much(queue: Queue) -> None:
    assert not queue.settle()
    assert not queue.settle(forget=[f"id{i}" for i in range(1000)])
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.settle(forget=[f"id{i}" for i in range(1001)])


def test_a_full_script_of_failures(queue: Queue) -> None:
    queue.schedule(*((NOW, f"id{i}") for i in range(1000)))
    assert len(queue.claim(limit=1000).due) == 1000
    assert queue.settle(failed=[(f"id{i}", NOW + i, "r") for i in range(1000)])
    assert queue.call("sizes")[2:5] == [1000, 0, 1000]
    got = queue.claim(limit=1000, now=NOW + 1000)
    assert set(got.records.values()) == {b"r"} and len(got.records) == 1000
    assert queue.settle(healed=[(f"id{i}", NOW + i) for i in range(1000)])
    assert queue.call("sizes")[2:5] == [1000, 0, 0]


@pytest.mark.parametrize("ids", [1, 14, 15, 16, 31, 255, 256, 1000])
def test_batches_of_every_size(queue: Queue, ids: int) -> None:
    """Their number is read from a header, of which there are two kinds."""
    queue.client.zadd(PENDING, {f"id{i}": NOW for i in range(ids)})
    assert len(queue.claim(limit=1000).due) == ids
    assert queue.call("sizes")[2:5] == [0, ids, 0]
    assert len(queue.claim(limit=1000, now=LEASE, lease=LEASE + 1).over) == ids
    assert queue.settle(lease=LEASE + 1) and not queue.client.exists(LEASES)


# ---- What is kept ----------------------------------------------------------------------------------------


def test_kept(claimed: Queue) -> None:
    """Put back, with a record; it is refused no more. Of some it is noted that they want attention."""
    claimed.client.hset(FAILED, mapping={"a": "old", "b": "old", "f": "old"})
    claimed.client.hset(KEPT, mapping={"a": "old", "c": "old", "d": "old", "e": "old"})
    claimed.client.zadd(ATTENTION, {"a": 1, "c": 1, "d": 1, "e": 1})
    kept = [("a", NOW + 1, "ra", ""), ("b", NOW + 2, "rb", NOW - 7)]
    assert claimed.settle(forget=["c"], healed=[("d", NOW + 3)], back=[("e", NOW + 4)], kept=kept)
    assert claimed.pending() == {b"a": NOW + 1, b"b": NOW + 2, b"d": NOW + 3, b"e": NOW + 4}
    assert claimed.kept() == {b"a": b"ra", b"b": b"rb", b"e": b"old"}
    assert claimed.attention() == {b"b": NOW - 7, b"e": 1}
    assert claimed.failed() == {b"f": b"old"} and claimed.leases() == {}


def test_kept_is_capped(claimed: Queue) -> None:
    """Past the most it is looked at again without a record."""
    claimed.client.hset(KEPT, "x", "1")
    claimed.client.hset(KEPT, "b", "old")
    kept = [(name, NOW + 1, name, NOW) for name in "abcd"]
    assert claimed.settle(kept=kept, cap=3)
    assert claimed.kept() == {b"x": b"1", b"a": b"a", b"b": b"b"}
    assert claimed.attention().keys() == {b"a", b"b"}
    assert claimed.pending() == {name.encode(): NOW + 1 for name in "abcd"}


def test_kept_under_a_lost_lease(claimed: Queue) -> None:
    claimed.claim(now=LEASE, lease=LEASE + 1)
    before = claimed.state()
    assert not claimed.settle(kept=[("a", NOW, "r", NOW)])
    assert (claimed.state(), claimed.kept(), claimed.attention()) == (before, {}, {})


def test_a_claim_brings_what_is_kept(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW})
    queue.client.hset(KEPT, mapping={"b": "rb", "x": "r"})
    queue.client.zadd(ATTENTION, {"x": NOW})
    got = queue.claim()
    assert got.keeps == {b"a": None, b"b": b"rb"} and (got.kept, got.attention) == (2, 1)
    assert queue.call("sizes")[5:7] == [2, 1]


def test_keep_records_without_a_claim(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW + 50})
    entries = ("a", NOW + 9, "ra", "", "b", NOW + 9, "rb", NOW - 1, "c", NOW + 9, "rc", "")
    assert queue.call("keep", 10, *entries) == 2
    assert queue.pending() == {b"a": NOW, b"b": NOW + 9, b"c": NOW + 9}
    assert queue.kept() == {b"a": b"ra", b"b": b"rb", b"c": b"rc"}
    assert queue.attention() == {b"b": NOW - 1}
    assert queue.call("keep", 10, "b", NOW, "again", "") == 1
    assert queue.kept()[b"b"] == b"again" and queue.attention() == {}
    assert queue.call("drop", "a", "c") == 2
    assert queue.kept() == {b"b": b"again"}
    queue.client.zadd(ATTENTION, {"b": NOW})
    assert queue.call("drop", "b") == 1 and queue.attention() == {} == queue.kept()
