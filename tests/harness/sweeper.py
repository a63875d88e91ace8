"""The program under test as a child process: its records, its end, its memory.

RS_BINARY says where the program is, RS_WRAPPER what to run it under (valgrind and its options).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import process
from .pipes import Pipe
from .poll import wait_until, within

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT_S = 20.0
REPORT = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error: |"
    r"ERROR SUMMARY: [1-9]|Process terminating with default action"
)
# The settings of whoever runs the tests are not the tests' business.
FOREIGN = re.compile(r"(SWEEPER_|PG|DB_|REDIS_|DATABASE_URL|LOG_LEVEL)")

# Settings of a daemon that mirrors nothing itself, nor finds anything by a scan.
ALONE = ("--lookahead", "off", "--scan-interval", "off")

Record = dict[str, Any]


def binary() -> str:
    return str(Path(os.environ.get("RS_BINARY", ROOT / "build" / "reservation-sweeper")).absolute())


def former_binary() -> str:
    """Version 0.1.0 (tests/former), which leased each id by itself."""
    path = Path(binary()).parent / "former" / "reservation-sweeper"
    assert path.exists(), f"make {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}"
    return str(path)


def environment(dsn: str | None, redis_url: str | None, extra: dict[str, str]) -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not FOREIGN.match(key)}
    env |= {"SWEEPER_HTTP_LISTEN": "", "SWEEPER_LOG_FORMAT": "json"}
    suppressions = ROOT / "tests" / "suppressions"
    env.setdefault("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1")
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    env.setdefault("LSAN_OPTIONS", f"suppressions={suppressions / 'lsan.txt'}:print_suppressions=0")
    if dsn is not None:
        env["DATABASE_URL"] = dsn
    if redis_url is not None:
        env["REDIS_URL"] = redis_url
    return env | extra


class Sweeper:
    """A running sweeper; it starts at once. Both streams are read all the time, by threads, except
    one for which a descriptor is given."""

    def __init__(
        self,
        *args: str,
        dsn: str | None = None,
        redis_url: str | None = None,
        env: dict[str, str] | None = None,
        http: bool = False,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        program: str | None = None,
    ) -> None:
        extra = dict(env or {})
        self.http_port = process.free_port() if http else 0
        if http:
            extra["SWEEPER_HTTP_LISTEN"] = f"127.0.0.1:{self.http_port}"
        # For the fixture that stops what a test left running: what a clean end looks like.
        self.expected_status: int | None = 0
        self._lines: tuple[list[str], list[str]] = ([], [])
        self._records: list[Record] = []
        self._news = threading.Condition()
        wrapper = shlex.split(os.environ.get("RS_WRAPPER", ""))
        self.process = subprocess.Popen(
            process.ending_with_parent([*wrapper, program or binary(), *args]),
            env=environment(dsn, redis_url, extra),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
        )
        streams = zip((self.process.stdout, self.process.stderr), self._lines, strict=True)
        self._pipes = [
            Pipe(stream, self._news, partial(self._take, lines)) for stream, lines in streams if stream is not None
        ]

    def _take(self, lines: list[str], line: str) -> None:
        lines.append(line)
        record = parse_record(line)
        if record is not None:
            self._records.append(record)

    def _read(self) -> None:
        """What was logged by now: the daemon has threads that write it."""
        end = time.monotonic() + 1
        while self.process.returncode is None and process.threads_at_work(self.pid) and time.monotonic() < end:
            time.sleep(0.001)
        self._take_written()

    def _take_written(self) -> None:
        for pipe in self._pipes:
            pipe.read()

    @property
    def records(self) -> list[Record]:
        """All so far."""
        self._read()
        return self._records

    @property
    def stdout_lines(self) -> list[str]:
        self._read()
        return self._lines[0]

    @property
    def stderr_lines(self) -> list[str]:
        self._read()
        return self._lines[1]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def find(self, message: str, since: int = 0) -> list[Record]:
        """The records so far, from number `since` on, whose message contains the text."""
        return [r for r in self.records[since:] if message in r["message"]]

    def wait_for_record(self, message: str, timeout: float = 10.0, since: int = 0) -> Record:
        """The first record whose message contains the text, from number `since` on.

        To wait for what comes after this moment, give since=len(sweeper.records).
        """
        deadline = time.monotonic() + within(timeout)
        with self._news:
            while True:
                self._take_written()
                for record in self._records[since:]:
                    if message in record["message"]:
                        return record
                left = deadline - time.monotonic()
                if left <= 0 or not any(pipe.open for pipe in self._pipes):
                    raise AssertionError(f"no record with {message!r}; {self.tail()}")
                self._news.wait(left)

    def wait(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """Waits for its end; the exit status (negative: the signal that ended it)."""
        try:
            status = self.process.wait(within(timeout))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout} s; {self.tail()}") from None
        for pipe in self._pipes:
            pipe.thread.join(5)
        return status

    def stop(self, signo: int = signal.SIGTERM, timeout: float = STOP_TIMEOUT_S) -> int:
        """Sends the signal and waits for the end; the exit status."""
        if self.running:
            self.process.send_signal(signo)
        return self.wait(timeout)

    def until_stoppable(self) -> None:
        """Waits until SIGTERM is an orderly stop, which it is not in a process's first moments."""

        def stoppable() -> bool:
            try:
                return not self.running or process.catches(self.pid, signal.SIGTERM)
            except FileNotFoundError:
                return True

        wait_until(stoppable, 20, "the daemon has its handlers")

    def kill(self) -> None:
        """kill -9: what it had claimed stays leased."""
        self.expected_status = None
        self.process.kill()
        self.wait()

    def tail(self) -> str:
        lines = "\n".join(self.stdout_lines[-15:] + self.stderr_lines[-40:])
        return f"exit status {self.process.poll()}, last lines:\n{lines}"

    def check_reports(self) -> None:
        """Fails on what a sanitizer or valgrind reported."""
        found = [line for line in self.stderr_lines if REPORT.search(line)]
        assert not found, "\n".join(self.stderr_lines)

    def rss_kb(self) -> int:
        return process.rss_kb(self.pid)

    def cpu_seconds(self) -> float:
        return process.cpu_seconds(self.pid)

    def open_files(self) -> int:
        return process.open_files(self.pid)

    def http(
        self, path: str, method: str = "GET", token: str | None = None, timeout: float = 10.0
    ) -> tuple[int, str]:
        """A request to its HTTP address (http=True): status and body; raises OSError if it is deaf."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}",
            method=method,
            data=b"" if method == "POST" else None,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Finished:
    """What a mode that ends by itself left behind."""

    def __init__(self, sweeper: Sweeper, status: int) -> None:
        self.status = status
        self.returncode = status
        self.stdout = "".join(line + "\n" for line in sweeper.stdout_lines)
        self.stderr = "".join(line + "\n" for line in sweeper.stderr_lines)
        self.records = sweeper.records

    def record(self, message: str) -> Record:
        """The only record whose message contains the text."""
        found = [r for r in self.records if message in r["message"]]
        assert len(found) == 1, f"{len(found)} records with {message!r}:\n{self.stdout}{self.stderr}"
        return found[0]


# The fixtures sweeper and run.
Start = Callable[..., Sweeper]
Run = Callable[..., Finished]


def run_once(*args: str, timeout: float = 60.0, **options: Any) -> Finished:
    """Runs a mode that ends by itself; options are those of Sweeper."""
    sweeper = Sweeper(*args, **options)
    status = sweeper.wait(timeout)
    sweeper.check_reports()
    return Finished(sweeper, status)


def parse_record(line: str) -> Record | None:
    """A log record, or None for other lines (a report, a sanitizer's words)."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "message" in value and "level" in value else None
