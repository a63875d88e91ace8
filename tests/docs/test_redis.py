"""docs/REDIS.md: each service has its row in both tables, and each fact its source."""

from __future__ import annotations

import re

from documents import rows, section, text_of

PAGE = text_of("docs/REDIS.md")
SERVICES = (
    "ElastiCache",
    "ElastiCache Serverless",
    "MemoryDB",
    "Azure Cache for Redis",
    "Azure Managed Redis",
    "Upstash",
    "Redis Cloud",
    "Railway",
    "Render Key Value",
    "Memorystore",
    "Valkey",
    "Dragonfly",
    "KeyDB",
)


def test_every_service_is_there() -> None:
    """How to connect to it, and what follows."""
    names = [cells[0] for cells in rows(section(PAGE, "Services"))]
    for service in SERVICES:
        assert sum(name.startswith(service) for name in names) >= 2, service


def test_sources() -> None:
    """Each is named where it serves, and is an address."""
    text, _, listed = PAGE.partition("\n## Sources\n")
    named = {int(n) for cited in re.findall(r"\[(\d+(?:, \d+)*)\]", text) for n in cited.split(", ")}
    there = dict(re.findall(r"^(\d+)\. (.+)$", listed, flags=re.M))
    assert {int(n) for n in there} == named == set(range(1, len(there) + 1))
    assert all(source.startswith(("https://", "the same: ")) for source in there.values())
