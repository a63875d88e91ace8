"""Postgres fails over: two real servers with streaming replication that change places. Whatever was
lost on the way, what the server in use says is released once, and on time again by itself.

With -s each test prints how late it was."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bed import Bed
from harness import shop
from harness.database import Database
from harness.frozen import freeze
from harness.pgbouncer import PgBouncer
from harness.poll import holds, wait_until, within
from harness.queue import mirror
from harness.servers import Postgres, Redis
from harness.standby import Pair
from harness.web import metric

RATE = 40
BACK_S = within(2.0)  # on time again, from the moment that there is a primary, if none hangs
HANGS_S = within(5.0)  # ... if the former one hangs: a release that is given up, with a lease of 2 s
EXACT_S = 0.1
SWEEPERS = "application_name LIKE 'reservation-sweeper%'"


@pytest.fixture
def pair() -> Iterator[Pair]:
    one = Pair()
    yield one
    one.close()


@pytest.fixture
def bed(pair: Pair, hurt_redis: Redis) -> Iterator[Bed]:
    one = Bed(pair.first, hurt_redis)
    yield one
    if pair.primary.running:
        pair.wait_for_standby("")  # dropping the database would
    one.close()


def move(bed: Bed, server: Postgres) -> None:
    """The test looks at this server from now on, as the API does."""
    bed.db.conn.close()
    bed.pg = server
    bed.db = Database(server, bed.db.name, server.connect(bed.db.name))


def begin(bed: Bed, pair: Pair, seconds: float, *args: str, **options: Any) -> int:
    """Reservations that expire one after the other, of which some are released. Returns how many."""
    n = int(within(seconds) * RATE)
    bed.stream(n, RATE, delay_s=0.5)
    options.setdefault("dsn", pair.dsn(bed.db.name))
    daemon = bed.start(*args, **options)
    daemon.wait_for_record("Postgres connected")
    wait_until(lambda: len(bed.lateness()) > RATE / 2, 10, "releases at the first one")
    pair.wait_until_level()
    return n


def check_back(
    bed: Bed, n: int, since: float, back_s: float, what: str, exact_s: float = EXACT_S
) -> None:
    """All is released, once, and on time from so many seconds after that moment on. Whatever has
    become of those that there were meanwhile, some more come, as from an API that mirrors them."""
    mirror(bed.db, bed.redis, *bed.stream(RATE, RATE, delay_s=back_s))
    n += RATE
    wait_until(lambda: shop.count_status(bed.db, "released") == n, 60, "all are released")
    rows = bed.db.query(
        "SELECT extract(epoch FROM expires_at)::float8, extract(epoch FROM at)::float8"
        " FROM audit WHERE at > to_timestamp(%s) ORDER BY at",
        (since,),
    )
    waited = max((at for expires, at in rows if expires <= since), default=since) - since
    after = max(at - expires for expires, at in rows if expires > since + back_s)
    print(
        f"\n{what}: what was due then was released {waited:.2f} s after it;"
        f" what was due later, {max(at - e for e, at in rows if e > since):.2f} s late at most"
    )
    assert waited <= back_s, f"{waited:.3f} s"
    assert after <= bed.in_time(exact_s), f"{after:.3f} s late"
    bed.check_settled()


def sessions(server: Postgres, which: str = "(worker|feed)") -> int:
    """Of sweepers, at one server: of workers and feeds, or of all."""
    with server.connect("postgres") as conn:
        row = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ %s",
            (f"^reservation-sweeper {which}",),
        ).fetchone()
    return row[0] if row else 0


@pytest.mark.short
def test_the_primary_is_killed(bed: Bed, pair: Pair) -> None:
    """And comes back as a standby, to which nobody connects for longer than it takes to see that."""
    n = begin(bed, pair, 6, http=True)
    pair.first.kill9()
    time.sleep(1.0)  # somebody has to find out, and to decide
    new = pair.promote()
    since = time.time()
    move(bed, new)
    pair.rewind()
    check_back(bed, n, since, BACK_S, "killed")
    moved = bed.sweepers[0].find("Another of Postgres's hosts is used")
    node = f"host=127.0.0.1 port={new.port}"
    assert [r["server"] for r in moved] == [node]
    assert json.loads(bed.sweepers[0].http("/status")[1])["postgres"]["node"] == node
    assert sessions(new) == 2 and sessions(pair.first) == 0


def test_the_primary_hangs(bed: Bed, pair: Pair) -> None:
    """It takes connections and says nothing. When it goes on it is still a primary, as nobody has
    told it anything else: who has left it does not return."""
    n = begin(bed, pair, 9)
    pair.first.pause()
    new = pair.promote()
    since = time.time()
    move(bed, new)
    wait_until(lambda: sessions(new) == 2, HANGS_S, "both connections are at the new one")
    pair.first.resume()
    with pair.first.connect(bed.db.name) as conn:
        before = conn.execute("SELECT count(*) FROM audit").fetchone()
        check_back(bed, n, since, HANGS_S, "hung")
        assert sessions(new) == 2
        # What was on its way when it stopped is all that it has released since.
        after = conn.execute("SELECT count(*) FROM audit").fetchone()
        assert before and after and after[0] - before[0] <= 5
    wait_until(lambda: sessions(pair.first) == 0, 5, "nobody is at the former one")


def test_a_former_primary_takes_nobody_back(bed: Bed, pair: Pair) -> None:
    """It hung while the other one was promoted, and is a primary still. While the new one is away it
    would be the only one that can be written to: but its timeline is behind."""
    n = begin(bed, pair, 9)
    daemon = bed.sweepers[0]
    pair.first.pause()
    new = pair.promote()
    move(bed, new)
    wait_until(lambda: sessions(new) == 2, HANGS_S, "both connections are at the new one")
    pair.first.resume()
    with pair.first.connect(bed.db.name) as conn:
        before = conn.execute("SELECT max(at) FROM audit").fetchone()
        new.stop()
        record = daemon.wait_for_record("Postgres is out of reach", 10)
        time.sleep(1.0)  # several attempts
        new.start()
        since = time.time()
        bed.db.reconnect()
        check_back(bed, n, since, BACK_S, "the new one was away")
        assert conn.execute("SELECT max(at) FROM audit").fetchone() == before
    assert "is a former primary (timeline 1; 2 has been seen)" in record["error"]


@pytest.mark.parametrize("back", ["rewind", "back_up"])
def test_there_and_back(bed: Bed, pair: Pair, back: str) -> None:
    """In order: the primary is stopped, the other one promoted, the former one made its standby; and
    the same again. Its sessions end with each server that is stopped."""
    n = begin(bed, pair, 8)
    for _ in range(2):
        old = pair.primary
        old.stop()
        new = pair.promote()
        since = time.time()
        move(bed, new)
        getattr(pair, back)()
        wait_until(lambda: bed.lateness(since + 0.5), 10, "releases there", step=0.05)
        pair.wait_until_level()
    check_back(bed, n, since, BACK_S, "there and back")
    assert len(bed.sweepers[0].find("Another of Postgres's hosts is used")) == 2
    assert sessions(pair.standby) == 0


def stop_sending(pair: Pair) -> None:
    """The standby gets nothing more, as by a slow network."""
    with pair.primary.connect("postgres") as conn:
        row = conn.execute("SELECT pid FROM pg_stat_replication").fetchone()
    assert row
    freeze(pair.primary, row[0])


@pytest.mark.parametrize("lost_s", [1.0])
def test_the_last_second_is_lost(bed: Bed, pair: Pair, lost_s: float) -> None:
    """Asynchronous replication: what was released then is due again on the new one, and Redis has no
    entry for it any more. It is found at once, and released once there."""
    n = begin(bed, pair, 6)
    stop_sending(pair)
    cut = time.time()
    wait_until(lambda: len(bed.lateness(cut)) > RATE * lost_s, 10, "releases that nobody else has")
    ids = {r[0] for r in bed.db.query("SELECT id::text FROM audit")}
    pair.first.kill9()
    new = pair.promote()
    since = time.time()
    move(bed, new)
    there = bed.db.query("SELECT id::text FROM audit WHERE at < to_timestamp(%s)", (since,))
    undone = ids - {row[0] for row in there}
    assert len(undone) >= RATE * lost_s / 2
    check_back(bed, n, since, BACK_S, f"{len(undone)} releases lost")


def waiting(server: Postgres) -> int:
    """Sessions of sweepers that wait for a standby."""
    with server.connect("postgres") as conn:
        row = conn.execute(
            f"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND {SWEEPERS}"
        ).fetchone()
    return row[0] if row else 0


def comes_back(pair: Pair) -> None:
    pair.standby.resume()


def is_given_up(pair: Pair) -> None:
    """What waits goes on when the setting is read anew."""
    pair.wait_for_standby("")


def is_cancelled(pair: Pair) -> None:
    """By somebody who did not know what else to do: committed here all the same, with a warning."""
    pair.wait_for_standby("")
    with pair.primary.connect("postgres") as conn:
        conn.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        )


@pytest.mark.parametrize("end", [comes_back, is_given_up, is_cancelled], ids=lambda f: f.__name__)
def test_a_synchronous_standby_is_gone(
    bed: Bed, pair: Pair, end: Callable[[Pair], None]
) -> None:
    """COMMIT waits without end. One session does, whatever the sweeper tries; it is said."""
    n = begin(bed, pair, 15, "--workers", "3", http=True)
    daemon = bed.sweepers[0]
    pair.wait_for_standby("*")
    pair.standby.pause()
    daemon.wait_for_record("A release waits at its COMMIT for a synchronous standby", 20)
    holds(lambda: waiting(pair.first) == 1, 2.0, "one session waits")
    assert sessions(pair.first, "") <= 3 + 1 + 1 + 1  # workers, feed, who asks, who waits
    since = time.time()
    end(pair)
    daemon.wait_for_record("Releases wait for no synchronous standby any more", 10)
    # Commits may wait for another server still, and releases for the commits of others.
    check_back(bed, n, since, HANGS_S, end.__name__, exact_s=1.0)
    n += RATE
    released = metric(daemon, "released_total")
    assert released <= n <= released + metric(daemon, "unknown_commits_total")
    pair.standby.resume()


def test_releases_that_wait_for_no_standby(bed: Bed, pair: Pair) -> None:
    """With synchronous_commit off for them they go on."""
    bed.db.conn.execute("DROP TRIGGER audit ON inventory_reservations")
    pair.wait_for_standby("*")
    pair.standby.pause()
    with bed.db.connect() as conn:
        conn.execute("SET synchronous_commit = local")
        ids = shop.bulk_reserve(Database(pair.first, bed.db.name, conn), 40, bed.products, "now()")
    daemon = bed.start("--synchronous-commit", "off")
    wait_until(lambda: shop.count_status(bed.db, "released") == len(ids), 10, "all are released")
    assert not daemon.find("A release waits at its COMMIT")


@pytest.fixture
def pooler(pair: Pair, bed: Bed) -> Iterator[PgBouncer]:
    one = PgBouncer(pair.first, server_login_retry=1)
    one.names = [bed.db.name]
    one.start()
    yield one
    one.close()


def dies(pair: Pair, pooler: PgBouncer) -> None:
    """Whoever sees to it tells the pooler afterwards."""
    pair.first.kill9()
    pooler.move(pair.promote())


def in_order(pair: Pair, pooler: PgBouncer) -> None:
    """Nobody's connection ends: the pooler holds them until the new primary is there."""
    pooler.tell("PAUSE")
    pair.first.stop()
    pooler.move(pair.promote())
    pooler.tell("RESUME")


