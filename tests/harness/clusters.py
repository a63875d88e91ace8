"""A Redis Cluster of real servers, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable

import redis as redis_py
from redis.cluster import ClusterNode
from redis.crc import key_slot

from . import process
from .answering import Answering, bulk
from .poll import wait_until
from .servers import Certified, Redis

SLOTS = 16384


class Cluster:
    """Masters that share the slots, each with so many replicas."""

    def __init__(
        self,
        masters: int = 3,
        replicas: int = 1,
        *,
        node_timeout_ms: int = 1000,
        certified: Callable[[int], Certified] | None = None,
        named: bool = True,
        **settings: object,
    ) -> None:
        """certified: what the node of a number speaks TLS with. named: it says its name too."""
        if "requirepass" in settings:
            settings["masterauth"] = settings["requirepass"]
        options = {
            "cluster_enabled": "yes",
            "cluster_node_timeout": node_timeout_ms,
            "repl_diskless_sync_delay": 0,
            **settings,
        }
        self.n_masters = masters
        self.nodes = [
            Redis(
                **options,
                **({"tls": certified(i), "tls_cluster": "yes"} if certified else {}),
                **({"cluster_announce_hostname": f"node-{i}.example"} if certified and named else {}),
            )
            for i in range(masters * (1 + replicas))
        ]
        self.ids: dict[int, str] = {}

    def start(self) -> None:
        for node in self.nodes:
            self._start(node)
        self.ids = {node.port: self.ask(node, "MYID") for node in self.nodes}
        for i, node in enumerate(self.nodes[: self.n_masters]):
            first, end = (SLOTS * i // self.n_masters, SLOTS * (i + 1) // self.n_masters)
            self.ask(node, "ADDSLOTSRANGE", first, end - 1)
            self.ask(node, "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            bus = node.settings["cluster-port"]
            self.ask(self.nodes[0], "MEET", "127.0.0.1", node.port, bus)
        everybody = list(self.nodes)
        wait_until(
            lambda: all(len(self.known(node)) == len(everybody) for node in everybody),
            30,
            "the nodes know each other",
        )
        for i, node in enumerate(self.nodes[self.n_masters :]):
            master = self.nodes[i % self.n_masters]
            self.ask(node, "REPLICATE", self.ids[master.port])
        wait_until(self.whole, 30, "the Cluster is whole")

    @staticmethod
    def _start(node: Redis) -> None:
        node.start()

    def ask(self, node: Redis, *words: object):
        with node.client(socket_timeout=5, decode_responses=True) as client:
            return client.execute_command("CLUSTER " + str(words[0]), *words[1:])

    def known(self, node: Redis) -> list[list[str]]:
        """The lines of CLUSTER NODES, in words."""
        with node.client(socket_timeout=5, decode_responses=True) as client:
            client.response_callbacks.clear()
            text = client.execute_command("CLUSTER", "NODES")
        return [line.split() for line in text.splitlines()]

    def whole(self) -> bool:
        """Every node that runs sees every slot served, and each replica follows its master."""
        return all(self._content(node) for node in self.nodes if node.running)

    def _content(self, node: Redis) -> bool:
        with node.client(socket_timeout=5) as client:
            client.response_callbacks.clear()
            if b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
                return False
            words = client.execute_command("ROLE")
        return words[0] == b"master" or words[3] == b"connected"

    def owner(self, key: str, asked: Redis | None = None) -> Redis:
        """The master that has the key's slot, as a node says that runs."""
        slot = key_slot(key.encode())
        node = asked or next(node for node in self.nodes if node.running)
        with node.client(socket_timeout=5, decode_responses=True) as client:
            client.response_callbacks.clear()
            for first, last, master, *_ in client.execute_command("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return self.by_port(int(master[1]))
        raise AssertionError(f"nobody serves slot {slot}")

    def by_port(self, port: int) -> Redis:
        return next(node for node in self.nodes if node.port == port)

    def replicas_of(self, master: Redis) -> list[Redis]:
        asked = next(node for node in self.nodes if node.running and node is not master)
        return [
            self.by_port(int(words[1].split("@")[0].rsplit(":", 1)[1]))
            for words in self.known(asked)
            if words[3] == self.ids[master.port]
        ]

    def masters(self) -> list[Redis]:
        """Those that say so themselves, of the nodes that run."""
        found = []
        for node in self.nodes:
            if node.running:
                with node.client(socket_timeout=5) as client:
                    if client.execute_command("ROLE")[0] == b"master":
                        found.append(node)
        return found

    def client(self, **options: object) -> redis_py.RedisCluster:
        """As an API does it: follows the slots."""
        password = self.nodes[0].password
        return redis_py.RedisCluster(
            startup_nodes=[ClusterNode("127.0.0.1", node.port) for node in self.nodes],
            **({"password": password} if password else {}),
            **options,
        )

    def url(self, *nodes: Redis, db: int | None = None) -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes or self.nodes)
        password = self.nodes[0].password
        return (
            "redis+cluster://"
            + (f":{password}@" if password else "")
            + hosts
            + ("" if db is None else f"/{db}")
        )

    def begin_move(self, key: str, to: Redis) -> Redis:
        """The key's slot begins to move; returns from whom."""
        slot = key_slot(key.encode())
        source = self.owner(key)
        self.ask(to, "SETSLOT", slot, "IMPORTING", self.ids[source.port])
        self.ask(source, "SETSLOT", slot, "MIGRATING", self.ids[to.port])
        return source

    def move_keys(self, key: str, source: Redis, to: Redis, most: int = 100_000) -> int:
        """Moves that many keys of the slot, or all; returns how many."""
        slot = key_slot(key.encode())
        moved = 0
        while moved < most:
            keys = self.ask(source, "GETKEYSINSLOT", slot, min(100, most - moved))
            if not keys:
                break
            with source.client(socket_timeout=30) as client:
                auth = ["AUTH", to.password] if to.password else []
                client.execute_command(
                    "MIGRATE", "127.0.0.1", to.port, "", 0, 5000, *auth, "KEYS", *keys
                )
            moved += len(keys)
        return moved

    def move(self, key: str, to: Redis) -> None:
        """Its slot, with all its keys."""
        source = self.begin_move(key, to)
        self.move_keys(key, source, to)
        self.end_move(key, to)

    def end_move(self, key: str, to: Redis) -> None:
        """It is the new one's, for all."""
        slot = key_slot(key.encode())
        self.ask(to, "SETSLOT", slot, "NODE", self.ids[to.port])
        for node in self.masters():
            if node is not to:
                self.ask(node, "SETSLOT", slot, "NODE", self.ids[to.port])

    def failover(self, replica: Redis) -> None:
        """An orderly one, as an operator begins it."""
        self.ask(replica, "FAILOVER")

    def close(self) -> None:
        for node in self.nodes:
            node.close()


class Runaround(Answering):
    """One node of a Cluster that has every slot, and sends whoever asks for it away: to itself."""

    def answer(self, client: socket.socket, words: list[str]) -> bytes:
        if words[0] == "INFO":
            return bulk("redis_version:7.0.0\r\nredis_mode:cluster\r\nrole:master\r\n")
        if words[:2] == ["CLUSTER", "SLOTS"]:
            node = b"*3\r\n" + bulk("127.0.0.1") + b":%d\r\n" % self.port + bulk("x")
            return b"*1\r\n*3\r\n:0\r\n:16383\r\n" + node
        if words[0] in ("AUTH", "CLIENT"):
            return b"+OK\r\n"
        return f"-MOVED 1 127.0.0.1:{self.port}\r\n".encode()
