"""HTTP: routes, methods, token, limits, and what readiness says."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import wait_until
from harness.process import free_port
from harness.queue import FAILED, PENDING
from harness.servers import Postgres, Redis
from harness.sweeper import Run, Start, Sweeper

TOKEN = "correct-horse-battery-staple"
WITH_TOKEN = {"SWEEPER_ADMIN_TOKEN": TOKEN}
# Nothing is mirrored by the sweeper itself, and no scan finds it.
ALONE = ("--lookahead", "off", "--reconcile-interval", "off")


def until_ready(daemon: Sweeper, timeout: float = 20) -> None:
    def ready() -> bool:
        try:
            return daemon.http("/readyz")[0] == 200
        except OSError:
            return False

    wait_until(ready, timeout, "ready")


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


def metric(daemon: Sweeper, name: str) -> float:
    lines = daemon.http("/metrics")[1].splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith(f"reservation_sweeper_{name} ")]
    return float(value)


def readyz(daemon: Sweeper) -> tuple[int, dict]:
    status, body = daemon.http("/readyz")
    return status, json.loads(body)


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


def trickle(daemon: Sweeper) -> float:
    """Sends a byte now and then; how long that went well."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=10) as conn:
        try:
            conn.sendall(b"GET /readyz HTTP/1.1\r\nX: ")
            while time.monotonic() - began < 12:
                conn.sendall(b"y")
                time.sleep(0.1)
        except OSError:
            pass
    return time.monotonic() - began


