"""Redis out of reach, in all its ways: releases go on, and are exact again when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis as redis_py
from bed import Bed, Fault, complaints
from harness import shop
from harness.poll import wait_until, within
from harness.proxy import CLIENT, SERVER, Proxy
from harness.queue import PENDING
from harness.servers import Redis
from harness.sweeper import run_once

LOADS_S = 2.2
# Of the promise (both "within 2 s"), and of what a busy machine may add to "exact".
GOES_ON_S = within(2.0)
BACK_S = 2.0
EXACT_S = 0.1


@contextmanager
def down(bed: Bed) -> Iterator[None]:
    bed.redis_server.kill9()
    try:
        yield
    finally:
        bed.redis_server.start()


@contextmanager
def restarted(bed: Bed) -> Iterator[None]:
    """Away for an instant, and empty."""
    bed.redis_server.kill9()
    bed.redis_server.start()
    yield


@contextmanager
def old_snapshot(bed: Bed) -> Iterator[None]:
    """Comes back with what has been settled long since."""
    bed.redis.save()
    snapshot = bed.redis_server.dir / "dump.rdb"
    bed.wait_for_releases(time.time() + 0.5)
    bed.redis_server.kill9()
    try:
        yield
    finally:
        bed.redis_server.start()
        snapshot.unlink()


@contextmanager
def loading(bed: Bed) -> Iterator[None]:
    """Answers LOADING for about as long as the others are away."""
    server = bed.redis_server
    with bed.redis.pipeline() as pipe:
        for n in range(1000):
            pipe.set(f"ballast:{n}", "x" * 1000)
        pipe.execute()
    bed.redis.save()
    server.kill9()
    slow = {
        "key-load-delay": int(LOADS_S * 1e6 / 1000),
        "loading-process-events-interval-bytes": 1024,
    }
    server.settings.update(slow)
    refused = 0
    answers = server._answers

    def watch() -> bool:
        nonlocal refused
        try:
            with server.client() as client:
                client.ping()
        except redis_py.exceptions.BusyLoadingError:
            refused += 1
        except redis_py.RedisError:
            pass
        return answers()

    server._answers = watch  # type: ignore[method-assign]
    server.start()
    del server._answers
    assert refused > 5
    for name in slow:
        del server.settings[name]
    (server.dir / "dump.rdb").unlink()
    yield


@contextmanager
def read_only(bed: Bed) -> Iterator[None]:
    bed.redis.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        bed.redis.replicaof("NO", "ONE")


@contextmanager
def out_of_memory(bed: Bed) -> Iterator[None]:
    bed.redis.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(redis_py.ResponseError, match="OOM|maxmemory"):
            bed.redis.set("more", "x")
        yield
    finally:
        bed.redis.config_set("maxmemory", "0")


@contextmanager
def paused(bed: Bed) -> Iterator[None]:
    """Connected, and connecting still works, but nothing is answered."""
    bed.redis_server.pause()
    try:
        yield
    finally:
        bed.redis_server.resume()


@contextmanager
def wrong_password(bed: Bed) -> Iterator[None]:
    bed.redis.config_set("requirepass", "changed")
    bed.redis.client_kill_filter(_type="normal", skipme=True)
    try:
        yield
    finally:
        bed.redis.config_set("requirepass", "")


FAULTS = (
    pytest.param(down, marks=pytest.mark.short),
    *(restarted, old_snapshot, loading, read_only, paused, wrong_password),
)


def check_on_time(bed: Bed, hurt: Fault) -> None:
    during = bed.lateness(hurt.began - 0.5, hurt.ended + BACK_S)
    after = bed.lateness(hurt.ended + BACK_S)
    assert during and max(during) <= GOES_ON_S, f"during: {max(during):.3f} s late"
    assert after and max(after) <= bed.in_time(EXACT_S), f"after: {max(after):.3f} s late"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_redis_out_of_reach(bed: Bed, fault: Callable[[Bed], object]) -> None:
    daemon = bed.start()
    daemon.wait_for_record("Redis connected")
    with bed.traffic() as traffic:
        wait_until(lambda: len(bed.lateness()) > 5, 10, "releases before the fault")
        seen = len(daemon.records)
        hurt = Fault()
        with fault(bed):
            # Not only what was in the air: all through it.
            bed.wait_for_releases(hurt.began + 1.2)
            bed.check_always()
        hurt.ended = time.time()
        bed.wait_for_releases(hurt.ended + BACK_S)
    wait_until(lambda: len(bed.lateness()) == traffic.reserved, 10, "everything was released")
    bed.check_settled()

    records = daemon.records[seen:]
    degraded = [r for r in records if r.get("degraded") is True]
    back = [r for r in records if r.get("degraded") is False]
    # One for each reason; none if it was over at once.
    assert len({r["error"] for r in degraded}) == len(degraded) <= 3, complaints(records)
    assert len(back) == min(len(degraded), 1), complaints(records)
    assert degraded or fault is restarted, complaints(records)
    # And a few for what was in the air.
    assert len(complaints(records)) <= len(degraded) + 3, complaints(records)

    check_on_time(bed, hurt)


def test_out_of_memory(bed: Bed) -> None:
    """Redis is there and takes no entries: what the feed cannot mirror is released all the same."""
    daemon = bed.start("--feed-interval", "1s", "--lookahead", "5s")
    daemon.wait_for_record("Redis connected")
    with bed.traffic(ttl_s=2.5, mirrors=False) as traffic:
        wait_until(lambda: len(bed.lateness()) > 5, 10, "releases before the fault")
        seen = len(daemon.records)
        hurt = Fault()
        with out_of_memory(bed):
            # What expires then was reserved after the last entry that Redis took.
            bed.wait_for_releases(hurt.began + 4.0)
            bed.check_always()
        hurt.ended = time.time()
        bed.wait_for_releases(hurt.ended + BACK_S)
    wait_until(lambda: len(bed.lateness()) == traffic.reserved, 10, "everything was released")
    bed.check_settled()
    records = daemon.records[seen:]
    assert len([r for r in records if r.get("degraded") is True]) == 1, complaints(records)
    assert len(complaints(records)) <= 4, complaints(records)
    check_on_time(bed, hurt)


def test_down_from_the_start(bed: Bed) -> None:
    bed.redis_server.kill9()
    bed.stream(60, rate=30)
    bed.stream(40, rate=40, delay_s=6.0)
    daemon = bed.start()
    daemon.wait_for_record("Redis is out of reach")
    wait_until(lambda: bed.overdue() == 0 and len(bed.lateness()) == 60, 10, "all released")
    assert max(bed.lateness()) <= GOES_ON_S
    bed.redis_server.start()
    daemon.wait_for_record("Redis connected", 5)
    back = time.time()
    wait_until(lambda: len(bed.lateness()) == 100, 10, "the others, too")
    assert max(bed.lateness(back + 2)) <= bed.in_time(EXACT_S)
    bed.check_settled()


def test_an_answer_that_is_cut_off_anywhere(bed: Bed) -> None:
    """A claim whose answer was lost may have been made: its reservations are found all the same."""
    with Proxy(bed.redis_server.port) as proxy:
        daemon = bed.start(
            "--lease",
            "1s",
            redis_url=proxy.through(bed.redis_server.url()),
            env={"SWEEPER_LOG_LEVEL": "DEBUG"},  # each connection is a record there
        )
        daemon.wait_for_record("Redis connected")
        cuts = 0
        for after in (0, 1, 5, 40, 80, 120, 200, 300):
            connected = len(daemon.find("Redis connected"))
            trap = proxy.cut_after(after, SERVER, when=b"EVALSHA")
            ids = bed.stream(5, rate=1000, delay_s=0.05)
            bed.redis.zadd(PENDING, dict.fromkeys(ids, 1))
            if trap.sprung.wait(2.0):
                cuts += 1
                wait_until(
                    lambda before=connected: len(daemon.find("Redis connected")) > before,
                    5,
                    "a new connection",
                )
            wait_until(lambda: bed.overdue() == 0, 5, f"released after a cut at {after}")
        assert cuts >= 6
        bed.check_settled()


@pytest.mark.parametrize("senders", [(SERVER,), (CLIENT, SERVER)], ids="+".join)
def test_black_hole(bed: Bed, senders: tuple[str, ...]) -> None:
    with Proxy(bed.redis_server.port) as proxy:
        daemon = bed.start(redis_url=proxy.through(bed.redis_server.url()))
        daemon.wait_for_record("Redis connected")
        with bed.traffic():
            bed.wait_for_releases(0)
            hurt = Fault()
            proxy.black_hole(*senders)
            daemon.wait_for_record("Redis is out of reach", 5)
            bed.wait_for_releases(time.time() + 0.2)
            proxy.heal()
            hurt.ended = time.time()
            bed.wait_for_releases(hurt.ended + BACK_S)
        bed.check_settled()
        check_on_time(bed, hurt)
