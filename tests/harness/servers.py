"""A private Postgres and a private Redis, on loopback and a unix socket, for as long as we live."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis as redis_py

from . import process, scram
from .in_memory import folder as folder_in_memory
from .in_memory import locked
from .poll import wait_until, within

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
PORT_ATTEMPTS = 5
# sun_path holds 108 bytes, and Postgres adds a file name of its own.
SOCKET_DIR_MAX = 80


class PortTaken(Exception):
    """Somebody else took the port between our look and the server's bind."""


class Server:
    """What both servers share: a folder, a port, a log, and stopping by pid."""

    name = "server"
    clash = "Address already in use"
    ending = signal.SIGKILL  # what it gets when we end

    def __init__(self, folder: Path | str | None) -> None:
        self.temporary = folder is None
        self.dir = Path(folder or tempfile.mkdtemp(prefix=f"rs-{self.name}-")).absolute()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self.env: dict[str, str] = {}  # besides our own, from the next start on
        self.process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def _popen_options(self) -> dict[str, object]:
        return {}

    @property
    def log_file(self) -> Path:
        return self.dir / f"{self.name}.log"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def start(self) -> None:
        """Starts the server and returns when it answers. The port stays the same over restarts."""
        assert not self.running, f"{self.name} runs already"
        first = self.port == 0
        for _ in range(PORT_ATTEMPTS):
            if first:
                self.port = process.free_port()
            try:
                self._start_once()
                return
            except PortTaken:
                # After a restart it is our own port, which lingering connections may still hold.
                if not first:
                    time.sleep(0.2)
        raise RuntimeError(f"{self.name}: no port to listen on")

    def _start_once(self) -> None:
        offset = self.log_file.stat().st_size if self.log_file.exists() else 0
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(
                process.ending_with_parent(self._command(), self.ending),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.dir,
                env={**os.environ, **self.env},
                start_new_session=True,  # a Ctrl-C is for the tests, which stop us in order
                **self._popen_options(),  # type: ignore[call-overload]
            )

        def ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                said = self.log_file.read_bytes()[offset:].decode(errors="replace")
                if self.clash in said:
                    raise PortTaken
                raise RuntimeError(f"{self.name} ended at its start:\n{said}")
            return self._answers()

        wait_until(ready, START_TIMEOUT_S, f"{self.name} answers on port {self.port}")

    def _signal_and_wait(self, signo: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.resume()  # a paused one would not hear the signal
            self.process.send_signal(signo)
            try:
                self.process.wait(within(STOP_TIMEOUT_S))
            except subprocess.TimeoutExpired:
                self.kill9()
        self.process = None

    def stop(self) -> None:
        self._signal_and_wait(signal.SIGTERM)

    def kill9(self) -> None:
        """Ends it as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def pause(self) -> None:
        """The server accepts connections (the kernel does) and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """Stops the server and, if the folder was made for it, removes that."""
        self.stop()
        if self.temporary:
            shutil.rmtree(self.dir, ignore_errors=True)
        atexit.unregister(self.close)


class Postgres(Server):
    """A cluster of its own. As root it runs as the user postgres, since it refuses root.

    Settings are given by name: Postgres(max_connections=200, default_transaction_read_only="on").
    Without fsync its folder lies in memory, where there is room.

    To make a cluster takes a second of processor time. With `like`, a folder, it is a copy of the one
    there, which is made if there is none: with its system identifier and its password.

    A `shared` one makes and drops databases on a connection that stays open, and copies the tables of
    sql/schema.sql from a template: a fifth of the work, for whoever has a database a test.
    """

    name = "postgres"
    ending = signal.SIGQUIT  # which ends the backends too
    clash = "could not create any TCP/IP sockets"
    user = "shop"

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        fsync: bool = True,
        like: str | None = None,
        shared: bool = False,
        **settings: object,
    ) -> None:
        in_memory = None if fsync or folder else folder_in_memory(f"rs-{self.name}-")
        super().__init__(folder or in_memory)
        self.temporary = folder is None
        self.bin = newest_postgres()
        self.account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        if self.account:
            self._make_reachable()
        # A password, although it is private: a trusted superuser could be used by any local user.
        self.password = "pw-" + os.urandom(12).hex()
        self.like = Path(like) if like else None
        self.socket_dir = self.dir
        if len(str(self.dir)) > SOCKET_DIR_MAX:
            self.socket_dir = self._own(Path(tempfile.mkdtemp(prefix="rs-socket-")))
        self.settings: dict[str, object] = {
            "fsync": "on" if fsync else "off",
            "track_commit_timestamp": "on",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.socket_dir,
            "log_line_prefix": "%m [%p] ",
            **({"max_wal_size": "256MB"} if in_memory else {}),
            **settings,
        }
        self.shared = shared
        self._databases = 0
        self._template: str | None = None
        self._administrator: psycopg.Connection | None = None

    def _own(self, path: Path) -> Path:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)
        return path

    def _make_reachable(self) -> None:
        """The folder, or one elsewhere if the path leads through folders closed to postgres."""
        self._own(self.dir)
        probe = subprocess.run(["test", "-w", self.dir], check=False, **self._as_account())
        if probe.returncode != 0:
            if self.temporary:
                shutil.rmtree(self.dir)
            self.dir = self._own(Path(tempfile.mkdtemp(prefix="rs-postgres-", dir="/tmp")))
            self.temporary = True

    def _as_account(self) -> dict[str, object]:
        if not self.account:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def _popen_options(self) -> dict[str, object]:
        return self._as_account()

    @property
    def data(self) -> Path:
        return self.dir / "data"

    def _make(self) -> None:
        if self.like is None:
            self._initdb()
            return
        self.like.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.like):
            password, made = self.like / "password", self.like / "data"
            if not password.exists():
                self._initdb()
                subprocess.run(["cp", "-a", "--", self.data, made], check=True)
                password.write_text(self.password)
                return
        self.password = password.read_text()
        subprocess.run(["cp", "-a", "--", made, self.data], check=True)

    def _initdb(self) -> None:
        pwfile = self.dir / "password"
        pwfile.write_text(scram.secret(self.password) + "\n", encoding="ascii")
        pwfile.chmod(0o600)
        self._own(pwfile)
        subprocess.run(
            [self.bin / "initdb", "-D", self.data, "-U", self.user, f"--pwfile={pwfile}"]
            + ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.dir,
            **self._as_account(),  # type: ignore[call-overload]
        )
        pwfile.unlink()

    def start(self) -> None:
        if not self.data.exists():
            self._make()
        super().start()

    def _command(self) -> list[str]:
        settings = [f"--{key}={value}" for key, value in self.settings.items()]
        return [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *settings]

    def _answers(self) -> bool:
        try:
            self.connect("postgres", connect_timeout=5).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self, mode: str = "fast") -> None:
        """mode: smart, fast or immediate, as pg_ctl names them."""
        signals = {
            "smart": signal.SIGTERM,
            "fast": signal.SIGINT,
            "immediate": signal.SIGQUIT,
        }
        self._signal_and_wait(signals[mode])

    def kill9(self) -> None:
        """The postmaster and its children; they are in sessions of their own."""
        if self.process is not None and self.process.poll() is None:
            family = process.children(self.process.pid)
            super().kill9()
            for child in family:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            wait_until(
                lambda: all(process.is_gone(child) for child in family),
                what="the backends are gone",
            )

    def _signal_all(self, signo: signal.Signals) -> None:
        for pid in (self.pid, *process.children(self.pid)):
            with contextlib.suppress(ProcessLookupError):  # a worker that has just ended
                os.kill(pid, signo)

    def pause(self) -> None:
        """The backends too: no connection answers any more."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def close(self) -> None:
        super().close()
        if self.socket_dir != self.dir:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def dsn(self, dbname: str, socket: bool = False) -> str:
        """A libpq URI, over TCP or over the unix socket."""
        if socket:
            host = str(self.socket_dir).replace("/", "%2F")
            return f"postgresql://{self.user}:{self.password}@{host}:{self.port}/{dbname}"
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{dbname}"

    def connect(self, dbname: str, **options: object) -> psycopg.Connection:
        """An autocommit connection."""
        return psycopg.connect(self.dsn(dbname), autocommit=True, **options)  # type: ignore[arg-type]

    def create_database(self, schema: bool = True, encoding: str = "UTF8") -> str:
        """A new database, by default with the tables of sql/schema.sql; returns its name."""
        if schema and self.shared and encoding == "UTF8":
            self._template = self._template or self._create("template0", encoding, schema)
            return self._create(self._template, encoding, schema=False)
        return self._create("template0", encoding, schema)

    def _create(self, template: str, encoding: str, schema: bool) -> str:
        self._databases += 1
        name = f"shop_{self._databases}"
        self._administer(
            f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' STRATEGY file_copy"
        )
        if schema:
            text = (Path(__file__).parents[2] / "sql" / "schema.sql").read_text(encoding="utf-8")
            with self.connect(name) as conn:
                conn.execute(text)
        return name

    def drop_database(self, name: str) -> None:
        self._administer(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _administer(self, sql: str) -> None:
        if not self.shared:
            with self.connect("postgres") as conn:
                conn.execute(sql)  # type: ignore[arg-type]
            return
        if self._administrator is None or self._administrator.closed:
            self._administrator = self.connect("postgres")
        self._administrator.execute(sql)  # type: ignore[arg-type]


# Which one the tests are to run with.
REDIS_PROGRAM = os.environ.get("RS_REDIS", "redis-server")


def redis_programs() -> list[str]:
    """The servers of Redis's kind that this machine has. Debian has Valkey from 13 on."""
    return [name for name in ("redis-server", "valkey-server", "keydb-server") if shutil.which(name)]


