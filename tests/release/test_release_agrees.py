"""make release-check notices each thing that says another version: they are broken one by one, in a copy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION = "7.8.9"
PAGE = "docs/reservation-sweeper.1"
UPGRADING = "docs/UPGRADING.md"
KUSTOMIZED = "deploy/kubernetes/base/kustomization.yaml"
PACKAGE = """#!/bin/sh
echo "reservation-sweeper ($1) unstable; urgency=medium"
"""


def check(tree: Path, *words: str, strict: bool = False) -> tuple[int, str]:
    environment = {**os.environ, "STRICT": "1" if strict else ""}
    command = [ROOT / "tools" / "release-check", VERSION, *words]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def edit(path: Path, pattern: str, text: str) -> None:
    """What the pattern finds, once at least, becomes the text."""
    changed, count = re.subn(pattern, text, path.read_text(), flags=re.M)
    assert count >= 1, f"{path} has no {pattern}"
    path.write_text(changed)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The repository's own files, with a version that no file has by chance, all of them in agreement."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "packaging").mkdir()
    for name in ("CHANGELOG.md", "Dockerfile", "docker-compose.yml", PAGE, UPGRADING):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    text = (tmp_path / "CHANGELOG.md").read_text()
    (now,) = re.findall(r"^## (\S+)", text, flags=re.M)[:1]
    edit(tmp_path / UPGRADING, rf"(reservation-sweeper[:_]){re.escape(now)}", rf"\g<1>{VERSION}")
    (tmp_path / "CHANGELOG.md").write_text(re.sub("^## .*$", f"## {VERSION} - 2026-02-03", text, count=1, flags=re.M))
    edit(tmp_path / PAGE, r"^\.Os.*$", f".Os reservation-sweeper {VERSION}")
    edit(tmp_path / "Dockerfile", r"^ARG VERSION=.*$", f"ARG VERSION={VERSION}")
    maker = tmp_path / "packaging" / "changelog"
    maker.write_text(PACKAGE)
    maker.chmod(0o755)
    for path in (tmp_path / "deploy").rglob("*.*"):
        for pattern in (r"(reservation-sweeper:)\d+\.\d+\.\d+", r"(^ *newTag: *[\"']?)[^\s\"']+"):
            path.write_text(re.sub(pattern, rf"\g<1>{VERSION}", path.read_text(), flags=re.M))
    return tmp_path


def test_all_agree(tree: Path) -> None:
    assert check(tree) == (0, "")
    assert check(tree, strict=True) == (0, "")
    assert check(tree, "--tag", f"v{VERSION}") == (0, "")


@pytest.mark.parametrize(
    ("file", "pattern", "text", "said"),
    [
        ("CHANGELOG.md", rf"^## {VERSION}", "## 7.8.8", "CHANGELOG.md begins with 7.8.8, not with 7.8.9."),
        ("CHANGELOG.md", r"^## ", "### ", "CHANGELOG.md has no heading of a version."),
        (PAGE, r"^\.Os .*$", ".Os reservation-sweeper 7.8.8", f"{PAGE} says 'reservation-sweeper 7.8.8' in .Os"),
        (PAGE, r"^\.Os .*\n", "", f"{PAGE} says 'nothing' in .Os"),
        ("packaging/changelog", r"\(\$1\)", "(7.8.8)", "begins with 'reservation-sweeper (7.8.8) unstable"),
        ("deploy/azure/job.yaml", VERSION, "7.8.8", "deploy/azure/job.yaml names version 7.8.8, not 7.8.9."),
        ("deploy/azure/job.yaml", VERSION, "latest", "deploy/azure/job.yaml names version latest, not 7.8.9."),
        (KUSTOMIZED, "^ *newTag:.*\n", "", f"{KUSTOMIZED} does not name version 7.8.9."),
        ("docker-compose.yml", r":-reservation-sweeper}", ":-reservation-sweeper:7.8.8}", "docker-compose.yml names version 7.8.8"),
        (UPGRADING, "sweeper_7.8.9", "sweeper_7.8.8", f"{UPGRADING} names version 7.8.8, not 7.8.9."),
        ("Dockerfile", r'version="\$\{VERSION\}"', 'version="7.8.9"', "is \"7.8.9\", not the argument VERSION."),
        ("Dockerfile", r"^ARG VERSION=.*$", "ARG VERSION=7.8.8", "The Dockerfile's VERSION is 7.8.8, not 7.8.9."),
        ("Dockerfile", r"^.*image\.version=.*\n", "", "is missing, not the argument VERSION."),
    ],
)
def test_each_that_differs_is_named(tree: Path, file: str, pattern: str, text: str, said: str) -> None:
    edit(tree / file, pattern, text)
    status, error = check(tree)
    assert status == 1
    (line,) = error.splitlines()
    assert said in line


def test_kustomize_and_charts_are_read(tree: Path) -> None:
    folder = tree / "deploy" / "kubernetes" / "other"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text('images:\n  - name: reservation-sweeper\n    newTag: "7.8.8"\n')
    (folder / "Chart.yaml").write_text("name: sweeper\nversion: 7.8.9\nappVersion: 7.8.7\n")
    status, error = check(tree)
    assert status == 1
    assert [re.search(r"7\.8\.[78]", line)[0] for line in error.splitlines()] == ["7.8.7", "7.8.8"]


@pytest.mark.parametrize("date", ["unreleased", "2026-02-30", ""])
def test_a_release_has_a_date(tree: Path, date: str) -> None:
    edit(tree / "CHANGELOG.md", rf"^## {VERSION} - .*$", f"## {VERSION} - {date}")
    assert check(tree)[0] == 0
    for status, error in (check(tree, strict=True), check(tree, "--tag", f"v{VERSION}")):
        assert status == 1 and "CHANGELOG.md has no date for 7.8.9" in error


def test_the_tag_is_the_version(tree: Path) -> None:
    assert check(tree, "--tag", "v7.9.0") == (1, "The tag is v7.9.0, not v7.8.9.\n")


def test_a_built_package_is_looked_into(tree: Path) -> None:
    control = tree / "built" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: reservation-sweeper\nVersion: 7.8.8\nArchitecture: all\nMaintainer: m <m@example.com>\nDescription: d\n"
    )
    subprocess.run(["dpkg-deb", "--build", tree / "built", tree / "a.deb"], check=True, capture_output=True)
    assert check(tree, "--deb", "a.deb") == (1, "a.deb has version 7.8.8, not 7.8.9.\n")


def notes(*args: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([root / "tools/release-notes", *args], capture_output=True, text=True, check=False)


def test_the_notes_are_one_section_of_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, section = re.search(r"^## (\S+).*?\n+(.*?)\s*(?=^## |\Z)", text, flags=re.M | re.S).groups()
    done = notes(first)
    assert done.returncode == 0 and done.stdout.strip() == section
    absent = notes("0.0.0")
    assert absent.returncode == 1 and "says nothing of 0.0.0" in absent.stderr


def test_links_of_the_notes_lead_somewhere_from_elsewhere(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text(
        "## 7.8.9 - 2026-01-01\n\n[a](docs/A.md) and [b](docs/B.md#b), [c](https://c.example/), `x](y`\n"
    )
    shutil.copytree(ROOT / "tools", tree / "tools", dirs_exist_ok=True)
    done = notes("7.8.9", "https://host.example/o/n/blob/v7.8.9", root=tree)
    there = "https://host.example/o/n/blob/v7.8.9"
    assert done.stdout == f"[a]({there}/docs/A.md) and [b]({there}/docs/B.md#b), [c](https://c.example/), `x](y`\n"
