#!/usr/bin/python3
"""`make bench-where`: where the time of a release goes, by EXPLAIN (ANALYZE, BUFFERS) and perf.

Runs the sweeper as it is. Postgres says what each of its statements did (auto_explain) and how long
that was planned (pg_stat_statements), perf in which functions each process was. Writes
docs/bench/where.md, or the file that is named. perf needs root, or a kernel.perf_event_paranoid of 1
at most.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import machine  # noqa: E402
from bed import Bed, TooLate, sleep_until_server, verify  # noqa: E402
from data import Data  # noqa: E402
from drain import RELEASE_ALL, until_drained  # noqa: E402
from harness.database import Database  # noqa: E402
from harness.poll import wait_until  # noqa: E402
from harness.sweeper import Sweeper  # noqa: E402
from lateness import MARGIN_S, mirrored, start_moment_s  # noqa: E402

RESULT = HERE.parent / "docs" / "bench" / "where.md"
DRAINED = 300_000
# How the sweeper's releases are told apart: by a query that only this one has.
CAREFUL, BULK, BACKLOG = "held", "alone", "locked"
ONE_STATEMENT = "gone"
RATE, SECONDS = 1000, 10
SETTINGS = {
    "shared_preload_libraries": "auto_explain,pg_stat_statements",
    "pg_stat_statements.track_planning": "on",
}
# An entry of the server's log goes on in lines that begin with a tab.
PLAN = re.compile(r"LOG:  duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)")
ROOT = re.compile(r"^\S.*\(cost=.*actual time=.* rows=(\d+) loops=", re.MULTILINE)
# Postgres's functions: what is in one of them is in it or in what it calls.
STEPS = {
    "parsing": ("pg_parse_query", "parse_analyze_varparams"),
    "planning": ("pg_plan_queries",),
    "making and ending the plan's state": ("standard_ExecutorStart", "standard_ExecutorEnd"),
    "running the plan": ("standard_ExecutorRun",),
    "- look-ups in indexes": ("index_getnext_slot",),
    "- new versions of rows": ("heap_update",),
    "- their entries in indexes": ("ExecInsertIndexTuples",),
    "committing": ("CommitTransactionCommand",),
    "reading from and writing to the client": ("secure_read", "secure_write"),
}
SYMBOLS = 8

# What is done while the sweeper works.
Watch = Callable[[Database, Sweeper], None]


def steady(bed: Bed, watch: Watch) -> None:
    """RATE a second fall due; watch is called when the first does."""
    n = RATE * SECONDS
    first_s = start_moment_s(bed, n)
    expires = f"to_timestamp({first_s:.0f}) + i * interval '{1 / RATE:f} s'"
    with bed.fresh(Data(n, expires)) as db, bed.sweeper(db) as sweeper:
        mirrored(bed, db, n, False)
        sleep_until_server(db.conn, first_s)
        watch(db, sweeper)
        with contextlib.suppress(TooLate):  # perf's report may have taken longer
            sleep_until_server(db.conn, first_s + SECONDS + MARGIN_S)
        verify(db, bed.redis, n)


def drain(bed: Bed, watch: Watch) -> None:
    with bed.copy(Data(DRAINED)) as db:
        bed.mirror(db)
        with bed.sweeper(db) as sweeper:
            watch(db, sweeper)
            until_drained(bed)
        verify(db, bed.redis, DRAINED)


# ---- What Postgres says ----


def explain(bed: Bed, run: Callable[[], None], *marks: str) -> dict[str, str]:
    """For each mark: of the plans that were run meanwhile and have it, the one with the most rows. A
    backlog's releases also are alone."""
    switches = {"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on"}
    since = bed.pg.log_file.stat().st_size
    with bed.pg.connect("postgres") as conn:
        for name, value in switches.items():
            conn.execute(f"ALTER SYSTEM SET auto_explain.{name} = '{value}'")
        conn.execute("SELECT pg_reload_conf()")
        run()
        for name in switches:
            conn.execute(f"ALTER SYSTEM RESET auto_explain.{name}")
        conn.execute("SELECT pg_reload_conf()")
    with open(bed.pg.log_file, encoding="utf-8", errors="replace") as log:
        log.seek(since)
        texts = [text.replace("\n\t", "\n").lstrip("\t") for text in PLAN.findall(log.read())]
    found = dict.fromkeys(marks, (-1, "None was run."))
    for text in texts:
        root = ROOT.search(text)
        mark = next((one for one in marks if f"CTE {one}\n" in text), None)
        if root and mark and int(root.group(1)) > found[mark][0]:
            found[mark] = int(root.group(1)), f"```\n{text[root.start() :].rstrip()}\n```"
    return {mark: plan for mark, (_, plan) in found.items()}