@dataclass
class Certified:
    """With what a server speaks TLS, and nothing else."""

    cert: Path
    key: Path
    authority: Path


class RedisClient(redis_py.Redis):
    """One that is closed when it is told to be: without this redis-py 4 keeps the pool's connections
    for as long as somebody refers to the client, a failed test for one."""

    def close(self) -> None:
        super().close()
        self.connection_pool.disconnect()


class Redis(Server):
    """A Redis of its own, or another program that speaks its protocol, without persistence unless asked
    for: Redis(appendonly="yes")."""

    name = "redis"

    def __init__(
        self,
        folder: Path | str | None = None,
        program: str = REDIS_PROGRAM,
        tls: Certified | None = None,
        **settings: object,
    ) -> None:
        super().__init__(folder)
        self.program = program
        self.tls = tls
        if tls is not None:  # on no other port
            settings |= {
                "tls-cert-file": tls.cert,
                "tls-key-file": tls.key,
                "tls-ca-cert-file": tls.authority,
                "tls-auth-clients": "no",
                "tls-replication": "yes",
            }
        self.settings: dict[str, object] = {
            "bind": "127.0.0.1",
            "dir": self.dir,
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            **{key.replace("_", "-"): value for key, value in settings.items()},
        }
        if self.settings.get("cluster-enabled") == "yes":
            # Its default is 10,000 above the port, which may be beyond the last port there is.
            self.settings.setdefault("cluster-port", process.free_port())

    @property
    def socket_path(self) -> Path:
        return self.dir / "redis.sock"

    @property
    def password(self) -> str:
        return str(self.settings.get("requirepass", ""))

    def _command(self) -> list[str]:
        command = [self.program, "--port", "0" if self.tls else str(self.port)]
        if self.tls:
            command += ["--tls-port", str(self.port)]
        if len(str(self.dir)) <= SOCKET_DIR_MAX:
            command += ["--unixsocket", str(self.socket_path)]
        for key, value in self.settings.items():
            command += [f"--{key}", str(value)]
        return command

    def _answers(self) -> bool:
        try:
            with self.client(socket_timeout=5) as client:
                return bool(client.ping())
        except redis_py.RedisError:
            return False

    def url(self, db: int = 0) -> str:
        credentials = f":{self.password}@" if self.password else ""
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{credentials}127.0.0.1:{self.port}/{db}"

    def client(self, db: int = 0, **options: object) -> redis_py.Redis:
        """A client whose answers are bytes, unless options say decode_responses=True."""
        if self.tls:  # whose certificate is none of the tests' business
            options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
        return RedisClient.from_url(self.url(db), **options)


def newest_postgres() -> Path:
    """The folder of the newest installed server's programs."""
    found = [p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not found:
        on_path = shutil.which("postgres")
        if on_path is None:
            raise RuntimeError("no Postgres server is installed")
        return Path(on_path).resolve().parent
    return max(found, key=lambda folder: float(folder.parent.name))
