"""Completion, by the shells themselves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from harness.poll import within
from harness.sweeper import ROOT, binary

FOLDER = Path(binary()).parent / "completions"
MODES = {"--once", "--status", "--check-config", "--help"}


def by_bash(line: str) -> set[str]:
    """What bash offers at the end of this line, split as bash splits it."""
    script = """
    source "$1"
    words=() rest=${2#* }
    COMP_WORDS=(reservation-sweeper)
    for word in $rest; do
        if [[ $word == *=* ]]; then
            COMP_WORDS+=("${word%%=*}" =)
            [[ -n ${word#*=} ]] && COMP_WORDS+=("${word#*=}")
        else
            COMP_WORDS+=("$word")
        fi
    done
    [[ $2 == *' ' ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _reservation_sweeper
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-uc", script, "bash", FOLDER / "reservation-sweeper", line],
        capture_output=True, text=True, timeout=within(20), check=True, cwd="/",
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split())


def by_zsh(line: str) -> set[str]:
    """What an interactive zsh lists when a key for that is pressed at the end of this line."""
    setup = (
        f"PS1='READY> '; fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0;"
        " bindkey '^I' list-choices; zstyle ':completion:*' verbose no; print G''O\n"
    )
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="vt100", HOME="/nonexistent")
        os.execlp("zsh", "zsh", "-f", "-i")
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 300, 0, 0))
        os.write(fd, setup.encode())
        read_until(fd, "GO\r.*READY> ")
        os.write(fd, line.encode() + b"\t\x15print DO''NE\n")
        said = read_until(fd, "DONE")
    finally:
        os.close(fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    said = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\0", " ", said)
    return set(re.findall(r"(?<!\S)(?:--[a-z-]+|[A-Za-z/]+)(?!\S)", said))


def read_until(fd: int, pattern: str) -> str:
    said, end = "", time.monotonic() + within(20)
    while not re.search(pattern, said, re.DOTALL):
        assert time.monotonic() < end, said
        said += os.read(fd, 65536).decode(errors="replace")
    return said


SHELLS = pytest.mark.parametrize("offers", [by_bash, by_zsh])


@SHELLS
def test_modes_and_settings(offers) -> None:
    assert offers("reservation-sweeper --") >= MODES | {"--workers", "--queue", "--yes"}
    assert {"--log-level", "--log-format"} <= offers("reservation-sweeper --log-")


@SHELLS
def test_what_does_not_fit_is_not_offered(offers) -> None:
    """One mode, and the modifiers that go with it."""
    offered = offers("reservation-sweeper --once --")
    assert offered >= {"--dry-run", "--yes", "--queue", "--workers", "--even-paused"}
    assert not offered & {"--status", "--help", "--repair-stock", "--report", "--reason"}
    offered = offers("reservation-sweeper --reconcile --repair-stock --")
    assert offered >= {"--report", "--max-repairs", "--dry-run"} and "--yes" not in offered


@SHELLS
@pytest.mark.parametrize("between", [" ", "="])
def test_words(offers, between: str) -> None:
    assert offers(f"reservation-sweeper --log-level{between}") >= {"ERROR", "WARN", "INFO", "DEBUG"}
    assert offers(f"reservation-sweeper --list{between}") >= {"due", "failed", "locked", "kept"}
    assert "all" in offers(f"reservation-sweeper --retry{between}")
    assert offers(f"reservation-sweeper --once --prepare{between}") >= {"auto", "on", "off"}


@SHELLS
def test_files(offers) -> None:
    assert {name.strip("/") for name in offers("reservation-sweeper --queues /e")} >= {"etc"}


def test_they_are_installed() -> None:
    """make install puts them where the shells look."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = makefile.partition("\ninstall:")[2].partition("\n\n")[0]
    assert "share/bash-completion/completions/reservation-sweeper" in text
    assert "\nZSH_FUNCTIONS ?= $(PREFIX)/share/zsh/site-functions\n" in makefile
    assert "$(DESTDIR)$(ZSH_FUNCTIONS)/_reservation-sweeper" in text


def test_the_shells_find_no_fault() -> None:
    for shell, name in (("bash", "reservation-sweeper"), ("zsh", "_reservation-sweeper")):
        subprocess.run([shell, "-n", FOLDER / name], check=True, timeout=within(20))
