"""cron, Kubernetes and the clouds: what can be said of the files without the platforms."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from harness.sweeper import ROOT, run_once

DEPLOY = ROOT / "deploy"
PROGRAM = "/usr/local/bin/reservation-sweeper"
STOP_S = 8  # SWEEPER_SHUTDOWN_GRACE
FIELD_RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


def load(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def assert_schedule(text: str) -> None:
    """Five fields of crontab(5): *, numbers, ranges, lists, steps."""
    fields = text.split()
    assert len(fields) == 5, text
    for field, (low, high) in zip(fields, FIELD_RANGES, strict=True):
        for part in field.split(","):
            match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", part)
            assert match, text
            assert all(low <= int(n) <= high for n in match.groups()[:2] if n), text


def settings() -> set[str]:
    """The variables that the program reads, as docs/CONFIGURATION.md lists them."""
    text = (ROOT / "docs" / "CONFIGURATION.md").read_text()
    return set(re.findall(r"`((?:SWEEPER|DATABASE|REDIS|DB|LOG)_\w+)`", text))


def assert_settings(names: list[str]) -> None:
    assert set(names) <= settings(), set(names) - settings()
    assert len(names) == len(set(names))


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
    assert container["envFrom"] == [{"secretRef": {"name": "reservation-sweeper"}}]
    assert_settings([variable["name"] for variable in container["env"]])
    assert set(container["resources"]) == {"requests", "limits"}
    assert "command" not in container  # the image's ENTRYPOINT


def dockerfile_user() -> int:
    match = re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), flags=re.M)
    assert match
    return int(match[1])


def test_kubernetes_deployment() -> None:
    text = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    deployment, service = yaml.safe_load_all(text)
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    spec = deployment["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels == service["spec"]["selector"]
    pod = spec["template"]["spec"]
    assert_pod_is_confined(pod)
    assert pod["terminationGracePeriodSeconds"] > STOP_S
    [container] = pod["containers"]
    [port] = container["ports"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["SWEEPER_HTTP_LISTEN"] == f":{port['containerPort']}"
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": port["name"]}
    assert service["kind"] == "Service"
    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    annotations = spec["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_kubernetes_cronjob() -> None:
    job = load("kubernetes/cronjob.yaml")
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


# ---- AWS ------------------------------------------------------------------------------------------


class Template(yaml.SafeLoader):
    """CloudFormation's YAML: !Ref X is {"Ref": X}, !Sub X is {"Fn::Sub": X}."""


def short_form(loader: Template, tag: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


Template.add_multi_constructor("!", short_form)


def references(value: Any) -> list[str]:
    """All names that a template refers to."""
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref":
                found.append(inner)
            elif key == "Fn::GetAtt":
                found.append(inner.split(".")[0])
            elif key == "Fn::If":
                found.append(inner[0])
                found += references(inner[1:])
            elif key == "Fn::Sub":
                found += re.findall(r"\$\{([\w:]+)\}", inner)
            else:
                found += references(inner)
    elif isinstance(value, list):
        for inner in value:
            found += references(inner)
    return found


def test_aws() -> None:
    text = (DEPLOY / "aws" / "template.yaml").read_text()
    template = yaml.load(text, Loader=Template)  # a SafeLoader
    resources, parameters = template["Resources"], template["Parameters"]
    known = {*resources, *parameters, *template["Conditions"]}
    used = set(references([resources, template["Conditions"], template["Outputs"]]))
    assert {name for name in used if not name.startswith("AWS::")} <= known
    assert set(parameters) <= used, "a parameter that nothing uses"
    types = {resource["Type"] for resource in resources.values()}
    assert types == {
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
        "AWS::ECS::TaskDefinition",
        "AWS::Scheduler::Schedule",
    }
    task = resources["TaskDefinition"]["Properties"]
    [container] = task["ContainerDefinitions"]
    assert container["Command"] == ["--once"]
    assert container["User"].split(":")[0] == str(dockerfile_user())
    assert container["StopTimeout"] > STOP_S
    assert (task["Cpu"], task["Memory"]) == ("256", "512")  # the smallest that Fargate has
    assert_settings([variable["Name"] for variable in container["Environment"]])
    schedule = resources["Schedule"]["Properties"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}  # a word, not YAML's false
    assert schedule["Target"]["EcsParameters"]["LaunchType"] in task["RequiresCompatibilities"]
    assert 60 <= schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86400


# ---- Google and Azure -----------------------------------------------------------------------------


def test_google_job() -> None:
    job = load("google/job.yaml")
    assert (job["apiVersion"], job["kind"]) == ("run.googleapis.com/v1", "Job")
    execution = job["spec"]["template"]["spec"]
    assert execution["taskCount"] == 1
    task = execution["template"]["spec"]
    assert task["maxRetries"] == 0
    [container] = task["containers"]
    assert container["args"] == ["--once"]
    assert_settings([variable["name"] for variable in container["env"]])


def test_google_service() -> None:
    service = load("google/service.yaml")
    assert (service["apiVersion"], service["kind"]) == ("serving.knative.dev/v1", "Service")
    annotations = service["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/minScale"] == "1"
    assert annotations["run.googleapis.com/cpu-throttling"] == "false"
    assert service["metadata"]["annotations"]["run.googleapis.com/ingress"] == "internal"
    [container] = service["spec"]["template"]["spec"]["containers"]
    port = container["ports"][0]["containerPort"]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert_settings(list(env))
    assert env["SWEEPER_HTTP_LISTEN"] == f":{port}"
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port}


def test_azure() -> None:
    job = load("azure/job.yaml")
    assert job["type"] == "Microsoft.App/jobs"
    configuration = job["properties"]["configuration"]
    assert configuration["triggerType"] == "Schedule"
    assert_schedule(configuration["scheduleTriggerConfig"]["cronExpression"])
    assert configuration["replicaRetryLimit"] == 0
    [container] = job["properties"]["template"]["containers"]
    assert container["args"] == ["--once"]
    assert_settings([variable["name"] for variable in container["env"]])
    secrets = {secret["name"] for secret in configuration["secrets"]}
    assert {v["secretRef"] for v in container["env"] if "secretRef" in v} == secrets
    # Container Apps knows these pairs only: 0.25 cores with 0.5 Gi, and multiples of them.
    assert (container["resources"]["cpu"], container["resources"]["memory"]) == (0.25, "0.5Gi")
    [identity] = job["identity"]["userAssignedIdentities"]
    assert identity == configuration["registries"][0]["identity"]


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
