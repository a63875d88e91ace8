"""Limits of the machine: open files, a full disk, thousands of sessions. (Memory: tests/memory.)"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from bed import Bed, complaints
from harness import process, shop
from harness.poll import holds, until_ready, wait_until
from harness.queue import FAILED, PENDING, mirror
from harness.servers import Redis
from harness.sweeper import Sweeper, binary, run_once
from mounts import need_mounts
from small_disk import SmallDisk

SWEEPERS = "application_name LIKE 'reservation-sweeper%'"


def limit_files(daemon: Sweeper, most: int) -> None:
    hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (most, hard))


def last_error(daemon: Sweeper) -> dict[str, object]:
    return [r for r in daemon.records if r["level"] == "ERROR"][-1]


@pytest.mark.parametrize("mode", ["", "--once", "--reconcile"])
@pytest.mark.parametrize("most", [8, 16, 31])
def test_too_few_files_at_start(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, mode: str, most: int
) -> None:
    monkeypatch.setenv("RS_WRAPPER", f"prlimit --nofile={most}:{most}")
    daemon = bed.start(*filter(None, [mode]))
    daemon.expected_status = None
    assert daemon.wait(10) == 1
    error = last_error(daemon)
    assert error["message"] == "The limit of open files (ulimit -n) is too low"
    assert (error["limit"], error["needed"]) == (most, 32)


def test_just_enough_files(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to be needed is: everything works with it."""
    monkeypatch.setenv("RS_WRAPPER", "prlimit --nofile=32:32")
    quick = ("--feed-interval", "1s")  # a suspect of a reconciliation's has two of them
    daemon = bed.start(*quick, http=True, env={"SWEEPER_ADMIN_TOKEN": "0123456789abcdef"})
    until_ready(daemon)
    ids = bed.stream(40, rate=100)
    assert daemon.http("/sweep", "POST", "0123456789abcdef")[0] == 200
    assert daemon.http("/reconcile", "POST", "0123456789abcdef")[0] == 202
    wait_until(lambda: len(bed.lateness()) == len(ids), 10, "released")
    daemon.wait_for_record("Reconciliation completed", 20)
    assert not [c for c in complaints(daemon.records) if "open files" in c]
    bed.check_settled()


@pytest.mark.short
def test_files_run_out_while_running(bed: Bed) -> None:
    """Clients take every descriptor that is left, and all connections are lost then."""
    daemon = bed.start(http=True)
    until_ready(daemon)
    open_before = process.open_files(daemon.pid)
    limit_files(daemon, open_before + 3)
    with contextlib.ExitStack() as clients:
        for _ in range(12):
            client = socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5)
            clients.callback(client.close)
        wait_until(lambda: process.open_files(daemon.pid) >= open_before + 3, 5, "none is left")
        cpu, records, since = daemon.cpu_seconds(), len(daemon.records), time.monotonic()
        bed.db.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SWEEPERS}")
        bed.redis.client_kill_filter(skipme=True, _type="normal")
        ids = bed.stream(100, rate=50)
        # What it closed is there for its own connections; whoever is faster.
        wait_until(lambda: len(bed.lateness()) == len(ids), 20, "released", step=0.05)
        assert daemon.running
        elapsed = time.monotonic() - since
        assert daemon.cpu_seconds() - cpu < 0.5 * elapsed, "it turns in circles"
        assert len(daemon.records) - records < 40
    limit_files(daemon, 1024)
    until_ready(daemon)
    wait_until(lambda: process.open_files(daemon.pid) <= open_before + 1, 15, "all given back")
    bed.check_settled()


@pytest.mark.short
def test_no_room_to_spill(bed: Bed) -> None:
    """Postgres refuses every release with an error of that class, and no reservation is refused: here by
    temp_file_limit, with a trigger that has to spill. That needs no root."""
    ids = shop.bulk_reserve(bed.db, 50, bed.products, "clock_timestamp()")
    bed.db.conn.execute(
        """
        CREATE FUNCTION spill() RETURNS trigger LANGUAGE plpgsql SET work_mem = '64kB'
            SET temp_file_limit = '100kB' AS $$BEGIN
            PERFORM * FROM generate_series(1, 100000) AS i ORDER BY -i;
            RETURN NULL;
        END$$;
        CREATE TRIGGER spill AFTER UPDATE ON inventory_reservations EXECUTE FUNCTION spill()
        """
    )
    daemon = bed.start()
    record = daemon.wait_for_record("Postgres cannot release at present")
    assert (record["level"], record["sqlstate"][:2]) == ("ERROR", "53")
    wait_until(lambda: bed.redis.zcard(PENDING) == len(ids), 5, "all wait")
    assert not bed.redis.exists(FAILED)
    bed.db.conn.execute("DROP FUNCTION spill CASCADE")
    bed.check_settled()
    assert not [r for r in daemon.records if "refused" in r["message"]]


