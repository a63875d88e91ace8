"""--list, --retry, --forget, and the routes of the operator's desk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.locks import lock_product, lock_reservation, transaction
from harness.poll import until_ready, wait_until
from harness.process import free_port
from harness.proxy import Proxy
from harness.queue import FAILED, KEPT, PENDING
from harness.servers import Postgres, Redis
from harness.sweeper import ALONE, Finished, Run, Start, Sweeper
from harness.web import TOKEN, WITH_TOKEN, in_background, until_settled

Lines = list[dict[str, Any]]
FAR = 9_999_999_999_999


def lines(done: Finished) -> Lines:
    assert done.status == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ids(found: Lines) -> list[str]:
    return [line["reservationId"] for line in found]


def refuse(redis: redis_py.Redis, id: str, first: int, sqlstate: str = "23514", at: int = FAR) -> None:
    record = {"error": "no", "sqlstate": sqlstate, "attempts": 3, "firstFailedAt": first}
    redis.hset(FAILED, id, json.dumps(record | {"lastFailedAt": first + 5, "retryAt": at}))
    redis.zadd(PENDING, {id: at})


@pytest.fixture
def products(db: Database) -> list[str]:
    return shop.add_products(db, 2)


@pytest.fixture
def five(db: Database, products: list[str]) -> list[str]:
    """Due, the oldest first, of the two products in turn."""
    return [shop.reserve(db, {products[i % 2]: 1}, ttl_s=-50 + i) for i in range(5)]


@pytest.fixture
def four_refused(redis: redis_py.Redis, five: list[str]) -> list[str]:
    for i, sqlstate in enumerate(("23514", "P0001", "23514", "23514")):
        refuse(redis, five[i], 1000 + i, sqlstate)
    return five


# ---- --list ---------------------------------------------------------------------------------------


def test_list_due(redis: redis_py.Redis, four_refused: list[str], products: list[str], run: Run) -> None:
    five = four_refused
    found = lines(run("--list", "due"))
    assert ids(found) == five
    assert [line["state"] for line in found] == ["failed"] * 4 + ["notEntered"]
    assert {line["productId"] for line in found} == set(products)
    assert found[1]["sqlstate"] == "P0001" and found[1]["attempts"] == 3 and found[4]["sqlstate"] is None
    assert ids(lines(run("--list", "due", "--limit", "2"))) == five[:2]
    assert ids(lines(run("--list", "due", "--product", products[1]))) == [five[1], five[3]]
    assert ids(lines(run("--list", "due", "--sqlstate", "23514", "--limit", "2"))) == [five[0], five[2]]
    away = run("--list", "due", redis_url=f"redis://127.0.0.1:{free_port()}")
    assert [line["state"] for line in lines(away)] == [None] * 5
    warning = away.record("Not all is known of what is listed")
    assert warning["level"] == "WARN" and warning["error"].startswith("Redis is out of reach: ")


@pytest.mark.slow
def test_list_failed(
    db: Database, redis: redis_py.Redis, four_refused: list[str], products: list[str], run: Run
) -> None:
    """Oldest first, with product and SQLSTATE; what is no reservation, too."""
    five = four_refused
    found = lines(run("--list", "failed"))
    assert ids(found) == five[:4]
    assert [line["productId"] for line in found] == [products[0], products[1]] * 2
    assert found[0]["firstFailedAt"] == "1970-01-01T00:00:01.000Z" and found[0]["error"] == "no"
    assert ids(lines(run("--list", "failed", "--product", products[0]))) == [five[0], five[2]]
    assert ids(lines(run("--list", "failed", "--sqlstate", "P0001"))) == [five[1]]
    filtered = run("--list", "failed", "--product", products[1], "--sqlstate", "23514", "--limit", "1")
    assert ids(lines(filtered)) == [five[3]]
    redis.hset(FAILED, b"\xff no uuid", "no JSON")
    found = lines(run("--list", "failed"))
    assert [(line["reservationId"], line["attempts"]) for line in found][0] == ("� no uuid", 1)
    done = run("--list", "failed", redis_url=f"redis://127.0.0.1:{free_port()}")
    assert done.status == 1 and "Redis" in done.record("Reservations could not be listed")["error"]
    nowhere = f"host=127.0.0.1 port={free_port()}"
    done = run("--list", "failed", dsn=nowhere)
    assert len(lines(done)) == 5
    assert done.record("Not all is known of what is listed")["error"].startswith("Postgres is out of reach: ")
    assert run("--list", "failed", "--product", "x", dsn=nowhere).status == 1
    assert run("--list", "due", dsn=nowhere).status == 1
    db.conn.execute("ALTER TABLE inventory RENAME TO stock")
    done = run("--list", "due")
    assert done.record("Reservations could not be listed")["error"].startswith("the database cannot be used")


def test_list_of_very_many(redis: redis_py.Redis, run: Run) -> None:
    records = {f"id-{i:05}": json.dumps({"firstFailedAt": 90_000 - i, "sqlstate": "P0001"}) for i in range(11_000)}
    redis.hset(FAILED, mapping=records)
    found = lines(run("--list", "failed", "--limit", "10000"))
    assert ids(found) == [f"id-{i:05}" for i in range(10_999, 999, -1)]
    assert len(lines(run("--list", "failed"))) == 100


def test_list_locked(db: Database, five: list[str], products: list[str], run: Run) -> None:
    assert lines(run("--list", "locked")) == []
    with transaction(db, lock_reservation(five[3]), lock_product(products[0])) as conn:
        found = lines(run("--list", "locked"))
        assert ids(found) == [five[0], five[2], five[3], five[4]]
        assert [line["lockOn"] for line in found] == ["counter", "counter", "reservation", "counter"]
        assert {line["blockerPid"] for line in found} == {conn.info.backend_pid}
        assert all(line["blockerSince"] for line in found)
        assert ids(lines(run("--list", "locked", "--limit", "1"))) == [five[0]]
        assert ids(lines(run("--list", "locked", "--product", products[1]))) == [five[3]]


def test_list_kept(redis: redis_py.Redis, five: list[str], products: list[str], run: Run) -> None:
    redis.hset(KEPT, five[1], '{"since":2000,"lookAgainAt":5000,"attention":true}')
    redis.hset(KEPT, five[0], '{"since":3000,"lookAgainAt":5000,"attention":false}')
    found = lines(run("--list", "kept"))
    assert [(line["reservationId"], line["attention"]) for line in found] == [(five[1], True), (five[0], False)]
    assert found[0]["productId"] == products[1] and found[0]["lookAgainAt"] == "1970-01-01T00:00:05.000Z"
    assert lines(run("--list", "kept", "--sqlstate", "23514")) == []


# ---- --retry and --forget -----------------------------------------------------------------------


def test_retry(db: Database, redis: redis_py.Redis, four_refused: list[str], products: list[str], run: Run) -> None:
    five = four_refused

    def retried(*args: str, **options: Any) -> int:
        done = run("--retry", *args, **options)
        assert done.status == 0, done.stderr
        return done.record("Retry completed")["retriedCount"]

    assert retried(five[4]) == 0 and retried("nowhere") == 0
    assert "--explain" in run("--retry", five[4]).record("Retry completed")["note"]
    assert "note" not in run("--retry", "all", "--sqlstate", "XX000").record("Retry completed")
    assert retried(five[1]) == 1
    assert redis.zscore(PENDING, five[1]) == 1006, "a time that has come"
    assert retried("all", "--sqlstate", "P0001") == 1
    assert retried("all", "--product", products[0], "--limit", "1") == 1
    assert [redis.zscore(PENDING, id) for id in five[:4]] == [1005, 1006, FAR, FAR]
    redis.hset(KEPT, five[4], '{"since":2000}')
    redis.zadd(PENDING, {five[4]: FAR})
    assert retried("all", dsn=f"host=127.0.0.1 port={free_port()}") == 5, "Postgres is not needed"
    assert redis.hlen(FAILED) == 4 and redis.zscore(PENDING, five[4]) == 2000
    away = f"redis://127.0.0.1:{free_port()}"
    done = run("--retry", "all", redis_url=away)
    assert done.status == 1 and "Redis" in done.record("Records could not be acted upon")["error"]


@pytest.mark.parametrize(
    "mode", ["--retry all", "--forget all", "--list failed", "--list due", "--explain nobody"]
)
def test_a_server_that_comes_back_is_waited_for(
    db: Database, pg_server: Postgres, redis_server: Redis, redis: redis_py.Redis, sweeper: Start, mode: str
) -> None:
    """Each tries to connect for 5 s to the server that it cannot do without."""
    if needs_postgres := mode in ("--list due", "--explain nobody"):
        shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-50)
    with Proxy(pg_server.port if needs_postgres else redis_server.port) as proxy:
        proxy.refuse()
        through = (
            {"dsn": proxy.through(db.dsn)}
            if needs_postgres
            else {"redis_url": proxy.through(redis_server.url())}
        )
        asked = sweeper(*mode.split(), **through)
        wait_until(lambda: proxy.refused > 0, 10, "its first attempt")
        proxy.heal()
        assert asked.wait() == 0, asked.tail()


def test_forget(redis: redis_py.Redis, four_refused: list[str], products: list[str], run: Run) -> None:
    five = four_refused

    def forgotten(*args: str) -> int:
        done = run("--forget", *args)
        assert done.status == 0, done.stderr
        return done.record("Forget completed")["forgottenCount"]

    assert forgotten(five[4]) == 0
    assert "--explain" in run("--forget", five[4]).record("Forget completed")["note"]
    assert forgotten(five[1]) == 1 and not redis.hexists(FAILED, five[1])
    assert redis.zscore(PENDING, five[1]) == 1006, "its row decides, at once"
    assert forgotten("all", "--product", products[0], "--sqlstate", "P0001") == 0
    assert forgotten("all", "--product", products[0]) == 2
    assert redis.hkeys(FAILED) == [five[3].encode()]
    assert forgotten("all") == 1 and redis.hlen(FAILED) == 0
    assert run("--forget", "all", redis_url=f"redis://127.0.0.1:{free_port()}").status == 1


def test_a_daemon_tries_what_is_retried_at_once(db: Database, sweeper: Start, run: Run) -> None:
    """Fifty that a product's drifted counter keeps; its breaker is open, and the cause is removed."""
    product = shop.add_product(db)
    shop.bulk_reserve(db, 50, [product])
    db.conn.execute("UPDATE inventory SET reserved_stock = 0, total_stock = available_stock")
    daemon = sweeper()
    listed = lambda: lines(run("--list", "failed"))  # noqa: E731
    wait_until(lambda: max(line["attempts"] for line in listed() or [{"attempts": 0}]) > 3, 40, "8 s to the next")
    assert len(listed()) == 50
    db.conn.execute("UPDATE inventory SET reserved_stock = 50, total_stock = available_stock + 50")
    before = len(daemon.records)
    assert run("--retry", "all").record("Retry completed")["retriedCount"] > 0, "but for what is just being tried"
    wait_until(lambda: shop.count_status(db, "active") == 0, 2, "all are released")
    assert not daemon.find("Postgres refused to release", since=before)
    wait_until(lambda: listed() == [], 5, "no record is left")


