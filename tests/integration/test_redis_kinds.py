"""Servers of Redis's kind: each that this machine has, and what services are documented to change.

docs/REDIS.md says which service does what.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis as redis_py
from harness import rights, shop
from harness.database import Database
from harness.dialects import DIALECTS, Dialect
from harness.monitor import Asked, Monitor
from harness.poll import until_ready, wait_until
from harness.queue import ATTENTION, FAILED, INFLIGHT, KEPT, LEASES, PENDING
from harness.queue import batch, expires_ms, mirror, pending
from harness.rights import OPTIONAL, names
from harness.servers import Redis, redis_programs
from harness.sweeper import Run, Start, Sweeper

DAEMON = ("--feed-interval", "1s", "--lookahead", "5s", "--max-sleep", "200ms", "--lease", "1s")
SOON_S = 1.5  # a second, and what a busy machine adds
TAG = "{reservations}:"


@dataclass
class Kind:
    server: Redis
    client: redis_py.Redis  # of the server itself
    url: str


@pytest.fixture(params=redis_programs())
def server(private_redis: Callable[..., Redis], request: pytest.FixtureRequest) -> Redis:
    return private_redis(program=request.param)


@pytest.fixture(params=DIALECTS)
def kind(server: Redis, request: pytest.FixtureRequest) -> Iterator[Kind]:
    with Dialect(server.port, request.param) as proxy, server.client() as client:
        yield Kind(server, client, proxy.through(server.url()))


@pytest.fixture(params=redis_programs(), scope="module")
def every_server(request: pytest.FixtureRequest) -> Iterator[Redis]:
    """One for many tests."""
    one = Redis(program=request.param)
    one.start()
    yield one
    one.close()


def test_what_debian_has_is_here() -> None:
    """Else the other tests would pass without it."""
    debian = platform.freedesktop_os_release()
    has_valkey = debian["ID"] == "debian" and int(debian.get("VERSION_ID", 0)) >= 13
    assert not has_valkey or "valkey-server" in redis_programs()


QUEUE = """
reservations:
  table: inventory_reservations
  quantity: quantity
  active: status = 'active'
  released: status = 'released', updated_at = now()
  stock:
    table: inventory
    key: {product_id: product_id}
    free: available_stock
    held: reserved_stock
    total: total_stock
    set: updated_at = now()
  keep_while: |
    EXISTS (SELECT FROM payments p WHERE p.reservation_id = r.id)
  keep: {look_again: 1s, at_most: 2s}
