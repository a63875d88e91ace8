"""`notify` of a queue: a NOTIFY after the commit, a hint that no release waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from harness.checking import dsn_of, role_of, verdicts
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.process import free_port
from harness.servers import Postgres
from harness.shapes import NO_REDIS
from harness.sweeper import Run, Start

TABLE = """
    CREATE TABLE holds (id int PRIMARY KEY, status text NOT NULL DEFAULT 'active', expires_at timestamptz NOT NULL);
    CREATE TABLE other (x int);
"""
FILE = """\
seats:
  table: holds
  active: status = 'active'
  released: status = 'gone'
  notify: It's Gone
"""


@pytest.fixture
def db(pg_server: Postgres) -> Iterator[Database]:
    yield from fresh(pg_server)


def fresh(server: Postgres) -> Iterator[Database]:
    database = Database.create(server, schema=False)
    database.conn.execute(TABLE)
    yield database
    database.drop()


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "shop.yaml"
    path.write_text(FILE, encoding="utf-8")
    return {"SWEEPER_QUEUES_FILE": str(path), "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}"}


class Listener:
    """Hears what is announced, with the time of each."""

    def __init__(self, dsn: str) -> None:
        self.conn = psycopg.connect(dsn, autocommit=True)
        self.conn.execute('LISTEN "It\'s Gone"')
        self.heard: list[tuple[float, dict[str, object]]] = []
        self.conn.add_notify_handler(self.hear)

    def hear(self, one: psycopg.Notify) -> None:
        self.heard.append((time.monotonic(), json.loads(one.payload)))

    def listen(self) -> int:
        """How many are told of by now."""
        self.conn.execute("SELECT")
        return sum(int(payload["released"]) for _, payload in self.heard)  # type: ignore[call-overload]


@pytest.fixture
def listener(db: Database) -> Iterator[Listener]:
    one = Listener(db.dsn)
    yield one
    one.conn.close()


def hold(db: Database, n: int, first: int = 1, s: str = "-1") -> None:
    db.conn.execute(
        f"INSERT INTO holds SELECT i, 'active', now() + ({s}) * interval '1 s'"
        f" FROM generate_series({first}, {first + n - 1}) i"
    )


def active(db: Database) -> int:
    return int(db.value("SELECT count(*) FROM holds WHERE status = 'active'"))  # type: ignore[call-overload]


def test_once(db: Database, run: Run, env: dict[str, str], listener: Listener) -> None:
    """A mode that ends by itself tells before it ends; with nothing released it tells nothing."""
    hold(db, 3)
    assert run("--once", *NO_REDIS, dsn=db.dsn, env=env).status == 0
    wait_until(lambda: listener.listen() == 3, 5, "nobody told")
    assert {payload["queue"] for _, payload in listener.heard} == {"seats"}
    assert set(listener.heard[0][1]) == {"queue", "released"}
    told = len(listener.heard)
    for args in (("--once", *NO_REDIS), ("--once", "--dry-run"), ("--rehearse", "1")):
        run(*args, dsn=db.dsn, env=env)
    hold(db, 2, first=10)
    assert run("--once", "--dry-run", dsn=db.dsn, env=env).status == 0
    assert run("--rehearse", "2", dsn=db.dsn, env=env).status == 0
    assert (listener.listen(), len(listener.heard)) == (3, told)
    assert run("--reconcile", dsn=db.dsn, env=env).status == 0
    wait_until(lambda: listener.listen() == 5, 5, "reconciliation told nobody")


def test_ten_a_second(db: Database, sweeper: Start, env: dict[str, str], listener: Listener) -> None:
    """One each millisecond for two seconds: all are told, by a few."""
    hold(db, 2000, s="1 + i / 1000.0")
    daemon = sweeper("--lookahead", "5s", "--feed-interval", "1s", dsn=db.dsn, env=env)
    wait_until(lambda: listener.listen() == 2000, 15, "not all are told")
    times = [at for at, _ in listener.heard]
    assert 5 < len(times) <= (times[-1] - times[0]) * 10 + 2
    assert active(db) == 0
    assert daemon.stop() == 0


@contextmanager
def hung(dsn: str) -> Iterator[psycopg.Connection]:
    """Another session, whose COMMIT of a NOTIFY waits for a standby that there is not."""
    with psycopg.connect(dsn) as conn:
        conn.execute("SET synchronous_commit = on; INSERT INTO other VALUES (1); NOTIFY elsewhere")
        pid = conn.info.backend_pid
        thread = Thread(target=conn.commit)
        thread.start()
        with psycopg.connect(dsn, autocommit=True) as watch:
            waits = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %s"
            wait_until(lambda: watch.execute(waits, (pid,)).fetchone() == (True,), 5, "it does not hang")
            yield conn
            watch.execute("SELECT pg_cancel_backend(%s)", (pid,))
        thread.join()


def test_a_commit_that_hangs(
    private_pg: Callable[..., Postgres], sweeper: Start, env: dict[str, str]
) -> None:
    """While it does no NOTIFY gets through, and each release is on time; then the sum is told."""
    server = private_pg(synchronous_standby_names="nobody", synchronous_commit="local")
    for db in fresh(server):
        listener = Listener(db.dsn)
        daemon = sweeper("--lookahead", "5s", "--feed-interval", "1s", dsn=db.dsn, env=env)
        hold(db, 1)
        wait_until(lambda: listener.listen() == 1, 10, "nobody told")
        with hung(db.dsn):
            for i in range(2, 6):
                hold(db, 1, first=i, s="0.3")
                wait_until(lambda: active(db) == 0, 5, "not released")
            said = daemon.wait_for_record("What was released cannot be announced", timeout=10)
            assert (said["sqlstate"], said["channel"]) == ("55P03", "It's Gone")
            assert listener.listen() == 1
        wait_until(lambda: listener.listen() == 5, 10, "the sum is not told")
        assert daemon.stop() == 0
        listener.conn.close()


def test_not_permitted(db: Database, sweeper: Start, env: dict[str, str], run: Run) -> None:
    """Releases go on; it is said, in --check-config too."""
    role = role_of(db)
    db.conn.execute(
        "REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC;"
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; GRANT SELECT, UPDATE ON holds TO {role}"
    )
    try:
        hold(db, 3)
        daemon = sweeper(dsn=dsn_of(db), env=env)
        record = daemon.wait_for_record("What was released cannot be announced", timeout=10)
        assert record["sqlstate"] == "42501"
        wait_until(lambda: active(db) == 0, 10, "not released")
        assert daemon.stop() == 0
        notes = verdicts(run("--check-config", dsn=dsn_of(db), env=env), "note")
        assert any("GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify" in note for note in notes), notes
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_the_server_goes(
    private_pg: Callable[..., Postgres], sweeper: Start, env: dict[str, str]
) -> None:
    """What could not be told is told when there is a connection again."""
    server = private_pg()
    for db in fresh(server):
        daemon = sweeper(dsn=db.dsn, env=env)
        hold(db, 1)
        listener = Listener(db.dsn)
        wait_until(lambda: active(db) == 0, 10, "not released")
        db.conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ 'notify'"
        )
        hold(db, 2, first=10)
        wait_until(lambda: listener.listen() >= 2, 10, "nobody told")
        assert daemon.stop() == 0
        listener.conn.close()


API = Path(__file__).parents[2] / "examples" / "api"


def test_the_api_s_own_file(pg_server: Postgres, run: Run) -> None:
    """examples/api: an event for each product of each release, and a hint, beside the built-in queue."""
    database = Database.create(pg_server)
    try:
        database.conn.execute((API / "outbox.sql").read_text(encoding="utf-8"))  # type: ignore[arg-type]
        listener = psycopg.connect(database.dsn, autocommit=True)
        listener.execute("LISTEN stock_changed")
        heard: list[str] = []
        listener.add_notify_handler(lambda one: heard.append(one.payload))
        products = shop.add_products(database, 2)
        id = shop.reserve(database, {product: 3 for product in products}, -1)
        env = {
            "SWEEPER_QUEUES_FILE": str(API / "queues.yaml"),
            "SWEEPER_HTTP_LISTEN": f"127.0.0.1:{free_port()}",
        }
        checked = run("--check-config", dsn=database.dsn, env=env)
        assert checked.status == 0 and not verdicts(checked, "FAIL"), checked.stdout
        assert run("--once", *NO_REDIS, dsn=database.dsn, env=env).status == 0
        events = database.query("SELECT event, payload FROM outbox")
        assert {event for event, _ in events} == {"reservation.released"}
        assert sorted(event["productId"] for _, event in events) == sorted(products)
        assert {(event["id"], event["quantity"]) for _, event in events} == {(id, 3)}

        def told() -> bool:
            listener.execute("SELECT")
            return heard == ['{"queue":"reservations","released":1}']

        wait_until(told, 5, "nobody told")
        listener.close()
    finally:
        database.drop()
