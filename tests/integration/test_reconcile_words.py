"""--reconcile: its report, its progress, its exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from typing import Any

from harness import shop
from harness.poll import within
from harness.reconciliation import COUNTS, OFF
from harness.sweeper import binary, environment


def test_report_on_stdout(db: Any, redis: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    id = shop.reserve(db, {product: 1}, 600)
    done = run("--reconcile", *OFF, "--dry-run", "--report", "-")
    assert [json.loads(line)["reservationId"] for line in done.stdout.splitlines()] == [id]
    assert "Reconciliation completed" in done.stderr


def test_report_that_cannot_be_written(run: Any) -> None:
    done = run("--reconcile", "--report", "/nonexistent/report")
    assert done.status == 2
    assert done.stderr.count("\n") == 1 and "/nonexistent/report" in done.stderr
    done = run("--reconcile", "--report", "/dev/full", *OFF)
    assert done.status == 0  # nothing to report


def test_servers_out_of_reach(db: Any, redis: Any, run: Any) -> None:
    done = run("--reconcile", redis_url="redis://127.0.0.1:1")
    assert (done.status, done.records[-1]["level"]) == (1, "ERROR")
    done = run("--reconcile", dsn="postgresql://127.0.0.1:1/none")
    assert (done.status, done.records[-1]["level"]) == (1, "ERROR")
    assert redis.dbsize() == 0


def on_a_terminal(db: Any, redis_server: Any, *args: str) -> tuple[int, str]:
    leader, follower = pty.openpty()
    status = subprocess.run(
        [binary(), "--reconcile", *OFF, *args],
        env=environment(db.dsn, redis_server.url(), {"SWEEPER_LOG_FORMAT": "auto"}),
        stdout=follower,
        stderr=follower,
        timeout=30,
        check=False,
    ).returncode
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(leader, 65536):
            said += data
    os.close(leader)
    return status, said.decode()


def test_words_on_a_terminal(db: Any, redis: Any, redis_server: Any) -> None:
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 1}, 600)
    status, text = on_a_terminal(db, redis_server, "--dry-run")
    assert status == 3
    assert "looking again [" in text  # the progress display
    assert "missing in Redis  " in text and "inconsistencies that remain" in text
    assert "Reconciliation completed" in text


def test_records_begin_a_line_of_a_terminal(db: Any, redis: Any, redis_server: Any) -> None:
    """They come while the progress stands there."""
    shop.reserve(db, {shop.add_product(db): 1}, -5)
    db.conn.execute("ALTER TABLE inventory ADD CHECK (reserved_stock > 0)")
    status, text = on_a_terminal(db, redis_server)
    assert status == 3
    text = re.sub(r"\x1b\[\w*[Jm]", "", text)
    records = re.findall(r"(.)\d{4}-\d\d-\d\dT[\d:.]+Z (?:ERROR|INFO)", text, re.DOTALL)
    assert len(records) >= 2 and set(records) <= set("\r\n"), text


def test_words_without_a_terminal(db: Any, redis: Any, run: Any) -> None:
    """A record of the progress every 10 s, and every figure in the closing one. It takes two feed
    intervals, in which a row that was just inserted may still be mirrored."""
    shop.reserve(db, {shop.add_product(db, stock=100): 1}, 50)
    done = run("--reconcile", "--feed-interval", "5s")
    progress = [r for r in done.records if r["message"] == "Reconciliation progress"]
    assert [(r["level"], r["phase"]) for r in progress] == [("INFO", "looking again")]
    assert {"done", "total", "perSecond", "secondsLeft"} <= set(progress[0])
    record = done.record("Reconciliation completed")
    assert {name: record[name] for name in COUNTS} == dict.fromkeys(COUNTS, 0) | {"mirrorMissing": 1}
    assert (record["stockChecked"], record["dryRun"]) == (1, False)
    assert 10_000 <= record["durationMs"] < within(20_000)
    assert done.status == 0
