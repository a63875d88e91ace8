"""Servers that go away and come back, and sweepers that die."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import SLOW, slow_releases, sweepers
from harness.poll import wait_until, within
from harness.queue import FAILED, LEASES, PENDING, batch, claimed, is_empty, mirror, pending
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Start
from harness.web import scrape, until_settled


@pytest.mark.valgrind
def test_connections_that_are_cut(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db, stock=1000)
    daemon = sweeper("--feed-interval", "300ms")
    daemon.wait_for_record("Postgres connected", 20)
    daemon.wait_for_record("Redis connected", 20)
    for n in range(1, 4):
        db.query("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (sweepers(db),))
        redis.client_kill_filter(_type="normal", skipme=True)
        mirror(db, redis, *[shop.reserve(db, {product: 1}, ttl_s=0.1) for _ in range(10)])
        wait_until(lambda n=n: shop.count_status(db, "released") == 10 * n, 30, f"round {n}")
        wait_until(lambda: is_empty(redis), 30, "settled")
    assert shop.stock(db, product) == (1000, 1000, 0)


@pytest.mark.parametrize("end", ["fast", "immediate", "kill -9"])
def test_postgres_restarts(
    private_pg: Callable[..., Postgres], redis: redis_py.Redis, sweeper: Start, end: str
) -> None:
    server = private_pg()
    db = Database.create(server)
    products = shop.add_products(db, 10, stock=1000)
    ids = shop.bulk_reserve(db, 3000, products, "now()")
    mirror(db, redis, *ids)
    daemon = sweeper("--batch-size", "20", "--workers", "2", "--lease", "3s", dsn=db.dsn)
    wait_until(lambda: shop.count_status(db, "released") > 100, 20, "it is at work", step=0.001)
    if end == "kill -9":
        server.kill9()
    else:
        server.stop(end)
    daemon.wait_for_record("Postgres is out of reach")
    server.start()
    db.reconnect()
    wait_until(lambda: shop.count_status(db, "released") == 3000, 30, "all releases")
    wait_until(lambda: is_empty(redis), 20, "settled")
    shop.check_stock_adds_up(db)
    db.conn.close()


def test_redis_restarts_empty(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    """Releases go on meanwhile, from Postgres; back to exactness when it is back."""
    cache = private_redis()
    product = shop.add_product(db, stock=1000)
    daemon = sweeper("--feed-interval", "300ms", redis_url=cache.url())
    daemon.wait_for_record("Redis connected")
    cache.kill9()
    warning = daemon.wait_for_record("Redis is out of reach")
    assert warning["level"] == "WARN" and warning["degraded"] is True
    away = [shop.reserve(db, {product: 1}, ttl_s=0.2) for _ in range(50)]
    wait_until(lambda: shop.count_status(db, "released") == 50, 20, "direct releases")
    late = shop.lateness(db, away)
    assert min(late) >= 0 and max(late) < within(3)
    ahead = shop.reserve(db, {product: 1}, ttl_s=4)
    seen = len(daemon.records)
    cache.start()
    daemon.wait_for_record("Redis is back", since=seen)
    wait_until(lambda: cache.client().zscore(PENDING, ahead), 5, "mirrored again")
    wait_until(lambda: shop.count_status(db, "released") == 51, 20, "the release")
    assert 0 <= shop.lateness(db, [ahead])[0] < within(1)
    assert shop.stock(db, product) == (1000, 1000, 0)


def test_redis_is_down_at_the_start(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    cache = private_redis()
    cache.stop()
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    daemon = sweeper(redis_url=cache.url())
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    cache.start()
    daemon.wait_for_record("Redis connected")


def test_postgres_is_down_at_the_start(
    private_pg: Callable[..., Postgres], redis: redis_py.Redis, sweeper: Start
) -> None:
    """Nothing is claimed meanwhile: entries wait in Redis."""
    server = private_pg()
    db = Database.create(server)
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    mirror(db, redis, id)
    server.stop()
    daemon = sweeper(dsn=db.dsn)
    daemon.wait_for_record("Redis connected")
    assert redis.zrange(PENDING, 0, -1) == [id.encode()] and not redis.exists(LEASES)
    server.start()
    db.reconnect()
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    db.conn.close()


def test_redis_needs_a_password_and_a_database(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    cache = private_redis(requirepass="pass:word")
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.3)
    mirror(db, cache.client(db=3), id)
    daemon = sweeper(*ALONE, redis_url=f"redis://:pass%3Aword@127.0.0.1:{cache.port}/3")
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    assert daemon.wait_for_record("Redis connected")["redis"] == f"127.0.0.1:{cache.port}/3"


def test_unix_sockets(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    cache = private_redis()
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.3)
    mirror(db, cache.client(), id)
    urls = {
        "dsn": db.server.dsn(db.name, socket=True),
        "redis_url": f"unix://{cache.socket_path}?db=0",
    }
    sweeper(*ALONE, **urls)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")


@pytest.mark.parametrize(("n", "first_batch", "leases", "next_batch"), [(100, 100, 1, 500), (4500, 5000, 5, 300)])
def test_a_killed_sweepers_claims_are_taken_over(
    db: Database,
    redis: redis_py.Redis,
    sweeper: Start,
    n: int,
    first_batch: int,
    leases: int,
    next_batch: int,
) -> None:
    """Also when it had them under several leases, each with more than the next one claims at a time."""
    products = shop.add_products(db, 5, stock=1000)
    slow_releases(db, 0.5)
    mirror(db, redis, *shop.bulk_reserve(db, n, products, "now()"))
    first = sweeper("--lease", "2s", "--batch-size", str(first_batch), *ALONE)
    wait_until(lambda: sweepers(db, SLOW), 20, "at work", step=0.002)
    first.kill()
    assert len(set(claimed(redis))) == n and redis.zcard(LEASES) == leases
    db.conn.execute("DROP TRIGGER slow ON inventory_reservations")
    sweeper("--lease", "2s", "--batch-size", str(next_batch), *ALONE)
    wait_until(lambda: is_empty(redis), 20, "taken over")
    assert shop.statuses(db) == {"released": n}
    shop.check_stock_adds_up(db)


def test_strangers_in_leases(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """What is no batch is removed, counted and said; it keeps nobody from claiming."""
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    redis.zadd(LEASES, {f"a stranger's {i}": i for i in range(30)})
    redis.zadd(LEASES, {batch(id, "no id"): 100})
    daemon = sweeper("--max-sleep", "20ms", *ALONE, http=True)
    wait_until(lambda: not redis.exists(LEASES), 20, "all are gone")
    assert shop.statuses(db) == {"released": 1}
    (said,) = {(r["level"], r["message"]) for r in daemon.records if "no claimed batch" in r["message"]}
    assert said[0] == "WARN"
    metrics = scrape(daemon)
    assert metrics['discarded_total{reason="invalid"}'] == 31
    assert metrics['rescheduled_total{reason="lease_expired"}'] == 2


def test_a_grant_that_is_taken_away(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The server's fault, not the rows': nothing becomes failed, and all goes on once fixed."""
    role = f"{db.name}_robbed"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    grant = "{} SELECT, UPDATE ON inventory, inventory_reservations {} " + role
    db.conn.execute(grant.format("GRANT", "TO"))
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", dsn=dsn, http=True)
    daemon.wait_for_record("Postgres connected")
    wait_until(lambda: sweepers(db), 10, "it is there")
    product = shop.add_product(db)
    mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0))
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the first release")
    until_settled(daemon, looks=3)  # one that read the row before its release enters it again
    wait_until(lambda: is_empty(redis), 10, "settled")
    db.conn.execute(grant.format("REVOKE", "FROM"))
    id = shop.reserve(db, {product: 1}, ttl_s=0)
    mirror(db, redis, id)
    error = daemon.wait_for_record("The database cannot be used as it is")
    assert "grant" in error["error"]
    wait_until(lambda: pending(redis).keys() == {id}, 10, "put back, or never claimed")
    assert not redis.exists(FAILED)
    db.conn.execute(grant.format("GRANT", "TO"))
    wait_until(lambda: shop.count_status(db, "released") == 2, 20, "the second release")
    assert len(daemon.find("cannot")) < 15, "it does not hammer"


def test_a_column_that_changes_its_type(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """The catalog is read anew when a statement no longer fits."""
    product = shop.add_product(db)
    daemon = sweeper(*ALONE)
    mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0))
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the first release")
    db.conn.execute("ALTER TABLE inventory_reservations ALTER id TYPE text")
    mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0, id="no uuid at all"))
    other = shop.reserve(db, {product: 1}, ttl_s=0)
    mirror(db, redis, other)
    wait_until(lambda: shop.count_status(db, "released") >= 2, 30, "the next ones")
    assert daemon.running
