"""Shops with payments: holds that `keep_while` keeps. Their tests' `db` is empty at first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from .database import Database
from .shapes import SPREE, WAREHOUSE, Shape, Shop
from .sweeper import Run

Open = Callable[..., Shop]
ID = {WAREHOUSE.name: "order_id", SPREE.name: "order_id"}
SEATS = """
    CREATE TABLE holds (id integer PRIMARY KEY, status text NOT NULL DEFAULT 'held',
        expires_at timestamptz NOT NULL);
    CREATE TABLE payments (hold integer NOT NULL REFERENCES holds, pending boolean NOT NULL DEFAULT true);
    CREATE INDEX ON payments (hold)
"""
SEATS_FILE = """
seats:
  table: holds
  active: status = 'held'
  released: status = 'free'
  keep_while: |
    EXISTS (SELECT FROM payments p WHERE p.hold = r.id AND p.pending)
"""
PAY = "INSERT INTO payments (hold) VALUES (%s)"


def keep(shape: Shape, more: str = "") -> str:
    id = f"r.{ID.get(shape.name, 'id')}::text"
    if "uuid" in shape.tables:
        id = f"ltrim(replace({id}, '-', ''), '0')"
    return (
        "  keep_while: |\n"
        f"    EXISTS (SELECT FROM payments p WHERE p.hold = {id} AND p.pending) -- unless paid\n" + more
    )


@pytest.fixture
def paid_shop(db: Database, run: Run, tmp_path: Path) -> Open:
    """A shop with payments."""

    def made(shape: Shape, more: str = "") -> Shop:
        shop = Shop(db, shape, tmp_path, run)
        db.conn.execute("CREATE TABLE payments (hold text NOT NULL, pending boolean DEFAULT true)")
        shop.write(shape.file + keep(shape, more))
        return shop

    return made


def record_of(redis: redis_py.Redis, id: int | str, queue: str = "seats") -> dict[str, Any] | None:
    text = redis.hget(f"{{{queue}}}:kept", str(id))
    return json.loads(text) if text is not None else None


def since_epoch_ms(db: Database, id: int) -> int:
    return db.value("SELECT floor(extract(epoch FROM expires_at) * 1000)::bigint FROM holds WHERE id = %s", (id,))


def pay(db: Database, id: int) -> None:
    db.conn.execute(PAY, (id,))


def gave_up(db: Database, id: int) -> None:
    db.conn.execute("UPDATE payments SET pending = false WHERE hold = %s", (id,))


class Hall:
    """Seats, a daemon's settings, and how the seats are."""

    def __init__(self, db: Database, folder: Path, more: str) -> None:
        self.db = db
        db.conn.execute(SEATS)  # type: ignore[arg-type]
        self.file = folder / "queues.yaml"
        self.write(more)

    def write(self, more: str) -> None:
        self.file.write_text(SEATS_FILE + more, encoding="utf-8")

    def hold(self, id: int, s: float = -1, paid: bool = True) -> None:
        """A sweeper that runs sees the hold with its payment."""
        with self.db.conn.transaction():
            self.db.conn.execute("INSERT INTO holds VALUES (%s, 'held', now() + %s * interval '1 s')", (id, s))
            if paid:
                pay(self.db, id)

    def held(self, id: int) -> bool:
        return self.db.value("SELECT status FROM holds WHERE id = %s", (id,)) == "held"

    def left(self, id: int) -> float:
        """How long until it expires, in seconds."""
        return float(self.db.value("SELECT extract(epoch FROM expires_at - now()) FROM holds WHERE id = %s", (id,)))


OpenHall = Callable[[str], Hall]


@pytest.fixture
def open_hall(db: Database, tmp_path: Path) -> OpenHall:
    return lambda more: Hall(db, tmp_path, more)
