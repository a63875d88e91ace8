"""A TCP proxy on loopback that can be as unreliable as a network: for one server, any clients.

Directions are named by who sends: CLIENT (the sweeper) and SERVER. What is set concerns the
connections that are open and those to come, until heal().
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass, field

CLIENT = "client"
SERVER = "server"
BOTH = (CLIENT, SERVER)

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST, what is unsent is dropped


@dataclass
class Trap:
    """Springs once, on the first connection whose client sends `when`.

    From there on (and with it) `after` bytes of that sender pass; then the connection is cut, half
    closed ("half": the other side sees the end of the stream) or goes silent ("hole").
    """

    sender: str
    after: int
    when: bytes = b""
    then: str = "cut"
    sprung: threading.Event = field(default_factory=threading.Event)
    connection: Connection | None = None
    left: int = 0


class Connection:
    """One client and its connection to the server; a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy = proxy
        self.sockets = {CLIENT: client, SERVER: server}
        self.silent: set[str] = set()  # senders that are no longer heard
        self.ended: set[str] = set()
        self.tail = b""  # of what the client sent: `when` may come in two pieces
        for sender in BOTH:
            threading.Thread(target=self._pump, args=(sender,), daemon=True).start()

    def _pump(self, sender: str) -> None:
        other = self.sockets[SERVER if sender == CLIENT else CLIENT]
        try:
            while data := self.sockets[sender].recv(CHUNK):
                delay_s = self.proxy.delays_s[sender]
                if delay_s:
                    time.sleep(delay_s)
                data = self.proxy.judge(self, sender, data)
                if data and sender not in self.silent and sender not in self.proxy.holes:
                    other.sendall(data)
            if sender not in self.silent and sender not in self.proxy.holes:
                other.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()
        self.ended.add(sender)
        if self.ended >= set(BOTH):
            self.cut()

    def cut(self) -> None:
        """Both sides see a reset."""
        for one in self.sockets.values():
            try:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                one.shutdown(socket.SHUT_RD)  # wakes the thread that reads; sends nothing
            except OSError:
                pass
            one.close()
        self.proxy.forget(self)

    def half_close(self, sender: str) -> None:
        """The other side sees the end of what this sender sends; the way back stays open."""
        self.silent.add(sender)
        try:
            self.sockets[SERVER if sender == CLIENT else CLIENT].shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Proxy:
    """Listens on a port of its own from the start; close() ends it and its connections."""

    def __init__(self, target_port: int, target_host: str = "127.0.0.1") -> None:
        self.target = (target_host, target_port)
        self.delays_s = {CLIENT: 0.0, SERVER: 0.0}
        self.holes: set[str] = set()
        self.refusing = False
        self.refused = 0  # connections, so far
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self._trap: Trap | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.refusing = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut()

    def through(self, url: str) -> str:
        """The URL of the server with our port in place of its own."""
        old = f":{self.target[1]}"
        assert old in url, url
        return url.replace(old, f":{self.port}")

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._connections)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self.refusing:
                    raise ConnectionRefusedError
                server = socket.create_connection(self.target, timeout=5)
            except OSError:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.close()
                self.refused += 1
                continue
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.append(Connection(self, client, server))

    def forget(self, connection: Connection) -> None:
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)

    # ---- faults -----------------------------------------------------------------------------------

    def heal(self) -> None:
        """New bytes pass again. Connections that lost some are cut: they make no sense any more."""
        lost = bool(self.holes)
        self._trap = None
        self.refusing = False
        self.delays_s = {CLIENT: 0.0, SERVER: 0.0}
        self.holes = set()
        if lost:
            self.cut()

    def delay(self, seconds: float, *senders: str) -> None:
        for sender in senders or BOTH:
            self.delays_s[sender] = seconds

    def black_hole(self, *senders: str) -> None:
        """Bytes of these senders are taken (the kernel acknowledges them) and never arrive."""
        self.holes = set(senders or BOTH)

    def refuse(self) -> None:
        """Cuts what is open; new connections are reset."""
        self.refusing = True
        self.cut()

    def cut(self) -> None:
        with self._lock:
            victims = list(self._connections)
        for connection in victims:
            connection.cut()

    def half_close(self, *senders: str) -> None:
        with self._lock:
            victims = list(self._connections)
        for connection in victims:
            for sender in senders or BOTH:
                connection.half_close(sender)

    def cut_after(
        self, after: int, sender: str = SERVER, when: bytes = b"", then: str = "cut"
    ) -> Trap:
        """Arms a trap, in place of the last one; trap.sprung is set when it has done its work.

        Without `when` it is the next connection that sends anything. Of the client, bytes count
        from the beginning of `when`; of the server, from the moment that the client has sent it.
        """
        self._trap = Trap(sender, after, when, then, left=after)
        return self._trap

    def judge(self, connection: Connection, sender: str, data: bytes) -> bytes:
        """What of the data may pass. Ends the connection if the trap springs."""
        trap = self._trap
        if trap is None or trap.sprung.is_set():
            return data
        counted = 0  # where in data the counting begins
        if trap.connection is None and sender == CLIENT:
            found = (connection.tail + data).find(trap.when)
            if found >= 0:
                trap.connection = connection
                counted = max(found - len(connection.tail), 0)
            connection.tail = (connection.tail + data)[-len(trap.when or b".") :]
        if trap.connection is not connection or sender != trap.sender:
            return data
        if len(data) - counted <= trap.left:
            trap.left -= len(data) - counted
            return data
        passing = data[: counted + trap.left]
        self._spring(connection, trap, passing)
        return b""

    def _spring(self, connection: Connection, trap: Trap, passing: bytes) -> None:
        receiver = CLIENT if trap.sender == SERVER else SERVER
        try:
            connection.sockets[receiver].sendall(passing)
        except OSError:
            pass
        if trap.then == "half":
            connection.half_close(trap.sender)
        elif trap.then == "hole":
            connection.silent.add(trap.sender)
        else:
            # What has been passed must arrive before the reset, which would overtake it.
            time.sleep(0.002)
            connection.cut()
        trap.sprung.set()
