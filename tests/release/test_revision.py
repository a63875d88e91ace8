"""tools/revision in checkouts of its own, and what a new one makes make build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PERSON = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com"}
PERSON |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in PERSON.items()}


def run(folder: Path, *command: str | Path, **more: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "REVISION"}
    done = subprocess.run(
        command, cwd=folder, env={**environment, **PERSON, **more}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def revision(folder: Path, **more: str) -> str:
    return run(folder, folder / "tools" / "revision", **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "revision", tmp_path / "in" / "tools")
    return tmp_path / "in"


def commit(folder: Path) -> str:
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", ".")
    run(folder, "git", "commit", "-q", "-m", "first")
    return run(folder, "git", "rev-parse", "--short=12", "HEAD")


def test_it_is_the_commit(folder: Path) -> None:
    first = commit(folder)
    assert revision(folder) == first
    run(folder, "git", "tag", "v1.2.3")
    assert revision(folder) == first
    with open(folder / "tools" / "revision", "a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert revision(folder) == f"{first}-dirty"
    assert revision(folder, REVISION="given") == "given"


def test_without_git_it_is_what_was_given(folder: Path) -> None:
    assert revision(folder, REVISION="given") == "given"
    assert revision(folder) == ""


def test_another_repository_around_it_says_nothing(folder: Path) -> None:
    commit(folder.parent)
    assert revision(folder) == ""


def test_a_new_revision_compiles_one_file() -> None:
    """In the build that is there, with the flags that make was given."""
    binary = os.environ.get("RS_BINARY", "build/reservation-sweeper")
    build = Path(binary).parent
    make = ["make", "--no-print-directory", f"BUILD={build}"]
    run(ROOT, *make, binary)
    try:
        said = run(ROOT, *make, "REVISION=another", binary)
        assert re.findall(r"^ *(\w+) +(\S+)$", said, flags=re.M) == [
            ("cc", f"{build}/obj/gen/revision.o"),
            ("link", binary),
        ]
        assert "(revision another, " in run(ROOT, ROOT / binary, "--version")
    finally:
        run(ROOT, *make, binary)
