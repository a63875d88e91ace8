"""Whether anything is overdue is not known: said so, with the true reason, by all that tells it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import transaction
from harness.poll import holds, until_ready, wait_until
from harness.process import free_port
from harness.servers import Postgres
from harness.sweeper import Run, Start, Sweeper
from harness.web import moment, readyz, samples, until_settled

pytestmark = pytest.mark.slow

UNKNOWN_S = 30  # interface: nobody knows for so long whether anything is

# What no look survives, how it is ended, and what Postgres says.
POLICY = (
    "ALTER TABLE inventory_reservations ENABLE ROW LEVEL SECURITY;"
    "ALTER TABLE inventory_reservations FORCE ROW LEVEL SECURITY;"
    "CREATE POLICY tenant ON inventory_reservations"
    " USING (product_id::text = current_setting('shop.tenant'))"
)
WITHOUT_POLICY = (
    "DROP POLICY tenant ON inventory_reservations;"
    "ALTER TABLE inventory_reservations DISABLE ROW LEVEL SECURITY"
)


def ordinary(db: Database) -> str:
    """A role that row security concerns, with the rights that the program needs."""
    role = f"{db.name}_sweeper"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}")
    return f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"


def gauge(daemon: Sweeper) -> float | None:
    """overdue_seconds; None: there is no sample."""
    name = "reservation_sweeper_overdue_seconds"
    text = daemon.http("/metrics")[1]
    assert f"# TYPE {name} gauge" in text.splitlines()
    return samples(text).get("overdue_seconds")


def until_unknown(daemon: Sweeper, reason: str) -> dict:
    def unknown() -> dict | None:
        status, body = readyz(daemon)
        return body if status == 503 and "not been known" in body["reason"] else None

    body = wait_until(unknown, 2 * UNKNOWN_S, "not known")
    assert reason in body["reason"], body
    assert body["overdueSeconds"] is None and body["locked"] is None
    status = json.loads(daemon.http("/status")[1])
    assert status["ready"] is False and reason in status["reason"]
    assert status["overdueSeconds"] is None and status["oldestOverdue"] is None
    assert status["postgres"]["up"] is True
    assert gauge(daemon) is None
    assert status["locked"] is None and status["lockedSeconds"] is None
    return body


def test_looks_that_fail(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """From one moment on: on time for 30 s more, then not known. And back."""
    reason = 'unrecognized configuration parameter "shop.tenant"'
    dsn = ordinary(db)
    daemon = sweeper("--feed-interval", "500ms", http=True, dsn=dsn)
    until_settled(daemon, looks=3)
    assert gauge(daemon) == 0
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=3600)
    since = len(daemon.records)
    db.conn.execute(POLICY)
    record = daemon.wait_for_record("The feed's look failed", 20, since)
    assert record["level"] == "WARN" and reason in record["error"]
    holds(lambda: readyz(daemon)[0] == 200, 5, "known for a while yet")
    until_unknown(daemon, reason)
    # The mode that asks by itself: the same reason, and it is no question of reach.
    done = run("--status", dsn=dsn)
    body = json.loads(done.stdout)
    assert done.status == 1 and body["postgres"]["up"] is True
    assert "out of reach" not in done.stdout + done.stderr
    assert reason in body["reason"]
    assert reason in done.record("What is due cannot be looked for")["error"]

    def said() -> list[dict]:
        return daemon.find("The feed's look failed", since)

    wait_until(lambda: said()[-1]["level"] == "ERROR", 10, "said again, as an ERROR")
    assert len(said()) <= 3
    db.conn.execute(WITHOUT_POLICY)
    until_ready(daemon, 20)
    assert gauge(daemon) == 0
    daemon.wait_for_record("The feed's looks succeed again", 5, since)


def test_never_known(db: Database, sweeper: Start) -> None:
    """From the start on: starting, then the reason."""
    dsn = ordinary(db)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=3600)
    db.conn.execute(POLICY)
    daemon = sweeper(http=True, dsn=dsn)
    daemon.wait_for_record("The feed's look failed", 20)
    status, body = readyz(daemon)
    assert (status, body["reason"], body["overdueSeconds"]) == (503, "starting", None)
    until_unknown(daemon, "shop.tenant")
    db.conn.execute(WITHOUT_POLICY)
    until_ready(daemon, 20)


def test_a_table_that_is_locked(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """As by a migration that takes minutes, whatever the feed's interval is."""
    daemon = sweeper("--feed-interval", "30m", "--lookahead", "1h", http=True)
    until_settled(daemon)
    lock = "LOCK TABLE inventory_reservations IN ACCESS EXCLUSIVE MODE"
    with transaction(db, (lock, None)):
        until_unknown(daemon, "table inventory_reservations is locked by pid")
    until_ready(daemon, 20)


