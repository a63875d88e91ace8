"""The careful release as the sweeper sends it, alone: in both its forms, for a table whose id is unique
and for one whose id is not, and when the table becomes another one under it."""

from __future__ import annotations

import random
import re
import threading
import time

import psycopg
import pytest
from harness import shop
from harness.database import Database
from harness.locks import lock_product, lock_reservation, transaction
from harness.statement import id_array, prepare_release, release

ONE_ROW_EACH = (
    "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey;"
    "ALTER TABLE inventory_reservations ADD PRIMARY KEY (id)"
)
NO_KEY = "ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey"
TRIGGER = (
    "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
    "CREATE TRIGGER nothing BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION nothing()"
)
PARTITIONS = (
    "DROP TABLE inventory_reservations;"
    "CREATE TABLE inventory_reservations (id uuid NOT NULL, product_id uuid NOT NULL,"
    " quantity integer NOT NULL, expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',"
    " updated_at timestamptz NOT NULL DEFAULT now()) PARTITION BY HASH (id);"
    "CREATE TABLE part_1 PARTITION OF inventory_reservations FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE part_2 PARTITION OF inventory_reservations FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
)
# The table, and what the release then is: lean but for the last two.
SHAPES = {
    "several rows": "",
    "one row each": ONE_ROW_EACH,
    "with a trigger": TRIGGER,
    "partitions": PARTITIONS,
}
LEAN = ("several rows", "one row each")


@pytest.fixture(params=SHAPES)
def table(request: pytest.FixtureRequest, db: Database) -> Database:
    db.conn.execute(SHAPES[request.param])
    prepare_release(db)
    return db


def status(db: Database, id: str) -> list[str]:
    rows = "SELECT status FROM inventory_reservations WHERE id = %s ORDER BY product_id"
    return [s for (s,) in db.query(rows, (id,))]


def again(db: Database, id: str, product: str, expires_s: float = -1) -> None:
    """Another row of a reservation."""
    db.conn.execute(
        "INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)"
        " VALUES (%s, %s, 1, now() + %s * interval '1 s')",
        (id, product, expires_s),
    )
    db.conn.execute(
        "UPDATE inventory SET available_stock = available_stock - 1, reserved_stock = reserved_stock + 1"
        " WHERE product_id = %s",
        (product,),
    )


def test_what_becomes_of_each(table: Database) -> None:
    db = table
    free, busy = shop.add_products(db, 2)
    due, waits, locked, sold = (shop.reserve(db, {p: 1}, ttl_s=-1) for p in (free, busy, free, free))
    early = shop.reserve(db, {free: 1}, ttl_s=600)
    db.conn.execute("UPDATE inventory_reservations SET status = 'committed' WHERE id = %s", (sold,))
    missing = "00000000-0000-0000-0000-000000000000"
    asked = (early, due, waits, locked, missing, sold)
    with transaction(db, lock_product(busy), lock_reservation(locked)):
        answer = release(db, *asked)
    assert answer == ["not due", "released", "locked", "locked", "missing", "settled"]
    assert shop.stock(db, busy) == (100, 99, 1)
    assert release(db, waits, locked) == ["released", "released"]
    assert status(db, early) == ["active"] and status(db, sold) == ["committed"]


def test_a_reservation_that_is_asked_for_twice(table: Database) -> None:
    """In other letters: released once, and the answer names one of the two; so with others beside it."""
    db = table
    product = shop.add_product(db)
    ids = [shop.reserve(db, {product: 2}, ttl_s=-1) for _ in range(3)]
    spoken = [*ids, *(id.upper() for id in ids[:2]), ids[0].replace("-", "")]
    assert release(db, *spoken) == ["released"] * 3
    assert shop.stock(db, product) == (100, 100, 0)
    assert release(db, *spoken) == ["settled"] * 3


