"""--check-config, --show-sql and --rehearse of tables of other shapes: each mistake is one sentence, with the
line of the file, and says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.process import free_port
from harness.servers import Postgres
from harness.sweeper import Finished, Run

TABLES = """
    CREATE TABLE stocks (variant integer, place text, spare integer NOT NULL, taken integer NOT NULL DEFAULT 0,
        total integer NOT NULL, changed timestamptz, PRIMARY KEY (variant, place));
    CREATE TABLE holds (row_id bigserial PRIMARY KEY, order_id bigint NOT NULL, variant integer, place text,
        units integer NOT NULL, state text NOT NULL DEFAULT 'HELD', ends_at timestamptz,
        ends_ms bigint, note text);
    CREATE INDEX ON holds (order_id);
    CREATE INDEX holds_due ON holds (ends_at) WHERE state = 'HELD';
    INSERT INTO stocks (variant, place, spare, taken, total) VALUES (1, 'a', 7, 3, 10), (1, 'b', 9, 1, 10);
    INSERT INTO holds (order_id, variant, place, units, ends_at, ends_ms)
        SELECT 5, 1, p, u, t, extract(epoch FROM t) * 1000
        FROM (VALUES ('a', 3), ('b', 1)) AS v (p, u), (SELECT now() - interval '1 min') AS w (t);
"""
FILE = """\
shop:
  table: holds
  id: order_id
  expires_at: ends_at
  quantity: units
  active: state = 'HELD'
  released: state = 'ENDED', note = 'gone'
  stock:
    table: stocks
    key: {variant: variant, place: place}
    free: spare
    held: taken
    total: total
    set: changed = now()