def test_slow_requests(sweeper: Start) -> None:
    """They neither shut the probe out nor stay."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    usual = daemon.open_files()
    with half_open(daemon, 100, b"GET /readyz HT"):
        thread, lasted = in_background(partial(trickle, daemon))
        began = time.monotonic()
        while time.monotonic() - began < 1:
            assert daemon.http("/readyz", timeout=1)[0] == 200
        thread.join(20)
        assert 4 < lasted[0] < 8
        wait_until(lambda: daemon.open_files() <= usual + 1, 10, "they are closed")


@pytest.mark.parametrize("n", [200, 500])
def test_half_open_requests(n: int, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    usual = daemon.open_files()
    with half_open(daemon, n, b"GET /readyz HT"):
        for _ in range(20):
            assert daemon.http("/readyz", timeout=1)[0] == 200
        assert daemon.open_files() < usual + 200


def test_storm_of_connections(sweeper: Start) -> None:
    """They come faster than they can be ended; the probe is served all the same."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    stop = threading.Event()

    def storm() -> None:
        conns: list[socket.socket] = []
        while not stop.is_set():
            try:
                conns.append(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=2))
                conns[-1].sendall(b"GET /re")
            except OSError:
                pass
            if len(conns) > 300:
                conns.pop(0).close()
        for conn in conns:
            conn.close()

    threads = [threading.Thread(target=storm, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    while time.monotonic() - began < 2:
        assert daemon.http("/readyz", timeout=3)[0] == 200
    stop.set()
    for thread in threads:
        thread.join()


def test_flood_does_not_disturb_the_sweep(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    product = shop.add_product(db)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                daemon.http("/metrics", timeout=5)
            except OSError:
                pass

    threads = [threading.Thread(target=flood, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    with half_open(daemon, 150, b"GET /metrics HTTP/1.1\r\n"):
        ids = [shop.reserve(db, {product: 1}, ttl_s=1.0 + n / 20) for n in range(40)]
        redis.zadd(PENDING, {id: 1 for id in ids})
        wait_until(lambda: shop.count_status(db, "released") == 40, 20, "all released")
    stop.set()
    for thread in threads:
        thread.join()
    assert max(shop.lateness(db)) < 0.5


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
    if listen.startswith("[") and not ipv6():
        daemon.expected_status = 1
        pytest.skip("no IPv6 on this machine")
    until_ready(daemon)


def ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


# ---- Readiness ------------------------------------------------------------------------------------


def test_not_ready_without_postgres(
    private_pg: Callable[..., Postgres], sweeper: Start
) -> None:
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper(http=True, dsn=own.dsn)
    until_ready(daemon)
    server.stop("immediate")
    wait_until(lambda: readyz(daemon)[0] == 503, 10, "not ready")
    status, body = readyz(daemon)
    assert body["ready"] is False and "Postgres is out of reach" in body["reason"]
    assert daemon.http("/healthz")[0] == 200
    server.start()
    until_ready(daemon)


def test_degraded_without_redis(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    server = private_redis()
    daemon = sweeper(http=True, redis_url=server.url())
    until_ready(daemon)
    server.stop()
    wait_until(lambda: readyz(daemon)[1]["degraded"], 10, "degraded")
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.5)
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "released")
    time.sleep(6)  # past what is taken for granted without a pass
    status, body = readyz(daemon)
    assert (status, body["degraded"], body["overdueSeconds"]) == (200, True, 0.0)
    server.start()
    wait_until(lambda: not readyz(daemon)[1]["degraded"], 10, "Redis is back")


def test_started_without_redis(db: Database, sweeper: Start) -> None:
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    assert readyz(daemon)[1]["degraded"] is True


def test_overdue_is_not_ready(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Expired half an hour ago, and nobody has told Redis."""
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", http=True)
    until_settled(daemon, looks=3)
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1800)
    wait_until(lambda: readyz(daemon)[0] == 503, 10, "not ready")
    status, body = readyz(daemon)
    assert 1800 <= body["overdueSeconds"] < 1830
    assert "overdue" in body["reason"] and id in body["reason"]
    redis.zadd(PENDING, {id: 1})
    until_ready(daemon, 10)
    assert shop.count_status(db, "released") == 1


def test_not_overdue_enough(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, "--feed-interval", "500ms", http=True)
    until_settled(daemon, looks=3)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-5)
    wait_until(lambda: readyz(daemon)[1]["overdueSeconds"] > 5, 10, "overdue")
    assert readyz(daemon)[0] == 200


def test_later_row_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A reservation is due when the latest of its rows is."""
    daemon = sweeper(*ALONE, "--feed-interval", "300ms", http=True)
    until_settled(daemon, looks=3)
    first, later = shop.add_product(db), shop.add_product(db)
    shop.reserve(db, {first: 1, later: 1}, ttl_s=600)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() - interval '1 h'"
        " WHERE product_id = %s",
        (first,),
    )
    since = metric(daemon, "feed_last_success_timestamp_seconds")
    wait_until(
        lambda: metric(daemon, "feed_last_success_timestamp_seconds") > since + 3, 15, "more looks"
    )
    status, body = readyz(daemon)
    assert (status, body["overdueSeconds"]) == (200, 0)


def test_locked_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1800)
    with transaction(db, lock_product(product)):
        daemon = sweeper("--feed-interval", "300ms", http=True)
        until_ready(daemon)
        wait_until(lambda: readyz(daemon)[1]["locked"] == 1, 15, "shown as locked")
        for _ in range(20):
            status, body = readyz(daemon)
            assert status == 200, body
            time.sleep(0.1)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "released")


def test_failed_is_not_overdue(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1800)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = total_stock")
    daemon = sweeper("--feed-interval", "300ms", http=True)
    until_ready(daemon)
    wait_until(lambda: redis.hlen(FAILED) == 1, 15, "it failed")
    wait_until(lambda: readyz(daemon)[1]["failed"] == 1, 15, "shown as failed")
    for _ in range(15):
        status, body = readyz(daemon)
        assert status == 200, body
        time.sleep(0.1)


def test_a_lost_grant_is_not_on_time(db: Database, sweeper: Start) -> None:
    """What Postgres cannot release at present is put back again and again."""
    daemon = sweeper("--feed-interval", "1s", http=True)
    until_settled(daemon, looks=3)
    db.conn.execute("ALTER TABLE inventory RENAME TO gone")
    product = "00000000-0000-0000-0000-000000000001"
    db.conn.execute("INSERT INTO gone VALUES (%s, 1, 0, 1)", (product,))
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " VALUES (gen_random_uuid(), %s, 1, now())",
        (product,),
    )
    wait_until(lambda: readyz(daemon)[0] == 503, 40, "not ready")
    assert "cannot be used" in readyz(daemon)[1]["reason"]
    db.conn.execute("ALTER TABLE gone RENAME TO inventory")
    until_ready(daemon)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "released")


# ---- POST /sweep ----------------------------------------------------------------------------------


