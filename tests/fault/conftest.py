"""Fixtures: servers of their own for the fault tests, fixed after each; a fresh database each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from bed import Bed  # noqa: E402
from harness.servers import Postgres, Redis  # noqa: E402
from harness.skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "short: the short form, part of make test-long")


@pytest.fixture(scope="session")
def hurt_pg() -> Iterator[Postgres]:
    # Few connections, so that they can be used up; fast recovery from a crash.
    server = Postgres(fsync=False, max_connections=30, superuser_reserved_connections=1)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def hurt_redis() -> Iterator[Redis]:
    server = Redis(enable_debug_command="local")
    server.start()
    yield server
    server.close()


@pytest.fixture
def bed(hurt_pg: Postgres, hurt_redis: Redis) -> Iterator[Bed]:
    for server in (hurt_pg, hurt_redis):
        if not server.running:  # what a failed test left behind
            server.start()
    one = Bed(hurt_pg, hurt_redis)
    yield one
    one.close()