def planning(db: Database) -> str:
    """What parsing costs is not in it: see perf."""
    rows = db.query(
        f"SELECT CASE WHEN query LIKE '%{BACKLOG} AS MATERIALIZED%' THEN 'a release of a backlog'"
        f"            WHEN query LIKE '%{BULK} AS MATERIALIZED%' THEN 'a bulk release'"
        "            ELSE 'a careful release' END,"
        " sum(calls)::int, sum(rows)::int, sum(total_plan_time) / sum(calls),"
        " sum(total_exec_time) / sum(calls), sum(shared_blks_hit) / sum(calls),"
        " sum(wal_bytes) / sum(calls) / 1024"
        f" FROM pg_stat_statements WHERE query ~ '({CAREFUL}|{BULK}|{BACKLOG}) AS MATERIALIZED'"
        " GROUP BY 1 ORDER BY 1"
    )
    lines = [
        "| statement | calls | rows | planned, ms | run, ms | pages | WAL, KiB |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [f"| {name} | {calls:,} | {n:,} | {plan:.3f} | {run:.3f} | {pages:.0f} | {wal:.1f} |"
              for name, calls, n, plan, run, pages, wal in rows]  # fmt: skip
    return "\n".join(lines) + "\n"


# ---- What perf says ----


def worker(db: Database) -> int:
    """Postgres's process that serves the sweeper's worker."""
    is_ours = "application_name LIKE 'reservation-sweeper worker%'"
    found = wait_until(
        lambda: db.query(f"SELECT pid FROM pg_stat_activity WHERE {is_ours}"), 10, "a worker"
    )
    return int(found[0][0])


def perf(pids: dict[str, int], seconds: float) -> dict[str, dict[str, tuple[float, float]]]:
    """By process, then by function: its share with what it calls, and its own, in percent."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        running = {
            name: subprocess.Popen(
                ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-g", "-p", str(pid),
                 "-o", f"{folder}/{name}", "--", "sleep", str(seconds)],
                stderr=subprocess.DEVNULL,
            )
            for name, pid in pids.items()
        }  # fmt: skip
        for name, one in running.items():
            assert one.wait() == 0, "perf record failed: it needs root"
            said = subprocess.run(
                ["perf", "report", "-i", f"{folder}/{name}", "--children", "-g", "none",
                 "--sort", "symbol", "--stdio", "-q"],
                capture_output=True, text=True, check=True,
            ).stdout  # fmt: skip
            lines = re.findall(r"^\s*([\d.]+)%\s+([\d.]+)%\s+\[([.k])\] (\S+)", said, re.MULTILINE)
            found[name] = {
                symbol if where == "." else f"{symbol} (kernel)": (float(all_), float(own))
                for all_, own, where, symbol in lines
            }
    return found


def shares(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    postgres = found["Postgres"]
    text = "| Postgres's worker | % |\n| --- | --: |\n"
    for step, functions in STEPS.items():
        share = sum(postgres.get(function, (0.0, 0.0))[0] for function in functions)
        text += f"| {step} | {share:.1f} |\n"
    for name, symbols in found.items():
        own = sorted(symbols.items(), key=lambda one: -one[1][1])[:SYMBOLS]
        text += f"\nMost of {name}'s own time, in %: "
        text += ", ".join(f"`{symbol}` {share:.0f}" for symbol, (_, share) in own) + ".\n"
    return text


def profile(bed: Bed, run: Callable[[Watch], None], seconds: float) -> str:
    parts: list[str] = []

    def watch(db: Database, sweeper: Sweeper) -> None:
        db.conn.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        db.conn.execute("SELECT pg_stat_statements_reset()")
        pids = {"Postgres": worker(db), "Redis": bed.redis.pid, "the sweeper": sweeper.pid}
        found = perf(pids, seconds)
        parts.extend((planning(db), shares(found)))

    run(watch)
    return "\n".join(parts)


def nothing(_db: Database, _sweeper: Sweeper) -> None:
    pass


def one_statement(bed: Bed) -> None:
    with bed.copy(Data(DRAINED)) as db:
        db.conn.execute(RELEASE_ALL)


def write(bed: Bed) -> str:
    about = machine.describe(bed, False)
    drained = explain(bed, lambda: drain(bed, nothing), BACKLOG, BULK)
    paced = explain(bed, lambda: steady(bed, nothing), CAREFUL)
    statement = explain(bed, lambda: one_statement(bed), ONE_STATEMENT)
    return f"""# Where the time goes

`make bench-where` wrote this on {about["date"][:10]}. {about["machine"]}; {about["system"]};
Postgres {about["postgres"]["version"]}, Redis {about["redis"]["version"]}.

Indexes of `sql/schema.sql`, 1,000 products, the sweeper with default settings. Plans are auto_explain's, of statements that the sweeper ran; its
clock makes them slower than they are. Planning times are pg_stat_statements'. Shares are perf's, of processor time; what a function calls is
in its share.

## Draining {DRAINED:,}

{profile(bed, lambda watch: drain(bed, watch), 1)}
## {RATE:,} a second, default pace

{profile(bed, lambda watch: steady(bed, watch), SECONDS - 2)}
## The plan of a slice of a backlog

{drained[BACKLOG]}

## The plan of a full batch of claims, bulk

{drained[BULK]}

## The plan of a paced batch, careful

{paced[CAREFUL]}

## The plan of one statement that releases {DRAINED:,}

{statement[ONE_STATEMENT]}
"""


def main(words: list[str]) -> int:
    with Bed(**SETTINGS) as bed:
        result = Path(words[0]) if words else RESULT
        result.write_text(write(bed), encoding="utf-8")
    print(f"Written to {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
