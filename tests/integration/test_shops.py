"""The shops of examples/shops, each with its own queues file: what is due is released as the shop
would have done it by hand, and nothing else changes, whatever happens in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import yaml
from harness import shops
from harness.locks import SLOW, sweepers
from harness.poll import wait_until
from harness.servers import Postgres, Redis
from harness.shops import Shop, differences
from harness.sweeper import Finished, Sweeper, run_once

DUE = 60
BACKLOG = 400
SOON_DUE = ("--lookahead", "3s", "--feed-interval", "1s", "--scan-interval", "1s")


@pytest.fixture(params=shops.NAMES)
def shop(request: pytest.FixtureRequest, pg_server: Postgres, redis: redis_py.Redis) -> Iterator[Shop]:
    with shops.opened(request.param, pg_server) as one:
        yield one


class Desk:
    """Runs the sweeper for a shop; what still runs at the end must stop in order."""

    def __init__(self, shop: Shop, redis_url: str) -> None:
        self.shop = shop
        self.redis_url = redis_url
        self.daemons: list[Sweeper] = []

    def run(self, *args: str) -> Finished:
        return run_once(*args, redis_url=self.redis_url, env=self.shop.env())

    def start(self, *args: str) -> Sweeper:
        self.daemons.append(Sweeper(*args, redis_url=self.redis_url, env=self.shop.env()))
        return self.daemons[-1]


@pytest.fixture
def desk(shop: Shop, redis_server: Redis) -> Iterator[Desk]:
    one = Desk(shop, redis_server.url())
    yield one
    for daemon in one.daemons:
        daemon.until_stoppable()
        status = daemon.stop()
        daemon.check_reports()
        assert daemon.expected_status in (None, status), daemon.tail()


def verdicts(done: Finished) -> set[str]:
    return {line.split(None, 1)[0] for line in done.stdout.splitlines() if line}


def test_check_config(shop: Shop, desk: Desk) -> None:
    shop.fill(DUE)
    before = shop.books()
    done = desk.run("--check-config")
    assert done.status == 0, done.stdout + done.stderr
    assert "FAIL" not in verdicts(done)
    assert not differences(shop.books(), before)


def test_rehearse(shop: Shop, desk: Desk) -> None:
    shop.fill(DUE)
    before = shop.books()
    done = desk.run("--rehearse", "3")
    assert done.status == 0, done.stdout + done.stderr
    assert not differences(shop.books(), before)


def test_dry_run(shop: Shop, desk: Desk, redis: redis_py.Redis) -> None:
    shop.fill(DUE)
    before = shop.books()
    done = desk.run("--once", "--dry-run")
    assert done.status == 0, done.stdout + done.stderr
    assert done.record("Cleanup job completed")["cleanedCount"] >= DUE
    assert not differences(shop.books(), before) and not redis.dbsize()


def test_once(shop: Shop, desk: Desk) -> None:
    shop.fill(DUE, soon=0)
    wanted = shop.released()
    done = desk.run("--once")
    assert done.status == 0, done.stdout + done.stderr
    assert not differences(shop.books(), wanted)
    shop.check()


def test_daemon(shop: Shop, desk: Desk) -> None:
    shop.fill(DUE)
    wanted = shop.released()
    desk.start(*SOON_DUE)
    wait_until(lambda: shop.left() == 0, 20, "all releases")
    assert not differences(shop.books(), wanted)
    shop.check()


@contextmanager
def held_in_the_middle(shop: Shop, statements: int) -> Iterator[None]:
    """So many statements change holds, and then none comes to its end until this has."""
    (table,) = {t for t in re.findall(r"^  table: (.*)$", shop.file.read_text(), flags=re.M)}
    shop.db.conn.execute(
        "CREATE SEQUENCE public.changes;"
        " CREATE FUNCTION public.hold_it() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        f" $$BEGIN IF nextval('public.changes') > {statements} THEN PERFORM pg_sleep(600); END IF;"
        " RETURN NULL; END$$;"
        f" CREATE TRIGGER hold_it AFTER UPDATE OR DELETE ON {table.strip(chr(39))}"
        " EXECUTE FUNCTION public.hold_it()"
    )
    yield
    for pid in sweepers(shop.db):
        shop.db.conn.execute("SELECT pg_terminate_backend(%s)", (pid,))
    wait_until(lambda: not sweepers(shop.db), 20, "its sessions have ended")
    shop.db.conn.execute("DROP FUNCTION public.hold_it CASCADE; DROP SEQUENCE public.changes")


def test_killed_in_the_middle(shop: Shop, desk: Desk) -> None:
    shop.fill(BACKLOG)
    wanted, due = shop.released(), shop.left()
    with held_in_the_middle(shop, 2):
        daemon = desk.start("--batch-size", "10", "--lease", "1s", *SOON_DUE)
        wait_until(lambda: shop.left() < due and sweepers(shop.db, SLOW), 20, "it is in the middle")
        daemon.kill()
    shop.check()
    assert 0 < shop.left() < due
    desk.start("--lease", "1s", *SOON_DUE)
    wait_until(lambda: shop.left() == 0, 30, "all releases")
    assert not differences(shop.books(), wanted)
    shop.check()


def test_two_sweepers(shop: Shop, desk: Desk) -> None:
    shop.fill(BACKLOG)
    wanted = shop.released()
    two = [desk.start("--batch-size", "10", *SOON_DUE) for _ in range(2)]
    wait_until(lambda: shop.left() == 0, 30, "all releases")
    assert all(one.running for one in two)
    assert not differences(shop.books(), wanted)
    shop.check()


def keys_of(file: Path) -> set[str]:
    """Of a queues file; those below another with its name in front."""
    found: set[str] = set()
    for queue in yaml.load(file.read_text(encoding="utf-8"), yaml.BaseLoader).values():
        for key, value in queue.items():
            below = value if key in ("stock", "keep") else {}
            found |= {key} | {f"{key}.{name}" for name in below}
    return found


def test_every_key_is_used() -> None:
    """By one of the shops at least, or by one that faults are made for."""
    page = (shops.ROOT / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
    table = page.partition("\n## The queues file\n")[2].partition("\n## ")[0]
    known = re.findall(r"^\| `([a-z_.]+)` \|", table, flags=re.M)
    assert "stock.counted" in known and "keep.extend" in known
    files = [*shops.EXAMPLES.glob("*/queues.yaml"), *(shops.ROOT / "tests" / "fault").glob("*.yaml")]
    used = set().union(*map(keys_of, files))
    assert set(known) <= used, set(known) - used
