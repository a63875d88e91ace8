"""Tables of a shop may have any names: those too that our statements' own relations have, but for rs$, and those of
one letter. In the operator's SQL such a name is the shop's table."""

from __future__ import annotations

import json
import re
import string
from pathlib import Path

import pytest
import redis as redis_py
from harness.database import Database
from harness.poll import wait_until
from harness.process import free_port
from harness.shapes import NO_REDIS
from harness.sweeper import ROOT, Finished, Run, Start

TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "sql").glob("*.sql"))]
CTE = re.compile(r"^(?:WITH|WITH RECURSIVE|\)?,)?(?: ?\{\w+\})? ?([\w$]+) (?:\([\w$, ]*\) )?AS (?:MATERIALIZED )?\($", re.M)
OURS = {name.removeprefix("rs$") for text in TEXTS for name in CTE.findall(text)}
NAMES = sorted(OURS - set(string.ascii_lowercase)) + list(string.ascii_lowercase)
assert {"seen", "ours", "extended", "locked", "taken", "given"} <= OURS


def either(sql: str) -> str:
    """True of a hold whose row is in any of the tables."""
    return " OR ".join((LOOKS[1] if name == "r" else sql).format(name=f'"{name}"') for name in NAMES)


# In a subquery that calls a table `r` that is what `r` means: there it needs another name.
LOOKS = ("EXISTS (SELECT FROM {name} WHERE {name}.hold = r.id)", "EXISTS (SELECT FROM {name} x WHERE x.hold = r.id AND busy)")
NOTED = " || ".join(f'(SELECT count(*)::text FROM "{name}" x WHERE hold = r.id)' for name in NAMES)
MOVED = " + ".join(f'(SELECT count(*)::int FROM "{name}")' for name in NAMES)


@pytest.fixture
def db(empty_db: Database) -> Database:
    for name in NAMES:
        empty_db.conn.execute(f'CREATE TABLE "{name}" (hold int, busy boolean DEFAULT true)'.encode())
    empty_db.conn.execute(
        "CREATE TABLE spots (id int PRIMARY KEY, seats int, held int DEFAULT 9, moved int);"
        "CREATE TABLE tickets (id int PRIMARY KEY, spot int DEFAULT 1, status text DEFAULT 'held', note text,"
        " expires_at timestamptz);"
        "INSERT INTO spots VALUES (1)"
    )
    return empty_db


def write(folder: Path, look: str, more: str = "") -> str:
    also = "\n".join(f'    - INSERT INTO "{name}" (hold, busy) SELECT -id, false FROM {{released}}' for name in NAMES[:30])
    path = folder / "queues.yaml"
    path.write_text(
        "shop:\n  table: tickets\n  active: status = 'held'\n"
        f"  released: |\n    status = 'free', note = {NOTED}\n"
        "  stock:\n    table: spots\n    key: {spot: id}\n    held: held\n"
        f"    set: moved = {MOVED}\n"
        f"  keep_while: |\n    {either(look)}\n  also:\n{also}\n{more}",
        encoding="utf-8",
    )
    return str(path)


def mode(run: Run, file: str, *args: str) -> Finished:
    return run(*args, "--queues", file, env={"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})


@pytest.mark.slow
@pytest.mark.parametrize("look, keep", zip(LOOKS, ("look_again: 30s", "extend: 1m")), ids=["by its name", "under another"])
def test_in_every_piece_of_sql(db: Database, run: Run, tmp_path: Path, look: str, keep: str) -> None:
    """Each table keeps the hold that has its row there, and nothing else; what is set and told is of them."""
    file = write(tmp_path, look, f"  keep: {{{keep}}}\n  verify:\n    - SELECT hold FROM seen WHERE busy\n")
    for i, name in enumerate(NAMES):
        db.conn.execute("INSERT INTO tickets VALUES (%s, 1, 'held', NULL, now() - interval '1 s')", (i + 1,))
        db.conn.execute(f'INSERT INTO "{name}" (hold) VALUES (%s)'.encode(), (i + 1,))
    db.conn.execute("INSERT INTO tickets VALUES (1000, 1, 'held', NULL, now() - interval '1 s')")
    done = mode(run, file, "--check-config")
    assert done.status == 0, done.stdout
    report = json.loads(mode(run, file, "--rehearse", "500").stdout)
    assert report["released"] == 1 and len(report["reservations"]) == len(NAMES) + 1
    done = mode(run, file, "--once", *NO_REDIS)
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["keptCount"]) == (1, len(NAMES)), done.stderr
    assert db.query("SELECT id, note FROM tickets WHERE status = 'free'") == [(1000, "0" * len(NAMES))]
    assert db.query("SELECT held, moved FROM spots") == [(8, len(NAMES))]
    for name in NAMES[:30]:
        assert db.query(f'SELECT hold FROM "{name}" WHERE NOT busy') == [(-1000,)], name
    report = mode(run, file, "--reconcile", "--report", "-", "--dry-run").stdout
    found = [json.loads(line) for line in report.splitlines()]
    assert [f["found"]["hold"] for f in found if f["kind"] == "verify"] == [NAMES.index("seen") + 1]


def test_by_the_daemon(db: Database, redis: redis_py.Redis, sweeper: Start, tmp_path: Path) -> None:
    """It polls, claims, keeps and releases them."""
    file = write(tmp_path, LOOKS[0], "  keep: {look_again: 1s}\n")
    for id in (1, 2):
        db.conn.execute("INSERT INTO tickets VALUES (%s, 1, 'held', NULL, now() + interval '1 s')", (id,))
    db.conn.execute("INSERT INTO s (hold) VALUES (1)")
    sweeper("--queues", file, "--feed-interval", "200ms", "--lookahead", "20s")
    left = "SELECT array_agg(id) FROM tickets WHERE status = 'held'"
    wait_until(lambda: db.value(left) == [1] and redis.hexists("{shop}:kept", "1"), 20, "one is kept")
    db.conn.execute("DELETE FROM s")
    wait_until(lambda: db.value(left) is None, 20, "it is released")
