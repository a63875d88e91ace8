"""--status and GET /status; --healthcheck."""

from __future__ import annotations

import json
import os
import pty
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import until_ready, wait_until, within
from harness.process import free_port, has_ipv6
from harness.queue import FAILED, INFLIGHT, PENDING, mirror
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Finished, Run, Start, binary, environment
from harness.web import moment


def status_of(done: Finished, code: int = 0) -> dict[str, Any]:
    assert done.status == code, done.stdout + done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def fail_one(db: Database) -> str:
    product = shop.add_product(db)
    id = shop.reserve(db, {product: 1}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (product,),
    )
    return id


@pytest.mark.valgrind
def test_nothing_there(db: Database, run: Run) -> None:
    status = status_of(run("--status"))
    assert (status["pending"], status["inflight"], status["failed"]) == (0, 0, 0)
    assert status["ready"] is True and status["degraded"] is False
    assert status["oldestOverdue"] is None and status["nextDueAt"] is None
    assert status["failures"] == []
    for server in ("postgres", "redis"):
        assert status[server]["up"] is True
        assert abs(status[server]["clockOffsetSeconds"]) < 1


def test_depth_and_next(db: Database, redis: redis_py.Redis, run: Run) -> None:
    """What Redis does not know is seen in Postgres."""
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=n * 1000) for n in (3, 1, 2)]
    redis.zadd(INFLIGHT, {"x": 1, "y": 2})
    mirror(db, redis, ids[0])
    status = status_of(run("--status"))
    assert (status["pending"], status["inflight"]) == (1, 2)
    expiry = db.value("SELECT extract(epoch FROM min(expires_at))::float FROM inventory_reservations")
    assert abs(moment(status["nextDueAt"]) - expiry) < 0.01  # type: ignore[operator]
    mirrored = int(time.time() * 1000) + 5000
    redis.zadd(PENDING, {ids[2]: mirrored})
    status = status_of(run("--status"))
    assert abs(moment(status["nextDueAt"]) - mirrored / 1000) < 0.01


def test_oldest_overdue(db: Database, redis: redis_py.Redis, run: Run) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    oldest = shop.reserve(db, {product: 1}, ttl_s=-200)
    status = status_of(run("--status"))
    assert status["oldestOverdue"]["reservationId"] == oldest
    assert 200 <= status["oldestOverdue"]["overdueSeconds"] < 200 + within(20)
    assert status["overdueSeconds"] == status["oldestOverdue"]["overdueSeconds"]
    assert status["ready"] is False and oldest in status["reason"]


def test_changes_nothing(db: Database, redis: redis_py.Redis, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-100)
    redis.zadd(PENDING, {"x": 1})
    before = db.query("SELECT * FROM inventory_reservations"), db.query("SELECT * FROM inventory")
    status_of(run("--status"))
    after = db.query("SELECT * FROM inventory_reservations"), db.query("SELECT * FROM inventory")
    assert before == after
    assert redis.keys() == [PENDING.encode()] and redis.zrange(PENDING, 0, -1) == [b"x"]


def test_failures(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """The daemon and --status say the same of them; they are not overdue."""
    id = fail_one(db)
    daemon = sweeper(http=True)
    until_ready(daemon)
    wait_until(lambda: redis.hlen(FAILED) == 1, 20, "it failed")
    wait_until(lambda: json.loads(daemon.http("/status")[1])["failures"], 10, "shown")
    daemon.stop()
    for status in (json.loads(run("--status").stdout),):
        [failure] = status["failures"]
        assert failure["reservationId"] == id and failure["sqlstate"] == "23514"
        assert failure["attempts"] >= 1 and "inventory" in failure["error"]
        assert status["failed"] == 1
        assert status["oldestOverdue"] is None and status["ready"] is True


def test_many_and_foreign_failures(redis: redis_py.Redis, run: Run) -> None:
    redis.hset(
        FAILED,
        mapping={
            b"\xff\x00": "{",
            "big": '{"error":"' + "x" * 20000 + '"}',
            "list": "[]",
            **{f"f{n}": '{"error":"e","attempts":2}' for n in range(100)},
        },
    )
    status = status_of(run("--status"))
    assert status["failed"] == 103 and len(status["failures"]) == 10


def test_locked(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-100)
    with transaction(db, lock_product(product)):
        daemon = sweeper(http=True)
        until_ready(daemon)

        def shown() -> bool:
            status = json.loads(run("--status").stdout)
            return status["locked"] == 1 and status["oldestOverdue"] is None

        wait_until(shown, 20, "locked, not overdue")


def test_the_same_over_http(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    daemon = sweeper(*ALONE, http=True)
    until_ready(daemon)
    product = shop.add_product(db)
    mirror(db, redis, *[shop.reserve(db, {product: 1}, ttl_s=500 + n) for n in range(3)])
    wait_until(lambda: json.loads(daemon.http("/status")[1])["pending"] == 3, 10, "pending")
    http, alone = json.loads(daemon.http("/status")[1]), status_of(run("--status"))
    assert http.keys() == alone.keys()
    for key in ("pending", "inflight", "failed", "nextDueAt", "oldestOverdue", "ready"):
        assert http[key] == alone[key], key


def test_out_of_reach(
    db: Database,
    redis: redis_py.Redis,
    private_pg: Callable[..., Postgres],
    private_redis: Callable[..., Redis],
    run: Run,
) -> None:
    """Still saying what is known, and why the rest is not. All at once: each takes its 5 s."""
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-100)
    redis.zadd(PENDING, {"x": 4_000_000_000_000})
    silent_pg, silent_redis = private_pg(), private_redis()
    silent = Database.create(silent_pg)
    silent_pg.pause()
    silent_redis.pause()
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        no_redis = pool.submit(run, "--status", redis_url="redis://127.0.0.1:1")
        no_pg = pool.submit(run, "--status", dsn="postgresql://shop:geheim@127.0.0.1:1/shop")
        neither = pool.submit(run, "--status", dsn=silent.dsn, redis_url=silent_redis.url())
    assert time.monotonic() - began < within(10)
    silent_pg.resume()
    silent_redis.resume()

    status = status_of(no_redis.result(), 1)
    assert status["redis"]["up"] is False and status["degraded"] is True
    assert status["pending"] is None and status["failed"] is None
    assert status["oldestOverdue"]["reservationId"] == id
    assert no_redis.result().record("Redis is out of reach")["level"] == "ERROR"

    status = status_of(no_pg.result(), 1)
    assert status["postgres"]["up"] is False and status["ready"] is False
    assert status["pending"] == 1
    assert no_pg.result().record("Postgres is out of reach")["level"] == "ERROR"
    assert "geheim" not in no_pg.result().stdout + no_pg.result().stderr

    status = status_of(neither.result(), 1)
    assert status["postgres"]["up"] is False and status["redis"]["up"] is False


def test_unusable_tables(pg_server: Postgres, run: Run) -> None:
    empty = Database.create(pg_server, schema=False)
    done = run("--status", dsn=empty.dsn)
    assert "inventory" in status_of(done, 1)["reason"]
    assert done.record("The database cannot be used as it is")
    empty.drop()


def test_on_a_terminal(db: Database, redis_server: Redis, redis: redis_py.Redis) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-100)
    redis.hset(FAILED, "x\x1b[31m", '{"error":"\\u001b[2Jbad","sqlstate":"23514","attempts":7}')
    env = environment(db.dsn, redis_server.url(), {})
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(binary(), [binary(), "--status"], env)
    text = b""
    try:
        while chunk := os.read(terminal, 65536):
            text += chunk
    except OSError:  # the other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    lines = {line[:16].strip(): line[16:].strip() for line in text.decode().splitlines()}
    assert lines["pending"] == "0" and lines["failed"] == "1"
    assert "1 min 4" in lines["oldest overdue"]
    assert lines["on time"].startswith("no: a reservation has been overdue")
    assert lines["Postgres"].startswith("host=127.0.0.1") and "clock" in lines["Redis"]
    assert b"23514" in text and b"\x1b" not in text


