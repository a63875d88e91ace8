"""This version and 0.1.0, which leased each id by itself in inflight, over the same queue:
whichever dies and whichever comes in its place, everything is released once, none early, and what
the dead one had claimed is found by those that are there."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from bed import Bed
from harness import rights, shop
from harness.poll import wait_until, within
from harness.queue import INFLIGHT, LEASES, PENDING, expires_ms, mirror
from harness.sweeper import Sweeper, binary, former_binary, run_once

LEASE_S = 2.0
POLL_S = 0.5
# What was claimed is found by its lease, or by a poll.
FOUND_S = LEASE_S + POLL_S
SETTINGS = ("--lease", "2s", "--feed-interval", "500ms", "--lookahead", "5s", "--batch-size", "20")
VERSIONS = {"former": former_binary, "new": binary}


def start(bed: Bed, version: str) -> Sweeper:
    return bed.start(*SETTINGS, program=VERSIONS[version]())


def until_connected(one: Sweeper) -> None:
    for server in ("Redis", "Postgres"):
        one.wait_for_record(f"{server} connected")


def check_nothing_went_wrong(bed: Bed) -> None:
    errors = [r for one in bed.sweepers for r in one.records if r["level"] == "ERROR"]
    assert not errors, errors


@pytest.mark.short
@pytest.mark.parametrize("towards", ["new", "former"], ids=["upgrade", "downgrade"])
def test_each_is_killed_and_replaced_by_the_other(bed: Bed, towards: str) -> None:
    dice = random.Random(f"{towards} 1")
    versions = ["former", "new"]
    pair = [start(bed, version) for version in versions]
    for one in pair:
        one.wait_for_record("Postgres connected")
    with bed.traffic(rate=150, ttl_s=0.3):
        for turn in range(10):
            last = turn >= 8  # both are what is wanted in the end
            slot = turn % 2 if last else dice.randrange(2)
            bed.stream(60, rate=400)
            time.sleep(dice.uniform(0.0, 0.25))
            pair[slot].kill()
            bed.check_always()
            versions[slot] = towards if last else dice.choice(list(VERSIONS))
            pair[slot] = start(bed, versions[slot])
            pair[slot].wait_for_record("Postgres connected")
    assert versions == [towards] * 2
    wait_until(lambda: bed.overdue() == 0, FOUND_S + 3, "nothing is overdue", step=0.02)
    assert max(bed.lateness()) <= FOUND_S + bed.in_time(1.5)
    if towards == "former":  # it knows nothing of leases: whoever upgrades again tidies up
        start(bed, "new").wait_for_record("Redis connected")
    wait_until(
        lambda: not bed.redis.exists(PENDING, LEASES, INFLIGHT), FOUND_S + 3, "nothing is left behind"
    )
    bed.check_settled()
    check_nothing_went_wrong(bed)


@contextmanager
def stopped(one: Sweeper) -> Iterator[None]:
    os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(one.pid, signal.SIGCONT)


def backends(bed: Bed) -> set[int]:
    """The processes of Postgres that serve sweepers."""
    rows = bed.db.query(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'reservation-sweeper%'"
    )
    return {row[0] for row in rows}


def released(bed: Bed, ids: list[str]) -> int:
    return int(
        bed.db.value(  # type: ignore[call-overload]
            "SELECT count(*) FROM inventory_reservations"
            " WHERE status = 'released' AND id = ANY (%s::uuid[])",
            (ids,),
        )
    )


def left_behind(bed: Bed, one: Sweeper, others: set[int], key: str) -> list[str]:
    """One is killed with claims in its hands: Postgres stands still when it makes them, and what it
    has sent by then is never read. The other one is stopped. others: backends that are not its own."""
    first = shop.bulk_reserve(bed.db, 1, bed.products, "clock_timestamp()")
    mirror(bed.db, bed.redis, *first)
    wait_until(lambda: released(bed, first) and not bed.redis.exists(key), 10, "it is at work")
    its_backends = backends(bed) - others
    ids = shop.bulk_reserve(bed.db, 50, bed.products, "now() + interval '300 ms'")
    entries = expires_ms(bed.db, ids)
    bed.pg.pause()
    try:
        bed.redis.zadd(PENDING, entries)
        wait_until(lambda: bed.redis.exists(key), 5, "they are claimed", step=0.002)
        one.kill()
        for pid in its_backends:
            os.kill(pid, signal.SIGTERM)
    finally:
        bed.pg.resume()
    return ids


# Nothing but a lease brings back what was claimed.
ALONE = ("--lease", "2s", "--lookahead", "off")


@pytest.mark.short
def test_claims_of_the_former_version_are_taken_over(bed: Bed) -> None:
    new = bed.start(*ALONE, "--scan-interval", "off")
    until_connected(new)
    others = backends(bed)
    former = bed.start(*ALONE, "--reconcile-interval", "off", program=former_binary())
    until_connected(former)
    with stopped(new):
        ids = left_behind(bed, former, others, INFLIGHT)
        assert bed.redis.zcard(INFLIGHT) == 50
        assert not released(bed, ids)
    wait_until(lambda: released(bed, ids) == 50, LEASE_S + 2, "they are taken over", step=0.01)
    assert bed.lateness()[-50] > LEASE_S - 1, "another way than by the lease"
    wait_until(lambda: not bed.redis.exists(INFLIGHT, LEASES, PENDING), 2, "nothing is left")
    bed.check_settled()
    check_nothing_went_wrong(bed)


@pytest.mark.short
def test_claims_of_this_version_are_found_by_the_former_feed(bed: Bed) -> None:
    """Which knows nothing of leases: for it they are reservations without an entry."""
    former = start(bed, "former")
    until_connected(former)
    others = backends(bed)
    new = start(bed, "new")
    until_connected(new)
    with stopped(former):
        ids = left_behind(bed, new, others, LEASES)
        assert not released(bed, ids)
    began = time.monotonic()
    wait_until(lambda: released(bed, ids) == 50, FOUND_S + 2, "the feed finds them", step=0.01)
    assert time.monotonic() - began < within(POLL_S) + bed.in_time(2.5)
    assert bed.redis.exists(LEASES), "the former version does not touch them"
    start(bed, "new")
    wait_until(lambda: not bed.redis.exists(LEASES), FOUND_S + 3, "the next new one tidies up")
    bed.check_settled()
    check_nothing_went_wrong(bed)


def denied(bed: Bed) -> list[object]:
    return bed.redis.execute_command("ACL", "LOG")


@pytest.mark.short
def test_the_former_one_needs_fewer_rights(bed: Bed) -> None:
    """Those that docs/REDIS.md gives for its keys; an upgrade names what it needs besides, and with that
    both run."""
    url = rights.url(bed.redis_server.port)
    given = rights.former_rules()
    bed.redis.execute_command("ACL", "LOG", "RESET")
    rights.allow(bed.redis, given)
    one = bed.start(*SETTINGS, redis_url=url, program=former_binary())
    until_connected(one)
    began = time.time()
    with bed.traffic(rate=100, ttl_s=0.3):
        bed.wait_for_releases(began)
        assert not denied(bed)
        done = run_once("--check-config", dsn=bed.db.dsn, redis_url=url)
        (line,) = (x for x in done.stdout.splitlines() if x.startswith("FAIL"))
        besides = [rule for rule in rights.rules() if rule not in given]
        assert done.status == 1 and any(rights.names(right, line) for right in besides), line

        bed.redis.execute_command("ACL", "LOG", "RESET")
        rights.allow(bed.redis, rights.rules())
        new = bed.start(*SETTINGS, redis_url=url)
        until_connected(new)
        bed.wait_for_releases(time.time())
    assert not denied(bed)
    bed.check_settled()
    bed.redis.acl_deluser("sweeper")
