"""Bad days: the steps of docs/OPERATIONS.md, pasted into a shell word by word, do what they promise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import holds, wait_until
from harness.queue import FAILED, PAUSED, PENDING
from harness.runbook import KEEPS, PAGE, QUEUES, Day, OnCall, Shell, section, unbroken
from harness.servers import Postgres, Redis
from harness.standby import Pair
from harness.sweeper import Run

STUCK = "3d0c8a52-4f0e-4b7c-9d6a-0f3c1a5b7e21"  # of the page

def status_of(db: Database, id: str) -> str:
    return str(db.value("SELECT status FROM inventory_reservations WHERE id = %s", (id,)))


def test_each_day_has_a_test() -> None:
    """Each that the page lists; each test takes all of its steps, or fails."""
    listed = re.findall(r"\| \[(.*?)\]\(#", section("Bad days"))
    tested = re.findall(r'^ +day = Day\("(.*?)"', Path(__file__).read_text(encoding="utf-8"), re.M)
    assert len(listed) == 8 and sorted(listed) == sorted(set(tested))


def follow_stuck(db: Database, shell: Shell, page: str | None = None, patience: float = 10) -> None:
    day = Day("A stuck reservation", shell, page)
    day.step(patience=patience)
    day.step()
    assert status_of(db, STUCK) == "active"
    day.step()
    wait_until(lambda: status_of(db, STUCK) == "released", 6, "it is given back")
    day.step(patience=patience)
    day.is_over()


@pytest.fixture
def stuck(db: Database) -> Iterator[None]:
    """A session has locked it, and was forgotten."""
    shop.reserve(db, {shop.add_product(db): 2}, ttl_s=-90, id=STUCK)
    conn = psycopg.connect(db.dsn, application_name="checkout")
    conn.execute("SELECT * FROM inventory_reservations FOR UPDATE")
    yield
    conn.close()


def test_a_stuck_reservation(db: Database, stuck: None, on_call: OnCall) -> None:
    _, shell = on_call()
    follow_stuck(db, shell)
    shop.check_stock_adds_up(db)


def refused(db: Database, sqlstate: str) -> list[str]:
    """Two hundred of each of two products that drifted, or a hundred at which a trigger raises."""
    if sqlstate == "23514":
        products = shop.add_products(db, 2, stock=1000)
        ids = shop.bulk_reserve(db, 400, products)
        db.conn.execute(
            "UPDATE inventory SET reserved_stock = 0, total_stock = available_stock WHERE product_id = ANY(%s)",
            (products,),
        )
        return ids
    db.conn.execute(
        "CREATE FUNCTION no_sundays() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN IF NEW.quantity = 2 THEN RAISE 'not on Sundays'; END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER sundays BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION no_sundays()"
    )
    return shop.bulk_reserve(db, 100, [shop.add_product(db, stock=1000)], quantity=2)


def test_five_hundred_refusals(db: Database, redis: redis_py.Redis, on_call: OnCall) -> None:
    raising, drifted = refused(db, "P0001"), refused(db, "23514")
    day = Day("Five hundred refusals", on_call()[1])
    day.step(patience=20)
    shown = unbroken(day.step())
    assert "not on Sundays" in shown and "does not add up" in shown and "--reconcile --repair-stock" in shown
    db.conn.execute("DROP TRIGGER sundays ON inventory_reservations")
    assert "Retry completed" in unbroken(day.step())
    still = "SELECT count(*) FROM inventory_reservations WHERE status = 'active' AND id = ANY(%s)"
    wait_until(lambda: db.value(still, (raising,)) == 0, 10, "they are tried")
    day.step()
    day.step()
    assert db.value(still, (drifted,)) == 0
    day.step(patience=10)
    day.is_over()
    shop.check_stock_adds_up(db)
    assert not redis.exists(FAILED, PENDING)


def test_the_payment_provider_is_away(db: Database, on_call: OnCall, tmp_path: Path) -> None:
    file = tmp_path / "queues.yaml"
    file.write_text(QUEUES.format(active="status = 'active'") + KEEPS)
    db.conn.execute("CREATE TABLE payments (reservation_id uuid, state text)")
    product = shop.add_product(db)
    paying = [shop.reserve(db, {product: 1}, ttl_s=left) for left in (-9000, -60)]
    db.conn.execute("INSERT INTO payments SELECT id, 'pending' FROM inventory_reservations")
    daemon, shell = on_call("--queues", str(file), SWEEPER_QUEUES_FILE=str(file))
    wait_until(lambda: shell.paste("reservation-sweeper --list kept").count("again") == 2, 10, "both are kept")
    day = Day("The payment provider is away", shell)
    day.step()
    daemon.wait_for_record("Paused: nothing is released")
    choosing = shop.reserve(db, {product: 1}, ttl_s=-1)
    day.step()
    holds(lambda: status_of(db, choosing) == "active", 1, "who has not begun to pay keeps it too")
    db.conn.execute("UPDATE payments SET state = 'failed' WHERE reservation_id <> %s", (paying[0],))
    db.conn.execute("UPDATE inventory SET reserved_stock = reserved_stock - 1, total_stock = total_stock - 1")
    db.conn.execute("UPDATE inventory_reservations SET status = 'committed' WHERE id = %s", (paying[0],))
    assert "wasPaused=true" in day.step()
    wait_until(lambda: status_of(db, paying[1]) == "released", 5, "at once")
    wait_until(lambda: status_of(db, choosing) == "released", 5, "it was due all the same")
    day.step(patience=10)
    day.is_over()
    assert status_of(db, paying[0]) == "committed"
    shop.check_stock_adds_up(db)


def test_a_password_was_rotated(
    on_call: OnCall, private_pg: Callable[..., Postgres], private_redis: Callable[..., Redis], tmp_path: Path
) -> None:
    pg, server = private_pg(fsync=False), private_redis(requirepass="the-former-one")
    name = pg.create_database()
    files = {"DATABASE_URL_FILE": tmp_path / "postgres", "REDIS_URL_FILE": tmp_path / "redis"}
    for file, url in zip(files.values(), (pg.dsn(name), server.url()), strict=True):
        file.write_text(url)
    daemon, shell = on_call(env={key: str(file) for key, file in files.items()})
    with pg.connect(name) as conn, server.client() as client:
        pg.password = "the-new-one"
        conn.execute(f"ALTER ROLE {pg.user} PASSWORD '{pg.password}'")
        client.config_set("requirepass", "the-new-one")
        server.settings["requirepass"] = "the-new-one"
        conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        client.client_kill_filter(_type="normal", skipme=True)
        id = shop.reserve(conn, {shop.add_product(conn): 1}, ttl_s=-1)
        wait_until(lambda: daemon.http("/readyz")[0] == 503, 10, "Postgres is out of reach")
        shell.env |= {"NEW_DATABASE_URL": pg.dsn(name), "NEW_REDIS_URL": server.url()}
        day = Day("A password was rotated", shell)
        day.step(status=1)
        day.step()
        day.step(patience=10)
        day.is_over()
        released = "SELECT status = 'released' FROM inventory_reservations WHERE id = %s"
        wait_until(lambda: conn.execute(released, (id,)).fetchone() == (True,), 5, "releases go on")


def test_redis_was_replaced(
    db: Database, on_call: OnCall, private_redis: Callable[..., Redis], run: Run, tmp_path: Path
) -> None:
    """With a pause, which nobody has to order again."""
    former, new = private_redis(), private_redis()
    file = tmp_path / "redis"
    file.write_text(former.url())
    daemon, shell = on_call(env={"DATABASE_URL": db.dsn, "REDIS_URL_FILE": str(file)}, NEW_REDIS_URL=new.url())
    run("--pause", "30m", "--reason", "a migration", redis_url=former.url(), env={"SUDO_USER": "ann"})
    daemon.wait_for_record("Paused: nothing is released")
    former.kill9()
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 1}, ttl_s=left) for left in (-1, 50, 50, 50)]
    day = Day("Redis was replaced", shell)
    day.step()
    day.step(patience=20)
    assert new.client().exists(PAUSED) and set(shop.statuses(db)) == {"active"}
    day.step()
    day.is_over()
    assert new.client().zcard(PENDING) == 4
    assert run("--resume", redis_url=new.url()).status == 0
    wait_until(lambda: status_of(db, ids[0]) == "released", 5, "releases go on")


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def test_postgres_failed_over(on_call: OnCall, redis_server: Redis, pair: Pair) -> None:
    """The former primary is one still, and the sweeper is there."""
    name = pair.first.create_database()
    pair.wait_until_level()
    urls = {"FORMER": pair.first.dsn(name), "PRIMARY": pair.second.dsn(name)}
    _, shell = on_call(env={"DATABASE_URL": pair.dsn(name), "REDIS_URL": redis_server.url()}, **urls)
    pair.promote()
    with pair.primary.connect(name) as conn:
        id = shop.reserve(conn, {shop.add_product(conn): 1}, ttl_s=-1)
        day = Day("Postgres failed over", shell)
        day.step()
        day.step()
        day.step(patience=15)
        released = "SELECT status = 'released' FROM inventory_reservations WHERE id = %s"
        wait_until(lambda: conn.execute(released, (id,)).fetchone() == (True,), 15, "it is released there")
        day.step()
    day.is_over()


def test_a_wrong_mapping(db: Database, on_call: OnCall, tmp_path: Path) -> None:
    """What was sold counts as held, and is given back."""
    file = tmp_path / "queues.yaml"
    (tmp_path / "queues.yaml.former").write_text(QUEUES.format(active="status = 'active'"))
    file.write_text(QUEUES.format(active="status <> 'released'"))
    product = shop.add_product(db)
    living = shop.reserve(db, {product: 5}, ttl_s=3000)

    def sold() -> list[str]:
        ids = [shop.reserve(db, {product: 1}, ttl_s=60) for _ in range(2)]
        assert all(shop.commit(db, id) for id in ids)
        for days, id in enumerate(ids, 1):
            old = "UPDATE inventory_reservations SET expires_at = now() - %s * interval '1 day' WHERE id = %s"
            db.conn.execute(old, (days, id))
        return ids

    given_back = sold()
    daemon, shell = on_call("--queues", str(file), SWEEPER_QUEUES_FILE=str(file))
    wait_until(lambda: {status_of(db, id) for id in given_back} == {"released"}, 10, "they are given back")
    day = Day("A wrong mapping", shell)
    day.step()
    daemon.wait_for_record("Paused: nothing is released")
    spared, expired = sold(), shop.reserve(db, {product: 1}, ttl_s=-60)
    day.step()
    day.step()
    daemon.wait_for_record("Reloaded")
    day.step()
    listed = day.step().split("\n")
    assert sorted(line.partition("|")[0] for line in listed if line) == sorted(given_back)
    day.step()
    day.is_over()
    wait_until(lambda: status_of(db, expired) == "released", 5, "what has expired")
    assert {status_of(db, id) for id in spared} == {"committed"} and status_of(db, living) == "active"
    shop.check_stock_adds_up(db)


def test_an_outage_of_the_shop(db: Database, redis: redis_py.Redis, on_call: OnCall, run: Run) -> None:
    """Holds get the time back that it took, by the statement that is printed."""
    _, shell = on_call()
    (update,) = re.findall(r"^ *```sql\n(.*?)^ *```", section("An outage of the shop"), re.M | re.S)
    assert "".join(update.split()) in "".join(run("--show-sql").stdout.split())
    day = Day("An outage of the shop", shell)
    day.step()
    assert redis.exists(PAUSED)
    redis.delete(PAUSED)
    day.step()
    assert redis.exists(PAUSED)
    shop.bulk_reserve(db, 3, shop.add_products(db, 3, stock=1000), "now() - interval '1 hour'")
    day.step()
    living = "SELECT count(*) FROM inventory_reservations WHERE expires_at > now() + interval '29 minutes'"
    assert db.value(living) == 3
    day.step()
    day.is_over()
    assert run("--once").record("Cleanup job completed")["cleanedCount"] == 0


@pytest.mark.parametrize(
    ("right", "wrong", "noticed"),
    [
        ('reservation-sweeper --explain "$ID"', 'reservation-sweeper --explian "$ID"', "--explian: unknown flag"),
        ("pg_terminate_backend(51734)\"", "pg_cancel_backend(51734)\"", "it is given back"),
        (", idle in transaction, ", ", active, ", "shows:\n.*, idle in transaction, "),
        ("its row is not active", "its row is active", "shows:(.|\n)*its row is not active"),
        ("## Five hundred refusals", "```sh\ntrue\n```\n\n## Five hundred refusals", "no test takes this step: true"),
    ],
    ids=["a flag", "a function", "a state", "a sentence", "a step"],
)
def test_a_mistake_of_the_page_is_noticed(
    db: Database, stuck: None, on_call: OnCall, right: str, wrong: str, noticed: str
) -> None:
    """A flag, a function, what is shown, and a step that nobody tests."""
    page = PAGE.read_text(encoding="utf-8")
    assert right in page
    with pytest.raises(AssertionError, match=noticed):
        follow_stuck(db, on_call()[1], page.replace(right, wrong), patience=1)
