"""Named statements: where they are used, and that nothing ever depends on them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.pgbouncer import PgBouncer, keeps_names
from harness.poll import wait_until
from harness.proxy import CLIENT, Connection, Proxy
from harness.queue import is_empty, mirror
from harness.servers import Postgres
from harness.sweeper import ALONE, Run, Start, Sweeper

PREPARED = re.compile(rb"P.{4}(sweeper_[0-9a-f]{16}_\d+)\x00", re.S)
RELEASE = re.compile(rb"P.{4}(sweeper_[0-9a-f]{16}_\d+)\x00WITH rs\$seen", re.S)
EXECUTED = re.compile(rb"B.{4}\x00(sweeper_[0-9a-f]{16}_\d+)\x00", re.S)
DISCARD = b"Q\x00\x00\x00\x10DISCARD ALL\x00"
DISCARDED = b"C\x00\x00\x00\x10DISCARD ALL\x00Z\x00\x00\x00\x05I"
CODES = ("26000", "42P05", "0A000", "08P01")


class Names(Proxy):
    """Sees the names that pass, and can spoil them."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.prepared: list[tuple[Connection, bytes]] = []
        self.executed: list[bytes] = []
        self.releases = 0  # texts of the release that were sent
        self.release_names: set[bytes] = set()
        self.emptied = 0  # how often all of a session were dropped
        self.code = ""  # what the next release with names is answered, if it is not empty
        self.last = False  # ... at its last statement, not at its first
        self.discard = False  # before the next release with names
        self.spoilt = 0

    @property
    def by_name(self) -> int:
        """Releases that were asked for by a name; a session asks for other things by name, too."""
        return sum(name in self.release_names for name in self.executed)

    def judge(self, connection: Connection, sender: str, data: bytes) -> bytes:
        if sender == CLIENT:
            data = self._from_client(connection, data)
        else:
            data = self._from_server(data)
        return super().judge(connection, sender, data)

    def _from_client(self, connection: Connection, data: bytes) -> bytes:
        self.prepared += [(connection, name) for name in PREPARED.findall(data)]
        self.releases += data.count(b"WITH rs$seen")
        self.release_names |= set(RELEASE.findall(data))
        self.emptied += data.count(b"DEALLOCATE ALL\x00")
        found = list(EXECUTED.finditer(data))
        self.executed += [one[1] for one in found]
        released = self.release_names.intersection(one[1] for one in found)
        if released and self.discard:
            self.discard = False
            self.spoilt += 1
            return DISCARD + data
        if released and self.code and not self.spoilt:
            self.spoilt += 1
            at = found[-1 if self.last else 0].start(1)
            return data[:at] + b"S" + data[at + 1 :]  # a name that the server does not have
        return data

    def _from_server(self, data: bytes) -> bytes:
        if self.code and self.spoilt:
            data = data.replace(b"C26000\x00", b"C" + self.code.encode() + b"\x00")
        return data.replace(DISCARDED, b"")


@pytest.fixture
def names(pg_server: Postgres) -> Iterator[Names]:
    with Names(pg_server.port) as proxy:
        yield proxy


def releases(db: Database, redis: redis_py.Redis, product: str, n: int) -> None:
    """n of them, each in a transaction of its own."""
    for _ in range(n):
        id = shop.reserve(db, {product: 1}, ttl_s=0)
        mirror(db, redis, id)
        wait_until(
            lambda id=id: db.value(
                "SELECT status FROM inventory_reservations WHERE id = %s", (id,)
            )
            == "released",
            20,
            "a release",
        )


def check_quiet(db: Database, redis: redis_py.Redis, *daemons: Sweeper) -> None:
    wait_until(lambda: is_empty(redis), 10, "settled")
    shop.check_stock_adds_up(db)
    for daemon in daemons:
        assert daemon.stop() == 0
        assert not [r for r in daemon.records if r["level"] in ("WARN", "ERROR")], daemon.tail()


def test_a_direct_connection(
    db: Database, redis: redis_py.Redis, sweeper: Start, names: Names
) -> None:
    daemon = sweeper("--feed-interval", "200ms", dsn=names.through(db.dsn))
    releases(db, redis, shop.add_product(db), 10)
    wait_until(lambda: len(names.executed) > 40, 20, "the feed too")
    assert len(names.prepared) == len(set(names.prepared)), "once in a session"
    assert {name for _, name in names.prepared} >= set(names.executed)
    check_quiet(db, redis, daemon)


@pytest.mark.parametrize("how", ["off", "on", "auto"])
def test_as_it_is_set(
    db: Database, redis: redis_py.Redis, sweeper: Start, names: Names, how: str
) -> None:
    daemon = sweeper(*ALONE, "--prepare", how, dsn=names.through(db.dsn))
    releases(db, redis, shop.add_product(db), 3)
    assert bool(names.executed) == (how != "off")
    check_quiet(db, redis, daemon)


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("code", CODES)
def test_a_name_is_refused(
    db: Database, redis: redis_py.Redis, sweeper: Start, names: Names, code: str, last: bool
) -> None:
    """The same request is made without names, and so are those that follow."""
    daemon = sweeper(*ALONE, dsn=names.through(db.dsn))
    product = shop.add_product(db)
    releases(db, redis, product, 3)
    before = daemon.find("")[-1:]
    texts = names.releases
    names.last, names.code = last, code
    releases(db, redis, product, 1)
    assert names.spoilt == 1
    assert names.releases == texts + 1, "once more, and that was right"
    used = names.by_name
    releases(db, redis, product, 3)
    assert names.by_name == used, "none for a while"
    assert before == daemon.find("")[-1:], daemon.tail()
    assert names.connections == 2, "no session was given up"
    check_quiet(db, redis, daemon)


