"""A Redis that is there and refuses: releases go on, everything says so, and says why."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from harness import rights, shop
from harness.database import Database
from harness.poll import holds, until_ready, wait_until
from harness.queue import ATTENTION, FAILED, FEEDER, INFLIGHT, LEASES, PENDING
from harness.rights import OPTIONAL, names
from harness.servers import Redis
from harness.sweeper import Run, Start, Sweeper
from harness.web import metric

DAEMON = ("--feed-interval", "1s", "--lookahead", "5s", "--max-sleep", "200ms")
SOON_S = 1.5  # a second, and what a busy machine adds


RULES = rights.rules()
RIGHTS = [rule for rule in RULES if rule not in OPTIONAL]


def allow(client: redis_py.Redis, *more: str, without: str = "") -> None:
    rights.allow(client, RULES, *more, without=without)


@pytest.fixture
def url(redis: redis_py.Redis, redis_server: Redis) -> Iterator[str]:
    """A user with the rights of docs/INTEGRATION.md, and no more; a test may change them."""
    allow(redis)
    yield rights.url(redis_server.port)
    redis.acl_deluser("sweeper")


def readyz(daemon: Sweeper) -> dict[str, Any]:
    return json.loads(daemon.http("/readyz")[1])


def wait_degraded(daemon: Sweeper, timeout: float = 5) -> str:
    """Until it says so; the reason."""

    def reason() -> str | None:
        try:
            return readyz(daemon).get("degradedReason")
        except OSError:  # it does not listen yet
            return None

    return wait_until(reason, timeout, "degraded") or ""


def check_on_time(db: Database, n: int = 2) -> None:
    """Reservations that nothing mirrored come due one after the other."""
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=0.2 + 0.2 * i) for i in range(n)]
    released = "SELECT count(*) FROM inventory_reservations WHERE status = 'released' AND id::text = ANY(%s)"
    wait_until(lambda: db.value(released, (ids,)) == n, 10, "the releases")
    late = shop.lateness(db, ids)
    assert min(late) >= 0 and max(late) <= SOON_S, late


def said(daemon: Sweeper) -> list[dict[str, Any]]:
    return [r for r in daemon.records if r.get("degraded") is True]


# ---- rights ---------------------------------------------------------------------------------------


def test_the_rights_of_the_readme_are_enough(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, url: str
) -> None:
    """For all that the program does: releases, refusals, a reconciliation."""
    done = run("--check-config", redis_url=url)
    assert done.status == 0 and "FAIL" not in done.stdout, done.stdout
    assert not redis.keys("*probe*")
    bad = shop.add_product(db)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0 WHERE product_id = %s", (bad,))
    shop.bulk_reserve(db, 2, [bad], "now() - interval '1 s'")
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = total_stock")
    daemon = sweeper(*DAEMON, redis_url=url, http=True, env={"SWEEPER_ADMIN_TOKEN": "t" * 32})
    until_ready(daemon)
    check_on_time(db)
    wait_until(lambda: redis.hlen(FAILED) == 2, 10, "the refused ones")
    assert run("--once", redis_url=url).status in (0, 1)
    assert run("--reconcile", redis_url=url, timeout=90).status in (0, 3)
    assert json.loads(run("--status", redis_url=url).stdout)["degraded"] is False
    assert not said(daemon) and readyz(daemon)["degraded"] is False
    assert daemon.stop() == 0
    log = redis.execute_command("ACL", "LOG")
    refused = [dict(zip(e[::2], e[1::2], strict=True)) for e in log]
    assert not [e for e in refused if e[b"username"] == b"sweeper"], refused
    assert not redis.keys("*probe*")


@pytest.mark.parametrize("right", RIGHTS)
def test_each_right_is_needed(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, url: str, right: str
) -> None:
    """Without it --check-config, the log and /readyz name it; releases go on."""
    more = ("~elsewhere",) if right.startswith("~") else ()
    allow(redis, *more, without=right)
    done = run("--check-config", redis_url=url)
    (line,) = (x for x in done.stdout.splitlines() if x.startswith("FAIL"))
    assert done.status == 1 and names(right, line)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    assert names(right, wait_degraded(daemon))
    wait_until(lambda: shop.count_status(db, "released") == 1, 2, "what is due is released")
    (record,) = said(daemon)
    assert record["level"] == "WARN" and names(right, record["error"])


@pytest.mark.parametrize("right", OPTIONAL)
def test_what_may_be_left_out(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, url: str, right: str
) -> None:
    allow(redis, without=right)
    assert run("--check-config", redis_url=url).status == 0
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    until_ready(daemon)
    check_on_time(db, 1)
    assert readyz(daemon)["degraded"] is False and not said(daemon)


def test_another_database_needs_select(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, url: str
) -> None:
    url = url[:-1] + "3"
    done = run("--check-config", redis_url=url)
    assert done.status == 1 and names("+select", done.stdout)
    allow(redis, "+select")
    assert run("--check-config", redis_url=url).status == 0


@pytest.mark.parametrize("right", ["+time", "+hset"])
def test_a_right_that_is_taken_away_and_given_back(
    db: Database, redis: redis_py.Redis, sweeper: Start, url: str, right: str
) -> None:
    """Under the running daemon; what is needed seldom shows within thirty seconds."""
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    until_ready(daemon)
    check_on_time(db, 1)
    allow(redis, without=right)
    check_on_time(db)
    assert names(right, wait_degraded(daemon, 40))
    check_on_time(db)
    assert len(said(daemon)) == 1
    allow(redis)
    back = daemon.wait_for_record("Redis is back", 10)
    assert back["level"] == "INFO" and back["awaySeconds"] > 0 and back["degraded"] is False
    assert back["redis"].startswith("127.0.0.1:")
    assert readyz(daemon)["degraded"] is False
    check_on_time(db)


def test_everything_says_the_same(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start, url: str
) -> None:
    allow(redis, without="+time")
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    reason = wait_degraded(daemon)
    until_ready(daemon)
    status = json.loads(daemon.http("/status")[1])
    assert status["degraded"] is True and status["degradedReason"] == reason
    assert status["redis"]["up"] is True and status["pending"] is None
    assert metric(daemon, "degraded") == metric(daemon, "redis_up") == 1
    done = run("--status", redis_url=url)
    mode = json.loads(done.stdout)
    assert done.status == 1 and mode["degraded"] is True and names("+time", mode["degradedReason"])
    assert names("+time", done.record("Redis refuses")["error"])


# ---- other refusals -------------------------------------------------------------------------------


@contextmanager
def full(server: Redis, client: redis_py.Redis) -> Iterator[str]:
    client.config_set("maxmemory", "1")
    yield "OOM"
    client.config_set("maxmemory", "0")


@contextmanager
def disk_full(server: Redis, client: redis_py.Redis) -> Iterator[str]:
    """A snapshot that cannot be written."""
    shutil.rmtree(str(server.settings["dir"]))
    client.config_set("save", "3600 1")
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "bgsave")
    yield "MISCONF"
    client.config_set("save", "")


@contextmanager
def no_replicas(server: Redis, client: redis_py.Redis) -> Iterator[str]:
    client.config_set("min-replicas-to-write", "1")
    yield "NOREPLICAS"
    client.config_set("min-replicas-to-write", "0")


@contextmanager
def busy(server: Redis, client: redis_py.Redis) -> Iterator[str]:
    """Somebody else's script that does not end."""
    client.config_set("lua-time-limit", "50")

    def run() -> None:
        with server.client() as other, suppress(redis_py.RedisError):
            other.eval("while true do end", 0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield "BUSY"
    client.execute_command("SCRIPT", "KILL")
    thread.join(5)


def wrong_type(key: str) -> Callable[[Redis, redis_py.Redis], Any]:
    @contextmanager
    def hurt(server: Redis, client: redis_py.Redis) -> Iterator[str]:
        with client.pipeline() as pipe:
            pipe.delete(key)
            pipe.rpush(key, "a stranger's")
            pipe.execute()
        yield "WRONGTYPE"
        client.delete(key)

    hurt.__name__ = "wrong_type_" + key.partition(":")[2]
    return hurt


REFUSALS = (full, disk_full, no_replicas, busy, *map(wrong_type, (PENDING, LEASES, INFLIGHT, FAILED, FEEDER)))


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: fault.__name__)
def test_refusals_under_the_running_daemon(
    db: Database,
    private_redis: Callable[..., Redis],
    run: Run,
    sweeper: Start,
    tmp_path: Path,
    fault: Callable[[Redis, redis_py.Redis], Any],
) -> None:
    (tmp_path / "data").mkdir()
    server = private_redis(dir=tmp_path / "data")
    client = server.client()
    daemon = sweeper(*DAEMON, redis_url=server.url(), http=True)
    until_ready(daemon)
    check_on_time(db, 1)
    with fault(server, client) as code:
        check_on_time(db)
        assert code in wait_degraded(daemon)
        assert daemon.http("/readyz")[0] == 200
        done = run("--check-config", redis_url=server.url())
        assert done.status == 1 and code in done.stdout
        check_on_time(db)
        records = said(daemon)
        assert len(records) <= 2 and code in records[-1]["error"], records
    daemon.wait_for_record("Redis is back", 10)
    check_on_time(db)
    assert not client.keys("*probe*")
    client.close()


