"""POST /sweep and POST /reconcile."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import until_ready, wait_until, within
from harness.process import free_port
from harness.servers import Postgres
from harness.sweeper import ALONE, Start
from harness.web import TOKEN, WITH_TOKEN, in_background, until_settled


def is_sweeping(db: Database) -> bool:
    return db.value(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE application_name = 'reservation-sweeper sweep' AND datname = %s",
        (db.name,),
    )


# ---- POST /sweep ----------------------------------------------------------------------------------


@pytest.mark.valgrind
def test_sweep(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Whether Redis knows it or not."""
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    for _ in range(3):
        shop.reserve(db, {product: 1}, ttl_s=-100)
    keep = shop.reserve(db, {product: 1}, ttl_s=600)
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    assert (status, json.loads(body)["cleanedCount"]) == (200, 3)
    assert daemon.wait_for_record("Cleanup job completed")["cleanedCount"] == 3
    assert shop.count_status(db, "active") == 1 and keep
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    assert (status, json.loads(body)["cleanedCount"]) == (200, 0)


def test_sweep_with_a_query_string(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-100)
    for query in ("?dryRun=true", "?x", "?%00=%ff&&&=", "?" + "a" * 2000):
        assert daemon.http("/sweep" + query, "POST", token=TOKEN)[0] == 400, query
    assert shop.count_status(db, "active") == 1


def test_one_sweep_at_a_time(db: Database, sweeper: Start) -> None:
    """The second one is told so; a client that goes away stops nothing."""
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    request = f"POST /sweep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with transaction(db, lock_product(product)):
        with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5) as conn:
            conn.sendall(request.encode())
            wait_until(lambda: is_sweeping(db), 5, "it runs")
            assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 409
            assert daemon.http("/readyz")[0] == 200
    assert daemon.wait_for_record("Cleanup job completed")["cleanedCount"] == 1
    assert shop.count_status(db, "released") == 1
    wait_until(lambda: daemon.http("/sweep", "POST", token=TOKEN)[0] == 200, 5, "the next one")


