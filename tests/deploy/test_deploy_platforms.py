"""cron, Kubernetes, Railway and Render: what can be said of the files without the platforms."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from deployed import (
    DEPLOY,
    PROGRAM,
    STOP_S,
    assert_schedule,
    assert_settings,
    dockerfile_user,
    load,
)
from harness.sweeper import ROOT, run_once

# ---- cron -----------------------------------------------------------------------------------------


def cron_lines() -> tuple[dict[str, str], list[str]]:
    """The file's variables, and its jobs, those in comments too."""
    variables, jobs = {}, []
    for line in (DEPLOY / "cron" / "reservation-sweeper").read_text().splitlines():
        if assignment := re.fullmatch(r"([A-Z_]+)=(.*)", line):
            variables[assignment[1]] = assignment[2]
        elif re.match(r"#?[*\d]", line):
            jobs.append(line.lstrip("#"))
        else:
            assert line == "" or line.startswith("# "), line
    return variables, jobs


def test_cron() -> None:
    variables, jobs = cron_lines()
    assert_settings([name for name in variables if name not in ("SHELL", "PATH")])
    assert "/usr/local/bin" in variables["PATH"].split(":")
    assert len(jobs) == 2
    for job in jobs:
        *schedule, user, command = job.split(None, 6)
        assert_schedule(" ".join(schedule))
        assert user == "sweeper"
        assert "%" not in command  # a line break, to cron
        assert command.endswith("2>&1 | logger -t reservation-sweeper")
    assert jobs[0].startswith("* * * * * ") and " reservation-sweeper --once " in jobs[0]
    assert "'http://127.0.0.1:9464/reconcile?dryRun=true'" in jobs[1].split()
    assert "." not in (DEPLOY / "cron" / "reservation-sweeper").name  # cron skips such files


# ---- Kubernetes -----------------------------------------------------------------------------------


def assert_pod_is_confined(spec: dict[str, Any]) -> None:
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # else REDIS_PORT=tcp://... for a Service named redis
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == dockerfile_user()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert_settings([variable["name"] for variable in container["env"]])
    assert set(container["resources"]) == {"requests", "limits"}
    assert "command" not in container  # the image's ENTRYPOINT


