"""What is logged of a server that is away: from the first second to the last, and no flood."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until, within
from harness.servers import Postgres, Redis
from harness.sweeper import Record, Start, Sweeper
from harness.web import metric

OPTIONS = ("--workers", "3", "--feed-interval", "1s", "--lookahead", "5s")
AWAY = {"postgres": "Postgres is out of reach", "redis": "Redis is out of reach"}


def about(daemon: Sweeper, server: str) -> list[Record]:
    """The records of the server's outages, and of their ends."""
    names = (AWAY[server], f"{server.title()} is back", f"{server.title()} connected")
    names += (f"{server.title()} takes not all", f"Connections to {server.title()} are often lost")
    return [r for r in daemon.records if r["message"].startswith(names)]


def release_one(db: Database) -> None:
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=0.3)
    status = "SELECT status FROM inventory_reservations WHERE id = %s"
    wait_until(lambda: db.value(status, (id,)) == "released", 10, "the release")
    assert shop.lateness(db, [id])[0] < within(2)


def as_role(db: Database, role: str) -> str:
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'first'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}")
    host = db.dsn.partition("@")[2]
    return f"postgresql://{role}:first@{host}"


def test_postgres_away_for_one_reason_and_then_another(
    private_pg: Callable[..., Postgres], sweeper: Start
) -> None:
    """A password that was rotated meanwhile; three workers and the feed are one outage."""
    server = private_pg()
    db = Database.create(server)
    daemon = sweeper(*OPTIONS, dsn=as_role(db, "rotated"))
    daemon.wait_for_record("Postgres connected")
    daemon.wait_for_record("Redis connected")
    release_one(db)
    db.conn.execute("ALTER ROLE rotated PASSWORD 'second'")
    server.stop("immediate")
    first = daemon.wait_for_record(AWAY["postgres"])
    assert first["level"] == "WARN" and "127.0.0.1" in first["postgres"]
    assert first["awaySeconds"] < within(2)
    seen = len(daemon.records)
    server.start()
    second = daemon.wait_for_record(AWAY["postgres"], 10, since=seen)
    while "password" not in second["error"]:  # it was still starting up
        seen = daemon.records.index(second) + 1
        second = daemon.wait_for_record(AWAY["postgres"], 10, since=seen)
    assert second["level"] == "WARN" and second["awaySeconds"] >= first["awaySeconds"]
    records = about(daemon, "postgres")
    assert len({r.get("error") for r in records}) == len(records), records
    holds(lambda: about(daemon, "postgres") == records, 3, "nothing more is said")
    with server.connect("postgres") as conn:
        conn.execute("ALTER ROLE rotated PASSWORD 'first'")
    over = daemon.wait_for_record("Postgres is back", 10)
    assert over["level"] == "INFO" and over["awaySeconds"] >= 3 and "127.0.0.1" in over["postgres"]
    assert len(daemon.find("Postgres is back")) == 1


def test_redis_away_for_one_reason_and_then_another(
    db: Database, private_redis: Callable[..., Redis], sweeper: Start
) -> None:
    server = private_redis(requirepass="first")
    daemon = sweeper(*OPTIONS, redis_url=server.url())
    daemon.wait_for_record("Redis connected")
    server.kill9()
    first = daemon.wait_for_record(AWAY["redis"])
    assert first["level"] == "WARN" and first["redis"].startswith("127.0.0.1:")
    seen = len(daemon.records)
    server.settings["requirepass"] = "second"
    server.start()
    second = daemon.wait_for_record(AWAY["redis"], 10, since=seen)
    assert "WRONGPASS" in second["error"] and second["degraded"] is True
    seen = len(daemon.records)
    holds(lambda: not daemon.find("Redis", since=seen), 3, "nothing more is said")
    server.client().config_set("requirepass", "first")
    over = daemon.wait_for_record("Redis is back", 10)
    assert over["level"] == "INFO" and over["awaySeconds"] >= 3
    assert over["redis"].startswith("127.0.0.1:")


def test_sessions_that_postgres_ends_again_and_again(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Each is made anew at once: one line for many, and releases on time."""
    dsn = as_role(db, f"idle_{db.name}")
    db.conn.execute(f"ALTER ROLE idle_{db.name} SET idle_session_timeout = '1200ms'")
    try:
        daemon = sweeper(*OPTIONS[:2], "--feed-interval", "5s", "--lookahead", "10s", dsn=dsn, http=True)
        daemon.wait_for_record("Postgres connected")

        def reconnects() -> float:
            return metric(daemon, 'reconnects_total{server="postgres"}')

        wait_until(lambda: reconnects() >= 25, 60, "it is ended again and again")
        release_one(db)
        records = about(daemon, "postgres")
        # On a busy machine one or two may take so long that they are outages of their own.
        back = [r["message"] for r in records if r["level"] == "INFO"]
        assert back[0] == "Postgres connected" and len(back) <= 3, back
        assert set(back[1:]) <= {"Postgres is back"}
        others = [r for r in records if r["level"] != "INFO"]
        assert len(others) <= len(back)
        (often,) = (r for r in others if "often" in r["message"])
        assert often["level"] == "WARN" and "often lost" in often["message"] and often["times"] >= 5
        assert "idle-session timeout" in often["error"] and "127.0.0.1" in often["postgres"]
        assert daemon.stop() == 0
    finally:
        db.conn.execute(f"DROP OWNED BY idle_{db.name}")
        db.conn.execute(f"DROP ROLE idle_{db.name}")


@pytest.mark.parametrize("kills", [1, 20])
def test_connections_that_redis_ends(
    db: Database, redis_server: Redis, redis: redis_py.Redis, sweeper: Start, kills: int
) -> None:
    daemon = sweeper(*OPTIONS, http=True)
    daemon.wait_for_record("Redis connected")

    def client_of(name: bytes = b"reservation-sweeper") -> Any:
        found = [c["id"] for c in redis.client_list() if c["name"] == name.decode()]
        return found[0] if found else None

    last, slowest_s = None, 0.0
    for left in range(kills, -1, -1):
        began = time.monotonic()
        last = wait_until(lambda last=last: (c := client_of()) != last and c, 10, "connected again")
        wait_until(lambda: '"degraded":false' in daemon.http("/readyz")[1], 10, "in use")
        slowest_s = max(slowest_s, time.monotonic() - began)
        if left > 0:
            redis.client_kill_filter(_id=last)
    release_one(db)
    records = about(daemon, "redis")
    if slowest_s > 0.3:  # a machine that is busy: half a second is an outage, and is said
        assert len(records) < 8, records
        return
    assert [r["message"] for r in records if r["level"] == "INFO"] == ["Redis connected"]
    lines = [r["message"] for r in records if r["level"] != "INFO"]
    assert len(lines) == (1 if kills > 4 else 0) and not daemon.find("out of reach"), lines
