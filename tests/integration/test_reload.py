"""SIGHUP: the queues file is read anew, and what it says is served, while reservations go on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from harness import shop
from harness.checking import dsn_of, role_of
from harness.database import Database
from harness.locks import behind_a_lock, sweepers, transaction
from harness.poll import until_ready, wait_until
from harness.process import free_port
from harness.servers import Postgres
from harness.sweeper import Record, Run, Start, Sweeper
from harness.web import TOKEN, in_background, readyz, scrape

QUEUE = """
{name}:
  table: {table}
  active: {active}
  released: status = 'released', updated_at = now()
  quantity: quantity
  feed_interval: 1s
  stock:
    table: inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
"""


def queue(
    name: str = "first",
    *more: str,
    active: str = "status = 'active'",
    table: str = "inventory_reservations",
) -> str:
    text = QUEUE.format(name=name, active=active, table=table)
    return text + "".join(f"  {line}\n" for line in more)


class Served:
    """A daemon and its queues file."""

    def __init__(
        self,
        file: Path,
        start: Start,
        *queues: str,
        args: tuple[str, ...] = (),
        redis_url: str | None = None,
        dsn: str | None = None,
        **env: str,
    ) -> None:
        self.file = file
        self.write(*queues)
        more = {name: value for name, value in (("redis_url", redis_url), ("dsn", dsn)) if value}
        self.daemon: Sweeper = start("--queues", str(file), *args, env=env, http=True, **more)
        until_ready(self.daemon)

    def write(self, *queues: str) -> None:
        self.file.write_text("".join(queues), encoding="utf-8")

    def hangup(self) -> None:
        os.kill(self.daemon.pid, signal.SIGHUP)

    def read_anew(self, *queues: str) -> Record:
        since = len(self.daemon.records)
        self.write(*queues)
        self.hangup()
        record = self.daemon.wait_for_record("Reloaded", 20, since=since)
        until_ready(self.daemon)
        return record

    def refuse(self, *queues: str) -> str:
        since = len(self.daemon.records)
        self.write(*queues)
        self.hangup()
        record = self.daemon.wait_for_record("The queues file cannot be used", 20, since=since)
        assert record["level"] == "ERROR" and not self.daemon.find("Reloaded", since)
        return str(record["error"])


@pytest.fixture
def served(
    tmp_path: Path, db: Database, redis: redis_py.Redis, sweeper: Start
) -> Iterator[Served]:
    one = Served(tmp_path / "shop.yaml", sweeper, queue(), SWEEPER_ADMIN_TOKEN=TOKEN)
    yield one
    if one.daemon.running:
        assert one.daemon.stop() == 0


@pytest.fixture
def other(pg_server: Postgres) -> Iterator[Database]:
    database = Database.create(pg_server)
    yield database
    database.drop()


def names(daemon: Sweeper) -> list[str]:
    return [q["queue"] for q in json.loads(daemon.http("/status")[1])["queues"]]


def hold(db: Database, n: int = 1, ttl_s: float = 0.3) -> None:
    product = shop.add_product(db, stock=1000)
    for _ in range(n):
        shop.reserve(db, {product: 1}, ttl_s=ttl_s)


@contextlib.contextmanager
def stream(db: Database) -> Iterator[list[int]]:
    """Holds that are made all the while, over a connection of their own; how many there were."""
    made = [0]
    over = threading.Event()

    def make() -> None:
        with db.connect() as conn:
            product = shop.add_product(conn, stock=100_000)
            while not over.is_set():
                shop.reserve(conn, {product: 1}, ttl_s=0.2)
                made[0] += 1

    thread = threading.Thread(target=make)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()


def all_right(db: Database, n: int) -> None:
    """All were released, none early, and each once: the counters add up."""
    wait_until(lambda: shop.count_status(db, "released") == n, 30, f"{n} are released")
    shop.check_stock_adds_up(db)
    assert db.value("SELECT sum(reserved_stock) FROM inventory") == 0
    assert not db.query(
        "SELECT id FROM inventory_reservations WHERE status = 'released' AND updated_at < expires_at"
    )


def test_changes_under_a_stream_of_reservations(served: Served, db: Database) -> None:
    """Tuning, also of the connections, and SQL: what was counted goes on being counted."""
    with stream(db) as made:
        for change in (
            queue("first", "batch_size: 7"),
            queue("first", "batch_size: 7", "workers: 3"),
            queue(active="status = 'active' AND quantity > 0"),
            queue("first", "after: 100ms", "lookahead: 30s"),
            queue(),
        ):
            before = scrape(served.daemon, "first")["released_total"]
            assert served.read_anew(change)["changed"] == 1
            assert scrape(served.daemon, "first")["released_total"] >= before
    assert made[0] > 10
    all_right(db, made[0])
    assert scrape(served.daemon, "first")["released_total"] == made[0]
    assert served.daemon.stop() == 0
    [stopped] = served.daemon.find("Stopped")
    assert stopped["releasedTotal"] == made[0] and stopped["failedTotal"] == 0


def test_what_has_not_changed_goes_on(
    served: Served, db: Database, redis: redis_py.Redis
) -> None:
    """Also when its lines are others: its connections stay."""
    wait_until(lambda: len(sweepers(db)) == 2, 20, "the worker's connection, and the feed's")
    before = set(sweepers(db))
    record = served.read_anew("# one more line", queue())
    assert record["changed"] == 0 and record["queues"] == 1
    second = queue("second", active="status = 'never'").partition("  stock:")[0]
    served.read_anew("# two\n# more", queue(), second)
    assert before <= set(sweepers(db))
    wait_until(lambda: redis.exists("{second}:feeder"), 20, "the new one uses Redis too")
    served.read_anew(queue())
    wait_until(lambda: set(sweepers(db)) == before, 20, "those of the other are closed")


def test_the_grace_holds_from_the_change_on(
    served: Served, db: Database, redis: redis_py.Redis
) -> None:
    """None that was mirrored for an earlier time is released before the new one."""
    hold(db, 5, ttl_s=30)
    wait_until(lambda: redis.zcard("{first}:pending") == 5, 20, "all are mirrored")
    served.read_anew(queue("first", "after: 3s"))
    db.conn.execute("UPDATE inventory_reservations SET expires_at = now()")
    redis.zadd("{first}:pending", dict.fromkeys(redis.zrange("{first}:pending", 0, -1), 1))
    all_right(db, 5)
    assert not db.query(
        "SELECT id FROM inventory_reservations WHERE updated_at < expires_at + interval '3 s'"
    )


def test_a_queue_is_removed_and_one_is_added(served: Served, db: Database) -> None:
    """A backlog is under way in the one that goes; the other takes what is left. It has other keys
    and figures, and nothing is said or shown of the former one any more."""
    with behind_a_lock(db, 100):
        shop.bulk_reserve(db, 20_000, shop.add_products(db, 20, stock=1000))
        wait_until(lambda: shop.count_status(db, "released") > 0, 20, "the backlog is under way")
        since = len(served.daemon.records)
        record = served.read_anew(queue("renamed"))
    assert record["changed"] == 2 and record["queues"] == 1
    assert [r["queue"] for r in served.daemon.find("no longer served", since)] == ["first"]
    assert [r["queue"] for r in served.daemon.find("Serving a queue", since)] == ["renamed"]
    all_right(db, 20_100)
    text = served.daemon.http("/metrics")[1]
    assert 'queue="renamed"' in text and 'queue="first"' not in text
    assert names(served.daemon) == ["renamed"]
    assert served.daemon.http("/status?queue=first")[0] == 400
    assert not [r for r in served.daemon.records[since:] if r["level"] in ("WARN", "ERROR")]
    assert served.daemon.stop() == 0
    assert served.daemon.find("Stopped")[0]["releasedTotal"] == 20_100


def test_one_record_says_what_has_changed(served: Served, tmp_path: Path) -> None:
    """... and /status shows it, until the next one; a file that does not hold, too."""

    def last() -> dict[str, object]:
        shown = json.loads(served.daemon.http("/status")[1])["lastReload"]
        assert shown.pop("at") > "2025"
        return shown

    shared = "stock, as others share it"
    nothing = {"newQueues": [], "changedQueues": {}, "goneQueues": [], "secrets": []}
    assert "lastReload" not in json.loads(served.daemon.http("/status")[1])
    record = served.read_anew(queue("first", "after: 1s", "batch_size: 7"), queue("second"))
    said = {"newQueues": ["second"], "changedQueues": {"first": ["after", shared, "batch_size"]}}
    assert record["changed"] == 2 and record.items() >= (nothing | said).items()
    assert last() == {"ok": True} | nothing | said
    record = served.read_anew(queue("second", active="status = 'active' AND quantity > 0"))
    said = {"goneQueues": ["first"], "changedQueues": {"second": ["active", shared]}}
    assert record["changed"] == 2 and last() == {"ok": True} | nothing | said
    error = served.refuse(queue("second", "afer: 1s"))
    assert last() == {"ok": False, "error": error} | nothing
    assert served.read_anew(queue("second", active="status = 'active' AND quantity > 0"))["changed"] == 0
    assert last() == {"ok": True} | nothing


def test_another_table_and_another_type_of_id(served: Served, db: Database) -> None:
    """The entries of the former table mean nothing to the new one."""
    hold(db, 3, ttl_s=60)
    db.conn.execute(
        "CREATE TABLE others (id bigint PRIMARY KEY, product_id uuid, quantity integer,"
        " status text, expires_at timestamptz, updated_at timestamptz)"
    )
    product = shop.add_product(db, stock=10)
    db.conn.execute("UPDATE inventory SET reserved_stock = 1, available_stock = 9"
                    " WHERE product_id = %s", (product,))
    db.conn.execute("INSERT INTO others VALUES (7, %s, 1, 'active', now(), now())", (product,))
    served.read_anew(queue(table="others"))
    wait_until(lambda: db.value("SELECT status FROM others") == "released", 20, "it is released")
    assert shop.stock(db, product) == (10, 10, 0)
    assert shop.count_status(db, "active") == 3


# The file's second queue, the line of it that is named, and what else.
WRONG = {
    "no YAML": ("first: }", "first: }", "YAML"),
    "an unknown key": (queue("first", "expires: until"), "expires:", '"expires_at"'),
    "no such column": (queue("first", "id: number"), "id: number", "no column number"),
    "no such column in SQL": (queue(active="state = 'active'"), "active:", '"state"'),
    "no such table": (queue(table="elsewhere"), "table: elsewhere", "no table elsewhere"),
    "a type that cannot serve": (queue("first", "expires_at: product_id"), "expires_at:", "product_id"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_hold_changes_nothing(case: str, served: Served, db: Database) -> None:
    """Nor does a good queue before it in the same file, or the one with the fault."""
    bad, at, words = WRONG[case]
    line = (queue("good") + bad[: bad.index(at)]).count("\n") + 1
    error = served.refuse(queue("good"), bad)
    assert f"shop.yaml:{line}: " in error and words in error
    assert readyz(served.daemon)[0] == 200
    assert names(served.daemon) == ["first"]
    hold(db, 2)
    all_right(db, 2)
    assert served.read_anew(queue("first", "batch_size: 5"))["changed"] == 1


ALSO = """\
  also:
    - INSERT INTO events (hold) SELECT id FROM {released}
    - UPDATE events SET {what} FROM {released} g WHERE hold = g.id
