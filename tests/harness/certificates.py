"""A certificate authority of the tests' own, and servers' certificates by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]


def _request(*args: str | Path) -> None:
    done = subprocess.run(
        ["openssl", "req", "-x509", *KEY, *args], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Authority:
    """Its own certificate is `file`, in a folder that must exist."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _request("-keyout", self._key, "-out", self.file, "-subj", f"/CN={name} of the tests")

    def issue(self, *names: str) -> tuple[Path, Path]:
        """A certificate for names like DNS:localhost and IP:127.0.0.1, and its key."""
        stem = names[0].replace(":", "-")
        cert, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        _request(
            *("-CA", self.file, "-CAkey", self._key, "-keyout", key, "-out", cert),
            *("-subj", "/CN=a server", "-addext", f"subjectAltName={','.join(names)}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
        return cert, key
