"""Percentiles, processor time, and what a durable commit costs."""

from __future__ import annotations

import contextlib
import math
import os
import re
import statistics
import time
from pathlib import Path

import psycopg

from harness import process
from harness.sweeper import binary

COMMITS = 200
# Beside the program that is measured, whichever is later: bench-programs makes them.
PROGRAMS = Path(binary()).parent / "bench"


def percentile(sorted_values: list[float], share: float) -> float:
    """The smallest value that at least this share does not exceed; NaN when there is none."""
    if not sorted_values:
        return math.nan
    return sorted_values[max(math.ceil(share * len(sorted_values)) - 1, 0)]


def commit_cost_ms(db: psycopg.Connection) -> float:
    """One durable commit, without which there is no release: the median of one-row updates."""
    db.execute("CREATE TABLE commit_cost (n integer); INSERT INTO commit_cost VALUES (0)")
    times = []
    for _ in range(COMMITS):
        begin = time.perf_counter()
        db.execute("UPDATE commit_cost SET n = n + 1")
        times.append(time.perf_counter() - begin)
    db.execute("DROP TABLE commit_cost")
    return statistics.median(times) * 1000


def cpu_s(pid: int) -> float:
    """Processor time of a process that is there, to the nanosecond: stat counts in steps of 10 ms,
    and an idle sweeper needs two of them in half a minute."""
    ran = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            ran += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return ran / 1e9


def family_cpu_s(pid: int) -> float:
    """Processor time of a process and its children, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    ended_s = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    return ended_s + sum(_cpu_s(one) for one in [pid, *process.children(pid)])


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in before}


def peak_kb(pid: int) -> int:
    """The most that was ever resident, in KiB."""
    found = re.search(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0


def _cpu_s(pid: int) -> float:
    try:
        return cpu_s(pid)
    except (FileNotFoundError, ProcessLookupError):  # it has just ended
        return 0.0
