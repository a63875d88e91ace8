"""The harness itself: a shop that adds up, and servers that come back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.pipes import Pipe
from harness.poll import wait_until, within
from harness.queue import FEEDER
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper


def test_shop_adds_up(db: Database) -> None:
    first, second = shop.add_product(db, stock=10), shop.add_product(db, stock=5)
    sold = shop.reserve(db, {first: 2, second: 1}, ttl_s=60)
    back = shop.reserve(db, {first: 3}, ttl_s=60)
    assert shop.stock(db, first) == (10, 5, 5)
    assert shop.commit(db, sold) and not shop.commit(db, sold)
    assert shop.extend(db, back, ttl_s=120)
    assert shop.cancel(db, back) and not shop.cancel(db, back)
    assert shop.stock(db, first) == (8, 8, 0)
    shop.check_stock_adds_up(db)
    with pytest.raises(shop.OutOfStock):
        shop.reserve(db, {first: 1, second: 99}, ttl_s=60)
    shop.check_stock_adds_up(db)


def test_expired_is_not_live(db: Database) -> None:
    product = shop.add_product(db)
    expired = shop.reserve(db, {product: 1}, ttl_s=-1)
    assert not shop.commit(db, expired)
    assert not shop.extend(db, expired, ttl_s=60)
    assert shop.statuses(db) == {"active": 1}


def test_bulk_and_lateness(db: Database) -> None:
    products = shop.add_products(db, 10, stock=7)
    ids = shop.bulk_reserve(db, 20_000, products, "now() - i * interval '1 ms'", quantity=2)
    assert len(set(ids)) == 20_000
    shop.check_stock_adds_up(db)
    db.conn.execute("UPDATE inventory_reservations SET status = 'released' WHERE id = %s", (ids[-1],))
    (late,) = shop.lateness(db)
    assert 20 <= late < 20 + within(10)
    with pytest.raises(AssertionError):
        shop.check_stock_adds_up(db)


def test_servers_come_back(
    private_pg: Callable[..., Postgres], private_redis: Callable[..., Redis]
) -> None:
    pg = private_pg(max_connections=20)
    database = Database.create(pg)
    shop.add_product(database, stock=3)
    cache = private_redis(requirepass="a password")
    for end in (pg.kill9, lambda: pg.stop("immediate"), pg.stop):
        end()
        pg.start()
        database.reconnect()
        assert database.value("SELECT count(*) FROM inventory") == 1
    client = cache.client()
    client.set("key", "value")
    cache.kill9()
    cache.start()
    assert client.get("key") is None


def test_socket_and_tcp(db: Database, pg_server: Postgres, redis: redis_py.Redis) -> None:
    with psycopg.connect(pg_server.dsn(db.name, socket=True)) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert redis.dbsize() == 0


def test_redis_is_empty_whatever_was_left_there(session_redis: Redis, request: pytest.FixtureRequest) -> None:
    with session_redis.client() as client:
        client.set(FEEDER, "somebody")  # of whatever type it was
        request.getfixturevalue("redis_server")
        assert client.dbsize() == 0


def test_sweeper_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import json, os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('not a record', file=sys.stderr, flush=True)\n"
        "print(json.dumps({'level': 'INFO', 'message': 'Up', 'url': os.environ['REDIS_URL']}),"
        " flush=True)\n"
        "while True: signal.pause()\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("RS_BINARY", str(program))
    monkeypatch.setenv("RS_WRAPPER", "env RS_WRAPPED=1")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
    child = Sweeper(redis_url="redis://here")
    assert child.wait_for_record("Up")["url"] == "redis://here"
    assert child.rss_kb() > 0 and child.cpu_seconds() >= 0
    assert child.stop() == 7
    assert child.stderr_lines == ["not a record"]
    with pytest.raises(AssertionError, match="no record"):
        child.wait_for_record("Never")


def test_a_record_is_there_once_it_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though neither the program's thread that writes it nor ours that reads it has had its turn."""
    monkeypatch.setattr(Pipe, "_follow", lambda pipe: None)
    record = '{"level": "INFO", "message": "Done"}'
    program = tmp_path / "program"
    program.write_text(
        f"#!{sys.executable}\n"
        "import signal, threading, time\n"
        # Until the first thread is in its pause: before, the two would wait for the interpreter's lock.
        "def write():\n"
        "    quiet = 0\n"
        "    while quiet < 20:\n"
        "        time.sleep(0.01)\n"
        "        quiet = quiet + 1 if open('/proc/self/stat').read().rpartition(')')[2].split()[0] == 'S' else 0\n"
        f"    open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "    end = time.monotonic() + 0.3\n"
        "    while time.monotonic() < end: pass\n"
        f"    print({record!r}, 'and more', sep='\\n', end='', flush=True)\n"
        "    signal.pause()\n"
        "threading.Thread(target=write, daemon=True).start()\n"
        "signal.pause()\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    child = Sweeper(program=str(program))
    wait_until((tmp_path / "done").exists, what="something else tells of it")
    assert child.find("Done") and child.stdout_lines == [record], "not the line whose end is missing"
    child.kill()
    assert child.stdout_lines == [record, "and more"]


def test_wait_until_has_a_deadline() -> None:
    with pytest.raises(AssertionError, match="it never comes"):
        wait_until(lambda: 0, timeout=0.05, what="it never comes")
