"""Columns that change their types under the running sweeper, and tables that are replaced.

Whatever a migration makes of a table: nothing is released early, and all goes on within seconds.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import sweepers
from harness.poll import holds, until_ready, wait_until, within
from harness.queue import PENDING, is_empty
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Run, Start, Sweeper
from harness.web import metric

ZONES = ["America/New_York", "Asia/Tokyo"]
MINUTES = (1, 10, 60, 180)
CHANGED = "A column that is used has changed"
TOKEN = "only-for-migrations"
TO_ZONE = (
    "ALTER TABLE inventory_reservations ALTER expires_at TYPE timestamptz"
    " USING expires_at AT TIME ZONE 'UTC'"
)
TO_PLAIN = (
    "ALTER TABLE inventory_reservations ALTER expires_at TYPE timestamp"
    " USING expires_at AT TIME ZONE 'UTC'"
)


def set_zone(db: Database, zone: str) -> None:
    """Of every session that begins from now on."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET timezone = '{zone}'")
    db.reconnect()


def plain(db: Database) -> bool:
    """expires_at has no zone: it is UTC."""
    kind = db.value(
        "SELECT atttypid::regtype::text FROM pg_attribute"
        " WHERE attrelid = 'inventory_reservations'::regclass AND attname = 'expires_at'"
    )
    return kind == "timestamp without time zone"


def due(db: Database, seconds: float) -> str:
    """An SQL expression for now + seconds in the type of expires_at."""
    now = "(now() AT TIME ZONE 'UTC')" if plain(db) else "now()"
    return f"{now} + {seconds} * interval '1 second'"


def hold(db: Database, product: str, seconds: float, id: str | None = None) -> str:
    id = id or str(uuid.uuid4())
    db.conn.execute(
        "WITH moved AS (UPDATE inventory SET available_stock = available_stock - 1,"
        " reserved_stock = reserved_stock + 1 WHERE product_id = %s RETURNING product_id)"
        " INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        f" SELECT %s, product_id, 1, {due(db, seconds)} FROM moved",
        (product, id),
    )
    return id


def status(db: Database, id: str) -> object:
    return db.value("SELECT status FROM inventory_reservations WHERE id::text = %s", (id,))


def released(db: Database, id: str) -> Callable[[], bool]:
    return lambda: status(db, id) == "released"


def early_entries(redis: redis_py.Redis, ids: list[str]) -> None:
    redis.zadd(PENDING, dict.fromkeys(ids, time.time() * 1000))


def looked(daemon: Sweeper) -> bool:
    return metric(daemon, "feed_last_success_timestamp_seconds") > 0


def changed_to(daemon: Sweeper) -> object:
    """What the last record of a change says."""
    return (daemon.find(CHANGED) or [{}])[-1].get("to")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("to", ["timestamptz", "timestamp"])
def test_expiry_with_early_entries(
    db: Database, redis: redis_py.Redis, sweeper: Start, zone: str, to: str
) -> None:
    """Every hold is pointed to at once: none is released, and what is due later is on time."""
    set_zone(db, zone)
    if to == "timestamptz":
        db.conn.execute(TO_PLAIN)
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "500ms", http=True)
    until_ready(daemon)
    holds_ahead = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    soon = hold(db, product, 3)
    db.conn.execute(TO_ZONE if to == "timestamptz" else TO_PLAIN)
    early_entries(redis, [*holds_ahead, soon])
    overdue = hold(db, product, -4 * 3600)
    early_entries(redis, [overdue])
    wait_until(released(db, overdue), 5, "what is due is released after the migration")
    wait_until(released(db, soon), 6, "and what comes due")
    later = hold(db, product, 0.5)
    wait_until(released(db, later), 4, "and what is new")
    assert shop.statuses(db) == {"active": len(MINUTES), "released": 3}
    record = daemon.wait_for_record(CHANGED)
    assert record["column"] == "expires_at" and "timestamp" in record["from"] + record["to"]
    zoned = "timestamp with time zone not null"
    assert (record["to"] if to == "timestamptz" else record["from"]) == zoned
    assert len(daemon.find(CHANGED)) == 1
    assert not [r for r in daemon.records if r["level"] == "ERROR"]
    late = db.value(
        "SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin) -"
        f" {'expires_at' if to == 'timestamptz' else 'expires_at AT TIME ZONE ' + repr('UTC')})"
        "::float8 FROM inventory_reservations WHERE id = %s",
        (later,),
    )
    assert isinstance(late, float) and 0 <= late < within(1)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("by", ["POST /sweep", "direct mode", "the scan"])
