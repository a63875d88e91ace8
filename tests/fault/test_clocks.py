"""Three clocks that do not agree, or are set while everything runs: Postgres's decides, nothing is
early, and nothing is later than with clocks that agree."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import pytest
from bed import Bed
from clocks import Clock
from harness.poll import until_ready, wait_until
from harness.queue import FEEDER, mirror
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper, run_once
from harness.web import scrape

UNCHANGED_S = 0.005
EXACT_S = 0.5  # the latest of them, on a busy machine; a clock that is misjudged costs seconds
KNOWN_S = 4.0  # until an offset is on view: asked with each look of the feed, every second here
APART = "clock and this host's are apart"
AGREE = "clock and this host's agree again"
SERVERS = ("postgres", "redis")
OWNERS = ("host", *SERVERS)


@dataclass
class Clocks:
    """A bed on which each has a clock of its own."""

    bed: Bed
    clocks: dict[str, Clock]

    def start(self) -> Sweeper:
        daemon = self.bed.start(
            "--feed-interval", "1s", env=self.clocks["host"].env(), http=True
        )
        until_ready(daemon)
        return daemon

    def lateness(self) -> list[float]:
        """Of reservations that come due one after the other, mirrored as by an API."""
        known = self.reserved()
        ids = self.bed.stream(80, rate=80, delay_s=0.3)
        mirror(self.bed.db, self.bed.redis, *ids)
        return self.lateness_but_for(known, len(ids))

    def reserved(self) -> list[str]:
        return [row[0] for row in self.bed.db.query("SELECT id::text FROM inventory_reservations")]

    def lateness_but_for(self, known: list[str], n: int) -> list[float]:
        """Waits for so many releases of others than those known. By id: a time may come twice."""

        def others() -> list[float]:
            rows = self.bed.db.query(
                "SELECT extract(epoch FROM at - expires_at)::float8 FROM audit"
                " WHERE sweeper AND id <> ALL (%s::uuid[]) ORDER BY 1",
                (known,),
            )
            return [row[0] for row in rows]

        late = wait_until(
            lambda: found if len(found := others()) >= n else None, 10, f"{n} releases", step=0.1
        )
        assert late[-1] <= self.bed.in_time(EXACT_S), f"{late[-1]:.3f} s late"
        return late


def on_view(daemon: Sweeper) -> dict[str, float]:
    """What /metrics says of both clocks."""
    found = scrape(daemon)
    names = {server: f'clock_offset_seconds{{server="{server}"}}' for server in ("postgres", "redis")}
    return {server: found[name] for server, name in names.items() if name in found}


def expected(owner: str, offset_s: float) -> dict[str, float]:
    """The servers' clocks against the host's, when the owner's is off."""
    if owner == "host":
        return dict.fromkeys(SERVERS, -offset_s)
    return {server: offset_s if server == owner else 0.0 for server in SERVERS}


def close(seen: dict[str, float], wanted: dict[str, float]) -> bool:
    return set(seen) == set(wanted) and all(abs(seen[s] - wanted[s]) < 0.3 for s in wanted)


def check_unchanged(clocks: Clocks, usual: float, what: str) -> None:
    """Releases are as late as usual. A clock that matters makes every measurement late, the machine's
    other work one or the other."""
    late = [median(clocks.lateness())]
    while len(late) < 4 and late[-1] > usual + UNCHANGED_S:
        late.append(median(clocks.lateness()))
    print(f"{what}: late by {late} s, {usual} s without")
    assert late[-1] <= usual + UNCHANGED_S


def servers_of(daemon: Sweeper, message: str) -> list[str]:
    return sorted(str(r["server"]) for r in daemon.find(message))


def apart(owner: str) -> list[str]:
    return sorted(SERVERS if owner == "host" else [owner])


@pytest.fixture(scope="module")
def owned() -> Iterator[tuple[Postgres, Redis, dict[str, Clock]]]:
    """Servers that go by clocks of their own."""
    clocks = {owner: Clock(owner) for owner in OWNERS}
    pg, redis = Postgres(fsync=False), Redis()
    pg.env = clocks["postgres"].env()
    redis.env = clocks["redis"].env()
    pg.start()
    redis.start()
    yield pg, redis, clocks
    pg.close()
    redis.close()


@pytest.fixture
def clocks(owned: tuple[Postgres, Redis, dict[str, Clock]]) -> Iterator[Clocks]:
    pg, redis, by_owner = owned
    for clock in by_owner.values():
        clock.set(0)
    bed = Bed(pg, redis)
    yield Clocks(bed, by_owner)
    bed.close()


