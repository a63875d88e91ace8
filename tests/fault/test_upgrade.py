"""From version 0.1.0 to this one and back, as docs/UPGRADING.md says: what was set goes on to count, releases
stay on time, and what dashboards, alerts and the other version read of it is what that page says."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from bed import Bed, drifted, fix
from harness.poll import holds, until_ready, wait_until
from harness.queue import FAILED, INFLIGHT, LEASES, PENDING
from harness.sweeper import Sweeper, binary, former_binary, run_once

GUIDE = Path(__file__).parents[2] / "docs" / "UPGRADING.md"
VERSIONS = {"0.1": former_binary, "0.2": binary}
# As 0.1 calls them, which this version takes.
ENVIRONMENT = {"SWEEPER_RECONCILE_INTERVAL": "30s", "SWEEPER_FEED_INTERVAL": "500ms"}
FORMER = "given by its former name"
# An orderly stop leaves nothing for a lease to bring back.
ON_TIME_S = 1.0


def start(bed: Bed, version: str) -> Sweeper:
    """By 0.1's names of its settings, of which this version says which it calls otherwise."""
    one = bed.start(program=VERSIONS[version](), env=ENVIRONMENT, http=True)
    until_ready(one)
    said = [(r["level"], r["former"], r["name"]) for r in one.find(FORMER)]
    renamed = ("WARN", "SWEEPER_RECONCILE_INTERVAL", "SWEEPER_SCAN_INTERVAL")
    assert said == ([renamed] if version == "0.2" else [])
    return one


def errors(bed: Bed) -> list[object]:
    return [r for one in bed.sweepers for r in one.records if r["level"] == "ERROR"]


def roll(bed: Bed, hosts: list[Sweeper], version: str) -> None:
    """One host after the other: the old program stops in order, the new one is ready on the next line."""
    for i, old in enumerate(hosts):
        bed.stream(60, rate=400)
        assert old.stop() == 0
        hosts[i] = start(bed, version)
        bed.check_always()


@pytest.mark.short
def test_up_and_back_in_order_under_load(bed: Bed) -> None:
    hosts = [start(bed, "0.1") for _ in range(2)]
    with bed.traffic(rate=150, ttl_s=0.3):
        began = time.time()
        bed.wait_for_releases(began)
        roll(bed, hosts, "0.2")
        upgraded = time.time()
        bed.wait_for_releases(upgraded)
        assert not bed.redis.exists(INFLIGHT), "this version writes there"
        roll(bed, hosts, "0.1")
        downgraded = time.time()
        bed.wait_for_releases(downgraded)
        assert not bed.redis.exists(LEASES), "an orderly stop leaves claims"
    wait_until(lambda: bed.overdue() == 0, 5, "nothing is overdue", step=0.02)
    assert max(bed.lateness(began)) < bed.in_time(ON_TIME_S)
    wait_until(lambda: not bed.redis.exists(PENDING, LEASES, INFLIGHT), 5, "nothing is left behind")
    bed.check_settled()
    assert not errors(bed)


def labels(daemon: Sweeper) -> dict[str, set[str]]:
    """Of each metric that has a value: its labels, but for what makes a histogram."""
    found: dict[str, set[str]] = {}
    for line in daemon.http("/metrics")[1].splitlines():
        if not line.startswith("#"):
            name, given = re.match(r"(\w+)(?:\{(.*)\})?", line).groups()  # type: ignore[union-attr]
            found.setdefault(name, set()).update(set(re.findall(r"(\w+)=", given or "")) - {"le"})
    return found


def keys(value: object) -> set[str]:
    """All fields of a document, with what they stand in."""
    if isinstance(value, dict):
        return {k for key, of in value.items() for k in ({key} | {f"{key}.{x}" for x in keys(of)})}
    return {k for of in value for k in keys(of)} if isinstance(value, list) else set()


def test_what_dashboards_and_probes_read_of_both(bed: Bed) -> None:
    """Nothing that 0.1 shows is gone; its metrics have a label more, but those that the guide names."""
    both = {version: start(bed, version) for version in VERSIONS}
    drifted(bed, 1, bed.products[:1])
    wait_until(lambda: bed.redis.hlen(FAILED) == 1, 5, "one is refused")
    for path in ("/readyz", "/status"):
        wait_until(lambda path=path: keys(json.loads(both["0.1"].http(path)[1])), 5, path)
        former, now = (keys(json.loads(one.http(path)[1])) for one in both.values())
        assert former and not former - now, path
    former, now = (labels(one) for one in both.values())
    (row,) = (x for x in GUIDE.read_text().splitlines() if x.startswith("| the same labels"))
    same = set(re.findall(r"`([a-z_]+)(?:_\*)?`", row))
    ours = {name for name in former if name.startswith("reservation_sweeper_")}
    assert ours and not ours - set(now)
    for name in sorted(ours):
        short = name.removeprefix("reservation_sweeper_")
        assert now[name] - former[name] == (set() if short in same else {"queue"}), name
    assert {"redis_up", "build_info"} <= same
    fix(bed, bed.products[:1])


def test_every_setting_of_0_1_is_taken() -> None:
    """Flags and variables of 0.1's --help, each with 0.1's own default."""
    former = run_once("--help", program=former_binary()).stdout
    now = run_once("--help").stdout
    names = set(re.findall(r"--[a-z-]{3,}|\b(?:SWEEPER|DATABASE|REDIS|LOG)_[A-Z_]+", former))
    assert len(names) > 40
    assert {"--reconcile-interval", "SWEEPER_RECONCILE_INTERVAL", "--repair-stock"} <= names
    missing = {name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", now)}
    assert not missing


def test_what_one_version_was_refused_the_other_tries_again(bed: Bed) -> None:
    (id,) = drifted(bed, 1, bed.products[:1])
    former = start(bed, "0.1")
    wait_until(lambda: bed.redis.hexists(FAILED, id), 5, "0.1 has a record")
    attempts = json.loads(bed.redis.hget(FAILED, id))["attempts"]
    assert former.stop() == 0
    new = start(bed, "0.2")
    wait_until(lambda: json.loads(bed.redis.hget(FAILED, id))["attempts"] > attempts, 15, "0.2 tries")
    attempts = json.loads(bed.redis.hget(FAILED, id))["attempts"]
    assert new.stop() == 0
    start(bed, "0.1")
    wait_until(lambda: json.loads(bed.redis.hget(FAILED, id))["attempts"] > attempts, 15, "0.1 again")
    fix(bed, bed.products[:1])
    assert run_once("--retry", id, dsn=bed.db.dsn, redis_url=bed.redis_server.url()).status == 0
    wait_until(lambda: not bed.redis.exists(FAILED), 5, "0.1 releases what this version has hurried")
    bed.check_settled()


def test_a_pause_binds_no_0_1(bed: Bed) -> None:
    """The guide says: no pause before every host has this version."""
    new = start(bed, "0.2")
    assert run_once("--pause", "1m", dsn=bed.db.dsn, redis_url=bed.redis_server.url()).status == 0
    wait_until(lambda: "paused" in json.loads(new.http("/readyz")[1]), 5, "paused")
    bed.stream(20, rate=1000)
    holds(lambda: bed.overdue() > 0 and not bed.lateness(), 1.0, "nothing is released")
    start(bed, "0.1")
    wait_until(lambda: bed.overdue() == 0, 5, "0.1 knows of no pause")
    assert run_once("--resume", dsn=bed.db.dsn, redis_url=bed.redis_server.url()).status == 0
    bed.check_settled()
