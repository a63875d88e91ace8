"""Requests to the daemon's HTTP address, also such as no client makes, and what its answers say."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone

from .poll import until_ready, wait_until
from .sweeper import Sweeper

TOKEN = "correct-horse-battery-staple"
WITH_TOKEN = {"SWEEPER_ADMIN_TOKEN": TOKEN}


def until_settled(daemon: Sweeper, looks: int = 1) -> None:
    """So many looks of the feed are over. The first two look at everything: when it has connected,
    and when it has become the feeder."""
    until_ready(daemon)
    last = 0.0

    def looked() -> bool:
        nonlocal last
        before, last = last, metric(daemon, "feed_last_success_timestamp_seconds")
        return last > before

    for _ in range(looks):
        wait_until(looked, 20, "a look")


SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")


def samples(text: str, queue: str = "reservations") -> dict[str, float]:
    """What /metrics says of this queue and of the process, by name and labels but for the queue's:
    released_total, discarded_total{reason="missing"}."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels = match[1].removeprefix("reservation_sweeper_"), match[2] or ""
        of = re.match(r'queue="([^"]*)",?', labels)
        if of and of[1] not in (queue, ""):
            continue
        labels = labels[of.end() :] if of else labels
        key = f"{name}{{{labels}}}" if labels else name
        assert key not in found, key
        found[key] = float(match[3])
    return found


def scrape(daemon: Sweeper, queue: str = "reservations") -> dict[str, float]:
    return samples(daemon.http("/metrics")[1], queue)


def metric(daemon: Sweeper, name: str, queue: str = "reservations") -> float:
    return scrape(daemon, queue)[name]


def readyz(daemon: Sweeper) -> tuple[int, dict]:
    status, body = daemon.http("/readyz")
    return status, json.loads(body)


def moment(text: str) -> float:
    """The one form in which times are shown, in seconds since the epoch."""
    assert len(text) == len("2025-11-14T01:00:00.000Z"), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def raw(daemon: Sweeper, request: bytes, timeout: float = 10) -> bytes:
    """All that comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=timeout) as conn:
        conn.sendall(request)
        answer = b""
        while chunk := conn.recv(65536):
            answer += chunk
        return answer


def headers(answer: bytes) -> dict[str, str]:
    lines = answer.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]
    return {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def in_background(call: Callable[[], object]) -> tuple[threading.Thread, list]:
    results: list = []

    def work() -> None:
        results.append(call())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, results


@contextmanager
def half_open(daemon: Sweeper, n: int, start: bytes) -> Iterator[list[socket.socket]]:
    """Connections whose request has begun and does not end."""
    conns = []
    try:
        for _ in range(n):
            conns.append(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10))
            conns[-1].sendall(start)
        yield conns
    finally:
        for conn in conns:
            conn.close()
