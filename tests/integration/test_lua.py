"""The scripts of lua/, one by one, against a real Redis."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from harness.servers import Redis

LUA = Path(__file__).parents[2] / "lua"
PREFIX = "{reservations}:"
PENDING, INFLIGHT, FAILED = PREFIX + "pending", PREFIX + "inflight", PREFIX + "failed"
NOW = 1_763_942_400_000
LEASE = NOW + 10_000
CAP = 10_000

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


@dataclass
class Claimed:
    time_us: int
    pending: int
    inflight: int
    failed: int
    next: bytes | None
    over: dict[bytes, float]
    due: dict[bytes, float]
    records: dict[bytes, bytes | None]


def pairs(flat: list[bytes]) -> dict[bytes, float]:
    found = {flat[i]: float(flat[i + 1]) for i in range(0, len(flat), 2)}
    assert len(found) == len(flat) // 2, "an id was claimed twice"
    return found


class Queue:
    """The scripts as functions, and what the three keys hold."""

    def __init__(self, client: redis_py.Redis) -> None:
        self.client = client

    def call(self, script: str, *args: Any, keys: tuple[str, ...] = (PENDING, INFLIGHT, FAILED)) -> Any:
        return self.client.eval((LUA / f"{script}.lua").read_text(), len(keys), *keys, *args)

    def claim(self, limit: int = 500, now: int = NOW, lease: int = LEASE) -> Claimed:
        reply = self.call("claim", now, lease, limit)
        over, due, records = pairs(reply[6]), pairs(reply[7]), reply[8]
        ids = [*over, *due]
        assert len(ids) == len(reply[6] + reply[7]) // 2, "an id was claimed twice"
        assert len(records) in (0, len(ids))
        return Claimed(
            reply[0] * 1_000_000 + reply[1], *reply[2:6], over, due, dict(zip(ids, records, strict=False))
        )

    def settle(
        self,
        forget: Any = (),
        back: Any = (),
        healed: Any = (),
        failed: Any = (),
        lease: int = LEASE,
        cap: int = CAP,
    ) -> int:
        verdicts = (forget, back, healed, failed)
        args: list[Any] = [lease, cap, *(len(v) for v in verdicts), *forget]
        for entries in verdicts[1:]:
            for entry in entries:
                args.extend(entry)
        return self.call("settle", *args)

    def schedule(self, *entries: tuple[Any, Any]) -> int:
        return self.call("schedule", *(arg for entry in entries for arg in entry))

    def pending(self) -> dict[bytes, float]:
        return dict(self.client.zrange(PENDING, 0, -1, withscores=True))

    def inflight(self) -> dict[bytes, float]:
        return dict(self.client.zrange(INFLIGHT, 0, -1, withscores=True))

    def failed(self) -> dict[bytes, bytes]:
        return self.client.hgetall(FAILED)

    def state(self) -> tuple[Any, Any, Any]:
        return self.pending(), self.inflight(), self.failed()


@pytest.fixture
def queue(redis: redis_py.Redis) -> Queue:
    return Queue(redis)


# ---- claim ----------------------------------------------------------------------------------------


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
    queue.client.zadd(PENDING, {"both": NOW - 7, "extended": NOW + 7, "due": NOW - 3})
    got = queue.claim()
    assert got.over.keys() == {b"both", b"extended"} and got.due.keys() == {b"due"}
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


@pytest.mark.parametrize("member", STRANGE_IDS, ids=lambda m: repr(m[:12]))
def test_ids_of_any_bytes(queue: Queue, member: bytes) -> None:
    queue.schedule((NOW, member))
    queue.client.zadd(PENDING, {b"other": NOW})
    assert queue.claim().due.keys() == {member, b"other"}
    assert queue.settle(back=[(member, NOW + 1)], failed=[(b"other", NOW + 2, member)]) == 0
    assert queue.state() == ({member: NOW + 1, b"other": NOW + 2}, {}, {b"other": member})
    got = queue.claim(now=NOW + 2)
    assert got.records == {member: None, b"other": member}
    assert queue.settle(forget=[member, b"other"]) == 0
    assert queue.state() == ({}, {}, {})
    queue.schedule((NOW, member))
    assert queue.call("drop", member) == 1


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


@pytest.mark.parametrize("key", [PENDING, INFLIGHT, FAILED])
@pytest.mark.parametrize("script", ["claim", "settle", "schedule", "drop", "sizes"])
def test_wrong_types_change_nothing(queue: Queue, key: str, script: str) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW})
    queue.client.zadd(INFLIGHT, {"c": LEASE, "d": NOW - 1})
    queue.client.hset(FAILED, mapping={"a": "1", "c": "2"})
    queue.client.delete(key)
    queue.client.set(key, "a string")
    before = {k: queue.client.dump(k) for k in (PENDING, INFLIGHT, FAILED)}
    args: dict[str, tuple[Any, ...]] = {
        "claim": (NOW, LEASE, 10),
        "settle": (LEASE, CAP, 1, 1, 0, 0, "c", "d", NOW),
        "schedule": (NOW, "e"),
        "drop": ("a", "c"),
        "sizes": (),
    }
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        queue.call(script, *args[script])
    assert {k: queue.client.dump(k) for k in (PENDING, INFLIGHT, FAILED)} == before


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


# ---- settle ---------------------------------------------------------------------------------------


@pytest.fixture
def claimed(queue: Queue) -> Queue:
    queue.client.zadd(PENDING, {name: NOW for name in "abcdef"})
    assert len(queue.claim().due) == 6
    return queue


def test_every_verdict(claimed: Queue) -> None:
    claimed.client.hset(FAILED, mapping={name: "old" for name in "abcd"})
    lost = claimed.settle(
        forget=["a"],
        back=[("b", NOW + 1)],
        healed=[("c", NOW + 2)],
        failed=[("d", NOW + 3, "new"), ("e", NOW + 4, "first")],
    )
    assert lost == 0
    assert claimed.pending() == {b"b": NOW + 1, b"c": NOW + 2, b"d": NOW + 3, b"e": NOW + 4}
    assert claimed.inflight() == {b"f": LEASE}
    assert claimed.failed() == {b"b": b"old", b"d": b"new", b"e": b"first"}


def test_forget_leaves_an_entry_that_appeared(claimed: Queue) -> None:
    claimed.client.zadd(PENDING, {"a": NOW + 60_000})
    assert claimed.settle(forget=["a", "b"]) == 0
    assert claimed.pending() == {b"a": NOW + 60_000}
    assert claimed.inflight().keys() == {b"c", b"d", b"e", b"f"}


def test_put_back_keeps_the_earlier_score(claimed: Queue) -> None:
    claimed.client.zadd(PENDING, {"a": NOW + 5, "b": NOW + 50, "c": NOW + 5, "d": NOW + 5})
    back = [("a", NOW + 20), ("b", NOW + 20)]
    assert claimed.settle(back=back, healed=[("c", NOW + 20)], failed=[("d", NOW + 20, "r")]) == 0
    assert claimed.pending() == {b"a": NOW + 5, b"b": NOW + 20, b"c": NOW + 5, b"d": NOW + 5}


def test_a_lost_lease_settles_nothing(claimed: Queue) -> None:
    claimed.client.hset(FAILED, "a", "record")
    claimed.client.zadd(INFLIGHT, {"a": LEASE + 1, "b": LEASE + 1, "c": LEASE + 1, "d": LEASE + 1})
    before = claimed.state()
    everything = {
        "forget": ["a"],
        "back": [("b", NOW)],
        "healed": [("c", NOW)],
        "failed": [("d", NOW, "r"), ("nobody's", NOW, "r")],
    }
    assert claimed.settle(**everything) == 5
    assert claimed.settle(**everything, lease=LEASE + 2) == 5
    assert claimed.state() == before
    assert claimed.settle(forget=["a", "e"]) == 1
    assert b"e" not in claimed.inflight() and claimed.failed() == {b"a": b"record"}


def test_failed_is_capped(claimed: Queue) -> None:
    claimed.client.hset(FAILED, mapping={"x": "1", "b": "old"})
    failed = [("a", NOW + 1, "ra"), ("b", NOW + 1, "rb"), ("c", NOW + 1, "rc"), ("d", NOW + 1, "rd")]
    assert claimed.settle(failed=failed, cap=3) == 0
    assert claimed.failed() == {b"x": b"1", b"a": b"ra", b"b": b"rb"}
    assert claimed.pending() == {b"a": NOW + 1, b"b": NOW + 1}, "others are for the overdue scan"
    assert claimed.inflight().keys() == {b"e", b"f"}


def test_settle_of_nothing_and_of_too_much(queue: Queue) -> None:
    assert queue.settle() == 0
    assert queue.settle(forget=[f"id{i}" for i in range(1000)]) == 1000
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.settle(forget=[f"id{i}" for i in range(1001)])


def test_a_full_script_of_failures(queue: Queue) -> None:
    queue.schedule(*((NOW, f"id{i}") for i in range(1000)))
    assert len(queue.claim(limit=1000).due) == 1000
    assert queue.settle(failed=[(f"id{i}", NOW + i, "r") for i in range(1000)]) == 0
    assert queue.call("sizes")[2:5] == [1000, 0, 1000]
    got = queue.claim(limit=1000, now=NOW + 1000)
    assert set(got.records.values()) == {b"r"} and len(got.records) == 1000
    assert queue.settle(healed=[(f"id{i}", NOW + i) for i in range(1000)]) == 0
    assert queue.call("sizes")[2:5] == [1000, 0, 0]


# ---- schedule, drop, sizes ------------------------------------------------------------------------


def test_schedule_keeps_the_earlier_score(queue: Queue) -> None:
    assert queue.schedule((NOW, "a"), (NOW, "b")) == 2
    assert queue.schedule((NOW + 1, "a"), (NOW - 1, "b"), (NOW, "c")) == 2
    assert queue.pending() == {b"a": NOW, b"b": NOW - 1, b"c": NOW}
    queue.client.zadd(PENDING, {"a": "-inf", "b": "inf"})
    assert queue.schedule((NOW, "a"), (NOW, "b")) == 1
    assert queue.pending() == {b"a": float("-inf"), b"b": NOW, b"c": NOW}


def test_schedule_leaves_claimed_and_failed_ones(queue: Queue) -> None:
    queue.client.zadd(INFLIGHT, {"claimed": LEASE, "ended": NOW - 1})
    queue.client.zadd(PENDING, {"failed": NOW + 300})
    queue.client.hset(FAILED, mapping={"failed": "r", "lost": "r", "claimed": "r"})
    entries = [(NOW, name) for name in ("claimed", "ended", "failed", "lost", "new")]
    assert queue.schedule(*entries) == 2
    assert queue.pending() == {b"failed": NOW + 300, b"lost": NOW, b"new": NOW}
    assert queue.failed().keys() == {b"failed", b"lost", b"claimed"}
    assert queue.schedule(*entries[:3]) == 0


def test_schedule_of_nothing_and_of_too_much(queue: Queue) -> None:
    assert queue.schedule() == 0
    assert queue.schedule(*((NOW, f"id{i}") for i in range(1000))) == 1000
    queue.client.zadd(INFLIGHT, {"x": NOW})
    queue.client.hset(FAILED, "x", "r")
    assert queue.schedule(*((NOW - 1, f"id{i}") for i in range(1000))) == 1000
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.schedule(*((NOW, f"id{i}") for i in range(1001)))


def test_drop(queue: Queue) -> None:
    queue.client.zadd(PENDING, {"a": NOW, "b": NOW, "c": NOW})
    queue.client.zadd(INFLIGHT, {"d": LEASE, "b": LEASE})
    queue.client.hset(FAILED, mapping={"a": "r", "c": "r"})
    assert queue.call("drop", "a", "b", "d", "unknown") == 4
    assert queue.state() == ({b"c": NOW}, {}, {b"c": b"r"})
    assert queue.call("drop") == 0
    with pytest.raises(redis_py.ResponseError, match="too many ids"):
        queue.call("drop", *range(1001))


def test_sizes(queue: Queue) -> None:
    assert queue.call("sizes")[2:] == [0, 0, 0, None]
    queue.client.zadd(PENDING, {"a": NOW + 2, "b": NOW + 1})
    queue.client.zadd(INFLIGHT, {"c": LEASE})
    queue.client.hset(FAILED, "a", "r")
    seconds, microseconds, *sizes = queue.call("sizes")
    assert sizes == [2, 1, 1, str(NOW + 1).encode()]
    assert abs(seconds - queue.client.time()[0]) <= 10 and 0 <= microseconds < 1_000_000


# ---- role -----------------------------------------------------------------------------------------


FEEDER = PREFIX + "feeder"


def role(queue: Queue, holder: str, ttl_ms: int) -> list[Any]:
    return queue.call("role", holder, ttl_ms, keys=(FEEDER,))


def test_a_role_has_one_holder(queue: Queue) -> None:
    assert role(queue, "one", 60_000) == [1, 60_000, b"one"]
    held, remaining, owner = role(queue, "two", 60_000)
    assert (held, owner) == (0, b"one") and 0 < remaining <= 60_000
    assert role(queue, "one", 90_000) == [1, 90_000, b"one"]
    assert 60_000 < queue.client.pttl(FEEDER) <= 90_000
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


def test_a_role_of_a_wrong_type(queue: Queue) -> None:
    queue.client.zadd(FEEDER, {"a": 1})
    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        role(queue, "one", 60_000)


# ---- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda p: p.stem)
def test_scripts_say_what_they_do_and_compile(redis: redis_py.Redis, path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines()
    head = "\n".join(itertools.takewhile(lambda line: line.startswith("--"), lines))
    assert all(word in head for word in ("KEYS", "ARGV", "Returns"))
    assert redis.script_load(text) == hashlib.sha1(text.encode()).hexdigest()
