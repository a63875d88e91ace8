"""--reconcile and the stock counters."""

from __future__ import annotations

import json
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
    report = found(*OFF, status=3, stockDrifted=1, repaired={"stockDrifted": 1, "remainingCount": 1})
    assert report == [
        {
            "kind": "stockDrifted",
            "queue": "reservations",
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
        *OFF, "--repair-stock", stockDrifted=10, repaired={"stockDrifted": 10, "stockRepaired": 10}
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
    found(*OFF, "--repair-stock", stockDrifted=1, repaired={"stockDrifted": 1, "stockRepaired": 1})
    assert shop.stock(db, product) == (100, 99, 1)


def test_stock_without_a_total(db: Any, redis: Any, found: Check) -> None:
    db.conn.execute("ALTER TABLE inventory DROP COLUMN total_stock")
    db.conn.execute(
        "INSERT INTO inventory (product_id, available_stock, reserved_stock)"
        " VALUES (gen_random_uuid(), 10, 2)"
    )
    report = found(
        *OFF, "--repair-stock", stockDrifted=1, repaired={"stockDrifted": 1, "stockRepaired": 1}
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
        repaired={"stockDrifted": 1, "remainingCount": 1},
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


# ---- what nobody can repair ------------------------------------------------------------------------


def stock_rows(db: Any) -> list[tuple]:
    return db.query(
        "SELECT product_id, total_stock, available_stock, reserved_stock FROM inventory"
        " ORDER BY 1, 2, 3, 4"
    )


def check_left_alone(db: Any, run: Any, reason: str, drifted: int = 1, **options: Any) -> None:
    """Found, not repaired, with the reason in the log and the report; exit status 3."""
    before = stock_rows(db)
    done = run("--reconcile", *OFF, "--repair-stock", "--report", "-", **options)
    assert figures(done) == {"stockDrifted": drifted, "remainingCount": drifted}, done.stderr
    assert done.status == 3
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == drifted
    assert all(line["done"] == "nothing" and line["expected"] is None for line in lines)
    assert all(reason in line["found"]["notRepairable"] for line in lines)
    warned = [r for r in done.records if "cannot be repaired" in r["message"]]
    assert [r["level"] for r in warned] == ["WARN"] * drifted
    assert all(reason in r["reason"] for r in warned)
    assert stock_rows(db) == before


@pytest.mark.parametrize("stock", [60, 100])
def test_two_counters_of_a_product(db: Any, redis: Any, run: Any, stock: int) -> None:
    """A warehouse each, also with the same figures."""
    product, other = shop.add_products(db, 2, stock=100)
    hold(db, redis, product)
    hold(db, redis, other)
    db.conn.execute("ALTER TABLE inventory DROP CONSTRAINT inventory_pkey")
    db.conn.execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock, reserved_stock)"
        " VALUES (%s, %s, %s - 1, 1)",
        (product, stock, stock),
    )
    check_left_alone(db, run, "more than one row")


def test_pages_of_products_with_two_counters(db: Any, redis: Any, run: Any) -> None:
    """The second row may lie beyond a page's end; each product is met once."""
    db.conn.execute("ALTER TABLE inventory DROP CONSTRAINT inventory_pkey")
    db.conn.execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock)"
        " SELECT md5(i::text)::uuid, 1, 1 FROM generate_series(1, 20001) AS i"
    )
    db.conn.execute(
        "INSERT INTO inventory (product_id, total_stock, available_stock)"
        " SELECT product_id, 1, 1 FROM inventory ORDER BY product_id DESC LIMIT 3"
    )
    db.conn.execute("ANALYZE inventory")
    done = run("--reconcile", *OFF)
    assert done.record("Reconciliation completed")["stockChecked"] == 20001
    assert (figures(done), done.status) == ({"stockDrifted": 3, "remainingCount": 3}, 3)


