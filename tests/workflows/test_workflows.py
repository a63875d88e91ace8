"""The workflows under .github: every stage of .ci/run has its job, and their shell is sound."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]


def steps(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each step with its job."""
    for job in jobs(path).values():
        yield from ((job, step) for step in job.get("steps", []))


def stages_run() -> list[str]:
    """The stages that checks.yml runs, those of a matrix one by one."""
    found = []
    for job, step in steps(ROOT / ".github" / "workflows" / "checks.yml"):
        for stage in re.findall(r"\.ci/run (.+)", step.get("run", "")):
            matrix = job.get("strategy", {}).get("matrix", {})
            found += matrix["stage"] if stage == "${{ matrix.stage }}" else stage.split()
    return found


def test_each_stage_has_its_job() -> None:
    stages = re.search(r'^stages="(.*)"$', (ROOT / ".ci" / "run").read_text(encoding="utf-8"), flags=re.M)
    assert stages and sorted(stages_run()) == sorted(stages[1].split())


def test_a_release_is_checked_first() -> None:
    release = jobs(ROOT / ".github" / "workflows" / "release.yml")
    assert release["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert release["release"]["needs"] == "checks"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_shell_of_the_steps(path: Path) -> None:
    """What is in single quotes runs in a container; a container's own steps have no bash."""
    shells = [(job, step["run"]) for job, step in steps(path) if "run" in step]
    assert shells
    for job, text in shells:
        text = re.sub(r"\$\{\{.*?\}\}", "word", text)
        kind = "sh" if "container" in job else "bash"
        command = ["shellcheck", f"--shell={kind}", "--exclude=SC2016", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.name}:\n{text}\n{done.stdout}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_goals_and_tools_are_there(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.M))
    text = "\n".join(step.get("run", "") for _, step in steps(path))
    named = re.findall(r"\bmake (?:\S+=\S+ )*([a-z][a-z-]+)", re.sub(r"apt-get install.*", "", text))
    assert set(named) <= goals, set(named) - goals
    for tool in re.findall(r"(?:tools|\.ci)/[\w-]+", text):
        assert (ROOT / tool).exists(), tool


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_and_time_are_limited(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}
    for name, job in jobs(path).items():
        assert "uses" in job or job["timeout-minutes"] <= 90, name
        for step in job.get("steps", []):
            # Others' actions by a commit, which cannot become another one.
            used = step.get("uses", "actions/")
            assert used.startswith("actions/") or re.search(r"@[0-9a-f]{40}$", used), used
