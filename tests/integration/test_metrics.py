"""Metrics: what promtool accepts, and figures that agree with Postgres's rows."""

from __future__ import annotations

import re
import subprocess
import time

import psycopg
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import until_ready, wait_until, within
from harness.process import free_port
from harness.queue import FAILED, PENDING, is_empty, mirror, script_calls
from harness.sweeper import ROOT, Start, Sweeper
from harness.web import SAMPLE, samples, scrape

PREFIX = "reservation_sweeper_"
# What dashboards and alerts rely on: each metric's type and, but for histograms and the label of the
# queue, its labels' values that are there from the first scrape on.
CONTRACT: dict[str, tuple[str, dict[str, set[str]]]] = {
    "released_total": ("counter", {}),
    "released_units_total": ("counter", {}),
    "released_without_inventory_total": ("counter", {}),
    "lateness_seconds": ("histogram", {}),
    "discarded_total": ("counter", {"reason": {"committed_or_released", "missing", "invalid"}}),
    "rescheduled_total": (
        "counter",
        {"reason": {"not_due", "extended", "locked", "failed", "lease_expired"}},
    ),
    "failed_total": ("counter", {"sqlstate": {"23514"}}),
    "batch_seconds": ("histogram", {}),
    "batch_size": ("histogram", {}),
    "unknown_commits_total": ("counter", {}),
    "claims_total": ("counter", {}),
    "redis_request_seconds": ("histogram", {}),
    "feeder": ("gauge", {}),
    "log_records_dropped_total": ("counter", {}),
    "locked_reservations": ("gauge", {}),
    "locked_seconds": ("gauge", {}),
    "degraded": ("gauge", {}),
    "paused": ("gauge", {}),
    "feed_last_success_timestamp_seconds": ("gauge", {}),
    "redis_up": ("gauge", {}),
    "postgres_up": ("gauge", {}),
    "reconnects_total": ("counter", {"server": {"postgres", "redis"}}),
}
# Their values are known when a server has answered, or a reconciliation has ended.
LATER = (
    "overdue_seconds paused_until_timestamp_seconds last_release_timestamp_seconds next_due_timestamp_seconds"
    " pending_reservations inflight_reservations failed_reservations"
    " kept_reservations kept_attention_reservations"
    " clock_offset_seconds redis_node_info"
    " reconcile_success reconcile_dry_run reconcile_timestamp_seconds reconcile_duration_seconds"
    " reconcile_released reconcile_mirror_missing reconcile_mirror_misplaced"
    " reconcile_mirror_orphaned reconcile_mirror_spent reconcile_leases_expired"
    " reconcile_stock_checked reconcile_stock_drifted reconcile_stock_repaired"
    " reconcile_verify_found reconcile_remaining"
).split()

def families(text: str) -> list[tuple[str, str, str]]:
    """Name, type and help of each, in order."""
    found = re.findall(r"^# HELP (\S+) (.*)\n# TYPE (\S+) (\S+)$", text, re.M)
    assert all(name == again for name, _, again, _ in found)
    return [(name, kind, help_text) for name, help_text, _, kind in found]


