"""A daemon that is short of memory for a while: every so many allocations of its own code fail."""

from __future__ import annotations

import contextlib
import http.client
import mmap
import struct
import time
from pathlib import Path

import pytest
from bed import Bed, drifted, fix
from harness import shop
from harness.poll import until_ready, wait_until
from harness.queue import FAILED, mirror
from harness.sweeper import Sweeper, binary

SWEEPERS = "application_name LIKE 'reservation-sweeper%'"
TOKEN = "0123456789abcdef"
SCARCE_S = 2.0


class Memory:
    """What scarce.c (tests/memory) goes by."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(16))
        with open(path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)

    def fail_every(self, n: int) -> None:
        self._shared[:8] = struct.pack("=Q", n)

    @property
    def failed(self) -> int:
        return int(struct.unpack("=Q", self._shared[8:])[0])


def keep_busy(bed: Bed, daemon: Sweeper, refused: list[str], memory: Memory) -> None:
    """With reservations that are refused, and with everything that it answers over HTTP; with what,
    is not the question here. Until some allocations have failed, where it is slow."""
    requests = [("GET", path) for path in ("/healthz", "/readyz", "/metrics", "/status")]
    requests += [("POST", "/sweep"), ("POST", "/reconcile?dryRun=true")]
    until = time.monotonic() + SCARCE_S
    enough = memory.failed + 11
    while time.monotonic() < until or (memory.failed < enough and time.monotonic() < until + 30):
        mirror(bed.db, bed.redis, *drifted(bed, 20, refused))
        for method, path in requests:
            with contextlib.suppress(OSError, http.client.HTTPException):
                daemon.http(path, method, TOKEN, timeout=2)


@pytest.mark.parametrize("every", [7, 53, 307])
def test_short_of_memory_while_running(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, every: int
) -> None:
    """It goes on, nothing is lost, and it is on time again by itself."""
    memory = Memory(tmp_path / "scarce")
    monkeypatch.setenv("RS_BINARY", str(Path(binary()).parent / "memory" / "scarce"))
    env = {"RS_SCARCE_FILE": str(tmp_path / "scarce"), "SWEEPER_ADMIN_TOKEN": TOKEN}
    daemon = bed.start("--feed-interval", "1s", http=True, env=env)
    until_ready(daemon)
    refused = shop.add_products(bed.db, 3, stock=1_000_000)
    with bed.traffic(rate=100, ttl_s=0.3):
        bed.wait_for_releases(time.time())
        memory.fail_every(every)
        keep_busy(bed, daemon, refused, memory)
        bed.db.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SWEEPERS}")
        bed.redis.client_kill_filter(_type="normal", skipme=True)
        keep_busy(bed, daemon, refused, memory)
        memory.fail_every(0)
        print(f"{memory.failed} allocations failed")
        assert memory.failed > 20 and daemon.running, daemon.tail()
        fix(bed, refused)
        bed.wait_for_releases(time.time())
    bed.check_settled(timeout=30)
    wait_until(lambda: not bed.redis.exists(FAILED), 20, "all have healed")
    until_ready(daemon)
    assert daemon.stop() == 0
