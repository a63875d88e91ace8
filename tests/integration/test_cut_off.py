"""A sweeper that is suspended in the middle of what it sends: Postgres waits for the rest, with its locks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.checking import dsn_of
from harness.database import Database
from harness.poll import wait_until
from harness.proxy import CLIENT, Connection, Proxy
from harness.queue import is_empty, mirror
from harness.servers import Postgres
from harness.sweeper import ALONE, Run, Start, Sweeper

SYNC = b"S\x00\x00\x00\x04"
ENDED = "its session was ended"
NOT_OURS = "A session that this role may not end has the lock"
LEASED = (*ALONE, "--lease", "1s")


class Cut(Proxy):
    """Of the first release one part passes, and nothing after it: up to the statement's own text, or all but
    the Sync that would commit it. Without a limit Postgres does not end it by itself, as before version 17."""

    def __init__(self, port: int, part: str) -> None:
        super().__init__(port)
        self.part = part
        self.limit = False
        self.done = threading.Event()
        self._victim: Connection | None = None
        self._kept = b""

    def judge(self, connection: Connection, sender: str, data: bytes) -> bytes:
        if sender != CLIENT or self._victim not in (None, connection):
            return data
        if not self.limit:
            data = data.replace(b">= 170000", b">= 999999")
        begins = data.find(b"rs$seen")
        if self._victim is None and begins >= 0:
            self._victim = connection
            if self.part == "settings":
                self._kept = data[begins:]
                self.done.set()
                return data[:begins]
        elif self._victim is None:
            return data
        if self.done.is_set():
            return b""
        data = self._kept + data
        passes, self._kept = data[: -len(SYNC)], data[-len(SYNC) :]
        if self._kept == SYNC:
            self.done.set()
        return passes


def suspended(db: Database, redis: redis_py.Redis, daemon: Sweeper, cut: Cut, n: int) -> None:
    """In the middle of a release of n reservations."""
    mirror(db, redis, *shop.bulk_reserve(db, n, shop.add_products(db, 3, stock=1000)))
    assert cut.done.wait(20)
    os.kill(daemon.pid, signal.SIGSTOP)


def released(db: Database) -> int:
    return shop.count_status(db, "released")


@pytest.fixture
def cut(pg_server: Postgres, part: str) -> Iterator[Cut]:
    with Cut(pg_server.port, part) as proxy:
        yield proxy


@pytest.mark.parametrize(("n", "part"), [(20, "settings"), (20, "all but the end"), (500, "all but the end")])
def test_another_goes_on(db: Database, redis: redis_py.Redis, sweeper: Start, cut: Cut, n: int) -> None:
    """It ends the transaction, of which nothing was committed; whose it was goes on as well when it can."""
    first = sweeper(*LEASED, dsn=cut.through(db.dsn))
    suspended(db, redis, first, cut, n)
    try:
        second = sweeper(*LEASED)
        wait_until(lambda: released(db) == n, 40, "the other has released them")
        said = second.wait_for_record(ENDED)
        assert said["level"] == "WARN" and said["transactionSeconds"] >= 10
        assert said["blockerApplication"].startswith("reservation-sweeper worker")
        assert not first.find("Postgres connection lost"), first.tail()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    shop.check_stock_adds_up(db)
    mirror(db, redis, *shop.bulk_reserve(db, n, shop.add_products(db, 3, stock=1000)))
    wait_until(lambda: released(db) == 2 * n and is_empty(redis), 20, "both go on")
    shop.check_stock_adds_up(db)
    assert len(second.find(ENDED)) == 1
    assert first.stop() == 0 and second.stop() == 0


@pytest.mark.parametrize(("n", "part"), [(20, "all but the end")])
def test_alone(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, cut: Cut, n: int) -> None:
    """From 17 on Postgres ends it; before, whoever comes."""
    cut.limit = True
    first = sweeper(*LEASED, dsn=cut.through(db.dsn))
    suspended(db, redis, first, cut, n)
    try:
        if db.conn.info.server_version >= 170000:
            in_hand = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            wait_until(lambda: db.value(in_hand) == 0, 40, "its locks are gone")
        done = run("--once")
        assert done.record("Cleanup job completed")["cleanedCount"] == n
    finally:
        os.kill(first.pid, signal.SIGCONT)
    shop.check_stock_adds_up(db)


def test_a_row_alone(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """As a reconciliation's session may have it locked, without the lock of releases."""
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0)
    dsn = f"{db.dsn}?application_name=reservation-sweeper%20reconcile"
    with pytest.raises(psycopg.OperationalError), psycopg.connect(dsn) as conn, conn.pipeline():
        conn.execute("SELECT FROM inventory_reservations WHERE id = %s FOR UPDATE", (id,))
        conn.pgconn.send_flush_request()
        conn.pgconn.flush()
        daemon = sweeper()
        mirror(db, redis, id)
        said = daemon.wait_for_record(ENDED, 40)
        assert said["blockerPid"] == conn.info.backend_pid
        assert said["blockerApplication"] == "reservation-sweeper reconcile"
        wait_until(lambda: released(db) == 1, 20, "it is free")
        conn.execute("SELECT 1")


def test_at_work(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """However long it takes, and though it has the lock of releases."""
    mirror(db, redis, shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0))
    dsn = f"{db.dsn}?application_name=reservation-sweeper%20worker"
    with psycopg.connect(dsn) as conn:
        daemon = sweeper()
        conn.execute("SELECT pg_advisory_xact_lock(1920169843), pg_sleep(17)")
        assert released(db) == 0 and not daemon.find(ENDED)
    wait_until(lambda: released(db) == 1, 20, "its end was enough")


@pytest.mark.usefixtures("role")
def test_another_role(db: Database, redis: redis_py.Redis, sweeper: Start, pg_server: Postgres) -> None:
    """It may not be ended, which is said."""
    with Cut(pg_server.port, "settings") as cut:
        first = sweeper(*LEASED, dsn=cut.through(db.dsn))
        suspended(db, redis, first, cut, 20)
        try:
            second = sweeper(*LEASED, dsn=dsn_of(db))
            said = second.wait_for_record(NOT_OURS, 40)
            pid = said["blockerPid"]
            assert said["level"] == "WARN" and said["awaySeconds"] >= 10
            user = db.value("SELECT usename FROM pg_stat_activity WHERE pid = %s", (pid,))
            assert said["blockerUser"] == user
            assert released(db) == 0 and not second.find(ENDED)
            db.value("SELECT pg_terminate_backend(%s)", (pid,))
            wait_until(lambda: released(db) == 20, 20, "its end is enough")
            over = second.wait_for_record("No session that this role may not end has the lock of releases any more", 20)
            assert over["awaySeconds"] >= said["awaySeconds"]
        finally:
            os.kill(first.pid, signal.SIGCONT)
    shop.check_stock_adds_up(db)