def labels_used(text: str) -> dict[str, set[str]]:
    """The names of labels that a metric's samples have, without the histograms' own."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#") and (match := SAMPLE.match(line)):
            names = set(re.findall(r'(\w+)="', match[2] or "")) - {"le"}
            found.setdefault(match[1], set()).update(names)
    return found


def promtool(text: str) -> str:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def cause_everything(db: Database, redis: redis_py.Redis) -> dict[str, int]:
    """Each kind of outcome; how many rows become released, and their units."""
    good, bad = shop.add_product(db, stock=1000), shop.add_product(db)
    ids = [shop.reserve(db, {good: 2}, ttl_s=1.0 + n / 50) for n in range(20)]
    extended = shop.reserve(db, {good: 1}, ttl_s=1)
    committed = shop.reserve(db, {good: 1}, ttl_s=60)
    refused = shop.reserve(db, {bad: 1}, ttl_s=1)
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = 0, available_stock = total_stock"
        " WHERE product_id = %s",
        (bad,),
    )
    mirror(db, redis, *ids, extended, refused)
    shop.commit(db, committed)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + interval '1 h' WHERE id = %s",
        (extended,),
    )
    redis.zadd(PENDING, {committed: 1, "11111111-1111-1111-1111-111111111111": 1, "no id": 1})
    return {"released": 20, "units": 40}


def first_answer(daemon: Sweeper) -> str:
    def ask() -> str:
        try:
            return daemon.http("/metrics")[1]
        except OSError:
            return ""

    return wait_until(ask, 20, "the first scrape")


def test_first_scrape(sweeper: Start) -> None:
    """All families with their types, whatever is known yet: neither server can be reached."""
    nowhere = free_port()
    daemon = sweeper(
        http=True,
        dsn=f"postgresql://nobody@127.0.0.1:{nowhere}/none",
        redis_url=f"redis://127.0.0.1:{nowhere}",
    )
    text = first_answer(daemon)
    assert promtool(text) == ""
    types = dict(re.findall(rf"^# TYPE {PREFIX}(\w+) (\w+)$", text, re.M))
    expected = {name: kind for name, (kind, _) in CONTRACT.items()}
    assert types == expected | dict.fromkeys([*LATER, "build_info"], "gauge")
    first = samples(text)
    for name, (kind, labels) in CONTRACT.items():
        suffix = "_count" if kind == "histogram" else ""
        found = {key for key in first if key.partition("{")[0] == name + suffix}
        wanted = {f'{name}{{{key}="{value}"}}' for key, values in labels.items() for value in values}
        assert found == (wanted or {name + suffix}), name


def test_is_what_the_documents_say(sweeper: Start) -> None:
    """docs/METRICS.md has each metric of a scrape, with its type, labels and help; and no other."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    text = daemon.http("/metrics")[1]
    page = (ROOT / "docs/METRICS.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)(?:\{(.*?)\})?` \| (\w+) \| (.*?) \|", page, re.M)
    assert [(name, kind, help_text) for name, _, kind, help_text in rows] == families(text)
    documented = {name: set(filter(None, labels.split(","))) for name, labels, _, _ in rows}
    for name, labels in labels_used(text).items():
        family = re.sub("_(bucket|sum|count)$", "", name)
        assert documented[family] == labels, name