"""


def test_statements_of_also_are_proved(served: Served, db: Database) -> None:
    """Each as it is sent: what Postgres refuses is named by its line and number; what it takes runs."""
    db.conn.execute("CREATE TABLE events (hold uuid, seen boolean)")
    for wrong, words in (("sen = true", '"sen"'), ("seen = 7", "integer")):
        file = queue() + ALSO.replace("{what}", wrong)
        error = served.refuse(file)
        line = file[: file.index("    - UPDATE")].count("\n") + 1
        assert f"shop.yaml:{line}: " in error and words in error, error
    hold(db)
    all_right(db, 1)
    assert db.value("SELECT count(*) FROM events") == 0
    assert served.read_anew(queue() + ALSO.replace("{what}", "seen = true"))["changed"] == 1
    hold(db)
    all_right(db, 2)
    assert db.query("SELECT seen FROM events") == [(True,)]


def test_a_right_that_also_lacks(
    tmp_path: Path, db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """No name is wrong and no type: only the trial of the statement finds it."""
    role = role_of(db)
    db.conn.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; CREATE TABLE events (hold uuid);"
        f" GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}"
    )
    try:
        served = Served(tmp_path / "shop.yaml", sweeper, queue(), dsn=dsn_of(db))
        file = queue() + ALSO[: ALSO.index("    - UPDATE")]
        error = served.refuse(file)
        assert f"shop.yaml:{file.count(chr(10))}: " in error, error
        assert "statement 1 of `also`: permission denied for table events" in error, error
        assert served.daemon.stop() == 0
    finally:
        db.conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_file_that_is_away(served: Served, db: Database) -> None:
    served.file.unlink()
    served.hangup()
    record = served.daemon.wait_for_record("The queues file cannot be used", 20)
    assert "SWEEPER_QUEUES_FILE" in record["error"] or "--queues" in record["error"]
    hold(db)
    all_right(db, 1)


def test_another_database(
    tmp_path: Path, db: Database, other: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Back again too; and one that is out of reach changes nothing."""
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    env = {"OTHER_DATABASE_URL": other.dsn, "NOWHERE_DATABASE_URL": nowhere}
    served = Served(tmp_path / "shop.yaml", sweeper, queue(), **env)
    served.read_anew(queue("first", "database: OTHER"))
    hold(db)
    hold(other)
    all_right(other, 1)
    assert shop.count_status(db, "active") == 1
    assert "out of reach" in served.refuse(queue("first", "database: NOWHERE"))
    assert "UNKNOWN_DATABASE_URL" in served.refuse(queue("first", "database: UNKNOWN"))
    served.read_anew(queue())
    all_right(db, 1)
    open_links = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"
    wait_until(
        lambda: other.value(open_links + " AND datname = %s", ("reservation%", other.name)) == 0,
        20,
        "it is left",
    )


