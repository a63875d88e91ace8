"""A certificate authority of the tests' own, and servers' certificates by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _openssl(*args: str | Path) -> None:
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Authority:
    """Its own certificate is `file`, in a folder that must exist."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *KEY, "-days", "2", "-keyout", self._key, "-out", self.file),
            *("-subj", f"/CN={name} of the tests"),
        )

    def issue(self, *names: str, days: int = 2) -> tuple[Path, Path]:
        """A certificate for names like DNS:localhost and IP:127.0.0.1, and its key.

        With 0 days it has expired.
        """
        stem = names[0].replace(":", "-") + ("" if days else "-expired")
        cert, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        request = self.folder / f"{stem}.csr"
        _openssl(
            *("req", "-new", *KEY, "-keyout", key, "-out", request, "-subj", "/CN=a server"),
            *("-addext", f"subjectAltName={','.join(names)}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-out", cert),
            *("-days", str(days), "-copy_extensions", "copyall"),
        )
        return cert, key
