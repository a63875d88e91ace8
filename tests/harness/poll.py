"""Waiting for a condition with a deadline, in place of sleeping."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .sweeper import Sweeper

T = TypeVar("T")

# A machine that others share is slower: every time that a test allows is so many times as long.
TIME_FACTOR = float(os.environ.get("RS_TIME_FACTOR", "1"))


def within(time_allowed: float) -> float:
    """The time that a test allows for something, on this machine."""
    return time_allowed * TIME_FACTOR


def wait_until(
    condition: Callable[[], T],
    timeout: float = 10.0,
    what: str = "",
    step: float = 0.015,
    met: Callable[[T], bool] = bool,
) -> T:
    """Calls condition until what it returns is true, and returns that.

    met: which values end it in place of those that are true: operator.not_ for a list of what is left.
    Past the deadline it raises AssertionError with `what` and the last value seen.
    """
    timeout = within(timeout)
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() >= deadline
        value = condition()
        if met(value):
            return value
        if late:
            raise AssertionError(f"not within {timeout} s: {what or condition} (last: {value!r})")
        time.sleep(step)


def holds(condition: Callable[[], object], seconds: float, what: str = "") -> None:
    """Watches a condition for so long; raises AssertionError as soon as it is not true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"it did not stay so for {seconds} s: {what or condition}"
        time.sleep(0.05)


def until_ready(daemon: Sweeper, timeout: float = 20.0) -> None:
    """Waits until a daemon that was started with http=True says that it is ready."""

    def ready() -> bool:
        try:
            return daemon.http("/readyz")[0] == 200
        except OSError:
            return False

    wait_until(ready, timeout, "ready")