@pytest.mark.parametrize(("key", "call"), [(FAILED, "HLEN"), (ATTENTION, "ZCARD")])
def test_the_call_that_is_refused_is_named(
    private_redis: Callable[..., Redis], sweeper: Start, key: str, call: str
) -> None:
    server = private_redis()
    daemon = sweeper(*DAEMON, redis_url=server.url(), http=True)
    until_ready(daemon)
    with server.client() as client:
        client.set(key, "a stranger's")
    reason = wait_degraded(daemon)
    assert re.match(rf"{call} in \w+\.lua: WRONGTYPE", reason), reason


@pytest.mark.parametrize("fault", REFUSALS[:5], ids=lambda fault: fault.__name__)
def test_refusals_from_the_start(
    db: Database,
    private_redis: Callable[..., Redis],
    sweeper: Start,
    tmp_path: Path,
    fault: Callable[[Redis, redis_py.Redis], Any],
) -> None:
    """Ready all the same, and on time."""
    (tmp_path / "data").mkdir()
    server = private_redis(dir=tmp_path / "data")
    client = server.client()
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-5)
    with fault(server, client) as code:
        daemon = sweeper(*DAEMON, redis_url=server.url(), http=True)
        assert code in wait_degraded(daemon)
        until_ready(daemon, 5)
        wait_until(lambda: shop.count_status(db, "released") == 1, 5, "what was due")
        check_on_time(db)
    wait_until(lambda: not readyz(daemon)["degraded"], 10, "back")
    check_on_time(db)
    client.close()


