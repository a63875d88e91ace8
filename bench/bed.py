"""The test bed: one Postgres and one Redis for all runs, a fresh database for each run."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import redis as redis_py

from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper, binary
from measure import family_cpu_s

PENDING = "{reservations}:pending"
INFLIGHT = "{reservations}:inflight"
ZADD_CHUNK = 5000


class Bed:
    """Postgres with fsync and its default settings, but for shared_buffers, which nobody keeps."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Bed:
        assert Path(binary()).is_file(), f"there is no {binary()}: run make"
        with self._stack as stack:
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path(binary()).parent))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            # As root, Postgres runs as another user, who has to come through here.
            folder.chmod(0o711)
            self.pg = Postgres(folder / "postgres", shared_buffers="256MB")
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
    def database(self) -> Iterator[Database]:
        """A fresh database with the tables of sql/schema.sql, and an empty Redis."""
        with self.redis.client() as client:
            client.flushall()
            client.config_resetstat()
        db = Database.create(self.pg)
        try:
            yield db
        finally:
            db.drop()

    @contextlib.contextmanager
    def sweeper(self, db: Database, *args: str) -> Iterator[Sweeper]:
        """A sweeper that has connected to both servers; its end must be an orderly one."""
        sweeper = Sweeper(*args, dsn=db.dsn, redis_url=self.redis.url())
        try:
            sweeper.wait_for_record("Redis connected")
            yield sweeper
            status = sweeper.stop()
            assert status == 0, sweeper.tail()
        finally:
            if sweeper.running:
                sweeper.kill()

    def postgres_cpu_s(self) -> float:
        """Processor time of the server's processes, with those that have ended."""
        return family_cpu_s(self.pg.pid)

    def mirror(self, db: Database) -> int:
        """Fills Redis as an API would that mirrors what it reserves."""
        with self.redis.client() as client, db.conn.transaction():
            with db.conn.cursor("due") as cursor:
                cursor.itersize = ZADD_CHUNK
                cursor.execute(
                    "SELECT id::text, ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
                    " FROM inventory_reservations WHERE status = 'active' GROUP BY id"
                )
                total = 0
                while rows := cursor.fetchmany(ZADD_CHUNK):
                    client.zadd(PENDING, dict(rows))
                    total += len(rows)
        return total


def settle_down(conn: psycopg.Connection) -> None:
    """What was prepared in bulk leaves nothing for later: statistics, dirty pages."""
    conn.execute("VACUUM ANALYZE")
    conn.execute("CHECKPOINT")


def sleep_until_server(conn: psycopg.Connection, moment_s: float) -> None:
    """Until Postgres's clock shows this, which must be still to come; meanwhile it is not asked."""
    row = conn.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    assert row is not None
    assert row[0] < moment_s, f"the preparation took {row[0] - moment_s:.1f} s too long"
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
