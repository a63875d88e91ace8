"""pytest's hooks for skipped tests, for a conftest to import: they are named, or not allowed."""

from __future__ import annotations

import os
from typing import Any

import pytest

NO_SKIPS = os.environ.get("RS_NO_SKIPS") == "1" or os.environ.get("CI") == "true"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("skipped: none")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything must run, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if NO_SKIPS and exitstatus == 0 and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