def test_discard_all(db: Database, redis: redis_py.Redis, sweeper: Start, names: Names) -> None:
    daemon = sweeper(*ALONE, dsn=names.through(db.dsn))
    product = shop.add_product(db)
    releases(db, redis, product, 3)
    texts = names.releases
    names.discard = True
    releases(db, redis, product, 1)
    assert names.spoilt == 1
    assert names.releases == texts + 1, "once more, and that was right"
    used = names.by_name
    releases(db, redis, product, 3)
    assert names.by_name == used
    check_quiet(db, redis, daemon)


@pytest.mark.parametrize("how", ["auto", "on"])
def test_two_clients_of_a_pooler(
    db: Database, redis: redis_py.Redis, sweeper: Start, pooler: PgBouncer, how: str
) -> None:
    """With `on`: where names are kept, they are used to the end; else they fail, time and again,
    and nobody notices."""
    products = shop.add_products(db, 10, stock=1000)
    args = ("--prepare", how, "--workers", "2", "--batch-size", "10", "--feed-interval", "200ms")
    with Names(pooler.port) as names:
        dsn = names.through(pooler.dsn(db.name))
        daemons = [sweeper(*args, dsn=dsn) for _ in range(2)]
        ids = shop.bulk_reserve(db, 500, products, "now() + i * interval '5 ms'")
        mirror(db, redis, *ids[::2])
        wait_until(lambda: shop.count_status(db, "released") == 500, 30, "all releases")
        assert bool(names.executed) == (how == "on")
        if how == "on" and keeps_names():
            used, texts = names.by_name, names.releases
            releases(db, redis, products[0], 3)
            assert names.by_name > used and names.releases == texts, "by name alone"
        check_quiet(db, redis, *daemons)


def test_what_is_dropped(
    db: Database, redis: redis_py.Redis, sweeper: Start, names: Names
) -> None:
    """Names that are not used any more do not stay in the session."""
    sweeper(*ALONE, dsn=names.through(db.dsn))
    product = shop.add_product(db)
    releases(db, redis, product, 3)
    first = {name for _, name in names.prepared}
    assert names.emptied == 0
    names.code = "42883"  # as if a column had changed its type
    releases(db, redis, product, 3)
    assert names.spoilt == 1
    assert names.emptied == 1
    assert {name for _, name in names.prepared} - first, "others are used at once"


def test_once(db: Database, run: Run, names: Names) -> None:
    shop.bulk_reserve(db, 700, shop.add_products(db, 5, stock=1000))
    done = run("--once", "--batch-size", "50", dsn=names.through(db.dsn))
    assert done.record("Cleanup job completed")["cleanedCount"] == 700
    assert names.executed
    shop.check_stock_adds_up(db)


CHANGES = {
    "type": "ALTER TABLE inventory_reservations ALTER quantity TYPE bigint",
    "type of the id": "ALTER TABLE inventory_reservations ALTER id TYPE text",
    "type of the stock": "ALTER TABLE inventory ALTER reserved_stock TYPE bigint",
    "rename": "ALTER TABLE inventory_reservations RENAME TO former;"
    "CREATE TABLE inventory_reservations (LIKE former INCLUDING ALL);"
    "INSERT INTO inventory_reservations SELECT * FROM former",
    "a column's name and back": "ALTER TABLE inventory_reservations RENAME status TO state;"
    "ALTER TABLE inventory_reservations RENAME state TO status",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_under_load(
    db: Database, redis: redis_py.Redis, sweeper: Start, names: Names, change: str
) -> None:
    products = shop.add_products(db, 10, stock=1000)
    # Batches that are small even on a machine that is behind: a session's first has no names yet.
    options = ("--workers", "2", "--batch-size", "50", "--feed-interval", "200ms")
    daemon = sweeper(*options, dsn=names.through(db.dsn))
    ids = shop.bulk_reserve(db, 2000, products, "now() + i * interval '2 ms'")
    mirror(db, redis, *ids)
    wait_until(lambda: shop.count_status(db, "released") > 300, 20, "at work", step=0.005)
    assert names.executed
    with db.conn.transaction():
        for statement in CHANGES[change].split(";"):
            db.conn.execute(statement)
    assert shop.count_status(db, "released") < 2000
    wait_until(lambda: shop.count_status(db, "released") == 2000, 30, "all releases")
    shop.check_stock_adds_up(db)
    assert not [r for r in daemon.records if r["level"] == "ERROR"], daemon.tail()