def test_kubernetes_deployment() -> None:
    deployment = load("kubernetes/base/deployment.yaml")
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    pod = spec["template"]["spec"]
    assert_pod_is_confined(pod)
    assert pod["terminationGracePeriodSeconds"] > STOP_S
    [container] = pod["containers"]
    [port] = container["ports"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["SWEEPER_HTTP_LISTEN"] == f":{port['containerPort']}"
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    annotations = load("kubernetes/overlays/plain/annotations.yaml")["spec"]["template"]["metadata"]
    assert annotations["annotations"]["prometheus.io/port"] == str(port["containerPort"])


def test_kubernetes_files_of_the_container() -> None:
    """Each secret, and the queues, from the folder where they are mounted; the user may read them."""
    pod = load("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    files = {v["name"]: v["value"] for v in container["env"] if v["name"].endswith("_FILE")}
    assert "subPath" not in str(container["volumeMounts"])  # such a file would never change
    for name, file in files.items():
        folder, _, base = file.rpartition("/")
        if name == "SWEEPER_QUEUES_FILE":
            assert mounts[folder]["configMap"]["name"] == "reservation-sweeper"
            [generated] = load("kubernetes/base/kustomization.yaml")["configMapGenerator"]
            assert generated == {"name": "reservation-sweeper", "files": [base]}
        else:
            assert base == name.removesuffix("_FILE")
            assert mounts[folder]["secret"]["secretName"] == "reservation-sweeper"
            assert mounts[folder]["secret"]["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == dockerfile_user()
    assert set(files) >= {"DATABASE_URL_FILE", "REDIS_URL_FILE", "SWEEPER_ADMIN_TOKEN_FILE"}


def test_kubernetes_queues_are_those_without_a_file() -> None:
    text = (ROOT / "docs" / "CONFIGURATION.md").read_text()
    match = re.search(r"Without a file this is served:\n\n```yaml\n(.*?)```", text, flags=re.S)
    assert match and load("kubernetes/base/queues.yaml") == yaml.safe_load(match[1])


def test_kubernetes_around_the_pods() -> None:
    """Whatever selects pods selects the daemon's, and lets in and out what they need."""
    pods = load("kubernetes/base/deployment.yaml")["spec"]["template"]
    labels = pods["metadata"]["labels"]
    [port] = pods["spec"]["containers"][0]["ports"]
    service = load("kubernetes/base/service.yaml")["spec"]
    assert service["selector"] == labels and service["ports"][0]["targetPort"] == port["name"]
    assert service["publishNotReadyAddresses"] is True  # else no POST /sweep while it is wanted
    budget = load("kubernetes/base/poddisruptionbudget.yaml")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    policy = load("kubernetes/base/networkpolicy.yaml")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["ingress"][0]["ports"] == [{"port": port["containerPort"], "protocol": "TCP"}]
    out = {(p["port"], p["protocol"]) for rule in policy["egress"] for p in rule["ports"]}
    assert out == {(53, "UDP"), (53, "TCP"), (5432, "TCP"), (6379, "TCP")}
    monitor = load("kubernetes/overlays/prometheus-operator/podmonitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"] == labels
    assert labels[monitor["jobLabel"]] == "reservation-sweeper"  # the job that the alerts expect
    assert monitor["podMetricsEndpoints"][0]["port"] == port["name"]
    account = load("kubernetes/base/serviceaccount.yaml")
    assert account["metadata"]["name"] == pods["spec"]["serviceAccountName"]
    assert account["automountServiceAccountToken"] is False


def test_kubernetes_cronjob() -> None:
    job = load("kubernetes/overlays/once/cronjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    spec = job["spec"]
    assert_schedule(spec["schedule"])
    assert spec["concurrencyPolicy"] == "Forbid"
    assert 10 <= spec["startingDeadlineSeconds"] < 60  # below 10 s a CronJob may never start
    inner = spec["jobTemplate"]["spec"]
    assert inner["backoffLimit"] == 0 and inner["activeDeadlineSeconds"] >= 60
    pod = inner["template"]["spec"]
    assert_pod_is_confined(pod)
    assert pod["restartPolicy"] == "Never"
    assert pod["containers"][0]["args"] == ["--once"]
    daemon = load("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]
    assert pod["volumes"] == daemon["volumes"]
    assert pod["containers"][0]["volumeMounts"] == daemon["containers"][0]["volumeMounts"]
    read = [variable for variable in pod["containers"][0]["env"] if variable["name"].endswith("_FILE")]
    assert read == [v for v in daemon["containers"][0]["env"] if v["name"].endswith("_FILE") and "TOKEN" not in v["name"]]


# ---- Railway and Render ---------------------------------------------------------------------------

RAILWAY_DEPLOY = {
    "startCommand": str,
    "cronSchedule": str,
    "numReplicas": int,
    "healthcheckPath": str,
    "healthcheckTimeout": int,
    "restartPolicyType": str,
    "drainingSeconds": int,
}


@pytest.mark.parametrize("name", ["railway.json", "railway.cron.json"])
def test_railway(name: str) -> None:
    config = json.loads((DEPLOY / "railway" / name).read_text())
    assert set(config) == {"$schema", "build", "deploy"}
    assert config["build"]["builder"] == "DOCKERFILE"
    assert (ROOT / config["build"]["dockerfilePath"]).is_file()
    for key, value in config["deploy"].items():
        assert isinstance(value, RAILWAY_DEPLOY[key]), key
    assert config["deploy"]["restartPolicyType"] in ("ALWAYS", "ON_FAILURE", "NEVER")
    if "cronSchedule" in config["deploy"]:
        assert_schedule(config["deploy"]["cronSchedule"])
        assert config["deploy"]["startCommand"] == f"{PROGRAM} --once"
        assert config["deploy"]["restartPolicyType"] == "NEVER"
    else:
        assert config["deploy"]["healthcheckPath"] == "/readyz"
        assert config["deploy"]["drainingSeconds"] > STOP_S


def test_render() -> None:
    blueprint = load("render/render.yaml")
    assert set(blueprint) == {"services"}
    worker, cron = blueprint["services"]
    assert (worker["type"], cron["type"]) == ("worker", "cron")
    for service in (worker, cron):
        assert service["runtime"] == "docker"
        assert (ROOT / service["dockerfilePath"]).is_file()
        assert_settings([variable["key"] for variable in service["envVars"]])
        for variable in service["envVars"]:
            assert len(set(variable) & {"value", "fromDatabase", "fromService"}) == 1, variable
    assert_schedule(cron["schedule"])
    assert cron["dockerCommand"] == f"{PROGRAM} --once"
    assert "schedule" not in worker and worker["maxShutdownDelaySeconds"] > STOP_S


# ---- what all of them count on --------------------------------------------------------------------


def test_a_program_s_name_among_the_arguments_is_refused() -> None:
    """So a platform that appends a command to the ENTRYPOINT is noticed (render/README.md)."""
    finished = run_once(PROGRAM, "--once")
    assert finished.status == 2
    assert f'"{PROGRAM}" belongs to no flag' in finished.stderr
    assert "belongs\nto no flag" in (DEPLOY / "render" / "README.md").read_text()


def test_no_secret_and_no_image_of_ours() -> None:
    """Nothing in deploy/ holds a password, and every image is a placeholder."""
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            for url in re.findall(r"(?:postgresql|rediss?)://[^\s'\"`]+", file.read_text()):
                assert re.search(r"\.\.\.|<|\$", url), (file, url)
