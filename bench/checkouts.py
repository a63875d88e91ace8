"""What customers feel of the sweeper: a checkout load alone, beside releases that fall due evenly,
and beside the draining of a backlog.

Checkouts take the 50 most popular of 1,000 products; what is released is popular by Zipf's law, so
that more than half of it are products that checkouts want at the same time.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

from bed import CLEAN, Bed, sleep_until_server, verify
from data import Data
from drain import release_span_s, until_drained
from harness.database import Database
from lateness import COMMIT, MARGIN_S, OTHER_COMMIT, mirrored, start_moment_s
from measure import PROGRAMS, cpu_s, percentile, spent
from runner import Figures, Measurement, Medians, Target, Variant

CUSTOMERS, POPULAR = 8, 50
SECONDS, SECONDS_QUICK = 12, 5
RATE = 1000
BACKLOG, BACKLOG_QUICK = 300_000, 60_000
ALONE, BESIDE = "alone", "beside 1,000 releases a second"
DRAIN = "beside a drain"


class Load:
    """Checkouts from now on. end() ends them; their times are kept."""

    def __init__(self, db: Database) -> None:
        self._process = subprocess.Popen(
            [PROGRAMS / "checkouts", db.dsn, str(CUSTOMERS), str(POPULAR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=CLEAN,
        )
        self._times: list[tuple[float, float]] = []

    def end(self) -> None:
        said, _ = self._process.communicate()
        assert self._process.returncode == 0, "the checkouts failed"
        self._times = [
            (float(start), float(ms)) for start, ms in (line.split() for line in said.splitlines())
        ]

    def kill(self) -> None:
        """What has ended already does not mind."""
        self._process.kill()
        self._process.wait()

    def figures(self, begin_s: float, end_s: float) -> Figures:
        """Of the transactions that began in this time, by the machine's clock."""
        took_ms = sorted(ms for start, ms in self._times if begin_s <= start < end_s)
        return {
            "p50, ms": percentile(took_ms, 0.5),
            "p99, ms": percentile(took_ms, 0.99),
            "max, ms": took_ms[-1],
            "transactions a second": len(took_ms) / (end_s - begin_s),
        }


@contextlib.contextmanager
def load(db: Database) -> Iterator[Load]:
    checkouts = Load(db)
    try:
        yield checkouts
        checkouts.end()
    finally:
        checkouts.kill()


def alone(bed: Bed, quick: bool) -> Figures:
    seconds = SECONDS_QUICK if quick else SECONDS
    with bed.copy(Data(0, zipf=True)) as db:
        with load(db) as checkouts:
            time.sleep(MARGIN_S)
            used_s, begin_s = bed.cpu_s(), time.time()
            time.sleep(seconds)
            used_s, end_s = spent(used_s, bed.cpu_s()), time.time()
        verify(db, bed.redis, 0)
    return checkouts.figures(begin_s, end_s) | cores(used_s, seconds)


def releases(*settings: str) -> Variant:
    return lambda bed, quick: beside(bed, SECONDS_QUICK if quick else SECONDS, *settings)


def beside(bed: Bed, seconds: int, *settings: str) -> Figures:
    n = RATE * seconds
    first_s = start_moment_s(bed, n)
    expires = f"to_timestamp({first_s:.0f}) + i * interval '{1 / RATE:f} s'"
    with bed.fresh(Data(n, expires, zipf=True)) as db, bed.sweeper(db, *settings) as sweeper:
        mirrored(bed, db, n, False)
        sleep_until_server(db.conn, first_s - MARGIN_S)
        with load(db) as checkouts:
            sleep_until_server(db.conn, first_s)
            used_s, own_s = bed.cpu_s(), cpu_s(sweeper.pid)
            sleep_until_server(db.conn, first_s + seconds)
            used_s = spent(used_s, bed.cpu_s()) | {
                "sweeper, CPU s": cpu_s(sweeper.pid) - own_s
            }
        late_ms = verify(db, bed.redis, n)
    return {
        **checkouts.figures(first_s, first_s + seconds),
        "lateness p50, ms": percentile(late_ms, 0.5),
        "lateness p99, ms": percentile(late_ms, 0.99),
        "releases a second": float(RATE),
        **cores(used_s, seconds),
    }


def drain(*settings: str) -> Variant:
    def run(bed: Bed, quick: bool) -> Figures:
        n = BACKLOG_QUICK if quick else BACKLOG
        with bed.copy(Data(n, zipf=True)) as db:
            assert bed.mirror(db) == n
            with load(db) as checkouts:
                time.sleep(MARGIN_S)
                used_s = bed.cpu_s()
                with bed.sweeper(db, *settings) as sweeper:
                    until_drained(bed)
                    own_s = cpu_s(sweeper.pid)
                used_s = spent(used_s, bed.cpu_s()) | {"sweeper, CPU s": own_s}
            verify(db, bed.redis, n)
            begin_s = float(
                str(
                    db.value(
                        "SELECT extract(epoch FROM min(updated_at)) FROM inventory_reservations"
                        " WHERE status = 'released'"
                    )
                )
            )
            span_s = release_span_s(db)
        return {
            **checkouts.figures(begin_s, begin_s + span_s),
            "releases a second": n / span_s,
            **cores(used_s, span_s),
        }

    return run


def cores(used_s: Figures, seconds: float) -> Figures:
    return {name.replace("CPU s", "cores"): value / seconds for name, value in used_s.items()}


def times_alone(variant: str, at_most: float) -> Target:
    def value(m: Medians) -> float:
        return m[variant]["p99, ms"] / m[ALONE]["p99, ms"]

    return Target(f"{variant}: p99, times that alone", value, at_most)


CHECKOUTS = Measurement(
    name="checkouts",
    title="Checkouts' transactions of 8 customers, 50 popular products",
    variants={
        ALONE: alone,
        BESIDE: releases(),
        BESIDE + OTHER_COMMIT: releases(*COMMIT),
        DRAIN: drain(),
        DRAIN + OTHER_COMMIT: drain(*COMMIT),
        f"{DRAIN}, --workers 2": drain("--workers", "2"),
        f"{DRAIN}, --workers 2 --batch-size 5000": drain(
            "--workers", "2", "--batch-size", "5000"
        ),
    },
    repeated=(ALONE,),
    compared=(BESIDE, DRAIN),
    targets=[times_alone(BESIDE, 1.3), times_alone(DRAIN, 3.0)],
)
