"""docs/OPERATIONS.md as somebody on call follows it: what stands there is pasted into a shell on a
terminal, as it is, and what the page says that it shows is what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .poll import within
from .servers import newest_postgres
from .sweeper import ROOT, Sweeper, binary, environment
from .terminal import Terminal

PAGE = ROOT / "docs" / "OPERATIONS.md"
ADDRESS = "127.0.0.1:9464"  # of the page's daemon
BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.M | re.S)
PID = re.compile(r"(?:\bpid\s+|_backend\()(\d+)")
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

# What differs from night to night, and what stands for it when two texts are compared.
VARIES = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+\d\d(?::00)?)", "TIME"),
    (r"\b\d\d:\d\d:\d\d(?:\.\d+)?", "TIME"),
    (r"\((?:in )?\d[\d.]* (?:ms|s|min|h|d)\b[^()]*\)", "(AGE)"),
    (r"\bin -?\d+\.\d+ s\b", "in AGE"),
    (r"[+-]\d+\.\d+ s from", "OFFSET from"),
    (r"(?<=[Ss]ince )\d+\.\d+|durationMs=\d+", "AGE"),
    (r"\b(?:attempts \d+|once, at|\d+ times, last at)\b", "ATTEMPTS"),
    (r"(?<=\bby[ =])\w+@[\w.-]+?(?=[:,.\s]|$)", "AUTHOR"),
    (r", feeder \S+", ""),  # it may have become it just now
    (r"(?<=127\.0\.0\.1:)\d+|(?<=port=)\d+|(?<=port )\d+", "PORT"),
    (r"(?<=dbname=)\w+|(?<=127\.0\.0\.1:PORT/)\w+", "NAME"),
    (r"\b(?:Redis|Postgres|Valkey) \d+\.\d+(?:\.\d+)?", "VERSION"),
    # The feed may be about to enter it, or a sweeper be trying it once more.
    (r"\b(?:notEntered|claimed)\b", "waiting"),
    (r"-{2,}", "--"),
]

# The page's tables in a file, and what keeps a hold of theirs.
QUEUES = """
reservations:
  table: inventory_reservations
  active: {active}
  released: status = 'released', updated_at = now()
  quantity: quantity
  stock:
    table: inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
"""
KEEPS = """  keep_while: |
    EXISTS (SELECT FROM payments p WHERE p.reservation_id = r.id AND p.state = 'pending')
"""


@dataclass
class Step:
    """Commands of the page, and what they show, where it says that."""

    commands: str
    shows: str | None = None


def section(title: str, page: str | None = None) -> str:
    """What stands below a title of the second level."""
    text = PAGE.read_text(encoding="utf-8") if page is None else page
    assert f"\n## {title}\n" in text, title
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def steps(title: str, page: str | None = None) -> list[Step]:
    """The commands of a section, in order, each with the text that stands directly below it."""
    text = section(title, page)
    found: list[Step] = []
    end = -1
    for match in BLOCK.finditer(text):
        if match[2] == "sh":
            found.append(Step(textwrap.dedent(match[3])))
            end = match.end()
        elif match[2] == "text" and found and not text[end : match.start()].strip():
            found[-1].shows = textwrap.dedent(match[3])
    return found


def unbroken(text: str) -> str:
    """In one line: a terminal breaks lines between any two words, and which ones the words before decide."""
    return re.sub(r"\s+", " ", text).strip()


def plain(text: str) -> str:
    """Without what differs from night to night, lines' ends among it; ids are numbered, as they come."""
    ids: dict[str, str] = {}
    text = unbroken(text)
    text = UUID.sub(lambda match: ids.setdefault(match[0], f"ID{len(ids) + 1}"), text)
    text = PID.sub(lambda match: match[0].replace(match[1], "PID"), text)
    for pattern, instead in VARIES:
        text = re.sub(pattern, instead, text)
    return text


class Shell:
    """That of somebody on call, on a daemon's host and with its environment. Where the daemon is
    systemd's, `systemctl reload` signals it."""

    def __init__(self, folder: Path, daemon: Sweeper, env: dict[str, str]) -> None:
        self.folder = folder / "shell"
        self.folder.mkdir()
        self.daemon = daemon
        self.read_from_page: dict[str, str] = {}
        self.env = environment(None, None, env)
        self.env |= {
            "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{daemon.http_port}",
            "SUDO_USER": "ops", "SWEEPER_LOG_FORMAT": "auto", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "200",
            "PSQLRC": "/dev/null", "PAGER": "cat", "PATH": f"{self.folder}:{newest_postgres()}:{os.environ['PATH']}",
        }  # fmt: skip
        (self.folder / "state").touch()
        (self.folder / "reservation-sweeper").symlink_to(Path(binary()).resolve())
        systemctl = self.folder / "systemctl"
        systemctl.write_text(f'#!/bin/sh -eu\n[ "$*" = "reload reservation-sweeper" ]\nkill -HUP {daemon.pid}\n')
        systemctl.chmod(0o755)

    def paste(self, commands: str, status: int = 0) -> str:
        """What a terminal shows of it. What one block sets the next one has."""
        commands = commands.replace(ADDRESS, f"127.0.0.1:{self.daemon.http_port}")
        for example, real in self.read_from_page.items():
            commands = re.sub(rf"\b{example}\b", real, commands)
        state = self.folder / "state"
        script = f"set -a\n. {state}\n{commands}\nexport -p > {state}\n"
        terminal = Terminal()
        try:
            done = subprocess.run(
                ["bash", "-ec", script], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                stdout=terminal.theirs, stderr=terminal.theirs, timeout=within(60), check=False,
            )  # fmt: skip
            terminal.ended()
        finally:
            terminal.close()
        shown = "\n".join(terminal.lines())
        assert done.returncode == status, f"{commands}\nexit status {done.returncode}:\n{shown}"
        return shown

    def follow(self, step: Step, status: int = 0) -> str:
        """Pastes it, and compares. A pid that the page shows is from now on the one that was shown."""
        shown = self.paste(step.commands, status)
        if step.shows is not None:
            is_said, is_shown = plain(step.shows), plain(shown)
            assert is_shown == is_said, f"{step.commands}\nshows:\n{shown}\n{is_shown}\nsaid:\n{is_said}"
            self.read_from_page |= dict(zip(PID.findall(step.shows), PID.findall(shown), strict=True))
        return shown


class Day:
    """A section whose steps are followed one by one, all of them."""

    def __init__(self, title: str, shell: Shell, page: str | None = None) -> None:
        self.title = title
        self.shell = shell
        self.left = steps(title, page)

    def step(self, status: int = 0, patience: float = 0) -> str:
        """The next one. patience: so many seconds may pass until it shows what the page says."""
        step = self.left.pop(0)
        end = time.monotonic() + within(patience)
        while True:
            try:
                return self.shell.follow(step, status)
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def is_over(self) -> None:
        assert not self.left, f"{self.title}: no test takes this step: {self.left[0].commands}"


# The fixture on_call.
OnCall = Callable[..., tuple[Sweeper, Shell]]
