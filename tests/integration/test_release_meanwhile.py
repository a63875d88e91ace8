"""What changes while a release runs: rows that move between its snapshot and its locks, and tables that
are others than its statement was made for. In each way that has a statement of its own, by the number of
rows of an id."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from harness import shop
from harness.database import Database
from harness.locks import waits
from harness.poll import wait_until
from harness.statement import places, prepare_explained, release_by_places, release_in_bulk
from harness.sweeper import Run

# An id of one row, by the catalog; in partitions, where two rows lie at the same place.
ONE_ROW = """
    ALTER TABLE inventory_reservations DROP CONSTRAINT inventory_reservations_pkey;
    CREATE UNIQUE INDEX one_row ON inventory_reservations (id);
"""
PARTITIONS = """
    DROP TABLE inventory_reservations;
    CREATE TABLE inventory_reservations (
        id uuid NOT NULL, product_id uuid NOT NULL, quantity integer NOT NULL,
        expires_at timestamptz NOT NULL, status text NOT NULL DEFAULT 'active',
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()
    ) PARTITION BY LIST (quantity);
    CREATE TABLE ones PARTITION OF inventory_reservations FOR VALUES IN (1);
    CREATE TABLE others PARTITION OF inventory_reservations DEFAULT;
"""
NO_HOT = "CREATE INDEX ON inventory_reservations (updated_at)"

Release = Callable[[], set[str]]


class Way:
    """A way to release, and the tables that it is tried with."""

    def __init__(self, name: str, tables: str = "", rows: int = 2) -> None:
        self.name, self.tables, self.rows = name, tables, rows
        self.by_places = name.startswith("by places")

    def prepare(self, db: Database, run: Run) -> None:
        db.conn.execute(self.tables)
        prepare_explained(db, run, by_places=self.by_places)

    def releases(self, db: Database) -> Release:
        """Of all that is active now."""
        seen = places(db)
        ids = tuple(dict.fromkeys(id for id, _ in seen))

        def release() -> set[str]:
            if self.by_places:
                return release_by_places(db, seen)
            release_in_bulk(db, *ids, counters_ms=2000, others_ms=2000)
            return released(db)

        return release


WAYS = [
    Way("bulk"),
    Way("bulk, an id of one row", ONE_ROW, rows=1),
    Way("bulk, in partitions", PARTITIONS),
    Way("by places"),
    Way("by places, an id of one row", ONE_ROW, rows=1),
]


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def way(request: pytest.FixtureRequest, db: Database, run: Run) -> Way:
    way: Way = request.param
    way.prepare(db, run)
    return way


def released(db: Database) -> set[str]:
    return {
        id
        for (id,) in db.query(
            "SELECT id::text FROM inventory_reservations GROUP BY id"
            " HAVING bool_and(status = 'released')"
        )
    }


def statuses(db: Database, id: str) -> set[str]:
    return {
        status
        for (status,) in db.query(
            "SELECT DISTINCT status FROM inventory_reservations WHERE id = %s", (id,)
        )
    }


def reserve(db: Database, way: Way, n: int = 3) -> list[str]:
    """Reservations of one row each, of one piece; or of another row too, of two."""
    apple, pear = shop.add_products(db, 2)
    items = {apple: 1, pear: 2} if way.rows == 2 else {apple: 1}
    return [shop.reserve(db, items, ttl_s=-1) for _ in range(n)]


def prepare_again(db: Database, way: Way, old: str = "", new: str = "") -> None:
    """The same text, or with a change, as a statement that knows nothing of what the tables were."""
    name = "by_places" if way.by_places else "release"
    text = str(db.value("SELECT statement FROM pg_prepared_statements WHERE name = %s", (name,)))
    assert old in text
    db.conn.execute(f"DEALLOCATE {name}")
    db.conn.execute(text.replace(old, new, 1))  # type: ignore[arg-type]


@contextlib.contextmanager
def between_snapshot_and_lock(
    db: Database, way: Way, release: Release
) -> Iterator[psycopg.Connection]:
    """What is done here happens after the release has its snapshot, and before it locks a row: a
    condition of its first scan waits for us. Then the release goes on."""
    gate = "WHERE (SELECT pg_catalog.pg_advisory_xact_lock_shared(7)) IS NOT NULL AND "
    prepare_again(db, way, "WHERE ", gate)
    with psycopg.connect(db.dsn) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_xact_lock(7)")
        done = pool.submit(release)
        wait_until(lambda: waits(db) or done.done(), 20, "the release waits")
        assert not done.done(), done.result()
        yield other
        other.commit()
        # What the statement cannot do as a whole it does not do: then it is tried with care. A check of
        # a counter is first asked of what the snapshot has.
        with contextlib.suppress(
            psycopg.errors.DivisionByZero,
            psycopg.errors.SerializationFailure,
            psycopg.errors.CheckViolation,
        ):
            done.result()


TAKEN = (
    "UPDATE inventory SET reserved_stock = reserved_stock - 1, available_stock = available_stock + 1"
    " WHERE product_id IN (SELECT product_id FROM inventory_reservations WHERE quantity = 1)"
)
# Of the row of one piece, and of its counter.
CHANGES = {
    "moved": ("UPDATE inventory_reservations SET updated_at = now()", ""),
    "extended": ("UPDATE inventory_reservations SET expires_at = now() + interval '1 minute'", ""),
    "committed": ("UPDATE inventory_reservations SET status = 'committed'", TAKEN),
    "deleted": ("DELETE FROM inventory_reservations", TAKEN),
}


@pytest.mark.parametrize("hot", [True, False], ids=["on its page", "with new entries in indexes"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_changes_between_snapshot_and_lock(
    db: Database, way: Way, change: str, hot: bool
) -> None:
    """It is judged by its newest version, or left with its reservation, and the others go. Only a bulk
    release of reservations of several rows may have to leave all of them."""
    if not hot:
        db.conn.execute("CREATE INDEX ON inventory_reservations (updated_at)")
    moved, *others = reserve(db, way)
    release = way.releases(db)
    with between_snapshot_and_lock(db, way, release) as other:
        row, counter = CHANGES[change]
        other.execute(f"{row} WHERE id = %s AND quantity = 1", (moved,))
        if counter:
            other.execute(counter)
    went = released(db)
    if way.by_places or way.rows == 1:
        assert went >= set(others)
    else:
        assert went >= set(others) or not went
    after = statuses(db, moved)
    if change == "moved":
        assert len(after) == 1
    elif change == "extended":
        assert after == {"active"}
    elif change == "committed":
        assert "committed" in after
    else:
        assert "released" not in after or way.rows == 2
    shop.check_stock_adds_up(db)
    if way.by_places and way.rows == 2:
        assert "released" not in after


def test_units_are_those_of_the_row_when_it_was_locked(db: Database, way: Way) -> None:
    (id,) = reserve(db, way, n=1)
    release = way.releases(db)
    with between_snapshot_and_lock(db, way, release) as other:
        other.execute("UPDATE inventory_reservations SET quantity = 3 WHERE quantity = 1")
        counter = other.execute(
            "UPDATE inventory SET reserved_stock = reserved_stock + 2,"
            " available_stock = available_stock - 2 WHERE product_id IN"
            " (SELECT product_id FROM inventory_reservations WHERE quantity = 3)"
        )
        assert counter.rowcount == 1
    assert len(statuses(db, id)) == 1
    shop.check_stock_adds_up(db)


# What the catalog did not say when the statement was made.
DOUBTS = {
    "a trigger": (
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
        " CREATE TRIGGER keep BEFORE UPDATE ON inventory_reservations FOR EACH ROW"
        " EXECUTE FUNCTION keep()"
    ),
    "a trigger of the counters": (
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;"
        " CREATE TRIGGER keep BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION keep()"
    ),
    "two counters of a product": (
        "ALTER TABLE inventory DROP CONSTRAINT inventory_pkey CASCADE;"
        " INSERT INTO inventory SELECT * FROM inventory"
    ),
    "a counter that is NULL": (
        "ALTER TABLE inventory ALTER reserved_stock DROP NOT NULL;"
        " UPDATE inventory SET reserved_stock = NULL"
    ),
    "a fraction": (
        "ALTER TABLE inventory_reservations ALTER quantity TYPE numeric;"
        " ALTER TABLE inventory DROP CONSTRAINT inventory_stock_adds_up;"
        " UPDATE inventory_reservations SET quantity = 0.5"
    ),
}


# A partition's key keeps its type.
DOUBTED = [
    pytest.param(way, doubt, id=f"{way.name}-{doubt}")
    for way in WAYS
    for doubt in DOUBTS
    if "PARTITION" not in way.tables or doubt != "a fraction"
]


@pytest.mark.parametrize(("way", "doubt"), DOUBTED, indirect=["way"])
def test_what_the_statement_was_not_made_for_fails_it(db: Database, way: Way, doubt: str) -> None:
    reserve(db, way)
    db.conn.execute(DOUBTS[doubt])  # type: ignore[arg-type]
    prepare_again(db, way)
    before = db.query("SELECT * FROM inventory ORDER BY 1")
    with pytest.raises(psycopg.errors.DivisionByZero):
        way.releases(db)()
    assert shop.statuses(db) == {"active": 3 * way.rows}
    assert db.query("SELECT * FROM inventory ORDER BY 1") == before


def test_an_id_that_may_have_several_rows_by_now(db: Database, run: Run) -> None:
    """The index that promised one row is dropped: the bulk release does not look at the others."""
    for made in (Way("bulk", ONE_ROW, rows=1), Way("by places")):
        made.prepare(db, run)
    apple, pear = shop.add_products(db, 2)
    db.conn.execute("DROP INDEX one_row")
    id = shop.reserve(db, {apple: 1, pear: 2}, ttl_s=-1)
    db.conn.execute(
        "UPDATE inventory_reservations SET expires_at = now() + interval '1 hour' WHERE quantity = 2"
    )
    with pytest.raises(psycopg.errors.DivisionByZero):
        release_in_bulk(db, id, counters_ms=2000, others_ms=2000)
    assert shop.statuses(db) == {"active": 2}
    with contextlib.suppress(psycopg.errors.DivisionByZero):
        assert release_by_places(db, places(db)) == set()
    assert shop.statuses(db) == {"active": 2}


def test_places_repeat_in_partitions_and_children(db: Database, run: Run) -> None:
    """Only what was asked for is released, though others that are due lie at the same places."""
    Way("bulk", PARTITIONS).prepare(db, run)
    apple, pear = shop.add_products(db, 2)
    asked = shop.reserve(db, {apple: 1}, ttl_s=-1)
    other = shop.reserve(db, {pear: 2}, ttl_s=-1)
    assert len({place for _, place in places(db)}) == 1
    release_in_bulk(db, asked, counters_ms=2000, others_ms=2000)
    assert (statuses(db, asked), statuses(db, other)) == ({"released"}, {"active"})


@pytest.mark.parametrize("by_places", [False, True], ids=["bulk", "by places"])
def test_a_child_that_the_catalog_did_not_know(db: Database, run: Run, by_places: bool) -> None:
    way = Way("by places" if by_places else "bulk")
    way.prepare(db, run)
    apple, pear = shop.add_products(db, 2)
    db.conn.execute("CREATE TABLE child () INHERITS (inventory_reservations)")
    asked = shop.reserve(db, {apple: 1}, ttl_s=-1)
    seen = places(db)
    other = shop.reserve(db, {pear: 2}, ttl_s=-1)
    db.conn.execute(
        "WITH gone AS (DELETE FROM inventory_reservations WHERE id = %s RETURNING *)"
        " INSERT INTO child SELECT * FROM gone", (other,)
    )  # fmt: skip
    if by_places:
        assert release_by_places(db, seen) == {asked}
    else:
        release_in_bulk(db, asked, counters_ms=2000, others_ms=2000)
    assert (statuses(db, asked), statuses(db, other)) == ({"released"}, {"active"})


# In a page of a pass Postgres has spelled them.
BULK = [way for way in WAYS if not way.by_places]


@pytest.mark.parametrize("way", BULK, indirect=True, ids=lambda way: way.name)
def test_two_spellings_of_one_id_release_it_once(db: Database, way: Way) -> None:
    first, second = reserve(db, way, n=2)
    db.conn.execute("SET statement_timeout = '10s'")
    answer = db.query(
        f"EXECUTE release ('{{{first},{first.upper()},{second}}}', '2s', '2s')"  # type: ignore[arg-type]
    )
    assert sorted(row[0] for row in answer) == [1] * way.rows + [3] * way.rows
    assert released(db) == {first, second}
    shop.check_stock_adds_up(db)


def beside(db: Database, way: Way) -> Database:
    """The same database over another connection, with the same statement prepared."""
    other = Database(db.server, db.name, db.connect())
    name = "by_places" if way.by_places else "release"
    other.conn.execute(
        str(db.value("SELECT statement FROM pg_prepared_statements WHERE name = %s", (name,)))
    )
    return other


def test_releases_side_by_side_do_not_deadlock(db: Database, way: Way) -> None:
    """They have all their counters in common, each in an order of its own."""
    products = shop.add_products(db, 300, stock=1000)
    with contextlib.closing(beside(db, way).conn) as conn, ThreadPoolExecutor(2) as pool:
        other = Database(db.server, db.name, conn)
        for _ in range(5):
            shop.bulk_reserve(db, 900, products)
            seen = places(db)
            halves = [(db, seen[::2]), (other, seen[1::2])]

            def release(half: tuple[Database, list[tuple[str, str]]]) -> None:
                where, rows = half
                if way.by_places:
                    release_by_places(where, rows, counters_ms=5000, others_ms=5000)
                else:
                    ids = [id for id, _ in rows]
                    release_in_bulk(where, *ids, counters_ms=5000, others_ms=5000)

            list(pool.map(release, halves))
            shop.check_stock_adds_up(db)
    assert shop.statuses(db) == {"released": 4500}
