"""A server that speaks Redis's protocol and answers what a test wants."""

from __future__ import annotations

import contextlib
import socket
import threading


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


class Answering:
    def __init__(self) -> None:
        self.connections = 0
        self._clients: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def answer(self, client: socket.socket, words: list[str]) -> bytes:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as lines:
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    size = int(lines.readline()[1:])
                    words.append(lines.read(size + 2)[:-2].decode())
                client.sendall(self.answer(client, words))

    def close(self) -> None:
        for one in (self._server, *self._clients):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
