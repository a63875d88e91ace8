"""SWEEPER_SYNCHRONOUS_COMMIT: which releases do not wait for the disk, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.checking import Check
from harness.database import Database
from harness.pgbouncer import PgBouncer
from harness.poll import wait_until
from harness.queue import mirror
from harness.servers import Postgres
from harness.sweeper import ALONE, Run, Start, Sweeper

OFF = ("--synchronous-commit", "off")
NO_REDIS = "redis://127.0.0.1:1"
COMES_TO = "What SWEEPER_SYNCHRONOUS_COMMIT comes to"
# No trigger: a constraint that notes by whom a row is changed, and what the setting is then.
WATCH = """
    CREATE TABLE seen (who text, setting text);
    CREATE FUNCTION watch() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO seen VALUES (current_setting('application_name'),
                                 current_setting('synchronous_commit'));
        RETURN true;
    END$$;
    ALTER TABLE inventory_reservations ADD CONSTRAINT watched CHECK (watch());
    TRUNCATE seen
"""
TRIGGER = """
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER shops AFTER UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION nothing()
"""


@pytest.fixture
def product(db: Database) -> str:
    db.conn.execute(WATCH)
    return shop.add_product(db, stock=1000)


def release(db: Database, redis: redis_py.Redis, product: str, n: int = 3) -> list[str]:
    """n of them, one transaction each; what the setting was for each."""
    db.conn.execute("TRUNCATE seen")
    for i in range(1, n + 1):
        id = shop.reserve(db, {product: 1}, ttl_s=0)
        mirror(db, redis, id)
        wait_until(lambda i=i: len(settings(db)) == i, 20, "a release")
    return settings(db)


def settings(db: Database, who: str = "reservation-sweeper%") -> list[str]:
    """In the order of the releases."""
    return [
        row[0]
        for row in db.query("SELECT setting FROM seen WHERE who LIKE %s ORDER BY ctid", (who,))
    ]


def said(daemon: Sweeper) -> list[str]:
    return [str(record["reason"]) for record in daemon.find(COMES_TO)]


@pytest.mark.parametrize("prepare", ["auto", "off", "on"])
def test_off(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str, prepare: str
) -> None:
    """From the first release of a connection on, which sees itself whose session it is."""
    daemon = sweeper(*ALONE, *OFF, "--prepare", prepare)
    assert release(db, redis, product) == ["off", "off", "off"]
    assert db.value("SHOW synchronous_commit") == "on"
    assert said(daemon) == []


def test_on_leaves_the_servers_own_alone(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str
) -> None:
    db.conn.execute(f"ALTER DATABASE {db.name} SET synchronous_commit = remote_write")
    daemon = sweeper(*ALONE)
    assert release(db, redis, product) == ["remote_write"] * 3
    assert said(daemon) == []


@pytest.mark.parametrize("args", [(), OFF], ids=["on", "off"])
@pytest.mark.parametrize("own", ["off", "local"])
def test_a_default_of_the_database(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str, own: str, args: tuple
) -> None:
    """Said with `on`, which it is not as it seems; `off` is what it says."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET synchronous_commit = {own}")
    daemon = sweeper(*ALONE, *args)
    assert release(db, redis, product) == ["off" if args else own] * 3
    assert [f"synchronous_commit is {own}" in text for text in said(daemon)] == [True] * (not args)


def test_in_direct_mode(db: Database, sweeper: Start, product: str) -> None:
    sweeper(*ALONE, *OFF, redis_url=NO_REDIS)
    for n in (1, 2, 3):
        shop.reserve(db, {product: 1}, ttl_s=0)
        wait_until(lambda n=n: shop.count_status(db, "released") == n, 20, "a release")
    assert settings(db, "reservation-sweeper worker%") == ["off", "off", "off"]


