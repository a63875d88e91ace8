"""The queue's own settings of each transaction (`settings`): row security by tenant, on a real policy."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGHUP

import pytest
from harness.checking import dsn_of, role_of, verdicts
from harness.database import Database
from harness.poll import wait_until
from harness.process import free_port
from harness.servers import Postgres
from harness.shapes import NO_REDIS
from harness.sweeper import Finished, Run, Start

TABLES = """
    CREATE TABLE stocks (tenant int, item int, held int NOT NULL, PRIMARY KEY (tenant, item));
    CREATE TABLE holds (id int PRIMARY KEY, tenant int NOT NULL, item int NOT NULL, quantity int NOT NULL,
        status text NOT NULL DEFAULT 'active', expires_at timestamptz NOT NULL);
    CREATE TABLE told (id int, tenant text);
    INSERT INTO stocks SELECT t, 1, 8 FROM generate_series(7, 8) t;
    INSERT INTO holds SELECT t * 10 + n, t, 1, 2, 'active', now() - interval '1 min'
        FROM generate_series(7, 8) t, generate_series(1, 4) n;
    ALTER TABLE holds ENABLE ROW LEVEL SECURITY;
    ALTER TABLE stocks ENABLE ROW LEVEL SECURITY;
    CREATE POLICY tenant ON holds USING (tenant = current_setting('app.tenant')::int);
    CREATE POLICY tenant ON stocks USING (tenant = current_setting('app.tenant')::int);
"""
FILE = """\
shop:
  table: holds
  quantity: quantity
  active: status = 'active'
  released: status = 'gone'
  stock:
    table: stocks
    key: {tenant: tenant, item: item}
    held: held
  also:
    - INSERT INTO told SELECT id, current_setting('app.tenant') FROM {released}
  settings:
    app.tenant: 7
"""


@pytest.fixture
def shop(pg_server: Postgres) -> Iterator[Database]:
    db = Database.create(pg_server, schema=False)
    role = role_of(db)
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(TABLES)
    db.conn.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT, UPDATE ON holds, stocks TO {role};"
        f"GRANT SELECT, INSERT ON told TO {role}"
    )
    yield db
    db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    db.drop()


Mode = Callable[..., Finished]


def env_of(tmp_path: Path, file: str) -> dict[str, str]:
    path = tmp_path / "shop.yaml"
    path.write_text(file, encoding="utf-8")
    return {"SWEEPER_QUEUES_FILE": str(path), "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}


@pytest.fixture
def mode(shop: Database, run: Run, tmp_path: Path) -> Mode:
    def run_mode(*args: str, file: str = FILE) -> Finished:
        return run(*args, dsn=dsn_of(shop), env=env_of(tmp_path, file))

    return run_mode


def tenants(db: Database) -> dict[int, int]:
    """How many holds of each are active."""
    return dict(
        db.query(
            "SELECT tenant, count(*) FILTER (WHERE status = 'active') FROM holds GROUP BY 1 ORDER BY 1"
        )
    )


def held(db: Database) -> list[int]:
    return [row[0] for row in db.query("SELECT held FROM stocks ORDER BY tenant")]


def test_a_tenant_s_alone(shop: Database, mode: Mode) -> None:
    """Read, locked, changed and told of as this tenant; the other is not seen at all."""
    done = mode("--once", *NO_REDIS)
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, 4), done.stderr
    assert tenants(shop) == {7: 0, 8: 4}
    assert held(shop) == [0, 8]
    assert shop.query("SELECT DISTINCT tenant FROM told") == [("7",)]


def test_values_are_values(shop: Database, mode: Mode) -> None:
    """A value with quotes, and one that looks like SQL: neither is pasted anywhere."""
    value = "7'); DROP TABLE told; --"
    more = f'    app.note: "{value}"\n    App.other: {chr(39)}$1{chr(39)}\n'
    file = FILE.replace("current_setting('app.tenant')", "current_setting('app.note')") + more
    for args in (("--once", *NO_REDIS), ("--show-sql",)):
        done = mode(*args, file=file)
        assert done.status == 0, done.stderr
    assert shop.query("SELECT DISTINCT tenant FROM told") == [(value,)]
    assert "set_config('app.note', '7''); DROP TABLE told; --', true)" in done.stdout


def test_check_shows_what_is_seen(shop: Database, mode: Mode) -> None:
    """With the settings the role sees one tenant's rows; with another's value none, which is said."""
    done = mode("--check-config")
    said = "\n".join(verdicts(done, "ok"))
    assert done.status == 0 and not verdicts(done, "FAIL"), done.stdout
    assert f"with its settings (app.tenant = '7') role {role_of(shop)} sees 4 active rows of table holds" in said
    assert "due now: 4" in said
    done = mode("--check-config", file=FILE.replace("tenant: 7", "tenant: 9"))
    assert done.status == 1
    assert any("sees no row of table holds" in line for line in verdicts(done, "FAIL")), done.stdout
    done = mode("--check-config", file=FILE.replace("  settings:\n    app.tenant: 7\n", ""))
    assert done.status == 1 and 'configuration parameter "app.tenant"' in done.stdout


def test_a_role(shop: Database, mode: Mode) -> None:
    """Rights and policies are those of the role that the transaction takes."""
    role = role_of(shop)
    shop.conn.execute(
        f"CREATE ROLE {role}_eight; GRANT {role}_eight TO {role};"
        f"GRANT SELECT, UPDATE ON holds, stocks TO {role}_eight; GRANT SELECT, INSERT ON told TO {role}_eight;"
        f"CREATE POLICY eight ON holds TO {role}_eight USING (tenant = 8);"
        f"CREATE POLICY eight ON stocks TO {role}_eight USING (tenant = 8)"
    )
    file = FILE.replace("app.tenant: 7", f"role: {role}_eight\n    app.tenant: 0")
    try:
        done = mode("--check-config", file=file)
        assert f"role {role}_eight sees 4 active rows" in done.stdout, done.stdout
        done = mode("--once", *NO_REDIS, file=file)
        assert done.status == 0, done.stderr
        assert tenants(shop) == {7: 4, 8: 0}
    finally:
        shop.conn.execute(f"DROP OWNED BY {role}_eight; DROP ROLE {role}_eight")


def test_what_cannot_be_set(shop: Database, mode: Mode) -> None:
    """It is no reservation's fault: none is refused, and the sentence speaks of the settings."""
    file = FILE.replace("app.tenant: 7", "role: nobody_there")
    done = mode("--check-config", file=file)
    sentence = "shop.yaml:13: the queue's `settings` cannot be set: role \"nobody_there\" does not exist"
    assert done.status == 1
    assert any(sentence in line for line in verdicts(done, "FAIL")), done.stdout
    done = mode("--once", *NO_REDIS, file=file)
    assert done.status == 1 and "the queue's `settings` cannot be set" in done.stderr
    assert "refused to release" not in done.stderr
    assert tenants(shop) == {7: 4, 8: 4}


