"""What the fault tests stand on: servers that may be hurt, a database that writes down every
release, traffic as an API makes it, and what must hold whatever has happened."""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.pulse import Pulse
from harness.queue import PENDING, expires_ms, ids_of
from harness.servers import Postgres, Redis
from harness.sweeper import Record, Sweeper
from trade import Trade

DAEMON = ("--lease", "2s")
SOON_S = 60  # nobody reserves for longer


@dataclass
class Fault:
    """When it began and ended, by Postgres's clock, which on one host is everybody's."""

    began: float = field(default_factory=time.time)
    ended: float = 0.0


class Traffic:
    """Reserves one unit at a time and, like a good API, mirrors it into Redis when that answers."""

    def __init__(
        self, bed: Bed, rate: float = 40, ttl_s: float = 1.0, mirrors: bool = True
    ) -> None:
        self.bed = bed
        self.mirrors = mirrors
        self.rate = rate
        self.ttl_s = ttl_s
        self.reserved = 0
        self._unsent: list[str] = []
        self._deaf_until = 0.0
        self._stop = threading.Event()
        self._db: Database | None = None
        # A server that does not answer must not hold up more than a few reservations.
        self._redis = bed.redis_server.client(socket_timeout=0.2, socket_connect_timeout=0.2)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        turn = 0
        while not self._stop.wait(1 / self.rate):
            turn += 1
            try:
                if self._db is None:
                    self._db = self._connect()
                product = self.bed.products[turn % len(self.bed.products)]
                self._unsent.append(shop.reserve(self._db, {product: 1}, self.ttl_s))
                self.reserved += 1
                self._mirror(self._db)
            except psycopg.Error:
                if self._db is not None:
                    self._db.conn.close()
                self._db = None

    def _connect(self) -> Database:
        bed = self.bed.db
        conn = bed.connect(connect_timeout=2, options="-c statement_timeout=2000")
        return Database(bed.server, bed.name, conn)

    def _mirror(self, db: Database) -> None:
        if not self.mirrors or time.monotonic() < self._deaf_until:
            return
        try:
            entries = expires_ms(db, self._unsent)
            if entries:
                self._redis.zadd(PENDING, entries)
            self._unsent.clear()
        except redis_py.RedisError:
            self._deaf_until = time.monotonic() + 0.3

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()
        if self._db is not None:
            self._db.conn.close()