# ---- Several queues -------------------------------------------------------------------------------


@pytest.fixture
def halls(db: Database, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Two queues on one table, of the even and the odd ids."""
    db.conn.execute("CREATE TABLE seats (id integer PRIMARY KEY, hall text, held boolean, expires_at timestamptz)")
    file = tmp_path / "queues.yaml"
    hall = "{0}:\n  table: seats\n  active: held AND hall = '{0}'\n  released: held = false\n"
    file.write_text(hall.format("left") + hall.format("right"))
    yield {"SWEEPER_QUEUES_FILE": str(file)}


def seat(db: Database, id: int, hall: str) -> None:
    db.conn.execute(
        "INSERT INTO seats VALUES (%s, %s, true, now() - %s * interval '1 min')", (id, hall, 10 - id)
    )


def test_lists_of_several_queues(
    db: Database, redis: redis_py.Redis, halls: dict[str, str], run: Run
) -> None:
    for id, hall in ((1, "right"), (2, "left"), (3, "right")):
        seat(db, id, hall)
        redis.hset(f"{{{hall}}}:failed", str(id), json.dumps({"firstFailedAt": id, "sqlstate": "P0001"}))
    found = lines(run("--list", "due", env=halls))
    assert [(line["reservationId"], line["queue"]) for line in found] == [("1", "right"), ("2", "left"), ("3", "right")]
    assert ids(lines(run("--list", "failed", "--limit", "2", env=halls))) == ["1", "2"]
    assert ids(lines(run("--list", "failed", "--queue", "right", env=halls))) == ["1", "3"]
    record = run("--retry", "all", env=halls).record("Retry completed")
    assert (record["retriedCount"], record["queues"]) == (3, {"left": 1, "right": 2})
    record = run("--forget", "2", "--queue", "right", env=halls).record("Forget completed")
    assert record["forgottenCount"] == 0
    assert run("--forget", "2", env=halls).record("Forget completed")["queues"] == {"left": 1, "right": 0}


def test_an_id_in_several_queues(
    redis: redis_py.Redis, halls: dict[str, str], run: Run, sweeper: Start
) -> None:
    """It is not known which is meant, so that nothing is done."""

    def refuse_in(hall: str) -> None:
        redis.hset(f"{{{hall}}}:failed", "7", json.dumps({"firstFailedAt": 1, "sqlstate": "P0001"}))
        redis.zadd(f"{{{hall}}}:pending", {"7": FAR})

    def left_of(hall: str) -> bool:
        return bool(redis.hexists(f"{{{hall}}}:failed", "7"))

    refuse_in("left")
    refuse_in("right")
    for mode in ("--retry", "--forget"):
        done = run(mode, "7", env=halls)
        assert (done.status, len(done.stderr.splitlines()), done.records) == (2, 1, [])
        assert f'{mode}: "7" is in several queues (left, right): say which with --queue' in done.stderr
    redis.delete("{right}:failed")
    redis.hset("{right}:kept", "7", '{"since":2000}')
    assert run("--retry", "7", env=halls).status == 2, "a kept one is retried, too"
    assert redis.zscore("{left}:pending", "7") == FAR
    assert run("--forget", "7", env=halls).status == 0, "and has nothing to forget"
    assert not left_of("left")
    refuse_in("left")
    refuse_in("right")
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN | halls)
    until_ready(daemon)
    for path in ("/retry?id=7", "/forget?id=7"):
        status, body = daemon.http(path, "POST", token=TOKEN)
        assert status == 400 and "(left, right): say which with ?queue=" in body
    assert left_of("left") and left_of("right")
    assert daemon.http("/forget?id=7&queue=right", "POST", token=TOKEN)[0] == 200
    assert left_of("left") and not left_of("right")
    redis.delete("{right}:kept")
    body = daemon.http("/forget?id=7", "POST", token=TOKEN)[1]
    assert json.loads(body) == {"forgottenCount": 1, "queues": {"left": 1, "right": 0}}


# ---- Routes -----------------------------------------------------------------------------------------


@pytest.fixture
def daemon(db: Database, sweeper: Start) -> Sweeper:
    daemon = sweeper(*ALONE, http=True, env=WITH_TOKEN)
    until_settled(daemon)
    return daemon


def get(daemon: Sweeper, path: str, status: int = 200) -> dict[str, Any]:
    got, body = daemon.http(path)
    assert got == status, body
    return json.loads(body)


def test_failures_page_by_page(
    db: Database, redis: redis_py.Redis, products: list[str], daemon: Sweeper
) -> None:
    five = [shop.reserve(db, {products[i % 2]: 1}, ttl_s=600) for i in range(5)]
    for i, id in enumerate(five):
        refuse(redis, id, 1000 + i // 2, "P0001" if i == 3 else "23514")
    expected = ids(get(daemon, "/failures")["failures"])
    assert sorted(expected) == sorted(five) and get(daemon, "/failures")["next"] is None
    seen, next_page = [], ""
    while True:
        page = get(daemon, f"/failures?limit=2{next_page}")
        seen += ids(page["failures"])
        if page["next"] is None:
            break
        next_page = f"&after={quote(page['next'])}"
        redis.hdel(FAILED, seen[-1])  # a page holds whatever becomes of the line before it
    assert seen == expected
    one = get(daemon, f"/failures?product={products[1]}&sqlstate=P0001")["failures"]
    assert one == [] or ids(one) == [five[3]]
    for wrong in ("limit=0", "limit=x", "sqlstate=1", "after=x", "what=1", "queue=none", "limit=1&limit=2"):
        assert "error" in get(daemon, f"/failures?{wrong}", 400), wrong


def test_explain(db: Database, redis: redis_py.Redis, products: list[str], daemon: Sweeper) -> None:
    """As the mode does, but for the rehearsal: a GET tries nothing."""
    id = shop.reserve(db, {products[0]: 1}, ttl_s=600)
    said = get(daemon, f"/explain?id={id}")
    assert (said["cause"], said["sweeper"], said["rehearsal"]) == ("notDue", True, None)
    due = get(daemon, f"/explain?id={shop.reserve(db, {products[0]: 1}, ttl_s=-0.5)}")
    assert (due["cause"], due["rehearsal"]) == ("notFoundYet", None)
    assert get(daemon, "/explain?id=x&queue=reservations")["cause"] == "malformed"
    assert "id is missing" in get(daemon, "/explain", 400)["error"]
    assert "error" in get(daemon, "/explain?id=", 400)
    shop.commit(db, id)
    assert get(daemon, f"/explain?id={id}")["cause"] == "inactive"


def test_explain_of_several_queues(db: Database, halls: dict[str, str], sweeper: Start) -> None:
    daemon = sweeper(http=True, env=WITH_TOKEN | halls)
    until_ready(daemon)
    db.conn.execute("INSERT INTO seats VALUES (1, 'left', false, now())")
    assert "?queue=" in get(daemon, "/explain?id=1", 400)["error"], "it is one table"
    assert get(daemon, "/explain?id=1&queue=left")["cause"] == "inactive"
    said = get(daemon, "/explain?id=2")
    assert said["cause"] == "unknown" and [one["queue"] for one in said["queues"]] == ["left", "right"]


def test_retry_and_forget_by_post(
    db: Database, redis: redis_py.Redis, products: list[str], daemon: Sweeper
) -> None:
    three = [shop.reserve(db, {products[0]: 1}, ttl_s=600) for _ in range(3)]
    for i, id in enumerate(three):
        refuse(redis, id, 1000 + i, "P0001" if i else "23514")

    def post(path: str, status: int = 200) -> dict[str, Any]:
        got, body = daemon.http(path, "POST", token=TOKEN)
        assert got == status, body
        return json.loads(body)

    assert daemon.http("/retry?all=true", "POST")[0] == 401
    assert daemon.http("/forget?all=true", "POST", token="wrong" * 5)[0] == 401
    assert daemon.http("/retry?all=true")[0] == 405
    for wrong in ("", "?all=false", f"?id={three[0]}&all=true", "?id=x&product=y", "?all=true&sqlstate=x", "?limit=1"):
        for route in ("/retry", "/forget"):
            assert "error" in post(route + wrong, 400), wrong
    assert redis.hlen(FAILED) == 3
    assert post(f"/forget?id={three[0]}") == {"forgottenCount": 1}
    assert daemon.wait_for_record("Forget completed")["forgottenCount"] == 1
    assert post("/forget?all=true&sqlstate=23514") == {"forgottenCount": 0}
    # They are not due: whoever looks at once finds that, and their records go.
    assert post("/retry?all=true&sqlstate=P0001")["retriedCount"] == 2
    assert daemon.wait_for_record("Retry completed")["retriedCount"] == 2
    wait_until(lambda: redis.hlen(FAILED) == 0, 10, "extended ones are not refused any more")


def test_with_a_server_away(
    private_redis: Callable[..., Any], db: Database, products: list[str], sweeper: Start
) -> None:
    redis = private_redis()
    daemon = sweeper(http=True, env=WITH_TOKEN, redis_url=redis.url())
    until_settled(daemon)
    id = shop.reserve(db, {products[0]: 1}, ttl_s=600)
    redis.kill9()
    wait_until(lambda: json.loads(daemon.http("/readyz")[1])["degraded"], 10, "direct mode")
    assert "Redis" in get(daemon, "/failures", 503)["error"]
    assert daemon.http("/retry?all=true", "POST", token=TOKEN)[0] == 503
    said = get(daemon, f"/explain?id={id}")
    assert said["cause"] == "notDue" and said["redisError"]


def test_a_few_at_once(db: Database, products: list[str], daemon: Sweeper) -> None:
    """Each has a connection of its own: others are told to come again."""
    id = shop.reserve(db, {products[0]: 1}, ttl_s=600)
    with psycopg.connect(db.dsn) as conn:
        conn.execute("LOCK TABLE inventory_reservations")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: daemon.http(f"/explain?id={id}"), range(8)))
    statuses = sorted(status for status, _ in answers)
    assert statuses == [200] * 4 + [503] * 4, answers
    causes = {json.loads(body).get("cause") for status, body in answers if status == 200}
    assert causes == {"tableLocked"}
    assert get(daemon, f"/explain?id={id}")["cause"] == "notDue"


def test_a_stop_does_not_wait_for_a_question(db: Database, products: list[str], daemon: Sweeper) -> None:
    id = shop.reserve(db, {products[0]: 1}, ttl_s=600)
    with psycopg.connect(db.dsn) as conn:
        conn.execute("LOCK TABLE inventory_reservations")
        thread, answers = in_background(lambda: daemon.http(f"/explain?id={id}"))
        wait_until(
            lambda: db.value(
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = %s"
                " AND application_name = 'reservation-sweeper explain'",
                (db.name,),
            ),
            10,
            "it is asked",
        )
        assert daemon.stop() == 0
        thread.join(10)
    assert not answers or answers[0][0] == 503
