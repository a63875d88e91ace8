"""Ids of all kinds, as the API writes them and as strangers do."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.queue import PENDING, is_empty, script_calls
from harness.sweeper import ALONE, ROOT, Run, Start


def retype(db: Database, type: str) -> str:
    """Changes the type of the id column; returns a product to reserve."""
    db.conn.execute(f"ALTER TABLE inventory_reservations ALTER id TYPE {type} USING NULL::{type}")
    return shop.add_product(db, stock=100_000)


def expired(db: Database, product: str, *ids: object) -> None:
    for id in ids:
        shop.reserve(db, {product: 1}, ttl_s=-1, id=str(id))


UUID = "5a11ab1e-0000-4000-8000-c0ffeec0ffee"
SPELLINGS = {
    "capitals": UUID.upper(),
    "mixed": UUID[:18].upper() + UUID[18:],
    "braces": "{" + UUID + "}",
    "no hyphens": UUID.replace("-", ""),
    "other hyphens": "5a11-ab1e-0000-4000-8000-c0ff-eec0-ffee",
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_spellings_of_a_uuid(
    db: Database, redis: redis_py.Redis, sweeper: Start, spelling: str
) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 2}, ttl_s=-1, id=UUID)
    redis.zadd(PENDING, {spelling: 1})
    sweeper(*ALONE)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "the release")
    wait_until(lambda: is_empty(redis), 20, "the entry is settled under its own spelling")
    assert shop.stock(db, product) == (100, 100, 0)


def test_all_spellings_in_one_batch(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """One reservation of two rows: given back once, however often it was asked for."""
    products = shop.add_products(db, 2)
    shop.reserve(db, {products[0]: 2, products[1]: 3}, ttl_s=-1, id=UUID)
    redis.zadd(PENDING, {id: 1 for id in (UUID, *SPELLINGS.values())})
    sweeper("--feed-interval", "200ms")
    wait_until(lambda: is_empty(redis), 20, "all entries are settled")
    assert shop.statuses(db) == {"released": 2}
    assert [shop.stock(db, product) for product in products] == [(100, 100, 0)] * 2


LONG = [
    "x" * 255,
    "ü" * 127 + "x",
    "reservation 1; DROP TABLE inventory_reservations; --",
    "' OR 'a' = 'a",
    '"},{"',
    "\\",
    '\\"',
    "{}",
    "NULL",
    "null",
    ",",
    " leading and trailing ",
    "line\nbreak\ttab\x01\x7f",
    "%s$1:name",
    "🛒🛒",
    "",
]


@pytest.mark.parametrize("type", ["text", "varchar(255)", "varchar"])
def test_any_text(db: Database, redis: redis_py.Redis, sweeper: Start, type: str) -> None:
    """Mirrored by the feed and found by Redis alone."""
    product = retype(db, type)
    expired(db, product, *LONG[::2])
    redis.zadd(PENDING, {id: 1 for id in LONG[1::2]})
    expired(db, product, *LONG[1::2])
    sweeper("--feed-interval", "200ms")
    wait_until(lambda: shop.count_status(db, "released") == len(LONG), 20, "all releases")
    wait_until(lambda: is_empty(redis), 20, "all entries are settled")
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("type", ["text", "varchar(255)"])
def test_any_text_once(db: Database, run: Run, type: str) -> None:
    product = retype(db, type)
    expired(db, product, *LONG)
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == len(LONG)
    assert shop.statuses(db) == {"released": len(LONG)}


def test_longer_than_an_entry_of_redis(
    db: Database, redis: redis_py.Redis, run: Run, sweeper: Start
) -> None:
    """They are not mirrored, which is logged once, and released by whoever reads Postgres alone."""
    product = retype(db, "text")
    long = ("x" * 256, "ü" * 500)
    expired(db, product, *long, "short")
    assert run("--once", "--dry-run").record("Cleanup job completed")["cleanedCount"] == 3
    dry = run("--reconcile", "--dry-run", "--lookahead", "off")
    assert dry.record("Reconciliation completed")["releasedCount"] == 3
    daemon = sweeper("--feed-interval", "100ms", "--scan-interval", "1s")
    assert daemon.wait_for_record("longer than 255 bytes")["level"] == "WARN"
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "all of them")
    looks = script_calls(redis)
    wait_until(lambda: script_calls(redis) > looks + 10, 20, "more looks")
    assert len(daemon.find("longer than 255 bytes")) == 1
    assert is_empty(redis)
    daemon.stop()
    db.conn.execute("UPDATE inventory_reservations SET status = 'active'")
    db.conn.execute("UPDATE inventory SET available_stock = available_stock - 3, reserved_stock = 3")
    done = run("--once")
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 3)
    shop.check_stock_adds_up(db)


def test_padded_char(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = retype(db, "char(12)")
    expired(db, product, "short", "twelve chars", "by the API")
    redis.zadd(PENDING, {"by the API": 1})
    sweeper("--feed-interval", "200ms")
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "all releases")
    wait_until(lambda: is_empty(redis), 20, "all entries are settled")


def test_uncommon_collation(db: Database, run: Run) -> None:
    """Pages are read in the id's order, whichever that is; all expire at the same moment."""
    product = retype(db, 'text COLLATE "und-x-icu"')
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " SELECT (ARRAY['a', 'A', 'ä', '-', ' a', 'Z'])[1 + i %% 6] || i, %s, 1, '2020-01-01'"
        " FROM generate_series(1, 25000) i",
        (product,),
    )
    db.conn.execute(
        "UPDATE inventory SET available_stock = available_stock - 25000, reserved_stock = 25000"
    )
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 25000
    assert shop.stock(db, product) == (100_000, 100_000, 0)


