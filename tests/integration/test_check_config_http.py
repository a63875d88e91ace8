"""--check-config: the HTTP address; and how the check looks on a terminal."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
from threading import Thread

import pytest
from harness.database import Database
from harness.process import free_port, has_ipv6
from harness.servers import Redis
from harness.sweeper import Finished, Run, Start, binary, environment


def about_http(done: Finished) -> list[str]:
    return [line for line in done.stdout.splitlines() if "HTTP" in line]


def listening(address: str) -> dict[str, str]:
    return {"SWEEPER_HTTP_LISTEN": address}


def test_a_free_address(run: Run) -> None:
    port = free_port()
    done = run("--check-config", env=listening(f"127.0.0.1:{port}"))
    assert done.status == 0
    assert about_http(done) == [f"ok    HTTP at 127.0.0.1:{port}: free"]


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_an_address_in_brackets(run: Run) -> None:
    port = free_port()
    for host in ("[::1]", "[::]"):
        done = run("--check-config", env=listening(f"{host}:{port}"))
        assert about_http(done)[0] == f"ok    HTTP at {host}:{port}: free"
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        address = "[::1]:%d" % taken.getsockname()[1]
        assert f"HTTP address {address} " in about_http(run("--check-config", env=listening(address)))[0]


def test_no_address(run: Run) -> None:
    done = run("--check-config", env=listening(""))
    (line,) = about_http(done)
    assert done.status == 0 and line.startswith("note") and "--healthcheck" in line


@pytest.mark.parametrize("answers", [False, True], ids=["silent", "another program"])
def test_an_address_in_use(run: Run, answers: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if answers:  # in the words of another protocol, to the first who asks
            taken.settimeout(10)
            greet = Thread(target=lambda: taken.accept()[0].sendall(b"220 mail.example ESMTP\r\n"))
            greet.start()
        done = run("--check-config", env=listening(f"127.0.0.1:{port}"), timeout=10)
        if answers:
            greet.join()
    (line,) = about_http(done)
    assert done.status == 1
    assert line.startswith("FAIL") and f"127.0.0.1:{port} is in use by another program" in line
    assert done.record("cannot work")["error"] == line.split(None, 1)[1]


def test_a_sweeper_is_there(run: Run, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    daemon.wait_for_record("Started")
    done = run("--check-config", env=listening(f"127.0.0.1:{daemon.http_port}"))
    (line,) = about_http(done)
    assert done.status == 0 and line.startswith("ok") and "a sweeper answers there" in line


def test_an_address_of_another_host(run: Run) -> None:
    done = run("--check-config", env=listening("192.0.2.1:9464"))
    (line,) = about_http(done)
    assert done.status == 1
    assert line.startswith("FAIL") and "192.0.2.1:9464" in line and "this host's" in line


def test_beyond_this_host(run: Run) -> None:
    listen = listening(f"0.0.0.0:{free_port()}")
    done = run("--check-config", env=listen)
    assert done.status == 0
    assert any(line.startswith("note") and "SWEEPER_ADMIN_TOKEN" in line for line in about_http(done))
    tokens = {"SWEEPER_ADMIN_TOKEN": "0123456789abcdef"}
    done = run("--check-config", env={**listen, **tokens})
    assert [line.split()[0] for line in about_http(done)] == ["ok", "note"]
    assert "SWEEPER_READ_TOKEN" in about_http(done)[1]
    tokens["SWEEPER_READ_TOKEN"] = "fedcba9876543210"
    done = run("--check-config", env={**listen, **tokens})
    assert [line.split()[0] for line in about_http(done)] == ["ok"]


def on_terminal(env: dict[str, str], **streams: object) -> tuple[str, int]:
    """What the check writes on a terminal, and its exit status."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [binary(), "--check-config"], env=env, stdin=subprocess.DEVNULL,
        **{"stdout": theirs, "stderr": theirs, **streams},
    )  # fmt: skip
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # nobody has it open any more
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    return text.decode(), child.wait(10)


def test_said_once_on_a_terminal(db: Database, redis_server: Redis) -> None:
    db.conn.execute("DROP TABLE inventory_reservations")
    env = environment(db.dsn, redis_server.url(), {"SWEEPER_LOG_FORMAT": "auto", "TERM": "dumb"})
    text, status = on_terminal(env)
    assert status == 1, text
    assert text.count("no table inventory_reservations") == 1, text
    assert "FAIL  there is no table" in text and "ERROR" not in text
    # Elsewhere the record is what a machine reads.
    text, status = on_terminal(env, stdout=subprocess.DEVNULL)
    assert status == 1, text
    assert text.count("no table inventory_reservations") == 1 and "ERROR" in text, text
