"""What a shop would take in place of the sweeper, on the same data. The programs are in peers/."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bed import Bed, active_due, sleep_until_server, verify
from data import Data
from drain import PER_S, RELEASE_ALL, release_span_s
from harness import process
from harness.database import Database
from harness.poll import wait_until
from lateness import MARGIN_S, SHOWN, percentiles, start_moment_s
from measure import spent
from runner import Figures, Measurement, Variant

N, N_QUICK = 20_000, 3_000
RATE, SECONDS, SECONDS_QUICK = 1000, 20, 3
FOLDER = Path(__file__).parent / "peers"
NODE = shutil.which("node") or "nodejs"
EVERY_S = 1.0

# Starts what releases, then gives how to ask for its processor time.
Start = Callable[[Bed, Database], AbstractContextManager[Callable[[], float]]]


def versions() -> dict[str, str]:
    """Of what is compared."""
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    names = lock[""]["dependencies"]
    node = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True)
    return {
        "node": node.stdout.strip(),
        **{name: lock[f"node_modules/{name}"]["version"] for name in names},
    }


def node(bed: Bed, db: Database, script: str, step: str) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": db.dsn, "REDIS_URL": bed.redis.url()}
    return subprocess.Popen(process.ending_with_parent([NODE, FOLDER / script, step]), env=env)


def peer(script: str) -> Start:
    @contextlib.contextmanager
    def start(bed: Bed, db: Database) -> Iterator[Callable[[], float]]:
        assert node(bed, db, script, "prepare").wait(120) == 0, f"{script} could not prepare"
        worker = node(bed, db, script, "work")
        try:
            yield lambda: process.cpu_seconds(worker.pid)
            assert worker.poll() is None, f"{script} ended by itself"
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()

    return start


@contextlib.contextmanager
def every_second(bed: Bed, db: Database) -> Iterator[Callable[[], float]]:
    """As pg_cron would run it. The thread that sends it costs nothing to speak of."""
    stop = threading.Event()

    def repeat() -> None:
        with db.connect() as conn:
            while not stop.wait(EVERY_S):
                conn.execute(RELEASE_ALL)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield lambda: 0.0
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def sweeper(bed: Bed, db: Database) -> Iterator[Callable[[], float]]:
    with bed.sweeper(db) as daemon:
        yield daemon.cpu_seconds


STARTS: dict[str, Start] = {
    "sweeper": sweeper,
    "one SQL statement every second": every_second,
    "row by row, knex": peer("row-by-row.js"),
    "BullMQ, 50 at once": peer("bullmq.js"),
    "graphile-worker, 10 at once": peer("graphile-worker.js"),
    "pg-boss, 50 at once": peer("pg-boss.js"),
}


def drained(start: Start) -> Variant:
    def run(bed: Bed, quick: bool) -> Figures:
        n = N_QUICK if quick else N
        with bed.copy(Data(n)) as db:
            cpu_s = bed.cpu_s()
            with start(bed, db) as own_cpu_s:
                # Rarely: this reads all that are due.
                wait_until(lambda: active_due(db) == 0, 120, "the backlog is drained", 0.2)
                own_s = own_cpu_s()
            cpu_s = spent(cpu_s, bed.cpu_s())
            verify(db, bed.redis, n)
            took_s = release_span_s(db)
        return {
            "first to last, s": took_s,
            PER_S: n / took_s,
            **cpu_s,
            "releasing program, CPU s": own_s,
        }

    return run


def on_time(start: Start) -> Variant:
    def run(bed: Bed, quick: bool) -> Figures:
        seconds = SECONDS_QUICK if quick else SECONDS
        n = RATE * seconds
        first_s = start_moment_s(bed, n) + PREPARE_S
        expires = f"to_timestamp({first_s:.0f}) + i * interval '{1 / RATE:f} s'"
        with bed.fresh(Data(n, expires)) as db, start(bed, db) as own_cpu_s:
            sleep_until_server(db.conn, first_s - MARGIN_S)
            cpu_s = {**bed.cpu_s(), "its own, CPU s": own_cpu_s()}
            sleep_until_server(db.conn, first_s + seconds + MARGIN_S)
            cpu_s = spent(cpu_s, {**bed.cpu_s(), "its own, CPU s": own_cpu_s()})
            late_ms = verify(db, bed.redis, n)
        watched_s = seconds + 2 * MARGIN_S
        return {
            **percentiles(late_ms),
            **{name.replace("CPU s", "cores"): value / watched_s for name, value in cpu_s.items()},
        }

    return run


# What enters a job for each reservation needs some time for it.
PREPARE_S = 10.0

MEASUREMENTS = (
    Measurement(
        name="peers-drain",
        title="20,000 stale reservations of 1,000 products (--quick: 3,000)",
        variants={name: drained(start) for name, start in STARTS.items()},
        repeated=tuple(STARTS),
    ),
    Measurement(
        name="peers-lateness",
        title="1,000 reservations a second fall due for 20 s (--quick: 3 s)",
        variants={name: on_time(start) for name, start in STARTS.items()},
        repeated=tuple(STARTS),
        shown=(*SHOWN, "Postgres, cores", "Redis, cores", "its own, cores"),
    ),
)
