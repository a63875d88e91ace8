"""make demo KEEP=1: the shop and the page stay until Ctrl-C, then nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from harness.poll import wait_until, within
from harness.process import children
from harness.sweeper import ROOT, binary


def folders() -> set[Path]:
    return set(Path(binary()).parent.glob("demo-*"))


def test_it_stays_with_its_page(tmp_path: Path) -> None:
    """Whether it was on time does not matter here: other tests run beside it."""
    said, before = tmp_path / "said", folders()
    env = {**os.environ, "KEEP": "1", "RS_BINARY": binary(), "PYTHONUNBUFFERED": "1"}
    with said.open("wb") as out:
        demo = subprocess.Popen(
            [sys.executable, ROOT / "demo" / "demo.py"], env=env, stdout=out, stderr=out
        )
    try:
        wait_until(
            lambda: "Ctrl-C ends it" in said.read_text() or demo.poll() is not None, within(90), "its page"
        )
        page = re.search(r"http://127\.0\.0\.1:\d+/", said.read_text())
        assert page, said.read_text()
        with urllib.request.urlopen(page[0], timeout=within(10)) as answer:
            assert answer.status == 200 and "text/html" in answer.headers["Content-Type"]
        assert demo.poll() is None and children(demo.pid)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(within(60))
    assert demo.returncode in (0, 1), said.read_text()
    assert "FAILED: the sweeper ended" not in said.read_text()
    assert folders() <= before
