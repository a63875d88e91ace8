"""The page at /: its files, what a browser is told to allow it, and what /status has for it.

What it looks like and does in a browser: tests/page.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.process import free_port
from harness.queue import mirror
from harness.sweeper import ALONE, Start, Sweeper
from harness.web import TOKEN, WITH_TOKEN, headers, moment, raw

WEB = Path(__file__).parents[2] / "web"
BYTES_MAX = 40_000


def get(daemon: Sweeper, path: str, host: str = "localhost") -> tuple[str, dict[str, str], bytes]:
    answer = raw(daemon, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return answer.split(b" ")[1].decode(), headers(answer), answer.split(b"\r\n\r\n", 1)[1]


def test_its_files(sweeper: Start) -> None:
    """As they lie in web/, byte for byte; all that it names is there, and nothing is inline."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    status, found, page = get(daemon, "/")
    assert status == "200" and found["content-type"] == "text/html; charset=utf-8"
    assert page == (WEB / "index.html").read_bytes()
    total = len(page)
    named = re.findall(r'(?:src|href)="([^"#:]+)"', page.decode())
    assert sorted(named) == ["page.css", "page.js"]
    types = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
    for name in named:
        status, found, body = get(daemon, f"/{name}")
        assert status == "200" and found["content-type"] == types[name]
        assert body == (WEB / name).read_bytes()
        total += len(body)
    assert total < BYTES_MAX
    assert {path.name for path in WEB.iterdir()} == {"index.html", *named}
    assert not re.search(rb"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert raw(daemon, b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 405 ")


def test_what_a_browser_is_told(sweeper: Start) -> None:
    """Of every answer, errors too: nothing inline, nothing from elsewhere, in nobody's frame."""
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    for path in ("/", "/page.js", "/status", "/nothing"):
        _, found, _ = get(daemon, path)
        policy = dict(part.strip().partition(" ")[::2] for part in found["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["require-trusted-types-for"] == "'script'" and policy["trusted-types"] == "'none'"
        assert "unsafe" not in found["content-security-policy"]
        assert found["x-content-type-options"] == "nosniff"
        assert found["x-frame-options"] == "DENY"
        assert found["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in found and "access-control-allow-origin" not in found


@pytest.mark.parametrize("listen", ["127.0.0.1:{}", "localhost:{}"])
def test_a_foreign_name_for_loopback(listen: str, sweeper: Start) -> None:
    """A site that has its name lead here (DNS rebinding) is told nothing, and changes nothing."""
    port = free_port()
    daemon = sweeper(env={"SWEEPER_HTTP_LISTEN": listen.format(port), **WITH_TOKEN})
    daemon.http_port = port
    until_ready(daemon)
    for path in ("/", "/status", "/metrics", "/healthz"):
        status, _, body = get(daemon, path, f"evil.example:{port}")
        assert status == "421" and "localhost" in json.loads(body)["error"]
    post = f"POST /sweep HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    assert raw(daemon, post.encode()).startswith(b"HTTP/1.1 421 ")
    for host in ("localhost", f"127.0.0.1:{port}", "[::1]:1", listen.format(port)):
        assert get(daemon, "/healthz", host)[0] == "200", host
    assert raw(daemon, b"GET /healthz HTTP/1.0\r\n\r\n").split(b" ")[1] == b"200"


def test_any_name_where_others_come(sweeper: Start) -> None:
    port = free_port()
    daemon = sweeper(env={"SWEEPER_HTTP_LISTEN": f"0.0.0.0:{port}"})
    daemon.http_port = port
    until_ready(daemon)
    assert get(daemon, "/healthz", "sweeper.internal:9464")[0] == "200"


def status_of(daemon: Sweeper) -> dict[str, Any]:
    return json.loads(daemon.http("/status")[1])


def test_the_last_hour(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """What was released, how late, in which minute: none of it before the start."""
    daemon = sweeper(*ALONE, http=True)
    until_ready(daemon)
    assert status_of(daemon)["lastHour"]["released"] == 0
    product = shop.add_product(db)
    mirror(db, redis, *[shop.reserve(db, {product: 1}, ttl_s=0.3) for _ in range(4)])
    mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=-20))
    wait_until(lambda: status_of(daemon)["lastHour"]["released"] == 5, 20, "all are released")
    status = status_of(daemon)
    hour = status["lastHour"]
    minutes = hour["minutes"]
    assert sum(hour["counts"]) == sum(minutes["released"]) == 5
    assert {len(column) for column in minutes.values()} <= {1, 2}
    assert 0 < hour["p50Seconds"] < 5 and 10 <= hour["p99Seconds"] <= 60
    late = sum(n for n, bound in zip(hour["counts"][1:], hour["boundsSeconds"], strict=True) if bound >= 10)
    assert late == 1
    assert max(value for value in minutes["p99Seconds"] if value is not None) >= 10
    assert status["queues"][0]["lastHour"]["released"] == 5
    assert moment(status["now"])


def test_the_last_reconciliation(db: Database, sweeper: Start) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=500)
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_ready(daemon)
    assert status_of(daemon)["lastReconciliation"] is None
    post = partial(daemon.http, "/reconcile", method="POST", token=TOKEN, timeout=15)
    wait_until(lambda: post()[0] == 202, 20, "Redis is in use, and it has begun")
    wait_until(lambda: status_of(daemon)["lastReconciliation"], 30, "it has ended")
    last = status_of(daemon)["lastReconciliation"]
    assert last["ok"] is True and last["dryRun"] is False and last["mirrorMissing"] == 1
    assert last["durationSeconds"] > 0 and moment(last["finishedAt"])
