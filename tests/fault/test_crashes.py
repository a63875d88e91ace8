"""Postgres crashes while releases do not wait for its disk: what the crash undoes is released again,
and what was bought of returned stock stays bought.

CRASHES says how often it is killed, 5 times if it is not set."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

import psycopg
import pytest
from bed import Bed
from harness import shop
from harness.database import Database
from harness.frozen import freeze
from harness.poll import wait_until
from harness.queue import is_empty, mirror
from harness.proxy import CLIENT, SERVER, Connection, Proxy
from harness.servers import Postgres, Redis
from harness.standby import standby_of
from harness.sweeper import Sweeper

CRASHES = int(os.environ.get("CRASHES", "5"))
RATE = 1200
SECONDS = 2.5
# For so long before the crash no checkout carries anything to the disk, by turns.
QUIET_S = (0.15, 0.0, 0.4, 0.02, 0.1)
FOUND_S = 4.0  # after Postgres answers again
# After its first poll the feed looks no more unless it has a reason.
SEES_ONCE = ("--lookahead", "2h", "--feed-interval", "1h", "--scan-interval", "off")
OFF = ("--synchronous-commit", "off", *SEES_ONCE)
SOLD = "CREATE TABLE sold (id bigint PRIMARY KEY, product_id uuid NOT NULL)"
BUY = """
    WITH taken AS (
        UPDATE inventory SET available_stock = available_stock - 1, total_stock = total_stock - 1
         WHERE product_id = %s AND available_stock > 0 RETURNING product_id
    )
    INSERT INTO sold SELECT %s, product_id FROM taken
