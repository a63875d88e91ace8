"""A backlog of stale reservations: the sweeper against one statement that releases them all, and
against a program that does nothing but send ids to Postgres.
"""

from __future__ import annotations

import itertools
import subprocess
import time
from pathlib import Path

from bed import CLEAN, INFLIGHT, PENDING, Bed, verify
from data import Data
from harness.database import Database
from harness.poll import wait_until
from harness.sweeper import binary
from measure import spent
from runner import Figures, Measurement, Medians, Target, Variant

N, N_QUICK = 100_000, 20_000
STATEMENT, BARE = "one SQL statement", "bare libpq, 2 connections of 5,000"
SWEEPER, TWO, LARGE = "sweeper", "sweeper, --workers 2", "the same, --batch-size 5000"
FIRST_TO_LAST, PER_S = "first to last, s", "a second"

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


def figures(n: int, took_s: float, cpu_s: dict[str, float]) -> Figures:
    return {FIRST_TO_LAST: took_s, PER_S: n / took_s, **cpu_s}


def one_statement(bed: Bed, what: Data) -> Figures:
    with bed.copy(what) as db:
        assert bed.mirror(db) == what.n
        cpu_s = bed.cpu_s()
        begin = time.perf_counter()
        db.conn.execute(RELEASE_ALL)
        took_s = time.perf_counter() - begin
        cpu_s = spent(cpu_s, bed.cpu_s())
        verify(db, bed.redis, what.n)
    return figures(what.n, took_s, cpu_s)


def bare(bed: Bed, what: Data) -> Figures:
    with bed.copy(what) as db:
        rows = db.query("SELECT id::text FROM inventory_reservations")
        ids = "".join(f"{id}\n" for (id,) in rows)
        program = Path(binary()).parent / "bench" / "bare_release"
        cpu_s = bed.cpu_s()
        done = subprocess.run(
            [program, db.dsn, "2", "5000"],
            input=ids, check=True, capture_output=True, text=True, env=CLEAN,
        )  # fmt: skip
        cpu_s = spent(cpu_s, bed.cpu_s())
        took_s, own_s, released = (float(word) for word in done.stdout.split())
        assert released == what.n
        verify(db, bed.redis, what.n)
    return figures(what.n, took_s, {**cpu_s, "releasing program, CPU s": own_s})


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
            lambda: client.zcard(PENDING) + client.zcard(INFLIGHT) <= left,
            300,
            "the backlog is drained",
        )


def sweepers_drain(bed: Bed, what: Data, n: int, *settings: str) -> Figures:
    with bed.copy(what) as db:
        assert bed.mirror(db) == what.n
        cpu_s = bed.cpu_s()
        begin = time.perf_counter()
        with bed.sweepers(db, n, *settings) as sweepers:
            until_drained(bed)
            wall_s = time.perf_counter() - begin
            cpu_s = spent(cpu_s, bed.cpu_s())
            own_s = sum(sweeper.cpu_seconds() for sweeper in sweepers)
        verify(db, bed.redis, what.n)
        took_s = release_span_s(db)
    return {
        **figures(what.n, took_s, {**cpu_s, "releasing program, CPU s": own_s}),
        "from start to empty, s": wall_s,
    }


def backlog(quick: bool, zipf: bool = False, api_indexes: bool = False) -> Data:
    return Data(N_QUICK if quick else N, zipf=zipf, api_indexes=api_indexes)


def sweeper_variant(n: int, *settings: str, zipf: bool = False, api: bool = False) -> Variant:
    return lambda bed, quick: sweepers_drain(bed, backlog(quick, zipf, api), n, *settings)


AT_MOST = {SWEEPER: 2.0, TWO: 1.5, LARGE: 1.0}


def ratio(name: str) -> Target:
    def value(m: Medians) -> float:
        return m[name][FIRST_TO_LAST] / m[STATEMENT][FIRST_TO_LAST]

    return Target(f"{name}: times the statement", value, AT_MOST[name])


def against_statement(name: str, title: str, zipf: bool, api: bool) -> Measurement:
    two = ("--workers", "2")
    return Measurement(
        name=name,
        title=f"100,000 stale reservations of 1,000 products, {title} (--quick: 20,000)",
        variants={
            STATEMENT: lambda bed, quick: one_statement(bed, backlog(quick, zipf, api)),
            BARE: lambda bed, quick: bare(bed, backlog(quick, zipf, api)),
            SWEEPER: sweeper_variant(1, zipf=zipf, api=api),
            TWO: sweeper_variant(1, *two, zipf=zipf, api=api),
            LARGE: sweeper_variant(1, *two, "--batch-size", "5000", zipf=zipf, api=api),
        },
        targets=[ratio(SWEEPER), ratio(TWO), ratio(LARGE)],
    )


DRAINS = [
    against_statement(f"drain-{products}-{indexes}", f"{how}, {whose}", products == "zipf", api)
    for (products, how), (indexes, whose, api) in itertools.product(
        (("uniform", "evenly popular"), ("zipf", "popular by Zipf's law")),
        (("schema", "indexes of sql/schema.sql", False), ("api", "an API's own indexes", True)),
    )
]

WORKERS = Measurement(
    name="workers",
    title="The same, evenly popular, by workers and batch size",
    variants={
        f"--workers {workers} --batch-size {size}": sweeper_variant(
            1, "--workers", str(workers), "--batch-size", str(size)
        )
        for workers in (1, 2, 4, 8)
        for size in (50, 500, 5000)
    },
)

SWEEPERS = Measurement(
    name="sweepers",
    title="The same, by the number of sweepers with default settings",
    variants={f"{n} sweeper{'s' if n > 1 else ''}": sweeper_variant(n) for n in (1, 2, 4)},
)
