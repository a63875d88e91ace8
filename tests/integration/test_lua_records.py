"""retry.lua and forget.lua: what an operator does about records."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness.queue import ATTENTION, FAILED, INFLIGHT, KEPT, PENDING
from harness.scripts import KEYS, LEASE, NOW, Queue

LATER = NOW + 300_000


@pytest.fixture
def filled(queue: Queue) -> Queue:
    """Refused, kept, claimed with a record, with neither entry nor claim, and one without any record."""
    queue.schedule((NOW, "claimed"))
    assert queue.claim().due == [b"claimed"]
    queue.client.zadd(PENDING, {"refused": LATER, "kept": LATER, "plain": LATER, "earlier": NOW - 9})
    queue.client.zadd(INFLIGHT, {"former": LEASE})
    queue.client.hset(FAILED, mapping=dict.fromkeys(("refused", "claimed", "former", "lost", "earlier"), "r"))
    queue.client.hset(KEPT, mapping={"kept": "k"})
    queue.client.zadd(ATTENTION, {"kept": NOW - 9})
    return queue


IDS = ("refused", "kept", "plain", "earlier", "claimed", "former", "lost", "nowhere")


def all_of(at: int = NOW) -> list[Any]:
    return [arg for id in IDS for arg in (at, id)]


def test_a_retry_is_due_at_once_and_keeps_its_records(filled: Queue) -> None:
    failed, kept, attention, leases = filled.failed(), filled.kept(), filled.attention(), filled.leases()
    assert filled.call("retry", *all_of()) == [4, 2]
    assert filled.pending() == {
        b"refused": NOW,
        b"kept": NOW,
        b"lost": NOW,
        b"earlier": NOW - 9,
        b"plain": LATER,
    }
    assert (filled.failed(), filled.kept(), filled.attention()) == (failed, kept, attention)
    assert filled.leases() == leases and filled.inflight() == {b"former": LEASE}
    # Claimed, and an entry beside it: that one is looked at.
    filled.client.zadd(PENDING, {"claimed": LATER})
    assert filled.call("retry", NOW, "claimed") == [1, 0]
    assert filled.pending()[b"claimed"] == NOW


def test_what_is_forgotten_has_no_record_and_is_due_at_once(filled: Queue) -> None:
    kept, attention, leases = filled.kept(), filled.attention(), filled.leases()
    assert filled.call("forget", *all_of()) == 5
    assert filled.pending() == {
        b"refused": NOW,
        b"lost": NOW,
        b"earlier": NOW - 9,
        b"kept": LATER,
        b"plain": LATER,
    }
    assert filled.failed() == {}
    assert (filled.kept(), filled.attention()) == (kept, attention)
    assert filled.leases() == leases and filled.inflight() == {b"former": LEASE}
    assert filled.call("forget", *all_of()) == 0


@pytest.mark.parametrize(("script", "nothing"), [("retry", [0, 0]), ("forget", 0)])
def test_of_nothing_and_of_too_much(filled: Queue, script: str, nothing: Any) -> None:
    before = filled.state()
    assert filled.call(script) == nothing
    unknown = [arg for i in range(1000) for arg in (NOW, f"unknown-{i}")]
    assert filled.call(script, *unknown) == nothing
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        filled.call(script, *unknown, NOW, "one more")
    assert filled.state() == before


@pytest.mark.parametrize("script", ["retry", "forget"])
def test_a_whole_script_of_records(queue: Queue, script: str) -> None:
    queue.client.hset(FAILED, mapping={f"id-{i}": "r" for i in range(1000)})
    args = [arg for i in range(1000) for arg in (NOW + i, f"id-{i}")]
    assert queue.call(script, *args) in ([1000, 0], 1000)
    assert queue.pending() == {f"id-{i}".encode(): NOW + i for i in range(1000)}
    assert len(queue.failed()) == (1000 if script == "retry" else 0)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("script", ["retry", "forget"])
def test_a_wrong_type_changes_nothing(filled: Queue, script: str, key: str) -> None:
    if key == ATTENTION or (script, key) == ("forget", KEPT):
        return  # it has nothing to do with that one
    filled.client.delete(key)
    filled.client.set(key, "a string")
    before = {k: filled.client.dump(k) for k in KEYS}
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        filled.call(script, *all_of())
    assert {k: filled.client.dump(k) for k in KEYS} == before