def unnoticed(pair: Pair, pooler: PgBouncer) -> None:
    """The pooler moves between two transactions, to one that has not got the last second."""
    stop_sending(pair)
    time.sleep(1.0)
    pooler.move(pair.promote())


def too_early(pair: Pair, pooler: PgBouncer) -> None:
    """To the standby, which is promoted afterwards. PgBouncer says of it for ever that it is one."""
    pooler.move(pair.standby)
    wait_until(lambda: pooler.reports("in_hot_standby") == "on", 10, "the pooler says so")
    time.sleep(1.0)
    pair.promote()


@pytest.mark.parametrize("how", [dies, in_order, unnoticed, too_early], ids=lambda f: f.__name__)
def test_a_pooler_moves(
    bed: Bed, pair: Pair, pooler: PgBouncer, how: Callable[[Pair, PgBouncer], None]
) -> None:
    """The sweeper's connections to it may stay. What tells of the other server is its answers."""
    n = begin(bed, pair, 12, dsn=pooler.dsn(bed.db.name))
    asked, before = time.time(), pooler.clients(bed.db.name)
    how(pair, pooler)
    move(bed, pair.primary)
    since = asked + (1.0 if how in (unnoticed, too_early) else 0.0)
    check_back(bed, n, since, BACK_S, f"pooler, {how.__name__}")
    if how is too_early:  # the first one may have kept its connections
        assert pooler.reports("in_hot_standby") == "on"
        bed.start(dsn=pooler.dsn(bed.db.name)).wait_for_record("Postgres connected")
    told = bed.sweepers[0].find("Another Postgres is behind the same connection")
    lost = bed.sweepers[0].find("Postgres ")
    stayed = before <= pooler.clients(bed.db.name)  # a new one would have told
    assert told or not stayed, bed.sweepers[0].tail()
    if how in (in_order, unnoticed):
        assert not any(r["level"] == "WARN" for r in lost), "no connection is lost"
