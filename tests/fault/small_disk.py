"""A Postgres with a small file system of its own, for a tablespace, that a test may fill up."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
from harness.servers import Postgres

MEGABYTES = 8
TABLESPACE = "small"
# The account is changed here, after the mount, and the kernel forgets the parent's death with it.
SCRIPT = """
    mount -t tmpfs -o "size=$1,mode=0700,uid=$3,gid=$4" none "$2" &&
    exec setpriv --reuid "$3" --regid "$4" --clear-groups --pdeathsig QUIT -- "${@:5}"
"""


class SmallDisk(Postgres):
    """Its tables go to the small file system by move_tables(); everything else stays elsewhere."""

    @property
    def _mount(self) -> Path:
        return self.dir / "small"

    def _command(self) -> list[str]:
        assert self.account is not None
        self._mount.mkdir(exist_ok=True)
        account = [str(self.account.pw_uid), str(self.account.pw_gid)]
        script = ["unshare", "--mount", "bash", "-c", SCRIPT, "bash", f"{MEGABYTES}m"]
        return [*script, str(self._mount), *account, *super()._command()]

    def _popen_options(self) -> dict[str, object]:
        return {}  # the script mounts, as root

    def create_tablespace(self) -> None:
        with self.connect("postgres") as conn:
            conn.execute(f"CREATE TABLESPACE {TABLESPACE} LOCATION '{self._mount}'")

    @staticmethod
    def move_tables(conn: psycopg.Connection) -> None:
        for kind in ("TABLE", "INDEX"):
            conn.execute(f"ALTER {kind} ALL IN TABLESPACE pg_default SET TABLESPACE {TABLESPACE}")

    @property
    def _ballast(self) -> Path:
        """As it is seen from outside of the namespace."""
        return Path(f"/proc/{self.pid}/root{self._mount}/ballast")

    def fill(self) -> None:
        """Until not a byte is left."""
        with open(self._ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        left = os.statvfs(self._ballast)
        assert left.f_bavail == 0, f"{left.f_bavail} blocks are free"

    def make_room(self) -> None:
        self._ballast.unlink()
