"""Redis's master is another one: by Sentinels, in a Cluster, in all the ways in which that happens.
Under load: releases go on meanwhile, and are exact again within 2 s of the new master's being known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bed import Bed, Fault
from harness.clusters import Cluster
from harness.poll import wait_until, within
from harness.sentinels import Watched, role
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper

# What an API enters at a master that is none any more is found when it is a second late, by looks that are
# a second apart.
GOES_ON_S = within(3.0)
BACK_S = 2.0
EXACT_S = 0.1
KEY = "{reservations}:pending"


@pytest.fixture
def watched() -> Iterator[Watched]:
    servers = Watched()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    servers = Cluster()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@contextmanager
def bed_on(pg: Postgres, servers: Any) -> Iterator[Bed]:
    if not pg.running:  # what a failed test left behind
        pg.start()
    bed = Bed(pg, servers)
    try:
        yield bed
    finally:
        bed.close()


def check_on_time(bed: Bed, hurt: Fault) -> None:
    during = bed.lateness(hurt.began - 0.5, hurt.ended + BACK_S)
    after = bed.lateness(hurt.ended + BACK_S)
    assert during and max(during) <= GOES_ON_S, f"during: {max(during):.3f} s late"
    assert after and max(after) <= bed.in_time(EXACT_S), f"after: {max(after):.3f} s late"


@contextmanager
def under_load(bed: Bed, daemon: Sweeper) -> Iterator[Fault]:
    """The body is the fault, and sets when it ended; nothing is lost, early, twice or late."""
    daemon.wait_for_record("Redis connected")
    before = len(bed.lateness())
    with bed.traffic() as traffic:
        wait_until(lambda: len(bed.lateness()) > before + 5, 10, "releases before the fault")
        hurt = Fault()
        yield hurt
        hurt.ended = hurt.ended or time.time()
        bed.wait_for_releases(hurt.ended + BACK_S)
        bed.check_always()
    n = before + traffic.reserved
    wait_until(lambda: len(bed.lateness()) == n, 10, "everything was released")
    bed.redis.close()
    bed.redis = bed.redis_server.client(socket_timeout=10)  # the former was the former master's
    bed.check_settled()
    check_on_time(bed, hurt)


def until_another(watched: Watched, former: Redis) -> Redis:
    """The new master, as soon as a Sentinel names it."""

    def named() -> Redis | None:
        for one in watched.sentinels:
            if one.running and one.master_port() != former.port:
                return watched.by_port(one.master_port())
        return None

    return wait_until(named, 30, "the Sentinels name another master", step=0.05)


# ---- Either kind of servers ---------------------------------------------------------------------


def kill9(servers: Watched | Cluster, master: Redis) -> None:
    master.kill9()


def paused(servers: Watched | Cluster, master: Redis) -> None:
    master.pause()


# ---- Sentinels ----------------------------------------------------------------------------------


def kill9_with_a_sentinel(watched: Watched, master: Redis) -> None:
    """That which was listened to, as on one machine."""
    watched.sentinels[0].kill9()
    master.kill9()


def orderly(watched: Watched, master: Redis) -> None:
    watched.failover()


@pytest.mark.parametrize(
    "fault",
    (pytest.param(kill9, marks=pytest.mark.short), kill9_with_a_sentinel, paused, orderly),
    ids=lambda fault: fault.__name__,
)
def test_failover_by_sentinels(
    hurt_pg: Postgres, watched: Watched, fault: Callable[[Watched, Redis], None]
) -> None:
    with bed_on(hurt_pg, watched) as bed:
        daemon = bed.start()
        master = watched.master()
        with under_load(bed, daemon) as hurt:
            seen = len(daemon.records)
            fault(watched, master)
            new = until_another(watched, master)
            hurt.ended = time.time()
            found = daemon.wait_for_record("Redis connected", BACK_S, since=seen)
            assert found["node"] == f"127.0.0.1:{new.port}", daemon.tail()
            assert found["role"] == "master" and "by Sentinel" in found["found"]
            if fault is orderly:
                # Until it follows the new one it takes what an API enters there, and loses it then.
                wait_until(lambda: role(master) == "slave", 20, "the old one follows the new one")
                hurt.ended = time.time()
        # The old one comes back, and is not used again.
        if not master.running:
            master.start()
        elif fault is paused:
            master.resume()
        wait_until(lambda: role(master) == "slave", 20, "the old one follows the new one")
        with under_load(bed, daemon):
            pass
        assert daemon.find("Redis connected")[-1]["node"] == f"127.0.0.1:{new.port}"


# ---- a Cluster ----------------------------------------------------------------------------------


def until_another_node(cluster: Cluster, former: Redis) -> Redis:
    """The slot's new master, as soon as another node names it."""
    others = [node for node in cluster.nodes if node is not former]

    def named() -> Redis | None:
        for node in others:
            owner = cluster.owner(KEY, node)
            if owner is not former:
                return owner
        return None

    return wait_until(named, 30, "another node has the slot", step=0.05)


