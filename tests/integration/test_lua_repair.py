"""repair.lua: every word, and every guard that keeps it from what does not stand as it was seen."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness.queue import FAILED, INFLIGHT, PENDING
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


def put(queue: Queue, state: State) -> None:
    for key, score in ((PENDING, state[0]), (INFLIGHT, state[1])):
        if score is not None:
            queue.client.zadd(key, {"a": score})
    if state[2] is not None:
        queue.client.hset(FAILED, "a", state[2])


def have(queue: Queue) -> State:
    record = queue.failed().get(b"a")
    return queue.pending().get(b"a"), queue.inflight().get(b"a"), record and record.decode()


@pytest.mark.parametrize(("what", "seen", "before", "after"), REPAIRS)
def test_what_stands_as_it_was_seen_is_repaired(
    queue: Queue, what: str, seen: Any, before: State, after: State
) -> None:
    put(queue, before)
    assert queue.repair(what, "a", seen, AT)
    assert have(queue) == after


@pytest.mark.parametrize(("what", "seen", "before"), GUARDS)
def test_what_has_changed_meanwhile_is_left_alone(
    queue: Queue, what: str, seen: Any, before: State
) -> None:
    put(queue, before)
    assert not queue.repair(what, "a", seen, AT)
    assert have(queue) == before


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
