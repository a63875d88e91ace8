"""How late a release commits, by Postgres's commit timestamps, and what that costs: reservations
that fall due evenly, at several rates; and many that fall due at the same moment."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any

from bed import PENDING, Bed, TooLate, sleep_until_server, verify
from data import Data
from drain import RELEASE_ALL
from harness.poll import wait_until
from harness.database import Database
from measure import cpu_s, percentile, spent
from runner import Figures, Measurement, Medians, Target, Variant

SECONDS, SECONDS_QUICK = 12, 5
MARGIN_S = 0.5
# Time to make them, and to fill Redis, before the first is due.
LEAD_S, LEAD_S_FOR_ONE = 3.0, 1 / 40_000
PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)
SHOWN = ("p50, ms", "p99, ms", "p99.9, ms", "max, ms")


def percentiles(late_ms: list[float]) -> Figures:
    shares = {f"p{p}, ms": percentile(late_ms, p / 100) for p in PERCENTILES}
    return {**shares, "max, ms": late_ms[-1]}


def start_moment_s(bed: Bed, n: int) -> float:
    """When the first will be due, on Postgres's clock."""
    with bed.pg.connect("postgres") as conn:
        row = conn.execute(
            "SELECT ceil(extract(epoch FROM clock_timestamp()) + %s)::float8",
            (LEAD_S + n * LEAD_S_FOR_ONE,),
        ).fetchone()
    assert row is not None
    return float(row[0])


def mirrored(bed: Bed, db: Database, n: int, by_api: bool) -> None:
    """All are in Redis, by the API or by the feed of the sweeper that runs, before any is due."""
    if by_api:
        bed.mirror(db)
    with bed.redis.client() as client:
        try:
            wait_until(lambda: client.zcard(PENDING) == n, 30, f"{n} are in Redis")
        except AssertionError as error:
            raise TooLate(str(error)) from error


@dataclass(frozen=True)
class Steady:
    """What falls due evenly, who mirrors it, and how the sweeper is run."""

    rate_per_s: int
    settings: tuple[str, ...]
    by_api: bool = False
    api_indexes: bool = False
    rows: int = 1
    pooled: bool = False


def steady(bed: Bed, what: Steady, seconds: int) -> Figures:
    n = what.rate_per_s * seconds
    first_s = start_moment_s(bed, n * what.rows)
    expires = f"to_timestamp({first_s:.0f}) + i * interval '{1 / what.rate_per_s:f} s'"
    settings = [*what.settings, *(("--lookahead", "off") if what.by_api else ())]
    with contextlib.ExitStack() as stack:
        data = Data(n, expires, api_indexes=what.api_indexes, rows=what.rows)
        db = stack.enter_context(bed.fresh(data))
        dsn = stack.enter_context(bed.pooled(db)) if what.pooled else db.dsn
        with bed.sweeper(db, *settings, dsn=dsn) as sweeper:
            mirrored(bed, db, n, what.by_api)
            sleep_until_server(db.conn, first_s - MARGIN_S)
            used_s = {**bed.cpu_s(), "sweeper, CPU s": cpu_s(sweeper.pid)}
            sleep_until_server(db.conn, first_s + seconds + MARGIN_S)
            used_s = spent(used_s, {**bed.cpu_s(), "sweeper, CPU s": cpu_s(sweeper.pid)})
            late_ms = verify(db, bed.redis, n)
        transactions = db.value(
            "SELECT count(DISTINCT xmin::text) FROM inventory_reservations"
            " WHERE status = 'released'"
        )
    watched_s = seconds + 2 * MARGIN_S
    return {
        **percentiles(late_ms),
        **{name.replace("CPU s", "cores"): value / watched_s for name, value in used_s.items()},
        "in a transaction": n / int(str(transactions)),
    }


def variant(rate: int, *settings: str, **others: Any) -> Variant:
    what = Steady(rate, settings, **others)

    def run(bed: Bed, quick: bool) -> Figures:
        return steady(bed, what, SECONDS_QUICK if quick else SECONDS)

    return run


def name(rate: int, pace: str, addition: str = "") -> str:
    return f"{rate:,} a second, {pace}{addition}"


NOW, PACED = "--pace 0ms", "default pace"
API, INDEXES, UNNAMED = ", API mirrors", ", API's own indexes", ", no named statements"
ROWS, POOLED = ", of three rows each", ", through PgBouncer"
# The one that is not the default.
COMMIT = ("--synchronous-commit", "off")
OTHER_COMMIT = ", " + " ".join(COMMIT)