@pytest.mark.valgrind
def test_sweep(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Whether Redis knows it or not."""
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    for _ in range(3):
        shop.reserve(db, {product: 1}, ttl_s=-100)
    keep = shop.reserve(db, {product: 1}, ttl_s=600)
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    assert (status, json.loads(body)["cleanedCount"]) == (200, 3)
    assert daemon.wait_for_record("Cleanup job completed")["cleanedCount"] == 3
    assert shop.count_status(db, "active") == 1 and keep
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    assert (status, json.loads(body)["cleanedCount"]) == (200, 0)


def test_sweep_with_a_query_string(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-100)
    for query in ("?dryRun=true", "?x", "?%00=%ff&&&=", "?" + "a" * 2000):
        assert daemon.http("/sweep" + query, "POST", token=TOKEN)[0] == 400, query
    assert shop.count_status(db, "active") == 1


def test_one_sweep_at_a_time(db: Database, sweeper: Start) -> None:
    """The second one is told so; a client that goes away stops nothing."""
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    request = f"POST /sweep HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    with transaction(db, lock_product(product)):
        with socket.create_connection(("127.0.0.1", daemon.http_port), timeout=5) as conn:
            conn.sendall(request.encode())
            wait_until(
                lambda: db.value(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE application_name = 'reservation-sweeper sweep' AND datname = %s",
                    (db.name,),
                ),
                5,
                "it runs",
            )
            assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 409
            assert daemon.http("/readyz")[0] == 200
    assert daemon.wait_for_record("Cleanup job completed")["cleanedCount"] == 1
    assert shop.count_status(db, "released") == 1
    wait_until(lambda: daemon.http("/sweep", "POST", token=TOKEN)[0] == 200, 5, "the next one")


def test_locked_is_skipped(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    with transaction(db, lock_product(product)):
        status, body = daemon.http("/sweep", "POST", token=TOKEN, timeout=20)
    assert (status, json.loads(body)) == (200, {"cleanedCount": 0, "skippedCount": 1})


def test_refused_is_500(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    good, bad = shop.add_product(db), shop.add_product(db)
    shop.reserve(db, {good: 1}, ttl_s=-100)
    shop.reserve(db, {bad: 1}, ttl_s=-100)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (bad,),
    )
    status, body = daemon.http("/sweep", "POST", token=TOKEN)
    answer = json.loads(body)
    assert (status, answer["cleanedCount"], answer["failedCount"]) == (500, 1, 1)


def test_sweep_without_postgres(private_pg: Callable[..., Postgres], sweeper: Start) -> None:
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper(http=True, dsn=own.dsn, env=WITH_TOKEN)
    until_ready(daemon)
    server.stop("immediate")
    status, body = daemon.http("/sweep", "POST", token=TOKEN, timeout=15)
    assert status == 503 and "Postgres" in json.loads(body)["error"]
    server.start()
    wait_until(
        lambda: daemon.http("/sweep", "POST", token=TOKEN, timeout=15)[0] == 200, 20, "it works"
    )


def test_stop_while_sweeping(db: Database, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    with transaction(db, lock_product(product)):
        thread, answers = in_background(
            lambda: daemon.http("/sweep", "POST", token=TOKEN, timeout=20)
        )
        time.sleep(1)
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 5
        thread.join(10)
    assert answers[0][0] == 503 and "stopping" in answers[0][1]


# ---- POST /reconcile ------------------------------------------------------------------------------


def test_reconcile(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon, looks=1)
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 5, available_stock = total_stock - 5"
        " WHERE product_id = %s",
        (product,),
    )
    for query in ("?dryrun=true", "?dryRun=yes", "?dryRun", "?repairStock=1&dryRun=true"):
        assert daemon.http("/reconcile" + query, "POST", token=TOKEN)[0] == 400, query
    assert daemon.http("/reconcile", "POST")[0] == 401
    assert daemon.http("/reconcile", "GET", token=TOKEN)[0] == 405

    status, body = daemon.http("/reconcile?dryRun=true&repairStock=true", "POST", token=TOKEN)
    assert (status, json.loads(body)["dryRun"]) == (202, True)
    assert daemon.http("/reconcile", "POST", token=TOKEN)[0] == 409
    record = daemon.wait_for_record("Reconciliation completed", 30)
    assert record["dryRun"] is True and record["stockDrifted"] == 1
    assert shop.count_status(db, "active") == 1

    since = len(daemon.records)
    wait_until(
        lambda: daemon.http("/reconcile?repairStock=true", "POST", token=TOKEN)[0] == 202, 5
    )
    record = daemon.wait_for_record("Reconciliation completed", 30, since)
    assert record["dryRun"] is False and record["stockRepaired"] == 1
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "released")


def test_reconcile_without_redis(sweeper: Start) -> None:
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}", env=WITH_TOKEN)
    until_ready(daemon)
    assert daemon.http("/reconcile", "POST", token=TOKEN)[0] == 503
