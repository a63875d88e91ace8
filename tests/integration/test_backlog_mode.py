"""Backlog mode: what is due is released straight from Postgres, by one sweeper at a time."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.frozen import frozen
from harness.poll import wait_until
from harness.servers import Redis
from harness.sweeper import Sweeper

Start = Callable[..., Sweeper]

TOKEN = "a-token-of-this-test"
PENDING = "{reservations}:pending"
LEASES = "{reservations}:leases"
ROLE = "{reservations}:backlog"
ENTERED = "Backlog mode: what is due is released straight from Postgres"
LEFT = "Backlog mode is over"
MANY = 12_000
LARGE = 60_000  # it takes a while


def mirror_all(db: Database, redis: redis_py.Redis) -> None:
    rows = db.query(
        "SELECT id::text, ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
        " FROM inventory_reservations WHERE status = 'active' GROUP BY id"
    )
    for i in range(0, len(rows), 10_000):
        redis.zadd(PENDING, dict(rows[i : i + 10_000]))


def reserve(db: Database, redis: redis_py.Redis, n: int, apart: str = "1 ms") -> list[str]:
    all_of_it = shop.add_products(db, 40, stock=100_000)
    shop.bulk_reserve(db, n, all_of_it, f"now() - i * interval '{apart}'")
    mirror_all(db, redis)
    return all_of_it


def drained(db: Database, redis: redis_py.Redis, left: int = 0) -> None:
    wait_until(lambda: shop.count_status(db, "active") == left, 60, "the backlog is drained")
    wait_until(lambda: redis.zcard(PENDING) == left, 20, "Redis knows")
    wait_until(lambda: not redis.exists(LEASES), 20, "all is settled")
    shop.check_stock_adds_up(db)


def released(*daemons: Sweeper) -> int:
    for daemon in daemons:
        assert daemon.stop() == 0
    return sum(daemon.find("Stopped")[0]["releasedTotal"] for daemon in daemons)


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_real_backlog(db: Database, redis: redis_py.Redis, sweeper: Start, workers: str) -> None:
    reserve(db, redis, MANY)
    daemon = sweeper("--workers", workers, "--batch-size", "100")
    assert daemon.wait_for_record(ENTERED)["dueLeft"] > 10_000
    drained(db, redis)
    left = daemon.wait_for_record(LEFT)
    assert left["releasedCount"] > 10_000 and left["lockedCount"] == left["refusedCount"] == 0
    wait_until(lambda: not redis.exists(ROLE), 5, "its role is given up")
    assert released(daemon) == MANY
    assert len(daemon.find(ENTERED)) == len(daemon.find(LEFT)) == 1


def test_few_are_claimed(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    reserve(db, redis, 10_000)
    daemon = sweeper()
    drained(db, redis)
    assert not daemon.find(ENTERED)


def test_tables_that_places_do_not_serve(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    db.conn.execute(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER nothing BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION nothing()"
    )
    reserve(db, redis, MANY)
    daemon = sweeper()
    wait_until(lambda: shop.count_status(db, "released") > 1000, 60, "it is at work")
    assert not daemon.find(ENTERED)


def test_another_has_the_role(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Meanwhile it looks now and then, each time with one claim."""
    def looks() -> bool:
        redis.set(ROLE, "another", px=9000)
        return shop.count_status(db, "released") >= 100

    redis.set(ROLE, "another", px=9000)
    reserve(db, redis, 2 * MANY)
    daemon = sweeper("--batch-size", "50")
    wait_until(looks, 20, "it looks again")
    assert not daemon.find(ENTERED)
    redis.delete(ROLE)
    daemon.wait_for_record(ENTERED)
    drained(db, redis)


def enter(*daemons: Sweeper) -> tuple[Sweeper, Sweeper]:
    """The one that has entered, and the other."""
    wait_until(lambda: any(d.find(ENTERED) for d in daemons), 20, "one has entered", step=0.001)
    first, second = sorted(daemons, key=lambda d: not d.find(ENTERED))
    return first, second


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_holder_that_is_gone(
    db: Database, redis: redis_py.Redis, sweeper: Start, how: signal.Signals
) -> None:
    """The other follows once the role has ended. Nothing is lost, or released twice."""
    reserve(db, redis, LARGE)
    first, second = enter(sweeper("--batch-size", "20"), sweeper("--batch-size", "20"))
    os.kill(first.pid, how)
    first.expected_status = None
    assert shop.count_status(db, "active") > 0, "it was in the middle"
    second.wait_for_record(ENTERED, 20)
    if how == signal.SIGSTOP:
        os.kill(first.pid, signal.SIGCONT)
    drained(db, redis)


