"""What a release costs, and what the sweeper needs, as the number of pending reservations grows.

All are in Redis and in Postgres, due in a day; 20,000 more are overdue when the sweeper starts.
Redis itself times each claim, in its log of slow commands with a threshold of zero. No checkpoint
comes between: after one, the first change of each page is logged with the whole page, and among
10 million nearly every release changes another page of the index.
"""

from __future__ import annotations

import os
import re
import statistics
import time
from pathlib import Path

import redis as redis_py

from bed import PENDING, Bed, verify
from data import Data, product
from drain import RELEASE_ALL, release_span_s, until_drained
from harness.database import Database
from harness.poll import wait_until
from harness.sweeper import binary
from measure import cpu_s, peak_kb, spent
from runner import Figures, Measurement, Medians, Target, Variant

SIZES, SIZES_QUICK = (10_000, 1_000_000, 10_000_000), (10_000, 100_000, 300_000)
FED, FED_QUICK = 1_000_000, 100_000
OVERDUE = 20_000
EACH = "Postgres a release, us"

# They are popular as the others are: every product has as many.
ADD_OVERDUE = f"""
    WITH added AS (
        INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)
        SELECT gen_random_uuid(), {product("(1 + i % 1000)")}, 1, now() - interval '1 second'
          FROM generate_series(1, {OVERDUE}) AS i
        RETURNING product_id
    ), units AS (
        SELECT product_id, count(*) AS units FROM added GROUP BY 1
    )
    UPDATE inventory SET total_stock = total_stock + units, reserved_stock = reserved_stock + units
    FROM units WHERE units.product_id = inventory.product_id
"""


def claim_us(client: redis_py.Redis) -> float:
    """What Redis took for a claim, the median over those that ran."""
    scripts = (Path(binary()).parent / "gen" / "queue" / "lua_scripts.c").read_text("utf-8")
    found = re.search(r'lua_claim = \{\s*\.name = "claim",\s*\.sha1 = "(\w+)"', scripts)
    assert found, "no claim among the scripts of this build"
    sha1 = found[1].encode()
    took = [one["duration"] for one in client.slowlog_get(100_000) if sha1 in one["command"]]
    assert took, "no claim is in Redis's log of commands"
    return statistics.median(took)


def first_release_s(db: Database) -> float:
    """When the first release committed, on the clock of this machine, which is Postgres's too."""
    (at_s,) = db.query(
        "SELECT extract(epoch FROM min(pg_xact_commit_timestamp(xmin)))::float8"
        " FROM inventory_reservations WHERE status = 'released'"
    )[0]
    return float(at_s)


def by_statement_us(bed: Bed, db: Database) -> float:
    """As many again, by one statement: how Postgres's own share grows."""
    db.conn.execute(ADD_OVERDUE)
    db.conn.execute("VACUUM ANALYZE")
    begin = time.perf_counter()
    db.conn.execute(RELEASE_ALL)
    took_s = time.perf_counter() - begin
    verify(db, bed.redis, 2 * OVERDUE)
    return took_s / OVERDUE * 1e6


def drained(bed: Bed, db: Database, pending: int) -> Figures:
    db.conn.execute(ADD_OVERDUE)
    db.conn.execute("VACUUM ANALYZE")
    os.sync()  # the copy of the largest database is still being written
    with bed.redis.client(socket_timeout=60) as client:
        empty_bytes = client.info("memory")["used_memory"]
        entries = bed.mirror(db)
        bytes_an_entry = (client.info("memory")["used_memory"] - empty_bytes) / entries
        client.config_set("slowlog-max-len", 100_000)
        client.config_set("slowlog-log-slower-than", 0)
        used_s, started_s = bed.cpu_s(), time.time()
        with bed.sweeper(db, "--lookahead", "off") as sweeper:
            until_drained(bed, left=pending)
            used_s = spent(used_s, bed.cpu_s())
            client.config_set("slowlog-log-slower-than", -1)
            figures = {
                "sweeper a release, us": cpu_s(sweeper.pid) / OVERDUE * 1e6,
                "resident, MB": sweeper.rss_kb() / 1024,
                "its peak, MB": peak_kb(sweeper.pid) / 1024,
                "a claim in Redis, us": claim_us(client),
                "Redis bytes an entry": bytes_an_entry,
            }
        client.slowlog_reset()
        assert client.zcard(PENDING) == pending
    verify(db, bed.redis, OVERDUE)
    released_us = release_span_s(db) / OVERDUE * 1e6
    first_s = first_release_s(db)
    return {
        "a release, us": released_us,
        "by the statement, us": by_statement_us(bed, db),
        EACH: used_s["Postgres, CPU s"] / OVERDUE * 1e6,
        "Redis a release, us": used_s["Redis, CPU s"] / OVERDUE * 1e6,
        **figures,
        "from start to first release, ms": (first_s - started_s) * 1000,
    }


def pending(position: int) -> Variant:
    def run(bed: Bed, quick: bool) -> Figures:
        n = (SIZES_QUICK if quick else SIZES)[position]
        with bed.copy(Data(n, "now() + interval '1 day' + i * interval '1 ms'")) as db:
            return drained(bed, db, n)

    return run


NAMES = [f"{n:,} pending" for n in SIZES]


def growth(what: str) -> Target:
    def value(m: Medians) -> float:
        return m[NAMES[-1]][what] / m[NAMES[0]][what]

    return Target(f"{what}: at 10 million against 10,000", value, 1.2)


SCALE = Measurement(
    name="scale",
    title="20,000 overdue beside many pending (--quick: 10,000, 100,000 and 300,000)",
    variants={name: pending(position) for position, name in enumerate(NAMES)},
    targets=[
        growth("a release, us"),
        *(
            Target(f"{name}: its peak, MB", lambda m, n=name: m[n]["its peak, MB"], 12.0)
            for name in NAMES
        ),
    ],
)


def fed(bed: Bed, quick: bool) -> Figures:
    """The feed itself carries them to Redis: all are due within its look-ahead."""
    n = FED_QUICK if quick else FED
    with bed.copy(Data(n, "now() + interval '12 hours' + i * interval '1 ms'")) as db:
        begin = time.perf_counter()
        with bed.sweeper(db, "--lookahead", "24h") as sweeper, bed.redis.client() as client:
            wait_until(lambda: client.zcard(PENDING) == n, 120, "the feed has mirrored all", 0.05)
            took_s = time.perf_counter() - begin
            figures = {
                "until all are in Redis, s": took_s,
                "sweeper, CPU s": cpu_s(sweeper.pid),
                "resident, MB": sweeper.rss_kb() / 1024,
                "its peak, MB": peak_kb(sweeper.pid) / 1024,
            }
        verify(db, bed.redis, 0)
    return figures


FEED = Measurement(
    name="feed",
    title="A million are due within the look-ahead; Redis is empty (--quick: 100,000)",
    variants={"sweeper": fed},
    targets=[Target("its peak, MB", lambda m: m["sweeper"]["its peak, MB"], 12.0)],
)