def test_the_outage_of_a_queue_that_goes_is_over(
    tmp_path: Path, db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Rights of one queue's keys are missing in Redis: with it the outage goes."""
    redis.set("{second}:pending", "no sorted set")
    second = queue("second", "database: OTHER")  # of other counters: the first one is as it was
    served = Served(tmp_path / "shop.yaml", sweeper, queue(), second, OTHER_DATABASE_URL=db.dsn)
    record = served.daemon.wait_for_record("Redis refuses", 20)
    assert record["queue"] == "second" and readyz(served.daemon)[1]["degraded"] is True
    served.read_anew(queue())
    messages = [r["message"] for r in served.daemon.records]
    assert any("Redis is back" in m for m in messages[: messages.index("Reloaded")]), "with it, not later"
    wait_until(lambda: readyz(served.daemon)[1].get("degraded", False) is False, 20, "on time")


def test_twenty_signals_in_a_row(served: Served, db: Database) -> None:
    """The last file is the one that holds in the end."""
    with stream(db) as made:
        for i in range(20):
            served.write(queue("first", f"batch_size: {i + 1}"), queue(f"q{i % 3}"))
            served.hangup()
        wait_until(
            lambda: names(served.daemon) == ["first", "q1"],
            30,
            "the last file is served",
        )
        until_ready(served.daemon)
    all_right(db, made[0])

    def last_size() -> int:
        said = [r for r in served.daemon.find("Serving a queue") if r["queue"] == "first"]
        return int(said[-1]["batchSize"])

    wait_until(lambda: last_size() == 20, 20, "its last settings")


@pytest.mark.parametrize("delay_s", (0, 0.005, 0.02, 0.05, 0.1))
def test_the_end_at_once(
    served: Served, db: Database, redis: redis_py.Redis, run: Run, delay_s: float
) -> None:
    """SIGTERM wherever the change is: an orderly stop, and the next sweeper has all of it."""
    with stream(db) as made:
        wait_until(lambda: made[0] > 5, 20, "holds")
        served.write(queue("first", "workers: 2"), queue("second"))
        served.hangup()
        threading.Event().wait(delay_s)
        assert served.daemon.stop() == 0
    assert served.daemon.find("Stopped") and redis.zcard("{first}:leases") == 0
    due = "SELECT count(*) FROM inventory_reservations WHERE expires_at > now()"
    wait_until(lambda: db.value(due) == 0, 20, "all are due")
    assert run("--once", "--queues", str(served.file)).status == 0
    all_right(db, made[0])


def test_a_sweep_that_is_under_way(served: Served, db: Database) -> None:
    """POST /sweep ends after the step in hand, and takes orders again afterwards."""
    hold(db, 2, ttl_s=60)
    with transaction(db) as checkout:
        checkout.execute("SELECT FROM inventory FOR UPDATE")
        db.conn.execute("UPDATE inventory_reservations SET expires_at = now()")
        thread, answers = in_background(
            lambda: served.daemon.http("/sweep", method="POST", token=TOKEN, timeout=60)
        )
        sweep = "application_name = 'reservation-sweeper sweep'"
        wait_until(lambda: sweepers(db, sweep), 20, "it is under way")
        served.read_anew(queue("first", "batch_size: 9"))
        thread.join()
        assert answers[0][0] == 503 and shop.count_status(db, "active") == 2
    all_right(db, 2)
    assert served.daemon.http("/sweep", method="POST", token=TOKEN)[0] == 200


STOPPED = "More is due than the first-run limit allows"


def overdue(db: Database, n: int, status: str) -> None:
    product = shop.add_product(db, stock=1000)
    db.conn.execute("ALTER TABLE inventory_reservations DROP CONSTRAINT IF EXISTS"
                    " inventory_reservations_status_check")
    for _ in range(n):
        id = shop.reserve(db, {product: 1}, ttl_s=-5)
        db.conn.execute("UPDATE inventory_reservations SET status = %s WHERE id = %s", (status, id))


def served_with_yes(file: Path, start: Start, redis_url: str | None = None) -> Served:
    return Served(file, start, queue(), args=("--yes",), redis_url=redis_url, SWEEPER_FIRST_RUN_LIMIT="3")


def test_a_yes_is_for_what_was_served_then(
    tmp_path: Path, db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Not for another condition, nor for another queue."""
    overdue(db, 5, "active")
    served = served_with_yes(tmp_path / "shop.yaml", sweeper)
    wait_until(lambda: shop.count_status(db, "released") == 5, 20, "they are released")
    overdue(db, 5, "history")
    everything = "status <> 'released'"
    for queues in ((queue(active=everything),), (queue(), queue("second", active=everything))):
        since = len(served.daemon.records)
        served.write(*queues)
        served.hangup()
        record = served.daemon.wait_for_record(STOPPED, 20, since=since)
        assert "--yes" in record["error"] and record["queue"] == ("first", "second")[len(queues) - 1]
        assert readyz(served.daemon)[0] == 503
        hold(db)
        if len(queues) == 2:
            wait_until(lambda: shop.count_status(db, "released") == 7, 20, "the first goes on")
        assert shop.count_status(db, "history") == 5
        served.read_anew(queue())
    wait_until(lambda: shop.count_status(db, "released") == 7, 20, "as before")


@pytest.mark.parametrize("nowhere", (False, True), ids=("with Redis", "without"))
def test_a_yes_holds_for_the_same_rows(
    tmp_path: Path, db: Database, redis: redis_py.Redis, sweeper: Start, nowhere: bool
) -> None:
    """Whatever else of the queue is changed, and though nobody may have remembered it."""
    url = f"redis://127.0.0.1:{free_port()}/0" if nowhere else None
    overdue(db, 5, "active")
    with db.connect() as locked, locked.transaction():
        locked.execute("SELECT 1 FROM inventory_reservations FOR UPDATE")
        served = served_with_yes(tmp_path / "shop.yaml", sweeper, redis_url=url)
        for line in ("batch_size: 9", "pace: 6ms"):
            assert served.read_anew(queue("first", line))["changed"] == 1
    all_right(db, 5)
    assert not served.daemon.find(STOPPED)
