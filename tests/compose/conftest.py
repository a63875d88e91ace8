"""One stack for all tests: they stand in the order of its life, and the last one stops it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from stack import SERVICES, Stack, compose_command, docker, node_image


def pytest_sessionstart() -> None:
    if shutil.which(compose_command()[0]) is None or docker("info", check=False).returncode != 0:
        pytest.exit("make compose-test needs a Docker engine that answers, and compose", 1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.compose("build")
        stack.compose("up", "-d")
        for service in SERVICES:
            stack.wait_healthy(service)
        yield stack
    except BaseException:
        print(stack.tell(SERVICES))
        raise
    finally:
        stack.down()


@pytest.fixture(scope="session")
def demo(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The same stack, with the example API and its shopper."""
    node = node_image(tmp_path_factory.mktemp("node"))
    stack.set(NODE_IMAGE=node)
    stack.compose("--profile", "demo", "build", "api")
    stack.compose("--profile", "demo", "up", "-d")
    stack.wait_healthy("api")
    return stack