# ---- --healthcheck --------------------------------------------------------------------------------


@pytest.mark.valgrind
def test_healthy(sweeper: Start, run: Run) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    for host in ("127.0.0.1", "", "0.0.0.0", "localhost"):
        done = run("--healthcheck", env={"SWEEPER_HTTP_LISTEN": f"{host}:{daemon.http_port}"})
        assert done.status == 0, done.stderr
        assert json.loads(done.stdout)["ready"] is True


def test_healthy_on_every_address(sweeper: Start, run: Run) -> None:
    """On [::] too, which a machine without IPv6 serves at 127.0.0.1."""
    address = "[::]" if has_ipv6() else ""
    env = {"SWEEPER_HTTP_LISTEN": f"{address}:{free_port()}"}
    sweeper(env=env)
    wait_until(lambda: run("--healthcheck", env=env).status == 0, 20, "healthy")


def test_unhealthy(db: Database, sweeper: Start, run: Run) -> None:
    daemon = sweeper(http=True, dsn="postgresql://shop@127.0.0.1:1/shop")
    daemon.wait_for_record("Started")
    env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{daemon.http_port}"}
    done = run("--healthcheck", env=env)
    assert done.status == 1
    assert "Postgres is out of reach" in json.loads(done.stdout)["reason"]
    assert "503" in done.record("The daemon is not healthy")["error"]


def test_no_daemon(run: Run) -> None:
    done = run("--healthcheck", env={"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})
    assert done.status == 1 and done.record("The daemon is not healthy")
    done = run("--healthcheck")
    assert done.status == 1
    assert "SWEEPER_HTTP_LISTEN" in done.record("The daemon is not healthy")["error"]


def test_somebody_else_listens(run: Run) -> None:
    """Who says nothing, or what is no HTTP, is no healthy daemon, and no reason to hang."""
    for words in (b"", b"hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                try:
                    conn, _ = server.accept()
                    with conn:
                        conn.sendall(words)
                        while conn.recv(4096):  # until the other side gives up
                            pass
                except OSError:
                    pass

            threading.Thread(target=answer, daemon=True).start()
            listen = f"127.0.0.1:{server.getsockname()[1]}"
            began = time.monotonic()
            done = run("--healthcheck", env={"SWEEPER_HTTP_LISTEN": listen})
            assert done.status == 1, words
            assert time.monotonic() - began < within(8)


def test_not_known(db: Database, private_redis: Callable[..., Redis], run: Run) -> None:
    """What a server would have to say is null without it; and the reason is the true one."""
    status = status_of(run("--status", dsn="postgresql://shop@127.0.0.1:1/shop"), 1)
    assert status["overdueSeconds"] is None and status["locked"] is None
    assert (status["pending"], status["failed"]) == (0, 0)
    run("--pause")
    status = status_of(run("--status", dsn="postgresql://shop@127.0.0.1:1/shop"), 1)
    assert status["paused"] and status["overdueSeconds"] == 0  # by what a pause is
    assert status["locked"] is None and status["lockedSeconds"] is None
    run("--resume")
    cluster = private_redis(cluster_enabled="yes")
    status = status_of(run("--status", redis_url=cluster.url()), 1)
    assert "slot 11172 of the Cluster" in status["redis"]["error"]  # nobody has it yet
    assert status["pending"] is None and status["overdueSeconds"] == 0
    assert status["locked"] is None and status["lockedSeconds"] is None  # that is Redis's to say
