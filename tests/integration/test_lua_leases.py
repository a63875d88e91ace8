"""leases.lua: a walk through what is claimed."""

from __future__ import annotations

from typing import Any

import pytest
from harness.queue import LEASES, batch
from harness.scripts import LEASE, NOW, Queue

Claims = set[tuple[bytes, bytes]]

ODD = [b"", b"x", b"\xc1", b"\x91\x07", batch("a")[:-1], batch("a") + b"\0", b"\x92\x07\x90", b"z" * 5000]


def walk(queue: Queue, remove: int = 0) -> tuple[Claims, Claims, int]:
    """What all steps found, and how many ids the largest brought."""
    cursor, most = b"0", 0
    claims: Claims = set()
    odd: Claims = set()
    while True:
        cursor, found, strange = queue.call("leases", cursor, remove, keys=(LEASES,))
        claims.update(zip(found[::2], found[1::2], strict=True))
        odd.update(zip(strange[::2], strange[1::2], strict=True))
        most = max(most, len(found) // 2)
        if cursor == b"0":
            return claims, odd, most


def test_nothing(queue: Queue) -> None:
    assert queue.call("leases", "0", 1, keys=(LEASES,)) == [b"0", [], []]


def test_every_id_with_the_end_of_its_lease(queue: Queue) -> None:
    expected: Claims = set()
    for i in range(300):
        ids = [f"{i}-{j}".encode() for j in range(200)] + [b"\xff\0 any bytes", b""]
        queue.client.zadd(LEASES, {batch(*ids): LEASE + i})
        expected |= {(id, str(LEASE + i).encode()) for id in ids}
    before = queue.client.zrange(LEASES, 0, -1)
    claims, odd, most = walk(queue)
    assert (claims, odd) == (expected, set())
    assert most <= 202 * 20, "few at a time"
    assert queue.client.zrange(LEASES, 0, -1) == before


@pytest.mark.parametrize("remove", [0, 1])
def test_what_is_no_batch(queue: Queue, remove: int) -> None:
    queue.client.zadd(LEASES, {member: NOW + i for i, member in enumerate(ODD)} | {batch("b"): LEASE})
    claims, odd, _ = walk(queue, remove)
    assert claims == {(b"b", str(LEASE).encode())}
    assert odd == {(member[:100], str(NOW + i).encode()) for i, member in enumerate(ODD)}
    left: list[Any] = [batch("b")] if remove else [*ODD, batch("b")]
    assert queue.client.zrange(LEASES, 0, -1) == left