"""
DELETES = FILE.replace("released: state = 'ENDED', note = 'gone'", "released: delete")


@pytest.fixture
def shop(pg_server: Postgres) -> Iterator[Database]:
    db = Database.create(pg_server, schema=False)
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(TABLES)
    yield db
    db.drop()


@pytest.fixture
def role(shop: Database) -> Iterator[str]:
    name = role_of(shop)
    shop.conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    yield name
    shop.conn.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


Mode = Callable[..., Finished]


@pytest.fixture
def mode(shop: Database, run: Run, tmp_path: Path) -> Mode:
    def run_mode(file: str, *args: str, dsn: str | None = None) -> Finished:
        path = tmp_path / "shop.yaml"
        path.write_text(file, encoding="utf-8")
        env = {"SWEEPER_QUEUES_FILE": str(path), "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
        return run(*args, dsn=dsn or shop.dsn, env=env)

    return run_mode


def test_all_is_well(mode: Mode) -> None:
    for file in (FILE, DELETES):
        done = mode(file, "--check-config")
        assert done.status == 0 and not verdicts(done, "FAIL"), done.stdout
        said = "\n".join(verdicts(done, "ok"))
        assert "due now: 1, the oldest since" in said and "all are accepted (EXPLAIN)" in said
    assert "a row may be released" in "\n".join(verdicts(mode(FILE, "--check-config"), "ok"))


UNIQUE = "ALTER TABLE stocks DROP CONSTRAINT stocks_pkey;"


@pytest.mark.parametrize(
    "sql",
    ("SELECT", UNIQUE + "CREATE UNIQUE INDEX ON stocks (place, variant)"),
    ids=("a primary key", "in another order"),
)
def test_keys_that_are_unique(shop: Database, mode: Mode, sql: str) -> None:
    """Of several columns too."""
    shop.conn.execute(sql)
    assert "UNIQUE" not in mode(FILE, "--check-config").stdout


def test_advice_can_be_pasted(shop: Database, mode: Mode, role: str) -> None:
    """Names that SQL folds, and those that are its words, stand in quotes; no others do."""
    shop.conn.execute(
        UNIQUE + 'ALTER TABLE stocks RENAME place TO "Place"; ALTER TABLE stocks RENAME TO "order";'
        'CREATE SCHEMA "Shop"; ALTER TABLE "order" SET SCHEMA "Shop"; ALTER TABLE holds SET SCHEMA "Shop";'
        'ALTER TABLE "Shop".holds RENAME ends_at TO "endsAt"; DROP INDEX "Shop".holds_due'
    )
    shop.conn.execute(f'GRANT USAGE ON SCHEMA "Shop" TO {role}')  # type: ignore[arg-type]
    file = FILE.replace("table: holds", "table: Shop.holds").replace("table: stocks", "table: Shop.order")
    file = file.replace("ends_at", "endsAt").replace("place: place", "place: Place")
    said = verdicts(mode(file, "--check-config"), "note")
    advice = [note[note.index("CREATE ") :] for note in said if "CREATE " in note]
    assert advice == [
        'CREATE UNIQUE INDEX ON "Shop"."order" (variant, "Place")',
        """CREATE INDEX CONCURRENTLY ON "Shop".holds ("endsAt") WHERE state = 'HELD'""",
    ]
    for statement in advice:
        shop.conn.execute(statement)  # type: ignore[arg-type]


# The mistake in the database, or that of the file (a line and what stands there); the line that is named,
# and the words of the sentence.
Change = tuple[str, str]
DATABASE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a status that is written otherwise": (
        "UPDATE holds SET state = 'Held'",
        "active:",
        ("no row of table holds is active, state = 'HELD'", "'Held' (2) of state"),
    ),
    "counters that have no sum": (
        "UPDATE stocks SET total = 99",
        "total:",
        ("2 of 2 rows of table stocks", "total that is not the sum of spare and taken", "1,a"),
    ),
    "two counters of a key": (
        "ALTER TABLE stocks DROP CONSTRAINT stocks_pkey; INSERT INTO stocks SELECT * FROM stocks",
        "table: stocks",
        ("variant, place 1,a has 2 rows", "CREATE UNIQUE INDEX ON stocks (variant, place)"),
    ),
    "a check that refuses what is set": (
        "ALTER TABLE holds ADD CONSTRAINT noted CHECK (note <> 'gone')",
        "released:",
        ("constraint noted", "refuses the note 'gone'", "allow it"),
    ),
    "a status in a table of its own": (
        "CREATE TABLE states (name text PRIMARY KEY); INSERT INTO states VALUES ('HELD');"
        "ALTER TABLE holds ADD CONSTRAINT known FOREIGN KEY (state) REFERENCES states",
        "released:",
        ("foreign key known", "the state 'ENDED'", "INSERT it"),
    ),
    "one of a kind that is ended": (
        "CREATE UNIQUE INDEX once ON holds (place, state);"
        "INSERT INTO holds (order_id, place, units, state) VALUES (9, 'a', 1, 'ENDED')",
        "released:",
        ("unique index once", "for 1 of 2 active rows", "WHERE"),
    ),
    "no table": ("ALTER TABLE holds RENAME TO bookings", "table: holds", ("no table holds", "nor in another")),
    "a table in another schema": (
        "CREATE SCHEMA api; ALTER TABLE stocks SET SCHEMA api",
        "table: stocks",
        ("no table stocks", "in the schema api"),
    ),
    "a view of holds": (
        "ALTER TABLE holds RENAME TO h; CREATE VIEW holds AS SELECT * FROM h",
        "table: holds",
        ("holds is a view", "the table itself"),
    ),
    "a key of another type": (
        "ALTER TABLE stocks ALTER variant TYPE text",
        "shop:",
        ("42883", "different types"),
    ),
    "an enum that does not know it": (
        "DROP INDEX holds_due; CREATE TYPE state AS ENUM ('HELD', 'SOLD');"
        "ALTER TABLE holds ALTER state DROP DEFAULT, ALTER state TYPE state USING state::state",
        "",
        ("released: ", "invalid input value for enum state", "ENDED"),
    ),
}
FILES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "a column that is not there": (("expires_at: ends_at", "expires_at: end_at"), ("end_at",)),
    "a table that is not there": (("table: holds", "table: hold"), ("no table hold",)),
    "another case": (("table: holds", "table: Holds"), ("no table Holds",)),
    "an id that is no id": (("id: order_id", "id: ends_at"), ("ends_at", "timestamptz")),
    "a number that has no unit": (("expires_at: ends_at", "expires_at: ends_ms"), ("expires_unit",)),
    "units that are text": (("quantity: units", "quantity: place"), ("place", "text")),
    "a counter that is text": (("held: taken", "held: place"), ("place",)),
}


def line_of(file: str, text: str) -> int:
    return file[: file.index(text)].count("\n") + 1


@pytest.mark.parametrize("mistake", DATABASE)
def test_a_database_that_does_not_fit(shop: Database, mode: Mode, mistake: str) -> None:
    sql, at, words = DATABASE[mistake]
    shop.conn.execute(sql)
    done = mode(FILE, "--check-config")
    failures = verdicts(done, "FAIL")
    assert done.status == 1 and len(failures) == 1, done.stdout
    assert all(word in failures[0] for word in words), failures
    if at:
        assert f"shop.yaml:{line_of(FILE, at)}: " in failures[0]
    assert done.record("cannot work")["error"] == failures[0]


@pytest.mark.parametrize("mistake", FILES)
def test_a_file_that_does_not_fit(mode: Mode, mistake: str) -> None:
    (before, after), words = FILES[mistake]
    file = FILE.replace(before, after)
    assert file != FILE
    done = mode(file, "--check-config")
    failures = verdicts(done, "FAIL")
    assert done.status == 1 and len(failures) == 1, done.stdout
    assert all(word in failures[0] for word in words), failures
    assert f"shop.yaml:{line_of(file, after)}: " in failures[0]


def test_a_default_that_does_not_fit(mode: Mode) -> None:
    """It stands in no line of the file; the queue does."""
    file = FILE.replace("  id: order_id\n", "").replace("  expires_at: ends_at\n", "")
    assert file.count("\n") == FILE.count("\n") - 2
    failures = verdicts(mode(file, "--check-config"), "FAIL")
    assert failures and all(f"shop.yaml:{line_of(file, 'shop:')}: " in failure for failure in failures), failures


# By themselves wrong: they are not even asked about.
ALONE = {
    "it breaks out of brackets": ("active: state = 'HELD'", "active: \"state = 'HELD') OR (1 = 1\""),
    "two expressions": ("active: state = 'HELD'", "active: \"state = 'HELD', true\""),
    "a comment without an end": ("active: state = 'HELD'", "active: |\n    state = 'HELD' /* and"),
    "a second statement": ("released: state = 'ENDED', note = 'gone'", "released: \"state = 'ENDED'; DROP TABLE holds\""),
    "assignments with a FROM behind": (
        "released: state = 'ENDED', note = 'gone'",
        "released: state = 'ENDED' FROM stocks",
    ),
    "it sets the id": ("released: state = 'ENDED', note = 'gone'", "released: state = 'ENDED', order_id = 1"),
    "it reads another table": (
        "active: state = 'HELD'",
        "active: state = 'HELD' AND EXISTS (SELECT FROM stocks)",
    ),
}


@pytest.mark.parametrize("mistake", ALONE)
def test_a_file_that_is_wrong_by_itself(mode: Mode, mistake: str) -> None:
    before, after = ALONE[mistake]
    file = FILE.replace(before, after)
    assert file != FILE
    done = mode(file, "--check-config")
    assert done.status == 2, done.stdout
    (line,) = done.stderr.splitlines()
    assert f"shop.yaml:{line_of(file, after)}: " in line


GRANTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "no SELECT": (FILE, "GRANT SELECT, UPDATE ON holds TO {0}", ("SELECT", "stocks")),
    "no UPDATE of a hold": (FILE, "GRANT SELECT ON holds TO {0}; GRANT SELECT, UPDATE ON stocks TO {0}", ("UPDATE", "holds")),
    "no UPDATE of one column": (
        FILE,
        "GRANT SELECT, UPDATE (state) ON holds TO {0}; GRANT SELECT, UPDATE ON stocks TO {0}",
        ("UPDATE", "note"),
    ),
    "no UPDATE of a counter": (FILE, "GRANT SELECT, UPDATE ON holds TO {0}; GRANT SELECT ON stocks TO {0}", ("UPDATE", "stocks")),
    "no DELETE": (DELETES, "GRANT SELECT, UPDATE ON holds, stocks TO {0}", ("DELETE", "holds")),
}


@pytest.mark.parametrize("missing", GRANTS)
def test_a_missing_grant(shop: Database, mode: Mode, role: str, missing: str) -> None:
    file, grant, words = GRANTS[missing]
    shop.conn.execute(grant.format(role))
    done = mode(file, "--check-config", dsn=dsn_of(shop))
    failures = verdicts(done, "FAIL")
    assert done.status == 1 and len(failures) == 1, done.stdout
    assert all(word in failures[0] for word in words) and "shop.yaml:" in failures[0], failures


@pytest.mark.parametrize("file", [FILE, DELETES], ids=["updates", "deletes"])
def test_the_grants_that_are_shown_are_enough(shop: Database, mode: Mode, role: str, file: str) -> None:
    shown = mode(file, "--show-sql")
    assert shown.status == 0, shown.stderr
    me = shop.value("SELECT quote_ident(current_user)")
    for line in shown.stdout.splitlines():
        if line.startswith("GRANT "):
            shop.conn.execute(line.replace(f" TO {me};", f" TO {role};"))
    done = mode(file, "--check-config", dsn=dsn_of(shop))
    assert done.status == 0 and not verdicts(done, "FAIL"), done.stdout
    assert mode(file, "--once", dsn=dsn_of(shop)).record("Cleanup job completed")["cleanedCount"] == 1


NOTES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "triggers": (
        FILE,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER restocks BEFORE UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION f()",
        ("triggers of table holds", "restocks"),
    ),
    "triggers of a DELETE": (
        DELETES,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';"
        "CREATE TRIGGER restocks BEFORE DELETE ON holds FOR EACH ROW EXECUTE FUNCTION f()",
        ("triggers of table holds", "restocks"),
    ),
    "a key at rows that are deleted": (
        DELETES,
        "CREATE TABLE payments (id int, hold bigint CONSTRAINT of_hold REFERENCES holds ON DELETE CASCADE)",
        ("of_hold of table payments, which deletes its rows too",),
    ),
    "a key that refuses": (
        DELETES,
        "CREATE TABLE payments (id int, hold bigint CONSTRAINT of_hold REFERENCES holds)",
        ("of_hold of table payments, which refuses it while there are some",),
    ),
    "no index of ids": (FILE, "DROP INDEX holds_order_id_idx", ("no index of holds begins with order_id",)),
    "no index of what is due": (
        FILE,
        "DROP INDEX holds_due",
        ("CREATE INDEX CONCURRENTLY ON holds (ends_at) WHERE state = 'HELD'",),
    ),
    "an index of all rows": (
        FILE,
        "DROP INDEX holds_due; CREATE INDEX ON holds (ends_at)",
        ("CREATE INDEX CONCURRENTLY ON holds (ends_at) WHERE state = 'HELD'",),
    ),
    "an index that does not serve": (
        FILE,
        "DROP INDEX holds_due; CREATE INDEX ON holds (ends_at) WHERE state = 'SOLD'",
        ("CREATE INDEX CONCURRENTLY ON holds (ends_at) WHERE state = 'HELD'",),
    ),
    "no unique index of counters": (
        FILE,
        UNIQUE + "CREATE INDEX ON stocks (variant, place)",
        ("no unique index of table stocks keeps a key (variant, place)", "UNIQUE INDEX ON stocks (variant, place)"),
    ),
    "a key that waits": (
        FILE,
        UNIQUE + "ALTER TABLE stocks ADD UNIQUE (variant, place) DEFERRABLE",
        ("no unique index of table stocks keeps a key (variant, place)", "at any time"),
    ),
    "no index of counters": (
        FILE,
        "ALTER TABLE stocks DROP CONSTRAINT stocks_pkey; CREATE INDEX ON stocks (place) WHERE spare > 0",
        ("no index of stocks begins with variant, place",),
    ),
    "a zone": (
        FILE,
        "DROP INDEX holds_due; ALTER TABLE holds ALTER ends_at TYPE timestamp;"
        "ALTER DATABASE {name} SET timezone = 'Europe/Berlin'",
        ("holds.ends_at has no time zone and is read as UTC", "Europe/Berlin", "`time_zone`"),
    ),
    "a total that has drifted": (
        FILE,
        "INSERT INTO stocks SELECT g, 'c', 1, 1, 2 FROM generate_series(1, 9) g; UPDATE stocks SET total = 3 WHERE variant = 9",
        ("1 rows of table stocks have a total that is not the sum", "9,c"),
    ),
    "a quiet moment": (
        FILE,
        "UPDATE holds SET state = 'ENDED'",
        ("no row of table holds is active, state = 'HELD' now; there are 'ENDED' (2) of state: if one",),
    ),
}


@pytest.mark.parametrize("note", NOTES)
def test_a_note(shop: Database, mode: Mode, note: str) -> None:
    file, sql, words = NOTES[note]
    shop.conn.execute(sql.replace("{name}", shop.name))
    done = mode(file, "--check-config")
    assert done.status == 0, done.stdout
    found = [line for line in verdicts(done, "note") if all(word in line for word in words)]
    assert len(found) == 1, done.stdout


def test_row_security(shop: Database, mode: Mode, role: str) -> None:
    shop.conn.execute(
        f"GRANT SELECT, UPDATE ON holds, stocks TO {role}; ALTER TABLE stocks ENABLE ROW LEVEL SECURITY"
    )
    done = mode(FILE, "--check-config", dsn=dsn_of(shop))
    assert done.status == 1
    assert [f for f in verdicts(done, "FAIL") if "row security of table stocks" in f and "shop.yaml:9: " in f]


def test_times_in_another_unit(mode: Mode, shop: Database) -> None:
    file = FILE.replace("expires_at: ends_at", "expires_at: ends_ms\n  expires_unit: {}")
    for unit, status in (("ms", 0), ("s", 1)):
        done = mode(file.replace("expires_unit: {}", f"expires_unit: {unit}"), "--check-config")
        assert done.status == status, done.stdout
        if status == 1:
            (failure,) = verdicts(done, "FAIL")
            assert "2 of 2 active rows" in failure and "`expires_unit: ms`" in failure and "shop.yaml:4: " in failure


def test_several_queues(mode: Mode, shop: Database) -> None:
    """Each in turn, under a line of its own; one that fails does not keep the others from being looked at."""
    two = FILE + FILE.replace("shop:", "other:").replace("table: stocks", "table: stock").replace("= 'HELD'", "= 'KEPT'")
    done = mode(two, "--check-config")
    assert done.status == 1
    first, second = re.split(r"^queue other$", done.stdout, flags=re.M)
    of_all, first = re.split(r"^queue shop$", first, flags=re.M)
    assert [line.split(" at ")[0].split()[:2] for line in of_all.splitlines() if line] == [
        *(["ok", "settings"], ["ok", "HTTP"], ["ok", "Redis"]),
    ]
    for own in (first, second):
        assert [line.split()[1] for line in own.splitlines() if line][:2] == ["Redis:", "Postgres"]
    assert "FAIL" not in first and "no table stock" in second
    alone = mode(two, "--check-config", "--queue", "shop")
    assert alone.status == 0 and "queue " not in alone.stdout
    said = [[line.split()[:3] for line in text.splitlines() if line] for text in (of_all + first, alone.stdout)]
    assert said[0] == said[1]


def test_several_queues_without_redis(mode: Mode) -> None:
    """It is said once, and before the queues, that it is away; they are looked at in any case."""
    two = FILE + FILE.replace("shop:", "other:")
    done = mode(two, "--check-config", "--redis-url", f"redis://127.0.0.1:{free_port()}/0")
    assert done.status == 1
    assert re.findall(r"^FAIL.*|^queue .*|^ok +Postgres|due now", done.stdout, flags=re.M)[1:] == [
        *("queue shop", "ok    Postgres", "due now", "queue other", "ok    Postgres", "due now"),
    ]
    (failure,) = verdicts(done, "FAIL")
    assert "out of reach" in failure and done.stdout.index("FAIL") < done.stdout.index("queue shop")


def test_a_release_that_leaves_it_active(mode: Mode, shop: Database) -> None:
    """Nothing but a rehearsal finds it: no name is wrong, and no type."""
    file = FILE.replace("state = 'ENDED', note", "state = 'HELD', note")
    assert mode(file, "--check-config").status == 0
    done = mode(file, "--rehearse", "3")
    assert done.status == 1 and "still active after `released`" in done.record("rehearsal")["error"]


@pytest.mark.parametrize("file", [FILE, DELETES], ids=["updates", "deletes"])
def test_each_statement_can_be_prepared(mode: Mode, shop: Database, file: str) -> None:
    shown = mode(file, "--show-sql").stdout
    for i, sql in enumerate(re.split(r"^;$", shown[: shown.index("-- the grants")], flags=re.M)):
        if sql.strip():
            shop.conn.execute(f"PREPARE s{i} AS\n{sql}".encode(), prepare=False)


def test_rows_that_would_go(mode: Mode, shop: Database) -> None:
    done = mode(DELETES, "--rehearse", "3")
    assert done.status == 0, done.stderr
    assert '"after": null' in done.stdout and '"key": "1,a"' in done.stdout
    assert shop.value("SELECT count(*) FROM holds") == 2
    assert shop.query("SELECT spare, taken FROM stocks ORDER BY place") == [(7, 3), (9, 1)]


def test_what_is_refused_at_the_end(mode: Mode, shop: Database) -> None:
    """A foreign key that waits for the COMMIT has its say in a rehearsal, which has none."""
    shop.conn.execute(
        "CREATE TABLE payments (hold bigint CONSTRAINT of_hold REFERENCES holds DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO payments SELECT min(row_id) FROM holds"
    )
    done = mode(DELETES, "--rehearse", "3")
    assert done.status == 1 and "of_hold" in done.record("rehearsal")["error"]


ALSO = FILE + """\
  also:
    - |
      WITH mine AS (SELECT o.id FROM orders o WHERE o.id IN (SELECT g.id FROM {released} g) ORDER BY o.id FOR UPDATE)
      UPDATE orders o SET state = 'ENDED' FROM mine WHERE o.id = mine.id
    - INSERT INTO events (of_order) SELECT DISTINCT id FROM {released} ON CONFLICT (of_order) DO UPDATE SET n = events.n + 1
    - SELECT 1 FROM desks d WHERE d.order_id IN (SELECT g.id FROM {released} g) FOR UPDATE