@pytest.fixture
def cramped(hurt_redis: Redis) -> Iterator[Bed]:
    """Its tables are on a file system that can be filled up."""
    need_mounts()
    server = SmallDisk(fsync=False)
    server.start()
    try:
        server.create_tablespace()
        one = Bed(server, hurt_redis)
        server.move_tables(one.db.conn)
        yield one
        one.close()
    finally:
        server.close()


def test_a_full_disk(cramped: Bed) -> None:
    """There is no room for the released rows: no reservation is refused, and then all are released."""
    bed, disk = cramped, cramped.pg
    assert isinstance(disk, SmallDisk)
    daemon = bed.start(http=True)
    until_ready(daemon)
    ids = shop.bulk_reserve(bed.db, 3000, bed.products, "clock_timestamp() + interval '2 s'")
    mirror(bed.db, bed.redis, *ids)
    disk.fill()
    with pytest.raises(psycopg.errors.DiskFull):
        shop.bulk_reserve(bed.db, 3000, bed.products)
    record = daemon.wait_for_record("Postgres cannot release at present")
    assert (record["level"], record["sqlstate"]) == ("ERROR", "53100")

    since, before = time.monotonic(), len(daemon.records)
    holds(lambda: bed.redis.hlen(FAILED) == 0, 4, "no reservation is refused")
    assert len(daemon.records) - before <= time.monotonic() - since + 2, "a record for each rest"
    assert shop.count_status(bed.db, "released") == 0
    done = run_once("--once", dsn=bed.db.dsn, redis_url=bed.redis_server.url())
    assert done.status == 1
    assert "No space left on device" in done.record("Postgres cannot release")["error"]
    bed.check_always()

    disk.make_room()
    began = time.monotonic()
    wait_until(lambda: bed.overdue() == 0, 5, "on time again")
    print(f"{len(ids)} released {time.monotonic() - began:.2f} s after there was room")
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 5, "and says so")
    again = bed.stream(100, rate=100)
    mirror(bed.db, bed.redis, *again)
    wait_until(lambda: len(bed.lateness()) == len(ids) + len(again), 5, "and as ever")
    assert not daemon.find("refused") and not bed.redis.exists(FAILED)
    bed.check_settled()


def come_and_go(server: str, address: str, n: int, sessions: Callable[[], object]) -> None:
    """sessions.c: not a descriptor, a byte, or a session at the server is left of any."""
    program = subprocess.Popen(
        process.ending_with_parent([Path(binary()).parent / "fault" / "sessions", server, address, str(n)]),
        env=os.environ | {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    told: list[list[int]] = []
    with program, program.stdout as lines:  # type: ignore[union-attr]
        for line in lines:
            told.append([*map(int, line.split()), process.rss_kb(program.pid)])
            wait_until(lambda: sessions() in (0, 1), 5, "the former ones are gone", step=0.001)
    assert program.returncode == 0
    wait_until(lambda: sessions() == 0, 5, "the last one is gone")
    assert [row[0] for row in told] == [n // 10 * (i + 1) for i in range(10)]
    _, files, heap, rss = zip(*told[1:-1], strict=True)  # the last: is perhaps no more
    print(f"{files} files, {heap} bytes, {rss} kB")
    assert len(set(files)) == 1
    # One byte of each session would be so much. What malloc keeps in a thread's cache for the next one
    # would count as in use, some kB: it keeps none there.
    assert max(heap) - min(heap) < n * 7 // 10 and max(rss) - min(rss) < 300


def test_four_thousand_sessions_of_postgres(bed: Bed) -> None:
    """No more: each is a process of Postgres's, and 40 ms of a processor."""
    backends = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sessions'"
    come_and_go("postgres", bed.db.dsn, 4000, lambda: bed.db.value(backends))


def test_ten_thousand_sessions_of_redis(bed: Bed) -> None:
    def sessions() -> int:
        return len(bed.redis.client_list()) - 1

    come_and_go("redis", bed.redis_server.url(), 10_000, sessions)
