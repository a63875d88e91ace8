"""Where Redis is: what Sentinels and a Cluster's nodes say, what a URL cannot mean, and what is
said of the server in use."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from harness import shop
from harness.clusters import Cluster
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.sentinels import SERVICE, Liar, Sentinel, Watched
from harness.servers import Redis
from harness.sweeper import Finished, Sweeper

Start = Callable[..., Sweeper]
Run = Callable[..., Finished]
NOBODY = 1  # no server's port


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    servers = Watched(replicas=1, sentinels=3, sentinel_password="sesame", requirepass="pepper")
    servers.start()
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    servers = Cluster(masters=3, replicas=1)
    servers.start()
    yield servers
    servers.close()


def released_on_time(db: Database, since: float = 0.0) -> None:
    """A reservation that expires in a moment is released at once, through Redis."""
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, 1.0)
    wait_until(
        lambda: db.value("SELECT status = 'released' FROM inventory_reservations WHERE id = %s", (id,)),
        10,
        "it is released",
    )


def status_of(daemon: Sweeper) -> dict:
    return json.loads(daemon.http("/status")[1])


# ---- Sentinels ----------------------------------------------------------------------------------


def test_by_sentinels(db: Database, watched: Watched, sweeper: Start, run: Run) -> None:
    daemon = sweeper(redis_url=watched.url(), http=True)
    until_ready(daemon)
    master = f"127.0.0.1:{watched.master().port}"
    said = daemon.wait_for_record("Redis connected")
    assert (said["node"], said["role"]) == (master, "master")
    assert said["found"].startswith(f"service {SERVICE} by Sentinel 127.0.0.1:")
    redis = status_of(daemon)["redis"]
    assert (redis["node"], redis["role"], redis["service"]) == (master, "master", SERVICE)
    assert redis["found"] == said["found"]
    assert redis["address"].startswith("Sentinels at 127.0.0.1:")
    assert f'redis_node_info{{queue="reservations",node="{master}",role="master"' in (
        daemon.http("/metrics")[1]
    )
    released_on_time(db)
    for text in ("\n".join(daemon.stdout_lines + daemon.stderr_lines), daemon.http("/status")[1]):
        assert "sesame" not in text and "pepper" not in text
    done = run("--check-config", redis_url=watched.url())
    assert done.status == 0, done.stdout
    assert f": the master {master}, found for service {SERVICE} by Sentinel" in done.stdout
    status = json.loads(run("--status", redis_url=watched.url()).stdout)
    assert status["redis"]["node"] == master


def test_a_sentinel_that_is_away_costs_little(
    db: Database, watched: Watched, run: Run
) -> None:
    hosts = f"127.0.0.1:{NOBODY},127.0.0.1:{watched.sentinels[0].port}"
    url = f"redis+sentinel://:pepper@{hosts}/{SERVICE}?sentinel_password=sesame"
    done = run("--check-config", redis_url=url)
    assert done.status == 0, done.stdout


@pytest.mark.parametrize(
    ("service", "password", "why"),
    (
        ("another", "sesame", 'knows no service "another"'),
        (SERVICE, "wrong", "WRONGPASS"),
        (SERVICE, "", "NOAUTH"),
    ),
)
def test_what_a_sentinel_refuses(
    db: Database, watched: Watched, sweeper: Start, run: Run, service: str, password: str, why: str
) -> None:
    """It is named; releases go on without Redis."""
    url = watched.url(service, sentinel_password=password)
    daemon = sweeper(redis_url=url)
    said = daemon.wait_for_record("Redis is out of reach")
    assert why in said["error"] and said["error"].startswith("Sentinel 127.0.0.1:"), said
    released_on_time(db)
    done = run("--check-config", redis_url=url)
    assert done.status == 1 and why in done.stdout
    assert "wrong" not in daemon.tail().replace("WRONGPASS", "")


def test_a_sentinel_that_lags(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """It names the former master, which follows another one: whoever is no master is not used."""
    new = private_redis()
    old = private_redis(replicaof=f"127.0.0.1 {new.port}")
    liar = Liar(old.port)
    try:
        daemon = sweeper(redis_url=f"redis+sentinel://127.0.0.1:{liar.port}/x")
        said = daemon.wait_for_record("Redis is out of reach")
        assert "master" in said["error"] or "replica" in said["error"]
        asked = liar.asked
        wait_until(lambda: liar.asked > asked + 2, 10, "it is asked again")
        assert not daemon.find("Redis connected")
        released_on_time(db)
        liar.master_port = new.port
        connected = daemon.wait_for_record("Redis connected", 2)
        assert connected["node"] == f"127.0.0.1:{new.port}"
        released_on_time(db)
    finally:
        liar.close()


def test_the_word_of_a_sentinel_is_followed_at_once(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """Though the former master still answers, as in a network that is cut in two."""
    first, second = private_redis(), private_redis()
    liar = Liar(first.port)
    try:
        daemon = sweeper(redis_url=f"redis+sentinel://127.0.0.1:{liar.port}/x")
        assert daemon.wait_for_record("Redis connected")["node"].endswith(f":{first.port}")
        liar.say(f"y 127.0.0.1 {first.port} 127.0.0.1 {second.port}")  # another service
        liar.say("x", channel="+sdown")
        released_on_time(db)
        assert liar.asked == 1
        seen = len(daemon.records)
        liar.master_port = second.port
        liar.say(f"x 127.0.0.1 {first.port} 127.0.0.1 {second.port}")
        moved = daemon.wait_for_record("Redis connected", 2, since=seen)
        assert moved["node"].endswith(f":{second.port}") and moved["level"] == "INFO"
        released_on_time(db)
        assert not daemon.find("out of reach")
    finally:
        liar.close()


def test_a_sentinel_that_went_is_replaced_as_a_listener(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """Who listened to one that ended listens to another, and learns what was missed."""
    first, second = private_redis(), private_redis()
    liars = [Liar(first.port), Liar(first.port)]
    try:
        hosts = ",".join(f"127.0.0.1:{liar.port}" for liar in liars)
        daemon = sweeper(redis_url=f"redis+sentinel://{hosts}/x")
        daemon.wait_for_record("Redis connected")
        seen = len(daemon.records)
        liars[1].master_port = second.port
        liars[0].close()
        moved = daemon.wait_for_record("Redis connected", 5, since=seen)
        assert moved["node"].endswith(f":{second.port}")
    finally:
        for liar in liars:
            liar.close()


# ---- a Cluster ----------------------------------------------------------------------------------


def test_by_any_node(db: Database, cluster: Cluster, sweeper: Start) -> None:
    """Also by one that is a replica, or has other slots; a plain URL follows too."""
    owner = cluster.owner("{reservations}:pending")
    other = next(node for node in cluster.masters() if node is not owner)
    replica = cluster.replicas_of(owner)[0]
    for url in (
        cluster.url(other),
        cluster.url(replica),
        other.url(),
        replica.url(),
        owner.url(),
        f"unix://{other.socket_path}",
    ):
        daemon = sweeper(redis_url=url)
        said = daemon.wait_for_record("Redis connected", 5)
        assert said["node"] == f"127.0.0.1:{owner.port}", url
        assert said["found"].startswith("slot 11172 by node "), url
        released_on_time(db)
        assert not daemon.find("out of reach") or url == replica.url()
        assert daemon.stop() == 0


def test_each_queue_has_its_own_node(
    db: Database, cluster: Cluster, sweeper: Start, tmp_path
) -> None:
    names = ("a", "b", "c", "d")
    queues = tmp_path / "queues.yaml"
    one = (
        "  table: inventory_reservations\n  expires_at: expires_at\n  quantity: quantity\n"
        "  active: status = 'active'\n  released: status = 'released'\n"
    )
    queues.write_text("".join(f"{name}:\n{one}" for name in names), encoding="ascii")
    daemon = sweeper("--queues", str(queues), redis_url=cluster.url(), http=True)
    until_ready(daemon)
    wanted = {name: f"127.0.0.1:{cluster.owner('{' + name + '}').port}" for name in names}
    status = status_of(daemon)
    assert {q["queue"]: q["redis"]["node"] for q in status["queues"]} == wanted
    assert len(set(wanted.values())) > 1
    metrics = daemon.http("/metrics")[1]
    for name, node in wanted.items():
        assert f'redis_node_info{{queue="{name}",node="{node}",role="master",service=""}} 1' in metrics


def test_the_modes_that_end_by_themselves(db: Database, cluster: Cluster, run: Run) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, -1.0)
    url = cluster.masters()[0].url()
    assert run("--reconcile", redis_url=url).status == 0
    done = run("--once", redis_url=url)
    assert done.status == 0 and "out of reach" not in done.stderr, done.stderr
    done = run("--check-config", redis_url=url)
    assert done.status == 0, done.stdout
    assert "found for slot 11172 by node" in done.stdout


# ---- what cannot be meant -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ("redis", "redis+cluster"))
def test_another_database_of_a_cluster(
    db: Database, cluster: Cluster, sweeper: Start, run: Run, scheme: str
) -> None:
    url = f"{scheme}://127.0.0.1:{cluster.nodes[0].port}/3"
    refused(db, sweeper, run, url, "REDIS_URL names another database than 0")


def test_a_sentinel_in_a_plain_url(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start, run: Run
) -> None:
    sentinel = Sentinel(private_redis(), 1, down_after_ms=1000)
    sentinel.start()
    try:
        refused(db, sweeper, run, sentinel.url(), "REDIS_URL names a Sentinel as if")
    finally:
        sentinel.close()


def refused(db: Database, sweeper: Start, run: Run, url: str, why: str) -> None:
    """Once at ERROR, and releases go on without Redis; --check-config says that it is wrong."""
    daemon = sweeper(redis_url=url, http=True)
    assert daemon.wait_for_record(why)["level"] == "ERROR"
    released_on_time(db)
    wait_until(lambda: json.loads(daemon.http("/readyz")[1]).get("degraded") is True, 10, "degraded")
    began = time.monotonic()
    done = run("--check-config", redis_url=url)
    assert done.status == 2 and why in done.stdout and why in done.stderr
    assert time.monotonic() - began < 4  # nothing is waited for
    assert len([r for r in daemon.find(why) if r["level"] == "ERROR"]) == 1
    done = run("--once", redis_url=url)
    assert done.status == 0 and why in done.stderr
    assert run("--reconcile", redis_url=url).status == 2


def test_a_slot_that_nobody_has(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """A Cluster that is being made: direct mode until the slot is somebody's."""
    node = private_redis(cluster_enabled="yes")
    daemon = sweeper(redis_url=node.url())
    said = daemon.wait_for_record("Redis is out of reach")
    assert said["error"].endswith("knows nobody who serves slot 11172 of the Cluster"), said
    released_on_time(db)
    with node.client() as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    assert daemon.wait_for_record("Redis connected", 3)["node"] == f"127.0.0.1:{node.port}"
    daemon.wait_for_record("Redis is back", 5)
