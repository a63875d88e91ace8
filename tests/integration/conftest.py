"""Fixtures: one Postgres and one Redis for the session; for each test a fresh database, and an empty Redis."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.checking import check, role  # noqa: E402, F401
from harness.database import Database  # noqa: E402
from harness.pgbouncer import PgBouncer  # noqa: E402
from harness.payments import open_hall, paid_shop  # noqa: E402, F401
from harness.poll import until_ready  # noqa: E402
from harness.reconciliation import Check, check_findings  # noqa: E402
from harness.runbook import OnCall, Shell  # noqa: E402
from harness.scripts import NUMBERS, Queue  # noqa: E402
from harness.servers import Postgres, Redis, Server  # noqa: E402
from harness.skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401
from harness.sweeper import Finished, Start, Sweeper, run_once  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "valgrind: the subset that CI also runs under valgrind")
    config.addinivalue_line("markers", "slow: half a minute or more where all is slow; begun first")
    config.addinivalue_line("markers", "long: of long.txt; `make test` leaves it to `make test-long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those of long.txt are `long`. With RS_SHARE, "K/N", part K of N: by their names, so that the
    parts together are all."""
    long = set(Path(__file__).with_name("long.txt").read_text().splitlines())
    for item in items:
        if f"{item.path.name}::{item.name.partition('[')[0]}" in long:
            item.add_marker("long")
    if text := os.environ.get("RS_SHARE"):
        k, n = map(int, text.split("/"))
        part = [item for item in items if zlib.crc32(item.nodeid.encode()) % n == k]
        config.hook.pytest_deselected(items=list(set(items).difference(part)))
        items[:] = part
    # Begun last, they would be waited for by processors that have nothing else to do.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def pg_server() -> Iterator[Postgres]:
    # Nobody cuts the power, and a database a test is much to sync.
    server = Postgres(fsync=False, like=os.environ.get("RS_CLUSTER"), shared=True)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def session_redis() -> Iterator[Redis]:
    server = Redis()
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_server(session_redis: Redis) -> Redis:
    """The session's, emptied: a key that a test before left would be found by --check-config, or claimed."""
    with session_redis.client() as client:
        client.flushall()
        client.config_resetstat()
    return session_redis


@pytest.fixture(scope="module")
def pooler(pg_server: Postgres) -> Iterator[PgBouncer]:
    """In transaction mode; whether it keeps names for its clients, its version decides."""
    bouncer = PgBouncer(pg_server)
    bouncer.start()
    yield bouncer
    bouncer.close()


def made_of(kind: Callable[..., Server]) -> Iterator[Callable[..., Any]]:
    servers: list[Server] = []

    def make(**settings: Any) -> Server:
        servers.append(kind(**settings))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def private_pg() -> Iterator[Callable[..., Postgres]]:
    """Makes servers that the test may stop, kill or configure: private_pg(max_connections=20)."""
    yield from made_of(Postgres)


@pytest.fixture
def private_redis() -> Iterator[Callable[..., Redis]]:
    """Makes servers that the test may stop, kill or configure: private_redis(requirepass="x")."""
    yield from made_of(Redis)


@pytest.fixture
def db(pg_server: Postgres) -> Iterator[Database]:
    database = Database.create(pg_server)
    yield database
    database.drop()


@pytest.fixture
def empty_db(pg_server: Postgres) -> Iterator[Database]:
    """Without the tables of sql/schema.sql: a shop's own are made in it."""
    database = Database.create(pg_server, schema=False)
    yield database
    database.drop()


@pytest.fixture
def redis(redis_server: Redis) -> Iterator[redis_py.Redis]:
    client = redis_server.client()
    yield client
    client.close()


@pytest.fixture(params=["", NUMBERS], ids=["texts", "numbers"])
def queue(redis: redis_py.Redis, request: pytest.FixtureRequest) -> Queue:
    """The scripts of lua/ as functions, with scores as Redis gives them to scripts, and as Dragonfly does."""
    return Queue(redis, request.param)


@pytest.fixture
def sweeper(
    db: Database, redis: redis_py.Redis, redis_server: Redis
) -> Iterator[Callable[..., Sweeper]]:
    """Starts daemons: sweeper("--batch-size", "10", env={...}, http=True, dsn=..., redis_url=...).

    At the test's end each must stop in order, with exit status 0 (or its expected_status; None:
    any), and with no sanitizer report.
    """
    started: list[Sweeper] = []

    def start(*args: str, **options: Any) -> Sweeper:
        options.setdefault("dsn", db.dsn)
        options.setdefault("redis_url", redis_server.url())
        started.append(Sweeper(*args, **options))
        return started[-1]

    yield start
    problems = []
    for one in started:
        try:
            one.until_stoppable()
            status = one.stop()
            one.check_reports()
            assert one.expected_status in (None, status), one.tail()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture
def run(db: Database, redis: redis_py.Redis, redis_server: Redis) -> Callable[..., Finished]:
    """Runs a mode that ends by itself: run("--once", env={...})."""

    def run_mode(*args: str, **options: Any) -> Finished:
        options.setdefault("dsn", db.dsn)
        options.setdefault("redis_url", redis_server.url())
        return run_once(*args, **options)

    return run_mode


@pytest.fixture
def found(db: Database, redis: redis_py.Redis, run: Any, tmp_path: Path) -> Check:
    """Checks what reconciliations find: found("--lookahead", "off", mirrorMissing=7)."""
    return partial(check_findings, db, redis, run, tmp_path)


@pytest.fixture
def on_call(db: Database, redis: redis_py.Redis, redis_server: Redis, sweeper: Start, tmp_path: Path) -> OnCall:
    """A daemon that is ready, and a shell with its environment and what more is given."""

    def start(*args: str, env: dict[str, str] | None = None, **more: str) -> tuple[Sweeper, Shell]:
        env = {"DATABASE_URL": db.dsn, "REDIS_URL": redis_server.url()} if env is None else env
        env = {"SWEEPER_ADMIN_TOKEN": "a-token-of-sixteen-bytes"} | env
        quick = ("--feed-interval", "300ms", "--lookahead", "60s")
        daemon = sweeper(*quick, *args, dsn=None, redis_url=None, env=env, http=True)
        until_ready(daemon)
        return daemon, Shell(tmp_path, daemon, env | more)

    return start
