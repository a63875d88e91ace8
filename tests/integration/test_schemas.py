"""Databases that are not those of sql/schema.sql: used as they are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import sweepers
from harness.poll import wait_until
from harness.queue import is_empty, mirror
from harness.sweeper import Run, Start

NO_STATUS_RULES = """
    ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_status_check;
    DROP INDEX inventory_reservations_due, inventory_reservations_active_product;
    ALTER TABLE inventory_reservations ALTER status DROP DEFAULT;
"""
NO_INDEXES = """
    ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey;
    ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;
    DROP INDEX inventory_reservations_due, inventory_reservations_active_product;
"""

SCHEMAS = {
    "no indexes": NO_INDEXES,
    "an enum": NO_STATUS_RULES
    + """
        CREATE TYPE status AS ENUM ('released', 'active', 'committed');
        ALTER TABLE inventory_reservations ALTER status TYPE status USING status::status,
            ALTER status SET DEFAULT 'active'
    """,
    "varchar": NO_STATUS_RULES
    + """
        ALTER TABLE inventory_reservations ALTER status TYPE varchar(16),
            ALTER status SET DEFAULT 'active'
    """,
    "text products": """
        ALTER TABLE inventory_reservations ALTER product_id TYPE text;
        ALTER TABLE inventory ALTER product_id TYPE text
    """,
    "wide numbers": """
        ALTER TABLE inventory_reservations ALTER quantity TYPE bigint;
        ALTER TABLE inventory ALTER available_stock TYPE bigint, ALTER reserved_stock TYPE bigint,
            ALTER total_stock TYPE bigint
    """,
    "numeric": """
        ALTER TABLE inventory_reservations ALTER quantity TYPE numeric(10, 2);
        ALTER TABLE inventory ALTER available_stock TYPE numeric, ALTER reserved_stock TYPE numeric,
            ALTER total_stock TYPE numeric
    """,
    "domains": """
        CREATE DOMAIN reservation_id AS uuid; CREATE DOMAIN moment AS timestamptz;
        ALTER TABLE inventory_reservations ALTER id TYPE reservation_id,
            ALTER expires_at TYPE moment
    """,
    "partitions": """
        DROP TABLE inventory_reservations;
        CREATE TABLE inventory_reservations (
            id uuid NOT NULL, product_id uuid NOT NULL, quantity integer NOT NULL,
            expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',
            updated_at timestamptz NOT NULL DEFAULT now()
        ) PARTITION BY HASH (product_id);
        CREATE TABLE part_1 PARTITION OF inventory_reservations
            FOR VALUES WITH (MODULUS 3, REMAINDER 0);
        CREATE TABLE part_2 PARTITION OF inventory_reservations
            FOR VALUES WITH (MODULUS 3, REMAINDER 1);
        CREATE TABLE part_3 PARTITION OF inventory_reservations
            FOR VALUES WITH (MODULUS 3, REMAINDER 2)
    """,
    "partitions by status": """
        DROP TABLE inventory_reservations;
        CREATE TABLE inventory_reservations (
            id uuid NOT NULL, product_id uuid NOT NULL, quantity integer NOT NULL,
            expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',
            updated_at timestamptz NOT NULL DEFAULT now()
        ) PARTITION BY LIST (status);
        CREATE TABLE live PARTITION OF inventory_reservations FOR VALUES IN ('active');
        CREATE TABLE past PARTITION OF inventory_reservations DEFAULT
    """,
}


def fill(db: Database) -> list[str]:
    """Sixty reservations that have expired, of one and of two rows."""
    products = shop.add_products(db, 6, stock=1000)
    ids = []
    for n in range(60):
        items = {products[n % 6]: 2} if n % 3 else {products[n % 6]: 1, products[(n + 1) % 6]: 3}
        ids.append(shop.reserve(db, items, ttl_s=-1))
    shop.reserve(db, {products[0]: 1}, ttl_s=600)
    return ids


def check(db: Database) -> None:
    assert shop.statuses(db) == {"released": 80, "active": 1}
    sums = db.query("SELECT sum(available_stock), sum(reserved_stock) FROM inventory")
    assert sums == [(5999, 1)]
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_schema(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, schema: str
) -> None:
    db.conn.execute("SET client_min_messages = error")
    for statement in SCHEMAS[schema].split(";"):
        db.conn.execute(statement)
    ids = fill(db)
    assert run("--check-config").status == 0
    mirror(db, redis, *ids[:30])
    sweeper("--feed-interval", "200ms", "--batch-size", "7")
    wait_until(lambda: shop.count_status(db, "released") == 80, 20, "all releases")
    wait_until(lambda: redis.zcard("{reservations}:pending") <= 1, 5, "settled")
    check(db)


@pytest.mark.parametrize("schema", ["no indexes", "partitions"])
def test_schema_once(db: Database, run: Run, schema: str) -> None:
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(SCHEMAS[schema])
    fill(db)
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 60
    check(db)


def has_compiled(pid: int) -> bool:
    """Whether this backend has compiled anything: the server loads its compiler with the first."""
    return "llvmjit.so" in Path(f"/proc/{pid}/maps").read_text()


def test_never_analyzed(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """The planner knows nothing of the tables and would compile every plan, the catalog's too,
    which takes longer than the whole release; on a busy machine longer than its deadline."""
    for setting in ("jit_optimize_above_cost = 0", "enable_hashjoin = off"):
        db.conn.execute(f"ALTER DATABASE {db.name} SET {setting}")
    # More than the setting that forbids it costs, which would be compiled itself.
    db.conn.execute(f"ALTER DATABASE {db.name} SET jit_above_cost = 1")
    for table in ("inventory", "inventory_reservations"):
        db.conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    products = shop.add_products(db, 2000, stock=10)
    shop.bulk_reserve(db, 50_000, products, "now() + interval '1 day'")
    ids = shop.bulk_reserve(db, 5000, products, "now()")
    mirror(db, redis, *ids)
    sweeper("--lookahead", "off")
    wait_until(lambda: shop.count_status(db, "released") == 5000, 60, "all releases")
    shop.check_stock_adds_up(db)
    assert {has_compiled(pid) for pid in sweepers(db)} == {False}
    with db.server.connect(db.name) as other:
        if other.execute("SELECT pg_jit_available()").fetchone() == (True,):
            shop.count_status(other, "released")
            assert has_compiled(other.info.backend_pid)


@pytest.mark.parametrize("columns", [False, True], ids=["tables", "columns"])
def test_rights_to_select_and_update_are_enough(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, columns: bool
) -> None:
    role = f"{db.name}_only_{'columns' if columns else 'tables'}"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'a password'")
    dsn = f"postgresql://{role}:a%20password@127.0.0.1:{db.server.port}/{db.name}"
    if columns:
        db.conn.execute(
            f"GRANT SELECT, UPDATE (status, updated_at) ON inventory_reservations TO {role};"
            f" GRANT SELECT, UPDATE (available_stock, reserved_stock, updated_at) ON inventory"
            f" TO {role}"
        )
    else:
        db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}")
    done = run("--check-config", dsn=dsn)
    assert done.status == 0, done.stdout
    ids = fill(db)
    mirror(db, redis, *ids)
    sweeper("--feed-interval", "200ms", dsn=dsn)
    wait_until(lambda: shop.count_status(db, "released") == 80, 20, "all releases")
    check(db)


def test_another_schema_in_the_search_path(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    db.conn.execute(
        "CREATE SCHEMA shop; ALTER TABLE inventory SET SCHEMA shop;"
        " ALTER TABLE inventory_reservations SET SCHEMA shop; SET search_path = shop"
    )
    mirror(db, redis, *fill(db))
    sweeper(dsn=db.dsn + "?options=" + quote("-c search_path=shop"))
    wait_until(lambda: shop.count_status(db, "released") == 80, 20, "all releases")
    check(db)
    wait_until(lambda: is_empty(redis), 5, "settled")
