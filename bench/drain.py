"""A backlog of stale reservations: the sweeper against one statement that releases them all, and
against a program that does nothing but send ids to Postgres.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from bed import CLAIMED, CLEAN, PENDING, Bed, verify
from data import Data
from harness.database import Database
from harness.poll import wait_until
from measure import PROGRAMS, cpu_s, spent
from runner import Figures, Measurement, Medians, Target, Variant

N, N_QUICK = 100_000, 20_000
STATEMENT, BARE = "one SQL statement", "bare libpq, 2 connections of 5,000"
SWEEPER, TWO, LARGE = "sweeper", "sweeper, --workers 2", "the same, --batch-size 5000"
FIRST_TO_LAST, PER_S = "first to last, s", "a second"
REDIS_EACH = "Redis, us an id"

# What a cron job would do at best: no lock skipped, no lease, a product's stock in one update.
RELEASE_ALL = """
    WITH gone AS (
        UPDATE inventory_reservations SET status = 'released', updated_at = now()
        WHERE status = 'active' AND expires_at <= now()
        RETURNING product_id, quantity
    ), units AS (
        SELECT product_id, sum(quantity)::integer AS units FROM gone GROUP BY product_id
    )
    UPDATE inventory SET available_stock = available_stock + units,
        reserved_stock = reserved_stock - units, updated_at = now()
    FROM units WHERE inventory.product_id = units.product_id
"""


def figures(n: int, took_s: float, used_s: dict[str, float]) -> Figures:
    each = {REDIS_EACH: used_s["Redis, CPU s"] / n * 1e6}
    return {FIRST_TO_LAST: took_s, PER_S: n / took_s, **used_s, **each}


def one_statement(bed: Bed, what: Data) -> Figures:
    with bed.copy(what) as db:
        assert bed.mirror(db) == what.n
        used_s = bed.cpu_s()
        begin = time.perf_counter()
        db.conn.execute(RELEASE_ALL)
        took_s = time.perf_counter() - begin
        used_s = spent(used_s, bed.cpu_s())
        verify(db, bed.redis, what.n)
    return figures(what.n, took_s, used_s)


def bare(bed: Bed, what: Data) -> Figures:
    with bed.copy(what) as db:
        rows = db.query("SELECT id::text FROM inventory_reservations")
        ids = "".join(f"{id}\n" for (id,) in rows)
        used_s = bed.cpu_s()
        done = subprocess.run(
            [PROGRAMS / "bare_release", db.dsn, "2", "5000"],
            input=ids, check=True, capture_output=True, text=True, env=CLEAN,
        )  # fmt: skip
        used_s = spent(used_s, bed.cpu_s())
        took_s, own_s, released = (float(word) for word in done.stdout.split())
        assert released == what.n
        verify(db, bed.redis, what.n)
    return figures(what.n, took_s, {**used_s, "releasing program, CPU s": own_s})


def release_span_s(db: Database) -> float:
    """From the first release to the last: updated_at is the start of a row's transaction."""
    (span,) = db.query(
        "SELECT extract(epoch FROM max(pg_xact_commit_timestamp(xmin)) - min(updated_at))::float8"
        " FROM inventory_reservations WHERE status = 'released'"
    )[0]
    return float(span)


def until_drained(bed: Bed, left: int = 0) -> None:
    """Asks Redis: asking Postgres would slow down what is waited for."""
    with bed.redis.client() as client:
        wait_until(
            lambda: sum(client.zcard(key) for key in (PENDING, *CLAIMED)) <= left,
            300,
            "the backlog is drained",
        )


def sweepers_drain(bed: Bed, what: Data, n: int, *settings: str) -> Figures:
    with bed.copy(what) as db:
        assert bed.mirror(db) == what.n
        used_s = bed.cpu_s()
        begin = time.perf_counter()
        with bed.sweepers(db, n, *settings) as sweepers:
            until_drained(bed)
            wall_s = time.perf_counter() - begin
            used_s = spent(used_s, bed.cpu_s())
            own_s = sum(cpu_s(sweeper.pid) for sweeper in sweepers)
        verify(db, bed.redis, what.n)
        took_s = release_span_s(db)
    return {
        **figures(what.n, took_s, {**used_s, "releasing program, CPU s": own_s}),
        "from start to empty, s": wall_s,
    }