class Bed:
    """A fresh database and an empty Redis on servers that outlive it."""

    def __init__(self, pg: Postgres, redis_server: Redis, trade: Trade | None = None) -> None:
        self.pg = pg
        self.redis_server = redis_server
        self.trade = trade or Trade()
        self.db = self.trade.create(pg)
        self.products = self.trade.add_products(self.db)
        self.redis = redis_server.client(socket_timeout=10)
        self.redis.flushall()
        self.sweepers: list[Sweeper] = []
        self.traffics: list[Traffic] = []
        self._pulse = Pulse()

    # ---- the parts ------------------------------------------------------------------------------

    def start(self, *args: str, **options: Any) -> Sweeper:
        options.setdefault("dsn", self.db.dsn)
        options.setdefault("redis_url", self.redis_server.url())
        self.sweepers.append(Sweeper(*DAEMON, *args, **options))
        return self.sweepers[-1]

    @contextmanager
    def traffic(self, **options: Any) -> Iterator[Traffic]:
        self.traffics.append(Traffic(self, **options))
        try:
            yield self.traffics[-1]
        finally:
            self.traffics.pop().stop()

    def stream(self, n: int, rate: float, delay_s: float = 0.0) -> list[str]:
        """n reservations that expire one after the other, the first after delay_s."""
        gap = f"i * interval '{1e6 / rate:.0f} microseconds'"
        expires = f"clock_timestamp() + interval '{delay_s} s' + {gap}"
        return shop.bulk_reserve(self.db, n, self.products, expires)

    def reconnect(self) -> None:
        """After Postgres was away. It may answer once, before it knows that a backend has died."""

        def connected() -> bool:
            try:
                self.db.reconnect()
                return True
            except psycopg.OperationalError:
                return False

        wait_until(connected, 30, "Postgres answers")

    def close(self) -> None:
        """Every sweeper that still runs must end in order."""
        for traffic in self.traffics:
            traffic.stop()
        self._pulse.stop()
        problems = []
        for one in self.sweepers:
            try:
                status = one.stop()
                one.check_reports()
                assert one.expected_status in (None, status), one.tail()
            except AssertionError as problem:
                problems.append(str(problem))
        self.redis.close()
        self.db.drop()
        assert not problems, "\n".join(problems)

    # ---- what was seen --------------------------------------------------------------------------

    def overdue(self) -> int:
        return self.trade.overdue(self.db)

    def lateness(self, since: float = 0.0, until: float = 4e9) -> list[float]:
        """Seconds by which releases of what expired within these moments were late, sorted."""
        rows = self.db.query(
            "SELECT extract(epoch FROM at - expires_at)::float8 FROM audit WHERE sweeper"
            " AND expires_at BETWEEN to_timestamp(%s) AND to_timestamp(%s) ORDER BY 1",
            (since, until),
        )
        return [row[0] for row in rows]

    def in_time(self, seconds: float) -> float:
        """So long on an idle machine; more by what this one has kept everybody waiting."""
        return within(seconds) + self._pulse.slack_s()

    def wait_for_releases(self, since: float, n: int = 25) -> None:
        """Of what expires after that moment."""
        wait_until(
            lambda: len(self.lateness(since)) >= n, 15, f"{n} releases after {since:.3f}", step=0.1
        )

    # ---- what must hold -------------------------------------------------------------------------

    def check_always(self) -> None:
        """At any moment, also in the middle of a fault."""
        self.trade.check(self.db)

    def settled_entries(self) -> list[str]:
        """Ids that Redis still holds though Postgres has settled them. Those that it holds for later
        are forgotten when their time comes: they were extended, then bought."""
        soon_ms = (time.time() + SOON_S) * 1000
        ids = {
            id.decode()
            for id in self.redis.zrangebyscore(self.trade.key("pending"), "-inf", soon_ms)
            + self.redis.zrange(self.trade.key("inflight"), 0, -1)
            + self.redis.hkeys(self.trade.key("failed"))
            + self.redis.hkeys(self.trade.key("kept"))
        }
        odd = []
        for member in self.redis.zrange(self.trade.key("leases"), 0, -1):
            try:
                ids |= {id.decode() for id in ids_of(member)}
            except (AssertionError, KeyError):  # a stranger's, until its time has come
                odd.append(repr(member))
        return sorted(ids - self.trade.active(self.db, sorted(ids))) + odd

    def until_tidied(self, timeout: float = 10.0) -> None:
        """Redis holds nothing any more of what it holds now though Postgres has settled it. An API
        that is busy, and forgets to tell Redis, leaves others there meanwhile."""
        held = set(self.settled_entries())
        wait_until(
            lambda: held.intersection(self.settled_entries()),
            timeout,
            "Redis is tidy",
            step=0.05,
            met=operator.not_,
        )

    def check_settled(self, timeout: float = 10.0) -> None:
        """Once the faults are over, and the API is: nothing is left to do, in either server."""
        wait_until(lambda: self.overdue() == 0, timeout, "nothing is overdue", step=0.05)
        wait_until(self.settled_entries, timeout, "Redis is tidy", step=0.05, met=operator.not_)
        self.check_always()


def answers(db: Database) -> bool:
    try:
        return bool(db.value("SELECT true"))
    except psycopg.OperationalError:
        return False


def drifted(bed: Bed, n: int, products: list[str]) -> list[str]:
    """Reservations that are due and whose products' counters would go below zero."""
    ids = shop.bulk_reserve(bed.db, n, products, "clock_timestamp()")
    bed.db.conn.execute(
        "UPDATE inventory SET available_stock = total_stock, reserved_stock = 0"
        " WHERE product_id = ANY (%s::uuid[])",
        (products,),
    )
    return ids


def fix(bed: Bed, products: list[str]) -> None:
    bed.db.conn.execute(
        """
        UPDATE inventory i SET reserved_stock = held, available_stock = total_stock - held
          FROM (SELECT product_id, sum(quantity) AS held FROM inventory_reservations
                 WHERE status = 'active' GROUP BY 1) r
         WHERE r.product_id = i.product_id AND i.product_id = ANY (%s::uuid[])
        """,
        (products,),
    )


def complaints(records: list[Record]) -> list[str]:
    """What an operator is bothered with."""
    return [
        f"{r['message']}: {r.get('error', '')}" for r in records if r["level"] in ("WARN", "ERROR")
    ]
