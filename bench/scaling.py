#!/usr/bin/python3
"""What many releases a second need, reckoned from measured service times: docs/SCALING.md.

bench/scaling.py prints the table of that page; with --bench build/bench.json from another machine's run,
and with other assumptions where they are given. Nothing is measured here, no server is needed.

The reckoning. A transaction costs each part (Postgres, Redis, the sweeper) so much processor time, and
each release in it so much more: both are fitted to what was measured at several rates and sizes of
batches. A worker has one batch at a time: two round trips to Redis (claim, settlement), one to
Postgres, the time that all three compute, and the commit. Under a pace, batches begin that far apart.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

RATES = (1_000, 10_000, 50_000, 100_000, 250_000, 500_000, 1_000_000)


@dataclass(frozen=True)
class Cost:
    """Microseconds of a processor."""

    transaction: float
    release: float

    def batch_us(self, n: float) -> float:
        return self.transaction + n * self.release


@dataclass(frozen=True)
class Costs:
    postgres: Cost
    redis: Cost
    sweeper: Cost


@dataclass(frozen=True)
class Point:
    """So many transactions and releases took so many microseconds of a processor."""

    transactions: float
    releases: float
    us: float


@dataclass(frozen=True)
class Assumptions:
    round_trip_ms: float = 0.5  # sweeper to Redis, and to Postgres: zones of one region
    commit_ms: float = 1.0  # a durable commit, as the server waits for it
    postgres_cores: float = 8.0  # of one server
    wal_mb_s: float = 100.0  # what its disk and its standby take
    wal_bytes: float = 510.0  # a release
    share: float = 0.5  # of all of these, for releases; of a core, of one Redis and of one sweeper
    batch: int = 500  # SWEEPER_BATCH_SIZE
    pace_ms: float = 5.0  # SWEEPER_PACE
    workers_most: int = 16  # SWEEPER_WORKERS


@dataclass(frozen=True)
class Queue:
    """One queue at so many releases a second."""

    workers: int
    batch: float
    batch_ms: float  # from the claim to the settlement
    postgres_cores: float
    redis_cores: float
    sweeper_cores: float
    wal_mb_s: float


@dataclass(frozen=True)
class Plan:
    rate: float
    shards: int
    queue: Queue  # of each shard
    sweepers: int
    redis_nodes: int
    first: str  # what is used the most, of what there may be used of it


def fit(points: Iterable[Point]) -> Cost:
    """Least squares of the relative error; neither cost is below zero."""
    xx = xy = yy = xz = yz = 0.0
    for p in points:
        x, y = p.transactions / p.us, p.releases / p.us
        xx, xy, yy, xz, yz = xx + x * x, xy + x * y, yy + y * y, xz + x, yz + y
    det = xx * yy - xy * xy
    transaction, release = (xz * yy - yz * xy) / det, (xx * yz - xy * xz) / det
    if transaction < 0:
        return Cost(0.0, yz / yy)
    if release < 0:
        return Cost(xz / xx, 0.0)
    return Cost(transaction, release)


def costs_of(measurements: dict[str, Any]) -> Costs:
    """From the measurements `lateness` and `workers` of bench/run."""

    def variants(name: str) -> dict[str, dict[str, float]]:
        found = measurements[name]["variants"]
        return {v: {k: one["median"] for k, one in f.items()} for v, f in found.items()}

    late, drains = variants("lateness"), variants("workers")
    points: dict[str, list[Point]] = {"Postgres": [], "Redis": [], "sweeper": []}
    for rate in (200, 1_000, 5_000, 10_000):
        one = late[f"{rate:,} a second, default pace"]
        for part, found in points.items():
            found.append(Point(rate / one["in a transaction"], rate, 1e6 * one[f"{part}, cores"]))
    for size in (50, 500):
        one = drains[f"--workers 1 --batch-size {size}"]
        n = one["a second"] * one["first to last, s"]
        for part, found in points.items():
            name = "releasing program" if part == "sweeper" else part
            found.append(Point(n / size, n, 1e6 * one[f"{name}, CPU s"]))
    return Costs(*(fit(found) for found in points.values()))


def batch_ms(costs: Costs, a: Assumptions, n: float) -> float:
    used_us = sum(getattr(costs, one.name).batch_us(n) for one in fields(costs))
    return used_us / 1000 + 3 * a.round_trip_ms + a.commit_ms


def queue_at(costs: Costs, a: Assumptions, rate: float) -> Queue | None:
    """With as few workers as do; None: no number of them does."""
    for workers in range(1, a.workers_most + 1):
        n = 1.0
        for _ in range(100):  # a batch is what came due since the one before began
            took_ms = max(batch_ms(costs, a, n) / workers, a.pace_ms)
            n = min(a.batch, max(1.0, rate * took_ms / 1000))
        transactions = rate / n
        if transactions * batch_ms(costs, a, n) / 1000 > workers:
            continue
        used = {
            f"{one.name}_cores": transactions * getattr(costs, one.name).batch_us(n) / 1e6
            for one in fields(costs)
        }
        return Queue(
            workers, n, batch_ms(costs, a, n), wal_mb_s=rate * a.wal_bytes / 1e6, **used
        )
    return None


def used_of(q: Queue, a: Assumptions) -> dict[str, float]:
    """How much of what there may be used of one server is, for one queue: above one, it is too little."""
    return {
        "Postgres's processors": q.postgres_cores / (a.postgres_cores * a.share),
        "its log": q.wal_mb_s / (a.wal_mb_s * a.share),
        "a Redis": q.redis_cores / a.share,
        "a sweeper": q.sweeper_cores / a.share,
    }


def plan_for(costs: Costs, a: Assumptions, rate: float) -> Plan:
    """With as few shards as do; each has a queue, a database on a server of its own, and a slot."""
    shards = 1
    while True:
        q = queue_at(costs, a, rate / shards)
        if q is not None and max(used_of(q, a).values()) <= 1:
            break
        shards += 1
    used = used_of(q, a)
    return Plan(
        rate,
        shards,
        q,
        # Never one alone: another goes on when it goes.
        max(2, math.ceil(shards * used["a sweeper"])),
        math.ceil(shards * used["a Redis"]),
        max(used, key=lambda name: used[name]),
    )


def most(costs: Costs, a: Assumptions) -> dict[str, float]:
    """Releases a second of one of each, in full batches."""
    n = a.batch
    each = {one.name: getattr(costs, one.name).batch_us(n) / n for one in fields(costs)}
    return {
        "a worker": 1000 * n / batch_ms(costs, a, n),
        "Postgres's log": a.share * a.wal_mb_s * 1e6 / a.wal_bytes,
        "Postgres's processors": a.share * a.postgres_cores * 1e6 / each["postgres"],
        "a Redis": a.share * 1e6 / each["redis"],
        "a sweeper": a.share * 1e6 / each["sweeper"],
    }


HEAD = (
    "| releases a second | shards | workers a queue | reservations in a batch | a batch, ms"
    " | Postgres, cores each | its log, MB/s each | Redis masters | sweepers | used the most |\n"
    "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --- |"
)


def line(p: Plan) -> str:
    q = p.queue
    cells = (f"{p.rate:,.0f}", p.shards, q.workers, f"{q.batch:.0f}", f"{q.batch_ms:.1f}")
    more = (f"{q.postgres_cores:.1f}", f"{q.wal_mb_s:.1f}", p.redis_nodes, p.sweepers, p.first)
    return "| " + " | ".join(str(cell) for cell in (*cells, *more)) + " |"


def table(costs: Costs, a: Assumptions) -> str:
    return "\n".join([HEAD, *(line(plan_for(costs, a, rate)) for rate in RATES)])


def cost_table(costs: Costs) -> str:
    lines = ["| processor time, µs | a transaction | a release in it |", "| --- | --: | --: |"]
    names = {"postgres": "Postgres", "redis": "Redis", "sweeper": "the sweeper"}
    for one in fields(costs):
        cost = getattr(costs, one.name)
        lines.append(f"| {names[one.name]} | {cost.transaction:.0f} | {cost.release:.1f} |")
    return "\n".join(lines)


def most_table(costs: Costs, a: Assumptions) -> str:
    found = sorted(most(costs, a).items(), key=lambda pair: pair[1])
    lines = [f"| {name} | {rate:,.0f} |" for name, rate in found]
    return "\n".join(["| one of each | releases a second |", "| --- | --: |", *lines])


def on_one_machine(costs: Costs, a: Assumptions, queues: int, cores: int) -> float:
    """Releases a second of a backlog, a worker for each queue, everything on the same processors."""
    each_us = sum(getattr(costs, one.name).batch_us(a.batch) for one in fields(costs)) / a.batch
    return min(queues * most(costs, a)["a worker"], cores * 1e6 / each_us)


# Of `make bench` on 2 x AMD EPYC, Postgres 15 and Redis 7.0, 2026-11-29, nothing else running.
MEASURED = Costs(Cost(831, 19.9), Cost(190, 2.24), Cost(180, 1.21))
# There: no network between them, and what a durable commit cost.
LOOPBACK = Assumptions(round_trip_ms=0.0, commit_ms=0.29)


def main() -> None:
    parser = argparse.ArgumentParser(description="what many releases a second need")
    parser.add_argument("--bench", type=Path, metavar="FILE", help="a bench.json with lateness and workers")
    a = Assumptions()
    for one in fields(a):
        value = getattr(a, one.name)
        parser.add_argument(
            "--" + one.name.replace("_", "-"), type=type(value), default=value, help=f"default {value}"
        )
    options = vars(parser.parse_args())
    file = options.pop("bench")
    costs = costs_of(json.loads(file.read_text())["measurements"]) if file else MEASURED
    a = replace(a, **options)
    print(cost_table(costs), most_table(costs, a), table(costs, a), sep="\n\n")


if __name__ == "__main__":
    main()