def limit(variant_name: str, figure: str, at_most: float) -> Target:
    return Target(f"{variant_name}: {figure}", lambda m: m[variant_name][figure], at_most)


def limits(variant_name: str, **at_most: float) -> list[Target]:
    return [limit(variant_name, f"{what}, ms", ms) for what, ms in at_most.items()]


LATENESS = Measurement(
    name="lateness",
    title="Reservations fall due evenly for 12 s, mirrored by the feed (--quick: 5 s)",
    variants={
        name(1, PACED): variant(1),
        **{name(rate, NOW): variant(rate, "--pace", "0ms") for rate in (200, 1000, 5000, 10000)},
        **{name(rate, PACED): variant(rate) for rate in (200, 1000, 5000, 10000)},
        name(1000, NOW, API): variant(1000, "--pace", "0ms", by_api=True),
        name(1000, PACED, API): variant(1000, by_api=True),
        name(1000, PACED, INDEXES): variant(1000, api_indexes=True),
        name(1000, NOW, UNNAMED): variant(1000, "--pace", "0ms", "--prepare", "off"),
        name(1000, PACED, UNNAMED): variant(1000, "--prepare", "off"),
        name(1000, NOW, OTHER_COMMIT): variant(1000, "--pace", "0ms", *COMMIT),
        name(1000, PACED, OTHER_COMMIT): variant(1000, *COMMIT),
        name(1000, NOW, ROWS): variant(1000, "--pace", "0ms", rows=3),
        name(1000, PACED, ROWS): variant(1000, rows=3),
        name(1000, NOW, POOLED): variant(1000, "--pace", "0ms", pooled=True),
        name(1000, PACED, POOLED): variant(1000, pooled=True),
    },
    compared=(name(1000, NOW), name(1000, PACED), name(10000, NOW)),
    targets=[
        *limits(name(1000, NOW), p50=0.6, p99=2.5),
        *limits(name(1000, PACED), p50=3.5, p99=6.5),
        limit(name(1000, PACED), "Postgres, cores", 0.15),
        *limits(name(10000, NOW), p99=10),
    ],
    shown=(*SHOWN, "Postgres, cores", "Redis, cores", "sweeper, cores", "in a transaction"),
)

BURST = 20_000
STATEMENT, BURST_DEFAULT = "one SQL statement", "sweeper"


def burst_by_statement(bed: Bed, _quick: bool) -> Figures:
    with bed.fresh(Data(BURST)) as db:
        used_s = bed.cpu_s()
        begin = time.perf_counter()
        db.conn.execute(RELEASE_ALL)
        took_ms = (time.perf_counter() - begin) * 1000
        used_s = spent(used_s, bed.cpu_s())
        verify(db, bed.redis, BURST)
    return {**percentiles([took_ms]), **used_s}


def burst(*settings: str) -> Variant:
    def run(bed: Bed, _quick: bool) -> Figures:
        due_s = start_moment_s(bed, BURST)
        with bed.fresh(Data(BURST, f"to_timestamp({due_s:.0f})")) as db:
            with bed.sweeper(db, *settings) as sweeper:
                mirrored(bed, db, BURST, False)
                sleep_until_server(db.conn, due_s - MARGIN_S)
                used_s, own_s = bed.cpu_s(), cpu_s(sweeper.pid)
                sleep_until_server(db.conn, due_s + 2 * MARGIN_S)
                late_ms = verify(db, bed.redis, BURST)
                used_s = spent(used_s, bed.cpu_s())
                own_s = cpu_s(sweeper.pid) - own_s
        return {**percentiles(late_ms), **used_s, "sweeper, CPU s": own_s}

    return run


def times_statement(m: Medians) -> float:
    return m[BURST_DEFAULT]["max, ms"] / m[STATEMENT]["max, ms"]


BURSTS = Measurement(
    name="burst",
    title="20,000 reservations fall due at the same moment, mirrored by the feed",
    variants={
        STATEMENT: burst_by_statement,
        BURST_DEFAULT: burst(),
        "sweeper, --pace 0ms": burst("--pace", "0ms"),
        "sweeper, --workers 2 --batch-size 5000": burst("--workers", "2", "--batch-size", "5000"),
    },
    repeated=(STATEMENT,),
    compared=(BURST_DEFAULT,),
    targets=[Target("sweeper: its last against the statement", times_statement, 1.5)],
    shown=(*SHOWN, "Postgres, CPU s", "Redis, CPU s", "sweeper, CPU s"),
)
