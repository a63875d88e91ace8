"""Streams that nobody reads, or somebody slow: releases go on, and records are whole."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import until_ready, wait_until, within
from harness.queue import mirror
from harness.sweeper import Record, Run, Start, Sweeper, parse_record

F_SETPIPE_SZ = 1031
STREAMS = ["pipe", "socket", "terminal"]

# Releasing seven of anything is half a megabyte of notices: DEBUG has a record for each.
NOTICES = 2000
CHATTER = f"""
    CREATE FUNCTION chatter() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        FOR n IN 1..{NOTICES} LOOP RAISE NOTICE 'number % %', n, repeat('x', 100); END LOOP;
        RETURN NEW;
    END$$;
    CREATE TRIGGER chatter BEFORE UPDATE ON inventory_reservations FOR EACH ROW
        WHEN (OLD.quantity = 7) EXECUTE FUNCTION chatter()
"""


class Stream:
    """Something to write to, and what was read from it; nobody reads it yet."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self._end, self.fd = os.pipe()
            fcntl.fcntl(self.fd, F_SETPIPE_SZ, 4096)
        elif kind == "socket":
            ours, theirs = socket.socketpair()
            self._end, self.fd = ours.detach(), theirs.detach()
        else:
            self._end, self.fd = os.openpty()
            tty.setraw(self.fd)
        self.text = b""
        self._reader = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        while True:
            try:
                some = os.read(self._end, 65536)
            except OSError as error:  # the end of a terminal
                assert error.errno == errno.EIO, error
                some = b""
            if not some:
                return
            self.text += some

    def flags(self) -> int:
        return fcntl.fcntl(self.fd, fcntl.F_GETFL)

    def read_all_the_time(self) -> None:
        self._reader.start()

    def lines(self) -> list[str]:
        return self.text.decode().replace("\r\n", "\n").splitlines()

    def records(self) -> list[Record]:
        return [record for record in map(parse_record, self.lines()) if record is not None]

    def find(self, message: str) -> list[Record]:
        return [record for record in self.records() if message in record["message"]]

    def read_to_the_end(self) -> None:
        """Once nobody writes any more."""
        os.close(self.fd)
        if self._reader.ident is None:
            self._reader.start()
        self._reader.join(10)
        os.close(self._end)
        assert all(json.loads(line) for line in self.lines()), "each line is whole"


@pytest.fixture(params=STREAMS)
def stream(request: pytest.FixtureRequest) -> Stream:
    return Stream(request.param)


def dropped(daemon: Sweeper) -> float:
    found = re.search(
        r"^reservation_sweeper_log_records_dropped_total (\S+)$", daemon.http("/metrics")[1], re.M
    )
    assert found
    return float(found[1])


@pytest.fixture
def start(sweeper: Start, stream: Stream) -> Iterator[Callable[..., Sweeper]]:
    def start_on_stream(*args: str) -> Sweeper:
        daemon: Sweeper = sweeper(
            "--log-level", "DEBUG", *args, http=True, stdout=stream.fd, stderr=stream.fd
        )
        until_ready(daemon)
        return daemon

    return start_on_stream


def chatter(db: Database, redis: redis_py.Redis) -> None:
    """A reservation that is due now."""
    db.conn.execute(CHATTER)
    mirror(db, redis, shop.reserve(db, {shop.add_product(db): 7}, ttl_s=0))


def test_nobody_reads(
    db: Database, redis: redis_py.Redis, start: Callable[..., Sweeper], stream: Stream
) -> None:
    flags = stream.flags()
    daemon = start()
    chatter(db, redis)
    wait_until(lambda: dropped(daemon) > 0, 20, "more than is queued")
    product = shop.add_product(db)
    for n in range(2, 12):
        mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0.2))
        wait_until(lambda n=n: shop.count_status(db, "released") == n, 5, "on time")
    assert daemon.http("/healthz")[0] == 200
    assert stream.flags() == flags, "others have that descriptor too"

    stream.read_all_the_time()
    wait_until(lambda: stream.find("records were dropped"), 10, "that is said")
    said = stream.find("records were dropped")[0]
    assert said["level"] == "WARN" and said["droppedCount"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["since"])
    assert daemon.stop() == 0
    stream.read_to_the_end()
    assert stream.records()[-1]["message"] == "Stopped"


def test_an_orderly_stop(
    db: Database, redis: redis_py.Redis, start: Callable[..., Sweeper], stream: Stream
) -> None:
    daemon = start("--shutdown-grace", "3s")
    chatter(db, redis)
    wait_until(lambda: dropped(daemon) > 0, 20, "more than is queued")
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < within(3), "within the grace"


def test_two_streams(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Nobody reads the one: the other goes on."""
    stuck = Stream("pipe")
    os.set_blocking(stuck.fd, False)
    os.write(stuck.fd, b"x" * 4096)
    os.set_blocking(stuck.fd, True)
    daemon = sweeper(stdout=stuck.fd)
    product = shop.add_product(db)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = 100")
    id = shop.reserve(db, {product: 1}, ttl_s=0)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = 100")
    mirror(db, redis, id)
    assert daemon.wait_for_record("refused")["reservationId"] == id
    assert daemon.stop() == 0


def test_the_reason_for_the_end_is_waited_for(sweeper: Start) -> None:
    """The daemon ends at once, with status 1; whoever reads then finds the ERROR."""
    stream = Stream("pipe")
    os.set_blocking(stream.fd, False)
    os.write(stream.fd, b" " * 4095 + b"\n")
    os.set_blocking(stream.fd, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{taken.getsockname()[1]}"}
        daemon = sweeper(env=env, stdout=stream.fd, stderr=stream.fd)
        daemon.expected_status = 1
        looks: list[bool] = []

        def is_at_its_end() -> bool:
            """It has few files for a moment at the start as well."""
            looks.append(daemon.open_files() < 6)
            return len(looks) > 4 and all(looks[-4:])

        wait_until(is_at_its_end, 10, "it waits for its reader")
        stream.read_all_the_time()
        assert daemon.wait(10) == 1
    wait_until(lambda: stream.find("HTTP address cannot be used"), 10, "it was read")
    assert [r["level"] for r in stream.find("HTTP address cannot be used")] == ["ERROR"]


def test_once_into_a_slow_stream(
    db: Database, redis: redis_py.Redis, run: Run, stream: Stream
) -> None:
    """Modes that end by themselves wait for their reader."""
    chatter(db, redis)
    threading.Timer(1.5, stream.read_all_the_time).start()
    done = run("--once", "--log-level", "DEBUG", stdout=stream.fd, stderr=stream.fd)
    assert done.status == 0
    stream.read_to_the_end()
    said = [int(r["notice"].split()[1]) for r in stream.find("sent a notice")]
    assert said == list(range(1, NOTICES + 1))
    assert stream.records()[-1]["cleanedCount"] == 1
