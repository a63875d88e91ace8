"""Four sweepers, four queues of two databases, a Cluster of six nodes: `many_servers.py`, shortly."""

from __future__ import annotations

from many_servers import many_servers


def test_many_servers() -> None:
    """Each kind of fault once at least."""
    many_servers(seed=16, seconds=15)