@pytest.mark.parametrize("quantity", ["NULL", "'NaN'"])
def test_quantities_without_a_sum(db: Any, redis: Any, run: Any, quantity: str) -> None:
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    hold(db, redis, product)
    db.conn.execute(
        "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric,"
        " ALTER quantity DROP NOT NULL"
    )
    db.conn.execute(
        f"UPDATE inventory_reservations SET quantity = {quantity}"
        " WHERE ctid = (SELECT min(ctid) FROM inventory_reservations)"
    )
    check_left_alone(db, run, "NULL or no number")


@pytest.mark.parametrize("table", ["inventory", "inventory_reservations"])
def test_row_security_hides_what_is_summed(db: Any, redis: Any, run: Any, table: str) -> None:
    product, other = shop.add_products(db, 2, stock=100)
    hold(db, redis, product)
    hold(db, redis, other)
    role = f"{db.name}_sweeper"
    db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")
    db.conn.execute(f"GRANT SELECT, UPDATE ON inventory, inventory_reservations TO {role}")
    db.conn.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    db.conn.execute(f"CREATE POLICY one ON {table} USING (product_id = '{product}')")
    dsn = f"postgresql://{role}:pw@127.0.0.1:{db.server.port}/{db.name}"
    try:
        if table == "inventory":
            drift(db, product, available=-1, reserved=1)
            check_left_alone(db, run, "row security", dsn=dsn)
        else: # as if the others' reservations were none
            redis.flushall()
            before = stock_rows(db)
            done = run("--reconcile", *OFF, "--repair-stock", dsn=dsn)
            assert (figures(done)["stockDrifted"], done.status) == (1, 3)
            assert "row security" in done.record("cannot be repaired")["reason"]
            assert stock_rows(db) == before
        done = run("--reconcile", *OFF, dsn=dsn)
        assert done.record("Row security may hide")["level"] == "WARN"
    finally:
        db.conn.execute(f"DROP OWNED BY {role}")
        db.conn.execute(f"DROP ROLE {role}")


def test_a_trigger_that_keeps_a_counter_as_it_is(db: Any, redis: Any, run: Any) -> None:
    product, other = shop.add_products(db, 2, stock=100)
    drift(db, product, available=-1, reserved=1)
    drift(db, other, available=-1, reserved=1)
    before = stock_rows(db)
    db.conn.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        f" IF NEW.product_id = '{product}' THEN RETURN NULL; END IF;"
        " NEW.reserved_stock := 1; NEW.available_stock := 99; RETURN NEW; END$$;"
        " CREATE TRIGGER keep BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION keep()"
    )
    done = run("--reconcile", *OFF, "--repair-stock")
    assert (figures(done), done.status) == ({"stockDrifted": 2, "remainingCount": 2}, 3)
    assert stock_rows(db) == before


def test_fractions_are_compared_and_repaired_exactly(db: Any, redis: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    db.conn.execute(
        "ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up;"
        " ALTER TABLE inventory ALTER available_stock TYPE numeric, ALTER reserved_stock TYPE"
        " numeric, ALTER total_stock TYPE numeric;"
        " ALTER TABLE inventory_reservations ALTER quantity TYPE numeric"
    )
    hold(db, redis, product)
    db.conn.execute("UPDATE inventory_reservations SET quantity = 0.4")
    done = run("--reconcile", *OFF, "--repair-stock", "--report", "-")
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["expected"] == {"totalStock": 100, "availableStock": 99.6, "reservedStock": 0.4}
    assert line["found"] == {"totalStock": 100, "availableStock": 99, "reservedStock": 1}
    assert (figures(done), done.status) == ({"stockDrifted": 1, "stockRepaired": 1}, 0)
    shop.check_stock_adds_up(db)
    assert run("--reconcile", *OFF).status == 0


def test_a_counter_that_is_null_is_repaired(db: Any, redis: Any, run: Any) -> None:
    product = shop.add_product(db, stock=100)
    hold(db, redis, product)
    db.conn.execute("ALTER TABLE inventory ALTER available_stock DROP NOT NULL")
    db.conn.execute("UPDATE inventory SET available_stock = NULL")
    done = run("--reconcile", *OFF, "--repair-stock")
    assert (figures(done), done.status) == ({"stockDrifted": 1, "stockRepaired": 1}, 0)
    assert shop.stock(db, product) == (100, 99, 1)
