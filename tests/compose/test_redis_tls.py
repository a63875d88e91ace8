"""The image and rediss://: a Redis that knows nothing but TLS, in the network of the stack."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

import pytest
from harness.certificates import Authority
from harness.poll import wait_until
from stack import IMAGE, PASSWORD, Stack, docker

CERTIFICATES = "/certificates"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    for file in authority.issue("DNS:secure"):
        file.chmod(0o644)  # the server in the container is not root
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return authority


@pytest.fixture(scope="module")
def secure(stack: Stack, authority: Authority) -> Iterator[str]:
    """It has two names, and its certificate is for one of them. The value is its id."""
    network = f"{stack.project}_default"
    options = ("-v", f"{authority.folder}:{CERTIFICATES}:ro", "--network", network)
    redis = ("redis-server", "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no")
    files = {"cert-file": "DNS-secure.pem", "key-file": "DNS-secure.key", "ca-cert-file": "ca.pem"}
    for key, file in files.items():
        redis += (f"--tls-{key}", f"{CERTIFICATES}/{file}")
    aliases = ("--network-alias", "secure", "--network-alias", "other")
    container = docker("run", "-d", *options, *aliases, "redis:8", *redis).stdout.strip()
    try:
        ping = ("redis-cli", "--tls", "--cacert", f"{CERTIFICATES}/ca.pem", "ping")
        wait_until(
            lambda: "PONG" in docker("exec", container, *ping, check=False).stdout, 30, "it answers"
        )
        yield container
    finally:
        docker("rm", "-f", container, check=False)


def check_config(stack: Stack, authority: Authority, host: str, ca: str) -> str:
    """What it says of Redis."""
    password = urllib.parse.quote(PASSWORD, safe="")
    settings = (
        f"-eDATABASE_URL=postgresql://shop:{password}@postgres/shop",
        f"-eREDIS_URL=rediss://{host}:6379/0",
        f"-eSWEEPER_REDIS_CA={ca}",
    )
    mounts = ("-v", f"{authority.folder}:{CERTIFICATES}:ro")
    network = ("--network", f"{stack.project}_default")
    done = docker(
        *("run", "--rm", "--read-only", *network, *mounts, *settings, IMAGE, "--check-config"),
        check=False,
    )
    line, *more = [line for line in done.stdout.splitlines() if "Redis" in line[:12]]
    assert not [other for other in more if other.startswith("FAIL")], more
    assert (done.returncode == 0) == line.startswith("ok"), done.stdout + done.stderr
    return line


def test_the_name_must_be_in_the_certificate(
    stack: Stack, authority: Authority, secure: str
) -> None:
    ca = f"{CERTIFICATES}/ca.pem"
    assert check_config(stack, authority, "secure", ca).startswith("ok    Redis ")
    assert "hostname mismatch" in check_config(stack, authority, "other", ca)


def test_the_authority_must_be_trusted(stack: Stack, authority: Authority, secure: str) -> None:
    system = "/etc/ssl/certs/ca-certificates.crt"
    said = check_config(stack, authority, "secure", system)
    assert said.startswith("FAIL") and "self-signed certificate in certificate chain" in said
