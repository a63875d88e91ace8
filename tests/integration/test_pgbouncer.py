"""Through a pooler in transaction mode: each transaction may meet another server connection."""

from __future__ import annotations

import psycopg
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.pgbouncer import PgBouncer
from harness.poll import wait_until, within
from harness.queue import failures, is_empty, mirror
from harness.sweeper import Run, Start


def test_the_daemon(
    db: Database, redis: redis_py.Redis, sweeper: Start, pooler: PgBouncer
) -> None:
    """More clients than server connections, and strangers on the same ones."""
    products = shop.add_products(db, 10, stock=1000)
    daemon = sweeper(
        "--workers", "4", "--batch-size", "20", "--feed-interval", "300ms", dsn=pooler.dsn(db.name)
    )
    ids = shop.bulk_reserve(db, 500, products, "now()")
    mirror(db, redis, *ids)
    fed = shop.bulk_reserve(db, 100, products, "now() + interval '1 s' + i * interval '5 ms'")
    wait_until(lambda: shop.count_status(db, "released") == 600, 30, "all releases")
    late = shop.lateness(db, fed)
    assert min(late) >= 0 and max(late) < within(1)
    wait_until(lambda: is_empty(redis), 10, "settled")
    shop.check_stock_adds_up(db)
    assert daemon.stop() == 0
    assert not [r for r in daemon.records if r["level"] in ("WARN", "ERROR")], daemon.tail()


def test_nothing_of_a_session_stays_behind(
    db: Database, redis: redis_py.Redis, sweeper: Start, pooler: PgBouncer
) -> None:
    """Other clients of the pooler find the settings that they left."""
    sweeper("--feed-interval", "100ms", dsn=pooler.dsn(db.name))
    product = shop.add_product(db)
    for n in range(1, 6):
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0))
        wait_until(lambda n=n: shop.count_status(db, "released") == n, 20, "a release")
        with db.server.connect(db.name) as direct:
            names = ("lock_timeout", "statement_timeout", "jit", "random_page_cost", "TimeZone")
            plain = [direct.execute(f"SHOW {name}").fetchone() for name in names]
        with psycopg.connect(pooler.dsn(db.name), autocommit=True) as pooled:
            assert [pooled.execute(f"SHOW {name}").fetchone() for name in names] == plain


def test_refusals_and_locks(
    db: Database, redis: redis_py.Redis, sweeper: Start, pooler: PgBouncer
) -> None:
    """A transaction that fails leaves nothing open on the shared connection."""
    fine, spoilt, busy = shop.add_products(db, 3)
    ids = [shop.reserve(db, {product: 1}, ttl_s=0) for product in [fine] * 20 + [busy] * 5]
    refused = shop.reserve(db, {spoilt: 1}, ttl_s=0)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = 100 WHERE product_id = %s",
        (spoilt,),
    )
    mirror(db, redis, *ids, refused)
    with transaction(db, lock_product(busy)):
        sweeper("--lookahead", "off", dsn=pooler.dsn(db.name))
        wait_until(lambda: shop.stock(db, fine) == (100, 100, 0), 20, "the free ones")
        wait_until(lambda: failures(redis).keys() == {refused}, 20, "the refused one")
    wait_until(lambda: shop.stock(db, busy) == (100, 100, 0), 20, "the others")
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state LIKE 'idle in%%'"
    wait_until(lambda: db.value(idle, (db.name,)) == 0, 5, "no transaction is left open")


def test_the_pooler_restarts(
    db: Database, redis: redis_py.Redis, sweeper: Start, pooler: PgBouncer
) -> None:
    products = shop.add_products(db, 10, stock=1000)
    mirror(db, redis, *shop.bulk_reserve(db, 2000, products, "now()"))
    sweeper("--batch-size", "10", "--lease", "3s", dsn=pooler.dsn(db.name))
    wait_until(lambda: shop.count_status(db, "released") > 50, 20, "at work", step=0.001)
    pooler.kill9()
    pooler.start()
    wait_until(lambda: shop.count_status(db, "released") == 2000, 30, "all releases")
    wait_until(lambda: is_empty(redis), 20, "settled")
    shop.check_stock_adds_up(db)


def test_modes(db: Database, run: Run, pooler: PgBouncer) -> None:
    shop.bulk_reserve(db, 1000, shop.add_products(db, 5, stock=1000))
    assert run("--check-config", dsn=pooler.dsn(db.name)).status == 0
    dry = run("--once", "--dry-run", dsn=pooler.dsn(db.name))
    assert dry.record("Cleanup job completed")["cleanedCount"] == 1000
    done = run("--once", "--workers", "2", dsn=pooler.dsn(db.name))
    assert done.record("Cleanup job completed")["cleanedCount"] == 1000
    shop.check_stock_adds_up(db)