"""


def live(db: Database, redis: redis_py.Redis, run: Run, start: Start, url: str) -> Sweeper:
    """All that a sweeper does: it mirrors, claims, releases, is refused, keeps, takes over, reconciles."""
    options: dict[str, Any] = {"redis_url": url, "env": {"SWEEPER_QUEUES": QUEUE}}
    db.conn.execute("CREATE TABLE payments (reservation_id uuid)")
    early = shop.add_product(db)
    held = [shop.reserve(db, {early: 1}, ttl_s=-1) for _ in range(4)]
    redis.zadd(LEASES, {batch(held[0], held[1]): 1})
    redis.zadd(LEASES, {b"a stranger's": 2})
    redis.zadd(INFLIGHT, {held[2]: 1})
    redis.hset(FAILED, held[3], '{"error":"","attempts":1}')
    refused = shop.add_product(db)
    bad = shop.reserve(db, {refused: 1}, ttl_s=0.3)
    counter = "UPDATE inventory SET reserved_stock = %s, available_stock = total_stock - %s WHERE product_id = %s"
    db.conn.execute(counter, (0, 0, refused))
    paid = shop.reserve(db, {early: 1}, ttl_s=0.3)
    db.conn.execute("INSERT INTO payments VALUES (%s)", (paid,))
    daemon = start(*DAEMON, http=True, **options)
    until_ready(daemon)
    product = shop.add_product(db)
    soon = [shop.reserve(db, {product: 1}, ttl_s=0.3 + 0.1 * i) for i in range(5)]
    mirror(db, redis, soon[0])
    released = "SELECT count(*) FROM inventory_reservations WHERE status = 'released' AND id::text = ANY(%s)"
    wait_until(lambda: db.value(released, (held + soon,)) == 9, 15, "the releases")
    late = shop.lateness(db, soon)
    assert min(late) >= 0 and max(late) <= SOON_S, late
    wait_until(lambda: redis.hexists(FAILED, bad), 10, "the refused one")
    db.conn.execute(counter, (1, 1, refused))
    wait_until(lambda: db.value(released, ([bad],)) == 1, 15, "it is tried again")
    wait_until(lambda: redis.zscore(ATTENTION, paid), 10, "the kept one")
    assert redis.hexists(KEPT, paid)
    db.conn.execute("DELETE FROM payments")
    wait_until(lambda: db.value(released, ([paid],)) == 1, 10, "it is kept no longer")
    waiting = shop.reserve(db, {product: 1}, ttl_s=600)
    redis.zadd(PENDING, {waiting: 9e12, "nobody's": 9e12})
    redis.hset(FAILED, "nobody's", '{"error":"","attempts":1}')
    redis.hset(KEPT, "nobody's", '{"since":1}')
    assert run("--reconcile", **options).status == 0
    others = (LEASES, INFLIGHT, FAILED, KEPT, ATTENTION)
    wait_until(lambda: not redis.exists(*others), 10, "what leads nowhere is gone")
    assert pending(redis) == expires_ms(db, [waiting])
    assert run("--once", **options).status == 0
    return daemon


def test_the_whole_protocol(db: Database, run: Run, sweeper: Start, kind: Kind) -> None:
    daemon = live(db, kind.client, run, sweeper, kind.url)
    done = run("--check-config", redis_url=kind.url)
    assert done.status == 0 and "FAIL" not in done.stdout, done.stdout
    assert json.loads(run("--status", redis_url=kind.url).stdout)["degraded"] is False
    assert json.loads(daemon.http("/readyz")[1])["degraded"] is False
    assert not [r for r in daemon.records if r.get("degraded")]
    assert daemon.stop() == 0
    assert not kind.client.keys("*probe*")


def test_requests_are_bounded(db: Database, redis: redis_py.Redis, redis_server: Redis, run: Run) -> None:
    """More of everything than one request may name."""
    product = shop.add_product(db)
    waiting = shop.bulk_reserve(db, 2500, [product], "now() + interval '1 h'")
    shop.bulk_reserve(db, 2500, [product])
    redis.zadd(PENDING, {id: 9e12 for id in waiting} | {f"nobody {i}": 9e12 for i in range(2500)})
    redis.hset(FAILED, mapping={f"nobody {i}": '{"error":"","attempts":1}' for i in range(2500)})
    with Dialect(redis_server.port, "managed") as proxy:
        done = run("--reconcile", "--batch-size", "5000", redis_url=proxy.through(redis_server.url()))
    assert done.status == 0, done.stderr
    assert pending(redis) == expires_ms(db, waiting) and not redis.exists(FAILED)
    assert shop.count_status(db, "released") == 2500


def test_so_are_those_about_what_is_kept(
    db: Database, redis: redis_py.Redis, redis_server: Redis, run: Run
) -> None:
    shop.bulk_reserve(db, 2500, [shop.add_product(db)])
    db.conn.execute("CREATE TABLE payments AS SELECT id AS reservation_id FROM inventory_reservations")
    with Dialect(redis_server.port, "managed") as proxy:
        url = proxy.through(redis_server.url())
        done = run("--once", "--batch-size", "5000", redis_url=url, env={"SWEEPER_QUEUES": QUEUE})
    assert done.status == 0 and done.record("Cleanup job completed")["keptCount"] == 2500
    assert not [r for r in done.records if r["level"] != "INFO"], done.stderr
    assert redis.hlen(KEPT) == redis.zcard(PENDING) == 2500


def keys_of(asked: Asked) -> list[str]:
    """As a Cluster would look for them."""
    if asked.name in ("eval", "evalsha"):
        return asked.words[3 : 3 + int(asked.words[2])]
    return [] if asked.name in WITHOUT_KEYS else asked.words[1:2]


WITHOUT_KEYS = ("auth", "client|setname", "info", "time")


def test_what_is_asked(db: Database, run: Run, sweeper: Start, server: Redis) -> None:
    """Each of the commands that the documents name, and no other. Each script has keys, touches none that it
    has not named, and all keys are in one slot."""
    url = rights.url(server.port)
    with server.client() as client:
        rights.allow(client, rights.rules())
        with Monitor(server.port) as monitor:
            live(db, client, run, sweeper, url).stop()
    sweepers = {one.who for one in monitor.asked() if one.name == "auth"} | {"lua"}
    asked = [one for one in monitor.asked() if one.who in sweepers]
    for one in asked:
        keys = keys_of(one)
        assert all(key.startswith(TAG) for key in keys), one
        if one.name in ("eval", "evalsha"):
            assert keys, one
            declared = keys
        elif one.who == "lua":
            assert set(keys) <= set(declared), (one, declared)
    named = {rule[1:] for rule in rights.rules() if rule[0] == "+"}
    assert {one.name for one in asked} == named | {"auth"}


@pytest.mark.parametrize("right", [rule for rule in rights.rules() if rule not in OPTIONAL])
def test_each_right_is_needed(db: Database, run: Run, every_server: Redis, right: str) -> None:
    """Without it --check-config names it, in this server's words."""
    with every_server.client() as client:
        rights.allow(client, rights.rules(), *(("~elsewhere",) if right[0] == "~" else ()), without=right)
    done = run("--check-config", redis_url=rights.url(every_server.port))
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("FAIL"))
    assert done.status == 1 and names(right, line), line


QUEUES = """
{name}:
  table: inventory_reservations
  active: status = '{status}'
  released: status = 'released'
"""


@pytest.mark.parametrize("prefix", ["", "shop"])
def test_each_queue_needs_its_keys(
    db: Database, run: Run, sweeper: Start, every_server: Redis, prefix: str
) -> None:
    """Whose keys are not allowed is named, and served straight from Postgres; the other is not."""
    text = QUEUES.format(name="first", status="active") + QUEUES.format(name="second", status="committed")
    options: dict[str, Any] = {"env": {"SWEEPER_QUEUES": text}, "redis_url": rights.url(every_server.port)}
    if prefix:
        options["env"]["SWEEPER_KEY_PREFIX"] = prefix
    names_of = [f"{prefix}:{name}" if prefix else name for name in ("first", "second")]
    with every_server.client() as client:
        rights.allow(client, rights.rules(*names_of))
        assert run("--check-config", **options).status == 0
        rights.allow(client, rights.rules(names_of[0]))
    done = run("--check-config", **options)
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("FAIL"))
    assert done.status == 1 and f"{{{names_of[1]}}}:*" in line, done.stdout
    daemon = sweeper(*DAEMON, http=True, **options)
    until_ready(daemon)
    record = daemon.wait_for_record("Redis refuses")
    assert record["queue"] == "second" and f"{{{names_of[1]}}}:*" in record["error"]
    of = {queue["queue"]: queue for queue in json.loads(daemon.http("/status")[1])["queues"]}
    assert of["second"]["degraded"] is True and of["first"]["degraded"] is False
