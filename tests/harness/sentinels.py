"""A master with replicas, and the Sentinels that watch it: real servers, on loopback."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import redis as redis_py
from redis import sentinel

from .answering import Answering, bulk
from .poll import wait_until
from .servers import Redis, Server

SERVICE = "the-shop"


class Sentinel(Redis):
    """One Sentinel. It writes what it learns into its configuration's file."""

    name = "sentinel"

    def __init__(self, master: Redis, quorum: int, *, down_after_ms: int, password: str = "") -> None:
        super().__init__()
        self.master = master
        self.quorum = quorum
        self.down_after_ms = down_after_ms
        self.tls = master.tls
        self.settings = {"requirepass": password} if password else {}

    @property
    def file(self) -> Path:
        return self.dir / "sentinel.conf"

    def _write(self) -> None:
        lines = [
            *(self._tls_lines() if self.tls else [f"port {self.port}"]),
            "bind 127.0.0.1",
            f"dir {self.dir}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.master.port} {self.quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {self.down_after_ms}",
            f"sentinel failover-timeout {SERVICE} 3000",
        ]
        if self.master.password:
            lines.append(f"sentinel auth-pass {SERVICE} {self.master.password}")
        if self.password:
            lines += [f"requirepass {self.password}", f"sentinel sentinel-pass {self.password}"]
        self.file.write_text("".join(line + "\n" for line in lines), encoding="ascii")

    def _tls_lines(self) -> list[str]:
        """It speaks nothing else, to nobody."""
        assert self.tls
        return [
            "port 0",
            f"tls-port {self.port}",
            f"tls-cert-file {self.tls.cert}",
            f"tls-key-file {self.tls.key}",
            f"tls-ca-cert-file {self.tls.authority}",
            "tls-auth-clients no",
            "tls-replication yes",
        ]

    def _command(self) -> list[str]:
        if not self.file.exists():
            self._write()
        return ["redis-server", str(self.file), "--sentinel"]

    def ask(self, *words: str) -> object:
        with self.client(socket_timeout=5, decode_responses=True) as client:
            return client.execute_command("SENTINEL", *words)

    def master_port(self) -> int:
        return int(self.ask("GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


class Watched:
    """A master, its replicas, and their Sentinels."""

    def __init__(
        self,
        replicas: int = 1,
        sentinels: int = 3,
        *,
        down_after_ms: int = 1000,
        sentinel_password: str = "",
        **settings: object,
    ) -> None:
        settings.setdefault("repl_diskless_sync_delay", 0)
        if "requirepass" in settings:
            settings["masterauth"] = settings["requirepass"]
        self.servers = [Redis(**settings) for _ in range(1 + replicas)]
        self.sentinels: list[Sentinel] = []
        self._options = (sentinels, down_after_ms, sentinel_password)

    def start(self) -> None:
        n, down_after_ms, password = self._options
        first, *others = self.servers
        first.start()
        for replica in others:
            replica.settings["replicaof"] = f"127.0.0.1 {first.port}"
            replica.start()
        for replica in others:
            wait_until(lambda r=replica: synchronised(r), 30, "the replica follows its master")
        for _ in range(n):
            one = Sentinel(first, n // 2 + 1, down_after_ms=down_after_ms, password=password)
            self.sentinels.append(one)
            one.start()
        wait_until(self._known_to_each_other, 30, "the Sentinels know each other and the replicas")

    def _known_to_each_other(self) -> bool:
        for one in self.sentinels:
            words = one.ask("MASTER", SERVICE)
            facts = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2]))
            known = (int(facts["num-slaves"]), int(facts["num-other-sentinels"]))
            if known != (len(self.servers) - 1, len(self.sentinels) - 1):
                return False
        return True

    def master(self) -> Redis:
        """Whom most Sentinels name now."""
        ports = [one.master_port() for one in self.sentinels if one.running]
        return self.by_port(max(set(ports), key=ports.count))

    def by_port(self, port: int) -> Redis:
        return next(server for server in self.servers if server.port == port)

    def client(self, **options: object) -> redis_py.Redis:
        """As an API does it: asks the Sentinels for the master, at each connection."""
        own = self.sentinels[0].password
        finder = sentinel.Sentinel(
            [("127.0.0.1", one.port) for one in self.sentinels],
            sentinel_kwargs={"socket_timeout": 0.3, **({"password": own} if own else {})},
        )
        password = self.servers[0].password
        return finder.master_for(SERVICE, **({"password": password} if password else {}), **options)

    def url(self, service: str = SERVICE, *, db: int = 0, sentinel_password: str | None = None) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        password = self.servers[0].password
        own = self.sentinels[0].password if sentinel_password is None else sentinel_password
        return (
            "redis+sentinel://"
            + (f":{password}@" if password else "")
            + f"{hosts}/{service}/{db}"
            + (f"?sentinel_password={own}" if own else "")
        )

    def failover(self) -> None:
        """An orderly one, as an operator begins it."""
        self.sentinels[0].ask("FAILOVER", SERVICE)

    def close(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.close()


def synchronised(replica: Redis) -> bool:
    with replica.client(socket_timeout=5) as client:
        return client.info("replication").get("master_link_status") == "up"


def role(server: Server) -> str:
    """What a server says that it is; "" if it does not answer."""
    try:
        with server.client(socket_timeout=1) as client:  # type: ignore[attr-defined]
            return client.execute_command("ROLE")[0].decode()
    except redis_py.RedisError:
        return ""


class Liar(Answering):
    """What says that it is a Sentinel, and says what the test wants."""

    def __init__(self, master_port: int) -> None:
        self.master_port = master_port
        self.asked = 0
        self._listeners: list[socket.socket] = []
        super().__init__()

    def answer(self, client: socket.socket, words: list[str]) -> bytes:
        if words[0] == "SENTINEL":
            self.asked += 1
            return b"*2\r\n" + bulk("127.0.0.1") + bulk(str(self.master_port))
        if words[0] == "SUBSCRIBE":
            # Before it counts as a listener: nobody is told anything sooner than that he listens.
            client.sendall(b"*3\r\n" + bulk("subscribe") + bulk(words[1]) + b":1\r\n")
            self._listeners.append(client)
            return b""
        if words[0] == "PING":
            return b"*2\r\n" + bulk("pong") + bulk("")
        return b"+OK\r\n"

    def wait_for_listener(self) -> None:
        wait_until(lambda: self._listeners, 10, "somebody listens")

    def say(self, text: str, channel: str = "+switch-master") -> None:
        """To whoever listens."""
        for client in self._listeners:
            with contextlib.suppress(OSError):
                client.sendall(b"*3\r\n" + bulk("message") + bulk(channel) + bulk(text))
