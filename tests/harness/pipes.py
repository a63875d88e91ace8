"""What a child process writes, line by line, read by a thread all the time.

Whoever looks reads as well. So a line that was written before something that a test has seen is
there, whether or not the thread has had its turn since."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import IO


class Pipe:
    """One stream. take is called with each line, in order, and with the lock held."""

    def __init__(self, stream: IO[bytes], news: threading.Condition, take: Callable[[str], None]) -> None:
        self.stream = stream
        self.news = news
        self.take = take
        self.open = True
        self._begun = b""  # a line whose end has not been written
        os.set_blocking(stream.fileno(), False)
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def read(self) -> None:
        """Takes what has been written by now."""
        with self.news:
            while self.open:
                try:
                    chunk = os.read(self.stream.fileno(), 65536)
                except BlockingIOError:
                    return
                self.open = bool(chunk)
                *lines, self._begun = (self._begun + chunk).split(b"\n")
                if not self.open and self._begun:
                    lines.append(self._begun)
                for line in lines:
                    self.take(line.decode(errors="replace"))
                self.news.notify_all()

    def _follow(self) -> None:
        readable = select.poll()
        readable.register(self.stream, select.POLLIN)
        while self.open:
            readable.poll()
            self.read()
        self.stream.close()
