"""For tests of --check-config: a database that is changed, a role, and the check, which changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis as redis_py

from .database import Database
from .poll import wait_until
from .process import free_port
from .sweeper import Finished, Run

Check = Callable[..., Finished]

NO_STATUS_RULES = """
    DROP INDEX inventory_reservations_due, inventory_reservations_active_product;
    ALTER TABLE inventory_reservations ALTER status DROP DEFAULT,
        DROP CONSTRAINT inventory_reservations_status_check;
"""
# Columns without a meaning, for tables that only have to be there.
RESERVATIONS = """
    id uuid NOT NULL, product_id uuid NOT NULL, quantity integer NOT NULL,
    expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',
    updated_at timestamptz NOT NULL DEFAULT now()
"""
PRODUCT = "INSERT INTO inventory VALUES (gen_random_uuid(), 10, 7, 3);"
HELD = (
    PRODUCT
    + """
    INSERT INTO inventory_reservations (id, product_id, quantity, expires_at, status)
        SELECT gen_random_uuid(), product_id, n, now() - interval '5 min', 'active'
        FROM inventory, generate_series(1, 2) n;
"""
)


def verdicts(done: Finished, verdict: str) -> list[str]:
    return [line.split(None, 1)[1] for line in done.stdout.splitlines() if line.startswith(verdict)]


def prepare(db: Database, sql: str) -> None:
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(sql.format(role=role_of(db), name=db.name) or "SELECT")


def role_of(db: Database) -> str:
    return f"sweeper_{db.name}"


def dsn_of(db: Database) -> str:
    return f"postgresql://{role_of(db)}:pw@127.0.0.1:{db.server.port}/{db.name}"


@pytest.fixture
def role(db: Database) -> Iterator[str]:
    """A role with the documented rights, and no others."""
    name = role_of(db)
    db.conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {name}")
    yield name
    db.conn.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}")
    db.conn.execute(f"DROP ROLE {name}")


def fingerprint(db: Database) -> list[tuple]:
    """Every row of every table, with its place, its writer and its lockers."""
    tables = db.query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        " AND NOT EXISTS (SELECT FROM pg_partitioned_table p"
        "                  WHERE p.partrelid = format('%I.%I', schemaname, tablename)::regclass)"
        " ORDER BY 1"
    )
    sums = "SELECT md5(string_agg(concat(t, ctid, xmin, xmax), ',' ORDER BY ctid)) FROM ONLY {} t"
    return [(table, db.value(sums.format(table))) for (table,) in tables]


@pytest.fixture
def check(db: Database, redis: redis_py.Redis, run: Run) -> Check:
    """Runs the check, which changes nothing."""

    def run_check(*args: str, **options: object) -> Finished:
        before = fingerprint(db)
        options.setdefault("env", {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})
        done = run("--check-config", *args, **options)
        assert fingerprint(db) == before
        wait_until(lambda: redis.dbsize() == 0, 2, "nothing is left but what ends within a millisecond")
        assert done.status == (1 if verdicts(done, "FAIL") else 0), done.stdout + done.stderr
        return done

    return run_check