def test_no_product(table: Database) -> None:
    """Given back to nobody, and the others to theirs."""
    db = table
    product, gone = shop.add_products(db, 2)
    ids = [shop.reserve(db, {p: 1}, ttl_s=-1) for p in (product, gone)]
    db.conn.execute("DELETE FROM inventory WHERE product_id = %s", (gone,))
    assert release(db, *ids) == ["released"] * 2
    assert shop.stock(db, product) == (100, 100, 0)


def test_rows_at_the_same_place(db: Database) -> None:
    """Each partition has a first row. Only what is asked for is released, and locked."""
    db.conn.execute(PARTITIONS)
    prepare_release(db)
    db.conn.execute("TRUNCATE inventory_reservations")
    product = shop.add_product(db, stock=1000)
    ids = [shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(40)]
    places = dict(db.query("SELECT id::text, ctid::text FROM inventory_reservations"))
    twins = [id for id in ids if list(places.values()).count(places[id]) == 2]
    assert len(twins) > 10
    place = {places[id]: id for id in twins}
    asked = list(place.values())
    others = [id for id in ids if id not in asked]
    with db.conn.transaction():
        assert release(db, *asked) == ["released"] * len(asked)
        with db.connect() as checkout:
            free = "SELECT FROM inventory_reservations WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED"
            assert len(checkout.execute(free, (ids,)).fetchall()) == len(others)
    assert all(status(db, id) == ["active"] for id in others)
    assert all(status(db, id) == ["released"] for id in asked)
    shop.check_stock_adds_up(db)


# ---- Plans -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*LEAN, "with a trigger"])
@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
def test_a_table_that_was_never_analyzed(db: Database, shape: str, plan: str) -> None:
    """It is not read whole, and what looks like much is looked up in hashes all the same."""
    for table in ("inventory", "inventory_reservations"):
        db.conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    db.conn.execute(SHAPES[shape])
    prepare_release(db)
    shop.bulk_reserve(db, 30_000, shop.add_products(db, 20, stock=100_000))
    ids = [id for (id,) in db.query("SELECT id::text FROM inventory_reservations LIMIT 300")]
    for name, value in (("plan_cache_mode", plan), ("random_page_cost", "1.1"), ("work_mem", "64kB")):
        db.conn.execute(f"SET {name} = '{value}'")
    rows = db.query(f"EXPLAIN (VERBOSE) EXECUTE release ('{id_array(tuple(ids))}')")
    said = "\n".join(line for (line,) in rows)
    assert "Seq Scan on public.inventory_reservations" not in said, said
    assert len(set(re.findall(r"\(hashed SubPlan (\d+)\)", said))) >= 4, said
    # That of a product without a counter alone, by its key.
    assert len(set(re.findall(r"\(SubPlan (\d+)\)", said))) == 1, said


# ---- Rows that change meanwhile ----------------------------------------------------------------------

# What an API does to the rows of a reservation: {q} more units, another expiry, nothing at all.
CHANGE = (
    "WITH was AS (SELECT * FROM inventory_reservations WHERE id = %(id)s ORDER BY product_id FOR UPDATE),"
    " now AS (UPDATE inventory_reservations r SET status = 'active', updated_at = now(),"
    " quantity = r.quantity %% 9 + %(more)s, expires_at = now() + %(expires)s * interval '1 ms'"
    " FROM was WHERE r.id = was.id AND r.product_id = was.product_id RETURNING r.product_id, r.quantity,"
    " CASE WHEN was.status = 'active' THEN was.quantity ELSE 0 END AS before)"
    " UPDATE inventory i SET available_stock = available_stock + now.before - now.quantity,"
    " reserved_stock = reserved_stock - now.before + now.quantity FROM now"
    " WHERE i.product_id = now.product_id"
)


