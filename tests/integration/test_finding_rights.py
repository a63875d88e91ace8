"""The rights that finding Redis needs: of its own user in a Cluster and behind Sentinels, and of the
Sentinels' user. docs/REDIS.md names them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from harness import rights, shop
from harness.clusters import Cluster
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.queue import PENDING
from harness.rights import PASSWORD, names
from harness.sentinels import SERVICE, Watched
from harness.sweeper import Run, Start, Sweeper

DAEMON = ("--feed-interval", "1s", "--lookahead", "5s", "--max-sleep", "200ms")


def of(who: str) -> list[str]:
    """What the row of docs/REDIS.md says that this one needs besides."""
    text = (rights.DOCS / "REDIS.md").read_text()
    (row,) = (x for x in text.splitlines() if x.startswith(f"| {who}"))
    return re.findall(r"`([+&][^`]+)`", row.replace("\\|", "|"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    servers = Cluster(masters=3, replicas=0)
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    servers = Watched(replicas=1, sentinels=1)
    servers.start()
    yield servers
    servers.close()


def check_in_use(db: Database, daemon: Sweeper) -> None:
    until_ready(daemon)
    daemon.wait_for_record("Redis connected")
    id = shop.reserve(db, {shop.add_product(db): 1}, 1.0)
    released = "SELECT status = 'released' FROM inventory_reservations WHERE id = %s"
    wait_until(lambda: db.value(released, (id,)), 10, "it is released")
    assert not [r for r in daemon.records if r.get("degraded")]
    assert '"degraded":false' in daemon.http("/readyz")[1]


def test_of_a_cluster(db: Database, run: Run, sweeper: Start, cluster: Cluster) -> None:
    """Begun at a node that has not the slot."""
    for node in cluster.nodes:
        with node.client() as client:
            rights.allow(client, [*rights.rules(), *of("a Cluster's")])
    elsewhere = next(node for node in cluster.nodes if node is not cluster.owner(PENDING))
    url = f"redis+cluster://sweeper:{PASSWORD}@127.0.0.1:{elsewhere.port}"
    done = run("--check-config", redis_url=url)
    assert done.status == 0, done.stdout
    check_in_use(db, sweeper(*DAEMON, redis_url=url, http=True))


def test_who_may_not_ask_is_led(db: Database, run: Run, sweeper: Start, cluster: Cluster) -> None:
    """Without +cluster|slots: by MOVED, of whichever node is asked first."""
    for node in cluster.nodes:
        with node.client() as client:
            rights.allow(client, rights.rules())
    for node in cluster.nodes:
        url = f"redis+cluster://sweeper:{PASSWORD}@127.0.0.1:{node.port}"
        done = run("--check-config", redis_url=url)
        assert done.status == 0, done.stdout
        assert "ok    Redis: rights, memory, types of keys" in done.stdout
        (line,) = (x for x in done.stdout.splitlines() if "found for slot" in x)
        assert names("+cluster|slots", line), line
    check_in_use(db, sweeper(*DAEMON, redis_url=url, http=True))


def sentinel_url(watched: Watched) -> str:
    host = f"127.0.0.1:{watched.sentinels[0].port}"
    own = f"sentinel_username=sweeper&sentinel_password={PASSWORD}"
    return f"redis+sentinel://sweeper:{PASSWORD}@{host}/{SERVICE}/0?{own}"


def allow(watched: Watched, without: str = "") -> None:
    for server in watched.servers:
        with server.client() as client:
            rights.allow(client, [*rights.rules(), *of("behind Sentinels")], without=without)
    for one in watched.sentinels:
        with one.client() as client:
            rights.allow(client, of("the Sentinels' user"), without=without)


def test_behind_sentinels(db: Database, run: Run, sweeper: Start, watched: Watched) -> None:
    allow(watched)
    done = run("--check-config", redis_url=sentinel_url(watched))
    assert done.status == 0, done.stdout
    check_in_use(db, sweeper(*DAEMON, redis_url=sentinel_url(watched), http=True))
    for one in watched.sentinels:
        with one.client() as client:
            log = client.execute_command("ACL", "LOG")
            assert not log, log


@pytest.mark.parametrize("right", ["+role", "+sentinel|get-master-addr-by-name"])
def test_each_is_needed(db: Database, run: Run, watched: Watched, right: str) -> None:
    """Without it --check-config names it."""
    allow(watched, without=right)
    done = run("--check-config", redis_url=sentinel_url(watched))
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("FAIL"))
    assert done.status == 1 and names(right, line), done.stdout


@pytest.mark.parametrize("right", ["+subscribe", "&+switch-master", "+ping", "+client|setname"])
def test_what_sentinels_may_refuse(
    db: Database, run: Run, sweeper: Start, watched: Watched, right: str
) -> None:
    allow(watched, without=right)
    done = run("--check-config", redis_url=sentinel_url(watched))
    assert done.status == 0, done.stdout
    notes = [x for x in done.stdout.splitlines() if x.startswith("note") and "a Sentinel refuses" in x]
    assert len(notes) == ("switch" in right or "subscribe" in right)
    assert not notes or names("+subscribe", notes[0]) or "channel" in notes[0], notes
    check_in_use(db, sweeper(*DAEMON, redis_url=sentinel_url(watched), http=True))
