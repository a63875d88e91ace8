"""Settings by their former names: they count, and the log says once what they are called now."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness.poll import until_ready
from harness.sweeper import Record, Run, Start

SAID = "given by its former name"
VARIABLE = "SWEEPER_RECONCILE_INTERVAL"
FLAG = "--reconcile-interval"
QUEUES = """
reservations:
  table: inventory_reservations
  quantity: quantity
  active: status = 'active'
  released: status = 'released'
"""


def said(records: list[Record]) -> list[tuple[str, str, str, str]]:
    return [
        (r["level"], r["former"], r["name"], r["counts"]) for r in records if SAID in r["message"]
    ]


@pytest.mark.parametrize("mode", ["--once", "--status", "--check-config", "--reconcile"])
def test_a_mode_says_it_once(mode: str, run: Run) -> None:
    done = run(mode, env={VARIABLE: "1m"})
    assert done.status == 0
    assert said(done.records) == [("WARN", VARIABLE, "SWEEPER_SCAN_INTERVAL", VARIABLE)]
    assert SAID not in done.stdout, "for programs that read it"
    assert not said(run(mode, env={"SWEEPER_SCAN_INTERVAL": "1m"}).records)


def test_which_of_both_counts(run: Run) -> None:
    for args, env, expected in (
        ([FLAG, "1m"], {}, [("WARN", FLAG, "--scan-interval", FLAG)]),
        (
            ["--scan-interval", "2m", FLAG, "1m"],
            {VARIABLE: "1m"},
            [
                ("WARN", FLAG, "--scan-interval", "--scan-interval"),
                ("WARN", VARIABLE, "SWEEPER_SCAN_INTERVAL", "--scan-interval"),
            ],
        ),
        (
            [],
            {VARIABLE: "not looked at", "SWEEPER_SCAN_INTERVAL": "1m"},
            [("WARN", VARIABLE, "SWEEPER_SCAN_INTERVAL", "SWEEPER_SCAN_INTERVAL")],
        ),
    ):
        assert said(run("--once", *args, env=env).records) == expected


def test_a_daemon_says_it_once_whatever_is_read_anew(sweeper: Start, tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUES)
    daemon = sweeper("--queues", str(file), FLAG, "1m", http=True)
    until_ready(daemon)
    for size in (100, 200):
        since = len(daemon.records)
        file.write_text(f"{QUEUES}  batch_size: {size}\n")
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_record("Reloaded", 20, since=since)
    assert said(daemon.records) == [("WARN", FLAG, "--scan-interval", FLAG)]
