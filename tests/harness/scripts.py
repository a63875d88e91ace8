"""The scripts of lua/ as functions, called one by one against a real Redis."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis as redis_py

from .queue import ATTENTION, FAILED, INFLIGHT, KEPT, LEASES, PENDING, batch, ids_of

LUA = Path(__file__).parents[2] / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua") if not path.stem.startswith("lib_"))
KEYS = (PENDING, LEASES, INFLIGHT, FAILED, KEPT, ATTENTION)
NOW = 1_763_942_400_000
LEASE = NOW + 10_000
CAP = 10_000


# Dragonfly gives its scripts scores as numbers, where Redis gives texts. In front of a script this makes
# a Redis do so too.
NUMBERS = """
local server = redis
local redis = setmetatable({}, {__index = server})
function redis.call(command, ...)
    local got = server.call(command, ...)
    if command == 'ZMSCORE' then
        for i = 1, #got do
            got[i] = tonumber(got[i]) or false
        end
    elseif command == 'ZSCORE' then
        got = tonumber(got) or false
    elseif type(got) == 'table' and string.match(table.concat({'', ...}, ' '), ' WITHSCORES') then
        for i = 2, #got, 2 do
            got[i] = tonumber(got[i])
        end
    end
    return got
end
"""


@dataclass
class Claimed:
    time_us: int
    pending: int
    inflight: int | None
    failed: int
    kept: int
    attention: int
    next: bytes | None
    lease: int
    left: int
    odd: int
    over: list[bytes]
    due: list[bytes]
    records: dict[bytes, bytes | None]
    keeps: dict[bytes, bytes | None]


def text_of(script: str) -> str:
    """As tools/embed makes it: with what its head names in front of it."""
    text = (LUA / f"{script}.lua").read_text()
    library = re.search(r"\A(?:--.*\n)*?--.*\b(lib_\w+\.lua)", text)
    return (LUA / library[1]).read_text() + text if library else text


class Queue:
    """The scripts as functions, and what the keys hold."""

    def __init__(self, client: redis_py.Redis, dialect: str = "") -> None:
        self.client = client
        self.dialect = dialect

    def call(self, script: str, *args: Any, keys: tuple[str, ...] = KEYS) -> Any:
        return self.client.eval(self.dialect + text_of(script), len(keys), *keys, *args)

    def claim(self, limit: int = 500, now: int = NOW, lease: int = LEASE) -> Claimed:
        reply = self.call("claim", now, lease, limit)
        over, ids, records, keeps = reply[11:15]
        assert len(set(ids)) == len(ids), "an id was claimed twice"
        assert len(records) in (0, len(ids)) and len(keeps) in (0, len(ids))
        known = [dict(zip(ids, held, strict=False)) for held in (records, keeps)]
        return Claimed(reply[0] * 1_000_000 + reply[1], *reply[2:11], ids[:over], ids[over:], *known)

    def settle(
        self,
        forget: Any = (),
        back: Any = (),
        healed: Any = (),
        failed: Any = (),
        deferred: Any = (),
        kept: Any = (),
        lease: int = LEASE,
        cap: int = CAP,
    ) -> bool:
        """Whether the batch was ours."""
        verdicts = (forget, back, healed, failed, deferred, kept)
        args: list[Any] = [lease, cap, cap, *(len(v) for v in verdicts), *forget]
        for entries in verdicts[1:]:
            for entry in entries:
                args.extend(entry)
        ours = self.call("settle", *args)
        assert ours in (0, 1)
        return ours == 1

    def schedule(self, *entries: tuple[Any, Any]) -> int:
        return self.call("schedule", *(arg for entry in entries for arg in entry))

    def repair(self, what: str, member: Any, seen: Any = "", at: Any = 0) -> bool:
        return self.call("repair", what, member, seen, at) == [1]

    def pending(self) -> dict[bytes, float]:
        return dict(self.client.zrange(PENDING, 0, -1, withscores=True))

    def lease(self, ends: float, *ids: str | bytes) -> None:
        """A batch that somebody has claimed."""
        self.client.zadd(LEASES, {batch(*ids): ends})

    def leases(self) -> dict[float, list[bytes]]:
        """What a claim has made: ids by the end of their lease."""
        found = self.client.zrange(LEASES, 0, -1, withscores=True)
        assert len({end for _, end in found}) == len(found), "two leases with the same end"
        return {end: ids_of(member) for member, end in found}

    def inflight(self) -> dict[bytes, float]:
        return dict(self.client.zrange(INFLIGHT, 0, -1, withscores=True))

    def failed(self) -> dict[bytes, bytes]:
        return self.client.hgetall(FAILED)

    def kept(self) -> dict[bytes, bytes]:
        return self.client.hgetall(KEPT)

    def attention(self) -> dict[bytes, float]:
        return dict(self.client.zrange(ATTENTION, 0, -1, withscores=True))

    def state(self) -> tuple[Any, Any, Any]:
        return self.pending(), self.leases(), self.failed()
