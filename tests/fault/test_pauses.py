"""A pause of half an hour under load: nothing is released, nothing is lost, and nobody is woken but by
the pause's own alert. Postgres's clock is set forward minute by minute meanwhile."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from bed import Bed
from clocks import Clock
from harness.poll import until_ready, wait_until, within
from harness.queue import PAUSED
from harness.servers import Postgres, Redis
from harness.sweeper import ROOT, Sweeper, run_once

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
MINUTES = 30
SAMPLE = re.compile(r"^(reservation_sweeper_\w+)(?:\{(.*)\})? (\S+)$")
# A clock that is off is what this test does; and the feed's times are not those of promtool.
NOT_SHOWN = ("clock_offset_seconds", "feed_last_success_timestamp_seconds")


@pytest.fixture
def moved() -> Iterator[tuple[Bed, Clock]]:
    clock = Clock("pauses")
    pg, redis = Postgres(fsync=False), Redis()
    pg.env = clock.env()
    pg.start()
    redis.start()
    bed = Bed(pg, redis)
    yield bed, clock
    bed.close()
    pg.close()
    redis.close()


class Scrapes:
    """What Prometheus would have of the daemons: each look is one of its minutes."""

    def __init__(self, daemons: list[Sweeper]) -> None:
        self.daemons = daemons
        self.n = 0
        self.series: dict[str, dict[int, float]] = {}

    def look(self) -> None:
        for instance, daemon in enumerate(self.daemons):
            labels = f'job="reservation-sweeper",instance="{instance}"'
            self.note(f"up{{{labels}}}", 1)
            for line in daemon.http("/metrics")[1].splitlines():
                match = SAMPLE.match(line)
                if not match or match[1].endswith(NOT_SHOWN):
                    continue
                self.note(f"{match[1]}{{{match[2] + ',' if match[2] else ''}{labels}}}", float(match[3]))
        self.n += 1

    def note(self, name: str, value: float) -> None:
        self.series.setdefault(name, {})[self.n] = value

    def values(self, of: dict[int, float], quiet: int) -> str:
        told = [repr(of[i]) if i in of else "_" for i in range(self.n)]
        return " ".join([*told, f"{told[-1]}x{quiet}" if told[-1] != "_" else f"_x{quiet}"])

    def alerts(self, folder: Path, quiet: int = 90) -> str:
        """What promtool says of the rules over all of this, and of so many quiet minutes after it."""
        rules = yaml.safe_load(ALERTS.read_text())
        (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
        tests = {
            "rule_files": ["alerts.yml"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": self.values(of, quiet)} for name, of in self.series.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": 'count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[10h]))',
                            "eval_time": f"{self.n + quiet}m",
                            "exp_samples": [
                                {"labels": '{alertname="ReservationSweeperPaused"}', "value": 1}
                            ],
                        }
                    ],
                }
            ],
        }
        (folder / "test.yml").write_text(yaml.safe_dump(tests))
        done = subprocess.run(
            ["promtool", "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True
        )
        return "" if done.returncode == 0 else done.stdout + done.stderr


def released(bed: Bed) -> int:
    return int(bed.db.value("SELECT count(*) FROM inventory_reservations WHERE status = 'released'"))


def test_half_an_hour_under_load(moved: tuple[Bed, Clock], tmp_path: Path) -> None:
    bed, clock = moved
    daemons = [bed.start("--feed-interval", "200ms", "--lookahead", "2s", http=True) for _ in range(2)]
    for daemon in daemons:
        until_ready(daemon)
    scrapes = Scrapes(daemons)
    servers = {"dsn": bed.db.dsn, "redis_url": bed.redis_server.url()}
    with bed.traffic(rate=60, ttl_s=3) as traffic:
        bed.wait_for_releases(0)
        for _ in range(5):
            scrapes.look()
            time.sleep(0.3)
        given = run_once("--pause", f"{MINUTES}m", "--reason", "a test", **servers)
        assert given.status == 0
        for daemon in daemons:
            daemon.wait_for_record("Paused: nothing is released")
        wait_until(lambda: scrape_all(daemons, "paused") == [1, 1])
        before, reserved = released(bed), traffic.reserved
        for minute in range(1, MINUTES):
            clock.set(60 * minute)
            time.sleep(within(0.25))
            scrapes.look()
            for daemon in daemons:
                status, body = daemon.http("/readyz")
                assert status == 200 and json.loads(body)["paused"]["reason"] == "a test", body
        assert released(bed) == before, "nothing is released"
        assert traffic.reserved > reserved, "customers went on"
        assert bed.overdue() > 0 and bed.redis.exists(PAUSED)
        clock.set(60 * (MINUTES + 1))
        for daemon in daemons:
            assert daemon.wait_for_record("The pause is over")["why"] == "its end has come"
        for _ in range(15):
            scrapes.look()
            status, body = daemons[0].http("/readyz")
            assert status == 200, body
            time.sleep(0.3)
    bed.check_settled(30)
    assert released(bed) >= before + MINUTES
    assert scrapes.alerts(tmp_path) == ""


def scrape_all(daemons: list[Sweeper], name: str) -> list[float]:
    found = []
    for daemon in daemons:
        match = re.search(rf"^reservation_sweeper_{name}\{{.*\}} (\S+)$", daemon.http("/metrics")[1], re.M)
        assert match
        found.append(float(match[1]))
    return found
