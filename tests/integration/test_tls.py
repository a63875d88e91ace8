"""rediss://: the certificate must be by a trusted authority and for the host that was named."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import shop
from harness.certificates import Authority
from harness.database import Database
from harness.poll import until_ready, wait_until
from harness.process import free_port
from harness.proxy import Proxy
from harness.queue import is_empty, mirror
from harness.servers import Redis
from harness.sweeper import Run, Start

@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class TlsRedis:
    """A Redis that also listens with TLS, with a certificate for these names."""

    def __init__(
        self,
        make: Callable[..., Redis],
        authority: Authority,
        *names: str,
        days: int = 2,
        **settings: str,
    ) -> None:
        cert, key = authority.issue(*names, days=days)
        self.port = free_port()
        files = {"tls_cert_file": cert, "tls_key_file": key, "tls_ca_cert_file": authority.file}
        self.server = make(
            **{"tls_port": self.port, "tls_auth_clients": "no", **files, **settings}
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
    expired = TlsRedis(private_redis, authority, "DNS:localhost", days=0)
    old = TlsRedis(private_redis, authority, "DNS:localhost", tls_protocols="TLSv1.1")
    wary = TlsRedis(private_redis, authority, "DNS:localhost", tls_auth_clients="yes")
    plain = f"rediss://localhost:{local.server.port}/0"
    ours = {"SWEEPER_REDIS_CA": str(authority.file)}
    theirs = {"SWEEPER_REDIS_CA": str(other.file)}
    # The URL, the environment, and a pattern of what --check-config says of Redis ("": it is well).
    cases: list[tuple[str, dict[str, str], str]] = [
        (local.url("localhost"), ours, ""),
        (local.url("127.0.0.1"), ours, ""),
        (local.url("localhost"), {"SSL_CERT_FILE": str(authority.file)}, ""),  # the system's list
        (local.url("localhost"), {}, "self-signed certificate in certificate chain"),
        (local.url("localhost"), theirs, "self-signed certificate in certificate chain"),
        (named.url("localhost"), ours, 'not accepted for "localhost": hostname mismatch'),
        (named.url("127.0.0.1"), ours, "IP address mismatch"),
        (expired.url("localhost"), ours, "certificate has expired"),
        (local.url("localhost"), {"SWEEPER_REDIS_CA": str(empty)}, "empty.pem is not usable"),
        (old.url("localhost"), ours, "TLS: tlsv1 alert protocol version"),
        (wary.url("localhost"), ours, "alert certificate required|Connection reset by peer"),  # by chance
        (plain, ours, "no answer to the TLS handshake within 1000 ms|does not speak TLS"),  # by chance
        (local.url("localhost").replace("rediss", "redis"), {}, "a port that speaks TLS needs rediss://"),
    ]
    with ThreadPoolExecutor(len(cases)) as pool:  # each that is refused takes its 5 s
        ends = [pool.submit(run, "--check-config", redis_url=url, env=env) for url, env, _ in cases]
    for (url, env, expected), end in zip(cases, ends, strict=True):
        done = end.result()
        line, *more = [line for line in done.stdout.splitlines() if "Redis" in line[:12]]
        assert not [other for other in more if other.startswith("FAIL")], (url, env, more)
        if expected:
            assert done.status == 1 and line.startswith("FAIL"), (url, env, line)
            assert re.search(expected, line), (url, env, line)
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


class Fault(NamedTuple):
    """What becomes of a connection: after so many bytes of the server's, from its beginning or not."""

    after: int
    then: str
    anew: bool = False


FAULTS = {
    "cut amid an answer": Fault(30, "cut"),
    "half closed amid an answer": Fault(30, "half"),
    "silent amid an answer": Fault(30, "hole"),
    "cut amid the handshake": Fault(300, "cut", anew=True),
    "silent amid the handshake": Fault(300, "hole", anew=True),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_connection_that_ends(
    fault: Fault,
    authority: Authority,
    db: Database,
    private_redis: Callable[..., Redis],
    sweeper: Start,
) -> None:
    redis = TlsRedis(private_redis, authority, "DNS:localhost")
    product = shop.add_product(db, stock=1000)
    with Proxy(redis.port) as proxy, redis.server.client() as client:
        daemon = sweeper(
            *("--lookahead", "off", "--scan-interval", "off", "--lease", "2s"),
            http=True,
            redis_url=proxy.through(redis.url("localhost")),
            env={"SWEEPER_REDIS_CA": str(authority.file)},
        )
        until_ready(daemon)
        trap = proxy.cut_after(fault.after, then=fault.then)
        if fault.anew:
            proxy.cut()
        mirror(db, client, *shop.bulk_reserve(db, 300, [product]))
        wait_until(trap.sprung.is_set, 20, "the connection has failed")
        wait_until(lambda: shop.count_status(db, "released") == 300, 20, "released")
        wait_until(lambda: '"degraded":false' in daemon.http("/readyz")[1], 20, "Redis is back")
        wait_until(lambda: is_empty(client), 20, "settled")
    assert shop.stock(db, product) == (1000, 1000, 0)
