"""What the daemon tells systemd, above all with both servers out of reach."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.poll import holds, wait_until
from harness.process import free_port, is_stopped
from harness.sweeper import Sweeper


class Manager:
    """The socket that systemd would listen at."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.heard: list[list[str]] = []

    def listen(self) -> list[list[str]]:
        """All messages so far, each as its lines."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return self.heard

    def count(self, line: str) -> int:
        return sum(line in message for message in self.listen())

    def forget(self) -> None:
        self.listen()
        self.heard.clear()

    def status(self) -> str:
        lines = [line for message in self.listen() for line in message]
        found = [line.removeprefix("STATUS=") for line in lines if line.startswith("STATUS=")]
        return found[-1] if found else ""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(tmp_path / "notify")
    yield one
    one.socket.close()


def start(manager: Manager, **env: str) -> Sweeper:
    return Sweeper(
        dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none",
        redis_url=f"redis://127.0.0.1:{free_port()}",
        env={"NOTIFY_SOCKET": manager.path, **env},
    )


def test_servers_out_of_reach(manager: Manager) -> None:
    """Ready, fed, with a status that says what is wrong, and stopped in order."""
    daemon = start(manager, WATCHDOG_USEC="400000")
    try:
        wait_until(lambda: manager.count("WATCHDOG=1") >= 20, 20, "the watchdog is fed")
        assert manager.listen()[0][0] == "READY=1"
        assert manager.count("READY=1") == 1
        assert manager.status().startswith("Not ready: Postgres is out of reach")
        assert daemon.running
    finally:
        status = daemon.stop()
    assert status == 0, daemon.tail()
    assert ["STOPPING=1", "STATUS=Stopping"] in manager.listen()
    daemon.check_reports()


def test_a_loop_that_stands_still_is_not_fed(manager: Manager) -> None:
    daemon = start(manager, WATCHDOG_USEC="400000")
    try:
        wait_until(lambda: manager.count("WATCHDOG=1") >= 1, 20, "the watchdog is fed")
        os.kill(daemon.pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(daemon.pid), 5, "it stands still")
        manager.forget()
        holds(lambda: manager.listen() == [], 1, "nothing is heard")
        os.kill(daemon.pid, signal.SIGCONT)
        wait_until(lambda: manager.count("WATCHDOG=1") >= 1, 20, "the watchdog is fed again")
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
        assert daemon.stop() == 0, daemon.tail()


def test_no_watchdog_unless_asked(manager: Manager) -> None:
    daemon = start(manager)
    try:
        wait_until(lambda: manager.count("READY=1") == 1, 20, "ready")
        daemon.wait_for_record("Started")
    finally:
        assert daemon.stop() == 0, daemon.tail()
    assert manager.count("WATCHDOG=1") == 0
    assert manager.count("STOPPING=1") == 1


def test_a_reload(manager: Manager) -> None:
    """As ExecReload asks for it."""
    daemon = start(manager)
    try:
        wait_until(lambda: manager.count("READY=1") == 1, 20, "ready")
        os.kill(daemon.pid, signal.SIGHUP)
        wait_until(lambda: manager.count("READY=1") == 2, 20, "ready again")
        assert manager.count("RELOADING=1") == 1
        daemon.wait_for_record("Reloaded")
    finally:
        assert daemon.stop() == 0, daemon.tail()
