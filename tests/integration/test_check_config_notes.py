"""--check-config: what is worth knowing, what is in order, and that nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from harness import shop
from harness.checking import (
    HELD,
    NO_STATUS_RULES,
    PRODUCT,
    RESERVATIONS,
    Check,
    dsn_of,
    fingerprint,
    prepare,
    verdicts,
)
from harness.database import Database
from harness.locks import transaction
from harness.servers import Postgres
from harness.sweeper import Run, Sweeper

# ---- what is worth knowing ------------------------------------------------------------------------

NOTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "triggers": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER audit AFTER UPDATE ON inventory_reservations EXECUTE FUNCTION f();"
        "CREATE TRIGGER born AFTER INSERT ON inventory EXECUTE FUNCTION f()",
        ("triggers of table inventory_reservations", "audit"),
    ),
    "no quantity": (
        HELD + "ALTER TABLE inventory_reservations ALTER quantity DROP NOT NULL;"
        "UPDATE inventory_reservations SET quantity = NULL WHERE quantity = 2",
        ("1 active rows of table inventory_reservations have no quantity",),
    ),
    "no number of units": (
        "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric;"
        + HELD
        + "UPDATE inventory_reservations SET quantity = 'NaN'",
        ("2 active rows of table inventory_reservations have no quantity",),
    ),
    "no expiry": (
        HELD + "ALTER TABLE inventory_reservations ALTER expires_at DROP NOT NULL;"
        "UPDATE inventory_reservations SET expires_at = NULL",
        ("2 active rows", "no expires_at", "never due"),
    ),
    "no counter": (
        HELD + "DELETE FROM inventory",
        ("2 active rows", "no row in table inventory"),
    ),
    "no unique counter": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey",
        ("no unique index of table inventory", "CREATE UNIQUE INDEX ON inventory (product_id)"),
    ),
    "a partial unique counter": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;"
        "CREATE UNIQUE INDEX ON inventory (product_id) WHERE reserved_stock > 0",
        ("no unique index of table inventory",),
    ),
    "a quiet moment": (
        HELD + "UPDATE inventory_reservations SET status = 'committed'",
        ("no row", "status = 'active' now", "'committed' (2)"),
    ),
    "states of the shop's own": (
        NO_STATUS_RULES + HELD + "UPDATE inventory_reservations"
        " SET status = CASE quantity WHEN 1 THEN 'cancelled' ELSE 'released' END",
        ("'cancelled' (1), 'released' (1)",),
    ),
    "local times": (
        "ALTER TABLE inventory_reservations ALTER expires_at TYPE timestamp;"
        "ALTER DATABASE {name} SET timezone = 'America/New_York'",
        ("expires_at has no time zone", "America/New_York"),
    ),
    "a policy": (
        HELD + "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY everything ON inventory USING (true)",
        ("row security of table inventory", "everything"),
    ),
    "a lookup that may not be read": (
        NO_STATUS_RULES + "CREATE TABLE states (name text PRIMARY KEY);"
        "INSERT INTO states VALUES ('active'), ('released'); ALTER TABLE inventory_reservations"
        " ADD CONSTRAINT known FOREIGN KEY (status) REFERENCES states",
        ("whether known lets", "cannot be told", "permission denied"),
    ),
}


@pytest.mark.parametrize("note", NOTES)
def test_a_note(db: Database, role: str, check: Check, note: str) -> None:
    sql, words = NOTES[note]
    prepare(db, sql)
    done = check(dsn=dsn_of(db))
    assert done.status == 0, done.stdout
    found = [line for line in verdicts(done, "note") if all(word in line for word in words)]
    assert len(found) == 1, done.stdout
    assert "born" not in done.stdout
    assert "may become released" not in done.stdout or "cannot be told" not in words


def test_a_view_of_counters(db: Database, run: Run, check: Check) -> None:
    """Postgres makes an UPDATE of the table of it: it is served."""
    prepare(db, HELD + "ALTER TABLE inventory RENAME TO i; CREATE VIEW inventory AS TABLE i")
    done = check()
    assert done.status == 0 and "inventory is a view" in "\n".join(verdicts(done, "note"))
    assert "CREATE UNIQUE INDEX" not in done.stdout
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 2
    shop.check_stock_adds_up(db)


def test_sql_ascii(pg_server: Postgres, run: Run) -> None:
    name = "checked_ascii"
    with pg_server.connect("postgres") as conn:
        conn.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    db = Database(pg_server, name, pg_server.connect(name))
    try:
        db.conn.execute(open("sql/schema.sql", encoding="utf-8").read())
        done = run("--check-config", dsn=db.dsn)
        assert done.status == 0
        assert any("SQL_ASCII" in line for line in verdicts(done, "note")), done.stdout
        prepare(db, "ALTER TABLE inventory_reservations ALTER id TYPE text;" + HELD)
        db.conn.execute(
            "UPDATE inventory_reservations SET id = convert_from('\\xff', 'SQL_ASCII') || quantity"
        )
        done = run("--check-config", dsn=db.dsn)
        assert done.status == 0, done.stdout
        assert any(line.startswith("due now: ") for line in verdicts(done, "ok")), done.stdout
    finally:
        db.drop()


def test_a_terminal_is_not_told_to_obey(db: Database, check: Check) -> None:
    prepare(db, NO_STATUS_RULES + HELD.replace("'active'", "E'a\\x1b[2Jb\\u009bc'"))
    done = check()
    assert done.status == 1 and "'a?[2Jb" in done.stdout
    assert "\x1b" not in done.stdout and "\u009b" not in done.stdout


def test_how_many_are_due(db: Database, check: Check) -> None:
    assert any(line.startswith("due now: none") for line in verdicts(check(), "ok"))
    prepare(db, HELD)
    since = db.value(
        "SELECT to_char(min(expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM inventory_reservations"
    )
    (due,) = [line for line in verdicts(check(), "ok") if line.startswith("due now")]
    assert "due now: 2" in due and str(since) in due


# ---- locks, and nothing changed -------------------------------------------------------------------


def test_a_locked_table(db: Database, check: Check, run: Run) -> None:
    """A migration that holds a table: who it is, instead of a wait."""
    for mode in ("ACCESS EXCLUSIVE", "SHARE"):
        lock = (f"LOCK TABLE inventory IN {mode} MODE", None)
        with transaction(db, lock) as conn:
            conn.execute("SET application_name = 'a migration'")
            holder = conn.info.backend_pid
            done = run("--check-config", timeout=10)
        assert done.status == 1
        (failure,) = verdicts(done, "FAIL")
        assert f"table inventory is locked by pid {holder}" in failure
        assert "a migration" in failure and "shop" in failure


def test_a_table_locked_by_a_prepared_transaction(
    private_pg: Callable[..., Postgres], run: Run
) -> None:
    db = Database.create(private_pg(max_prepared_transactions=1))
    for sql in ("BEGIN", "LOCK TABLE inventory", "PREPARE TRANSACTION 'forgotten'"):
        db.conn.execute(sql)
    (failure,) = verdicts(run("--check-config", dsn=db.dsn, timeout=10), "FAIL")
    assert "table inventory is locked by a prepared transaction" in failure
    db.conn.execute("ROLLBACK PREPARED 'forgotten'")
    assert run("--check-config", dsn=db.dsn).status == 0
    db.conn.close()


def test_locked_rows_are_no_fault(db: Database, run: Run) -> None:
    prepare(db, HELD)
    with transaction(db, ("SELECT FROM inventory FOR UPDATE", None)):
        done = run("--check-config", timeout=10)
        assert done.status == 0, done.stdout


def test_not_one_transaction_id(private_pg: Callable[..., Postgres], run: Run) -> None:
    """Not a row, not a lock on one, not a transaction id, and no sequence."""
    db = Database.create(private_pg(autovacuum="off"))
    prepare(db, HELD + "CREATE SEQUENCE orders")
    before = db.value("SELECT txid_snapshot_xmax(txid_current_snapshot())"), fingerprint(db)
    assert run("--check-config", dsn=db.dsn).status == 0
    after = db.value("SELECT txid_snapshot_xmax(txid_current_snapshot())"), fingerprint(db)
    assert after == before
    assert db.query("SELECT last_value, is_called FROM orders") == [(1, False)]
    assert db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    db.conn.close()


def test_others_use_the_connections(db: Database, role: str, check: Check) -> None:
    prepare(db, "ALTER ROLE {role} CONNECTION LIMIT 3")
    with psycopg.connect(dsn_of(db)), psycopg.connect(dsn_of(db)):
        done = check(dsn=dsn_of(db))
    assert done.status == 0
    (note,) = [line for line in verdicts(done, "note") if "room for 1 connections" in line]
    assert "needs 2" in note


def test_few_connections_are_left(private_pg: Callable[..., Postgres], run: Run) -> None:
    server = private_pg(max_connections=8, max_wal_senders=0)
    db = Database.create(server)
    strangers = [db.connect() for _ in range(2)]
    done = run("--check-config", "--workers", "4", dsn=db.dsn)
    assert done.status == 0
    assert any("max_connections" in line for line in verdicts(done, "note")), done.stdout
    for conn in (*strangers, db.conn):
        conn.close()


# ---- what is in order stays in order --------------------------------------------------------------

HEALTHY = {
    "sql/schema.sql": HELD,
    "empty": "",
    "text ids": "ALTER TABLE inventory_reservations ALTER id TYPE text;" + HELD,
    "policies that together let it": HELD
    + "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY held ON inventory_reservations USING (status = 'active');"
    "CREATE POLICY done ON inventory_reservations USING (status = 'released');"
    "CREATE POLICY others ON inventory_reservations AS RESTRICTIVE TO pg_monitor USING (false);",
    "several rows an id": HELD
    + PRODUCT
    + "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
    " SELECT r.id, i.product_id, 1, now() FROM inventory_reservations r, inventory i"
    " WHERE i.product_id <> r.product_id;",
    "partitions": f"""
        DROP TABLE inventory_reservations;
        CREATE TABLE inventory_reservations ({RESERVATIONS}) PARTITION BY HASH (id);
        CREATE TABLE part_0 PARTITION OF inventory_reservations FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE part_1 PARTITION OF inventory_reservations FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        GRANT SELECT, UPDATE ON inventory_reservations TO {{role}};"""
    + HELD,
    "partitions by state and month": f"""
        DROP TABLE inventory_reservations;
        CREATE TABLE inventory_reservations ({RESERVATIONS}) PARTITION BY LIST (status);
        CREATE TABLE live PARTITION OF inventory_reservations FOR VALUES IN ('active');
        CREATE TABLE past PARTITION OF inventory_reservations DEFAULT PARTITION BY RANGE (expires_at);
        CREATE TABLE old PARTITION OF past FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
        CREATE TABLE new PARTITION OF past FOR VALUES FROM ('2020-01-01') TO (MAXVALUE);
        GRANT SELECT, UPDATE ON inventory_reservations TO {{role}};"""
    + HELD,
    "inherited": f"""
        CREATE TABLE archive () INHERITS (inventory_reservations);
        {HELD}
        INSERT INTO archive (id, product_id, quantity, expires_at)
            SELECT gen_random_uuid(), product_id, 1, now() FROM inventory;
        UPDATE inventory SET available_stock = 6, reserved_stock = 4;""",
    "an enum": NO_STATUS_RULES
    + """
        CREATE TYPE state AS ENUM ('active', 'committed', 'released');
        ALTER TABLE inventory_reservations ALTER status TYPE state USING status::state;"""
    + HELD.replace("'active'", "'active'::state"),
    "a domain": NO_STATUS_RULES
    + """
        CREATE DOMAIN state AS text NOT NULL CHECK (VALUE IN ('active', 'committed', 'released'));
        ALTER TABLE inventory_reservations ALTER status TYPE state;"""
    + HELD,
    "a check of two columns": HELD
    + """
        ALTER TABLE inventory_reservations ADD order_id bigint;
        ALTER TABLE inventory_reservations ADD CHECK ((status = 'committed') = (order_id IS NOT NULL));
        INSERT INTO inventory_reservations (id, product_id, quantity, expires_at, status, order_id)
            SELECT gen_random_uuid(), product_id, 1, now(), 'committed', 1 FROM inventory;""",
    "a lookup": NO_STATUS_RULES
    + """
        CREATE TABLE states (name text PRIMARY KEY);
        INSERT INTO states VALUES ('active'), ('committed'), ('released');
        ALTER TABLE inventory_reservations ADD FOREIGN KEY (status) REFERENCES states;
        GRANT SELECT ON states TO {role};"""
    + HELD,
    "one hold a product": HELD.replace("generate_series(1, 2)", "generate_series(1, 1)")
    + "CREATE UNIQUE INDEX ON inventory_reservations (product_id) WHERE status = 'active';",
    "published": "CREATE PUBLICATION all_{name} FOR TABLE inventory, inventory_reservations;" + HELD,
    "another schema": HELD
    + """
        CREATE SCHEMA api;
        ALTER TABLE inventory SET SCHEMA api;
        ALTER TABLE inventory_reservations SET SCHEMA api;
        GRANT USAGE ON SCHEMA api TO {role};
        ALTER ROLE {role} SET search_path = api;""",
    "rows of the past": HELD + "UPDATE inventory_reservations SET status = 'released'",
    "functions of other names first": HELD
    + """
        CREATE SCHEMA odd;
        CREATE FUNCTION odd.count(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
        CREATE FUNCTION odd.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT NULL::regclass';
        GRANT USAGE ON SCHEMA odd TO {role};
        ALTER ROLE {role} SET search_path = odd, public, pg_catalog;""",
}


@pytest.mark.parametrize("health", HEALTHY)
def test_what_is_healthy(
    db: Database, role: str, check: Check, health: str
) -> None:
    """No false alarm, with the documented rights alone; and nothing more is needed to release."""
    prepare(db, HEALTHY[health])
    done = check(dsn=dsn_of(db))
    assert done.status == 0 and not verdicts(done, "FAIL"), done.stdout
    once = Sweeper("--once", dsn=dsn_of(db), redis_url="redis://127.0.0.1:1")
    assert once.wait(30) == 0, once.tail()


def test_reserved_names_are_quoted(db: Database, run: Run) -> None:
    """What is advised can be done."""
    role = f"the-{db.name}"
    db.conn.execute(f'CREATE ROLE "{role}" LOGIN PASSWORD \'pw\' CONNECTION LIMIT 1')
    db.conn.execute(f'GRANT SELECT, UPDATE ON inventory, inventory_reservations TO "{role}"')
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    (failure,) = verdicts(run("--check-config", dsn=dsn), "FAIL")
    db.conn.execute(failure[failure.index("ALTER ROLE") :])
    assert run("--check-config", dsn=dsn).status == 0
    db.conn.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