def test_a_rehearsal_and_a_comparison(shop: Database, mode: Mode) -> None:
    """Inside BEGIN and ROLLBACK too; and what reconciliation finds due is this tenant's."""
    done = mode("--rehearse", "9")
    assert done.status == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert rows and '"tenant":8' not in done.stdout.replace(" ", "")
    assert tenants(shop) == {7: 4, 8: 4}
    done = mode("--reconcile")
    assert done.status == 0, done.stderr
    assert (tenants(shop), held(shop)) == ({7: 0, 8: 4}, [0, 8])


def test_another_level(shop: Database, mode: Mode) -> None:
    """Where the default is another one: the level is set before the settings, which are a SELECT."""
    shop.conn.execute(
        f"ALTER DATABASE {shop.name} SET default_transaction_isolation = 'repeatable read'"
    )
    done = mode("--once", *NO_REDIS)
    assert done.status == 0, done.stderr
    assert tenants(shop) == {7: 0, 8: 4}


def test_a_daemon(shop: Database, sweeper: Start, tmp_path: Path) -> None:
    """The feed, the workers by named statements, and what comes due later."""
    shop.conn.execute(
        "INSERT INTO holds SELECT t * 10 + n, t, 1, 0, 'active', now() + n * interval '0.2 s'"
        " FROM generate_series(7, 8) t, generate_series(5, 9) n"
    )
    daemon = sweeper("--prepare", "on", dsn=dsn_of(shop), env=env_of(tmp_path, FILE))
    wait_until(lambda: tenants(shop) == {7: 0, 8: 9}, 15, "the tenant's were not released")
    assert held(shop) == [0, 8]
    assert daemon.stop() == 0


def test_a_new_file(shop: Database, sweeper: Start, tmp_path: Path) -> None:
    """Another value is a change: what proves the new file, and who serves it then, have it from the start."""
    daemon = sweeper(dsn=dsn_of(shop), env=env_of(tmp_path, FILE))
    wait_until(lambda: tenants(shop) == {7: 0, 8: 4}, 15, "the tenant's were not released")
    (tmp_path / "shop.yaml").write_text(FILE.replace("tenant: 7", "tenant: 8"), encoding="utf-8")
    os.kill(daemon.pid, SIGHUP)
    wait_until(lambda: tenants(shop) == {7: 0, 8: 0}, 15, "the other tenant's were not released")
    assert shop.query("SELECT tenant, count(*) FROM told GROUP BY 1 ORDER BY 1") == [("7", 4), ("8", 4)]
    assert daemon.stop() == 0
