"""Several queues in one daemon, their file read anew, and statements of `also`, while something fails."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bed import Bed
from harness.locks import sweepers, transaction
from harness.poll import until_ready, wait_until, within
from harness.proxy import CLIENT, SERVER, Proxy
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper
from harness.web import readyz
from other_trades import Warehouse
from trade import Trade

EXACT_S = 0.1
QUEUE = """
{name}:
  table: inventory_reservations
  quantity: quantity
  active: status = 'active'
  released: status = 'released', updated_at = now()
  feed_interval: 1s
  stock:
    table: inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
"""


def start(*servers: Postgres | Redis) -> None:
    """What a failed test left behind."""
    for server in servers:
        if not server.running:
            server.start()


# ---- Statements of `also`


@pytest.fixture
def warehouse(hurt_pg: Postgres, hurt_redis: Redis) -> Iterator[Bed]:
    """Its orders expire with their last hold, by a statement of `also`."""
    start(hurt_pg, hurt_redis)
    one = Bed(hurt_pg, hurt_redis, Warehouse())
    yield one
    one.close()


def orders(bed: Bed, n: int, ttl_s: float = 0.2) -> list[str]:
    return [bed.trade.reserve(bed.db, bed.products[i : i + 2], ttl_s) for i in range(n)]


def expired(bed: Bed, n: int) -> None:
    done = "SELECT count(*) FROM orders WHERE status = 'EXPIRED'"
    wait_until(lambda: bed.db.value(done) == n, 20, f"{n} orders have expired")
    bed.check_settled()


IN_ALSO = "wait_event_type = 'Lock' AND query LIKE '%%rs$released%%'"


def end_backend(bed: Bed, how: str) -> bool:
    """In `also`: where it is seen there, and not a moment later."""
    ended = bed.db.query(
        f"SELECT {how}(pid) FROM pg_stat_activity WHERE datname = %s AND {IN_ALSO}", (bed.db.name,)
    )
    return bool(ended)


@pytest.mark.parametrize("how", ["pg_terminate_backend", "pg_cancel_backend"])
def test_postgres_ends_it_in_also(warehouse: Bed, how: str) -> None:
    """Rows and counters have changed by then: they are as before, and all is done later, once."""
    daemon = warehouse.start(*warehouse.trade.options, "--lock-timeout", "900ms", "--feed-interval", "1s")
    daemon.wait_for_record("Postgres connected")
    for turn in range(1, 4):
        held = orders(warehouse, 4)[turn]
        with transaction(warehouse.db, ("SELECT FROM orders WHERE id = %s FOR UPDATE", (held,))):
            wait_until(lambda: end_backend(warehouse, how), 20, "a statement of also waits", step=0.0)
            warehouse.check_always()
            assert held in warehouse.trade.active(warehouse.db, [held])
        expired(warehouse, 4 * turn)


@pytest.mark.parametrize("let_go", [False, True])
def test_killed_in_also(warehouse: Bed, let_go: bool) -> None:
    """What it has sent is done by Postgres as a whole, or not at all: the next sweeper does it once."""
    options = (*warehouse.trade.options, "--lock-timeout", "900ms")
    for turn in range(1, 4):
        daemon = warehouse.start(*options)
        daemon.wait_for_record("Postgres connected")
        held = orders(warehouse, 4)[turn]
        with transaction(warehouse.db, ("SELECT FROM orders WHERE id = %s FOR UPDATE", (held,))) as order:
            wait_until(lambda: sweepers(warehouse.db, IN_ALSO), 20, "a statement of also waits", step=0.0)
            daemon.kill()
            warehouse.check_always()
            if let_go:
                order.rollback()
            wait_until(lambda: not sweepers(warehouse.db), 20, "Postgres is done with it")
            warehouse.check_always()
        daemon = warehouse.start(*options)
        expired(warehouse, 4 * turn)
        daemon.stop()


# How much still passes, of what is sent from the first statement of `also` on, or of the answers to it.
CUTS = [(sender, after) for sender in (CLIENT, SERVER) for after in (0, 40, 150, 400, 1000)]


def test_the_connection_is_cut_at_also(warehouse: Bed) -> None:
    with Proxy(warehouse.pg.port) as proxy:
        daemon = warehouse.start(
            *warehouse.trade.options, "--prepare", "off", "--feed-interval", "1s",
            dsn=proxy.through(warehouse.db.dsn),
        )  # fmt: skip
        daemon.wait_for_record("Postgres connected")
        done = 0
        for sender, after in CUTS:
            trap = proxy.cut_after(after, sender, b"rs$released")
            done += len(orders(warehouse, 3))
            if after < 1000:
                assert trap.sprung.wait(within(20)), f"never {after} bytes of the {sender}"
            warehouse.check_always()
            proxy.heal()
            expired(warehouse, done)


# ---- Two queues


class Named(Trade):
    def __init__(self, name: str) -> None:
        self.queue = name


class Two:
    """Two queues of a file, each on a server of its own, and a daemon that serves both."""

    def __init__(self, beds: list[Bed], file: Path) -> None:
        self.beds = beds
        self.first, self.second = beds
        self.file = file
        self.write()

    def write(self, *more: str) -> None:
        """With these lines in addition for the queues, in order."""
        lines = [*more, "", ""]
        text = QUEUE.format(name="first") + lines[0] + QUEUE.format(name="second") + "  database: OTHER\n" + lines[1]
        self.file.write_text(text, encoding="utf-8")

    def start(self) -> Sweeper:
        daemon = self.first.start(
            *("--queues", str(self.file)), env={"OTHER_DATABASE_URL": self.second.db.dsn}, http=True
        )
        until_ready(daemon)
        return daemon

    def all_released(self, *n: int) -> None:
        for bed, number in zip(self.beds, n, strict=True):
            wait_until(lambda b=bed, n=number: len(b.lateness()) == n, 30, "all are released", step=0.05)
            bed.check_settled()


def mirrored(bed: Bed, n: int) -> list[str]:
    """Some that no feed has to find, known for longer than a sweeper sleeps at most (half a second)."""
    ids = bed.stream(n, rate=40, delay_s=0.7)
    bed.redis.zadd(bed.trade.key("pending"), bed.trade.due_ms(bed.db, ids))
    return ids


@pytest.fixture(scope="module")
def another_pg() -> Iterator[Postgres]:
    server = Postgres(fsync=False)
    server.start()
    yield server
    server.close()


@pytest.fixture
def two(hurt_pg: Postgres, another_pg: Postgres, hurt_redis: Redis, tmp_path: Path) -> Iterator[Two]:
    start(hurt_pg, another_pg, hurt_redis)
    beds = [Bed(pg, hurt_redis, Named(name)) for pg, name in ((hurt_pg, "first"), (another_pg, "second"))]
    yield Two(beds, tmp_path / "queues.yaml")
    for bed in beds:
        bed.close()


def killed(server: Postgres) -> Callable[[], None]:
    server.kill9()
    return server.start


def stopped(server: Postgres) -> Callable[[], None]:
    """It accepts, and answers nothing."""
    server.pause()
    return server.resume


AWAY = "queue second: Postgres is out of reach"


def away(daemon: Sweeper) -> bool:
    status, body = readyz(daemon)
    return status == 503 and body["reason"].startswith(AWAY) and [q["ready"] for q in body["queues"]] == [True, False]


@pytest.mark.parametrize("fault", [killed, stopped], ids=["killed", "stopped"])
def test_one_server_is_away(two: Two, fault: Callable[[Postgres], Callable[[], None]]) -> None:
    """The other queue is as exact as ever, from the first moment on, and readiness says which is late."""
    daemon = two.start()
    two.second.stream(200, rate=40, delay_s=0.5)
    two.second.wait_for_releases(0)
    began = time.time()
    heal = fault(two.second.pg)
    try:
        n = 0
        while not away(daemon) or n < 200:
            assert time.time() < began + within(60), readyz(daemon)
            n += len(mirrored(two.first, 20))
            wait_until(lambda n=n: len(two.first.lateness()) == n, 15, "its own go on", step=0.03)
        assert daemon.http("/readyz?queue=first")[0] == 200
    finally:
        heal()
    late = two.first.lateness(began)[-1]
    assert late <= two.first.in_time(EXACT_S), f"{late:.3f} s late"
    two.second.reconnect()
    two.all_released(n, 200)
    until_ready(daemon)


def test_the_file_is_read_anew_during_an_outage(two: Two) -> None:
    """What cannot be proved does not come to be, the rest goes on; and later it does."""
    daemon = two.start()
    heal = killed(two.second.pg)
    wait_until(lambda: away(daemon), 60, "one is away")
    two.write("", "  batch_size: 7\n")
    os.kill(daemon.pid, signal.SIGHUP)
    said = daemon.wait_for_record("The queues file cannot be used", 30)
    assert said["level"] == "ERROR" and "out of reach" in said["error"], said
    two.first.stream(20, rate=100)
    wait_until(lambda: len(two.first.lateness()) == 20, 15, "its own go on")
    assert away(daemon) and not daemon.find("Reloaded")
    heal()
    two.second.reconnect()
    until_ready(daemon)
    os.kill(daemon.pid, signal.SIGHUP)
    assert daemon.wait_for_record("Reloaded", 30)["changed"] == 1
    two.second.stream(20, rate=100)
    two.all_released(20, 20)


def test_the_file_is_read_anew_without_redis(two: Two) -> None:
    daemon = two.start()
    two.first.redis_server.kill9()
    try:
        wait_until(lambda: readyz(daemon)[1].get("degraded"), 30, "it is without Redis")
        two.write("  workers: 2\n", "  batch_size: 7\n")
        os.kill(daemon.pid, signal.SIGHUP)
        assert daemon.wait_for_record("Reloaded", 30)["changed"] == 2
        for bed in two.beds:
            bed.stream(20, rate=100)
            wait_until(lambda b=bed: len(b.lateness()) == 20, 15, "straight from Postgres")
    finally:
        two.first.redis_server.start()
    wait_until(lambda: not readyz(daemon)[1].get("degraded"), 30, "Redis is used again")
    two.all_released(20, 20)


@pytest.mark.parametrize("order", [(signal.SIGHUP, signal.SIGTERM), (signal.SIGTERM, signal.SIGHUP)])
def test_the_end_while_a_file_is_proved(two: Two, order: tuple[signal.Signals, ...]) -> None:
    """The proof hangs: the server answers nothing. The end is in order and in time."""
    daemon = two.start()
    heal = stopped(two.second.pg)
    try:
        two.write("  workers: 2\n", "  batch_size: 7\n")
        for signo in order:
            os.kill(daemon.pid, signo)
        assert daemon.wait(within(8) + 5) == 0
    finally:
        heal()
    assert daemon.find("Stopped") and not daemon.find("Reloaded")


def test_one_has_the_older_file(two: Two) -> None:
    """As in a deployment: a grace more, and a queue that the other does not know yet. None is released
    twice, or before what either file says."""
    older = two.start()
    two.write("  after: 300ms\n")
    newer = two.start()
    with two.first.traffic(mirrors=False, ttl_s=0.5) as traffic:
        two.first.wait_for_releases(0, 60)
        two.first.check_always()
        os.kill(older.pid, signal.SIGHUP)
        assert older.wait_for_record("Reloaded", 30)["changed"] == 1
        changed = time.time() + 1
        two.first.wait_for_releases(changed, 30)
    two.all_released(traffic.reserved, 0)
    assert two.first.lateness(changed)[0] >= 0.3
    assert json.loads(newer.http("/status")[1])["queues"][0]["queue"] == "first"
