"""The program on a terminal: what it writes there, as the terminal shows it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .sweeper import binary, environment

COLOUR = re.compile(r"\x1b\[\d*m")
KNOWN = re.compile(r"\x1b\[\d*m|\x1b\[J|[\r\n]")


class Terminal:
    """A terminal of its own, with everything that was written to it."""

    def __init__(self, columns: int = 80) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(columns)
        self._pieces: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self.ours, 65536)
            except OSError:  # nobody has it open any more
                return
            if not piece:
                return
            self._pieces.append(piece.decode(errors="replace"))

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def lines(self) -> list[str]:
        """As they stand there in the end: what was written over or cleared is gone."""
        shown = [""]
        for piece in re.split(r"(\r\n|\r\x1b\[J|\r|\n)", COLOUR.sub("", self.text)):
            if piece in ("\r\n", "\n"):
                shown.append("")
            elif piece == "\r\x1b[J":
                shown[-1] = ""
            elif piece != "\r" and piece:
                shown[-1] = piece + shown[-1][len(piece) :]
        return shown

    def bars(self) -> list[str]:
        """Every line that was shown to be written over."""
        return re.findall(r"\r\x1b\[J([^\r\n]+)\r(?!\n)", self.text)

    def stand_still(self, still: bool) -> None:
        """As Ctrl-S and Ctrl-Q have it: what is written waits."""
        termios.tcflow(self.theirs, termios.TCOOFF if still else termios.TCOON)

    def close(self) -> None:
        for fd in (self.theirs, self.ours):
            if fd >= 0:
                os.close(fd)
        self.theirs = self.ours = -1

    def ended(self) -> None:
        """The program has: all that it wrote is read."""
        os.close(self.theirs)
        self.theirs = -1
        self._reader.join(10)


@contextmanager
def on_terminal(
    *args: str, dsn: str | None = None, redis_url: str | None = None, columns: int = 80,
    stdout: int | None = None, stderr: int | None = None, **env: str,
) -> Iterator[tuple[subprocess.Popen[bytes], Terminal]]:  # fmt: skip
    """The program with both streams on a terminal, but for those that are given."""
    terminal = Terminal(columns)
    extra = {"SWEEPER_LOG_FORMAT": "auto", "TERM": "xterm", "NO_COLOR": "", **env}
    child = subprocess.Popen(
        [binary(), *args], env=environment(dsn, redis_url, extra), stdin=subprocess.DEVNULL,
        stdout=terminal.theirs if stdout is None else stdout,
        stderr=terminal.theirs if stderr is None else stderr,
    )  # fmt: skip
    try:
        yield child, terminal
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        terminal.close()
