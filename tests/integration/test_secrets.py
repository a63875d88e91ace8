"""Secrets in files, which are read anew: passwords and tokens that are rotated under the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import sweepers
from harness.poll import until_ready, wait_until
from harness.servers import Postgres, Redis
from harness.sweeper import Run, Start, Sweeper
from harness.web import TOKEN

CHANGED = "A secret's file has changed"
UNUSABLE = "A secret's file cannot be used"


def replace(file: Path, text: str) -> None:
    """In one step, as Kubernetes does it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, file)


def cut(db: Database) -> None:
    db.query("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) pid", (sweepers(db),))


def role(db: Database, name: str, password: str) -> str:
    """A role of its own with this password; its connection string."""
    db.conn.execute(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'")
    return f"postgresql://{name}:{password}@127.0.0.1:{db.server.port}/{db.name}"


def release_one(db: Database, product: str) -> None:
    id = shop.reserve(db, {product: 1}, ttl_s=0.1)
    wait_until(
        lambda: db.value("SELECT status FROM inventory_reservations WHERE id = %s", (id,))
        == "released",
        20,
        "the release",
    )


@pytest.mark.valgrind
def test_a_password_of_postgres_is_rotated(
    db: Database, redis: redis_py.Redis, sweeper: Start, tmp_path: Path
) -> None:
    """The file is missing for a while, too: what it held stays in use."""
    product = shop.add_product(db)
    file = tmp_path / "database-url"
    name = f"rotated_{db.name}"
    file.write_text(role(db, name, "first") + "\n", encoding="utf-8")
    daemon = sweeper("--feed-interval", "300ms", dsn=None, env={"DATABASE_URL_FILE": str(file)})
    daemon.wait_for_record("Postgres connected", 20)
    file.rename(tmp_path / "away")
    cut(db)
    warning = daemon.wait_for_record(UNUSABLE, 20)
    assert warning["level"] == "WARN" and "DATABASE_URL_FILE" in warning["error"]
    release_one(db, product)
    db.conn.execute(f"ALTER ROLE {name} PASSWORD 'second'")
    replace(file, f"postgresql://{name}:second@127.0.0.1:{db.server.port}/{db.name}\n")
    cut(db)
    changed = daemon.wait_for_record(CHANGED, 20)
    assert changed["variable"] == "DATABASE_URL_FILE" and f"user={name}" in changed["postgres"]
    release_one(db, product)
    assert "second" not in str(daemon.records) and "first" not in str(daemon.records)
    assert len(daemon.find(UNUSABLE)) == 1
    assert daemon.stop() == 0
    db.conn.execute(f"DROP ROLE {name}")


def test_a_password_is_followed_after_the_server_has_refused(
    db: Database, redis: redis_py.Redis, sweeper: Start, tmp_path: Path
) -> None:
    """First the server's, then the file: an outage in between, which ends by itself."""
    product = shop.add_product(db)
    file = tmp_path / "database-url"
    name = f"followed_{db.name}"
    file.write_text(role(db, name, "first"), encoding="utf-8")
    daemon = sweeper(dsn=None, env={"DATABASE_URL_FILE": str(file)})
    daemon.wait_for_record("Postgres connected", 20)
    db.conn.execute(f"ALTER ROLE {name} PASSWORD 'second'")
    cut(db)
    refused = "password authentication failed"
    wait_until(lambda: any(refused in r.get("error", "") for r in daemon.records), 20, "it is away")
    replace(file, f"postgresql://{name}:second@127.0.0.1:{db.server.port}/{db.name}")
    release_one(db, product)
    assert daemon.stop() == 0
    db.conn.execute(f"DROP ROLE {name}")


def test_a_password_of_redis_is_rotated(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start, tmp_path: Path
) -> None:
    cache = private_redis(requirepass="first")
    file = tmp_path / "redis-url"
    file.write_text(f"redis://:first@127.0.0.1:{cache.port}/0\n", encoding="utf-8")
    daemon = sweeper(redis_url=None, http=True, env={"REDIS_URL_FILE": str(file)})
    daemon.wait_for_record("Redis connected", 20)
    admin = cache.client()
    admin.config_set("requirepass", "second")
    admin.client_kill_filter(_type="normal", skipme=True)
    daemon.wait_for_record("Redis is out of reach", 20)
    seen = len(daemon.records)
    replace(file, f"redis://:second@127.0.0.1:{cache.port}/3\n")
    daemon.wait_for_record("Redis connected", 20, since=seen)
    wait_until(lambda: f":{cache.port}/3" in daemon.http("/status")[1], 10, "/status names it")


def test_hangup(db: Database, sweeper: Start, tmp_path: Path) -> None:
    """What is not usable is an ERROR at once, and changes nothing."""
    file = tmp_path / "database-url"
    file.write_text(db.dsn, encoding="utf-8")
    daemon = sweeper(dsn=None, http=True, env={"DATABASE_URL_FILE": str(file)})
    until_ready(daemon)
    for unusable in ("", f"{db.dsn}?sslmode=bogus", "no connection string"):
        seen = len(daemon.records)
        replace(file, unusable)
        os.kill(daemon.pid, signal.SIGHUP)
        fault = daemon.wait_for_record(UNUSABLE, since=seen)
        assert fault["level"] == "ERROR" and db.server.password not in str(fault)
    release_one(db, shop.add_product(db))
    replace(file, f"{db.dsn}?application_name=shop")
    os.kill(daemon.pid, signal.SIGHUP)
    daemon.wait_for_record("can be used again")
    assert daemon.wait_for_record(CHANGED)["level"] == "INFO"
    wait_until(lambda: daemon.find("Reloaded")[-1]["secrets"] == ["DATABASE_URL_FILE"])
    assert json.loads(daemon.http("/status")[1])["lastReload"]["secrets"] == ["DATABASE_URL_FILE"]
    assert not daemon.find("out of reach")


def test_another_server(
    db: Database,
    private_pg: Callable[..., Postgres],
    private_redis: Callable[..., Redis],
    sweeper: Start,
    tmp_path: Path,
) -> None:
    """All connections go there at once, though the former servers still answer."""
    there = Database.create(private_pg())
    cache = private_redis()
    file, redis_file = tmp_path / "database-url", tmp_path / "redis-url"
    file.write_text(db.dsn, encoding="utf-8")
    redis_file.write_text(private_redis().url(), encoding="utf-8")
    env = {"DATABASE_URL_FILE": str(file), "REDIS_URL_FILE": str(redis_file)}
    daemon = sweeper("--workers", "3", dsn=None, redis_url=None, http=True, env=env)
    until_ready(daemon)
    release_one(db, shop.add_product(db))
    replace(file, there.dsn)
    replace(redis_file, cache.url())
    os.kill(daemon.pid, signal.SIGHUP)
    release_one(there, shop.add_product(there))
    wait_until(lambda: not sweepers(db), 20, "nobody is left at the former server")
    assert cache.client().exists("{reservations}:mark")
    status = daemon.http("/status")[1]
    assert f"port={there.server.port}" in status and f":{cache.port}/0" in status
    assert daemon.stop() == 0
    there.conn.close()


def test_the_token_is_rotated(sweeper: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n", encoding="utf-8")
    daemon = sweeper(http=True, env={"SWEEPER_ADMIN_TOKEN_FILE": str(file)})
    until_ready(daemon)
    other = "another-" + TOKEN
    assert daemon.http("/sweep", "POST", token=other)[0] == 401
    replace(file, other + "\n")
    assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 401
    assert daemon.http("/sweep", "POST", token=other)[0] == 200
    for unusable in ("", "short", f"{other}\n\n", f"{other}\0"):
        replace(file, unusable)
        assert daemon.http("/sweep", "POST", token=other)[0] == 200, repr(unusable)
    assert TOKEN not in str(daemon.records)


def test_a_pipe_is_read_once(
    db: Database, redis: redis_py.Redis, sweeper: Start, tmp_path: Path
) -> None:
    """As a shell's <(...) gives one: nothing waits for it later."""
    product = shop.add_product(db)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    daemon = sweeper("--feed-interval", "300ms", dsn=None, env={"DATABASE_URL_FILE": str(pipe)})
    pipe.write_text(db.dsn, encoding="utf-8")
    daemon.wait_for_record("Postgres connected", 20)
    cut(db)
    release_one(db, product)
    assert not daemon.find(UNUSABLE)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DATABASE_URL", "postgresql://u:hush@h/d\n"),
        ("REDIS_URL", "redis://:hush@h:1/0\n"),
        ("SWEEPER_ADMIN_TOKEN", "hush-hush-hush-hush\n"),
        ("SWEEPER_READ_TOKEN", "hush-hush-hush-hush\n"),
        ("DB_PASSWORD", "hush\n"),
        ("REDIS_PASSWORD", "hush\n"),
        ("PGPASSWORD", "hush\n"),
        ("SWEEPER_KEY_PREFIX", "shop\n"),
    ],
)
def test_a_newline_at_the_end(run: Run, variable: str, text: str) -> None:
    done = run("--once", dsn=None, redis_url=None, env={variable: text})
    assert done.status == 2
    assert variable in done.stderr and "ends with a newline" in done.stderr
    assert "hush" not in done.stderr and done.stderr.count("\n") == 1


