"""Postgres fails over: two real servers with streaming replication that change places. Whatever was
lost on the way, what the server in use says is released once, and on time again by itself.

With -s each test prints how late it was."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bed import Bed
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until, within
from harness.queue import is_empty
from harness.servers import Postgres, Redis
from harness.standby import Pair

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
    one.close()


def move(bed: Bed, server: Postgres) -> None:
    """The test looks at this server from now on, as the API does."""
    bed.db.conn.close()
    bed.pg = server
    bed.db = Database(server, bed.db.name, server.connect(bed.db.name))


def begin(bed: Bed, pair: Pair, seconds: float, *args: str) -> int:
    """Reservations that expire one after the other, of which some are released. Returns how many."""
    n = int(seconds * RATE)
    bed.stream(n, RATE, delay_s=0.5)
    daemon = bed.start(*args, dsn=pair.dsn(bed.db.name))
    daemon.wait_for_record("Postgres connected")
    wait_until(lambda: len(bed.lateness()) > RATE / 2, 10, "releases at the first one")
    pair.wait_until_level()
    return n


def check_back(bed: Bed, n: int, since: float, back_s: float, what: str) -> None:
    """All is released, once, and on time from so many seconds after that moment on."""
    wait_until(lambda: shop.count_status(bed.db, "released") == n, 30, "all are released")
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
    assert after <= bed.in_time(EXACT_S), f"{after:.3f} s late"
    bed.check_settled()


def sessions(server: Postgres) -> int:
    """Of sweepers, at one server."""
    with server.connect("postgres") as conn:
        row = conn.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {SWEEPERS}").fetchone()
    return row[0] if row else 0


@pytest.mark.short
def test_the_primary_is_killed(bed: Bed, pair: Pair) -> None:
    """And comes back as a standby, to which nobody connects for longer than it takes to see that."""
    n = begin(bed, pair, 6)
    pair.first.kill9()
    time.sleep(1.0)  # somebody has to find out, and to decide
    new = pair.promote()
    since = time.time()
    move(bed, new)
    pair.rewind()
    check_back(bed, n, since, BACK_S, "killed")
    moved = bed.sweepers[0].find("Another of Postgres's hosts is used")
    assert [r["server"] for r in moved] == [f"host=127.0.0.1 port={new.port}"]
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
