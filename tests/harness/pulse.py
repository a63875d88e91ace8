"""How late this machine itself is: other processes may keep it busy while a test measures time."""

from __future__ import annotations

import threading
import time

STEP_S = 0.005
# A release is a chain: the sweeper, Redis, the sweeper again, Postgres. Each waits for its turn.
CHAIN = 4


class Pulse:
    """A thread that sleeps for moments, and remembers by how much the longest was too long."""

    def __init__(self) -> None:
        self._worst_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(STEP_S):
            now = time.monotonic()
            self._worst_s = max(self._worst_s, now - before - STEP_S)
            before = now

    def slack_s(self) -> float:
        """What a release may have been late for want of a processor alone."""
        return CHAIN * self._worst_s

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
