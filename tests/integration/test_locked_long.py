"""What others hold locked for long: who holds it is found, logged once, and shown."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, lock_reservation, transaction
from harness.poll import holds, wait_until, within
from harness.queue import is_empty, mirror
from harness.sweeper import ALONE, Start
from harness.web import metric
from test_locked_inside import add_carts, lock_cart

MESSAGE = "A reservation is held locked by another transaction"
OVER = "What others held locked is free again"


def named(conn: psycopg.Connection, name: str) -> psycopg.Connection:
    """Goes by this name among the sessions."""
    conn.execute("SELECT set_config('application_name', %s, false)", (name,))
    return conn


def status(daemon: Any) -> dict[str, Any]:
    return json.loads(daemon.http("/status")[1])


@pytest.mark.slow
def test_every_kind_of_lock_is_said_once(
    private_pg: Any, redis: redis_py.Redis, sweeper: Start
) -> None:
    """It really takes more than thirty seconds, so all kinds wait them together."""
    server = private_pg(fsync=False, max_prepared_transactions=5)
    db, other_db = Database.create(server), Database.create(server)
    products = shop.add_products(db, 12)
    kinds = ["row", "shared", "nested", "counter", "prepared", "inside", "inside prepared"]
    ids = dict(zip(kinds, (shop.reserve(db, {p: 1}, ttl_s=-1) for p in products), strict=False))
    other = shop.reserve(db, {products[-1]: 1}, ttl_s=-1)
    add_carts(db, list(ids.values()))
    product_of = dict(zip(kinds, products, strict=False))
    with ExitStack() as stack:
        pids: dict[str, int] = {}

        def hold(kind: str, *statements: tuple[str, object]) -> psycopg.Connection:
            conn = named(stack.enter_context(transaction(db)), f"holder of {kind}")
            conn.commit()
            for sql, params in statements:
                conn.execute(sql, params)  # type: ignore[arg-type]
            pids[kind] = conn.info.backend_pid
            return conn

        hold(  # a savepoint's xid is in no list once it is released
            "nested",
            ("SAVEPOINT one", None),
            lock_reservation(ids["nested"]),
            ("RELEASE SAVEPOINT one", None),
        )
        hold("row", lock_reservation(ids["row"]))
        hold("shared", lock_reservation(ids["shared"], "SHARE"))
        key = transaction(db, lock_reservation(ids["shared"], "KEY SHARE"))
        stack.enter_context(key)  # in nobody's way
        hold("counter", lock_product(product_of["counter"]))
        hold("inside", lock_cart(ids["inside"]))
        for kind, lock in (
            ("prepared", lock_reservation(ids["prepared"])),
            ("inside prepared", lock_cart(ids["inside prepared"])),
        ):
            conn = hold(kind, lock)
            conn.execute(f"PREPARE TRANSACTION 'gid of {kind}'")
            stack.callback(db.conn.execute, f"ROLLBACK PREPARED 'gid of {kind}'")
        shop.bulk_reserve(other_db, 10, [shop.add_product(other_db)])
        migration = stack.enter_context(transaction(other_db))
        migration.execute("LOCK TABLE inventory_reservations IN ACCESS EXCLUSIVE MODE")
        without_redis = sweeper(*ALONE, dsn=other_db.dsn, redis_url="redis://127.0.0.1:1")
        mirror(db, redis, *ids.values(), other)
        daemon = sweeper(*ALONE, http=True, dsn=db.dsn)
        wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the other one")
        wait_until(lambda: metric(daemon, "locked_reservations") == len(kinds), 10, "counted")
        shown = {x["reservationId"] for x in status(daemon)["lockedReservations"]}
        assert shown == set(ids.values())
        assert not daemon.find(MESSAGE)

        def said() -> dict[str, dict[str, Any]]:
            return {r["reservationId"]: r for r in daemon.find(MESSAGE)}

        wait_until(lambda: said().keys() == set(ids.values()), 45, "each is said")
        for kind, id in ids.items():
            record = said()[id]
            assert record["level"] == "WARN" and 30 <= record["lockedSeconds"] < 30 + within(15)
            assert record["productId"] == product_of[kind], record
            assert record["blockerUser"] == "shop", record
            if "prepared" in kind:
                assert record["blockerGid"] == f"gid of {kind}" and "blockerPid" not in record
            else:
                assert record["blockerPid"] == pids[kind], (kind, record, pids)
                assert record["blockerApplication"] == f"holder of {kind}"
        entry = next(
            x for x in status(daemon)["lockedReservations"] if x["reservationId"] == ids["row"]
        )
        assert entry["blockerPid"] == pids["row"] and entry["lockedSeconds"] > 30
        assert entry["lockedSince"].endswith("Z")
        assert metric(daemon, "locked_seconds") > 30
        code, body = daemon.http("/readyz")
        assert code == 200 and json.loads(body)["locked"] == len(kinds)
        assert metric(daemon, "overdue_seconds") == 0
        record = without_redis.wait_for_record("A table is held locked", 5)
        assert record["table"] == "inventory_reservations"
        assert record["blockerPid"] == migration.info.backend_pid
        holds(lambda: len(daemon.find(MESSAGE)) == len(kinds), 6, "logged once")
        assert not daemon.find(OVER)
    wait_until(lambda: is_empty(redis), 15, "all are released")
    assert daemon.wait_for_record(OVER)["reservations"] == len(kinds)
    wait_until(lambda: metric(daemon, "locked_reservations") == 0, 5, "none is left")
    assert metric(daemon, "locked_seconds") == 0
    assert status(daemon)["lockedReservations"] == []
    shop.check_stock_adds_up(db)
    without_redis.wait_for_record("No table is held locked any more", 20)
    daemon.stop()
    without_redis.stop()
    db.drop()
    other_db.drop()