def test_rows_that_change_all_the_time(table: Database) -> None:
    """No unit is given back that was not held, and no reservation in part."""
    db = table
    products = shop.add_products(db, 4, stock=1000)
    several = not db.query("SELECT FROM pg_index WHERE indrelid = 'inventory_reservations'::regclass"
                           " AND indisunique AND indnkeyatts = 1")  # fmt: skip
    carts = [products[n % 4 :][: 2 if several else 1] for n in range(24)]
    ids = [shop.reserve(db, {product: 1 for product in cart}, ttl_s=-1) for cart in carts]
    stop = threading.Event()

    def change() -> None:
        dice = random.Random(7)
        with db.connect() as api:
            while not stop.is_set():
                row = {"id": dice.choice(ids), "more": dice.randint(0, 1) + 1}
                api.execute(CHANGE, row | {"expires": dice.choice((-1000, -1000, 20))})

    thread = threading.Thread(target=change)
    thread.start()
    released, until = 0, time.monotonic() + 3
    try:
        while time.monotonic() < until:
            released += release(db, *ids).count("released")
    finally:
        stop.set()
        thread.join()
    assert released > 100
    shop.check_stock_adds_up(db)
    parts = "SELECT FROM inventory_reservations GROUP BY id HAVING count(DISTINCT status) > 1"
    assert not db.query(parts)


# ---- The table becomes another one: the lean form, made for what it was ---------------------------


def fails(db: Database, *ids: str) -> None:
    """It says that something is not as it should be; the sweeper sends the explaining form then."""
    before = db.query("SELECT * FROM inventory_reservations ORDER BY 1, 2")
    with pytest.raises(psycopg.errors.DivisionByZero):
        db.conn.execute(f"EXECUTE release ('{id_array(ids)}')")
    assert db.query("SELECT * FROM inventory_reservations ORDER BY 1, 2") == before
    shop.check_stock_adds_up(db)


# What else the second row of an id is: expires_at, in seconds, and its status.
SECOND = {"due": -1, "not due": 600}


@pytest.mark.parametrize("second", SECOND)
def test_an_id_that_was_unique(db: Database, second: str) -> None:
    """No reservation in part, also where as many are missing as there are rows too many."""
    db.conn.execute(ONE_ROW_EACH)
    prepare_release(db)
    product, other = shop.add_products(db, 2)
    id, single = (shop.reserve(db, {product: 1}, ttl_s=-1) for _ in range(2))
    db.conn.execute(NO_KEY)
    assert release(db, single) == ["released"]
    again(db, id, other, SECOND[second])
    missing = "00000000-0000-0000-0000-000000000000"
    for asked in ((id,), (id, missing), (id, id.upper())):
        fails(db, *asked)
    with transaction(db, lock_product(other)):
        fails(db, id)
    with transaction(db, (f"{lock_reservation(id)[0]} SKIP LOCKED", (id,))):
        fails(db, id)
    db.conn.execute("UPDATE inventory_reservations SET status = 'committed' WHERE product_id = %s", (other,))
    db.conn.execute("UPDATE inventory SET total_stock = 99, reserved_stock = 0 WHERE product_id = %s", (other,))
    fails(db, id)


@pytest.mark.parametrize("shape", LEAN)
def test_a_child_that_was_not_there(db: Database, shape: str) -> None:
    """Its first row lies where the table's first row does. An id with rows in both fails."""
    db.conn.execute(SHAPES[shape])
    prepare_release(db)
    db.conn.execute("TRUNCATE inventory_reservations")
    product, other = shop.add_products(db, 2)
    id = shop.reserve(db, {product: 1}, ttl_s=-1)
    db.conn.execute("CREATE TABLE child () INHERITS (inventory_reservations)")
    db.conn.execute(
        "INSERT INTO child (id, product_id, quantity, expires_at)"
        " VALUES (gen_random_uuid(), %s, 1, now() - interval '1 s')",
        (other,),
    )
    assert db.query("SELECT count(*), count(DISTINCT ctid) FROM inventory_reservations") == [(2, 1)]
    assert release(db, id) == ["released"]
    assert db.query("SELECT status FROM child") == [("active",)]
    assert shop.stock(db, other)[2] == 0
    db.conn.execute("UPDATE child SET id = %s", (id,))
    with pytest.raises(psycopg.errors.DivisionByZero):
        db.conn.execute(f"EXECUTE release ('{id_array((id,))}')")
    assert db.query("SELECT status FROM child") == [("active",)]
