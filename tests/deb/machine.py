"""Fresh Debians: made by mmdebstrap, entered by chroot, booted with systemd as process 1."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from harness.poll import wait_until
from harness.sweeper import ROOT

PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates"
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
CLEAN |= {"DEBIAN_FRONTEND": "noninteractive"}
CLEAN |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


def mirror() -> str:
    """The one that this machine's packages come from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return listed[0] if listed else "http://deb.debian.org/debian"


def run(*command: str | Path) -> str:
    """What it prints; what it says when it fails is in the error."""
    done = subprocess.run(
        command, env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{command}: {done.returncode}\n{output}"
    return output


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


class Machine:
    """A root folder, in a file system in memory, and what runs in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = f"rs-deb-{root.name}-{os.getpid()}"
        self.booted: subprocess.Popen[bytes] | None = None
        self.systemd = 0

    def install(self, suite: str) -> None:
        # In half the time of debootstrap.
        run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", suite, self.root, mirror())
        self.write("/etc/dpkg/dpkg.cfg.d/fast", "force-unsafe-io\n")
        # Nothing is started before it is booted.
        self.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
        self.path("/usr/sbin/policy-rc.d").chmod(0o755)

    def copy(self, root: Path) -> Machine:
        run("cp", "-a", self.root, root)
        return Machine(root)

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        self.path(inside).write_text(text, encoding="utf-8")

    def chroot(self, *command: str) -> str:
        """With this machine's network, to reach the mirror."""
        shutil.copy("/etc/resolv.conf", self.path("/etc/resolv.conf"))
        inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return run("unshare", "--mount", "sh", "-c", inside, self.root, *command)

    def boot(self) -> None:
        self.path("/usr/sbin/policy-rc.d").unlink()
        with open(self.root.with_suffix(".boot.log"), "wb") as log:
            self.booted = subprocess.Popen(
                [ROOT / "tests" / "deb" / "boot", self.root, self.name], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self.is_up, 60, "systemd is process 1, and done with the start")

    def is_up(self) -> bool:
        assert self.booted and self.booted.poll() is None, self.log()
        unshare = children(self.booted.pid)
        init = children(unshare[0]) if unshare else []
        if not init or Path(f"/proc/{init[0]}/comm").read_text() != "systemd\n":
            return False
        self.systemd = init[0]
        return self.attempt("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def log(self) -> str:
        return self.root.with_suffix(".boot.log").read_text(errors="replace")

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Inside, whether it succeeds or not; what it writes is in stdout."""
        enter = ["nsenter", f"--target={self.systemd}", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup"]
        return subprocess.run(
            [*enter, *command],
            env=CLEAN,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
        )

    def __call__(self, *command: str) -> str:
        done = self.attempt(*command)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def stop(self) -> None:
        """Kills process 1, and with it all that runs inside."""
        if self.booted:
            if self.systemd:
                os.kill(self.systemd, signal.SIGKILL)
            self.booted.wait(60)
            self.booted = None
