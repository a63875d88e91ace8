"""The test bed: one Postgres and one Redis for all runs, a database of its own for each run."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis as redis_py

import data
from data import Data
from harness import shop
from harness.database import Database
from harness.pgbouncer import PgBouncer
from harness.poll import wait_until
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper, binary
from measure import family_cpu_s

PENDING = "{reservations}:pending"
# What is claimed: by the batch, and by the id as the former program does.
CLAIMED = ("{reservations}:leases", "{reservations}:inflight")
# Postgres's and Redis's own programs, without the settings of whoever runs this.
CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


class Bed:
    """Postgres with fsync and its default settings, but for shared_buffers, which nobody keeps, and
    those that are given by name."""

    def __init__(self, **settings: object) -> None:
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._templates: dict[Data, Database] = {}

    def __enter__(self) -> Bed:
        assert Path(binary()).is_file(), f"there is no {binary()}: run make"
        with self._stack as stack:
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path(binary()).parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            # As root, Postgres runs as another user, who has to come through here.
            folder.chmod(0o711)
            self.pg = Postgres(folder / "postgres", shared_buffers="256MB", **self._settings)
            stack.callback(self.pg.close)
            self.redis = Redis(folder / "redis")
            stack.callback(self.redis.close)
            self.pg.start()
            self.redis.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def fresh(self, what: Data) -> Iterator[Database]:
        """A database made for this run alone, and an empty Redis."""
        self._empty_redis()
        db = Database.create(self.pg)
        try:
            data.make(db.conn, what)
            yield db
        finally:
            db.drop()

    @contextlib.contextmanager
    def copy(self, what: Data) -> Iterator[Database]:
        """The same for every run that asks for the same data; an empty Redis."""
        self._empty_redis()
        if what not in self._templates:
            made = Database.create(self.pg)
            data.make(made.conn, what)
            made.conn.close()
            self._templates[what] = made
        source = self._templates[what].name
        with self.pg.connect("postgres") as conn:
            # Through the log, as Postgres 15 copies by itself, 10 million rows take long.
            how = "STRATEGY file_copy" if conn.info.server_version >= 150000 else ""
            conn.execute("DROP DATABASE IF EXISTS run WITH (FORCE)")
            conn.execute(f"CREATE DATABASE run TEMPLATE {source} {how}")
        db = Database(self.pg, "run", self.pg.connect("run"))
        try:
            data.warm(db.conn)
            yield db
        finally:
            db.drop()

    def _empty_redis(self) -> None:
        with self.redis.client(socket_timeout=60) as client:
            client.flushall()
            client.config_resetstat()

    @contextlib.contextmanager
    def pooled(self, db: Database) -> Iterator[str]:
        """The database's URI through a PgBouncer that pools transactions, with as many connections
        as it has by default."""
        with contextlib.closing(PgBouncer(self.pg, default_pool_size=20)) as pooler:
            pooler.start()
            yield pooler.dsn(db.name)

    @contextlib.contextmanager
    def sweepers(
        self, db: Database, n: int, *args: str, dsn: str | None = None
    ) -> Iterator[list[Sweeper]]:
        """So many at once, connected to both servers; their end must be an orderly one. dsn: another
        way to the database."""
        started = [Sweeper(*args, dsn=dsn or db.dsn, redis_url=self.redis.url()) for _ in range(n)]
        try:
            for sweeper in started:
                sweeper.wait_for_record("Redis connected")
            yield started
            for sweeper in started:
                assert sweeper.stop() == 0, sweeper.tail()
        finally:
            for sweeper in started:
                if sweeper.running:
                    sweeper.kill()

    @contextlib.contextmanager
    def sweeper(self, db: Database, *args: str, dsn: str | None = None) -> Iterator[Sweeper]:
        with self.sweepers(db, 1, *args, dsn=dsn) as (sweeper,):
            yield sweeper

    def cpu_s(self) -> dict[str, float]:
        """Processor time of the servers so far, with their processes that have ended."""
        return {
            "Postgres, CPU s": family_cpu_s(self.pg.pid),
            "Redis, CPU s": family_cpu_s(self.redis.pid),
        }

    def mirror(self, db: Database) -> int:
        """Fills Redis as an API would; how many entries it has then."""
        rows = (
            f"SELECT 'ZADD {PENDING} ' || ceil(extract(epoch FROM expires_at) * 1000)::bigint"
            " || ' ' || id FROM inventory_reservations WHERE status = 'active'"
        )
        psql = [self.pg.bin / "psql", "-X", "-d", db.dsn, "-c", f"COPY ({rows}) TO STDOUT"]
        cli = ["redis-cli", "-p", str(self.redis.port), "--pipe"]
        with subprocess.Popen(psql, stdout=subprocess.PIPE, env=CLEAN) as copy:
            subprocess.run(cli, stdin=copy.stdout, check=True, stdout=subprocess.DEVNULL, env=CLEAN)
        assert copy.returncode == 0
        with self.redis.client() as client:
            return int(client.zcard(PENDING))


class TooLate(AssertionError):
    """The machine was too busy for what has to happen at a certain time: nothing was measured."""


def sleep_until_server(conn: psycopg.Connection, moment_s: float) -> None:
    """Until Postgres's clock shows this, which must be still to come; meanwhile it is not asked."""
    row = conn.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None
    if row[0] >= moment_s:
        raise TooLate(f"the preparation took {row[0] - moment_s:.1f} s too long")
    time.sleep(moment_s - row[0])


def active_due(db: Database) -> int:
    value = db.value(
        "SELECT count(*) FROM inventory_reservations"
        " WHERE status = 'active' AND expires_at <= now()"
    )
    return int(str(value))


def verify(db: Database, redis: Redis, released: int) -> list[float]:
    """What every run must leave behind; returns the lateness in milliseconds, sorted."""
    wait_until(lambda: active_due(db) == 0, 60, "nothing is overdue")
    shop.check_stock_adds_up(db)
    late_ms = [s * 1000 for s in shop.lateness(db)]
    assert len(late_ms) == released, f"{len(late_ms)} released, not {released}"
    assert not late_ms or late_ms[0] >= 0, f"released {-late_ms[0]:.3f} ms early"
    with redis.client() as client:
        failed = client.hlen("{reservations}:failed")
    assert failed == 0, f"{failed} are marked failed"
    return late_ms


def redis_calls(client: redis_py.Redis, *names: str) -> int:
    """Calls of these commands so far; without names, of all but the one that asks this."""
    stats = client.info("commandstats")
    return sum(
        int(value["calls"])
        for name, value in stats.items()
        if (name.removeprefix("cmdstat_") in names if names else name != "cmdstat_info")
    )
