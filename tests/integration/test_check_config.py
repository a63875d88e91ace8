"""--check-config: says what is wrong and what could be better, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis as redis_py
from harness import shop
from harness.checking import verdicts
from harness.database import Database
from harness.poll import within
from harness.process import free_port
from harness.servers import Postgres, Redis
from harness.sweeper import Finished, Run, Start


@pytest.mark.valgrind
def test_all_is_well(db: Database, redis: redis_py.Redis, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    done = run("--check-config", env={"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"})
    assert done.status == 0
    assert len(done.stdout.splitlines()) == len(verdicts(done, "ok")), done.stdout
    assert [line.split()[0] for line in verdicts(done, "ok")].count("Redis") == 1
    assert any(line.startswith("Postgres ") for line in verdicts(done, "ok"))
    assert shop.statuses(db) == {"active": 1} and redis.dbsize() == 0
    assert db.server.password not in done.stdout + done.stderr


WRONG = {
    "no table": ("DROP TABLE inventory_reservations", "no table inventory_reservations"),
    "no counters": ("DROP TABLE inventory", "no table inventory"),
    "no column": (
        "ALTER TABLE inventory DROP COLUMN reserved_stock CASCADE",
        "inventory has no column reserved_stock",
    ),
    "another name": (
        "ALTER TABLE inventory_reservations RENAME expires_at TO valid_until",
        "inventory_reservations has no column expires_at",
    ),
    "an id of another type": (
        "ALTER TABLE inventory_reservations ALTER id TYPE bytea USING id::text::bytea",
        "inventory_reservations.id has the type bytea",
    ),
    "a time of another type": (
        "ALTER TABLE inventory_reservations ALTER expires_at TYPE bigint USING 0",
        "inventory_reservations.expires_at has the type int8",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_tables(db: Database, run: Run, wrong: str) -> None:
    sql, said = WRONG[wrong]
    db.conn.execute("SET client_min_messages = error")
    db.conn.execute(sql)
    done = run("--check-config")
    assert done.status == 1
    (failure,) = verdicts(done, "FAIL")
    assert said in failure
    assert done.record("cannot work")["error"] == failure


GRANTS = {
    "SELECT only": ("GRANT SELECT ON inventory, inventory_reservations TO {}", "UPDATE"),
    "no counters": (
        "GRANT SELECT, UPDATE ON inventory_reservations TO {}; GRANT SELECT ON inventory TO {}",
        "UPDATE inventory.available_stock",
    ),
    "UPDATE only": ("GRANT UPDATE ON inventory, inventory_reservations TO {}", "SELECT"),
    "columns only": (
        "GRANT SELECT (id, product_id, quantity, expires_at, status, updated_at), UPDATE"
        " ON inventory_reservations TO {}; GRANT SELECT, UPDATE ON inventory TO {}",
        "SELECT from table inventory_reservations",
    ),
    "nothing": ("SELECT 1", "SELECT"),
}


@pytest.mark.parametrize("grants", GRANTS)
def test_missing_grants(db: Database, run: Run, grants: str) -> None:
    """Whatever the release needs is missed here, not by the first release."""
    sql, said = GRANTS[grants]
    role = f"{db.name}_checked"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(sql.format(role, role))
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    done = run("--check-config", dsn=dsn)
    assert done.status == 1
    (failure,) = verdicts(done, "FAIL")
    assert "grant" in failure and said in failure
    once = run("--once", dsn=dsn)
    assert once.status == 1 and said in once.stderr


def test_no_indexes(db: Database, run: Run) -> None:
    """Advice is no failure."""
    db.conn.execute(
        "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey;"
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;"
        "DROP INDEX inventory_reservations_due, inventory_reservations_active_product"
    )
    done = run("--check-config")
    assert done.status == 0 and not verdicts(done, "FAIL")
    notes = "\n".join(verdicts(done, "note"))
    assert "inventory_reservations begins with id" in notes
    assert "inventory begins with product_id" in notes
    assert "CREATE INDEX CONCURRENTLY ON inventory_reservations (expires_at)" in notes


def test_tables_that_are_empty(db: Database, run: Run) -> None:
    """The planner knows that there are no rows: to it any index is as good as another."""
    for columns in ("created_at", "product_id, id", "expires_at, status"):
        db.conn.execute(f"CREATE INDEX ON inventory_reservations ({columns}) WHERE status = 'active'")
    db.conn.execute(
        "CREATE INDEX ON inventory_reservations (created_at);"
        "CREATE INDEX ON inventory (updated_at); CREATE INDEX ON inventory (available_stock, product_id);"
        "ANALYZE inventory, inventory_reservations"
    )
    done = run("--check-config")
    assert done.status == 0
    assert "indexes: nothing to gain" in verdicts(done, "ok"), done.stdout


def test_a_backlog_of_which_all_is_due(db: Database, run: Run) -> None:
    """A cron job's: to the planner an index of the active ones by product finds it as well."""
    products = [shop.add_product(db, stock=1000) for _ in range(3)]
    for i in range(60):
        shop.reserve(db, {products[i % 3]: 1}, ttl_s=-600 - i)
    db.conn.execute(
        "UPDATE inventory_reservations SET status = 'released'"
        " WHERE id NOT IN (SELECT id FROM inventory_reservations LIMIT 4); ANALYZE"
    )
    done = run("--check-config")
    assert "indexes: nothing to gain" in verdicts(done, "ok"), done.stdout


