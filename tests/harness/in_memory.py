"""Folders in memory, for servers whose data nobody will miss: to make a database of its own for each
test is a quarter of a run's processor time where its 300 files are made on a disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

SHM = Path("/dev/shm")
# So much must be left: of the tests that run side by side each has such a server.
ROOM_BYTES = 4 << 30
MEMORY_KB = 8 << 20


def has_room() -> bool:
    """Containers have 64 MB there, and small machines not enough memory."""
    with contextlib.suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        stat = os.statvfs(SHM)
        return (
            found is not None
            and int(found[1]) >= MEMORY_KB
            and stat.f_bavail * stat.f_frsize >= ROOM_BYTES
            and os.access(SHM, os.W_OK)
        )
    return False


def folder(prefix: str) -> Path | None:
    """A new one, or None where there is no room. It is locked as long as this process lives: what
    nobody has locked was left by one that was killed, and would lie in memory until the machine ends."""
    if not has_room():
        return None
    with locked(SHM):  # a folder that was just made is not locked yet
        for left in SHM.glob(prefix + "*"):
            with contextlib.suppress(OSError):
                os.close(_lock(left))
                shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=SHM))
        _lock(made)
    return made


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else has the folder locked meanwhile; it is waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _lock(path: Path) -> int:
    """OSError: another process has it locked, or it is gone."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