def node_orderly(cluster: Cluster, master: Redis) -> None:
    cluster.failover(cluster.replicas_of(master)[0])


@pytest.mark.parametrize(
    "fault",
    (pytest.param(kill9, marks=pytest.mark.short), paused, node_orderly),
    ids=("kill9", "paused", "orderly"),
)
def test_failover_in_a_cluster(
    hurt_pg: Postgres, cluster: Cluster, fault: Callable[[Cluster, Redis], None]
) -> None:
    with bed_on(hurt_pg, cluster) as bed:
        daemon = bed.start()
        master = cluster.owner(KEY)
        with under_load(bed, daemon) as hurt:
            seen = len(daemon.records)
            fault(cluster, master)
            new = until_another_node(cluster, master)
            hurt.ended = time.time()
            found = daemon.wait_for_record("Redis connected", BACK_S, since=seen)
            assert found["node"] == f"127.0.0.1:{new.port}", daemon.tail()
        if not master.running:
            master.start()
        elif fault is paused:
            master.resume()
        wait_until(lambda: role(master) == "slave", 20, "the old one follows the new one")
        with under_load(bed, daemon):
            pass
        assert daemon.find("Redis connected")[-1]["node"] == f"127.0.0.1:{new.port}"


def test_a_slot_moves(hurt_pg: Postgres, cluster: Cluster) -> None:
    """Its keys one by one, under load: no script can run while they are in two places."""
    with bed_on(hurt_pg, cluster) as bed:
        daemon = bed.start()
        source = cluster.owner(KEY)
        to = next(node for node in cluster.masters() if node is not source)
        with under_load(bed, daemon) as hurt:
            seen = len(daemon.records)
            cluster.begin_move(KEY, to)
            cluster.move_keys(KEY, source, to, most=1)
            daemon.wait_for_record("Redis refuses what the sweeper asks of it", 5, since=seen)
            bed.wait_for_releases(time.time() + 0.5)
            cluster.move_keys(KEY, source, to)
            cluster.end_move(KEY, to)
            hurt.ended = time.time()
            found = daemon.wait_for_record("Redis connected", BACK_S, since=seen)
            assert found["node"] == f"127.0.0.1:{to.port}", daemon.tail()
        daemon.wait_for_record("Redis is back", 5, since=seen)


def test_a_lost_majority(hurt_pg: Postgres, cluster: Cluster) -> None:
    """The queue's own master goes on running, and serves nothing: CLUSTERDOWN."""
    with bed_on(hurt_pg, cluster) as bed:
        daemon = bed.start()
        master = cluster.owner(KEY)
        others = [node for node in cluster.nodes if node is not master]
        with under_load(bed, daemon) as hurt:
            seen = len(daemon.records)
            for node in others:
                node.pause()
            refused = daemon.wait_for_record("Redis refuses", 10, since=seen)
            assert "CLUSTERDOWN" in refused["error"]
            bed.wait_for_releases(time.time() + 1)
            for node in others:
                node.resume()
            wait_until(lambda: cluster.whole(), 30, "the Cluster is whole", step=0.05)
            hurt.ended = time.time()
            daemon.wait_for_record("Redis is back", BACK_S, since=seen)
