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


def function(db: Database, body: str) -> str:
    """A trigger's function; the name."""
    db.conn.execute(
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$"
    )
    return "meddle()"


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
        "SELECT tableoid, total_stock, available_stock, reserved_stock FROM inventory"
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
