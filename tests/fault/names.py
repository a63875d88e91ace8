"""A name server of the tests' own, for one process alone: slow, silent, or without the names."""

from __future__ import annotations

import random
import shlex
import socket
import struct
import tempfile
import threading
from pathlib import Path

NO_SUCH_NAME = 3
TYPE_A = 1
SCRIPT = """
    mount --bind "$1/resolv.conf" /etc/resolv.conf &&
    mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && exec "${@:2}"
"""


class Names:
    """Every name is 127.0.0.1. What is set concerns the questions to come."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.silent = False
        self.unknown = False
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.53", 53))
        self._folder = tempfile.TemporaryDirectory(prefix="rs-names-")
        folder = Path(self._folder.name)
        folder.joinpath("resolv.conf").write_text(
            f"nameserver {self._socket.getsockname()[0]}\noptions timeout:6 attempts:1\n"
        )
        folder.joinpath("nsswitch.conf").write_text("hosts: dns\n")
        threading.Thread(target=self._serve, daemon=True).start()

    def wrapper(self) -> str:
        """For RS_WRAPPER: what runs under it asks us."""
        return f"unshare --mount bash -c {shlex.quote(SCRIPT)} bash {self._folder.name}"

    def _serve(self) -> None:
        while True:
            try:
                question, client = self._socket.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            if not self.silent:
                timer = threading.Timer(self.delay_s, self._answer, (question, client))
                timer.daemon = True
                timer.start()

    def _answer(self, question: bytes, client: object) -> None:
        end = question.index(b"\0", 12) + 5
        (kind,) = struct.unpack("!H", question[end - 4 : end - 2])
        found = kind == TYPE_A and not self.unknown
        status = 0x8180 | (NO_SUCH_NAME if self.unknown else 0)
        answer = question[:2] + struct.pack("!HHHHH", status, 1, int(found), 0, 0)
        answer += question[12:end]
        if found:  # the name as above, class IN, not to be kept
            answer += struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
        try:
            self._socket.sendto(answer, client)  # type: ignore[arg-type]
        except OSError:
            pass  # closed meanwhile

    def close(self) -> None:
        self._socket.close()
        self._folder.cleanup()