def test_agrees_with_postgres(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    expected = cause_everything(db, redis)
    daemon = sweeper("--lookahead", "off", "--scan-interval", "off", http=True)
    until_ready(daemon)
    wait_until(lambda: shop.count_status(db, "released") == expected["released"], 20, "released")
    wait_until(lambda: redis.hlen(FAILED) == 1, 20, "one has failed")
    # A wait for the next claim, which brings the sizes.
    wait_until(lambda: scrape(daemon).get("failed_reservations") == 1, 10, "sizes")
    m = scrape(daemon)
    [(rows, units)] = db.query(
        "SELECT count(*), sum(quantity) FROM inventory_reservations WHERE status = 'released'"
    )
    assert m["released_total"] == rows == expected["released"]
    assert m["released_units_total"] == units == expected["units"]
    assert m["lateness_seconds_count"] == rows
    assert m['lateness_seconds_bucket{le="+Inf"}'] == rows
    assert m["unknown_commits_total"] == 0
    assert m['discarded_total{reason="committed_or_released"}'] == 1
    assert m['discarded_total{reason="missing"}'] == 1
    assert m['discarded_total{reason="invalid"}'] == 1
    assert m['rescheduled_total{reason="extended"}'] == 1
    assert m['rescheduled_total{reason="failed"}'] >= 1
    assert m['failed_total{sqlstate="23514"}'] == m['rescheduled_total{reason="failed"}']
    assert m["pending_reservations"] == 2  # the extended one and the failed one
    assert m["overdue_seconds"] < within(1)
    assert m["batch_size_sum"] >= rows
    assert m["batch_seconds_count"] == m["batch_size_count"] > 0
    late = max(shop.lateness(db))
    assert 0 < m["lateness_seconds_sum"] < rows * (late + 0.1)


def test_counts_a_backlog(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Thousands by two workers, by way of Redis and of the feed: each row once."""
    products = [shop.add_product(db, stock=10_000) for _ in range(20)]
    ids = shop.bulk_reserve(db, 5000, products, quantity=3)
    mirror(db, redis, *ids[::2])
    daemon = sweeper("--workers", "2", http=True)
    wait_until(lambda: shop.count_status(db, "released") == 5000, 30, "released")
    wait_until(lambda: is_empty(redis), 10, "settled")
    m = scrape(daemon)
    assert m["unknown_commits_total"] == 0
    assert (m["released_total"], m["released_units_total"]) == (5000, 15_000)
    assert m["lateness_seconds_count"] == 5000
    assert m["batch_size_count"] == m["batch_seconds_count"]


def test_lateness_buckets(sweeper: Start) -> None:
    """From half a millisecond to five minutes, cumulative."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    found = [key for key in scrape(daemon) if key.startswith("lateness_seconds_bucket")]
    bounds = [float(key.split('"')[1]) for key in found]
    assert bounds == sorted(bounds)
    assert bounds[0] == 0.0005 and bounds[-2] == 300 and bounds[-1] == float("inf")


def test_promtool_accepts(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(http=True, env={"SWEEPER_ADMIN_TOKEN": "correct-horse-battery"})
    until_ready(daemon)
    assert promtool(daemon.http("/metrics")[1]) == ""
    expected = cause_everything(db, redis)
    wait_until(lambda: shop.count_status(db, "released") >= expected["released"], 20, "released")
    assert daemon.http("/reconcile?dryRun=true", "POST", "correct-horse-battery")[0] == 202
    wait_until(lambda: "reconcile_success" in scrape(daemon), 60, "a reconciliation")
    m = scrape(daemon)
    assert m["reconcile_dry_run"] == 1 and m["reconcile_success"] == 1
    assert m["reconcile_stock_drifted"] >= 1 and m["reconcile_timestamp_seconds"] > 0
    assert promtool(daemon.http("/metrics")[1]) == ""


def test_names(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    wait_until(lambda: "pending_reservations" in scrape(daemon), 10, "sizes")
    m = scrape(daemon)
    for name in (
        "released_total released_units_total lateness_seconds_count batch_seconds_count"
        " batch_size_count unknown_commits_total pending_reservations inflight_reservations"
        " failed_reservations overdue_seconds degraded feed_last_success_timestamp_seconds"
        " redis_up postgres_up"
        ' discarded_total{reason="missing"} rescheduled_total{reason="lease_expired"}'
        ' clock_offset_seconds{server="redis"} clock_offset_seconds{server="postgres"}'
        ' reconnects_total{server="redis"} reconnects_total{server="postgres"}'
    ).split():
        assert name in m, name
    [info] = [key for key in m if key.startswith("build_info")]
    assert m[info] == 1
    assert re.match(r'build_info\{version="[^"]+",hiredis="[^"]+",libpq="[^"]+",libevent="', info)
    assert m["redis_up"] == m["postgres_up"] == 1 and m["degraded"] == 0
    assert abs(m['clock_offset_seconds{server="postgres"}']) < 1
    assert abs(m['clock_offset_seconds{server="redis"}']) < 1


def test_the_last_and_the_next(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Claims, requests, who feeds, when the last one was released and when the next entry is due."""
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "500ms", http=True)
    until_ready(daemon)
    wait_until(lambda: scrape(daemon)["feeder"] == 1, 10, "it feeds")
    before = scrape(daemon)
    assert not {"last_release_timestamp_seconds", "next_due_timestamp_seconds"} & before.keys()
    later = shop.reserve(db, {product: 1}, ttl_s=50)
    mirror(db, redis, shop.reserve(db, {product: 1}, ttl_s=0.5), later)
    wait_until(lambda: "last_release_timestamp_seconds" in scrape(daemon), 10, "a release")
    at = db.value("SELECT extract(epoch FROM updated_at)::float8 FROM inventory_reservations WHERE status = 'released'")
    due = db.value("SELECT extract(epoch FROM expires_at)::float8 FROM inventory_reservations WHERE id = %s", (later,))
    m = wait_until(lambda: (m := scrape(daemon)).get("next_due_timestamp_seconds", 0) > at and m, 10, "the next")
    assert abs(m["last_release_timestamp_seconds"] - at) < within(0.5)
    assert 0 <= m["next_due_timestamp_seconds"] - due < 0.002
    # One that comes a millisecond before its entry is due is made once more.
    assert before["claims_total"] == 0 and m["claims_total"] in (1, 2)
    assert m["redis_request_seconds_count"] > before["redis_request_seconds_count"] > 0
    per_request = m["redis_request_seconds_sum"] / m["redis_request_seconds_count"]
    assert 0.00001 < per_request < within(0.5)
    other = sweeper("--feed-interval", "500ms", http=True)
    until_ready(other)
    wait_until(lambda: "pending_reservations" in scrape(other), 10, "it has asked Redis")
    assert (scrape(daemon)["feeder"], scrape(other)["feeder"]) == (1, 0)
    daemon.stop()
    wait_until(lambda: scrape(other)["feeder"] == 1, 10, "the other one takes the role")


def test_process(sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    m = scrape(daemon)
    assert m["process_open_fds"] <= daemon.open_files() + 2
    assert m["process_max_fds"] >= 256
    assert m["process_cpu_seconds_total"] <= daemon.cpu_seconds() + 0.1
    assert 0.5 < m["process_resident_memory_bytes"] / 1024 / daemon.rss_kb() < 2
    assert m["process_virtual_memory_bytes"] > m["process_resident_memory_bytes"]
    assert 0 <= time.time() - m["process_start_time_seconds"] < within(60)


def test_degraded(db: Database, sweeper: Start) -> None:
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.1)
    wait_until(lambda: scrape(daemon)["released_total"] == 1, 10, "released")
    m = scrape(daemon)
    assert (m["degraded"], m["redis_up"], m["overdue_seconds"]) == (1, 0, 0)
    assert "pending_reservations" not in m
    assert promtool(daemon.http("/metrics")[1]) == ""


def test_locked(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(http=True)
    until_ready(daemon)
    product = shop.add_product(db)
    with transaction(db, lock_product(product, "NO KEY UPDATE")):
        with psycopg.connect(db.dsn) as conn:
            conn.execute(
                "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
                " VALUES (gen_random_uuid(), %s, 1, now())",
                (product,),
            )
        [id] = [row[0] for row in db.query("SELECT id::text FROM inventory_reservations")]
        redis.zadd(PENDING, {id: 1})
        wait_until(
            lambda: scrape(daemon)['rescheduled_total{reason="locked"}'] > 0, 10, "put back"
        )
        assert scrape(daemon)["released_total"] == 0


def test_idle_costs_little(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """However often it is asked: no statement but those of the feed's looks, a few scripts."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
    daemon = sweeper("--feed-interval", "2s", http=True)
    until_ready(daemon)
    wait_until(lambda: scrape(daemon)["feed_last_success_timestamp_seconds"] > 0, 10, "a look")
    redis.config_resetstat()
    seen = db.server.log_file.stat().st_size
    began = time.monotonic()
    while time.monotonic() - began < 5:
        assert daemon.http("/readyz")[0] == 200
        daemon.http("/status")
        daemon.http("/metrics")
    lasted = time.monotonic() - began
    scripts = script_calls(redis)
    with open(db.server.log_file, encoding="utf-8", errors="replace") as log:
        log.seek(seen)
        statements = log.read().count("LOG:  execute ")
    # Of each look: the link's two settings, its own, and what it asks.
    assert 0 < statements <= 4 * (lasted / 2 + 1)
    assert scripts <= 4 * lasted + 3


def test_whose_they_are(sweeper: Start) -> None:
    """Each queue's figures have its name, with one queue too; those of the process and of Redis,
    which all queues share, have none. promtool minds a family that is in two places."""
    daemon = sweeper(http=True)
    until_ready(daemon)
    text = daemon.http("/metrics")[1]
    assert promtool(text) == ""
    of_process = {"log_records_dropped_total", "redis_up", "build_info"}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name = line.partition("{")[0].partition(" ")[0].removeprefix(PREFIX)
        if name in of_process or name.startswith("process_"):
            assert "queue=" not in line, line
        elif 'server="redis"' in line:
            assert '{queue="",' in line
        else:
            assert '{queue="reservations"' in line, line
