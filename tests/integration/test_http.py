"""HTTP: routes, methods, token, hostile requests, addresses."""

from __future__ import annotations

import json
from functools import partial

import pytest
from harness.poll import until_ready, wait_until
from harness.process import free_port, has_ipv6
from harness.sweeper import Run, Start
from harness.web import TOKEN, WITH_TOKEN, headers, in_background, raw, readyz

CHUNKED = b"POST /sweep HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.valgrind
def test_probes(sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    assert daemon.http("/healthz")[0] == 200
    status, body = readyz(daemon)
    assert status == 200
    assert body == {
        "ready": True,
        "degraded": False,
        "overdueSeconds": 0.0,
        "failed": 0,
        "locked": 0,
    }
    assert daemon.http("/metrics")[0] == 200
    assert json.loads(daemon.http("/status")[1])["ready"] is True


def test_headers(sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    answer = raw(daemon, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    body = answer.split(b"\r\n\r\n", 1)[1]
    found = headers(answer)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert found["content-type"] == "application/json"
    assert found["content-length"] == str(len(body))
    assert found["cache-control"] == "no-store"
    assert found["connection"] == "close"
    assert body.endswith(b"}\n") and body.count(b"\n") == 1  # a line, on a terminal too
    metrics = raw(daemon, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert headers(metrics)["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    head = raw(daemon, b"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n")
    assert headers(head)["content-length"] == str(len(body))


def test_unknown_and_not_allowed(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    for path in ("/", "/nothing", "/healthz/", "//healthz", "/%2e%2e/healthz", "/sweep/x"):
        assert daemon.http(path)[0] == 404, path
    assert daemon.http("/healthz?x=1&y=%zz")[0] == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = raw(daemon, f"{method} /status HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405 "), (method, answer)
        assert headers(answer)["allow"] == "GET, HEAD"
    answer = raw(daemon, b"GET /sweep HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ") and headers(answer)["allow"] == "POST"


def test_token(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    assert daemon.http("/sweep", "POST")[0] == 401
    for wrong in ("x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TOKEN * 100):
        assert daemon.http("/sweep", "POST", token=wrong)[0] == 401, wrong
    answer = raw(daemon, b"POST /sweep HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eA==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert headers(answer)["www-authenticate"] == "Bearer"
    for value in ("Bearer", "Bearer ", TOKEN):
        request = f"POST /sweep HTTP/1.1\r\nHost: x\r\nAuthorization: {value}\r\n\r\n"
        assert raw(daemon, request.encode()).startswith(b"HTTP/1.1 401 "), value
    assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 200
    lower = f"POST /sweep HTTP/1.1\r\nHost: x\r\nauthorization: bearer {TOKEN}\r\n\r\n"
    assert raw(daemon, lower.encode()).startswith(b"HTTP/1.1 200 ")
    assert TOKEN not in json.dumps(daemon.records) + daemon.http("/status")[1]


def test_no_token_configured(sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    assert daemon.http("/sweep", "POST")[0] == 403
    assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 403


@pytest.mark.valgrind
def test_hostile_requests(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    long = b"x" * 100_000
    answers = {
        b"GET /" + long + b" HTTP/1.1\r\n\r\n": b"4",
        b"GET /healthz HTTP/1.1\r\nX: " + long + b"\r\n\r\n": b"4",
        b"GET /healthz HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n": b"4",
        b"POST /sweep HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + long[:5000]: b"413",
        b"POST /sweep HTTP/1.1\r\nContent-Length: -1\r\n\r\n": b"400",
        b"POST /sweep HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n": b"400",
        CHUNKED + b"1388\r\n" + long[:5000] + b"\r\n0\r\n\r\n": b"413",
        CHUNKED + b"7fffffffffffffff\r\n" + long[:5000]: b"4",
        CHUNKED + b"-1\r\nx\r\n": b"4",
        CHUNKED + b"zz\r\n": b"4",
        b"POST /sweep HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n": b"413",
        b"FETCH /healthz HTTP/1.1\r\n\r\n": b"501",
        b"GET * HTTP/1.1\r\n\r\n": b"404",
        b"OPTIONS * HTTP/1.1\r\n\r\n": b"404",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n": b"4",
        b"GET http://x:y:z/ HTTP/1.1\r\n\r\n": b"4",
        b"GET http://other/healthz HTTP/1.1\r\nHost: other\r\n\r\n": b"200",
        b"GET \xff\xfe\x01 HTTP/1.1\r\n\r\n": b"4",
        b"GET /healthz HTTP/9.9\r\n\r\n": b"",
        b"\r\n\r\n\r\n": b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300): b"",
    }

    def send(request: bytes) -> bytes:
        try:
            return raw(daemon, request)
        except ConnectionError:  # it may close before it has read everything
            return b""

    asked = [(request, in_background(partial(send, request))) for request in answers]
    for request, (thread, results) in asked:
        thread.join(20)
        assert results, request[:60]
        if results[0]:
            status = results[0].split(b" ")[1]
            assert status.startswith(answers[request]), (request[:60], results[0][:80])
    until_ready(daemon, 1)
    wait_until(lambda: daemon.open_files() < 40, 10, "the connections are closed")


def test_address_in_use(sweeper: Start, run: Run) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    done = run(env={"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{daemon.http_port}"})
    assert done.status == 1
    record = done.record("The HTTP address cannot be used")
    assert record["level"] == "ERROR" and record["port"] == daemon.http_port
    assert "in use" in record["error"]


@pytest.mark.parametrize("listen", [":{}", "0.0.0.0:{}", "[::]:{}", "localhost:{}"])
def test_addresses(listen: str, sweeper: Start) -> None:
    port = free_port()
    daemon = sweeper(env={"SWEEPER_HTTP_LISTEN": listen.format(port)})
    daemon.http_port = port
    if listen.startswith("[") and not has_ipv6():
        daemon.expected_status = 1
        pytest.skip("no IPv6 on this machine")
    until_ready(daemon)