def test_expiry_by_every_way(
    db: Database,
    private_redis: Callable[..., Redis],
    sweeper: Start,
    zone: str,
    by: str,
) -> None:
    """The migration happens while nothing is looked at; the next look is of one kind."""
    set_zone(db, zone)
    db.conn.execute(TO_PLAIN)
    cache = private_redis()
    product = shop.add_product(db)
    scan = "1s" if by == "the scan" else "off"
    daemon = sweeper(
        *("--feed-interval", "1s" if by == "the scan" else "300s"),
        *("--scan-interval", scan, "--lookahead", "4h" if scan == "1s" else "off"),
        env={"SWEEPER_ADMIN_TOKEN": TOKEN},
        redis_url=cache.url(),
        http=True,
    )
    until_ready(daemon)
    wait_until(lambda: looked(daemon), 10, "the first look is over")
    extended = by == "the scan"
    ahead = [hold(db, product, 4 if extended else 60 * minutes) for minutes in MINUTES]
    if extended:
        wait_until(lambda: cache.client().zcard(PENDING) == len(MINUTES), 3, "mirrored")
        for id, minutes in zip(ahead, MINUTES, strict=True):
            db.conn.execute(
                f"UPDATE inventory_reservations SET expires_at = {due(db, 60 * minutes)}"
                " WHERE id = %s",
                (id,),
            )
    db.conn.execute(TO_ZONE)
    overdue = hold(db, product, -600)
    if by == "POST /sweep":
        assert daemon.http("/sweep", "POST", TOKEN) == (200, '{"cleanedCount":1}\n')
    elif by == "direct mode":
        cache.kill9()
    wait_until(released(db, overdue), 10, "what is due")
    again = hold(db, product, 1)
    if by != "POST /sweep":
        wait_until(released(db, again), 8, "what comes due")
    holds(lambda: all(status(db, id) == "active" for id in ahead), 5 if extended else 1, "early")
    assert not [r for r in daemon.records if r["level"] == "ERROR"]


@pytest.mark.parametrize("zone", ZONES)
def test_expiry_while_once_is_at_work(db: Database, sweeper: Start, zone: str) -> None:
    """It tries again what somebody holds locked; meanwhile the column changes."""
    set_zone(db, zone)
    db.conn.execute(TO_PLAIN)
    free, held = shop.add_product(db), shop.add_product(db)
    first = hold(db, free, -1)
    ahead = [hold(db, free, 60 * minutes) for minutes in MINUTES]
    locked = hold(db, held, -1)
    with psycopg.connect(db.dsn) as checkout:
        checkout.execute("SELECT FROM inventory WHERE product_id = %s FOR UPDATE", (held,))
        once = sweeper("--once")
        wait_until(released(db, first), 10, "what is free")
        db.conn.execute(TO_ZONE)
        wait_until(lambda: once.find(CHANGED), 5, "noticed")
    assert once.wait() == 0
    assert once.wait_for_record("completed")["cleanedCount"] == 2
    assert status(db, locked) == "released"
    assert all(status(db, id) == "active" for id in ahead)


@pytest.mark.parametrize("zone", ZONES)
def test_expiry_and_a_restart(
    private_pg: Callable[..., Postgres], redis: redis_py.Redis, sweeper: Start, zone: str
) -> None:
    """Migrated while the sweeper had no connection."""
    server = private_pg()
    db = Database.create(server)
    set_zone(db, zone)
    db.conn.execute(TO_PLAIN)
    product = shop.add_product(db)
    daemon = sweeper(*ALONE, dsn=db.dsn, http=True)
    until_ready(daemon)
    with server.connect("postgres") as conn:
        conn.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS false")
    server.restart()
    daemon.wait_for_record("out of reach")
    with server.connect("postgres") as conn:
        conn.execute(f"ALTER DATABASE {db.name} ALLOW_CONNECTIONS true")
    db.reconnect()
    db.conn.execute(TO_ZONE)
    ahead = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    overdue = hold(db, product, -60)
    early_entries(redis, [*ahead, overdue])
    wait_until(released(db, overdue), 10, "what is due")
    assert all(status(db, id) == "active" for id in ahead)
    db.conn.close()


@pytest.mark.parametrize("column", ["inventory_reservations", "inventory"])
@pytest.mark.parametrize("zone", ZONES)
def test_updated_at(
    db: Database, redis: redis_py.Redis, sweeper: Start, zone: str, column: str
) -> None:
    """What is written is the moment, in the type that the column has by now."""
    set_zone(db, zone)
    product = shop.add_product(db)
    until_ready(sweeper(*ALONE, http=True))
    db.conn.execute(
        f"ALTER TABLE {column} ALTER updated_at DROP DEFAULT,"
        " ALTER updated_at TYPE timestamp USING updated_at AT TIME ZONE 'UTC'"
    )
    db.conn.execute(f"ALTER TABLE {column} ALTER updated_at SET DEFAULT now() AT TIME ZONE 'UTC'")
    id = hold(db, product, -1)
    early_entries(redis, [id])
    wait_until(released(db, id), 5, "the release")
    age = f"SELECT abs(extract(epoch FROM now() AT TIME ZONE 'UTC' - updated_at)) FROM {column}"
    assert float(str(db.value(age))) < 60


