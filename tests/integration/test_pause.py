"""Pauses: nothing is released until their end, whatever becomes of sweepers and of Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, until_ready, wait_until, within
from harness.queue import ORDER, PAUSED, PENDING
from harness.servers import Postgres, Redis
from harness.sweeper import Run, Start, Sweeper

TOKEN = "a-token-of-sixteen-bytes"
POST = {"SWEEPER_ADMIN_TOKEN": TOKEN}
BEGUN = "Paused: nothing is released"
OVER = "The pause is over: releases go on"
UNKNOWN = "Whether a pause lasts cannot be asked of Redis: releases go on"
BACK = "Redis had lost what was ordered about a pause: it was written back"
OFF = "redis://127.0.0.1:1"
MARK = "{reservations}:mark"
FOREIGN = "A sweeper of another database uses the same keys in Redis"
QUICK = ("--feed-interval", "300ms", "--lookahead", "1s")


@pytest.fixture
def other(pg_server: Postgres) -> Iterator[Database]:
    database = Database.create(pg_server)
    yield database
    database.drop()


def released(db: Database) -> int:
    return shop.statuses(db).get("released", 0)


def overdue(db: Database, n: int = 3) -> None:
    shop.bulk_reserve(db, n, shop.add_products(db, 3, stock=1000))


def is_paused(db: Database, daemon: Sweeper) -> None:
    """It obeys, whatever becomes due."""
    daemon.wait_for_record(BEGUN)
    before = released(db)
    overdue(db)
    holds(lambda: released(db) == before, 1.5, "nothing is released")


def all_released(db: Database) -> None:
    wait_until(lambda: set(shop.statuses(db)) == {"released"}, 20, "all is released")
    shop.check_stock_adds_up(db)


def status_of(daemon: Sweeper) -> Any:
    return json.loads(daemon.http("/status")[1])


def test_pause_and_resume(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """All sweepers within a second; who starts meanwhile, too."""
    daemons = [sweeper(*QUICK, http=True) for _ in range(2)]
    for daemon in daemons:
        until_ready(daemon)
    given = run("--pause", "30m", "--reason", "the shop is down", env={"SUDO_USER": "ops"})
    assert given.status == 0
    record = given.record(BEGUN)
    assert record["reason"] == "the shop is down" and record["by"].startswith("ops@")
    began = time.monotonic()
    for daemon in daemons:
        daemon.wait_for_record(BEGUN)
    assert time.monotonic() - began < within(1)
    is_paused(db, daemons[0])
    late = sweeper(*QUICK, http=True)
    is_paused(db, late)
    assert redis.zcard(PENDING) == 6, "the feed goes on"
    for daemon in [*daemons, late]:
        status, body = daemon.http("/readyz")
        verdict = json.loads(body)
        assert status == 200 and verdict["ready"] and verdict["overdueSeconds"] == 0, body
        assert verdict["paused"]["until"] == record["until"]
        assert verdict["paused"]["reason"] == "the shop is down"
        metrics = daemon.http("/metrics")[1]
        assert 'reservation_sweeper_paused{queue="reservations"} 1' in metrics
        assert 'reservation_sweeper_paused_until_timestamp_seconds{queue="reservations"} ' in metrics
        assert 'reservation_sweeper_overdue_seconds{queue="reservations"} 0' in metrics
    seen = json.loads(run("--status").stdout)
    assert seen["ready"] and seen["paused"]["by"] == record["by"] and seen["oldestOverdue"] is None

    assert run("--resume").record("Resumed: releases go on")["wasPaused"] is True
    all_released(db)
    for daemon in [*daemons, late]:
        assert daemon.wait_for_record(OVER)["why"] == "resumed"
        wait_until(lambda: "paused" not in json.loads(daemon.http("/readyz")[1]))
        assert 'paused{queue="reservations"} 0' in daemon.http("/metrics")[1]
    assert not redis.exists(PAUSED)
    assert run("--resume").record("Resumed: releases go on")["wasPaused"] is False


def test_its_end(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """By Postgres's time, and not before."""
    daemon = sweeper(*QUICK, http=True)
    until_ready(daemon)
    given = run("--pause", "3s")
    stored = json.loads(redis.get(PAUSED) or b"")
    assert set(stored) == {"until", "reason", "by"} and 0 < redis.pttl(PAUSED) <= 3000
    daemon.wait_for_record(BEGUN)
    overdue(db)
    all_released(db)
    ended = db.value("SELECT extract(epoch FROM min(updated_at)) * 1000 FROM inventory_reservations")
    assert ended >= stored["until"], given.stdout
    assert ended < stored["until"] + within(1.5) * 1000
    assert daemon.wait_for_record(OVER)["why"] == "its end has come"


