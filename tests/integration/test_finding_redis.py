"""Where Redis is: what Sentinels and a Cluster's nodes say, what a URL cannot mean, and what is
said of the server in use."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from harness import shop
from harness.answering import Answering
from harness.certificates import Authority
from harness.clusters import Cluster, Runaround
from harness.database import Database
from harness.poll import holds, until_ready, wait_until, within
from harness.sentinels import SERVICE, Liar, Sentinel, Watched
from harness.servers import Certified, Redis
from harness.sweeper import ROOT, Finished, Sweeper

Start = Callable[..., Sweeper]
Run = Callable[..., Finished]
KEY = "{reservations}:pending"
NOBODY = 1  # no server's port
UNUSABLE = "REDIS_URL names no Redis that can be used"


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


@pytest.fixture
def sweeper(sweeper: Start) -> Start:
    """Daemons whose feed mirrors within half a second what the tests reserve."""
    return partial(sweeper, "--feed-interval", "500ms")


def released_on_time(db: Database) -> None:
    """A reservation that expires in a moment is released, through Redis."""
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, 1.0)
    wait_until(
        lambda: db.value("SELECT status = 'released' FROM inventory_reservations WHERE id = %s", (id,)),
        10,
        "it is released",
    )


def away_for(daemon: Sweeper, why: str) -> str:
    """The error that says so. Where all is slow, a node's first answer may come too late to be it."""

    def said() -> str:
        errors = (record["error"] for record in daemon.find("Redis is out of reach"))
        return next((error for error in errors if re.search(why, error)), "")

    return wait_until(said, 20, f"it is away for: {why}")


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