IDS = {
    "integer to bigint": ("integer", "bigint", "7", str(2**31 + 7)),
    "bigint to text": ("bigint", "text", "7", "a text"),
    "uuid to text": ("uuid", "text", str(uuid.uuid4()), "no uuid"),
    "text to uuid": ("text", "uuid", str(uuid.uuid4()), str(uuid.uuid4())),
    "varchar to text": ("varchar(40)", "text", "seven", "e" * 60),
    "text to a domain": ("text", "shop_id", "seven", "eight"),
}


@pytest.mark.parametrize("change", IDS)
@pytest.mark.parametrize("mirrored", [False, True], ids=["entries", "mirrored"])
def test_ids_that_widen(
    db: Database, redis: redis_py.Redis, sweeper: Start, change: str, mirrored: bool
) -> None:
    """An entry that cannot be an id by the types known is not discarded on their word."""
    before, after, old, new = IDS[change]
    db.conn.execute("CREATE DOMAIN shop_id AS text; CREATE DOMAIN shop_no AS shop_id")
    db.conn.execute(
        f"ALTER TABLE inventory_reservations ALTER id TYPE {before} USING id::text::{before}"
    )
    product = shop.add_product(db)
    daemon = sweeper(*(("--feed-interval", "500ms") if mirrored else ALONE), http=True)
    until_ready(daemon)
    first = hold(db, product, -1, old)
    if not mirrored:
        early_entries(redis, [first])
    wait_until(released(db, first), 10, "the old type")
    wait_until(lambda: is_empty(redis), 10, "settled")
    db.conn.execute(
        f"ALTER TABLE inventory_reservations ALTER id TYPE {after} USING id::text::{after}"
    )
    second = hold(db, product, 0.5, new)
    if not mirrored:
        early_entries(redis, [second])
    wait_until(released(db, second), 5, "the new type")
    record = daemon.wait_for_record(CHANGED)
    assert record["column"] == "id" and record["to"].startswith(after)
    assert not [r for r in daemon.records if r["level"] == "ERROR"]


def test_quantities_that_widen(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "500ms", "--scan-interval", "1s", http=True)
    until_ready(daemon)
    for count, kind in enumerate(("integer", "bigint", "numeric"), 1):
        db.conn.execute(f"ALTER TABLE inventory_reservations ALTER quantity TYPE {kind}")
        id = hold(db, product, 0.3)
        wait_until(released(db, id), 5, kind)
        assert shop.stock(db, product) == (100, 100, 0), kind
        if count > 1:
            wait_until(lambda n=count: len(daemon.find(CHANGED)) == n - 1, 10, "noticed")
    db.conn.execute("ALTER TABLE inventory_reservations ALTER quantity DROP NOT NULL")
    wait_until(lambda: changed_to(daemon) == "numeric", 10, "nullability is noticed")
    db.conn.execute("ALTER TABLE inventory DROP total_stock CASCADE")
    wait_until(lambda: changed_to(daemon) == "none", 10, "a column that went")


@pytest.mark.parametrize("zone", ZONES)
def test_a_table_that_is_replaced(
    db: Database, redis: redis_py.Redis, sweeper: Start, zone: str
) -> None:
    """Renamed, and another of other types in its place; for a moment there is none."""
    set_zone(db, zone)
    db.conn.execute(TO_PLAIN)
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "500ms", http=True)
    until_ready(daemon)
    old = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    db.conn.execute("ALTER TABLE inventory_reservations RENAME TO reservations_before")
    early_entries(redis, old[:1])
    daemon.wait_for_record("The database cannot be used as it is")
    db.conn.execute(
        "CREATE TABLE inventory_reservations (id text, product_id uuid, quantity bigint,"
        " expires_at timestamptz, status varchar(20) DEFAULT 'active', updated_at timestamp);"
        "INSERT INTO inventory_reservations SELECT id::text, product_id, quantity,"
        " expires_at AT TIME ZONE 'UTC', status, updated_at FROM reservations_before"
    )
    early_entries(redis, old)
    overdue = hold(db, product, -60, "by another name")
    wait_until(released(db, overdue), 5, "what is due in the new table")
    assert all(status(db, id) == "active" for id in old)
    assert daemon.wait_for_record("has been replaced")["table"] == "inventory_reservations"
    daemon.wait_for_record("The database can be used again")
    wait_until(lambda: daemon.http("/readyz")[0] == 200, 5, "ready again")


