"""What a reconciliation is to find: planted, reported by a dry run that changes nothing, repaired by a
run, and gone in the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis as redis_py

from . import shop
from .database import Database
from .queue import PENDING
from .sweeper import Finished, Run

OFF = ("--lookahead", "off")
COUNTS = (
    "releasedCount",
    "mirrorMissing",
    "mirrorMisplaced",
    "mirrorOrphaned",
    "mirrorSpent",
    "leasesExpired",
    "stockDrifted",
    "stockRepaired",
    "remainingCount",
)

Check = Callable[..., list[dict[str, Any]]]


def now_ms(db: Database) -> int:
    return int(str(db.value("SELECT ceil(extract(epoch FROM clock_timestamp()) * 1000)::bigint")))


def expires_ms(db: Database, id: str) -> int:
    return int(
        str(
            db.value(
                "SELECT ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
                " FROM inventory_reservations WHERE id = %s",
                (id,),
            )
        )
    )


def mirror(db: Database, redis: redis_py.Redis, *ids: str) -> None:
    for id in ids:
        redis.zadd(PENDING, {id: expires_ms(db, id)})


def hold(db: Database, redis: redis_py.Redis, product: str, ttl_s: float = 600) -> str:
    """A reservation that stands in Redis as it should."""
    id = shop.reserve(db, {product: 1}, ttl_s)
    mirror(db, redis, id)
    return id


def figures(done: Finished) -> dict[str, int]:
    """The closing record's counts that are not 0."""
    record = done.record("Reconciliation completed")
    assert set(COUNTS) <= set(record)
    return {name: record[name] for name in COUNTS if record[name] != 0}


def content(redis: redis_py.Redis, key: bytes) -> object:
    """Not DUMP, which gives a hash in an order that reading it may change."""
    kind = redis.type(key)
    if kind == b"zset":
        return redis.zrange(key, 0, -1, withscores=True)
    return redis.hgetall(key) if kind == b"hash" else redis.dump(key)


def everything(db: Database, redis: redis_py.Redis) -> tuple[object, ...]:
    """All that both servers hold; of rows also what even a lock leaves on them."""
    return (
        db.query("SELECT ctid, xmin, xmax, * FROM inventory ORDER BY product_id"),
        db.query("SELECT ctid, xmin, xmax, * FROM inventory_reservations ORDER BY id, product_id"),
        {key: content(redis, key) for key in redis.keys("*")},
    )


def check_findings(
    db: Database,
    redis: redis_py.Redis,
    run: Run,
    folder: Path,
    *args: str,
    status: int = 0,
    repaired: dict[str, int] | None = None,
    **counts: int,
) -> list[dict[str, Any]]:
    """Dry run, run, second run; returns the lines of the run's report."""
    reports = []
    before = everything(db, redis)
    for extra in (("--dry-run",), ()):
        report = folder / "report"
        done = run("--reconcile", *args, *extra, "--report", str(report))
        reports.append([json.loads(line) for line in report.read_text().splitlines()])
        if extra:
            assert everything(db, redis) == before
            findings = sum(n for name, n in counts.items() if name != "mirrorSpent")
            assert figures(done) == counts | ({"remainingCount": findings} if findings else {})
            assert done.status == (3 if findings else 0)
            assert {line["done"] for line in reports[0]} <= {"nothing"}
            assert len(reports[0]) == findings
        else:
            assert figures(done) == (counts if repaired is None else repaired), done.stderr
            assert done.status == status
    kinds = [[(line["kind"], line.get("reservationId")) for line in report] for report in reports]
    assert sorted(kinds[0], key=str) == sorted(kinds[1], key=str)
    again = run("--reconcile", *args)
    if status == 0:
        left = {name: n for name, n in figures(again).items() if name != "mirrorSpent"}
        assert (left, again.status) == ({}, 0)
    return reports[1]