"""
ORDERS = """
    CREATE TABLE orders (id bigint PRIMARY KEY, state text); INSERT INTO orders VALUES (5, 'OPEN');
    CREATE TABLE events (of_order bigint PRIMARY KEY, n int DEFAULT 1, line serial,
        row_id bigint GENERATED ALWAYS AS IDENTITY);
    CREATE TABLE desks (order_id bigint);
"""


def test_what_also_needs(shop: Database, mode: Mode, role: str) -> None:
    """Its grants are shown; without them it is said before the first release."""
    shop.conn.execute(ORDERS)
    me = shop.value("SELECT quote_ident(current_user)")
    shown = [g for g in mode(ALSO, "--show-sql").stdout.splitlines() if g.startswith("GRANT ")]
    for_also = [g for g in shown if re.search("orders|events|desks", g)]
    for grant in shown:
        if grant not in for_also:
            shop.conn.execute(grant.replace(f" TO {me};", f" TO {role};"))
    done = mode(ALSO, "--check-config", dsn=dsn_of(shop))
    (failure,) = verdicts(done, "FAIL")
    assert "statement 1 of `also` is refused: permission denied for table orders" in failure
    assert f"shop.yaml:{line_of(ALSO, '    - |')}: " in failure
    numbers = [grant for grant in for_also if "SEQUENCE" in grant]
    assert numbers == [f"GRANT USAGE ON SEQUENCE events_line_seq TO {me};"]
    for grant in for_also:
        if grant not in numbers:
            shop.conn.execute(grant.replace(f" TO {me};", f" TO {role};"))
    (failure,) = verdicts(mode(ALSO, "--check-config", dsn=dsn_of(shop)), "FAIL")
    needed = failure[failure.index("GRANT ") :]
    assert "statement 2 of `also` takes a number from" in failure and "events_line_seq" in needed
    shop.conn.execute(needed)  # type: ignore[arg-type]
    well = mode(ALSO, "--check-config", dsn=dsn_of(shop))
    assert well.status == 0, (well.stdout, for_also)
    rehearsed = mode(ALSO, "--rehearse", "1", dsn=dsn_of(shop))
    assert rehearsed.status == 0, rehearsed.stdout
    assert mode(ALSO, "--once", dsn=dsn_of(shop)).record("Cleanup job completed")["cleanedCount"] == 1
    assert shop.query("SELECT o.state, e.n FROM orders o, events e") == [("ENDED", 1)]


def test_a_row_of_two_queues(shop: Database, mode: Mode) -> None:
    """Said once, with an id; where one condition excludes the other, and of other tables, nothing is."""

    def queue(name: str, active: str, table: str = "holds") -> str:
        return (
            f"{name}:\n  table: {table}\n  id: order_id\n  expires_at: ends_at\n"
            f"  active: {active}\n  released: state = 'ENDED'\n"
        )

    shop.conn.execute("CREATE TABLE others AS SELECT * FROM holds")
    one, other = queue("one", "state = 'HELD' AND place = 'a'"), queue("other", "state IN ('HELD', 'KEPT') -- both")
    with_block = other.replace("active: ", "active: |\n    ")
    apart = queue("third", "place = 'c'") + queue("fourth", "state = 'HELD'", "others")
    notes = verdicts(mode(one + with_block + apart, "--check-config"), "note")
    (said,) = [note for note in notes if "in queue" in note]
    assert "a row of table holds is active in queue other too (order_id 5)" in said
    tenants = one + "  settings: {app.tenant: 1}\n" + with_block + "  settings: {app.tenant: 2}\n"
    assert not [note for note in verdicts(mode(tenants, "--check-config"), "note") if "in queue" in note]
    notes = verdicts(mode(one + with_block.replace("-- both", "AND place <> 'a'") + apart, "--check-config"), "note")
    assert not [note for note in notes if "in queue" in note]