def test_a_table_that_the_search_path_finds_first(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    set_zone(db, ZONES[0])
    db.conn.execute("CREATE SCHEMA new")
    db.conn.execute(f"ALTER DATABASE {db.name} SET search_path = new, public")
    db.reconnect()
    product = shop.add_product(db)
    daemon = sweeper(*ALONE, http=True)
    until_ready(daemon)
    db.conn.execute(
        "CREATE TABLE new.inventory_reservations"
        " (LIKE public.inventory_reservations INCLUDING ALL);"
        "ALTER TABLE new.inventory_reservations ALTER expires_at TYPE timestamp"
    )
    ahead = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    overdue = hold(db, product, -1)
    early_entries(redis, [*ahead, overdue])
    wait_until(released(db, overdue), 5, "what is due")
    assert all(status(db, id) == "active" for id in ahead)


def test_a_lock_for_long_and_a_batch_under_way(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """A migration that holds the table for seconds, as in one of many statements."""
    set_zone(db, ZONES[0])
    db.conn.execute(TO_PLAIN)
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "500ms", http=True)
    until_ready(daemon)
    ahead = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    overdue = [hold(db, product, 1 + n / 20) for n in range(40)]
    with psycopg.connect(db.dsn) as migration:
        migration.execute(TO_ZONE)
        early_entries(redis, [*ahead, *overdue])
        time.sleep(4)
        migration.commit()
    wait_until(lambda: shop.count_status(db, "released") == 40, 10, "what is due")
    assert all(status(db, id) == "active" for id in ahead)
    assert shop.stock(db, product) == (100, 96, 4)
    assert not [r for r in daemon.records if r["level"] == "ERROR"]


@pytest.mark.parametrize("zone", ZONES)
def test_a_shadowed_now(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, zone: str) -> None:
    """Functions, types and operators of the shop's, which its search_path finds first."""
    set_zone(db, zone)
    product = shop.add_product(db)
    ahead = [hold(db, product, 60 * minutes) for minutes in MINUTES]
    overdue = hold(db, product, -1)
    db.conn.execute(
        "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE"
        " AS $$SELECT pg_catalog.now() + interval '1 day'$$;"
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS $$SELECT pg_catalog.now() + interval '1 day'$$;"
        "CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql"
        " AS $$SELECT 'nothing'$$;"
        "CREATE FUNCTION public.always(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql"
        " AS $$SELECT true$$;"
        "CREATE OPERATOR public.<= (LEFTARG = pg_catalog.timestamptz,"
        " RIGHTARG = pg_catalog.timestamptz, FUNCTION = public.always);"
        "CREATE DOMAIN public.text AS pg_catalog.text CHECK (false);"
        "CREATE DOMAIN public.timestamptz AS pg_catalog.timestamptz CHECK (false);"
        "CREATE DOMAIN public.uuid AS pg_catalog.uuid CHECK (false);"
        f"ALTER DATABASE {db.name} SET search_path = public, pg_catalog"
    )
    daemon = sweeper("--feed-interval", "500ms", http=True)
    early_entries(redis, [*ahead, overdue])
    wait_until(lambda: shop.count_status(db, "released") == 1, 10, "what is due")
    assert run("--once").record("completed")["cleanedCount"] == 0
    assert run("--reconcile").status in (0, 3)
    until_ready(daemon)
    assert shop.statuses(db) == {"active": len(MINUTES), "released": 1}


def test_entries_that_are_no_ids(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """They are still discarded, and each is said, a few a minute."""
    daemon = sweeper(*ALONE, http=True)
    until_ready(daemon)
    early_entries(redis, [f"no uuid {n}" for n in range(2000)])
    wait_until(lambda: is_empty(redis), 10, "discarded")
    assert metric(daemon, 'discarded_total{reason="invalid"}') == 2000
    record = daemon.wait_for_record("cannot be an id")
    assert record["level"] == "WARN" and record["reservationId"].startswith("no uuid")
    assert len(daemon.find("cannot be an id")) <= 20
    assert sweepers(db)


def test_a_trigger_that_keeps_plans(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """A session's plans of a trigger's statements fit the former table: they go with the session."""
    db.conn.execute(
        """
        CREATE TABLE history (id uuid, expires_at timestamptz);
        CREATE FUNCTION history() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            INSERT INTO history VALUES (OLD.id, OLD.expires_at);
            RETURN NULL;
        END$$;
        CREATE TRIGGER history AFTER UPDATE ON inventory_reservations FOR EACH ROW
            EXECUTE FUNCTION history();
        """
    )
    product = shop.add_product(db)
    daemon = sweeper("--feed-interval", "300ms")
    daemon.wait_for_record("Postgres connected", 20)
    for change in (TO_PLAIN, TO_ZONE):
        wait_until(released(db, hold(db, product, 0.1)), 20, "before the change")
        db.conn.execute(change)
    wait_until(released(db, hold(db, product, 0.1)), 10, "after it")
