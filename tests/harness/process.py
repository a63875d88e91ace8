"""Child processes that end with their parent, and what /proc says about a process."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path


def ending_with_parent(
    command: Iterable[str | Path], signo: signal.Signals = signal.SIGKILL
) -> list[str]:
    """The command, with the kernel to send it signo when the parent ends, however it ends.

    The kernel means the parent's thread: do not start a process from a thread that ends before it.
    A preexec_fn would do, and have the whole interpreter copied for each process: 25 ms of a processor.
    """
    name = signo.name.removeprefix("SIG")
    return ["setpriv", f"--pdeathsig={name}", "--", *map(str, command)]


def free_port() -> int:
    """A TCP port on loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_ipv6() -> bool:
    """A socket of IPv6 can be made at all: not in a kernel that was booted without it. Where it is
    only disabled, as in Docker's containers, [::] can be bound, and ::1 cannot."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
            return True
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The process's own children."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def rss_kb(pid: int) -> int:
    """Resident memory, in KiB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def _stat(pid: int) -> list[str]:
    """The fields of proc(5)'s stat after the name, from the state on."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()


def is_stopped(pid: int) -> bool:
    """SIGSTOP has taken effect."""
    return _stat(pid)[0] == "T"


def is_gone(pid: int) -> bool:
    """It has ended, whether somebody has waited for it or not."""
    try:
        return _stat(pid)[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def threads_at_work(pid: int) -> bool:
    """One of its threads, beside the first, has something to do and waits for nothing."""
    try:
        return any(_stat(tid)[0] == "R" for tid in map(int, os.listdir(f"/proc/{pid}/task")) if tid != pid)
    except (FileNotFoundError, ProcessLookupError):  # it, or the thread, has ended
        return False


def catches(pid: int, signo: int) -> bool:
    """The process has a handler of its own for the signal."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signo - 1) & 1)
    return False


def cpu_seconds(pid: int) -> float:
    """Processor time, user and system, since the process began."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid: int) -> int:
    """How many descriptors the process has open."""
    folder = f"/proc/{pid}/fd"
    try:
        return len(os.listdir(folder))
    except PermissionError:  # it writes no cores: root alone may look into it
        return os.stat(folder).st_size  # since Linux 6.2
