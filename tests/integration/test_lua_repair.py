"""repair.lua: every word, and every guard that keeps it from what does not stand as it was seen."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness.queue import ATTENTION, FAILED, INFLIGHT, KEPT, LEASES, PENDING, batch
from harness.scripts import LEASE, NOW, Queue

RECORD = '{"attempts":1}'
OTHER = '{"attempts":2}'
AT = NOW + 5_000

# What Redis has of the id: score, lease, record; None: nothing.
State = tuple[int | None, int | None, str | None]

# The word, what was seen, what is there, and what is there after the repair.
REPAIRS: list[tuple[str, Any, State, State]] = [
    ("add", "", (None, None, None), (AT, None, None)),
    ("move", NOW, (NOW, None, None), (AT, None, None)),
    ("move", AT + 1, (AT + 1, None, None), (AT, None, None)),
    ("remove", NOW, (NOW, None, None), (None, None, None)),
    ("remove", NOW, (NOW, None, RECORD), (None, None, RECORD)),
    ("return", LEASE, (None, LEASE, None), (AT, None, None)),
    ("return", LEASE, (None, LEASE, RECORD), (AT, None, RECORD)),
    ("return", LEASE, (AT + 1, LEASE, None), (AT, None, None)),
    ("return", LEASE, (AT - 1, LEASE, None), (AT - 1, None, None)),  # the earlier one is kept
    ("unclaim", LEASE, (None, LEASE, None), (None, None, None)),
    ("unclaim", LEASE, (None, LEASE, RECORD), (None, None, None)),
    ("unclaim", LEASE, (NOW, LEASE, None), (NOW, None, None)),
    ("forget", RECORD, (None, None, RECORD), (None, None, None)),
    ("forget", RECORD, (NOW, None, RECORD), (NOW, None, None)),
    ("retry", RECORD, (None, None, RECORD), (AT, None, RECORD)),
]

# The word, what was seen, and what is there meanwhile: nothing may change.
GUARDS: list[tuple[str, Any, State]] = [
    ("add", "", (NOW, None, None)),
    ("add", "", (None, LEASE, None)),
    ("add", "", (None, None, RECORD)),
    ("move", NOW, (NOW + 1, None, None)),  # somebody has moved it
    ("move", NOW, (NOW, LEASE, None)),  # ... or claimed it, and it was mirrored anew
    ("move", NOW, (None, None, None)),
    ("move", NOW, (None, LEASE, None)),
    ("remove", NOW, (NOW - 1, None, None)),
    ("remove", NOW, (None, None, None)),
    ("return", LEASE, (None, LEASE + 1, None)),  # taken over
    ("return", LEASE, (None, None, None)),
    ("return", LEASE, (LEASE, None, None)),
    ("unclaim", LEASE, (None, LEASE + 1, RECORD)),
    ("unclaim", LEASE, (None, None, RECORD)),
    ("unclaim", LEASE, (LEASE, None, RECORD)),
    ("forget", RECORD, (None, None, OTHER)),  # refused again
    ("forget", RECORD, (None, LEASE, RECORD)),  # claimed: its settlement decides
    ("forget", RECORD, (None, None, None)),
    ("retry", RECORD, (None, None, OTHER)),
    ("retry", RECORD, (NOW, None, RECORD)),
    ("retry", RECORD, (None, LEASE, RECORD)),
    ("retry", RECORD, (None, None, None)),
    ("nonsense", NOW, (NOW, LEASE, RECORD)),
    ("", "", (None, None, None)),
]


# Where a claim is: as version 0.1 made them, or in a batch, alone or with others.
PLACES = [(INFLIGHT, ()), (LEASES, ()), (LEASES, ("x", "y"))]
places = pytest.mark.parametrize(("key", "others"), PLACES, ids=["inflight", "batch", "batch-of-more"])


def put(queue: Queue, state: State, key: str, others: tuple[str, ...]) -> None:
    if state[0] is not None:
        queue.client.zadd(PENDING, {"a": state[0]})
    if state[1] is not None:
        queue.client.zadd(key, {batch("a", *others) if key == LEASES else "a": state[1]})
    if state[2] is not None:
        queue.client.hset(FAILED, "a", state[2])


def have(queue: Queue) -> State:
    """By the script that a reconciliation asks."""
    found = [part[0] for part in queue.call("lookup", "a")]
    record = found[2]
    return found[0] and int(found[0]), found[1] and int(found[1]), record and record.decode()


def check_others(queue: Queue, claim: int | None, others: tuple[str, ...]) -> None:
    """They stay under their lease, whatever becomes of the one."""
    ends = queue.call("lookup", *others)[1]
    assert ends == [None if claim is None else str(claim).encode()] * len(others)


@places
@pytest.mark.parametrize(("what", "seen", "before", "after"), REPAIRS)
def test_what_stands_as_it_was_seen_is_repaired(
    queue: Queue, what: str, seen: Any, before: State, after: State, key: str, others: Any
) -> None:
    put(queue, before, key, others)
    assert queue.repair(what, "a", seen, AT)
    assert have(queue) == after
    check_others(queue, before[1], others)
    assert queue.client.zcard(LEASES) == (1 if others and before[1] else 0)


@places
@pytest.mark.parametrize(("what", "seen", "before"), GUARDS)
def test_what_has_changed_meanwhile_is_left_alone(
    queue: Queue, what: str, seen: Any, before: State, key: str, others: Any
) -> None:
    put(queue, before, key, others)
    assert not queue.repair(what, "a", seen, AT)
    assert have(queue) == before
    check_others(queue, before[1], others)


def test_several_leave_several_batches(queue: Queue) -> None:
    """Each by its own lease; a batch that all have left is gone, a stranger's member is not touched."""
    ends = {batch("a", "b", "c"): NOW - 3, batch("d", "e"): NOW - 2, batch("f"): NOW - 1}
    queue.client.zadd(LEASES, ends | {b"stranger": NOW - 2, batch("c", "d"): LEASE})
    args: list[Any] = []
    for id, seen in (("a", -3), ("b", -3), ("d", -2), ("e", -2), ("f", -1)):
        args += ["return", id, NOW + seen, AT]
    assert queue.call("repair", *args) == [1, 1, 0, 1, 1]  # d is claimed once more meanwhile
    assert queue.call("lookup", *"abcdef")[1] == [
        *(None, None, str(LEASE).encode(), str(LEASE).encode()),
        *(None, None),
    ]
    left = queue.client.zrange(LEASES, 0, -1, withscores=True)
    assert left == [
        (b"\x92\x07\xa1c", NOW - 3),
        *sorted([(b"\x92\x07\xa1d", NOW - 2), (b"stranger", NOW - 2)]),
        (batch("c", "d"), LEASE),
    ]