def test_locked_is_skipped(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    with transaction(db, lock_product(product)):
        status, body = daemon.http("/sweep", "POST", token=TOKEN, timeout=20)
    assert (status, json.loads(body)) == (200, {"cleanedCount": 0, "skippedCount": 1})


def test_refused_is_500(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    good, bad = shop.add_product(db), shop.add_product(db)
    shop.reserve(db, {good: 1}, ttl_s=-100)
    shop.reserve(db, {bad: 1}, ttl_s=-100)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (bad,),
    )
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    answer = json.loads(body)
    assert (status, answer["cleanedCount"], answer["failedCount"]) == (500, 1, 1)


def test_deferred_is_500_and_tried_when_asked_again(db: Database, sweeper: Start) -> None:
    """A drifted counter: what was not tried with its product counts as failed too; and whoever has
    corrected it need not wait for the product's back-off."""
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    for _ in range(25):
        shop.reserve(db, {product: 1}, ttl_s=-100)
    set_reserved = "UPDATE inventory SET available_stock = total_stock - %s, reserved_stock = %s"
    db.conn.execute(set_reserved, (0, 0))
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    answer = json.loads(body)
    assert (status, answer["cleanedCount"], answer["failedCount"]) == (500, 0, 25)
    daemon.wait_for_record("A reservation waits with its product")  # not all were tried
    db.conn.execute(set_reserved, (25, 25))
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    assert (status, json.loads(body)["cleanedCount"]) == (200, 25)
    shop.check_stock_adds_up(db)


def test_sweep_without_postgres(private_pg: Callable[..., Postgres], sweeper: Start) -> None:
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper(http=True, dsn=own.dsn, env=WITH_TOKEN)
    until_ready(daemon)
    server.stop("immediate")
    status, body = daemon.http("/sweep", "POST", token=TOKEN, timeout=15)
    assert status == 503 and "Postgres" in json.loads(body)["error"]
    server.start()
    wait_until(
        lambda: daemon.http("/sweep", "POST", token=TOKEN, timeout=15)[0] == 200, 20, "it works"
    )


def test_sweep_without_a_grant(db: Database, sweeper: Start) -> None:
    """The true reason, at once."""
    role = f"{db.name}_reader"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT ON inventory, inventory_reservations TO {role}")
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    daemon = sweeper(http=True, dsn=dsn, env=WITH_TOKEN)
    daemon.wait_for_record("The database cannot be used as it is")
    began = time.monotonic()
    status, body = daemon.http("/sweep", "POST", token=TOKEN, timeout=15)
    assert status == 503 and "grant to UPDATE" in json.loads(body)["error"]
    assert time.monotonic() - began < within(4)


def test_stop_while_sweeping(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    with transaction(db, lock_product(product)):
        thread, answers = in_background(
            lambda: daemon.http("/sweep", "POST", token=TOKEN, timeout=20)
        )
        wait_until(lambda: is_sweeping(db), 5, "it runs")
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < within(5)
        thread.join(10)
    assert answers[0][0] == 503 and "stopping" in answers[0][1]


# ---- POST /reconcile ------------------------------------------------------------------------------


def test_reconcile(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon, looks=1)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 5, available_stock = total_stock - 5"
        " WHERE product_id = %s",
        (product,),
    )
    for query in ("?dryrun=true", "?dryRun=yes", "?dryRun", "?repairStock=1&dryRun=true"):
        assert daemon.http("/reconcile" + query, "POST", token=TOKEN)[0] == 400, query
    assert daemon.http("/reconcile", "POST")[0] == 401
    assert daemon.http("/reconcile", "GET", token=TOKEN)[0] == 405

    status, body = daemon.http("/reconcile?dryRun=true&repairStock=true", "POST", token=TOKEN)
    assert (status, json.loads(body)["dryRun"]) == (202, True)
    assert daemon.http("/reconcile", "POST", token=TOKEN)[0] == 409
    record = daemon.wait_for_record("Reconciliation completed", 30)
    assert record["dryRun"] is True and record["stockDrifted"] == 1
    assert shop.count_status(db, "active") == 1

    since = len(daemon.records)
    wait_until(
        lambda: daemon.http("/reconcile?repairStock=true", "POST", token=TOKEN)[0] == 202, 5
    )
    record = daemon.wait_for_record("Reconciliation completed", 30, since)
    assert record["dryRun"] is False and record["stockRepaired"] == 1
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "released")


def test_reconcile_without_postgres(
    private_pg: Callable[..., Postgres], sweeper: Start
) -> None:
    """Said to who asks, as a sweep says it: not 202, and then a record."""
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper(http=True, dsn=own.dsn, env=WITH_TOKEN)
    until_ready(daemon)
    server.stop("immediate")
    status, body = daemon.http("/reconcile", "POST", token=TOKEN, timeout=20)
    assert status == 503 and "Postgres is out of reach" in json.loads(body)["error"]
    server.start()
    wait_until(
        lambda: daemon.http("/reconcile", "POST", token=TOKEN, timeout=20)[0] == 202, 20, "it works"
    )


def test_reconcile_without_a_grant(db: Database, sweeper: Start) -> None:
    role = f"{db.name}_reconciler"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT ON inventory, inventory_reservations TO {role}")
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    daemon = sweeper(http=True, dsn=dsn, env=WITH_TOKEN)
    daemon.wait_for_record("The database cannot be used as it is")
    status, body = daemon.http("/reconcile", "POST", token=TOKEN, timeout=20)
    assert status == 503 and "grant to UPDATE" in json.loads(body)["error"]


def test_reconcile_without_redis(sweeper: Start) -> None:
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}", env=WITH_TOKEN)
    until_ready(daemon)
    assert daemon.http("/reconcile", "POST", token=TOKEN)[0] == 503
