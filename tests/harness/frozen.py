"""One of Postgres's processes alone is stopped, where it keeps no other waiting by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg

from . import process
from .poll import wait_until
from .servers import Postgres

AT_REST = ("Activity", "Client", "Lock")


def _kind_of_wait(watch: psycopg.Connection, pid: int) -> str | None:
    row = watch.execute(
        "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", (pid,)
    ).fetchone()
    assert row, f"Postgres has no process {pid}"
    return row[0]


def _stops_at_rest(watch: psycopg.Connection, thread: ThreadPoolExecutor, pid: int) -> bool:
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: process.is_stopped(pid), what="it is stopped", step=0.001)
    kind = thread.submit(_kind_of_wait, watch, pid)  # which may have to wait for it, too
    try:
        if kind.result(timeout=1) in AT_REST:
            return True
    except TimeoutError:
        pass
    os.kill(pid, signal.SIGCONT)
    kind.result()
    return False


def freeze(server: Postgres, pid: int) -> None:
    """SIGSTOP, at a moment at which the process itself waits for somebody: at any other it may hold
    one of the server's inner locks (a page's, the WAL's), for which all the others wait then."""
    with server.connect("postgres") as watch, ThreadPoolExecutor(1) as thread:
        wait_until(lambda: _stops_at_rest(watch, thread, pid), 20, "it waits", step=0.001)


@contextmanager
def frozen(server: Postgres, pid: int) -> Iterator[None]:
    """It goes on at the end."""
    freeze(server, pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