def test_claims_that_go_through_and_settlements_that_do_not(
    db: Database, redis: redis_py.Redis, sweeper: Start, url: str
) -> None:
    """No line a second: a few for the whole of it, whatever goes through in between."""
    allow(redis, without="+hset")
    product = shop.add_product(db)
    shop.bulk_reserve(db, 1, [product], "now() - interval '1 s'")
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = total_stock")
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    wait_degraded(daemon)
    holds(lambda: len(said(daemon)) == 1, 4, "one record")


def test_scripts_that_are_forgotten_again_and_again(
    db: Database, redis: redis_py.Redis, sweeper: Start, url: str
) -> None:
    """NOSCRIPT is no refusal."""
    daemon = sweeper(*DAEMON, redis_url=url, http=True)
    until_ready(daemon)
    for _ in range(5):
        redis.script_flush()
        check_on_time(db, 1)
    assert not said(daemon)


def test_once_says_that_redis_was_not_told(
    db: Database, redis: redis_py.Redis, run: Run, url: str
) -> None:
    allow(redis, without="+zrem")
    shop.bulk_reserve(db, 20, [shop.add_product(db)], "now() - interval '1 s'")
    done = run("--once", "--batch-size", "5", redis_url=url)
    assert done.status == 0 and done.record("Cleanup job completed")["cleanedCount"] == 20
    assert names("+zrem", done.record("could not be told")["error"])
