"""What was measured, and on what machine: the reader of a figure needs both."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from bed import Bed
from harness.sweeper import binary
from measure import COMMITS, commit_cost_ms

SHOWN = (
    "fsync",
    "synchronous_commit",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
    "track_commit_timestamp",
)
SHOWN_REDIS = ("save", "appendonly", "maxmemory-policy", "io-threads")


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def system() -> str:
    found = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return found.group(1) if found else platform.system()


def version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def describe(bed: Bed, quick: bool) -> dict[str, Any]:
    with bed.pg.connect("postgres") as db:
        rows = db.execute(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY (%s)",
            (list(SHOWN),),
        ).fetchall()
        postgres = str(db.info.parameter_status("server_version")).split()[0]
        commit = commit_cost_ms(db)
    with bed.redis.client(decode_responses=True) as client:
        redis_version = client.info("server")["redis_version"]
        redis_settings = {name: client.config_get(name)[name] or "off" for name in SHOWN_REDIS}
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "runs": "quick" if quick else "full",
        "machine": f"{os.cpu_count()} x {processor()}, {memory_gb:.0f} GB",
        "system": f"{system()}, Linux {platform.release()}",
        "load": "{:.2f} {:.2f} {:.2f}".format(*os.getloadavg()),
        "sweeper": version(Path(binary())),
        "redis": {"version": redis_version, **redis_settings},
        "postgres": {"version": postgres, **dict(rows)},
        "commit": f"{commit:.2f} ms (median of {COMMITS} durable one-row updates)",
    }