def test_what_libpq_would_never_take(run: Run) -> None:
    for extra in ("sslmode=bogus", "service=unknown", "port=1,2,3", "connect_timeout=soon"):
        done = run("--once", dsn=f"host=127.0.0.1 {extra}")
        assert done.status == 2 and extra.split("=")[0] in done.stderr, done.stderr
    done = run("--once", env={"PGSSLMODE": "bogus"})
    assert done.status == 2 and 'PGSSLMODE: "bogus" is not allowed' in done.stderr


def test_a_variable_that_is_no_setting(run: Run) -> None:
    done = run("--once", env={"SWEEPER_LOCK_TIMEOUTT": "1s", "SWEEPER_LEASE": "20s"})
    assert done.status == 0
    warning = done.record("is no setting")
    assert warning["level"] == "WARN"
    assert warning["variable"] == "SWEEPER_LOCK_TIMEOUTT"
    assert warning["nearest"] == "SWEEPER_LOCK_TIMEOUT"


def test_of_several_hosts_one_says_nothing(db: Database, sweeper: Start) -> None:
    """It has its part of an attempt, and the next one is asked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = f"{silent.getsockname()[1]},{db.server.port}"
        options = f"host=127.0.0.1,127.0.0.1 port={ports} dbname={db.name} user={db.server.user}"
        daemon = sweeper(dsn=None, env={"DATABASE_URL": options, "PGPASSWORD": db.server.password})
        daemon.wait_for_record("Postgres connected", 15)


def test_of_several_hosts_the_primary_is_used(
    db: Database,
    redis: redis_py.Redis,
    private_pg: Callable[..., Postgres],
    sweeper: Start,
    run: Run,
) -> None:
    """Though another one, which is read-only, stands first and answers."""
    other = private_pg()
    with other.connect("postgres") as conn:
        conn.autocommit = True
        conn.execute(f"CREATE DATABASE {db.name}")
        conn.execute(f"ALTER DATABASE {db.name} SET default_transaction_read_only = on")
    ports = f"{other.port},{db.server.port}"
    options = f"host=127.0.0.1,127.0.0.1 port={ports} dbname={db.name} user={db.server.user}"
    passwords = Path(other.dir) / "pgpass"
    passwords.write_text(
        "".join(f"127.0.0.1:{one.port}:*:*:{one.password}\n" for one in (other, db.server)),
        encoding="utf-8",
    )
    passwords.chmod(0o600)
    env = {"PGPASSFILE": str(passwords)}
    product = shop.add_product(db)
    daemon: Sweeper = sweeper("--feed-interval", "300ms", dsn=options, env=env)
    daemon.wait_for_record("Postgres connected", 20)
    release_one(db, product)
    assert not daemon.find("Postgres is out of reach")
    assert run("--once", dsn=options, env=env).status == 0
    for mode in ("--check-config", "--status"):  # which would do with one that is read-only
        done = run(mode, dsn=options, env=env)
        assert done.status == 0, done.stdout + done.stderr
    told = run("--once", dsn=f"{options} target_session_attrs=any", env=env)
    assert told.status == 1 and "read-only" in told.record("Postgres is out of reach")["error"]


def test_a_variable_that_a_queue_names(run: Run) -> None:
    """That begins as settings do, and as the names of databases may."""
    text = """
{}:
  database: SWEEPER_X
  table: holds
  active: state = 'HELD'
  released: state = 'ENDED'
"""
    env = {"SWEEPER_QUEUES": text.format("one") + text.replace("_X", "_Y").format("two"),
           "SWEEPER_X_DATABASE_URL": "postgresql://127.0.0.1:1/x",
           "SWEEPER_Y_DATABASE_URL": "postgresql://127.0.0.1:1/y"}
    for args, named in (((), "SWEEPER_Z_DATABASE_URL"), (("--queue", "one"), "SWEEPER_Z_DATABASE_URI")):
        done = run("--once", *args, env=env | {named: "postgresql://127.0.0.1:1/z"})
        warned = [r["variable"] for r in done.records if "is no setting" in r["message"]]
        assert warned == [named], done.stderr