def test_two_take_turns(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    reserve(db, redis, LARGE)
    daemons = [sweeper("--workers", "2"), sweeper("--workers", "2")]
    drained(db, redis)
    wait_until(lambda: all(len(d.find(ENTERED)) == len(d.find(LEFT)) for d in daemons), 10, "it is over")
    spans = sorted(
        (entered["timestamp"], left["timestamp"])
        for daemon in daemons
        for entered, left in zip(daemon.find(ENTERED), daemon.find(LEFT), strict=True)
    )
    assert spans and all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False)), spans
    assert released(*daemons) == LARGE


def several_rows(db: Database, n: int, products: list[str], apart: str) -> None:
    """n reservations more with three products each, whose rows expire so far apart."""
    ids = shop.bulk_reserve(db, n, products[:1], "now() - interval '1 minute'")
    for product in products[1:3]:
        db.conn.execute(
            "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
            " SELECT id, %s, 2, expires_at + random() * %s::interval FROM inventory_reservations"
            " WHERE id = ANY(%s) AND product_id = %s",
            (product, apart, ids, products[0]),
        )
        db.conn.execute(
            "UPDATE inventory SET available_stock = available_stock - 2 * %s,"
            " reserved_stock = reserved_stock + 2 * %s WHERE product_id = %s",
            (n, n, product),
        )


@pytest.mark.parametrize("apart", ["0", "30 s"])
def test_reservations_of_several_rows(
    db: Database, redis: redis_py.Redis, sweeper: Start, apart: str
) -> None:
    products = reserve(db, redis, MANY)
    several_rows(db, 2000, products, apart)
    mirror_all(db, redis)
    daemon = sweeper("--workers", "2", "--batch-size", "200")
    drained(db, redis)
    assert daemon.find(ENTERED)
    assert released(daemon) == MANY + 2000


