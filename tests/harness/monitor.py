"""What clients and their scripts ask a Redis for, as MONITOR tells it."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass

from .poll import wait_until

# Valkey does not escape the quotes within words.
LINE = re.compile(r'^\+[\d.]+ \[\d+ ([^\]]*)\] "(.*)"\r$', re.M)


@dataclass
class Asked:
    words: list[str]  # as MONITOR writes them, binary ones escaped
    who: str  # "lua", or a client's address

    @property
    def name(self) -> str:
        """As an ACL has it."""
        words = [word.lower() for word in self.words[:2]]
        return "|".join(words) if words[0] in ("client", "config", "acl", "script") else words[0]


class Monitor:
    """Reads along from the start on; in `with`, and complete behind it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(b"MONITOR\r\n")
        self._data = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        wait_until(lambda: b"+OK\r\n" in self._data, 10, "MONITOR")

    def _read(self) -> None:
        while data := self._socket.recv(1 << 16):
            self._data += data

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def asked(self) -> list[Asked]:
        lines = LINE.findall(self._data.decode("latin-1"))
        return [Asked(words.split('" "'), who) for who, words in lines]