"""


class Till(threading.Thread):
    """Buys what was given back, and notes what it was told is done. Its commits are durable."""

    def __init__(self, bed: Bed, number: int) -> None:
        super().__init__(daemon=True)
        self.bed = bed
        self.dice = random.Random(number)
        self.next = number * 10_000_000
        self.bought: set[int] = set()
        self.rests = threading.Event()
        self.closed = threading.Event()

    def run(self) -> None:
        conn = None
        while not self.closed.wait(0.02 if self.rests.is_set() else 0.004):
            if self.rests.is_set():
                continue
            self.next += 1
            try:
                if conn is None:
                    conn = self.bed.db.connect(connect_timeout=1)
                if conn.execute(BUY, (self.dice.choice(self.bed.products), self.next)).rowcount:
                    self.bought.add(self.next)
            except psycopg.Error:
                if conn is not None:
                    conn.close()
                conn = None
        if conn is not None:
            conn.close()


class Witness(threading.Thread):
    """Sees releases as they are committed, whether that is on the disk or not."""

    def __init__(self, bed: Bed) -> None:
        super().__init__(daemon=True)
        self.conn = bed.db.connect()
        self.seen: dict[str, object] = {}
        self.start()

    def run(self) -> None:
        try:
            while True:
                self.seen.update(
                    self.conn.execute(
                        "SELECT id::text, updated_at FROM inventory_reservations"
                        " WHERE status = 'released' AND updated_at > now() - interval '1 s'"
                    ).fetchall()
                )
                time.sleep(0.01)
        except psycopg.Error:
            self.conn.close()

    def undone(self, db: Database) -> int:
        """How many of them have been released at another time since."""
        self.join()
        now = dict(
            db.query(
                "SELECT id::text, updated_at FROM inventory_reservations WHERE status = 'released'"
            )
        )
        return sum(now[id] != at for id, at in self.seen.items())


@dataclass
class Tally:
    undone: list[int] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    released: int = 0


@pytest.fixture
def bed(hurt_redis: Redis) -> Iterator[Bed]:
    """On a server that carries little to the disk by itself (stop_writing is for the rest)."""
    server = Postgres(fsync=False, full_page_writes="off", bgwriter_lru_maxpages=0)
    server.start()
    one = Bed(server, hurt_redis)
    yield one
    one.close()
    server.close()


def check_shop(db: Database, tills: list[Till]) -> None:
    """At any moment: all units are somewhere, once; what was acknowledged is there."""
    shop.check_stock_adds_up(db)
    lost = db.query(
        "SELECT i.product_id::text FROM inventory i WHERE total_stock <>"
        " (SELECT count(*) FROM inventory_reservations r WHERE r.product_id = i.product_id)"
        " - (SELECT count(*) FROM sold s WHERE s.product_id = i.product_id)"
    )
    assert not lost, f"units of {len(lost)} products: {lost[:5]}"
    bought = set().union(*(till.bought.copy() for till in tills))
    missing = bought - {row[0] for row in db.query("SELECT id FROM sold")}
    assert not missing, f"{len(missing)} purchases were acknowledged and are gone"


def forget_what_is_over(bed: Bed, tills: list[Till]) -> None:
    """So that each round is as quick as the first."""
    with bed.db.conn.transaction():
        bed.db.conn.execute("TRUNCATE inventory_reservations, sold")
        bed.db.conn.execute("UPDATE inventory SET total_stock = 0, available_stock = 0")
    for till in tills:
        till.bought.clear()


def fill(bed: Bed) -> int:
    """Reservations that fall due evenly, which an API mirrors."""
    n = int(RATE * SECONDS)
    ids = bed.stream(n, RATE, delay_s=0.5)
    mirror(bed.db, bed.redis, *ids)
    return n


def wait_for(bed: Bed, share: float) -> None:
    n = RATE * SECONDS * share
    wait_until(lambda: shop.count_status(bed.db, "released") >= n, 10, "releases", step=0.003)


def stop(bed: Bed, process: str) -> None:
    pid = bed.db.value("SELECT pid FROM pg_stat_activity WHERE backend_type = %s", (process,))
    freeze(bed.pg, int(pid))  # type: ignore[call-overload]


def stop_writing(bed: Bed) -> None:
    """What no commit waits for stays in memory, and so is lost as by a power cut: a kill alone
    leaves whatever was written, be it on the disk or not."""
    stop(bed, "walwriter")


def crash(bed: Bed, tills: list[Till], dice: random.Random, quiet_s: float) -> Witness:
    """Somewhere in the middle of them; for a while before it the tills rest."""
    wait_for(bed, dice.uniform(0.1, 0.6))
    witness = Witness(bed)
    time.sleep(0.05 + dice.uniform(0, 0.2))  # the kill's own moment: nothing is waited for
    for till in tills:
        till.rests.set()
    stop_writing(bed)
    time.sleep(quiet_s)
    bed.pg.kill9()
    for till in tills:
        till.rests.clear()
    return witness


def prepare(bed: Bed) -> None:
    # The bed's trigger is the shop's, as far as a sweeper can know: off would not be used.
    bed.db.conn.execute("DROP TRIGGER audit ON inventory_reservations")
    bed.db.conn.execute(SOLD)
    bed.db.conn.execute("UPDATE inventory SET total_stock = 0, available_stock = 0")


def start_two(bed: Bed) -> list[Sweeper]:
    prepare(bed)
    daemons = [bed.start(*OFF, "--workers", "2") for _ in range(2)]
    for one in daemons:
        one.wait_for_record("Postgres connected")
    return daemons


def start_tills(bed: Bed) -> list[Till]:
    tills = [Till(bed, number) for number in (1, 2, 3)]
    for till in tills:
        till.start()
    return tills


def test_killed_again_and_again(bed: Bed) -> None:
    """Both sweepers stay, or one of them dies with it."""
    dice = random.Random(6)
    daemons = start_two(bed)
    tills = start_tills(bed)
    tally = Tally()
    for number in range(CRASHES):
        n = fill(bed)
        witness = crash(bed, tills, dice, QUIET_S[number % len(QUIET_S)])
        if number % 4 == 3:
            daemons[0].kill()
            daemons[0] = bed.start(*OFF, "--workers", "2")
        bed.pg.start()
        began = time.monotonic()
        bed.db.reconnect()
        check_shop(bed.db, tills)
        wait_until(lambda: bed.overdue() == 0, FOUND_S, f"crash {number}: nothing is overdue")
        tally.took_s.append(time.monotonic() - began)
        wait_until(
            lambda n=n: shop.count_status(bed.db, "released") == n, 10, "all are released"
        )
        wait_until(lambda: is_empty(bed.redis), 10, "Redis is tidy")
        for till in tills:
            till.rests.set()
        check_shop(bed.db, tills)
        tally.undone.append(witness.undone(bed.db))
        tally.released += n
        wait_until(lambda: not busy(bed), 5, "the tills rest")
        forget_what_is_over(bed, tills)
        for till in tills:
            till.rests.clear()
    for till in tills:
        till.closed.set()
        till.join()
    print(
        f"{CRASHES} crashes, {tally.released} releases; undone: {sum(tally.undone)}"
        f" (of {sum(1 for n in tally.undone if n)} crashes, at most {max(tally.undone)});"
        f" all released again {median(tally.took_s):.2f} s after the start, {max(tally.took_s):.2f} s"
        " at most"
    )
    assert sum(tally.undone) > 0, "no crash has undone anything: nothing was shown"


def busy(bed: Bed) -> bool:
    """Somebody but the sweepers and this test is in a transaction."""
    return bool(
        bed.db.value(
            "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND backend_type ="
            " 'client backend' AND application_name = '' AND pid <> pg_backend_pid()"
        )
    )


class Sleeping(Proxy):
    """A balancer that keeps the feed's connection though the server behind it is gone."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.feeds: list[Connection] = []

    def judge(self, connection: Connection, sender: str, data: bytes) -> bytes:
        if sender == CLIENT and b"reservation-sweeper feed" in data:
            self.feeds.append(connection)
        return super().judge(connection, sender, data)

    def silence_the_feed(self) -> None:
        for connection in self.feeds:
            connection.silent |= {CLIENT, SERVER}


