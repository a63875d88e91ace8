"""A PgBouncer in transaction mode before a Postgres, for as long as we live."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from .servers import Postgres, Server


PROGRAM = "/usr/sbin/pgbouncer"  # not on the path of ordinary users


def keeps_names() -> bool:
    """Whether this one keeps prepared statements for its clients, as it does from 1.21 on."""
    done = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True)
    found = re.search(r"PgBouncer (\d+)\.(\d+)", done.stdout)
    assert found, done.stdout
    return (int(found[1]), int(found[2])) >= (1, 21)


class PgBouncer(Server):
    name = "pgbouncer"

    def __init__(self, behind: Postgres, **settings: object) -> None:
        super().__init__(None)
        self.behind = behind
        self.names: list[str] = []  # databases of their own lines: those of "*" do not move
        self.settings: dict[str, object] = {
            "pool_mode": "transaction",
            "default_pool_size": 2,
            **({"max_prepared_statements": 100} if keeps_names() else {}),
            **settings,
        }
        if behind.account:
            os.chown(self.dir, behind.account.pw_uid, behind.account.pw_gid)

    def _popen_options(self) -> dict[str, object]:
        # As root it would refuse to run, as Postgres does; the same user serves both.
        return self.behind._as_account()

    def _write(self, path: Path, text: str) -> Path:
        path.write_text(text, encoding="ascii")
        path.chmod(0o600)
        if self.behind.account:
            os.chown(path, self.behind.account.pw_uid, self.behind.account.pw_gid)
        return path

    def _configure(self) -> Path:
        users = self._write(
            self.dir / "users.txt", f'"{self.behind.user}" "{self.behind.password}"\n'
        )
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": users,
            "admin_users": self.behind.user,
            **self.settings,
        }
        lines = [f"{key} = {value}" for key, value in settings.items()]
        where = f"host=127.0.0.1 port={self.behind.port}"
        databases = [f"{name} = {where}" for name in (*self.names, "*")]
        return self._write(
            self.dir / "pgbouncer.ini",
            "".join(line + "\n" for line in ("[databases]", *databases, "[pgbouncer]", *lines)),
        )

    def _command(self) -> list[str]:
        return [PROGRAM, str(self._configure())]

    def tell(self, command: str) -> None:
        """Of its console: PAUSE, RESUME, RELOAD ..."""
        with psycopg.connect(self.dsn("pgbouncer"), autocommit=True) as console:
            console.execute(command)  # type: ignore[call-overload]

    def clients(self, dbname: str) -> set[int]:
        """The ports of those of a database: another port, another connection."""
        with psycopg.connect(self.dsn("pgbouncer"), autocommit=True, row_factory=dict_row) as console:
            rows = console.execute("SHOW CLIENTS").fetchall()
        return {row["port"] for row in rows if row["database"] == dbname}

    def reports(self, parameter: str) -> str | None:
        """What it tells a new client of the server behind the first of its own databases."""
        with psycopg.connect(self.dsn(self.names[0])) as client:
            return client.info.parameter_status(parameter)

    def move(self, behind: Postgres) -> None:
        """Its databases are at another server from now on; sessions end as they come free."""
        self.behind = behind
        self._configure()
        self.tell("RELOAD")

    def dsn(self, dbname: str) -> str:
        credentials = f"{self.behind.user}:{self.behind.password}"
        return f"postgresql://{credentials}@127.0.0.1:{self.port}/{dbname}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False
