"""A release whose counter was not changed, once, by its units is refused, and the others are not."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.queue import failures, is_empty, mirror
from harness.sweeper import Run, Start

COUNTER, ROW = "RS001", "RS002"




def trigger(table: str, when: str, body: str) -> str:
    kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in when else "TRIGGER"
    at, _, how = when.partition(" DEFERRABLE")
    how = f"DEFERRABLE{how}" if how else ""
    return f"""
        CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;
        CREATE {kind} meddle {at} UPDATE ON {table} {how} FOR EACH ROW EXECUTE FUNCTION meddle()
    """


BAD_PRODUCT = "NEW.product_id = '{bad}'"
RESTOCK = (
    "UPDATE inventory SET available_stock = available_stock + 1, reserved_stock = reserved_stock - 1"
    " WHERE product_id = NEW.product_id"
)
FIRST = "OLD.status = 'active' AND NEW.status = 'released' AND " + BAD_PRODUCT

# What makes the release of product {bad} something else than it should be, and whose fault it is.
WRONGS = {
    "a trigger keeps the counter": (
        trigger("inventory", "BEFORE", f"IF {BAD_PRODUCT} THEN RETURN NULL; END IF; RETURN NEW;"),
        COUNTER,
    ),
    "a trigger sets the counter": (
        trigger(
            "inventory",
            "BEFORE",
            f"IF {BAD_PRODUCT} THEN NEW.available_stock := 50; NEW.reserved_stock := 50; END IF;"
            " RETURN NEW;",
        ),
        COUNTER,
    ),
    "a trigger counts a second time": (
        trigger("inventory_reservations", "AFTER", f"IF {FIRST} THEN {RESTOCK}; END IF; RETURN NEW;"),
        COUNTER,
    ),
    "a trigger counts a second time at the end": (
        trigger(
            "inventory_reservations",
            "AFTER DEFERRABLE INITIALLY DEFERRED",
            f"IF {FIRST} THEN {RESTOCK}; END IF; RETURN NEW;",
        ),
        COUNTER,
    ),
    "a trigger of the counter's counts again": (
        trigger(
            "inventory",
            "AFTER",
            f"IF {BAD_PRODUCT} AND pg_trigger_depth() = 1 THEN {RESTOCK}; END IF; RETURN NEW;",
        ),
        COUNTER,
    ),
    "a trigger keeps the row": (
        trigger(
            "inventory_reservations",
            "BEFORE",
            f"IF {BAD_PRODUCT} THEN RETURN NULL; END IF; RETURN NEW;",
        ),
        ROW,
    ),
    "a trigger keeps the row active": (
        trigger(
            "inventory_reservations",
            "BEFORE",
            f"IF {BAD_PRODUCT} THEN NEW.status := 'active'; END IF; RETURN NEW;",
        ),
        ROW,
    ),
    "a trigger makes the row active again": (
        trigger(
            "inventory_reservations",
            "AFTER",
            f"IF {FIRST} THEN UPDATE inventory_reservations SET status = 'active'"
            " WHERE id = NEW.id; END IF; RETURN NEW;",
        ),
        ROW,
    ),
    "two counters": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;"
        " INSERT INTO inventory (product_id, total_stock, available_stock, reserved_stock)"
        " VALUES ('{bad}', 60, 40, 20)",
        COUNTER,
    ),
    "two counters alike": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey;"
        " INSERT INTO inventory (product_id, total_stock, available_stock, reserved_stock)"
        " SELECT product_id, total_stock, available_stock, reserved_stock FROM inventory"
        " WHERE product_id = '{bad}'",
        COUNTER,
    ),
    "two counters, one of them a child's": (
        "CREATE TABLE other (LIKE inventory INCLUDING ALL) INHERITS (inventory);"
        " INSERT INTO other (product_id, total_stock, available_stock, reserved_stock)"
        " VALUES ('{bad}', 60, 40, 20)",
        COUNTER,
    ),
    "a counter that is NULL": (
        "ALTER TABLE inventory ALTER available_stock DROP NOT NULL;"
        " UPDATE inventory SET available_stock = NULL WHERE product_id = '{bad}'",
        COUNTER,
    ),
    "a counter that is no number": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up,"
        " ALTER reserved_stock TYPE numeric;"
        " UPDATE inventory SET reserved_stock = 'NaN' WHERE product_id = '{bad}'",
        COUNTER,
    ),
    "no quantity": (
        "ALTER TABLE inventory_reservations ALTER quantity DROP NOT NULL;"
        " UPDATE inventory_reservations SET quantity = NULL WHERE product_id = '{bad}'",
        ROW,
    ),
    "a third of a unit": (
        "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric;"
        " UPDATE inventory_reservations SET quantity = 0.3 WHERE product_id = '{bad}'",
        COUNTER,
    ),
    "not a number": (
        "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric;"
        " UPDATE inventory_reservations SET quantity = 'NaN' WHERE product_id = '{bad}'",
        ROW,
    ),
}


def reserve_some(db: Database, good: int, bad: int = 2) -> tuple[str, list[str]]:
    """The product whose release goes wrong, with its reservations; others of three products."""
    product = shop.add_product(db)
    ids = shop.bulk_reserve(db, bad, [product])
    shop.bulk_reserve(db, good, shop.add_products(db, 3, stock=1000))
    return product, ids


def state(db: Database, product: str) -> list[tuple]:
    return db.query(
        "SELECT tableoid, total_stock, available_stock, reserved_stock::text FROM inventory"
        " WHERE product_id = %s ORDER BY 1, 2, 3, 4",
        (product,),
    )


def check_others(db: Database, product: str, good: int) -> None:
    """Released, with their stock; of the bad one nothing was changed."""
    assert db.query(
        "SELECT count(*) FROM inventory_reservations WHERE status = 'released'"
    ) == [(good,)]
    wrong = db.query(
        "SELECT i.* FROM inventory i WHERE product_id <> %s"
        " AND (available_stock, reserved_stock) IS DISTINCT FROM (total_stock, 0)",
        (product,),
    )
    assert not wrong


@pytest.mark.parametrize("good", [1, 600])
@pytest.mark.parametrize("wrong", WRONGS)
def test_once(db: Database, run: Run, wrong: str, good: int) -> None:
    spoil, sqlstate = WRONGS[wrong]
    product, bad = reserve_some(db, good)
    db.conn.execute(spoil.replace("{bad}", product))
    before = state(db, product)
    done = run("--once")
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["failedCount"]) == (good, len(bad)), done.stderr
    assert record["releasedUnits"] == good
    assert done.status == 1
    check_others(db, product, good)
    assert state(db, product) == before
    refused = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert {r["reservationId"] for r in refused} == set(bad)
    assert {r["sqlstate"] for r in refused} == {sqlstate}
    assert all(product in r["error"] and "<" not in r["error"] for r in refused)


# ---- row security ----------------------------------------------------------------------------------

SECURITY = "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;"
SEES_ALL = "CREATE POLICY sees ON {table} FOR SELECT USING (true);"
# What the role may do with the counters; {bad} is the product that it may not touch.
HIDDEN = {
    "no policy": (SECURITY, False),
    "some are hidden": (
        SECURITY + "CREATE POLICY own ON {table} USING (product_id <> '{bad}');",
        True,
    ),
    "all are seen, none may be changed": (SECURITY + SEES_ALL, False),
    "all are seen, some may not be changed": (
        SECURITY
        + SEES_ALL
        + "CREATE POLICY own ON {table} FOR UPDATE USING (product_id <> '{bad}');",
        True,
    ),
}


def restricted(db: Database, **options: Any) -> str:
    """A connection string of a role that owns nothing."""
    role = f"{db.name}_sweeper"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}")
    return f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"


@pytest.fixture
def dsn(db: Database) -> Any:
    yield restricted(db)
    db.conn.execute(f"DROP OWNED BY {db.name}_sweeper")
    db.conn.execute(f"DROP ROLE {db.name}_sweeper")


@pytest.mark.parametrize("good", [3, 600])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_counters_that_are_hidden(
    db: Database, run: Run, dsn: str, hidden: str, good: int
) -> None:
    policy, others_released = HIDDEN[hidden]
    product, bad = reserve_some(db, good)
    before = db.query("SELECT * FROM inventory ORDER BY product_id")
    db.conn.execute(policy.format(table="inventory", bad=product))
    done = run("--once", dsn=dsn)
    record = done.record("Cleanup job completed")
    released = good if others_released else 0
    # One product after the other is waited for: with many there is no time for the last ones.
    left = record["failedCount"] + record["skippedCount"]
    assert (record["cleanedCount"], left) == (released, len(bad) + good - released)
    assert record["failedCount"] > 0.9 * left
    assert done.status == 1
    refused = [r for r in done.records if "refused to release a reservation" in r["message"]]
    assert {r["sqlstate"] for r in refused} == {COUNTER}
    assert all("row security" in r["error"] for r in refused)
    if others_released:
        check_others(db, product, good)
        assert {r["reservationId"] for r in refused} == set(bad)
    else:
        assert db.query("SELECT * FROM inventory ORDER BY product_id") == before
        assert shop.count_status(db, "released") == 0


def test_row_security_that_hides_nothing(db: Database, run: Run, dsn: str) -> None:
    """What counts is whether a counter is there and moves; a product without one is refused."""
    product, bad = reserve_some(db, 600)
    db.conn.execute("DELETE FROM inventory WHERE product_id = %s", (product,))
    db.conn.execute(
        (SECURITY + "CREATE POLICY all_of_it ON {table} USING (true)").format(table="inventory")
    )
    done = run("--once", dsn=dsn)
    assert done.record("Cleanup job completed")["cleanedCount"] == 600
    assert done.record("Cleanup job completed")["failedCount"] == len(bad)
    check_others(db, product, 600)
    db.conn.execute("ALTER TABLE inventory DISABLE ROW LEVEL SECURITY")
    done = run("--once", dsn=dsn)
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, len(bad))
    assert done.stderr.count("has no inventory row") == len(bad)


# ---- other ways ------------------------------------------------------------------------------------


def test_daemon(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    """It stands in `failed` with its sentence, and is released when the trigger is gone."""
    product, bad = reserve_some(db, 40)
    db.conn.execute(WRONGS["a trigger keeps the counter"][0].replace("{bad}", product))
    daemon = sweeper("--feed-interval", "300ms")
    wait_until(lambda: shop.count_status(db, "released") == 40, 20, "the others")
    wait_until(lambda: set(failures(redis)) == set(bad), 10, "their records")
    assert all(
        r["sqlstate"] == COUNTER and r["error"].startswith(f"the counter of product {product} ")
        for r in failures(redis).values()
    )
    db.conn.execute("DROP FUNCTION meddle() CASCADE")
    wait_until(lambda: shop.count_status(db, "released") == 42, 20, "healed")
    wait_until(lambda: is_empty(redis), 10, "nothing is left of them")
    shop.check_stock_adds_up(db)
    assert daemon.stop() == 0
    assert daemon.find("Stopped")[0]["releasedUnits"] == 42


IN_A_BACKLOG = ("a trigger keeps the counter", "a trigger counts a second time", "two counters")


@pytest.mark.parametrize(
    ("wrong", "good"), [(w, 5) for w in WRONGS] + [(w, 600) for w in IN_A_BACKLOG]
)
def test_what_comes_under_the_daemon(
    db: Database, redis: redis_py.Redis, sweeper: Start, wrong: str, good: int
) -> None:
    """Nothing of it was there when the statements were made."""
    spoil, sqlstate = WRONGS[wrong]
    product, bad = reserve_some(db, 3, bad=0)
    daemon = sweeper("--feed-interval", "300ms")
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "it works")
    bad = shop.bulk_reserve(db, 2, [product], "now() + interval '1500 ms'")
    db.conn.execute(spoil.replace("{bad}", product))
    shop.bulk_reserve(db, good, shop.add_products(db, 3, stock=1000))
    before = state(db, product)
    wait_until(lambda: shop.count_status(db, "released") == good + 3, 20, "the others")
    wait_until(lambda: set(failures(redis)) == set(bad), 10, "their records")
    assert {r["sqlstate"] for r in failures(redis).values()} == {sqlstate}
    check_others(db, product, good + 3)
    assert state(db, product) == before
    assert daemon.running


def test_direct_mode(db: Database, sweeper: Start) -> None:
    product, bad = reserve_some(db, 600)
    db.conn.execute(WRONGS["two counters"][0].replace("{bad}", product))
    before = state(db, product)
    daemon = sweeper(redis_url="redis://127.0.0.1:1")
    wait_until(lambda: shop.count_status(db, "released") == 600, 20, "the others")
    assert daemon.wait_for_record("refused to release a reservation")["sqlstate"] == COUNTER
    check_others(db, product, 600)
    assert state(db, product) == before


def test_over_http(db: Database, redis: redis_py.Redis, sweeper: Start) -> None:
    token = "0123456789abcdef"
    product, bad = reserve_some(db, 3, bad=0)
    db.conn.execute(WRONGS["no quantity"][0].replace("{bad}", product))
    daemon = sweeper(
        "--lookahead", "off", "--scan-interval", "off",
        http=True, env={"SWEEPER_ADMIN_TOKEN": token},
    )  # fmt: skip
    wait_until(lambda: shop.count_status(db, "released") == 3, 20, "it works")
    bad = shop.bulk_reserve(db, 2, [product])
    db.conn.execute("UPDATE inventory_reservations SET quantity = NULL WHERE status = 'active'")
    shop.bulk_reserve(db, 5, shop.add_products(db, 3))
    status, body = daemon.http("/sweep", "POST", token)
    assert (status, '"failedCount"' in body) == (500, True), body
    assert shop.statuses(db) == {"released": 8, "active": len(bad)}
    check_others(db, product, 8)


# ---- units -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [3, 600])
def test_units_are_those_of_the_row_as_it_was_locked(db: Database, run: Run, good: int) -> None:
    db.conn.execute(
        trigger("inventory_reservations", "BEFORE", "NEW.quantity := NEW.quantity + 5; RETURN NEW;")
    )
    shop.bulk_reserve(db, good, shop.add_products(db, 3, stock=2000), quantity=2)
    done = run("--once")
    assert done.record("Cleanup job completed")["releasedUnits"] == 2 * good
    assert done.status == 0
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("good", [3, 600])
def test_fractions(db: Database, run: Run, good: int) -> None:
    db.conn.execute(
        "ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up;"
        " ALTER TABLE inventory ALTER available_stock TYPE numeric(14, 3),"
        " ALTER reserved_stock TYPE numeric(14, 3), ALTER total_stock TYPE numeric(14, 3);"
        " ALTER TABLE inventory_reservations ALTER quantity TYPE numeric(10, 3)"
    )
    shop.bulk_reserve(db, good, shop.add_products(db, 3, stock=2000))
    db.conn.execute("UPDATE inventory_reservations SET quantity = 0.1")
    db.conn.execute(
        "UPDATE inventory SET reserved_stock = s.units, available_stock = total_stock - s.units"
        " FROM (SELECT product_id, sum(quantity) AS units FROM inventory_reservations"
        " GROUP BY 1) s WHERE s.product_id = inventory.product_id"
    )
    units = round(good * 0.1, 3)
    assert run("--once", "--dry-run").record("Cleanup job completed")["releasedUnits"] == units
    done = run("--once")
    record = done.record("Cleanup job completed")
    assert (record["cleanedCount"], record["releasedUnits"], done.status) == (good, units, 0)
    shop.check_stock_adds_up(db)


@pytest.mark.parametrize("quantity", [0, -2])
def test_quantities_that_a_check_would_forbid(db: Database, run: Run, quantity: int) -> None:
    """They are given back for what they are."""
    db.conn.execute(
        "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_quantity_check"
    )
    product = shop.add_product(db)
    shop.reserve(db, {product: 5}, ttl_s=60)
    shop.reserve(db, {product: quantity}, ttl_s=0)
    done = run("--once")
    assert done.record("Cleanup job completed")["releasedUnits"] == quantity
    shop.check_stock_adds_up(db)
    assert shop.stock(db, product) == (100, 95, 5)


@pytest.mark.parametrize("good", [3, 600])
def test_a_partitioned_counter_table(db: Database, run: Run, good: int) -> None:
    db.conn.execute(
        "ALTER TABLE inventory RENAME TO old;"
        " CREATE TABLE inventory (LIKE old INCLUDING DEFAULTS, PRIMARY KEY (product_id))"
        " PARTITION BY HASH (product_id);"
        " CREATE TABLE a PARTITION OF inventory FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
        " CREATE TABLE b PARTITION OF inventory FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
    )
    shop.bulk_reserve(db, good, shop.add_products(db, 8, stock=1000))
    done = run("--once")
    assert (done.status, done.record("Cleanup job completed")["cleanedCount"]) == (0, good)
    shop.check_stock_adds_up(db)


def test_a_rule_instead_of_a_change(db: Database, run: Run) -> None:
    """Postgres has none within a statement: nothing is released, and that is said."""
    reserve_some(db, 5)
    before = db.query("SELECT * FROM inventory ORDER BY product_id")
    db.conn.execute("CREATE RULE nothing AS ON UPDATE TO inventory DO INSTEAD NOTHING")
    done = run("--once")
    assert done.status == 1 and done.record("Cleanup job failed")
    assert db.query("SELECT * FROM inventory ORDER BY product_id") == before
    assert shop.count_status(db, "released") == 0
