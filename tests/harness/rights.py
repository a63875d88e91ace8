"""The rights of a Redis user for the sweeper, as the documents give them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import redis as redis_py

DOCS = Path(__file__).parents[2] / "docs"
PASSWORD = "a-password"
PREFIX = "ACL SETUSER sweeper on >password "
# What it can do without.
OPTIONAL = ("+info", "+client|setname")


def rules(*queues: str) -> list[str]:
    """Those of docs/INTEGRATION.md, to be pasted; for other queues with other keys."""
    (line,) = (x for x in (DOCS / "INTEGRATION.md").read_text().splitlines() if x.startswith(PREFIX))
    keys, *commands = line.removeprefix(PREFIX).split()
    return [*([f"~{{{name}}}:*" for name in queues] or [keys]), *commands]


def former_rules() -> list[str]:
    """Those of version 0.1's keys: docs/REDIS.md says what is not among them."""
    (row,) = (x for x in (DOCS / "REDIS.md").read_text().splitlines() if x.startswith("| 0.1's"))
    absent = re.findall(r"`(\+[a-z|]+)`", row)
    assert absent and set(absent) <= set(rules())
    return [rule for rule in rules() if rule not in absent]


def allow(client: redis_py.Redis, given: Sequence[str], *more: str, without: str = "") -> None:
    """The user has these rights, and no others."""
    kept = [rule for rule in given if rule != without]
    client.execute_command("ACL", "SETUSER", "sweeper", "reset", "on", f">{PASSWORD}", *kept, *more)


def url(port: int, db: int = 0) -> str:
    return f"redis://sweeper:{PASSWORD}@127.0.0.1:{port}/{db}"


def names(right: str, reason: str) -> bool:
    """Whether the reason names what is missing: a command, or the keys."""
    name = right.lstrip("+~").lower()
    return re.search(rf"(?i)(^|\W){re.escape(name)}(\W|$)", reason) is not None