@pytest.mark.parametrize("lookahead", ["2h", "off"])
def test_the_feeds_connection_does_not_notice(bed: Bed, lookahead: str) -> None:
    """Another connection's return tells it."""
    prepare(bed)
    with Sleeping(bed.pg.port) as proxy:
        daemon = bed.start(*OFF, "--lookahead", lookahead, dsn=proxy.through(bed.db.dsn))
        daemon.wait_for_record("Postgres connected")
        fill(bed)
        wait_for(bed, 0.4)
        witness = Witness(bed)
        proxy.silence_the_feed()
        stop_writing(bed)
        wait_for(bed, 0.6)
        bed.pg.kill9()
        bed.pg.start()
        bed.db.reconnect()
        wait_until(
            lambda: shop.count_status(bed.db, "released") == RATE * SECONDS, 10, "all are released"
        )
        assert witness.undone(bed.db) > 100
        assert len(proxy.feeds) == 2, "it has connected anew, once"
    check_shop(bed.db, [])


@pytest.mark.parametrize("how", ["on", "off"])
def test_a_standby_that_lags_is_promoted(bed: Bed, how: str) -> None:
    """It has not got all that was committed, waited for or not."""
    prepare(bed)
    with standby_of(bed.pg) as standby:
        dsn = (
            f"host=127.0.0.1,127.0.0.1 port={standby.port},{bed.pg.port} user={bed.pg.user}"
            f" password={bed.pg.password} dbname={bed.db.name}"
        )
        daemon = bed.start(*SEES_ONCE, "--synchronous-commit", how, dsn=dsn)
        daemon.wait_for_record("Postgres connected")
        fill(bed)
        wait_for(bed, 0.3)
        witness = Witness(bed)
        stop(bed, "walsender")
        wait_for(bed, 0.6)
        bed.pg.kill9()
        standby.connect("postgres").execute("SELECT pg_promote()")
        there = Database(standby, bed.db.name, standby.connect(bed.db.name))
        n = RATE * SECONDS
        wait_until(lambda: shop.count_status(there, "released") == n, 10, "all are released")
        assert witness.undone(there) > 100
        check_shop(there, [])
        daemon.stop()
        there.conn.close()
    bed.pg.start()
    bed.db.reconnect()