def test_a_sentinel_that_says_nothing_is_passed_by(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """After 300 ms; the next time the other one is asked first."""
    silent, liar = Answering(), Liar(private_redis().port)
    silent.answer = lambda client, words: b""  # type: ignore[method-assign]
    try:
        hosts = f"127.0.0.1:{silent.port},127.0.0.1:{liar.port}"
        daemon = sweeper(redis_url=f"redis+sentinel://{hosts}/x")
        daemon.wait_for_record("Redis connected", 1.5)
        assert (silent.connections, liar.asked) == (1, 1)
        liar.wait_for_listener()
        liar.say("x 127.0.0.1 1 127.0.0.1 2")
        wait_until(lambda: liar.asked == 2, 10, "it is asked again")
        released_on_time(db)
        assert silent.connections == 1
    finally:
        silent.close()
        liar.close()


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
    # One of them is away as well, which says less.
    url = watched.url(service, sentinel_password=password)
    url = url.replace(f"/{service}/", f",127.0.0.1:{NOBODY}/{service}/")
    daemon = sweeper(redis_url=url)
    assert away_for(daemon, why).startswith("Sentinel 127.0.0.1:")
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
        away_for(daemon, "master|replica")
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
        liar.wait_for_listener()
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


def test_another_sentinel_is_asked_when_the_first_one_lags(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    new = private_redis()
    old = private_redis(replicaof=f"127.0.0.1 {new.port}")
    liars = [Liar(old.port), Liar(new.port)]
    try:
        hosts = ",".join(f"127.0.0.1:{liar.port}" for liar in liars)
        daemon = sweeper(redis_url=f"redis+sentinel://{hosts}/x")
        found = daemon.wait_for_record("Redis connected", 2)
        assert found["node"] == f"127.0.0.1:{new.port}"
    finally:
        for liar in liars:
            liar.close()


def test_the_rights_that_are_needed(
    db: Database, watched: Watched, cluster: Cluster, sweeper: Start
) -> None:
    """Those that the documents name, and none besides."""
    for server in (*watched.servers, *cluster.nodes):
        with server.client() as client:
            role = ["+role"] if server in watched.servers else []
            client.execute_command("ACL", *user_of_the_documents()[1:], *role)
    for one in watched.sentinels:
        with one.client() as client:
            client.execute_command(
                *("ACL", "SETUSER", "asker", "on", ">ask", *rights_at_sentinels().split())
            )
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in watched.sentinels)
    query = "sentinel_username=asker&sentinel_password=ask"
    node = cluster.masters()[0]
    for url in (
        f"redis+sentinel://sweeper:password@{hosts}/{SERVICE}?{query}",
        f"redis+cluster://sweeper:password@127.0.0.1:{node.port}",  # not asked: by MOVED
        f"redis://sweeper:password@127.0.0.1:{node.port}",
    ):
        daemon = sweeper(redis_url=url)
        daemon.wait_for_record("Redis connected", 5)
        released_on_time(db)
        assert not daemon.find("Redis refuses") and not daemon.find("out of reach"), daemon.tail()


def user_of_the_documents() -> list[str]:
    text = (ROOT / "docs" / "INTEGRATION.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^ACL SETUSER .*$", text, re.M)
    return line.split()


def rights_at_sentinels() -> str:
    text = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    [rights] = re.findall(r"^`(\+sentinel\|[^`]*)`", text, re.M)
    return rights


# ---- a Cluster ----------------------------------------------------------------------------------


def test_by_any_node(db: Database, cluster: Cluster, sweeper: Start) -> None:
    """Also by one that is a replica, or has other slots; a plain URL follows too."""
    owner = cluster.owner(KEY)
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
        assert not daemon.find("out of reach"), url
        assert daemon.stop() == 0


NAMES = ("a", "b", "c", "d")
ONE = """
  table: inventory_reservations
  expires_at: expires_at
  quantity: quantity
  active: status = 'active'
  released: status = 'released'
"""


@pytest.fixture
def queues(tmp_path: Path) -> str:
    """A file of queues that are on several slots."""
    path = tmp_path / "queues.yaml"
    path.write_text("".join(f"{name}:{ONE}" for name in NAMES), encoding="ascii")
    return str(path)


def owner_of(cluster: Cluster, name: str) -> Redis:
    return cluster.owner("{" + name + "}")


def test_each_queue_has_its_own_node(
    db: Database, cluster: Cluster, sweeper: Start, queues: str
) -> None:
    daemon = sweeper("--queues", queues, redis_url=cluster.url(), http=True)
    until_ready(daemon)
    wanted = {name: f"127.0.0.1:{owner_of(cluster, name).port}" for name in NAMES}
    status = status_of(daemon)
    assert {q["queue"]: q["redis"]["node"] for q in status["queues"]} == wanted
    assert len(set(wanted.values())) > 1
    metrics = daemon.http("/metrics")[1]
    for name, node in wanted.items():
        assert f'redis_node_info{{queue="{name}",node="{node}",role="master",service=""}} 1' in metrics


def test_a_node_takes_only_its_queues_along(db: Database, sweeper: Start, queues: str) -> None:
    servers = Cluster(masters=3, replicas=0, cluster_require_full_coverage="no")
    try:
        servers.start()
        daemon = sweeper("--queues", queues, redis_url=servers.url(), http=True)
        until_ready(daemon)
        node = owner_of(servers, "a")
        hurt = {name for name in NAMES if owner_of(servers, name) is node}
        assert hurt != set(NAMES)
        node.kill9()

        def degraded() -> set[str]:
            return {q["queue"] for q in status_of(daemon)["queues"] if q["degraded"]}

        wait_until(lambda: degraded() == hurt, 10, "its queues are degraded, and no other")
        holds(lambda: degraded() == hurt, 2, "and stay so")
        assert daemon.http("/readyz")[0] == 200
        assert metric(daemon, "redis_up") == 0
        node.start()
        wait_until(lambda: not degraded(), 20, "they are back")
        assert metric(daemon, "redis_up") == 1
    finally:
        servers.close()


def metric(daemon: Sweeper, name: str) -> float:
    [value] = re.findall(rf"^reservation_sweeper_{name} (\S+)$", daemon.http("/metrics")[1], re.M)
    return float(value)


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


def test_moved_without_an_end(db: Database, sweeper: Start) -> None:
    """It is followed a few times, then with a delay."""
    node = Runaround()
    try:
        sweeper(redis_url=f"redis+cluster://127.0.0.1:{node.port}")
        wait_until(lambda: node.connections > 3, 5, "it is asked")
        before, began = node.connections, time.monotonic()
        released_on_time(db)
        a_second = (node.connections - before) / (time.monotonic() - began)
        assert a_second < 40, f"{a_second:.0f} connections a second"
    finally:
        node.close()


def test_the_url_becomes_one_of_another_kind(
    db: Database, cluster: Cluster, private_redis: Callable[..., Redis], sweeper: Start, tmp_path
) -> None:
    """With a secret's file, while it runs: from each kind to each other."""
    first, second = private_redis(), private_redis()
    liar = Liar(second.port)
    by_sentinel = f"redis+sentinel://127.0.0.1:{liar.port}/x"
    node = cluster.masters()[0]
    owner = cluster.owner(KEY)
    file = tmp_path / "url"
    file.write_text(first.url())
    try:
        daemon = sweeper(redis_url=None, env={"REDIS_URL_FILE": str(file)})
        assert daemon.wait_for_record("Redis connected")["node"].endswith(f":{first.port}")
        for url, port in (
            (by_sentinel, second.port),
            (cluster.url(node), owner.port),
            (by_sentinel, second.port),
            (first.url(), first.port),
            (node.url(), owner.port),
            (first.url(), first.port),
        ):
            seen = len(daemon.records)
            file.write_text(url)
            daemon.process.send_signal(signal.SIGHUP)
            found = daemon.wait_for_record("Redis connected", 5, since=seen)
            assert found["node"] == f"127.0.0.1:{port}", url
        asked = liar.asked
        liar.say("x 127.0.0.1 1 127.0.0.1 2")  # nobody listens any more
        released_on_time(db)
        assert liar.asked == asked
    finally:
        liar.close()


# ---- TLS ----------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def certified(authority: Authority, *names: str) -> Certified:
    return Certified(*authority.issue(*names), authority.file)


def test_sentinels_over_tls(
    db: Database, authority: Authority, sweeper: Start, run: Run
) -> None:
    """To the Sentinels and to the master that they name."""
    servers = Watched(replicas=0, sentinels=1, tls=certified(authority, "IP:127.0.0.1"))
    try:
        servers.start()
        url = servers.url().replace("redis+", "rediss+")
        env = {"SWEEPER_REDIS_CA": str(authority.file)}
        daemon = sweeper(redis_url=url, env=env)
        found = daemon.wait_for_record("Redis connected")
        assert found["node"] == f"127.0.0.1:{servers.master().port}"
        released_on_time(db)

        def unknown_authority() -> bool:
            done = run("--check-config", redis_url=url)
            assert done.status == 1
            return "certificate" in done.stdout

        wait_until(unknown_authority, 10, "a busy machine may be too slow to get as far")
    finally:
        servers.close()


def test_each_nodes_own_name(db: Database, authority: Authority, sweeper: Start, run: Run) -> None:
    """The URL's nodes by its name for them; others by the name that the Cluster has for them."""

    def its_own(i: int) -> Certified:
        # The second has not the name that it announces.
        own = "another" if i == 1 else f"node-{i}"
        return certified(authority, f"DNS:{own}.example", "DNS:localhost")

    servers = Cluster(masters=2, replicas=0, certified=its_own)
    try:
        servers.start()
        first, second = servers.nodes
        env = {"SWEEPER_REDIS_CA": str(authority.file)}
        url = f"rediss+cluster://localhost:{second.port}"

        def status() -> int | None:  # slot 11172 is the second's
            done = run("--check-config", redis_url=url, env=env)
            return done.status if "hostname mismatch" in done.stdout else None

        assert wait_until(status, 20, "its node answers in time") == 1
        for one in (url, f"rediss://localhost:{second.port}"):
            daemon = sweeper("--key-prefix", "a", redis_url=one, env=env)  # slot 15495
            away_for(daemon, "hostname mismatch")
        servers.move(KEY, first)
        for one in (url, f"rediss://localhost:{second.port}"):
            daemon = sweeper(redis_url=one, env=env)
            found = daemon.wait_for_record("Redis connected")
            assert found["node"] == f"127.0.0.1:{first.port}"
        released_on_time(db)
    finally:
        servers.close()


@pytest.mark.parametrize(
    ("names", "accepted"),
    [(["DNS:localhost"], True), (["IP:127.0.0.1"], True), (["DNS:another.example"], False)],
    ids=["of the URL", "its address", "another"],
)
def test_nodes_without_names(
    db: Database, authority: Authority, sweeper: Start, names: list[str], accepted: bool
) -> None:
    """They are told as addresses, as services do: with the URL's name in the certificate, or the address."""
    its_own = [certified(authority, "DNS:localhost"), certified(authority, *names)]
    servers = Cluster(masters=2, replicas=0, certified=its_own.__getitem__, named=False)
    try:
        servers.start()
        first, second = servers.nodes
        env = {"SWEEPER_REDIS_CA": str(authority.file)}
        for url in (f"rediss+cluster://localhost:{first.port}", f"rediss://localhost:{first.port}"):
            daemon = sweeper(redis_url=url, env=env)  # slot 11172 is the second's
            if accepted:
                assert daemon.wait_for_record("Redis connected")["node"] == f"127.0.0.1:{second.port}"
            else:
                away_for(daemon, "hostname mismatch")
    finally:
        servers.close()


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
    said = daemon.wait_for_record(UNUSABLE)
    assert said["level"] == "ERROR" and why in said["error"]
    released_on_time(db)
    wait_until(lambda: json.loads(daemon.http("/readyz")[1]).get("degraded") is True, 10, "degraded")
    began = time.monotonic()
    done = run("--check-config", redis_url=url)
    assert done.status == 2 and why in done.stdout and why in done.stderr
    assert time.monotonic() - began < within(4)  # nothing is waited for
    assert len(daemon.find(UNUSABLE)) == 1
    done = run("--once", redis_url=url)
    assert done.status == 0 and why in done.stderr
    assert run("--reconcile", redis_url=url).status == 2


def test_a_slot_that_nobody_has(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """A Cluster that is being made: direct mode until the slot is somebody's."""
    # A node that was without slots for two seconds waits for as long as this, but 5 s at most, before it
    # says that the Cluster is up.
    node = private_redis(cluster_enabled="yes", cluster_node_timeout=500)
    daemon = sweeper(redis_url=node.url())
    away_for(daemon, "knows nobody who serves slot 11172 of the Cluster$")
    released_on_time(db)
    with node.client() as client:
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    assert daemon.wait_for_record("Redis connected", 3)["node"] == f"127.0.0.1:{node.port}"
    daemon.wait_for_record("Redis is back", 5)
