"""--check-config: what a release could not do in this database is said before it is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import transaction
from harness.process import free_port
from harness.servers import Postgres
from harness.standby import standby_of
from harness.sweeper import Finished, Run, Sweeper

NO_STATUS_RULES = """
    DROP INDEX inventory_reservations_due, inventory_reservations_active_product;
    ALTER TABLE inventory_reservations ALTER status DROP DEFAULT,
        DROP CONSTRAINT inventory_reservations_status_check;
"""
# Columns without a meaning, for tables that only have to be there.
RESERVATIONS = """
    id uuid NOT NULL, product_id uuid NOT NULL, quantity integer NOT NULL,
    expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',
    updated_at timestamptz NOT NULL DEFAULT now()
"""
PRODUCT = "INSERT INTO inventory VALUES (gen_random_uuid(), 10, 7, 3);"
HELD = (
    PRODUCT
    + """
    INSERT INTO inventory_reservations (id, product_id, quantity, expires_at, status)
        SELECT gen_random_uuid(), product_id, n, now() - interval '5 min', 'active'
        FROM inventory, generate_series(1, 2) n;
"""
)


def verdicts(done: Finished, verdict: str) -> list[str]:
    return [line.split(None, 1)[1] for line in done.stdout.splitlines() if line.startswith(verdict)]


def prepare(db: Database, sql: str) -> None:
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(sql.format(role=role_of(db), name=db.name) or "SELECT")


def role_of(db: Database) -> str:
    return f"sweeper_{db.name}"


def dsn_of(db: Database) -> str:
    return f"postgresql://{role_of(db)}:pw@127.0.0.1:{db.server.port}/{db.name}"


@pytest.fixture
def role(db: Database) -> Iterator[str]:
    """A role with the documented rights, and no others."""
    name = role_of(db)
    db.conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {name}")
    yield name
    db.conn.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}")
    db.conn.execute(f"DROP ROLE {name}")


def fingerprint(db: Database) -> list[tuple]:
    """Every row of every table, with its place, its writer and its lockers."""
    tables = db.query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        " AND NOT EXISTS (SELECT FROM pg_partitioned_table p"
        "                  WHERE p.partrelid = format('%I.%I', schemaname, tablename)::regclass)"
        " ORDER BY 1"
    )
    sums = "SELECT md5(string_agg(concat(t, ctid, xmin, xmax), ',' ORDER BY ctid)) FROM ONLY {} t"
    return [(table, db.value(sums.format(table))) for (table,) in tables]


@pytest.fixture
def check(db: Database, redis: redis_py.Redis, run: Run) -> Callable[..., Finished]:
    """Runs the check, which changes nothing."""

    def run_check(*args: str, **options: object) -> Finished:
        before = fingerprint(db)
        options.setdefault("env", {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})
        done = run("--check-config", *args, **options)
        assert fingerprint(db) == before and redis.dbsize() == 0
        assert done.status == (1 if verdicts(done, "FAIL") else 0), done.stdout + done.stderr
        return done

    return run_check


# ---- what a release cannot do ---------------------------------------------------------------------

# What makes the mistake, and the words that its sentence must have.
MISTAKES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a view of reservations": (
        "ALTER TABLE inventory_reservations RENAME TO r;"
        "CREATE VIEW inventory_reservations AS SELECT * FROM r",
        ("inventory_reservations is a view", "the table itself"),
    ),
    "a materialized view": (
        "ALTER TABLE inventory RENAME TO i; CREATE MATERIALIZED VIEW inventory AS SELECT * FROM i",
        ("inventory is a materialized view", "the table itself"),
    ),
    "a sequence": (
        "ALTER TABLE inventory_reservations RENAME TO r; CREATE SEQUENCE inventory_reservations",
        ("inventory_reservations is a sequence",),
    ),
    "a foreign table": (
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        "DROP TABLE inventory; CREATE FOREIGN TABLE inventory (product_id uuid) SERVER files"
        " OPTIONS (filename '/dev/null')",
        ("inventory is a foreign table",),
    ),
    "a partition on another server": (
        "DROP TABLE inventory_reservations; CREATE EXTENSION file_fdw;"
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;"
        f"CREATE TABLE inventory_reservations ({RESERVATIONS})"
        " PARTITION BY LIST (status);"
        "CREATE FOREIGN TABLE far PARTITION OF inventory_reservations DEFAULT SERVER files"
        " OPTIONS (filename '/dev/null')",
        ("far, a part of table inventory_reservations, is a foreign table", "detach"),
    ),
    "a view that cannot be updated": (
        "ALTER TABLE inventory RENAME TO i;"
        "CREATE VIEW inventory AS SELECT DISTINCT * FROM i",
        ("inventory", "cannot", "updated"),
    ),
    "a generated column": (
        "ALTER TABLE inventory DROP updated_at, ADD updated_at timestamptz"
        " GENERATED ALWAYS AS ('2020-01-01 00:00:00Z') STORED",
        ("updated_at", "428C9", "generated column cannot be written"),
    ),
    "an enum without the state": (
        NO_STATUS_RULES + "CREATE TYPE state AS ENUM ('active', 'expired');"
        "ALTER TABLE inventory_reservations ALTER status TYPE state USING status::state",
        ("released", "22P02", "ALTER TYPE"),
    ),
    "an enum in capitals": (
        NO_STATUS_RULES + "CREATE TYPE state AS ENUM ('ACTIVE', 'RELEASED');"
        "ALTER TABLE inventory_reservations ALTER status TYPE state USING status::state",
        ("active", "22P02", "ALTER TYPE"),
    ),
    "a check without the state": (
        NO_STATUS_RULES + "ALTER TABLE inventory_reservations ADD CONSTRAINT states"
        " CHECK (status IN ('active', 'expired'))",
        ("constraint states", "'released'", "allow it"),
    ),
    "a check that some rows would break": (
        HELD + "ALTER TABLE inventory_reservations ADD CONSTRAINT why"
        " CHECK (status <> 'released' OR quantity < 2)",
        ("constraint why", "for 1 of 2 active rows"),
    ),
    "a domain without the state": (
        NO_STATUS_RULES + "CREATE DOMAIN state AS text CHECK (VALUE IN ('active', 'expired'));"
        "ALTER TABLE inventory_reservations ALTER status TYPE state",
        ("'released'", "domain state", "23514"),
    ),
    "a lookup without the state": (
        NO_STATUS_RULES + "CREATE TABLE states (name text PRIMARY KEY);"
        "INSERT INTO states VALUES ('active'); ALTER TABLE inventory_reservations"
        " ADD CONSTRAINT known FOREIGN KEY (status) REFERENCES states",
        ("foreign key known", "'released'", "INSERT it"),
    ),
    "a column too short for the state": (
        NO_STATUS_RULES + "ALTER TABLE inventory_reservations ALTER status TYPE varchar(6)",
        ("22001", "widen"),
    ),
    "no partition for the state": (
        "DROP TABLE inventory_reservations;"
        f"CREATE TABLE inventory_reservations ({RESERVATIONS}) PARTITION BY LIST (status);"
        "CREATE TABLE live PARTITION OF inventory_reservations FOR VALUES IN ('active')",
        ("no partition of table inventory_reservations", "'released'"),
    ),
    "one released row a product": (
        HELD + "CREATE UNIQUE INDEX once ON inventory_reservations (product_id, status, quantity);"
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at, status)"
        " SELECT gen_random_uuid(), product_id, 1, now(), 'released' FROM inventory",
        ("unique index once", "for 1 of 2 active rows"),
    ),
    "states of other names": (
        NO_STATUS_RULES + HELD.replace("'active'", "'HELD'"),
        ("no row", "status = 'active'", "'HELD' (2)"),
    ),
    "states in capitals": (
        NO_STATUS_RULES + HELD.replace("'active'", "CASE n WHEN 1 THEN 'ACTIVE' ELSE 'released' END"),
        ("'ACTIVE' (1)", "'released' (1)"),
    ),
    "products of two types": (
        "ALTER TABLE inventory ALTER product_id TYPE text",
        ("uuid", "text", "42883", "different types"),
    ),
    "a quantity that is text": (
        "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_quantity_check,"
        " ALTER quantity TYPE text",
        ("text", "42883", "different types"),
    ),
    "published without an identity": (
        "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey;"
        "CREATE PUBLICATION published_{name} FOR TABLE inventory_reservations",
        ("inventory_reservations", "replica identity", "55000", "REPLICA IDENTITY"),
    ),
    "published by a column that is no identity": (
        "CREATE PUBLICATION some_{name} FOR TABLE inventory WHERE (reserved_stock > 0)",
        ("42P10", "REPLICA IDENTITY"),
    ),
    "a rule": (
        "CREATE RULE elsewhere AS ON UPDATE TO inventory DO INSTEAD NOTHING",
        ("0A000", "drop the rule"),
    ),
    "two counters of a product": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;"
        "INSERT INTO inventory SELECT '0123abcd-0000-0000-0000-000000000000'::uuid, 1, 1, 0"
        " FROM generate_series(1, 3)",
        ("0123abcd-0000-0000-0000-000000000000 has 3 rows in table inventory", "UNIQUE"),
    ),
    "in another schema": (
        "CREATE SCHEMA api; ALTER TABLE inventory SET SCHEMA api",
        ("no table inventory", "in the schema api", "search_path"),
    ),
    "a limit of the database": (
        "ALTER DATABASE {name} CONNECTION LIMIT 3",
        ("database", "CONNECTION LIMIT of 3", "needs 4", "CONNECTION LIMIT 4"),
    ),
    "read-only by default": (
        "ALTER ROLE {role} SET default_transaction_read_only = on",
        ("read-only", "default_transaction_read_only = off"),
    ),
    "a limit of the role": (
        "ALTER ROLE {role} CONNECTION LIMIT 1",
        ("role", "CONNECTION LIMIT of 1", "needs 4", "CONNECTION LIMIT 4"),
    ),
    "a schema that may not be used": (
        "CREATE SCHEMA api; ALTER TABLE inventory SET SCHEMA api;"
        "ALTER ROLE {role} SET search_path = api, public",
        ("no table inventory", "api", "lacks USAGE", "GRANT USAGE"),
    ),
    "counters without a policy": (
        PRODUCT + "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY",
        ("row security of table inventory", "no policy", "CREATE POLICY"),
    ),
    "reservations without a policy": (
        "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY",
        ("row security of table inventory_reservations", "no policy", "CREATE POLICY"),
    ),
    "a policy for reading alone": (
        "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY reading ON inventory FOR SELECT USING (true)",
        ("row security of table inventory", "UPDATE"),
    ),
    "a policy of others": (
        "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY theirs ON inventory TO CURRENT_USER USING (true)",
        ("row security of table inventory", "no policy"),
    ),
    "row security that is forced": (
        "ALTER TABLE inventory OWNER TO {role};"
        "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        ("row security of table inventory", "no policy"),
    ),
    "a policy that hides all": (
        HELD + "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY none ON inventory_reservations USING (false)",
        ("sees no row of table inventory_reservations", "CREATE POLICY"),
    ),
    "a policy that hides a counter": (
        HELD + "INSERT INTO inventory VALUES (gen_random_uuid(), 5, 5, 0);"
        "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY small ON inventory USING (total_stock < 10)",
        ("2 active rows are of products", "sees no row in table inventory"),
    ),
    "a policy that asks for itself": (
        "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON inventory"
        " USING (EXISTS (SELECT FROM inventory))",
        ("42P17", "a policy of the table"),
    ),
    "a policy that needs a setting": (
        PRODUCT + "ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY mine ON inventory USING (current_setting('app.tenant') = 'us')",
        ("app.tenant", "42704", "SET it"),
    ),
}
# Those of a role that is no superuser.
OF_THE_ROLE = list(MISTAKES)[list(MISTAKES).index("a limit of the database") :]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said(
    db: Database, role: str, check: Callable[..., Finished], mistake: str
) -> None:
    sql, words = MISTAKES[mistake]
    prepare(db, sql)
    done = check("--workers", "3", **({"dsn": dsn_of(db)} if mistake in OF_THE_ROLE else {}))
    failures = verdicts(done, "FAIL")
    assert done.status == 1
    found = [line for line in failures if all(word in line for word in words)]
    assert len(found) == 1, done.stdout
    # The first is the reason.
    assert done.record("cannot work")["error"] == failures[0]
    assert len(set(failures)) == len(failures)


def test_each_is_said_once(db: Database, check: Callable[..., Finished]) -> None:
    """Fifteen statements refused for one reason are one line."""
    prepare(db, "ALTER TABLE inventory ALTER product_id TYPE text")
    done = check()
    assert len(verdicts(done, "FAIL")) == 1, done.stdout
    assert done.stdout.count("42883") == 1


def test_several_mistakes(db: Database, check: Callable[..., Finished]) -> None:
    """One does not hide the others."""
    for name in ("a check without the state", "two counters of a product", "a rule"):
        prepare(db, MISTAKES[name][0])
    done = check()
    assert len(verdicts(done, "FAIL")) == 3, done.stdout
    assert done.record("cannot work")["failures"] == 3


def test_a_standby(private_pg: Callable[..., Postgres], run: Run) -> None:
    db = Database.create(private_pg(autovacuum="off"))
    with standby_of(db.server) as standby:
        done = run("--check-config", dsn=standby.dsn(db.name), timeout=10)
    (failure,) = verdicts(done, "FAIL")
    assert done.status == 1 and "hot standby" in failure and "name the primary" in failure
    db.conn.close()


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
    "another isolation": (
        "ALTER ROLE {role} SET default_transaction_isolation = 'serializable'",
        ("serializable", "ALTER ROLE", "'read committed'"),
    ),
    "a lookup that may not be read": (
        NO_STATUS_RULES + "CREATE TABLE states (name text PRIMARY KEY);"
        "INSERT INTO states VALUES ('active'), ('released'); ALTER TABLE inventory_reservations"
        " ADD CONSTRAINT known FOREIGN KEY (status) REFERENCES states",
        ("whether known lets", "cannot be told", "permission denied"),
    ),
}


@pytest.mark.parametrize("note", NOTES)
def test_a_note(db: Database, role: str, check: Callable[..., Finished], note: str) -> None:
    sql, words = NOTES[note]
    prepare(db, sql)
    done = check(dsn=dsn_of(db))
    assert done.status == 0, done.stdout
    found = [line for line in verdicts(done, "note") if all(word in line for word in words)]
    assert len(found) == 1, done.stdout
    assert "born" not in done.stdout


def test_a_view_of_counters(db: Database, run: Run, check: Callable[..., Finished]) -> None:
    """Postgres makes an UPDATE of the table of it: it is served."""
    prepare(db, HELD + "ALTER TABLE inventory RENAME TO i; CREATE VIEW inventory AS TABLE i")
    done = check()
    assert done.status == 0 and "inventory is a view" in "\n".join(verdicts(done, "note"))
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
    finally:
        db.drop()


def test_how_many_are_due(db: Database, check: Callable[..., Finished]) -> None:
    assert any(line.startswith("due now: none") for line in verdicts(check(), "ok"))
    prepare(db, HELD)
    since = db.value(
        "SELECT to_char(min(expires_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM inventory_reservations"
    )
    (due,) = [line for line in verdicts(check(), "ok") if line.startswith("due now")]
    assert "due now: 2" in due and str(since) in due


# ---- locks, and nothing changed -------------------------------------------------------------------


def test_a_locked_table(db: Database, check: Callable[..., Finished], run: Run) -> None:
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


def test_others_use_the_connections(db: Database, role: str, check: Callable[..., Finished]) -> None:
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
    db: Database, role: str, check: Callable[..., Finished], health: str
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

