"""docs/SCALING.md: its tables are what bench/scaling.py reckons, and that is near what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from documents import ROOT, rows, section, text_of
from test_figures import measured

sys.path.insert(0, str(ROOT / "bench"))

import scaling  # noqa: E402
from scaling import LOOPBACK, MEASURED, RATES, Assumptions, Cost, Costs, Point  # noqa: E402

PAGE = "docs/SCALING.md"
A = Assumptions()


def test_the_page_has_what_the_script_prints() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "scaling.py"], capture_output=True, text=True, check=True
    )
    tables = done.stdout.strip().split("\n\n")
    assert len(tables) == 3
    for table in tables:
        assert table in text_of(PAGE), table


def test_the_page_has_what_was_measured() -> None:
    table = section(text_of(PAGE), "Checked against what was measured")
    queues = measured()["queues"]["variants"]
    for shards, a_second, reckoned, each, each_reckoned in rows(table):
        n = int(shards)
        figures = queues[f"{n} queue{'s' if n > 1 else ''}"]
        assert float(a_second.replace(",", "")) == figures["a second"]["median"]
        assert float(reckoned.replace(",", "")) == round(scaling.on_one_machine(MEASURED, LOOPBACK, n, 2))
        assert float(each) == round(figures["Postgres, CPU s"]["median"] / n / 50_000 * 1e6, 1)
        assert float(each_reckoned) == round(MEASURED.postgres.batch_us(500) / 500, 1)
    assert len(rows(table)) == 3


@pytest.mark.parametrize("rate", [200, 1_000, 5_000, 10_000])
def test_near_what_was_measured(rate: int) -> None:
    """What falls due evenly, which is what the costs were fitted to."""
    figures = measured()["lateness"]["variants"][f"{rate:,} a second, default pace"]
    queue = scaling.queue_at(MEASURED, LOOPBACK, rate)
    assert queue is not None and queue.workers == 1
    assert queue.postgres_cores == pytest.approx(figures["Postgres, cores"]["median"], rel=0.2)


def test_costs_are_found_again() -> None:
    cost = Cost(800.0, 20.0)
    points = [Point(n, n * size, n * cost.batch_us(size)) for n, size in ((200, 1), (200, 50), (100, 500))]
    found = scaling.fit(points)
    assert (found.transaction, found.release) == pytest.approx((800.0, 20.0))
    assert scaling.fit([Point(n, n * s, 7.0 * n * s - n) for n, s in ((9, 1), (9, 9))]).transaction == 0.0
    assert scaling.fit([Point(n, n * s, 7.0 * n - n * s / 9) for n, s in ((9, 1), (9, 9))]).release == 0.0


def test_a_run_of_ones_own(tmp_path: Path) -> None:
    """In the form in which bench/run writes it."""
    parts = {"Postgres": Cost(500.0, 10.0), "Redis": Cost(100.0, 1.0), "sweeper": Cost(90.0, 2.0)}
    late, drains = {}, {}
    for rate, size in ((200, 1), (1_000, 5), (5_000, 25), (10_000, 50)):
        used = {f"{p}, cores": cost.batch_us(size) * rate / size / 1e6 for p, cost in parts.items()}
        late[f"{rate:,} a second, default pace"] = {"in a transaction": size, **used}
    for size in (50, 500):
        used = {p: cost.batch_us(size) * 1000 / size / 1e6 for p, cost in parts.items()}
        drains[f"--workers 1 --batch-size {size}"] = {
            **{"a second": 500.0, "first to last, s": 2.0, "Postgres, CPU s": used["Postgres"]},
            **{"Redis, CPU s": used["Redis"], "releasing program, CPU s": used["sweeper"]},
        }
    content = {
        name: {"variants": {v: {k: {"median": x} for k, x in f.items()} for v, f in variants.items()}}
        for name, variants in (("lateness", late), ("workers", drains))
    }
    found = scaling.costs_of(content)
    for part, cost in (("postgres", "Postgres"), ("redis", "Redis"), ("sweeper", "sweeper")):
        one = getattr(found, part)
        assert (one.transaction, one.release) == pytest.approx((parts[cost].transaction, parts[cost].release))
    file = tmp_path / "bench.json"
    file.write_text(json.dumps({"measurements": content}))
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "scaling.py", "--bench", file, "--postgres-cores", "2"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "| Postgres | 500 | 10.0 |" in done.stdout


@pytest.mark.parametrize("rate", RATES)
def test_no_part_has_more_than_it_can_bear(rate: int) -> None:
    plan = scaling.plan_for(MEASURED, A, rate)
    q = plan.queue
    each = rate / plan.shards
    assert q.workers / q.batch_ms * 1000 * q.batch >= each * 0.999
    assert q.batch <= A.batch and q.workers <= A.workers_most
    assert max(scaling.used_of(q, A).values()) <= 1
    assert plan.sweepers >= 2
    assert plan.sweepers * A.share >= plan.shards * q.sweeper_cores
    assert plan.redis_nodes * A.share >= plan.shards * q.redis_cores
    if plan.shards > 1:  # one less does not do
        fewer = scaling.queue_at(MEASURED, A, rate / (plan.shards - 1))
        assert fewer is None or max(scaling.used_of(fewer, A).values()) > 1


def test_what_runs_out_is_named() -> None:
    for name, costs in (
        ("Postgres's processors", replace(MEASURED, postgres=Cost(9000, 90))),
        ("a Redis", replace(MEASURED, redis=Cost(9000, 90))),
        ("a sweeper", replace(MEASURED, sweeper=Cost(9000, 90))),
    ):
        assert scaling.plan_for(costs, A, 100_000).first == name
    nothing = Costs(Cost(0, 0), Cost(0, 0), Cost(0, 0))
    assert scaling.plan_for(nothing, A, 500_000).first == "its log"
    assert scaling.queue_at(MEASURED, replace(A, round_trip_ms=1000), 100_000) is None
