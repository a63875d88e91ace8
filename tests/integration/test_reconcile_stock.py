"""--reconcile and the stock counters."""

from __future__ import annotations

from typing import Any

import pytest
from harness import shop
from harness.reconciliation import OFF, Check, figures, hold


def drift(db: Any, product: str, available: int = 0, reserved: int = 0) -> None:
    """Moves the counters; the total follows them, as the table's own check demands."""
    db.conn.execute(
        "UPDATE inventory SET available_stock = available_stock + %s,"
        " reserved_stock = reserved_stock + %s, total_stock = total_stock + %s"
        " WHERE product_id = %s",
        (available, reserved, available + reserved, product),
    )


def test_stock_is_reported(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 5, stock=100)
    hold(db, redis, products[0])
    drift(db, products[1], available=-3, reserved=3)
    report = found(*OFF, status=3, stockDrifted=1, mended={"stockDrifted": 1, "remainingCount": 1})
    assert report == [
        {
            "kind": "stockDrifted",
            "productId": products[1],
            "expected": {"totalStock": 100, "availableStock": 100, "reservedStock": 0},
            "found": {"totalStock": 100, "availableStock": 97, "reservedStock": 3},
            "done": "nothing",
        }
    ]


@pytest.mark.valgrind
def test_stock_is_repaired(db: Any, redis: Any, found: Check) -> None:
    products = shop.add_products(db, 30, stock=100)
    for product in products[:10]:
        hold(db, redis, product)
    for product in products[5:15]:
        drift(db, product, available=-3, reserved=3)
    report = found(
        *OFF, "--repair-stock", stockDrifted=10, mended={"stockDrifted": 10, "stockRepaired": 10}
    )
    assert {line["done"] for line in report} == {"repaired"}
    shop.check_stock_adds_up(db)
    assert {shop.stock(db, p) for p in products[:10]} == {(100, 99, 1)}
    assert {shop.stock(db, p) for p in products[10:]} == {(100, 100, 0)}


def test_stock_that_does_not_add_up_to_its_total(db: Any, redis: Any, found: Check) -> None:
    db.conn.execute("ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up")
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    db.conn.execute("UPDATE inventory SET available_stock = 120")
    found(*OFF, "--repair-stock", stockDrifted=1, mended={"stockDrifted": 1, "stockRepaired": 1})
    assert shop.stock(db, product) == (100, 99, 1)


def test_stock_without_a_total(db: Any, redis: Any, found: Check) -> None:
    db.conn.execute("ALTER TABLE inventory DROP COLUMN total_stock")
    db.conn.execute(
        "INSERT INTO inventory (product_id, available_stock, reserved_stock)"
        " VALUES (gen_random_uuid(), 10, 2)"
    )
    report = found(
        *OFF, "--repair-stock", stockDrifted=1, mended={"stockDrifted": 1, "stockRepaired": 1}
    )
    assert report[0]["found"] == {"availableStock": 10, "reservedStock": 2}
    assert db.query("SELECT available_stock, reserved_stock FROM inventory") == [(12, 0)]


def test_stock_below_zero_is_not_repaired(db: Any, redis: Any, found: Check) -> None:
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    db.conn.execute("UPDATE inventory SET total_stock = 0, available_stock = 0, reserved_stock = 0")
    found(
        *OFF,
        "--repair-stock",
        status=3,
        stockDrifted=1,
        mended={"stockDrifted": 1, "remainingCount": 1},
    )
    assert shop.stock(db, product) == (0, 0, 0)


def test_too_much_drift_is_suspicious(db: Any, redis: Any, run: Any) -> None:
    products = shop.add_products(db, 6, stock=100)
    for product in products:
        drift(db, product, available=-1, reserved=1)
    done = run("--reconcile", *OFF, "--repair-stock", "--max-repairs", "5", "--report", "-")
    assert (done.status, figures(done)) == (3, {"stockDrifted": 6, "remainingCount": 6})
    assert sum('"kind":"stockDrifted"' in line for line in done.stdout.splitlines()) == 6
    assert done.record("Too many")["level"] == "WARN"
    done = run("--reconcile", *OFF, "--repair-stock", "--max-repairs", "6")
    assert (done.status, figures(done)) == (0, {"stockDrifted": 6, "stockRepaired": 6})
    shop.check_stock_adds_up(db)


def test_counters_come_before_releases(db: Any, redis: Any, run: Any) -> None:
    """A counter that drifted refuses the release of what it forgot."""
    product = shop.add_product(db, stock=100)
    shop.reserve(db, {product: 5}, -1.0)
    drift(db, product, available=5, reserved=-5)
    done = run("--reconcile", *OFF)
    assert (done.status, figures(done)["remainingCount"]) == (3, 2)
    done = run("--reconcile", *OFF, "--repair-stock")
    assert (done.status, figures(done)) == (
        0,
        {"releasedCount": 1, "stockDrifted": 1, "stockRepaired": 1},
    )
    assert shop.stock(db, product) == (100, 100, 0)
