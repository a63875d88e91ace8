"""A standby of a Postgres, for as long as a test needs it, and two servers that change places."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .poll import wait_until
from .servers import Postgres


def base_backup(pg: Postgres, standby: Postgres) -> None:
    """Makes the server, which does not run, a standby of the other: it begins anew."""
    shutil.rmtree(standby.data, ignore_errors=True)
    standby.password = pg.password
    subprocess.run(
        [pg.bin / "pg_basebackup", "-D", standby.data, "-R", "--checkpoint=fast"]
        + ["-X", "stream", "-d", pg.dsn("postgres")],
        check=True,
        cwd=standby.dir,
        **standby._as_account(),  # type: ignore[call-overload]
    )


@contextmanager
def standby_of(pg: Postgres) -> Iterator[Postgres]:
    """A standby that follows the server, of its own port and folder."""
    folder = Path(tempfile.mkdtemp(prefix="rs-standby-"))
    standby = Postgres(folder, fsync=False, hot_standby="on")
    base_backup(pg, standby)
    try:
        standby.start()
        yield standby
    finally:
        standby.close()
        shutil.rmtree(folder, ignore_errors=True)


class Pair:
    """Two servers with streaming replication, asynchronous unless asked otherwise. `first` is the
    primary at the start; `primary` and `standby` say who is what now, as somebody has decided who
    runs them: a client may see two primaries meanwhile."""

    def __init__(self) -> None:
        # A walreceiver comes back quickly.
        settings = {
            "wal_log_hints": "on",
            "wal_keep_size": "128MB",
            "wal_retrieve_retry_interval": "200ms",
        }
        self.first = self.primary = Postgres(fsync=False, **settings)
        self.second = self.standby = Postgres(fsync=False, **settings)
        self.primary.start()
        with self.primary.connect("postgres") as conn:
            # pg_rewind wants them, also of the server that it starts to recover what was killed.
            conn.execute("ALTER SYSTEM SET wal_log_hints = on")
            conn.execute("ALTER SYSTEM SET wal_keep_size = '128MB'")
        base_backup(self.primary, self.standby)
        self.standby.start()
        wait_until(self.streams, 20, "the standby streams")

    def close(self) -> None:
        self.second.close()
        self.first.close()

    def dsn(self, dbname: str, *more: str) -> str:
        """Both of them, the first one first."""
        return " ".join(
            (
                f"host=127.0.0.1,127.0.0.1 port={self.first.port},{self.second.port}",
                f"user={self.first.user} password={self.first.password} dbname={dbname}",
                *more,
            )
        )

    def streams(self) -> bool:
        with self.primary.connect("postgres") as conn:
            row = conn.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            return row.fetchone() == (1,)

    def wait_until_level(self) -> None:
        """The standby has replayed all that the primary has written by now."""
        with self.primary.connect("postgres") as conn, self.standby.connect("postgres") as there:
            at = conn.execute("SELECT pg_current_wal_lsn()").fetchone()
            wait_until(
                lambda: there.execute("SELECT pg_last_wal_replay_lsn() >= %s", at).fetchone()[0],
                20,
                "the standby has caught up",
            )

    def wait_for_standby(self, names: str) -> None:
        """From now on commits wait for these standbys: '*', or '' for none."""
        with self.primary.connect("postgres") as conn:
            # Not itself something to wait for.
            conn.execute("SET synchronous_commit = local")
            conn.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            conn.execute("SELECT pg_reload_conf()")
        with self.primary.connect("postgres") as conn:
            wait_until(
                lambda: conn.execute("SHOW synchronous_standby_names").fetchone() == (names,),
                10,
                "the setting is in force",
            )

    def promote(self) -> Postgres:
        """The standby is the primary from now on, whatever the other one is."""
        with self.standby.connect("postgres") as conn:
            assert conn.execute("SELECT pg_promote()").fetchone() == (True,)
        self.primary, self.standby = self.standby, self.primary
        return self.primary

    def rewind(self) -> None:
        """Makes the former primary, which does not run, a standby of the new one: what it has and
        the new one has not is undone."""
        with self.primary.connect("postgres") as conn:
            conn.execute("CHECKPOINT")  # else pg_rewind may not know of the new timeline yet
        subprocess.run(
            [self.primary.bin / "pg_rewind", "-D", self.standby.data, "-R", "--no-sync"]
            + ["--source-server", self.primary.dsn("postgres")],
            check=True,
            cwd=self.standby.dir,
            **self.standby._as_account(),  # type: ignore[call-overload]
        )
        self.standby.start()
        wait_until(self.streams, 20, "the former primary streams")

    def back_up(self) -> None:
        """The same by a new base backup."""
        base_backup(self.primary, self.standby)
        self.standby.start()
        wait_until(self.streams, 20, "the former primary streams")