INTEGERS = {
    "bigint": (2**63 - 1, -(2**63), 0, 42),
    "integer": (2**31 - 1, -(2**31), 0, 42),
    "smallint": (2**15 - 1, -(2**15), 0, 42),
}


@pytest.mark.parametrize("type", INTEGERS)
def test_whole_numbers(db: Database, redis: redis_py.Redis, sweeper: Start, type: str) -> None:
    ids = INTEGERS[type]
    product = retype(db, type)
    expired(db, product, *ids)
    strangers = [str(ids[0] + 1), str(ids[1] - 1), "42x", "4.2e1", "0x2a", "", "9" * 255, b"4\x002"]
    redis.zadd(PENDING, {str(id): 1 for id in ids[::2]})
    redis.zadd(PENDING, {id: 1 for id in strangers})
    sweeper("--feed-interval", "200ms")
    wait_until(lambda: shop.count_status(db, "released") == 4, 20, "all releases")
    wait_until(lambda: is_empty(redis), 20, "all entries are settled")
    shop.check_stock_adds_up(db)


HOSTILE = [
    b"",
    b"not a uuid",
    b"'; DROP TABLE inventory; --",
    b"5a11ab1e-0000-4000-8000-c0ffeec0ffee\0",
    b"5a11ab1e-0000-4000-8000-c0ffeec0ffee ",
    b"5a11ab1e-0000-4000-8000-c0ffeec0ffeg",
    b"{5a11ab1e-0000-4000-8000-c0ffeec0ffee",
    b"\xff\xfe\xfd",
    b"\xc3(",
    b"\xed\xa0\x80",
    b"a\0b",
    b"\0",
    b"x" * 256,
    b"y" * 1_000_000,
    "ü".encode() * 128,
]


@pytest.mark.parametrize("type", ["uuid", "text"])
def test_hostile_ids(db: Database, redis: redis_py.Redis, sweeper: Start, type: str) -> None:
    product = retype(db, "text") if type == "text" else shop.add_product(db)
    real = str(uuid.uuid4())
    shop.reserve(db, {product: 1}, ttl_s=-1, id=real)
    keep = shop.reserve(db, {product: 1}, ttl_s=600)
    redis.zadd(PENDING, {id: n for n, id in enumerate(HOSTILE)})
    redis.zadd(PENDING, {real: 1})
    daemon = sweeper(*ALONE)
    wait_until(lambda: is_empty(redis), 20, "all entries are forgotten")
    assert shop.statuses(db) == {"released": 1, "active": 1}
    assert shop.extend(db, keep, 600)
    assert not daemon.find("refused"), daemon.tail()
    assert daemon.stop() == 0


@pytest.fixture
def latin_database(db: Database) -> Iterator[Database]:
    name = f"{db.name}_latin"
    db.conn.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'")
    latin = Database(db.server, name, db.server.connect(name, client_encoding="UTF8"))
    latin.conn.execute((ROOT / "sql" / "schema.sql").read_text(encoding="utf-8"))
    yield latin
    latin.drop()


def test_an_encoding_that_lacks_the_character(
    db: Database, redis: redis_py.Redis, sweeper: Start, latin_database: Database
) -> None:
    """The entry names no row there; the others of its batch are released."""
    latin = latin_database
    product = retype(latin, "text")
    expired(latin, product, "größe", "plain")
    redis.zadd(PENDING, {"größe": 1, "plain": 1, "日本": 1, "Ω": 1})
    daemon = sweeper(*ALONE, dsn=latin.dsn)
    wait_until(lambda: is_empty(redis), 20, "all entries are settled")
    assert shop.statuses(latin) == {"released": 2}
    assert not daemon.find("refused"), daemon.tail()

