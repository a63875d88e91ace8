"""Log records: their form, where they go, and what they never say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.queue import mirror
from harness.servers import Redis
from harness.sweeper import Run, Start, Sweeper

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIRST = ["timestamp", "level", "service", "message"]


def check_lines(lines: list[str], levels: set[str]) -> None:
    for line in lines:
        record = json.loads(line)
        assert list(record)[:4] == FIRST, line
        assert TIMESTAMP.fullmatch(record["timestamp"]), line
        at = datetime.fromisoformat(record["timestamp"])
        assert abs(datetime.now(timezone.utc) - at) < timedelta(minutes=5), line
        assert record["level"] in levels, line
        assert record["service"] == "reservation-sweeper"
        assert record["message"]
        assert all(re.fullmatch(r"[a-z][a-zA-Z]*", name) for name in record), line


def work(db: Database, redis: redis_py.Redis, daemon: Sweeper) -> list[str]:
    """A life with a release, a refusal and an uncounted product; the ids released in order."""
    products = shop.add_products(db, 2)
    fine = [shop.reserve(db, {products[0]: 1}, ttl_s=0) for _ in range(20)]
    refused = shop.reserve(db, {products[1]: 1}, ttl_s=0)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = 100 WHERE product_id = %s",
        (products[1],),
    )
    gone = shop.reserve(db, {shop.add_product(db, stock=7): 1}, ttl_s=0)
    db.conn.execute("DELETE FROM inventory WHERE total_stock = 7")
    mirror(db, redis, *fine, refused, gone)
    daemon.wait_for_record("refused", 20)
    daemon.wait_for_record("no inventory row", 20)
    wait_until(lambda: shop.count_status(db, "released") == 21, 20, "all releases")
    assert daemon.stop() == 0
    return fine


def test_json_lines(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    # A zone of this process's own changes nothing: records are in UTC.
    daemon = sweeper("--log-level", "DEBUG", env={"TZ": "Asia/Tokyo"})
    fine = work(db, redis, daemon)
    check_lines(daemon.stdout_lines, {"INFO", "DEBUG"})
    check_lines(daemon.stderr_lines, {"WARN", "ERROR"})
    assert {"WARN", "ERROR"} == {json.loads(line)["level"] for line in daemon.stderr_lines}
    at_info = [r for r in daemon.records if r["level"] == "INFO"]
    assert not any(id in json.dumps(r) for r in at_info for id in fine)


def test_levels(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper("--log-level", "ERROR")
    work_db = shop.add_product(db)
    id = shop.reserve(db, {work_db: 1}, ttl_s=0)
    mirror(db, redis, id)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    assert daemon.stop() == 0
    assert daemon.stdout_lines == daemon.stderr_lines == []


def test_text(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper("--log-format", "text")
    mirror(db, redis, shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0))
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    assert daemon.stop() == 0
    for line in daemon.stdout_lines:
        assert TIMESTAMP.match(line) and line.split()[1] == "INFO"


def test_passwords_are_never_shown(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start, run: Run, tmp_path: Path
) -> None:
    """Neither of the servers' passwords, given by flag, in logs, /proc or what is printed."""
    cache = private_redis(requirepass="hush-redis")
    secrets = (db.server.password, "hush-redis")
    urls = ("--database-url", db.dsn, "--redis-url", cache.url())
    said = []
    daemon = sweeper(*urls, "--log-level", "DEBUG", dsn=None, redis_url=None)
    daemon.wait_for_record("Redis connected")
    daemon.wait_for_record("Postgres connected")
    for name in ("cmdline", "comm"):
        said.append(Path(f"/proc/{daemon.pid}/{name}").read_text(errors="replace"))
    titles = [row[0] for row in db.query("SELECT application_name FROM pg_stat_activity")]
    said += titles + [str(client) for client in cache.client().client_list()]
    cache.stop()
    daemon.wait_for_record("out of reach")
    assert daemon.stop() == 0
    said += daemon.stdout_lines + daemon.stderr_lines
    for mode in ("--once", "--check-config", "--help"):
        done = run(mode, *urls, dsn=None, redis_url=None)
        said += [done.stdout, done.stderr]
    assert len(said) > 10
    for text in said:
        assert not any(secret in text for secret in secrets), text
