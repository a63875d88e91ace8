"""HTTP: slow, half-open and many requests; the probe is answered, and the sweep goes on."""

from __future__ import annotations

import socket
import threading
import time
from functools import partial

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import until_ready, wait_until, within
from harness.queue import PENDING
from harness.sweeper import Start, Sweeper
from harness.web import half_open, in_background


def trickle(daemon: Sweeper) -> float:
    """Sends a byte now and then; how long that went well."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10) as conn:
        try:
            conn.sendall(b"GET /readyz HTTP/1.1\r\nX: ")
            while time.monotonic() - began < 12:
                conn.sendall(b"y")
                time.sleep(0.1)
        except OSError:
            pass
    return time.monotonic() - began


def test_slow_requests(sweeper: Start) -> None:
    """They neither shut the probe out nor stay."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    usual = daemon.open_files()
    with half_open(daemon, 100, b"GET /readyz HT"):
        thread, lasted = in_background(partial(trickle, daemon))
        began = time.monotonic()
        while time.monotonic() - began < 1:
            assert daemon.http("/readyz", timeout=1)[0] == 200
        thread.join(20)
        assert 4 < lasted[0] < within(8)
        wait_until(lambda: daemon.open_files() <= usual + 1, 10, "they are closed")


@pytest.mark.parametrize("n", [200, 500])
def test_half_open_requests(n: int, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    usual = daemon.open_files()
    with half_open(daemon, n, b"GET /readyz HT"):
        for _ in range(20):
            assert daemon.http("/readyz", timeout=1)[0] == 200
        assert daemon.open_files() < usual + 200


def is_answered(daemon: Sweeper) -> bool:
    try:
        return daemon.http("/readyz", timeout=3)[0] == 200
    except OSError:
        return False


def test_storm_of_connections(sweeper: Start) -> None:
    """They come faster than they can be ended. A probe that is slow to send its request, since this
    process is busy, may be the one that gives way; asked again it is served."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    stop = threading.Event()

    def storm() -> None:
        conns: list[socket.socket] = []
        while not stop.is_set():
            try:
                conns.append(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=2))
                conns[-1].sendall(b"GET /re")
            except OSError:
                pass
            if len(conns) > 300:
                conns.pop(0).close()
        for conn in conns:
            conn.close()

    threads = [threading.Thread(target=storm, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while time.monotonic() - began < 2:
        wait_until(lambda: is_answered(daemon), 3, "the probe is answered")
    stop.set()
    for thread in threads:
        thread.join()


def test_flood_does_not_disturb_the_sweep(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    product = shop.add_product(db)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                daemon.http("/metrics", timeout=5)
            except OSError:
                pass

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    with half_open(daemon, 150, b"GET /metrics HTTP/1.1\r\n"):
        ids = [shop.reserve(db, {product: 1}, ttl_s=1.0 + n / 20) for n in range(40)]
        redis.zadd(PENDING, {id: 1 for id in ids})
        wait_until(lambda: shop.count_status(db, "released") == 40, 20, "all released")
    stop.set()
    for thread in threads:
        thread.join()
    assert max(shop.lateness(db)) < within(0.5)