@pytest.mark.parametrize("offset_s", [5, -5, 600, -600])
@pytest.mark.parametrize("owner", OWNERS)
def test_apart_from_the_start(clocks: Clocks, owner: str, offset_s: int) -> None:
    bed = clocks.bed
    daemon = clocks.start()
    usual = median(clocks.lateness())
    assert close(on_view(daemon), expected("host", 0))
    assert not servers_of(daemon, APART)
    assert daemon.stop() == 0

    clocks.clocks[owner].set(offset_s)
    daemon = clocks.start()
    check_unchanged(clocks, usual, f"{owner} {offset_s:+} s")
    wanted = expected(owner, offset_s)
    wait_until(lambda: close(on_view(daemon), wanted), KNOWN_S, f"{wanted} in /metrics")
    wait_until(lambda: servers_of(daemon, APART) == apart(owner), KNOWN_S, "a record of it")
    shown = run_once(
        "--status",
        dsn=bed.db.dsn,
        redis_url=bed.redis_server.url(),
        env=clocks.clocks["host"].env(),
    )
    status = json.loads(shown.stdout)
    assert close({s: status[s]["clockOffsetSeconds"] for s in SERVERS}, wanted)
    bed.check_settled()
    assert servers_of(daemon, APART) == apart(owner), "once"
    assert not servers_of(daemon, AGREE)


@pytest.mark.parametrize(
    "owner", ["host", pytest.param("postgres", marks=pytest.mark.short), "redis"]
)
def test_set_while_running(clocks: Clocks, owner: str) -> None:
    """From one wrong time to the next, with nothing to do just then; in the end the right one."""
    bed = clocks.bed
    daemon = clocks.start()
    usual = median(clocks.lateness())
    for offset_s in (5, -5, 600, -600, 0):
        clocks.clocks[owner].set(offset_s)
        wanted = expected(owner, offset_s)
        # Nothing is released meanwhile: the feed asks.
        wait_until(lambda w=wanted: close(on_view(daemon), w), KNOWN_S, f"{wanted} in /metrics")
        check_unchanged(clocks, usual, f"{owner} {offset_s:+} s")
        bed.check_always()
    bed.check_settled()
    wait_until(lambda: servers_of(daemon, AGREE) == apart(owner), KNOWN_S, "that it is over")
    assert servers_of(daemon, APART) == apart(owner), "once, from the first step to the last"


def test_the_feeder_dies_while_redis_is_set_back(clocks: Clocks) -> None:
    """Its role ends by Redis's clock, ten minutes later than it was meant to: another takes it."""
    bed = clocks.bed
    settings = ("--feed-interval", "1s", "--lookahead", "5s")
    clocks.clocks["redis"].set(600)
    first = bed.start(*settings)
    holder = wait_until(lambda: bed.redis.get(FEEDER), 10, "it feeds")
    second = bed.start(*settings)
    second.wait_for_record("Redis connected")
    os.kill(first.pid, signal.SIGSTOP)
    clocks.clocks["redis"].set(0)
    assert bed.redis.pttl(FEEDER) > 500_000
    first.kill()
    wait_until(lambda: bed.redis.get(FEEDER) not in (None, holder), 10, "the other feeds")
    with bed.traffic(mirrors=False, ttl_s=3.0):
        late = clocks.lateness_but_for(clocks.reserved(), 25)
    bed.check_settled()
    assert late[-1] <= bed.in_time(EXACT_S)


@pytest.mark.parametrize("owner", OWNERS)
def test_set_under_load(clocks: Clocks, owner: str) -> None:
    """In the middle of whatever is being done just then."""
    bed = clocks.bed
    clocks.start()
    with bed.traffic():
        for offset_s in (5, 0, 600, 0):
            clocks.lateness_but_for(clocks.reserved(), 5)
            clocks.clocks[owner].set(offset_s)
            # What was reserved before it lives longer or shorter by the step, as it should: also what
            # is being reserved just then, which is the next one at most.
            n = len(clocks.reserved()) + 2
            wait_until(lambda n=n: len(clocks.reserved()) >= n, 5, "reserved after it")
            clocks.lateness_but_for(clocks.reserved(), 25)
    wait_until(lambda: bed.overdue() == 0, 5, "all released")
    bed.check_settled()
