"""Faults of the database's own making, for the torture: tables that are migrated, rows that row
security hides, triggers that swallow an update or meet a foreign lock, expiries that come and go.

What a fault may make late is said in `afflicted`: all other reservations must go on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis as redis_py
from bed import Bed
from trade import AUDIT_TRIGGER, patiently

ROLE = "sweeper"
FAR = 20  # holds that last for hours, whatever Redis says of them

# The role is what docs/INTEGRATION.md asks for, no owner; its sessions are not in UTC. Expiries may be NULL.
SET_UP = """
    ALTER TABLE inventory_reservations ALTER expires_at DROP NOT NULL;
    CREATE TABLE shelf (product_id uuid PRIMARY KEY, released integer NOT NULL DEFAULT 0);
    INSERT INTO shelf (product_id) SELECT product_id FROM inventory;
    CREATE FUNCTION count_on_shelf() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
        UPDATE shelf SET released = released + 1 WHERE product_id = NEW.product_id;
        RETURN NULL;
    END$$;
    CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        RETURN CASE WHEN current_user = '{role}' THEN NULL ELSE NEW END;
    END$$;
"""

# One way and the other, in turn. In UTC, as the program reads times without a zone.
MIGRATIONS = (
    [
        f"ALTER TABLE inventory_reservations ALTER expires_at TYPE {kind}"
        " USING expires_at AT TIME ZONE 'UTC'"
        for kind in ("timestamp", "timestamptz")
    ],
    [
        f"ALTER TABLE inventory_reservations ALTER quantity TYPE {kind}"
        for kind in ("bigint", "integer")
    ],
    [
        f"ALTER TABLE inventory ALTER available_stock TYPE {kind}, ALTER reserved_stock TYPE {kind},"
        f" ALTER total_stock TYPE {kind}"
        for kind in ("bigint", "integer")
    ],
    [
        "DROP TRIGGER audit ON inventory_reservations;"
        f" ALTER TABLE inventory_reservations ALTER status TYPE {kind}; {AUDIT_TRIGGER}"
        for kind in ("varchar(20)", "text")
    ],
)
# Another table in the place of the one that the statements were made for.
REPLACEMENT = (
    "CREATE TABLE fresh (LIKE inventory_reservations INCLUDING ALL)",
    "INSERT INTO fresh SELECT * FROM inventory_reservations",
    "DROP TABLE inventory_reservations",
    "ALTER TABLE fresh RENAME TO inventory_reservations",
    f"GRANT SELECT, UPDATE ON inventory_reservations TO {ROLE}",
    AUDIT_TRIGGER,
)


class SchemaFaults:
    dice: random.Random
    bed: Bed

    def prepare(self) -> None:
        conn = self.bed.db.conn
        self.password = self.bed.pg.password
        conn.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{self.password}'")
        conn.execute(f"ALTER ROLE {ROLE} SET timezone = 'America/New_York'")
        self.bed.trade.grant(self.bed.db, ROLE)
        if "foreign_lock" not in self.bed.trade.unfit:
            conn.execute(SET_UP.format(role=ROLE))  # type: ignore[arg-type]
        self.turns = [0] * len(MIGRATIONS)
        products = self.bed.products
        self.far = [
            self.bed.trade.reserve(self.bed.db, [products[i % len(products)]], 540 * (1 + i))
            for i in range(FAR)
        ]
        self.afflicted: list[str] = []

    @property
    def sweepers_dsn(self) -> str:
        db = self.bed.db
        return f"postgresql://{ROLE}:{self.password}@127.0.0.1:{self.bed.pg.port}/{db.name}"

    def point_at_the_far(self) -> None:
        """Redis says that they are due, as a careless API might."""
        now_ms = int(time.time() * 1000)
        try:
            self.bed.redis.zadd(self.bed.trade.key("pending"), dict.fromkeys(self.far, now_ms))
        except redis_py.RedisError:
            pass  # it is being hurt

    def _change(self, *statements: str) -> None:
        """As a migration tool does it: not for long in the way of others, and again."""

        def change() -> None:
            with self.bed.db.conn.transaction():
                self.bed.db.conn.execute("SET LOCAL lock_timeout = '250ms'")
                for statement in statements:
                    self.bed.db.conn.execute(statement)  # type: ignore[arg-type]

        patiently(change)

    def _some(self, most: int) -> list[str]:
        return self.dice.sample(self.bed.products, self.dice.randint(1, most))

    # ---- migrations -------------------------------------------------------------------------------

    @contextmanager
    def table_migrated(self) -> Iterator[None]:
        """It stays so until its next turn."""
        which = self.dice.randrange(len(MIGRATIONS))
        self._change(MIGRATIONS[which][self.turns[which] % 2])
        self.turns[which] += 1
        yield

    @contextmanager
    def expiry_migrated(self) -> Iterator[None]:
        """Twice within a moment: there and back."""
        for _ in range(2):
            self._change(MIGRATIONS[0][self.turns[0] % 2])
            self.turns[0] += 1
            time.sleep(self.dice.choice((0, 0.3)) * self.dice.random())
        yield

    @contextmanager
    def table_replaced(self) -> Iterator[None]:
        self._change("LOCK TABLE inventory_reservations", *REPLACEMENT)
        yield

    # ---- what the role is shown, and what becomes of its updates ----------------------------------

    @contextmanager
    def row_security(self) -> Iterator[None]:
        """No policy for the role, or one that shows it a part."""
        table, shown = self.dice.choice(
            (
                ("inventory", "false"),
                ("inventory", "product_id::text > '8'"),
                ("inventory_reservations", "false"),
            )
        )
        self.afflicted = [one for one in self.bed.products if shown == "false" or one <= "8"]
        self._change(
            f"CREATE POLICY shown ON {table} USING ({shown})",
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        )
        yield
        self._change(
            f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", f"DROP POLICY shown ON {table}"
        )

    @contextmanager
    def update_swallowed(self) -> Iterator[None]:
        """A counter's update does nothing, and says nothing."""
        self.afflicted = self._some(3)
        listed = ", ".join(f"'{product}'" for product in self.afflicted)
        self._change(
            "CREATE TRIGGER swallow BEFORE UPDATE ON inventory FOR EACH ROW"
            f" WHEN (NEW.product_id IN ({listed})) EXECUTE FUNCTION swallow()"
        )
        yield
        self._change("DROP TRIGGER swallow ON inventory")

    @contextmanager
    def foreign_lock(self) -> Iterator[None]:
        """A trigger of the shop's updates rows, some of which somebody holds."""
        self.afflicted = self._some(3)
        with self.bed.db.connect() as conn, conn.transaction():
            conn.execute(
                "SELECT FROM shelf WHERE product_id = ANY (%s::uuid[]) FOR UPDATE",
                (self.afflicted,),
            )
            self._change(
                "CREATE TRIGGER count_on_shelf AFTER UPDATE ON inventory_reservations FOR EACH ROW"
                " WHEN (NEW.status = 'released') EXECUTE FUNCTION count_on_shelf()"
            )
            time.sleep(self.dice.choice((0, 1, 2)) * self.dice.random())
            yield
        self._change("DROP TRIGGER count_on_shelf ON inventory_reservations")

    # ---- expiries ---------------------------------------------------------------------------------

    def _expiry_changes(self, to: str) -> Iterator[None]:
        """Moved back to this moment later."""
        ids = patiently(lambda: self.bed.trade.move_expiries(self.bed.db, to))
        try:
            if ids:
                due = dict.fromkeys(ids, int(time.time() * 1000))
                self.bed.redis.zadd(self.bed.trade.key("pending"), due)
        except redis_py.RedisError:
            pass
        yield
        patiently(lambda: self.bed.trade.expire_now(self.bed.db, ids))

    @contextmanager
    def expiry_taken_away(self) -> Iterator[None]:
        yield from self._expiry_changes("NULL")

    @contextmanager
    def expiry_far_away(self) -> Iterator[None]:
        yield from self._expiry_changes("now() + interval '3 hours'")

    SCHEMA_FAULTS: tuple[tuple[Callable[[SchemaFaults], object], int], ...] = (
        (table_migrated, 6),
        (expiry_migrated, 2),
        (table_replaced, 2),
        (row_security, 5),
        (update_swallowed, 3),
        (foreign_lock, 5),
        (expiry_taken_away, 3),
        (expiry_far_away, 3),
    )
    # Beside these, what they do not afflict goes on, on time.
    OTHERS_GO_ON = (row_security, update_swallowed, foreign_lock)