def test_explained_while_a_standby_is_awaited(
    private_pg: Callable[..., Postgres], redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """Of the reservation whose COMMIT waits, and of one that has nothing to do with it."""
    server = private_pg(synchronous_standby_names="nobody", synchronous_commit="local")
    db = Database.create(server)
    ids = [shop.reserve(db, {shop.add_product(db, stock=10): 1}, ttl_s=-5) for _ in range(2)]
    db.conn.execute(f"ALTER DATABASE {db.name} SET synchronous_commit = on")
    mirror(db, redis, ids[0])
    sweeper(*ALONE, dsn=db.dsn)
    waits = "SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_until(lambda: db.value(waits), 20, "a COMMIT waits")

    def explained(id: str) -> dict[str, Any]:
        done = run("--explain", id, dsn=db.dsn)
        assert done.status == 0, done.stderr
        return json.loads(done.stdout)

    for id, whose in zip(ids, ("its release", "another release"), strict=True):
        wait_until(lambda id=id: explained(id)["cause"] == "standbyAwaited", 10, "it is said")
        said = explained(id)
        assert f"{whose}, of pid {db.value(waits)}, has waited at its COMMIT" in said["why"], said
        assert "synchronous_standby_names is nobody" in said["why"]
        assert "A synchronous standby is gone" in said["todo"]
    db.conn.execute("SELECT pg_cancel_backend(%s)", (db.value(waits),))
    wait_until(lambda: explained(ids[0])["cause"] == "inactive", 20, "it is released")


def test_a_backlog(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str
) -> None:
    """Whatever the way of a release."""
    sweeper(*ALONE, *OFF, "--batch-size", "200")
    assert release(db, redis, product, 2) == ["off", "off"]
    mirror(db, redis, *shop.bulk_reserve(db, 1000, [product]))
    wait_until(lambda: shop.count_status(db, "released") == 1002, 20, "the backlog")
    assert settings(db) == ["off"] * 1002


def test_what_ends_by_itself_waits(
    db: Database, redis: redis_py.Redis, run: Run, product: str
) -> None:
    for mode in ("--once", "--reconcile"):
        shop.bulk_reserve(db, 500, [product])
        run(mode, *OFF, "--batch-size", "100")
    assert settings(db) == ["on"] * 1000


def test_a_sweep_that_was_asked_for_waits(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str
) -> None:
    token = "a-token-of-16-bytes"
    daemon = sweeper(*ALONE, *OFF, http=True, env={"SWEEPER_ADMIN_TOKEN": token})
    assert release(db, redis, product) == ["off", "off", "off"]
    shop.bulk_reserve(db, 600, [product])
    status, body = daemon.http("/sweep", "POST", token=token)
    assert (status, body) == (200, '{"cleanedCount":600}\n')
    assert settings(db, "reservation-sweeper sweep") == ["on"] * 600


@pytest.mark.parametrize("prepare", ["auto", "on", "off"])
def test_a_pooler(
    db: Database,
    redis: redis_py.Redis,
    sweeper: Start,
    product: str,
    pooler: PgBouncer,
    prepare: str,
) -> None:
    args = (*ALONE, *OFF, "--prepare", prepare)
    daemon = sweeper(*args, dsn=pooler.dsn(db.name))
    assert release(db, redis, product, 5) == ["on"] * 5
    assert len(said(daemon)) == 1 and "pooler" in said(daemon)[0]


def test_a_trigger_of_the_shops(
    db: Database, redis: redis_py.Redis, sweeper: Start, product: str
) -> None:
    """Also one that comes while the daemon runs."""
    daemon = sweeper(*ALONE, *OFF)
    assert release(db, redis, product) == ["off", "off", "off"]
    db.conn.execute(TRIGGER)
    wait_until(lambda: "on" in release(db, redis, product, 1), 20, "it is noticed")
    assert release(db, redis, product) == ["on"] * 3
    assert len(said(daemon)) == 1 and "triggers" in said(daemon)[0]


@pytest.mark.parametrize("why", ["pooler", "trigger", "server"])
def test_check_config(db: Database, check: Check, pooler: PgBouncer, why: str) -> None:
    if why == "trigger":
        db.conn.execute(TRIGGER)
    if why == "server":
        db.conn.execute(f"ALTER DATABASE {db.name} SET synchronous_commit = off")
    dsn = pooler.dsn(db.name) if why == "pooler" else db.dsn
    args = () if why == "server" else OFF
    done = check(*args, dsn=dsn)
    notes = [line for line in done.stdout.splitlines() if "for the disk" in line]
    assert len(notes) == 1 and why in notes[0] and notes[0].startswith("note"), done.stdout
    if why != "server":
        assert "for the disk" not in check(dsn=dsn).stdout


def test_check_config_has_nothing_to_say(db: Database, check: Check) -> None:
    assert "for the disk" not in check(*OFF).stdout
