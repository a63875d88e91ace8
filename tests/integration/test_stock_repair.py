"""The statement that repairs a counter, as it is sent: what it leaves alone, whatever was found before."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_py
from harness import shop
from harness.database import Database
from harness.reconciliation import OFF
from harness.statement import prepare_sent

NUMBERS = (
    "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric, ALTER quantity DROP NOT NULL"
)
FREE = (
    "ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up,"
    " DROP CONSTRAINT inventory_available_stock_check"
)
TWICE = "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey"
# How the tables differ; what is done to a product of 100, of which 5 are reserved and counted as 3;
# and whether its counter is set.
CASES = {
    "a wrong counter": ("", "", True),
    "a sum of more than there is": (
        FREE,
        "UPDATE inventory SET total_stock = 4 WHERE product_id = %s",
        False,
    ),
    "a quantity that is NULL": (
        NUMBERS,
        "UPDATE inventory_reservations SET quantity = NULL WHERE product_id = %s",
        False,
    ),
    "a second counter": (
        TWICE,
        "INSERT INTO inventory SELECT * FROM inventory WHERE product_id = %s",
        False,
    ),
}


def counters(db: Database) -> list[tuple[Any, ...]]:
    return db.query(
        "SELECT product_id, available_stock, reserved_stock, total_stock FROM inventory ORDER BY 1, 2"
    )


@pytest.mark.parametrize("case", CASES)
def test_what_is_set(db: Database, redis: redis_py.Redis, case: str) -> None:
    tables, change, is_set = CASES[case]
    db.conn.execute(tables)
    product, other = shop.add_products(db, 2)
    shop.reserve(db, {product: 5, other: 5}, ttl_s=600)
    wrong = (
        "UPDATE inventory SET available_stock = available_stock + 2,"
        " reserved_stock = reserved_stock - 2 WHERE product_id = %s"
    )
    db.conn.execute(wrong, (product,))
    at = redis.connection_pool.connection_kwargs
    url = f"redis://{at['host']}:{at['port']}/{at['db']}"
    prepare_sent(db, "repair", r"WITH rs\$stock AS", "--reconcile", "--repair-stock", "--redis-url", url, *OFF)
    assert shop.stock(db, product) == (100, 95, 5)
    db.conn.execute(wrong, (product,))
    db.conn.execute(wrong, (other,))
    db.conn.execute(change, (product,) if change else None)
    before = counters(db)
    (answer,) = db.query(f"EXECUTE repair ('{product}')")
    assert answer[1:3] == (False, is_set)
    if is_set:
        assert shop.stock(db, product) == (100, 95, 5)
        assert shop.stock(db, other) == (100, 97, 3)
        assert db.query(f"EXECUTE repair ('{product}')")[0][1:3] == (True, False)
    else:
        assert counters(db) == before