def test_the_indexes_of_an_api(db: Database, run: Run) -> None:
    db.conn.execute("DROP INDEX inventory_reservations_due")
    for column in ("status", "expires_at"):
        db.conn.execute(f"CREATE INDEX ON inventory_reservations ({column})")
    done = run("--check-config")
    assert done.status == 0
    notes = "\n".join(verdicts(done, "note"))
    assert "CREATE INDEX CONCURRENTLY" in notes and "status and expires_at" in notes


def test_the_advice_can_be_followed(db: Database, run: Run) -> None:
    db.conn.execute("DROP INDEX inventory_reservations_due")
    env = {"SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}
    (note,) = verdicts(run("--check-config", env=env), "note")
    db.conn.execute(note[note.index("CREATE INDEX") :])
    done = run("--check-config", env=env)
    assert done.status == 0 and not verdicts(done, "note"), done.stdout


@pytest.mark.parametrize(
    ("policy", "said"),
    [("allkeys-lru", "are only found by the overdue scan"), ("volatile-ttl", "entries have none and stay")],
)
def test_redis_evicts(
    db: Database, private_redis: Callable[..., Redis], run: Run, policy: str, said: str
) -> None:
    """Keys that have no end are not evicted by every policy."""
    cache = private_redis(maxmemory_policy=policy)
    done = run("--check-config", redis_url=cache.url())
    assert done.status == 0
    (note,) = (x for x in verdicts(done, "note") if "evict" in x)
    assert policy in note and said in note


def test_rights_in_redis_that_are_missing(private_redis: Callable[..., Redis], run: Run) -> None:
    """Without +info nobody knows its version. Without +select it is there, and refuses."""
    cache = private_redis()
    allowed = ("on", ">a-word", "~*", "&*", "+@all")
    cache.client().execute_command("ACL", "SETUSER", "no-info", *allowed, "-info")
    cache.client().execute_command("ACL", "SETUSER", "no-select", *allowed, "-select")
    at = f"127.0.0.1:{cache.port}"
    done = run("--check-config", redis_url=f"redis://no-info:a-word@{at}/0")
    assert done.status == 0 and f"Redis at {at}/0" in verdicts(done, "ok"), done.stdout
    done = run("--check-config", redis_url=f"redis://no-select:a-word@{at}/2")
    (failure,) = verdicts(done, "FAIL")
    assert done.status == 1 and failure.startswith(f"Redis at {at}/2 refuses what the sweeper asks of it: NOPERM"), failure


def test_servers_out_of_reach(
    db: Database,
    private_pg: Callable[..., Postgres],
    private_redis: Callable[..., Redis],
    sweeper: Start,
) -> None:
    """One says nothing of the other. All cases at once, since each tries for five seconds."""
    nowhere = f"hush-hush@127.0.0.1:{free_port()}"
    cache = private_redis(requirepass="hush-redis")
    silent_redis, silent_postgres = private_redis(), private_pg()
    silent_redis.pause()
    silent_postgres.pause()
    began = time.monotonic()
    cases = [
        ("Redis", "refused", {"redis_url": f"redis://:{nowhere}"}),
        ("Redis", "wrongpass", {"redis_url": cache.url().replace("redis@", "else@")}),
        ("Redis", "within", {"redis_url": silent_redis.url()}),
        ("Postgres", "within", {"dsn": silent_postgres.dsn("postgres")}),
        ("Postgres", "refused", {"dsn": f"postgresql://someone:{nowhere}/shop"}),
        ("Postgres", "authentication failed", {"dsn": db.dsn.replace("pw-", "hush-")}),
    ]
    checks = [(*case, sweeper("--check-config", **case[2])) for case in cases]
    for server, reason, _, check in checks:
        check.expected_status = 1
        done = Finished(check, check.wait())
        assert done.status == 1
        (failure,) = verdicts(done, "FAIL")
        assert failure.startswith(server) and reason in failure.lower()
        assert done.record("cannot work")["error"] == failure
        assert "hush" not in done.stdout + done.stderr
        other = "Postgres" if server == "Redis" else "Redis"
        assert any(line.startswith(other) for line in verdicts(done, "ok"))
    assert time.monotonic() - began < within(9.9)  # one after the other would be 10


def test_logs_go_to_stderr(db: Database, run: Run) -> None:
    done = run("--check-config", "--log-level", "DEBUG")
    assert done.status == 0
    assert all(line.split()[0] in ("ok", "note") for line in done.stdout.splitlines())
