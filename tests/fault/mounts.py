"""Mounts that one process sees and nobody else: they end with it, however it ends."""

from __future__ import annotations

import os
import subprocess

import pytest


def need_mounts() -> None:
    """Skips the test where they are not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a process mounts of its own")
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode != 0:
        pytest.skip(f"this root may not mount: {tried.stderr.strip()}")