def test_without_a_reason(run: Run) -> None:
    """Whoever says that it is paused says the same of what nobody gave."""
    assert run("--pause").record(BEGUN)["reason"] is None
    for mode in ("--once", "--reconcile"):
        record = run(mode).record(BEGUN)
        assert record["reason"] is None and record["by"], mode


def test_it_has_an_hour_by_default_and_the_last_one_holds(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    daemon = sweeper(*QUICK, http=True)
    until_ready(daemon)
    run("--pause")
    assert 3_590_000 < redis.pttl(PAUSED) <= 3_600_000
    is_paused(db, daemon)
    run("--pause=2s", "--reason", "sooner")
    all_released(db)


@pytest.mark.parametrize("args", [("--pause", "0s"), ("--pause", "169h"), ("--pause", "-1h"), ("--pause=soon",)])
def test_times_that_are_none(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)
    assert done.status == 2 and "from 1s to 168h" in done.stderr


def test_a_time_without_a_unit(run: Run) -> None:
    done = run("--pause", "30")
    assert done.status == 2
    assert '--pause: "30" is not allowed: its unit (us, ms, s, m, h) is missing; a duration from 1s' in done.stderr


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"])
def test_reasons_that_are_none(run: Run, reason: str) -> None:
    done = run("--pause", "--reason", reason)
    named = reason[:100].replace("\n", "?")
    assert done.status == 2 and f'--reason: "{named}" is not allowed: 1 to 500 bytes' in done.stderr


def test_modifiers_without_their_mode(run: Run) -> None:
    assert run("--resume", "--reason", "x").status == 2
    assert run("--even-paused").status == 2


def test_without_redis(run: Run) -> None:
    for mode in ("--pause", "--resume"):
        done = run(mode, redis_url=OFF)
        assert done.status == 1 and "is out of reach" in done.record("Cannot " + mode[2:])["error"]


def test_without_postgres(redis: redis_py.Redis, run: Run) -> None:
    """Perhaps it is why somebody pauses: this host's clock has to do."""
    done = run("--pause", "1m", dsn="postgresql://127.0.0.1:1/none")
    assert done.status == 0 and done.record("this host's clock")["level"] == "WARN"
    until = json.loads(redis.get(PAUSED) or b"")["until"]
    assert abs(until - time.time() * 1000 - 60_000) < 20_000


def test_once_obeys(db: Database, run: Run) -> None:
    overdue(db)
    run("--pause", "--reason", "a migration")
    done = run("--once")
    assert done.status == 1 and released(db) == 0
    error = done.record("Cleanup job failed")["error"]
    assert "paused until" in error and "a migration" in error
    assert run("--once", "--dry-run").record("Cleanup job completed")["cleanedCount"] == 3
    assert run("--once", "--even-paused").record("Cleanup job completed")["cleanedCount"] == 3


def test_once_never_saw_it(db: Database, run: Run) -> None:
    overdue(db)
    run("--pause")
    done = run("--once", redis_url=OFF)
    assert done.status == 0 and released(db) == 3
    warnings = [r for r in done.records if r["level"] == "WARN"]
    assert len(warnings) == 1 and warnings[0]["pause"] == "whether one lasts could not be asked"


def test_a_long_run_of_once_ends(db: Database, run: Run, redis_server: Redis) -> None:
    """A pause that comes in the middle: what is under way is finished."""
    shop.bulk_reserve(db, 60_000, shop.add_products(db, 50, stock=100_000))
    once = Sweeper("--once", "--batch-size", "10", dsn=db.dsn, redis_url=redis_server.url())
    wait_until(lambda: released(db) > 0)
    run("--pause")
    assert once.wait(10) == 1
    assert 0 < released(db) < 60_000
    assert "paused until" in once.find("Cleanup job failed")[0]["error"]
    shop.check_stock_adds_up(db)


def test_post(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(*QUICK, http=True, env=POST)
    until_ready(daemon)
    assert daemon.http("/pause?for=10m", "POST")[0] == 401
    for query in ("for=soon", "for=8000h", "for=1m&for=2m", "reason=", "why=x", "reason=a%0Ab"):
        assert daemon.http(f"/pause?{query}", "POST", TOKEN)[0] == 400, query
    assert "its unit (us, ms, s, m, h) is missing" in daemon.http("/pause?for=10", "POST", TOKEN)[1]
    status, body = daemon.http("/pause?for=10m&reason=the%20shop%20is%20down", "POST", TOKEN)
    answer = json.loads(body)
    assert status == 200 and answer["paused"] is True
    verdict = json.loads(daemon.http("/readyz")[1])
    assert verdict["paused"] == {
        "until": answer["until"],
        "reason": "the shop is down",
        "by": "HTTP from 127.0.0.1",
    }
    is_paused(db, daemon)
    status, body = daemon.http("/sweep", "POST", TOKEN)
    assert status == 503 and "the shop is down" in body and released(db) == 0
    assert json.loads(daemon.http("/resume", "POST", TOKEN)[1]) == {"resumed": True, "wasPaused": True}
    all_released(db)
    assert json.loads(daemon.http("/resume", "POST", TOKEN)[1])["wasPaused"] is False


def test_post_without_redis(db: Database, sweeper: Start) -> None:
    daemon = sweeper(http=True, env=POST, redis_url=OFF)
    until_ready(daemon)
    for path in ("/pause", "/resume"):
        status, body = daemon.http(path, "POST", TOKEN)
        assert status == 503 and "Redis is out of reach" in body


def test_who_starts_without_redis_says_so_once(sweeper: Start) -> None:
    daemon = sweeper(http=True, env=POST, redis_url=OFF)
    until_ready(daemon)
    daemon.wait_for_record(UNKNOWN)
    assert len(daemon.find(UNKNOWN)) == 1


def test_redis_loses_it(db: Database, redis: redis_py.Redis, sweeper: Start, run: Run) -> None:
    """The daemons write it back, with what is left of its time; and not what was resumed."""
    daemons = [sweeper(*QUICK, http=True) for _ in range(2)]
    for daemon in daemons:
        until_ready(daemon)
    run("--pause", "10m")
    before = redis.get(PAUSED)
    for daemon in daemons:
        daemon.wait_for_record(BEGUN)
    for _ in range(2):
        redis.flushall()
        wait_until(lambda: redis.get(PAUSED) == before, 5, "it is written back")
        assert 0 < redis.pttl(PAUSED) <= 600_000
        is_paused(db, daemons[0])
        wait_until(lambda: redis.zcard(PENDING) > 0, 10, "the feed goes on")
    wait_until(lambda: any(daemon.find(BACK) for daemon in daemons))
    for daemon in daemons:
        assert not daemon.find(OVER)
    late = run("--once")
    assert late.status == 1 and released(db) == 0

    run("--resume")
    for daemon in daemons:
        daemon.wait_for_record(OVER)
    all_released(db)
    redis.flushall()
    wait_until(lambda: redis.exists(ORDER), 5, "that it was resumed is known again")
    holds(lambda: not redis.get(PAUSED), 1.5, "it stays over")  # its end is a text of no bytes, for 1 ms
    overdue(db)
    all_released(db)


def test_an_older_redis_comes_back_with_it(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run
) -> None:
    """A snapshot from before the resume: what was ordered last holds."""
    daemon = sweeper(*QUICK, http=True)
    until_ready(daemon)
    run("--pause", "10m")
    daemon.wait_for_record(BEGUN)
    old = {key: redis.get(key) or b"" for key in (PAUSED, ORDER)}
    run("--resume")
    daemon.wait_for_record(OVER)
    for key, text in old.items():
        redis.set(key, text, px=600_000)
    wait_until(lambda: not redis.exists(PAUSED), 5, "it is ended again")
    overdue(db)
    all_released(db)


def test_one_that_was_written_by_hand(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    daemon = sweeper(*QUICK, http=True)
    until_ready(daemon)
    until = int(db.value("SELECT ceil(extract(epoch FROM now()) * 1000) + 600000"))
    redis.set(PAUSED, json.dumps({"until": until}), px=600_000)
    is_paused(db, daemon)
    redis.delete(PAUSED)
    wait_until(lambda: redis.exists(PAUSED), 5, "nobody has resumed")


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"until":"soon"}', '{"until":9e17}', '{"until":-1}'])
def test_what_is_no_pause(db: Database, redis: redis_py.Redis, sweeper: Start, text: str) -> None:
    redis.set(PAUSED, text)
    daemon = sweeper(*QUICK, http=True)
    overdue(db)
    all_released(db)
    if text:
        assert daemon.wait_for_record("it is not obeyed")["record"] == text
        holds(lambda: len(daemon.find("it is not obeyed")) == 1, 1.2, "once")


def test_redis_goes_away(
    db: Database, sweeper: Start, run: Run, private_redis: Callable[..., Redis]
) -> None:
    """Direct mode obeys what was seen; who was started meanwhile releases, with one WARN."""
    server = private_redis()
    seen = sweeper(*QUICK, http=True, redis_url=server.url())
    until_ready(seen)
    run("--pause", "10m", redis_url=server.url())
    is_paused(db, seen)
    server.kill9()
    wait_until(lambda: json.loads(seen.http("/readyz")[1])["degraded"])
    holds(lambda: released(db) == 0, 2, "nothing is released without Redis either")
    status, body = seen.http("/readyz")
    assert status == 200 and json.loads(body)["paused"], body

    never = sweeper(*QUICK, http=True, redis_url=server.url())
    all_released(db)
    assert len(never.find(UNKNOWN)) == 1 and never.find(UNKNOWN)[0]["level"] == "WARN"
    never.kill()
    never.expected_status = None

    server.start()
    client = server.client()
    wait_until(lambda: client.exists(PAUSED), 20, "it is written back")
    is_paused(db, seen)
    run("--resume", redis_url=server.url())
    all_released(db)


def test_its_end_without_redis(
    db: Database, sweeper: Start, run: Run, private_redis: Callable[..., Redis]
) -> None:
    server = private_redis()
    daemon = sweeper(*QUICK, http=True, redis_url=server.url())
    until_ready(daemon)
    run("--pause", "4s", redis_url=server.url())
    daemon.wait_for_record(BEGUN)
    server.kill9()
    overdue(db)
    holds(lambda: released(db) == 0, 1.5, "nothing is released")
    all_released(db)


def test_a_backlog_ends_within_a_second(db: Database, sweeper: Start, run: Run) -> None:
    """Backlog mode and a pass end after what is under way, and the rest goes the careful way."""
    shop.bulk_reserve(db, 100_000, shop.add_products(db, 100, stock=100_000))
    daemon = sweeper("--batch-size", "50", http=True)
    wait_until(lambda: released(db) > 0)
    run("--pause")
    daemon.wait_for_record(BEGUN)
    time.sleep(within(0.5))
    before = released(db)
    assert before < 100_000
    holds(lambda: released(db) == before, 1, "nothing is released any more")
    since = len(daemon.records)
    run("--resume")
    wait_until(lambda: released(db) > before + 1000)
    status, body = daemon.http("/readyz")
    assert status == 200 and json.loads(body)["overdueSeconds"] < 30, "from the pause's end on"
    all_released(db) if released(db) == 100_000 else wait_until(lambda: released(db) == 100_000, 60)
    assert not daemon.find("Backlog mode: what is due", since), "the careful way"


def test_a_reconciliation_leaves_what_has_expired(db: Database, sweeper: Start, run: Run) -> None:
    overdue(db)
    run("--pause")
    for args in ((), ("--dry-run",)):
        done = run("--reconcile", *args)
        assert done.status == 0 and released(db) == 0, done.stdout
        assert done.record("a reconciliation leaves what has expired")["pause"].startswith("paused until")
    daemon = sweeper(*QUICK, http=True, env=POST)
    until_ready(daemon)
    assert daemon.http("/reconcile", "POST", TOKEN)[0] == 202
    daemon.wait_for_record("Reconciliation completed")
    assert released(db) == 0
    run("--resume")
    assert run("--reconcile").status == 0
    all_released(db)


def test_it_survives_a_reload(
    db: Database, sweeper: Start, run: Run, private_redis: Callable[..., Redis], tmp_path: Any
) -> None:
    """A changed queue goes on with it, though Redis cannot be asked."""
    file = tmp_path / "queues.yaml"
    text = "reservations:\n  table: inventory_reservations\n  active: status = 'active'\n  released: status = 'released'\n"
    stock = (
        "  stock:\n    table: inventory\n    key: {product_id: product_id}\n    free: available_stock\n"
        "    held: reserved_stock\n"
    )
    file.write_text(text + "  quantity: quantity\n" + stock)
    server = private_redis()
    options = {"SWEEPER_QUEUES_FILE": str(file)}
    daemon = sweeper(*QUICK, http=True, redis_url=server.url(), env=options)
    until_ready(daemon)
    run("--pause", redis_url=server.url(), env=options)
    daemon.wait_for_record(BEGUN)
    server.kill9()
    wait_until(lambda: json.loads(daemon.http("/readyz")[1])["degraded"])
    file.write_text(text + "  quantity: quantity\n  batch_size: 7\n" + stock)
    daemon.process.send_signal(1)
    assert daemon.wait_for_record("Reloaded")["changed"] == 1
    overdue(db)
    holds(lambda: released(db) == 0, 2, "nothing is released")
    assert json.loads(daemon.http("/readyz")[1])["paused"]


def test_the_mark_names_the_database(
    db: Database, redis: redis_py.Redis, sweeper: Start, other: Database
) -> None:
    """Another one's sweeper under the same prefix is one ERROR that names both; both go on."""
    ours = sweeper(*QUICK, http=True)
    until_ready(ours)
    wait_until(lambda: (redis.get(MARK) or b"").startswith(f"{db.name} in cluster ".encode()), 5, "its name")
    theirs = sweeper(*QUICK, http=True, dsn=other.dsn)
    record = theirs.wait_for_record(FOREIGN)
    assert record["level"] == "ERROR" and record["keyPrefix"] == "reservations"
    assert record["otherDatabase"] == (redis.get(MARK) or b"").decode()
    assert record["database"] == record["otherDatabase"].replace(db.name, other.name)
    for one in (db, other):
        overdue(one)
        all_released(one)
    holds(lambda: len(theirs.find(FOREIGN)) == 1, 1.2, "once")
    assert not ours.find(FOREIGN)
    again = sweeper(*QUICK, http=True)
    until_ready(again)
    holds(lambda: not again.find(FOREIGN), 1.2, "the same database")
    redis.set(MARK, "1")
    wait_until(lambda: redis.get(MARK) != b"1", 5, "a mark of version 0.1 has a name now")
    assert not any(daemon.find("Redis has lost its data") for daemon in (ours, again))


SHOP = """
holds:
  table: holds
  expires_at: until
  %s
  active: state = 'held'
  released: state = 'free'
"""


@pytest.mark.parametrize(
    ("type", "value", "more"),
    [
        ("timestamptz", "now() + %s", ""),
        ("timestamp", "(now() + %s) AT TIME ZONE 'Europe/Berlin'", "time_zone: Europe/Berlin"),
        ("bigint", "(extract(epoch FROM now() + %s) * 1000)::bigint", "expires_unit: ms"),
        ("bigint", "extract(epoch FROM now() + %s)::bigint", "expires_unit: s"),
    ],
)
def test_holds_live_on_through_an_outage(
    db: Database, run: Run, tmp_path: Any, type: str, value: str, more: str
) -> None:
    """As docs/OPERATIONS.md has it: paused, given their time back by what --show-sql prints, resumed."""
    file = tmp_path / "queues.yaml"
    file.write_text(SHOP % more)
    env = {"SWEEPER_QUEUES_FILE": str(file)}
    db.conn.execute(f"CREATE TABLE holds (id serial PRIMARY KEY, until {type}, state text DEFAULT 'held')")
    for left in ("-20 minutes", "-2 hours", "5 minutes"):
        db.conn.execute(f"INSERT INTO holds (until) VALUES ({value})" % f"interval '{left}'")
    db.conn.execute(f"INSERT INTO holds (until, state) VALUES ({value}, 'sold')" % "interval '-1 hour'")
    before = db.query("SELECT id, until FROM holds ORDER BY id")
    assert run("--pause", "2h", env=env).status == 0
    assert run("--once", env=env).status == 1
    shown = run("--show-sql", env=env).stdout
    sql = shown[shown.index("-- more time for all holds") :].partition("\n;")[0]
    db.conn.execute(f"PREPARE more_time AS {sql}".encode(), prepare=False)
    db.conn.execute("EXECUTE more_time('90 minutes')")
    after = dict(db.query("SELECT id, until FROM holds ORDER BY id"))
    for id, until in before:
        moved = after[id] - until
        seconds = moved.total_seconds() if hasattr(moved, "total_seconds") else moved / (1000 if "ms" in more else 1)
        assert seconds == (0 if id == 4 else 5400), (id, until, after[id])
    assert run("--resume", env=env).status == 0
    assert run("--once", env=env).record("Cleanup job completed")["cleanedCount"] == 1
    assert db.query("SELECT id FROM holds WHERE state = 'held' ORDER BY id") == [(1,), (3,)]


SEVERAL = """
{name}:
  table: inventory_reservations
  active: status = 'active' AND quantity {which}
  released: status = 'released'
  quantity: quantity
  feed_interval: 300ms
  lookahead: 1s
  stock: {{table: inventory, key: {{product_id: product_id}}, free: available_stock, held: reserved_stock}}
"""


def test_of_several_queues_each_has_its_own(
    db: Database, redis: redis_py.Redis, sweeper: Start, run: Run, tmp_path: Any
) -> None:
    """One that is named, or all of them; what is said of one names it."""
    file = tmp_path / "queues.yaml"
    file.write_text(SEVERAL.format(name="few", which="= 1") + SEVERAL.format(name="many", which="> 1"))
    env = POST | {"SWEEPER_QUEUES_FILE": str(file)}
    daemon = sweeper(http=True, env=env)
    until_ready(daemon)
    products = shop.add_products(db, 2, stock=1000)

    def both_due() -> None:
        for units in (1, 2):
            shop.bulk_reserve(db, 2, products, quantity=units)

    assert run("--pause", "--queue", "few", env=env).record(BEGUN)["queue"] == "few"
    assert daemon.wait_for_record(BEGUN)["queue"] == "few"
    both_due()
    wait_until(lambda: released(db) == 2)
    holds(lambda: released(db) == 2, 1, "of the other alone")
    shown = {q["queue"]: q.get("paused") for q in status_of(daemon)["queues"]}
    assert shown["few"] and shown["many"] is None and status_of(daemon)["paused"]
    once = run("--once", env=env)
    assert once.status == 1 and once.record("Cleanup job failed")["queue"] == "few"
    status, body = daemon.http("/sweep", "POST", TOKEN)
    assert status == 503 and "paused until" in body
    assert json.loads(daemon.http("/sweep?queue=many", "POST", TOKEN)[1])["cleanedCount"] == 0

    assert daemon.http("/pause?for=20m&queue=none", "POST", TOKEN)[0] == 400
    answer = json.loads(daemon.http("/pause?for=20m", "POST", TOKEN)[1])
    assert answer["until"] in {q["paused"]["until"] for q in status_of(daemon)["queues"]}
    wait_until(lambda: {r["queue"] for r in daemon.find(BEGUN)} == {"few", "many"}, 5, "each is told")
    both_due()
    holds(lambda: released(db) == 2, 1, "of none")
    assert daemon.http("/resume?queue=many", "POST", TOKEN)[0] == 200
    wait_until(lambda: released(db) == 4)
    done = run("--resume", env=env)
    assert [r["wasPaused"] for r in done.records if r["message"] == "Resumed: releases go on"] == [True, False]
    all_released(db)