def test_each_id_by_itself(queue: Queue) -> None:
    """The answers are in the order asked, and others' ids are not touched."""
    queue.client.zadd(PENDING, {"stale": NOW, "moved": NOW + 9, "other": NOW})
    queue.client.zadd(INFLIGHT, {"ended": NOW - 1, "gone": NOW - 2, "working": LEASE})
    queue.client.hset(FAILED, mapping={"gone": RECORD, "left": RECORD, "other": RECORD})
    args: list[Any] = ["remove", "stale", NOW, 0, "move", "moved", NOW, AT, "add", "missing", "", AT]
    args += ["return", "ended", NOW - 1, AT + 1, "unclaim", "gone", NOW - 2, 0]
    args += ["forget", "left", RECORD, 0, "return", "working", LEASE - 1, AT]
    assert queue.call("repair", *args) == [1, 0, 1, 1, 1, 1, 0]
    assert queue.pending() == {b"moved": NOW + 9, b"other": NOW, b"missing": AT, b"ended": AT + 1}
    assert queue.inflight() == {b"working": LEASE}
    assert queue.failed() == {b"other": RECORD.encode()}


def test_ids_of_any_bytes(queue: Queue) -> None:
    for member in (b"", b"\xff\0\r\n", b"LT", b"y" * 70_000):
        assert queue.repair("add", member, "", AT)
        assert queue.pending() == {member: AT}
        assert queue.repair("remove", member, AT)
        assert queue.pending() == {}


def test_repair_of_nothing_and_of_too_much(queue: Queue) -> None:
    assert queue.call("repair") == []
    most = [arg for i in range(1000) for arg in ("add", f"id{i}", "", AT)]
    assert queue.call("repair", *most) == [1] * 1000
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.call("repair", *most, "add", "one more", "", AT)
    assert queue.client.zcard(PENDING) == 1000


def test_what_is_kept(queue: Queue) -> None:
    """It is not scheduled anew; the record of one that is gone goes with its claim."""
    queue.client.hset(KEPT, mapping={"b": "r", "d": "r"})
    queue.client.zadd(ATTENTION, {"b": 1})
    queue.lease(LEASE, "b")
    assert not queue.repair("add", "d", "", NOW)
    assert not queue.repair("unclaim", "b", str(LEASE + 1))
    assert queue.kept().keys() == {b"b", b"d"} and queue.attention() == {b"b": 1}
    assert queue.repair("unclaim", "b", str(LEASE))
    assert queue.kept().keys() == {b"d"} and queue.attention() == {}
