"""rediss://: the certificate must be by a trusted authority and for the host that was named."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import shop
from harness.certificates import Authority
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.process import free_port
from harness.queue import is_empty, mirror
from harness.servers import Redis
from harness.sweeper import Run, Start

@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class TlsRedis:
    """A Redis that also listens with TLS, with a certificate for these names."""

    def __init__(
        self, make: Callable[..., Redis], authority: Authority, *names: str, **settings: str
    ) -> None:
        cert, key = authority.issue(*names)
        self.port = free_port()
        self.server = make(
            tls_port=self.port,
            tls_cert_file=cert,
            tls_key_file=key,
            tls_ca_cert_file=authority.file,
            tls_auth_clients="no",
            **settings,
        )

    def url(self, host: str) -> str:
        return f"rediss://{host}:{self.port}/0"


def test_who_is_trusted(
    authority: Authority, tmp_path: Path, private_redis: Callable[..., Redis], run: Run
) -> None:
    local = TlsRedis(private_redis, authority, "DNS:localhost", "IP:127.0.0.1")
    named = TlsRedis(private_redis, authority, "DNS:*.example", "DNS:localhost.example")
    other = Authority(tmp_path, "other")
    empty = tmp_path / "empty.pem"
    empty.touch()
    plain = f"rediss://localhost:{local.server.port}/0"
    ours = {"SWEEPER_REDIS_CA": str(authority.file)}
    theirs = {"SWEEPER_REDIS_CA": str(other.file)}
    # The URL, the environment, and what --check-config says of Redis ("": it is well).
    cases: list[tuple[str, dict[str, str], str]] = [
        (local.url("localhost"), ours, ""),
        (local.url("127.0.0.1"), ours, ""),
        (local.url("localhost"), {"SSL_CERT_FILE": str(authority.file)}, ""),  # the system's list
        (local.url("localhost"), {}, "self-signed certificate in certificate chain"),
        (local.url("localhost"), theirs, "self-signed certificate in certificate chain"),
        (named.url("localhost"), ours, "hostname mismatch"),
        (named.url("127.0.0.1"), ours, "IP address mismatch"),
        (local.url("localhost"), {"SWEEPER_REDIS_CA": str(empty)}, "empty.pem is not usable"),
        (plain, ours, "TLS"),
    ]
    with ThreadPoolExecutor(len(cases)) as pool:  # each that is refused takes its 5 s
        ends = [pool.submit(run, "--check-config", redis_url=url, env=env) for url, env, _ in cases]
    for (url, env, expected), end in zip(cases, ends, strict=True):
        done = end.result()
        line, *more = [line for line in done.stdout.splitlines() if "Redis" in line[:12]]
        assert not [other for other in more if other.startswith("FAIL")], (url, env, more)
        if expected:
            assert done.status == 1 and line.startswith("FAIL"), (url, env, line)
            assert expected in line, (url, env, line)
        else:
            assert done.status == 0 and line.startswith("ok"), (url, env, line)


def test_work_over_tls(
    authority: Authority,
    db: Database,
    private_redis: Callable[..., Redis],
    sweeper: Start,
) -> None:
    """Claims of thousands of ids, larger than TLS's records, and a Redis that comes back."""
    redis = TlsRedis(
        private_redis, authority, "DNS:localhost", requirepass="secret", appendonly="yes"
    )
    url = redis.url(":secret@localhost")
    env = {"SWEEPER_REDIS_CA": str(authority.file)}
    ids = shop.bulk_reserve(db, 3000, [shop.add_product(db, stock=10_000)])
    with redis.server.client() as client:
        mirror(db, client, *ids)
        args = ("--lookahead", "off", "--scan-interval", "off", "--batch-size", "1000")
        daemon = sweeper(*args, http=True, redis_url=url, env=env)
        wait_until(lambda: shop.count_status(db, "released") == 3000, 30, "released")
        wait_until(lambda: is_empty(client), 10, "settled")
    redis.server.restart()
    late = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=1)
    with redis.server.client() as client:
        mirror(db, client, late)
    until_ready(daemon)
    wait_until(lambda: '"degraded":false' in daemon.http("/readyz")[1], 20, "Redis is back")
    wait_until(lambda: shop.count_status(db, "released") == 3001, 20, "released")
