"""--show-sql: what it prints can be given to PREPARE, and its grants are enough and not too many."""

from __future__ import annotations

import re

from harness import shop
from harness.checking import role_of, verdicts
from harness.database import Database
from harness.process import free_port
from harness.sweeper import Run


def statements(text: str) -> list[str]:
    """What stands between the semicolons that end a line of their own."""
    return [s.strip() for s in re.split(r"^;$", text[: text.index("-- the grants")], flags=re.M) if s.strip()]


def test_each_can_be_prepared(db: Database, run: Run) -> None:
    done = run("--show-sql")
    assert done.status == 0, done.stderr
    shown = statements(done.stdout)
    assert len(shown) > 20
    for i, sql in enumerate(shown):
        assert sql.startswith("-- "), sql
        db.conn.execute(f"PREPARE s{i} AS\n{sql}".encode(), prepare=False)
        code = re.sub(r"--[^\n]*", "", sql)
        for parameter in re.findall(r"\$\d", code):
            assert re.search(rf"^-- .*{re.escape(parameter)}\b", sql, flags=re.M), sql
    assert db.value("SELECT count(*) FROM pg_prepared_statements") == len(shown)


def test_the_grants_are_enough(db: Database, run: Run) -> None:
    """All that is released and repaired can be by a role that has these and no others."""
    grants = [g for g in run("--show-sql").stdout.splitlines() if g.startswith("GRANT ")]
    role = role_of(db)
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    me = db.value("SELECT quote_ident(current_user)")
    for grant in grants:
        assert " ALL " not in grant and "DELETE" not in grant
        db.conn.execute(grant.replace(f" TO {me};", f" TO {role};"))
    (holds,) = [g for g in grants if "inventory_reservations" in g]
    assert 'UPDATE ("status", "updated_at")' in holds
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    check = run("--check-config", dsn=dsn, env=env)
    assert check.status == 0 and not verdicts(check, "FAIL"), check.stdout
    assert run("--once", dsn=dsn).record("Cleanup job completed")["cleanedCount"] == 1
    db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_grants_that_are_missing(db: Database, run: Run) -> None:
    """They are what somebody without them wants to know."""
    role = role_of(db)
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    done = run("--show-sql", dsn=f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}")
    assert done.status == 1 and "grant" in done.record("could not be looked at")["error"]
    assert f"TO {role};" in done.stdout and "GRANT SELECT, UPDATE" in done.stdout
    db.conn.execute(f"DROP ROLE {role}")


def test_nothing_is_changed(db: Database, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    assert run("--show-sql").status == 0
    assert shop.statuses(db) == {"active": 1}


def test_what_is_never_sent_is_not_shown(db: Database, run: Run) -> None:
    assert "the check of a release" not in run("--show-sql").stdout
    db.conn.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION f()"
    )
    shown = run("--show-sql").stdout
    assert "the check of a release" in shown and "-- the release of a backlog\n" not in shown
