"""--check-config: what a release could not do in this database is said before it is tried."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness.checking import HELD, NO_STATUS_RULES, PRODUCT, RESERVATIONS, Check, dsn_of, prepare, verdicts
from harness.database import Database
from harness.servers import Postgres
from harness.standby import standby_of
from harness.sweeper import Run

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
        ("inventory.updated_at", "is generated", "nothing can set it"),
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
    "states-in-capitals": (
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
        ("quantity", "has the type text", "numbers"),
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
        ("read-only", "If it is a former primary, leave it so", "default_transaction_read_only = off"),
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
    "a policy for what is active": (
        HELD + "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY held ON inventory_reservations USING (status = 'active')",
        ("row security by held of", "refuses the status 'released'"),
    ),
    "a policy that checks what is written": (
        HELD + "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY seen ON inventory_reservations USING (true);"
        "CREATE POLICY small ON inventory_reservations AS RESTRICTIVE FOR UPDATE USING (true)"
        " WITH CHECK (status <> 'released' OR quantity < 2)",
        ("row security by seen, small of", "1 of 2 active rows"),
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
    db: Database, role: str, check: Check, mistake: str
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


def test_each_is_said_once(db: Database, check: Check) -> None:
    """Fifteen statements refused for one reason are one line."""
    prepare(db, "ALTER TABLE inventory ALTER product_id TYPE text")
    done = check()
    assert len(verdicts(done, "FAIL")) == 1, done.stdout
    assert done.stdout.count("42883") == 1


def test_several_mistakes(db: Database, check: Check) -> None:
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
