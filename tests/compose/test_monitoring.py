"""The profile `monitoring`: Prometheus as it runs; of Grafana, whose image nothing here stands in for, what
it is given."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml
from harness.poll import wait_until
from stack import ROOT, Stack, prometheus_image

FIRST_SCRAPE_S = 40.0


@pytest.fixture(scope="module")
def watched(stack: Stack) -> Stack:
    stack.set(PROMETHEUS_IMAGE=prometheus_image())
    stack.compose("--profile", "monitoring", "up", "-d", "prometheus")
    stack.wait_healthy("prometheus")
    return stack


def asked(watched: Stack, path: str) -> Any:
    return json.loads(watched.get(f"/api/v1/{path}", "PROMETHEUS")[1])["data"]


def test_prometheus_scrapes_the_sweeper(watched: Stack) -> None:
    def up() -> bool:
        targets = asked(watched, "targets")["activeTargets"]
        if not targets:  # it answers before it has looked for any
            return False
        (target,) = targets
        assert target["labels"]["job"] == "reservation-sweeper"
        assert target["health"] != "down", target["lastError"]
        return target["health"] == "up"

    wait_until(up, FIRST_SCRAPE_S, "the sweeper is scraped", step=0.5)
    wait_until(
        lambda: asked(watched, "query?query=reservation_sweeper_build_info")["result"],
        FIRST_SCRAPE_S,
        "its metrics are there",
    )


def test_prometheus_has_the_alerts(watched: Stack) -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    rules = {rule.get("alert", rule.get("record")) for group in groups for rule in group["rules"]}
    loaded = [rule for group in asked(watched, "rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} == rules
    assert not [rule for rule in loaded if rule["health"] == "err"]


def test_prometheus_is_limited_and_sees_the_sweeper_alone(watched: Stack) -> None:
    container = watched.container("prometheus")
    assert set(container["NetworkSettings"]["Networks"]) == {f"{watched.project}_metrics"}
    for service in ("postgres", "redis"):
        networks = watched.container(service)["NetworkSettings"]["Networks"]
        assert set(networks) == {f"{watched.project}_default"}, service
    host = container["HostConfig"]
    assert host["Memory"] > 0 and host["PidsLimit"] > 0
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"]
    assert [b["HostIp"] for b in host["PortBindings"]["9090/tcp"]] == ["127.0.0.1"]


def test_grafana_is_given_what_it_looks_for(stack: Stack) -> None:
    config = yaml.safe_load(stack.compose("--profile", "monitoring", "config").stdout)
    grafana = config["services"]["grafana"]
    mounts = dict(
        (line.split(":")[1], line.split(":")[0])
        if isinstance(line, str)
        else (line["target"], line["source"])
        for line in grafana["volumes"]
    )
    provisioning = "/etc/grafana/provisioning"
    with open(mounts[f"{provisioning}/datasources/sweeper.yml"], encoding="utf-8") as file:
        (source,) = yaml.safe_load(file)["datasources"]
    assert source["isDefault"] and source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "metrics" in grafana["networks"] and "metrics" in config["services"]["prometheus"]["networks"]

    with open(mounts[f"{provisioning}/dashboards/sweeper.yml"], encoding="utf-8") as file:
        (provider,) = yaml.safe_load(file)["providers"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(PurePosixPath(home).parent) == provider["options"]["path"]
    with open(mounts[home], encoding="utf-8") as file:
        dashboard = json.load(file)
    (variable,) = [v for v in dashboard["templating"]["list"] if v["name"] == "datasource"]
    assert variable["query"] == source["type"]
