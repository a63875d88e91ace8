"""Signals and descriptors as others send and leave them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from itertools import product as combinations

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import SLOW, slow_releases, sweepers
from harness.poll import until_ready, wait_until
from harness.queue import mirror
from harness.servers import Redis
from harness.sweeper import Run, Start, Sweeper, binary, environment

IGNORED = [
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE, signal.SIGVTALRM),
    *(signal.SIGPROF, signal.SIGIO, signal.SIGPWR, signal.SIGXFSZ, signal.SIGTTOU),
    *(signal.SIGRTMIN, signal.SIGRTMIN + 3, signal.SIGRTMAX),
]


def test_signals_that_mean_nothing(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    product = shop.add_product(db)
    for n, signo in enumerate(IGNORED, 1):
        os.kill(daemon.pid, signo)
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0))
        wait_until(lambda n=n: shop.count_status(db, "released") == n, 10, f"{signo} is ignored")
    assert daemon.stop() == 0
    assert not daemon.find("Reloaded")


def test_hangup_reloads(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    for _ in range(3):
        since = len(daemon.records)
        os.kill(daemon.pid, signal.SIGHUP)
        assert daemon.wait_for_record("Reloaded", since=since)["level"] == "INFO"
    mirror(db, redis, shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0))
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "it goes on")
    assert daemon.stop() == 0


def once_under_way(
    db: Database, redis_server: Redis, *prefix: str, of: int = 2
) -> subprocess.Popen[str]:
    """A --once that has a release under way, and others before it, of so many."""
    slow_releases(db, 1)
    for product in shop.add_products(db, of):
        shop.reserve(db, {product: 1}, ttl_s=0)
    job = subprocess.Popen(
        [*prefix, binary(), "--once", "--batch-size", "1"],
        env=environment(db.dsn, redis_server.url(), {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # The tests themselves may be run by nohup.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    wait_until(lambda: sweepers(db, SLOW), 20, "a release is under way", step=0.005)
    return job


def test_hangup_ends_once(db: Database, redis: redis_py.Redis, redis_server: Redis) -> None:
    """In order, as SIGTERM does: a terminal that closes."""
    # On a busy machine the signal may come some releases later.
    with once_under_way(db, redis_server, of=10) as job:
        os.kill(job.pid, signal.SIGHUP)
        said = job.communicate(timeout=20)[0]
    assert job.returncode == 1 and "stopped by a signal" in said
    assert 0 < shop.count_status(db, "released") < 10, "what was under way is finished"
    shop.check_stock_adds_up(db)


def test_hangup_that_was_ignored_from_the_start(
    db: Database, redis: redis_py.Redis, redis_server: Redis
) -> None:
    with once_under_way(db, redis_server, "nohup") as job:
        os.kill(job.pid, signal.SIGHUP)
        said = job.communicate(timeout=20)[0]
    assert job.returncode == 0 and '"cleanedCount":2' in said


CLOSED = [
    [fd for fd, closed in enumerate(which) if closed]
    for which in combinations([False, True], repeat=3)
][1:]


def descriptors(daemon: Sweeper) -> dict[int, str]:
    folder, found = f"/proc/{daemon.pid}/fd", {}
    for fd in os.listdir(folder):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found[int(fd)] = os.readlink(f"{folder}/{fd}")
    return found


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_closed_descriptors(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, closed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """They are opened on /dev/null: no socket gets their number, nor the log's records."""
    without = " ".join(f"{fd}>&-" for fd in closed)
    wrapper = os.environ.get("RS_WRAPPER", "")
    monkeypatch.setenv("RS_WRAPPER", f"sh -c 'exec \"$@\" {without}' sh {wrapper}")
    daemon = sweeper(http=True)
    until_ready(daemon)
    if not wrapper and os.geteuid() == 0:  # it writes no cores, so root alone may look into it
        assert all(descriptors(daemon)[fd] == "/dev/null" for fd in closed)
    product = shop.add_product(db)
    for n in range(1, 4):
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0))
        wait_until(lambda n=n: shop.count_status(db, "released") == n, 10, "released")
    assert daemon.stop() == 0
    assert bool(daemon.find("Stopped")) == (1 not in closed)

    shop.reserve(db, {product: 1}, ttl_s=0)
    done = run("--once")
    assert done.status == 0 and shop.count_status(db, "released") == 4
    assert bool(done.records) == (1 not in closed)
    assert 1 in closed or done.record("Cleanup job completed")["cleanedCount"] == 1