def test_what_stands_in_the_way(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A locked row, a locked counter and a product whose counter has drifted keep only their own."""
    products = reserve(db, redis, MANY)
    locked_row = shop.reserve(db, {products[1]: 1}, ttl_s=-1)
    drifted = shop.add_product(db, stock=10)
    refused = shop.reserve(db, {drifted: 5}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = 10 WHERE product_id = %s",
        (drifted,),
    )
    mirror_all(db, redis)
    of_counter = f"product_id = '{products[0]}'"
    kept = 1 + 1 + int(db.value(f"SELECT count(*) FROM inventory_reservations WHERE {of_counter}"))
    with db.connect() as api, api.transaction():
        api.execute(f"SELECT FROM inventory WHERE {of_counter} FOR UPDATE")
        api.execute("SELECT FROM inventory_reservations WHERE id = %s FOR UPDATE", (locked_row,))
        daemon = sweeper("--batch-size", "200")
        daemon.wait_for_record(ENTERED)
        wait_until(lambda: shop.count_status(db, "active") == kept, 60, "all others are released")
        daemon.wait_for_record(LEFT)
        wait_until(lambda: redis.hexists("{reservations}:failed", refused), 10, "it has a record")
    wait_until(lambda: shop.count_status(db, "active") == 1, 20, "the locked ones follow")
    assert db.value("SELECT status FROM inventory_reservations WHERE id = %s", (refused,)) == "active"


def test_what_waits_for_its_next_try(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """It is passed by, and makes no slice fail: so the others take as few transactions as if it were
    not there."""
    healthy = shop.add_products(db, 40, stock=100_000)
    drifted = shop.add_products(db, 1000, stock=10)
    refused = []
    for i in range(0, 1000, 100):  # some among the neighbours of each slice
        shop.bulk_reserve(db, 4000, healthy, "now() - i * interval '1 ms'")
        refused += shop.bulk_reserve(db, 100, drifted[i : i + 100], "now() - i * interval '40 ms'")
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = 10 WHERE product_id = ANY(%s)",
        (drifted,),
    )
    mirror_all(db, redis)
    later = 4_000_000_000_000
    record = json.dumps({"attempts": 3, "retryAt": "2096-10-02T07:06:40.000Z"})
    redis.hset("{reservations}:failed", mapping=dict.fromkeys(refused, record))
    redis.zadd(PENDING, dict.fromkeys(refused, later))
    daemon = sweeper("--lookahead", "off", "--scan-interval", "off")
    left = daemon.wait_for_record(LEFT, 60)
    wait_until(lambda: shop.count_status(db, "active") == 1000, 60, "all others are released")
    assert left["refusedCount"] == 1000 and left["releasedCount"] > 30_000
    transactions = db.value(
        "SELECT count(DISTINCT xmin::text) FROM inventory_reservations WHERE status = 'released'"
    )
    assert int(transactions) < 100, transactions
    records = redis.hvals("{reservations}:failed")
    assert len(records) == 1000 and {json.loads(r)["attempts"] for r in records} == {3}
    assert set(redis.zmscore(PENDING, refused)) == {later}


@pytest.fixture
def own_redis(private_redis: Callable[..., Redis]) -> Iterator[Redis]:
    yield private_redis()


@pytest.mark.parametrize("what", ["flushed", "restarted", "gone"])
def test_redis_in_the_middle(
    db: Database, own_redis: Redis, sweeper: Start, what: str
) -> None:
    client = own_redis.client()
    reserve(db, client, LARGE)
    daemon = sweeper("--batch-size", "20", redis_url=own_redis.url())
    wait_until(lambda: daemon.find(ENTERED), 20, "it has entered", step=0.001)
    if what == "flushed":
        client.flushall()
    elif what == "restarted":
        own_redis.restart()
    else:
        own_redis.kill9()
    assert shop.count_status(db, "active") > 0, "it was in the middle"
    wait_until(lambda: shop.count_status(db, "active") == 0, 60, "the backlog is drained")
    shop.check_stock_adds_up(db)
    daemon.wait_for_record(LEFT)
    assert released(daemon) == LARGE


def test_what_was_released_before_is_due_in_redis(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """As when Redis could not be told. Claims remove it: a pass finds nothing."""
    reserve(db, redis, 2 * MANY)
    db.conn.execute("UPDATE inventory_reservations SET status = 'released'")
    db.conn.execute("UPDATE inventory SET available_stock = total_stock, reserved_stock = 0")
    daemon = sweeper()
    drained(db, redis)
    assert len(daemon.find(ENTERED)) == 1
    assert daemon.wait_for_record(LEFT)["releasedCount"] == 0


def test_a_stop_in_the_middle(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    reserve(db, redis, LARGE)
    daemon = sweeper("--batch-size", "20")
    wait_until(lambda: daemon.find(ENTERED), 20, "it has entered", step=0.001)
    assert daemon.stop(timeout=5) == 0
    assert shop.count_status(db, "active") > 0, "it was in the middle"
    assert not redis.exists(ROLE, LEASES)
    shop.check_stock_adds_up(db)
    sweeper("--workers", "2")
    drained(db, redis)


def backend(db: Database) -> int:
    """That of the first worker."""
    (found,) = wait_until(
        lambda: db.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'reservation-sweeper worker 1'"
        ),
        20,
        "the worker is connected",
        step=0.001,
    )
    return int(found[0])


def test_the_connection_is_lost_in_the_middle(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    reserve(db, redis, LARGE)
    daemon = sweeper("--batch-size", "20", "--workers", "2")
    wait_until(lambda: daemon.find(ENTERED), 20, "it has entered", step=0.001)
    worker = backend(db)
    with frozen(db.server, worker):  # in the middle, however busy the machine
        db.query("SELECT pg_terminate_backend(%s)", (worker,))
    left: Any = daemon.wait_for_record(LEFT)
    assert left["error"]
    drained(db, redis)


def test_readyz_and_sweep_beside_it(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    reserve(db, redis, LARGE, apart="0.1 ms")  # nothing is overdue for long
    daemon = sweeper("--batch-size", "20", http=True, env={"SWEEPER_ADMIN_TOKEN": TOKEN})
    wait_until(lambda: daemon.find(ENTERED), 20, "it has entered", step=0.001)
    with frozen(db.server, backend(db)):  # so that it stays in the middle
        wait_until(lambda: daemon.http("/readyz")[0] == 200, 20, "it is ready")
        assert not daemon.find(LEFT) and shop.count_status(db, "active") > 0, "in the middle"
    assert daemon.http("/sweep", "POST", token=TOKEN, timeout=60)[0] == 200
    assert shop.count_status(db, "active") == 0
    drained(db, redis)