def test_known_whatever_the_interval(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """Each sweeper knows by itself, with looks an hour apart too."""
    options = ("--feed-interval", "1h", "--lookahead", "2h")
    daemons = [sweeper(*options, http=True) for _ in range(2)]
    for daemon in daemons:
        until_settled(daemon)
    holds(lambda: all(readyz(d)[0] == 200 for d in daemons), UNKNOWN_S + 8, "known")
    assert all(gauge(d) == 0 for d in daemons)


def test_without_redis(db: Database, sweeper: Start) -> None:
    """Passes over Postgres tell; when they fail it is not known either."""
    dsn = ordinary(db)
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=3600)
    daemon = sweeper(http=True, dsn=dsn, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    assert gauge(daemon) == 0
    db.conn.execute(POLICY)
    until_unknown(daemon, "shop.tenant")
    assert readyz(daemon)[1]["degraded"] is True
    db.conn.execute(WITHOUT_POLICY)
    until_ready(daemon, 20)


def test_named_without_redis(db: Database, sweeper: Start) -> None:
    """What a pass cannot release is named, with its age."""
    daemon = sweeper(http=True, redis_url=f"redis://127.0.0.1:{free_port()}")
    until_ready(daemon)
    db.conn.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END$$;"
        "CREATE TRIGGER full_disk BEFORE UPDATE ON inventory_reservations"
        " EXECUTE FUNCTION full_disk()"
    )
    id = shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1800)
    wait_until(lambda: readyz(daemon)[0] == 503, 20, "not ready")
    oldest = json.loads(daemon.http("/status")[1])["oldestOverdue"]
    assert oldest["reservationId"] == id and oldest["overdueSeconds"] >= 1800
    assert id in readyz(daemon)[1]["reason"]
    expired = db.value("SELECT extract(epoch FROM expires_at)::float FROM inventory_reservations")
    assert abs(moment(oldest["expiresAt"]) - expired) < 0.002  # type: ignore[operator]
    db.conn.execute("DROP TRIGGER full_disk ON inventory_reservations")
    until_ready(daemon, 20)
    wait_until(lambda: shop.count_status(db, "released") == 1, 20, "released")


def test_times_of_failures(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """In the one form, in the daemon's /status and in --status."""
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-1)
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, available_stock = total_stock")
    daemon = sweeper(http=True)
    until_ready(daemon)

    def failures() -> list[dict]:
        return json.loads(daemon.http("/status")[1])["failures"]

    [shown] = wait_until(failures, 20, "shown")
    [alone] = json.loads(run("--status").stdout)["failures"]
    for failure in (shown, alone):
        times = [moment(failure[n]) for n in ("firstFailedAt", "lastFailedAt", "retryAt")]
        assert times == sorted(times)


def test_postgres_hangs(
    private_pg: Callable[..., Postgres], redis: redis_py.Redis, sweeper: Start
) -> None:
    """Its connections stay, and nothing is answered: not on time, with a reason, within a minute."""
    server = private_pg()
    own = Database.create(server)
    daemon = sweeper("--feed-interval", "1s", http=True, dsn=own.dsn)
    until_settled(daemon, looks=2)
    server.pause()
    wait_until(lambda: readyz(daemon)[0] == 503, 2 * UNKNOWN_S, "not ready")
    reason = readyz(daemon)[1]["reason"]
    assert "not been known" in reason or "out of reach" in reason
    server.resume()
    until_ready(daemon, 20)
