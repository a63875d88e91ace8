"""Alerts, dashboard and runbook: accepted by promtool, of metrics that exist, and of one mind."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from harness.sweeper import ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS_TEST = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
METRICS = ROOT / "docs" / "METRICS.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
RUNBOOK = ROOT / "docs" / "OPERATIONS.md"

# The metrics that the program promises, each by its own names in Prometheus.
COUNTERS_AND_GAUGES = set(
    "released_total released_units_total discarded_total rescheduled_total failed_total"
    " released_without_inventory_total unknown_commits_total pending_reservations inflight_reservations failed_reservations"
    " kept_reservations kept_attention_reservations"
    " locked_reservations locked_seconds overdue_seconds degraded paused paused_until_timestamp_seconds feed_last_success_timestamp_seconds redis_up postgres_up"
    " clock_offset_seconds reconnects_total redis_node_info claims_total last_release_timestamp_seconds next_due_timestamp_seconds"
    " feeder log_records_dropped_total build_info".split()
)
HISTOGRAMS = {"lateness_seconds", "batch_seconds", "batch_size", "redis_request_seconds"}
PROCESS = set(
    "process_cpu_seconds_total process_resident_memory_bytes process_virtual_memory_bytes"
    " process_start_time_seconds process_open_fds process_max_fds".split()
)


def exported() -> set[str]:
    """The names in the source; reconcile_* are not listed one by one anywhere else."""
    source = (ROOT / "src" / "base" / "metric_table.c").read_text()
    return set(re.findall(r'(?<!define )PREFIX "(\w+)"', source))


def known_metrics() -> set[str]:
    names = COUNTERS_AND_GAUGES | {name for name in exported() if name.startswith("reconcile_")}
    names |= {f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "sum", "count")}
    return {f"reservation_sweeper_{name}" for name in names} | PROCESS | {"up"}


def names_in(expression: str) -> set[str]:
    """The metrics that an expression names: identifiers that are neither functions nor labels."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"", "", expression)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", "", bare)
    words = re.findall(r"[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", bare)
    return set(words) - {"and", "or", "unless", "by", "offset", "bool", "h", "d", "m"}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def dashboard_expressions() -> list[str]:
    d = dashboard()
    found = [target["expr"] for panel in d["panels"] for target in panel.get("targets", [])]
    return found + [a["expr"] for a in d["annotations"]["list"]]


def promtool(*args: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *args], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_metrics_are_as_promised() -> None:
    """What this page takes for granted is in the program, and the other way round."""
    ours = {name for name in exported() if not name.startswith("reconcile_")}
    assert ours == COUNTERS_AND_GAUGES | HISTOGRAMS


def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", str(ALERTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_tests_the_rules() -> None:
    done = promtool("test", "rules", str(ALERTS_TEST))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    """Each fires in one test at least, and in another, or before, it does not."""
    checks = [
        check
        for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"]
        for check in test["promql_expr_test" if "promql_expr_test" in test else "alert_rule_test"]
        if "expr" in check
    ]
    for name in (alert["alert"] for alert in alerts()):
        samples = [c["exp_samples"] for c in checks if f'alertname="{name}"' in c["expr"]]
        assert any(samples) and not all(samples), name


def test_alerts_name_known_metrics() -> None:
    known = known_metrics() | {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert names_in(rule["expr"]), rule
        assert names_in(rule["expr"]) <= known, names_in(rule["expr"]) - known


def test_alerts_are_complete() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning"), alert
        assert {"summary", "description", "runbook_url"} <= set(alert["annotations"]), alert


def test_runbook_has_a_section_for_each_alert() -> None:
    text = RUNBOOK.read_text()
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    by_title = {section.split("\n", 1)[0]: section for section in sections}
    assert {t for t in by_title if t.startswith("ReservationSweeper")} == {
        alert["alert"] for alert in alerts()
    }
    for alert in alerts():
        assert (
            alert["annotations"]["runbook_url"]
            == f"docs/OPERATIONS.md#{alert['alert'].lower()}"
        )
        for part in ("**Means.**", "**Look at", "**Do.**"):
            assert part in by_title[alert["alert"]], (alert["alert"], part)


def test_dashboard_expressions(tmp_path: Path) -> None:
    """promtool parses them, and they name known metrics of the chosen sweepers."""
    found = [e.replace("$__rate_interval", "5m") for e in dashboard_expressions()]
    assert len(found) > 30
    group = [{"record": f"x{i}", "expr": e} for i, e in enumerate(found)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": group}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    for expression in found:
        names = names_in(expression)
        assert names and names <= known_metrics(), names - known_metrics()
        assert expression.count('job=~"$job", instance=~"$instance"') >= 1, expression


def test_dashboard_tells_queues_apart() -> None:
    """Whatever belongs to a queue is shown of those that are chosen, of each by itself; but for the
    one picture that has no room for it."""
    of_queue = set(re.findall(r"`(reservation_sweeper_\w+)\{[^}]*\bqueue\b", METRICS.read_text()))
    assert len(of_queue) > 30
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            names = {re.sub("_bucket$", "", name) for name in names_in(target["expr"])}
            chosen = target["expr"].count('queue=~"$queue"')
            assert chosen == (target["expr"].count("job=~") if names & of_queue else 0), target
            if names & of_queue and panel["type"] != "heatmap":
                assert re.search(r"\bby \((queue|queue, \w+)\)", target["expr"]), target
                assert "{{queue}}" in target["legendFormat"], target


def test_dashboard_shows_every_metric() -> None:
    shown = {name for e in dashboard_expressions() for name in names_in(e)}
    families = {f"reservation_sweeper_{name}" for name in COUNTERS_AND_GAUGES}
    assert families <= shown, families - shown
    for name in HISTOGRAMS:
        assert f"reservation_sweeper_{name}_bucket" in shown


def test_dashboard_is_whole() -> None:
    """Panels with ids of their own that do not overlap, and one data source for all."""
    d = dashboard()
    assert d["schemaVersion"] >= 36 and d["id"] is None and d["uid"] == "reservation-sweeper"
    variables = [v["name"] for v in d["templating"]["list"]]
    assert variables == ["datasource", "job", "instance", "queue"]
    ids = [panel["id"] for panel in d["panels"]]
    assert len(ids) == len(set(ids))
    cells: set[tuple[int, int]] = set()
    for panel in d["panels"]:
        p = panel["gridPos"]
        assert p["x"] + p["w"] <= 24, panel["title"]
        columns, lines = range(p["x"], p["x"] + p["w"]), range(p["y"], p["y"] + p["h"])
        own = {(x, y) for x in columns for y in lines}
        assert not own & cells, panel["title"]
        cells |= own
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            assert panel["title"] and panel["description"]
            refs = [target["refId"] for target in panel["targets"]]
            assert refs and len(refs) == len(set(refs))
