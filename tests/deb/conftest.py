"""One fresh machine for each Debian: the tests stand in the order of what happens to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401
from harness.sweeper import ROOT
from machine import Machine, run


def pytest_sessionstart() -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.exit("make deb-test needs root and mmdebstrap", 1)


@dataclass
class Debian:
    """A machine, the package that was built on one like it, and one that is the same but for its higher version."""

    machine: Machine
    builder: Machine
    package: str
    update: str


def build(machine: Machine) -> str:
    """As a user builds it on a fresh machine: `make deb` installs what it needs, and says what it made."""
    source = machine.path("/src")
    source.mkdir()
    leave = [f"--exclude={name}" for name in ("./build", "./.git", "node_modules", "__pycache__")]
    copy = 'from=$1 to=$2; shift 2; tar -c -C "$from" "$@" . | tar -x --no-same-owner -C "$to"'
    run("sh", "-euc", copy, "copy", ROOT, source, *leave)
    machine.chroot("apt-get", "-q", "update")
    machine.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "make")
    return "/src/" + machine.chroot("make", "--no-print-directory", "-C", "/src", "deb").split("\n")[-2].strip()


def raise_version(machine: Machine, package: str) -> str:
    update = "/root/reservation-sweeper_999.deb"
    machine.chroot("dpkg-deb", "--raw-extract", package, "/root/update")
    machine.chroot("sed", "-i", "s/^Version: .*/Version: 999/", "/root/update/DEBIAN/control")
    machine.chroot("dpkg-deb", "--root-owner-group", "--build", "/root/update", update)
    return update


@pytest.fixture(
    scope="session",
    params=[pytest.param(suite, marks=pytest.mark.xdist_group(suite)) for suite in ("bookworm", "trixie")],
)
def debian(request: pytest.FixtureRequest) -> Iterator[Debian]:
    folder = ROOT / "build" / "deb-test" / request.param
    folder.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=4g,mode=755", "none", folder)
    machine = Machine(folder / "fresh")
    try:
        machine.install(request.param)
        builder = machine.copy(folder / "build")
        built = build(builder)
        debian = Debian(machine, builder, f"/root/{Path(built).name}", raise_version(builder, built))
        machine.chroot("apt-get", "-q", "update")
        machine.chroot("apt-get", "-q", "install", "-y", "--no-install-recommends", "postgresql", "redis-server")
        shutil.copy(builder.path(built), machine.path(debian.package))
        shutil.copy(builder.path(debian.update), machine.path(debian.update))
        # Booted it has no network: the libraries come from here.
        machine.chroot("apt-get", "-q", "install", "-y", "--download-only", debian.package)
        machine.boot()
        yield debian
    finally:
        machine.stop()
        subprocess.run(["umount", folder], check=True)
