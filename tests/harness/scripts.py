"""The scripts of lua/ as functions, called one by one against a real Redis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis as redis_py

from .queue import FAILED, INFLIGHT, LEASES, PENDING

LUA = Path(__file__).parents[2] / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua") if not path.stem.startswith("lib_"))
KEYS = (PENDING, LEASES, INFLIGHT, FAILED)
NOW = 1_763_942_400_000
LEASE = NOW + 10_000
CAP = 10_000


@dataclass
class Claimed:
    time_us: int
    pending: int
    inflight: int
    failed: int
    next: bytes | None
    over: dict[bytes, float]
    due: dict[bytes, float]
    records: dict[bytes, bytes | None]


def text_of(script: str) -> str:
    """As tools/embed makes it: with what its head names in front of it."""
    text = (LUA / f"{script}.lua").read_text()
    library = re.search(r"\A(?:--.*\n)*?--.*\b(lib_\w+\.lua)", text)
    return (LUA / library[1]).read_text() + text if library else text


def pairs(flat: list[bytes]) -> dict[bytes, float]:
    found = {flat[i]: float(flat[i + 1]) for i in range(0, len(flat), 2)}
    assert len(found) == len(flat) // 2, "an id was claimed twice"
    return found


class Queue:
    """The scripts as functions, and what the keys hold."""

    def __init__(self, client: redis_py.Redis) -> None:
        self.client = client

    def call(self, script: str, *args: Any, keys: tuple[str, ...] = KEYS) -> Any:
        return self.client.eval(text_of(script), len(keys), *keys, *args)

    def claim(self, limit: int = 500, now: int = NOW, lease: int = LEASE) -> Claimed:
        reply = self.call("claim", now, lease, limit)
        over, due, records = pairs(reply[6]), pairs(reply[7]), reply[8]
        ids = [*over, *due]
        assert len(ids) == len(reply[6] + reply[7]) // 2, "an id was claimed twice"
        assert len(records) in (0, len(ids))
        return Claimed(
            reply[0] * 1_000_000 + reply[1], *reply[2:6], over, due, dict(zip(ids, records, strict=False))
        )

    def settle(
        self,
        forget: Any = (),
        back: Any = (),
        healed: Any = (),
        failed: Any = (),
        deferred: Any = (),
        lease: int = LEASE,
        cap: int = CAP,
    ) -> int:
        verdicts = (forget, back, healed, failed, deferred)
        args: list[Any] = [lease, cap, *(len(v) for v in verdicts), *forget]
        for entries in verdicts[1:]:
            for entry in entries:
                args.extend(entry)
        return self.call("settle", *args)

    def schedule(self, *entries: tuple[Any, Any]) -> int:
        return self.call("schedule", *(arg for entry in entries for arg in entry))

    def repair(self, what: str, member: Any, seen: Any = "", at: Any = 0) -> bool:
        return self.call("repair", what, member, seen, at) == [1]

    def pending(self) -> dict[bytes, float]:
        return dict(self.client.zrange(PENDING, 0, -1, withscores=True))

    def inflight(self) -> dict[bytes, float]:
        return dict(self.client.zrange(INFLIGHT, 0, -1, withscores=True))

    def failed(self) -> dict[bytes, bytes]:
        return self.client.hgetall(FAILED)

    def state(self) -> tuple[Any, Any, Any]:
        return self.pending(), self.inflight(), self.failed()
