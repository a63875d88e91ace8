"""AWS, Google and Azure: what can be said of the files without the clouds."""

from __future__ import annotations

import re
from typing import Any

import yaml
from deployed import DEPLOY, PROGRAM, STOP_S, assert_schedule, assert_settings, dockerfile_user, load

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


def stack(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its resources by type, and its container; every reference leads somewhere."""
    text = (DEPLOY / "aws" / name).read_text()
    whole = yaml.load(text, Loader=Template)  # a SafeLoader
    resources, parameters = whole["Resources"], whole["Parameters"]
    known = {*resources, *parameters, *whole["Conditions"]}
    used = set(references([resources, whole["Conditions"], whole["Outputs"]]))
    assert {name for name in used if not name.startswith("AWS::")} <= known
    assert set(parameters) <= used, "a parameter that nothing uses"
    task = resources["TaskDefinition"]["Properties"]
    assert (task["Cpu"], task["Memory"]) == ("256", "512")  # the smallest that Fargate has
    [container] = task["ContainerDefinitions"]
    assert container["User"].split(":")[0] == str(dockerfile_user())
    assert container["StopTimeout"] > STOP_S
    secrets = [s.get("Fn::If", [0, s])[1]["Name"] for s in container["Secrets"]]
    assert_settings([v["Name"] for v in container["Environment"]] + secrets)
    return {resource["Type"]: resource["Properties"] for resource in resources.values()}, container


def test_aws_schedule() -> None:
    resources, container = stack("template.yaml")
    assert set(resources) == {
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
        "AWS::ECS::TaskDefinition",
        "AWS::Scheduler::Schedule",
    }
    assert container["Command"] == ["--once"]
    schedule = resources["AWS::Scheduler::Schedule"]
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "OFF"}  # a word, not YAML's false
    task = resources["AWS::ECS::TaskDefinition"]
    assert schedule["Target"]["EcsParameters"]["LaunchType"] in task["RequiresCompatibilities"]
    assert 60 <= schedule["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86400


def test_aws_service() -> None:
    resources, container = stack("service.yaml")
    assert set(resources) == {
        "AWS::Logs::LogGroup",
        "AWS::IAM::Role",
        "AWS::ECS::TaskDefinition",
        "AWS::ECS::Service",
    }
    assert "Command" not in container  # the daemon
    env = {variable["Name"]: variable["Value"] for variable in container["Environment"]}
    [port] = container["PortMappings"]
    assert env["SWEEPER_HTTP_LISTEN"] == f":{port['ContainerPort']}"
    check = container["HealthCheck"]
    assert check["Command"] == ["CMD", PROGRAM, "--healthcheck"]
    # What ECS allows; a task that cannot release is not replaced at once, which would not help.
    assert 5 <= check["Interval"] <= 300 and 2 <= check["Timeout"] <= 60
    assert check["Retries"] <= 10 and check["Interval"] * check["Retries"] >= 300
    service = resources["AWS::ECS::Service"]
    task = resources["AWS::ECS::TaskDefinition"]
    assert service["LaunchType"] in task["RequiresCompatibilities"]


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


def assert_azure(app: dict[str, Any]) -> dict[str, Any]:
    """What the job and the app share: returns the container."""
    configuration = app["properties"]["configuration"]
    [container] = app["properties"]["template"]["containers"]
    assert_settings([variable["name"] for variable in container["env"]])
    secrets = {secret["name"] for secret in configuration["secrets"]}
    assert {v["secretRef"] for v in container["env"] if "secretRef" in v} == secrets
    # Container Apps knows these pairs only: 0.25 cores with 0.5 Gi, and multiples of them.
    assert (container["resources"]["cpu"], container["resources"]["memory"]) == (0.25, "0.5Gi")
    [identity] = app["identity"]["userAssignedIdentities"]
    assert {s["identity"] for s in configuration["secrets"]} == {identity}
    assert identity == configuration["registries"][0]["identity"]
    return container


def test_azure_job() -> None:
    job = load("azure/job.yaml")
    assert job["type"] == "Microsoft.App/jobs"
    assert assert_azure(job)["args"] == ["--once"]
    configuration = job["properties"]["configuration"]
    assert configuration["triggerType"] == "Schedule"
    assert_schedule(configuration["scheduleTriggerConfig"]["cronExpression"])
    assert configuration["replicaRetryLimit"] == 0


def test_azure_app() -> None:
    app = load("azure/app.yaml")
    assert app["type"] == "Microsoft.App/containerApps"
    container = assert_azure(app)
    assert "args" not in container and "command" not in container  # the daemon
    ingress = app["properties"]["configuration"]["ingress"]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert env["SWEEPER_HTTP_LISTEN"] == f":{ingress['targetPort']}"
    assert ingress["external"] is False
    probes = {probe["type"]: probe["httpGet"] for probe in container["probes"]}
    for kind in ("Liveness", "Readiness"):  # one that is not ready gets no POST /sweep
        assert probes[kind] == {"path": "/healthz", "port": ingress["targetPort"]}
    template = app["properties"]["template"]
    assert template["terminationGracePeriodSeconds"] > STOP_S
    assert template["scale"]["minReplicas"] >= 1  # it works between requests
