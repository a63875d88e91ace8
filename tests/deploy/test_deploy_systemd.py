"""The systemd units: understood by systemd, and exposing little."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
from harness.sweeper import ROOT, binary

DEPLOY = ROOT / "deploy"
DAEMON = DEPLOY / "systemd" / "reservation-sweeper.service"
ONCE = DEPLOY / "systemd-timer" / "reservation-sweeper-once.service"
TIMER = DEPLOY / "systemd-timer" / "reservation-sweeper-once.timer"
SERVICES = [DAEMON, ONCE]
EXPOSURE_MAX = 1.5  # of 10; systemd calls up to 2 safe


class Unit(configparser.RawConfigParser):
    """Keys as they are written; of a key that is given twice, the last."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, comment_prefixes=("#", ";"))
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.read(path)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are on a host where the program is the one under test."""
    if not Path("/run/systemd").is_dir() and os.geteuid() != 0:
        pytest.skip("systemd-analyze wants to make /run/systemd, where systemd does not run")
    for unit in (DAEMON, ONCE, TIMER):
        text = unit.read_text()
        for program in ("@BINDIR@/reservation-sweeper", "/usr/local/bin/reservation-sweeper"):
            text = text.replace(program, binary())
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def analyze(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *args], capture_output=True, text=True, cwd=cwd, check=False
    )


@pytest.mark.parametrize("unit", [DAEMON, ONCE, TIMER], ids=lambda unit: unit.name)
def test_verify(unit: Path, installed: Path) -> None:
    done = analyze("verify", "--man=no", f"./{unit.name}", cwd=installed)
    ours = [line for line in done.stderr.splitlines() if "reservation-sweeper" in line]
    assert (done.returncode, ours) == (0, []), done.stdout + done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_security(unit: Path, installed: Path) -> None:
    done = analyze(
        "security",
        "--offline=true",
        "--no-pager",
        f"--threshold={EXPOSURE_MAX * 10:.0f}",
        f"./{unit.name}",
        cwd=installed,
    )
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert done.returncode == 0 and score, done.stdout + done.stderr
    assert float(score[1]) <= EXPOSURE_MAX


def test_calendar(installed: Path) -> None:
    when = Unit(TIMER)["Timer"]["OnCalendar"]
    done = analyze("calendar", "--iterations=3", when, cwd=installed)
    times = re.findall(r"(?:elapse|#\d+|Iteration).*?(\d\d:\d\d):(\d\d)", done.stdout)
    assert done.returncode == 0 and len(times) == 3, done.stdout + done.stderr
    assert len(set(times)) == 3 and all(seconds == "00" for _, seconds in times), done.stdout


def test_daemon_is_never_given_up() -> None:
    unit = Unit(DAEMON)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Restart"] == "always" and service["RestartPreventExitStatus"] == "2"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["WatchdogSec"] == "2min" and "timeout:2" in DAEMON.read_text()
    assert service["TimeoutStopSec"] == "15s"  # more than the grace's 8 s


def test_both_services_are_hardened_alike() -> None:
    def hardening(path: Path) -> str:
        text = path.read_text()
        return text[text.index("# No state, no files") :].split("\n\n")[0].strip()

    assert hardening(DAEMON) == hardening(ONCE)


def test_installed_unit_exists() -> None:
    """make install takes the unit from where it is."""
    [unit] = re.findall(r"sed .* (\S+\.service) ", (ROOT / "Makefile").read_text())
    assert ROOT / unit == DAEMON
    assert DAEMON.read_text().count("@BINDIR@") == 1
