"""The account: what Postgres says has become of the reservations, against what the shop knows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import psycopg

from harness import shop
from measure import percentile
from traffic import Reservation

LATE_P99_MS = 250.0

STATUS_OF = {"committed": "committed", "cancelled": "released", "kept": "active"}


@dataclass
class Lateness:
    """Milliseconds from expiry to the commit that gave the stock back."""

    sorted_ms: list[float]

    @classmethod
    def of(cls, db: psycopg.Connection, ids: list[str]) -> Lateness:
        return cls([s * 1000 for s in shop.lateness(db, ids)] if ids else [])

    def percentile(self, share: float) -> float:
        return percentile(self.sorted_ms, share)


@dataclass
class Account:
    fates: Counter[str]
    extended: int
    lateness: dict[str, Lateness]
    not_released: int
    wrong: int
    early: int
    stock_error: str | None
    problems: list[str] = field(default_factory=list)


def draw_up(db: psycopg.Connection, reservations: list[Reservation]) -> Account:
    """Reads the tables once everything has had its time."""
    found = dict(
        db.execute(
            "SELECT id::text, string_agg(DISTINCT status, ' and ') FROM inventory_reservations"
            " GROUP BY id"
        ).fetchall()
    )
    expired = [one for one in reservations if one.fate == "expired"]
    released = [one for one in expired if found.get(one.id) == "released"]
    lateness = {
        "the API writes to Redis": Lateness.of(db, [r.id for r in released if r.mirrored]),
        "the sweeper's feed alone": Lateness.of(db, [r.id for r in released if not r.mirrored]),
        "all": Lateness.of(db, [r.id for r in released]),
    }
    fates = Counter(one.fate for one in reservations)
    fates["expired"] = len(released)
    account = Account(
        fates=fates,
        extended=sum(one.extended for one in reservations),
        lateness=lateness,
        not_released=sum(found.get(one.id) != "released" for one in expired),
        wrong=sum(
            found.get(one.id) != STATUS_OF[one.fate]
            for one in reservations
            if one.fate in STATUS_OF
        ),
        early=sum(ms < 0 for ms in lateness["all"].sorted_ms),
        stock_error=_stock_error(db),
    )
    _judge(account)
    return account


def _stock_error(db: psycopg.Connection) -> str | None:
    try:
        shop.check_stock_adds_up(db)
    except AssertionError as error:
        return str(error)
    return None


def _judge(account: Account) -> None:
    p99 = account.lateness["all"].percentile(0.99)
    if not account.lateness["all"].sorted_ms:
        account.problems.append("nothing was released")
    if p99 > LATE_P99_MS:
        account.problems.append(f"late: p99 {p99:,.0f} ms, more than {LATE_P99_MS:.0f} ms")
    if account.not_released:
        account.problems.append(f"lost: {account.not_released} expired and were not released")
    if account.wrong:
        account.problems.append(f"{account.wrong} committed, cancelled or kept ones were touched")
    if account.early:
        account.problems.append(f"{account.early} were released early")
    if account.stock_error:
        account.problems.append(f"the stock does not add up: {account.stock_error}")
