"""HTTP: routes, methods, token, hostile requests, addresses."""

from __future__ import annotations

import json
import socket
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
        "kept": 0,
        "keptAttention": 0,
        "locked": 0,
    }
    assert daemon.http("/metrics")[0] == 200
    assert json.loads(daemon.http("/status")[1])["ready"] is True


def test_headers(sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    answer = raw(daemon, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    body = answer.split(b"\r\n\r\n", 1)[1]
    found = headers(answer)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert found["content-type"] == "application/json"
    assert found["content-length"] == str(len(body))
    assert found["cache-control"] == "no-store"
    assert found["connection"] == "close"
    assert body.endswith(b"}\n") and body.count(b"\n") == 1  # a line, on a terminal too
    metrics = raw(daemon, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert headers(metrics)["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    head = raw(daemon, b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n")
    assert headers(head)["content-length"] == str(len(body))


def test_unknown_and_not_allowed(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    for path in ("/nothing", "/healthz/", "//healthz", "/%2e%2e/healthz", "/sweep/x"):
        assert daemon.http(path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = raw(daemon, f"{method} /status HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 405 "), (method, answer)
        assert headers(answer)["allow"] == "GET, HEAD"
    answer = raw(daemon, b"GET /sweep HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ") and headers(answer)["allow"] == "POST"


def check_error(answer: bytes) -> str:
    """An error's answer is JSON, as long as it says; returns the text."""
    found, body = headers(answer), answer.split(b"\r\n\r\n", 1)[1]
    assert found["content-type"] == "application/json", answer
    assert int(found["content-length"]) == len(body), answer
    error = json.loads(body)["error"]
    assert isinstance(error, str) and error, answer
    return error


def test_errors_are_json(sweeper: Start) -> None:
    """Ours, and those of the library below: too large, unreadable, no method of HTTP's."""
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    auth = f"Authorization: Bearer {TOKEN}\r\n".encode()
    requests = {
        b"GET /nothing HTTP/1.1\r\n\r\n": 404,
        b"PUT /status HTTP/1.1\r\nContent-Length: 0\r\n\r\n": 405,
        b"POST /sweep HTTP/1.1\r\nContent-Length: 0\r\n\r\n": 401,
        b"POST /sweep?x=1 HTTP/1.1\r\n" + auth + b"Content-Length: 0\r\n\r\n": 400,
        b"POST /sweep HTTP/1.1\r\n" + auth + b"Content-Length: 5000\r\n\r\n" + bytes(5000): 413,
        b"POST /sweep HTTP/1.0\r\n" + auth + b"Content-Length: 5000\r\n\r\n" + bytes(5000): 413,
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n": 400,
        b"GET http://x:y:z/ HTTP/1.1\r\n\r\n": 400,
        b"POST /sweep HTTP/1.1\r\nExpect: a-pony\r\nContent-Length: 2\r\n\r\n{}": 417,
        b"FETCH /status HTTP/1.1\r\n\r\n": 501,
    }
    for request, status in requests.items():
        answer = raw(daemon, request)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (request[:60], answer)
        check_error(answer)
    head = raw(daemon, b"HEAD /readyz?x=1 HTTP/1.1\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and head.endswith(b"\r\n\r\n")


def test_errors_are_json_behind_100_continue(sweeper: Start) -> None:
    """What was sent on the connection before does not keep the page from being exchanged."""
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    head = b"POST /sweep HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    for body in (b"1400\r\n" + bytes(0x1400) + b"\r\n", b"zz\r\n"):
        with socket.create_connection(("127.0.0.1", daemon.http_port), 10) as connection:
            connection.sendall(head)
            assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(body)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        assert answer.startswith(b"HTTP/1.1 413 "), (body[:60], answer)
        check_error(answer)


def test_parameters(sweeper: Start) -> None:
    """Unknown, twice, or with a value that is none: 400, whatever the path, with its name."""
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)

    def refused(path: str, method: str = "GET") -> str:
        status, body = daemon.http(path, method, token=TOKEN)
        assert status == 400, (path, status, body)
        return json.loads(body)["error"]

    for path in ("/healthz", "/readyz", "/metrics", "/status"):
        assert '"verbose"' in refused(path + "?verbose=1")
        assert daemon.http(path + "?")[0] == 200
    long = "x" * 2000
    assert long in refused(f"/status?{long}=1")
    assert 'unknown parameter "ä\\"' in refused("/status?%C3%A4%5C=1")
    assert "\ufffd" in refused("/status?%ff=1")
    assert refused("/sweep?dryRun=true", "POST")
    for path in ("/reconcile?dryRun=true&dryRun=true", "/reconcile?dryRun=true&dry%52un=false"):
        assert "dryRun is given twice" in refused(path, "POST")
    for value in ("", "=", "=yes", "=TRUE", "=1", "=true%20", "=true%0a", "=+true"):
        error = refused("/reconcile?dryRun" + value, "POST")
        assert "dryRun" in error and "true and false" in error, error
    for query in ("dryRun=true%00", "%00dryRun=true", "dryRun=true&", "&dryRun=true", "dryrun=true"):
        assert refused("/reconcile?" + query, "POST")
    assert not daemon.find("econciliation")
    assert daemon.http("/reconcile?dry%52un=true", "POST", token=TOKEN)[0] == 202


def test_parameters_in_the_body(sweeper: Start) -> None:
    """curl --data dryRun=true must not do the work."""
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    head = f"POST /reconcile HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n"
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    body = "Content-Length: 11\r\n\r\ndryRun=true"
    assert "query string" in check_error(raw(daemon, (head + form + body).encode()))
    assert not daemon.find("econciliation")


def test_token(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN)
    until_ready(daemon)
    assert daemon.http("/sweep", "POST")[0] == 401
    for wrong in ("x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), TOKEN * 100):
        assert daemon.http("/sweep", "POST", token=wrong)[0] == 401, wrong
    answer = raw(daemon, b"POST /sweep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic eA==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert headers(answer)["www-authenticate"] == "Bearer"
    for value in ("Bearer", "Bearer ", TOKEN):
        request = f"POST /sweep HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}\r\n\r\n"
        assert raw(daemon, request.encode()).startswith(b"HTTP/1.1 401 "), value
    assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 200
    lower = f"POST /sweep HTTP/1.1\r\nHost: localhost\r\nauthorization: bearer {TOKEN}\r\n\r\n"
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
        b"GET http://other/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n": b"200",
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
            if status.startswith((b"4", b"5")):
                check_error(results[0])
    until_ready(daemon, 1)
    wait_until(lambda: daemon.open_files() < 40, 10, "the connections are closed")


def test_address_in_use(sweeper: Start, run: Run) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    done = run(env={"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{daemon.http_port}"})
    assert done.status == 1
    record = done.record("The HTTP address cannot be used")
    assert record["level"] == "ERROR" and record["port"] == daemon.http_port
    assert "in use" in record["error"] and record["setting"] == "SWEEPER_HTTP_LISTEN"


@pytest.mark.parametrize("listen", [":{}", "0.0.0.0:{}", "[::]:{}", "localhost:{}"])
def test_addresses(listen: str, sweeper: Start) -> None:
    """Also on a machine without IPv6: what there is of an address is served."""
    port = free_port()
    daemon = sweeper(env={"SWEEPER_HTTP_LISTEN": listen.format(port)})
    daemon.http_port = port
    if listen.startswith("[") and not has_ipv6():
        daemon.expected_status = 1
        assert "family" in daemon.wait_for_record("The HTTP address cannot be used")["error"]
        return
    until_ready(daemon)
