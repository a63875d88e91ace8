"""The files of deploy/, and what is true of all of them."""

from __future__ import annotations

import re
from typing import Any

import yaml
from harness.sweeper import ROOT

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


def dockerfile_user() -> int:
    match = re.search(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), flags=re.M)
    assert match
    return int(match[1])