@dataclass(frozen=True)
class Table:
    """What is drained: how popular the products are, and what the table's keys are like."""

    title: str
    zipf: bool = False
    api_indexes: bool = False
    unique: bool = False

    def data(self, quick: bool) -> Data:
        n = N_QUICK if quick else N
        return Data(n, zipf=self.zipf, api_indexes=self.api_indexes, unique=self.unique)


def drained(table: Table, n: int, *settings: str) -> Variant:
    return lambda bed, quick: sweepers_drain(bed, table.data(quick), n, *settings)


SCHEMA = Table("evenly popular, indexes of sql/schema.sql")
TABLES = {
    "drain-uniform-schema": SCHEMA,
    "drain-uniform-unique": Table("evenly popular, the same, the key is the id alone", unique=True),
    "drain-uniform-api": Table("evenly popular, an API's own indexes", api_indexes=True),
    "drain-zipf-schema": Table("popular by Zipf's law, indexes of sql/schema.sql", zipf=True),
    "drain-zipf-api": Table(
        "popular by Zipf's law, an API's own indexes", zipf=True, api_indexes=True
    ),
}
# How long it may take, in times of the statement; what a release may cost Redis.
AT_MOST = {
    "drain-uniform-schema": {SWEEPER: 2.0, LARGE: 1.5},
    "drain-uniform-unique": {SWEEPER: 2.0, LARGE: 1.3},
    "drain-uniform-api": {SWEEPER: 1.3, LARGE: 0.9},
}
REDIS_AT_MOST_US = 2.5


def ratio(name: str, at_most: float) -> Target:
    def value(m: Medians) -> float:
        return m[name][FIRST_TO_LAST] / m[STATEMENT][FIRST_TO_LAST]

    return Target(f"{name}: times the statement", value, at_most)


def targets(name: str) -> list[Target]:
    each = Target(f"{SWEEPER}: {REDIS_EACH}", lambda m: m[SWEEPER][REDIS_EACH], REDIS_AT_MOST_US)
    found = [ratio(*one) for one in AT_MOST.get(name, {}).items()]
    return [*found, each] if TABLES[name] is SCHEMA else found


def against_statement(name: str, table: Table) -> Measurement:
    two = ("--workers", "2")
    return Measurement(
        name=name,
        title=f"100,000 stale reservations of 1,000 products, {table.title} (--quick: 20,000)",
        variants={
            STATEMENT: lambda bed, quick: one_statement(bed, table.data(quick)),
            BARE: lambda bed, quick: bare(bed, table.data(quick)),
            SWEEPER: drained(table, 1),
            TWO: drained(table, 1, *two),
            LARGE: drained(table, 1, *two, "--batch-size", "5000"),
        },
        repeated=(STATEMENT, BARE) if name in AT_MOST else (),
        compared=(SWEEPER, TWO, LARGE) if name in AT_MOST else (),
        targets=targets(name),
    )


DRAINS = [against_statement(name, table) for name, table in TABLES.items()]

WORKERS = Measurement(
    name="workers",
    title="The same, evenly popular, by workers and batch size",
    variants={
        f"--workers {workers} --batch-size {size}": drained(
            SCHEMA, 1, "--workers", str(workers), "--batch-size", str(size)
        )
        for workers in (1, 2, 4, 8)
        for size in (50, 500, 5000)
    },
)

SWEEPERS = Measurement(
    name="sweepers",
    title="The same, by the number of sweepers with default settings",
    variants={f"{n} sweeper{'s' if n > 1 else ''}": drained(SCHEMA, n) for n in (1, 2, 4)},
)
