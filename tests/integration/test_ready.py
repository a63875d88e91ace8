"""/readyz: what is on time, what is not, and what is only shown."""

from __future__ import annotations

import json
from collections.abc import Callable

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, slow_releases, transaction
from harness.poll import holds, until_ready, wait_until, within
from harness.process import free_port
from harness.queue import FAILED, INFLIGHT
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Start
from harness.web import metric, moment, readyz, until_settled


def test_not_ready_without_postgres(
    private_pg: Callable[..., Postgres], sweeper: Start
) -> None:
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper(http=True, dsn=own.dsn)
    until_ready(daemon)
    server.stop("immediate")
    wait_until(lambda: readyz(daemon)[0] == 503, 10, "not ready")
    status, body = readyz(daemon)
    assert body["ready"] is False and "Postgres is out of reach" in body["reason"]
    assert daemon.http("/healthz")[0] == 200
    server.start()
    until_ready(daemon)


def test_degraded_without_redis(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    server = private_redis()
    daemon = sweeper(http=True, redis_url=server.url())
    until_ready(daemon)
    server.stop()
    wait_until(lambda: readyz(daemon)[1]["degraded"], 10, "degraded")
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.5)
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "released")

    def on_time() -> bool:
        status, body = readyz(daemon)
        return (status, body["degraded"], body["overdueSeconds"]) == (200, True, 0.0)

    holds(on_time, 6, "on time, past what is taken for granted without a pass")
    server.start()
    wait_until(lambda: not readyz(daemon)[1]["degraded"], 10, "Redis is back")


def test_started_without_redis(db: Database, sweeper: Start) -> None:
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    assert readyz(daemon)[1]["degraded"] is True


def claimed_for_long(db: Database, redis: redis_py.Redis, product: str, overdue_s: float) -> str:
    """A reservation that has been overdue for so long, under a lease that does not end."""
    with db.connect() as conn, conn.transaction():
        id = shop.reserve(conn, {product: 1}, ttl_s=-overdue_s)
        redis.zadd(INFLIGHT, {id: 4_000_000_000_000})
    return id


def test_overdue_is_not_ready(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Expired half an hour ago, and claimed by somebody who does nothing."""
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", http=True)
    until_settled(daemon, looks=3)
    product = shop.add_product(db)
    id = claimed_for_long(db, redis, product, 1800)
    wait_until(lambda: readyz(daemon)[0] == 503, 10, "not ready")
    status, body = readyz(daemon)
    assert 1800 <= body["overdueSeconds"] < 1800 + within(30)
    assert "overdue" in body["reason"] and id in body["reason"]
    oldest = json.loads(daemon.http("/status")[1])["oldestOverdue"]
    assert (oldest["reservationId"], oldest["productId"]) == (id, product)
    assert 1800 <= oldest["overdueSeconds"] < 1800 + within(30)
    expired = db.value("SELECT extract(epoch FROM expires_at)::float FROM inventory_reservations")
    assert abs(moment(oldest["expiresAt"]) - expired) < 0.002  # type: ignore[operator]
    redis.delete(INFLIGHT)
    until_ready(daemon, 10)
    assert shop.count_status(db, "released") == 1


def test_overdue_during_a_pass(db: Database, sweeper: Start) -> None:
    """In direct mode: what a pass has not released yet is shown while it is under way."""
    slow_releases(db, 3)
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    wait_until(lambda: readyz(daemon)[1]["degraded"], 10, "direct mode")
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1800)
    reason = wait_until(lambda: readyz(daemon)[1].get("reason"), 10, "not ready")
    assert "overdue" in reason and id in reason
    assert shop.count_status(db, "active") == 1
    until_ready(daemon, 10)
    assert shop.count_status(db, "released") == 1


def test_not_overdue_enough(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", http=True)
    until_settled(daemon, looks=3)
    claimed_for_long(db, redis, shop.add_product(db), 5)
    wait_until(lambda: readyz(daemon)[1]["overdueSeconds"] > 5, 10, "overdue")
    assert readyz(daemon)[0] == 200


def test_later_row_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A reservation is due when the latest of its rows is."""
    daemon = sweeper(*ALONE, "--feed-interval", "300ms", http=True)
    until_settled(daemon, looks=3)
    first, later = shop.add_product(db), shop.add_product(db)
    shop.reserve(db, {first: 1, later: 1}, ttl_s=600)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() - interval '1 h'"
        " WHERE product_id = %s",
        (first,),
    )
    since = metric(daemon, "feed_last_success_timestamp_seconds")
    wait_until(
        lambda: metric(daemon, "feed_last_success_timestamp_seconds") > since + 3, 15, "more looks"
    )
    status, body = readyz(daemon)
    assert (status, body["overdueSeconds"]) == (200, 0)


def test_locked_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1800)
    with transaction(db, lock_product(product)):
        daemon = sweeper("--feed-interval", "300ms", http=True)
        until_ready(daemon)
        wait_until(lambda: readyz(daemon)[1]["locked"] == 1, 15, "shown as locked")
        holds(lambda: readyz(daemon)[0] == 200, 2, "ready")
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "released")


def test_failed_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1800)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = total_stock")
    daemon = sweeper("--feed-interval", "300ms", http=True)
    until_ready(daemon)
    wait_until(lambda: redis.hlen(FAILED) == 1, 15, "it failed")
    wait_until(lambda: readyz(daemon)[1]["failed"] == 1, 15, "shown as failed")
    holds(lambda: readyz(daemon)[0] == 200, 1.5, "ready")


def test_a_lost_grant_is_not_on_time(db: Database, sweeper: Start) -> None:
    """What Postgres cannot release at present is put back again and again."""
    daemon = sweeper("--feed-interval", "1s", http=True)
    until_settled(daemon, looks=3)
    db.conn.execute("ALTER TABLE inventory RENAME TO gone")
    product = "00000000-0000-0000-0000-000000000001"
    db.conn.execute("INSERT INTO gone VALUES (%s, 1, 0, 1)", (product,))
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " VALUES (gen_random_uuid(), %s, 1, now())",
        (product,),
    )
    wait_until(lambda: readyz(daemon)[0] == 503, 40, "not ready")
    assert "cannot be used" in readyz(daemon)[1]["reason"]
    db.conn.execute("ALTER TABLE gone RENAME TO inventory")
    until_ready(daemon)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "released")
