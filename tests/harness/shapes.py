"""Shops of other shapes than the default: their tables, the file of their queue, and what a test does
with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import namedtuple_row

from .database import Database
from .statement import id_array, outcome, prepare_sent
from .sweeper import Finished, Run

NO_REDIS = ("--redis-url", "redis://127.0.0.1:1")


@dataclass(frozen=True)
class Shape:
    """A shop's tables, and the file of its queue `shop`. The tables come with four things of the test's:
    hold(id, key, units, seconds) makes a row that expires so long from now (negative: ago), with its
    units taken from the counter; the views holds_seen(id, active) and counters_seen(key, free, held)
    show what became of them; lock_key(key) is a condition of a counter's row.
    """

    name: str
    tables: str
    file: str
    holds: str  # the table
    expires: str  # its times: SET expires_at = ... a minute from now
    settled: str  # what a checkout sets: the row is active no more
    counter: str = ""  # the counters, "stocks WHERE id = {}"
    several: bool = True  # an id may have several rows
    free: bool = False
    held: bool = False
    units: bool = True  # else a row is one
    deletes: bool = False
    keys: int = 1

    def key(self, n: int) -> str:
        """The text of a key."""
        return ",".join([str(n), f"w{n % 2}", *(str(n * 10 + i) for i in range(2, self.keys))][: self.keys])


WAREHOUSE = Shape(
    "two columns of a key, held only, no zone",
    """
    CREATE TABLE stocks (variant_id bigint, warehouse text, on_hand integer NOT NULL DEFAULT 100,
        quantity_reserved integer NOT NULL DEFAULT 0 CHECK (quantity_reserved >= 0), touched timestamptz,
        PRIMARY KEY (variant_id, warehouse));
    CREATE TABLE holds (row_id bigserial PRIMARY KEY, order_id bigint NOT NULL, variant_id bigint,
        warehouse text, reserved_quantity integer NOT NULL,
        reservation_status text NOT NULL DEFAULT 'active', expires_at timestamp NOT NULL, note text);
    CREATE INDEX ON holds (order_id);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO holds (order_id, variant_id, warehouse, reserved_quantity, expires_at)
        VALUES (id, key, 'w' || key % 2, units, (now() + s * interval '1 s') AT TIME ZONE 'UTC');
        UPDATE stocks SET quantity_reserved = quantity_reserved + units
         WHERE variant_id = key AND warehouse <> 'elsewhere' $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$
        INSERT INTO stocks (variant_id, warehouse) VALUES (key, 'w' || key % 2), (key, 'elsewhere') $$;
    CREATE VIEW holds_seen AS SELECT order_id AS id, reservation_status = 'active' AS active FROM holds;
    CREATE VIEW counters_seen AS
        SELECT variant_id AS key, NULL::numeric AS free, quantity_reserved AS held FROM stocks
         WHERE warehouse <> 'elsewhere';
    """,
    """
shop:
  table: holds
  id: order_id
  quantity: reserved_quantity
  active: |
    reservation_status = 'active'
  released: reservation_status = 'expired', note = note
  stock:
    table: stocks
    key: {variant_id: variant_id, warehouse: warehouse}
    held: quantity_reserved
    set: touched = now()
""",
    'holds',
    "expires_at = now() AT TIME ZONE 'UTC' + interval '1 min'",
    "reservation_status = 'sold'",
    'stocks WHERE variant_id = {}',
    held=True,
    keys=2,
)

EIGHT = Shape(
    "eight columns of a key, free and held",
    """
    CREATE TABLE stocks (k1 int, k2 text, k3 int, k4 bigint, k5 numeric, k6 varchar(9), k7 int, k8 smallint,
        free integer NOT NULL DEFAULT 100, held integer NOT NULL DEFAULT 0,
        PRIMARY KEY (k1, k2, k3, k4, k5, k6, k7, k8));
    CREATE TABLE holds (id text NOT NULL, a1 int, a2 text, a3 int, a4 int, a5 int, a6 text, a7 bigint,
        a8 smallint, quantity integer NOT NULL, status text NOT NULL DEFAULT 'active',
        expires_at timestamptz, note text);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO holds VALUES (id, key, 'w' || key % 2, key * 10 + 2, key * 10 + 3, key * 10 + 4,
            key * 10 + 5, key * 10 + 6, key * 10 + 7, units, 'active', now() + s * interval '1 s');
        UPDATE stocks SET held = held + units, free = free - units WHERE k1 = key $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$
        INSERT INTO stocks VALUES (key, 'w' || key % 2, key * 10 + 2, key * 10 + 3, key * 10 + 4,
            key * 10 + 5, key * 10 + 6, key * 10 + 7) $$;
    CREATE VIEW holds_seen AS SELECT id, status = 'active' AS active FROM holds;
    CREATE VIEW counters_seen AS SELECT k1 AS key, free, held FROM stocks;
    """,
    """
shop:
  table: holds
  quantity: quantity
  active: status = 'active'
  released: status = 'released', expires_at = NULL
  stock:
    table: stocks
    key: {a1: k1, a2: k2, a3: k3, a4: k4, a5: k5, a6: k6, a7: k7, a8: k8}
    free: free
    held: held
""",
    'holds',
    "expires_at = now() + interval '1 min'",
    "status = 'sold'",
    'stocks WHERE k1 = {}',
    free=True,
    held=True,
    keys=8,
)

RAFFLE = Shape(
    "no counters, the row is the seat, names in capitals",
    """
    CREATE TYPE "State" AS ENUM ('AVAILABLE', 'RESERVED', 'SOLD');
    CREATE TABLE "Ticket" (id integer PRIMARY KEY, state "State" NOT NULL DEFAULT 'AVAILABLE',
        "reservedUntil" timestamptz, "reservedBy" text, note text);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO "Ticket" VALUES (id, 'RESERVED', now() + s * interval '1 s', 'ann') $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$ SELECT $$;
    CREATE VIEW holds_seen AS SELECT id, state = 'RESERVED' AS active FROM "Ticket";
    CREATE VIEW counters_seen AS SELECT 0 AS key, NULL::numeric AS free, NULL::numeric AS held WHERE false;
    """,
    """
shop:
  table: Ticket
  expires_at: reservedUntil
  active: state = 'RESERVED'
  released: state = 'AVAILABLE', "reservedUntil" = NULL, "reservedBy" = NULL
""",
    '"Ticket"',
    '"reservedUntil" = now() + interval \'1 min\'',
    "state = 'SOLD'",
    several=False,
    units=False,
)

SPREE = Shape(
    "deleted, no counters",
    """
    CREATE TABLE orders (id bigint PRIMARY KEY);
    CREATE TABLE holds (row_id bigserial PRIMARY KEY, order_id bigint NOT NULL, quantity integer NOT NULL,
        expires_at timestamptz NOT NULL, note text);
    CREATE INDEX ON holds (order_id);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO holds (order_id, quantity, expires_at)
        VALUES (id, units, now() + s * interval '1 s') $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$ SELECT $$;
    CREATE VIEW holds_seen AS SELECT order_id AS id, true AS active FROM holds;
    CREATE VIEW counters_seen AS SELECT 0 AS key, NULL::numeric AS free, NULL::numeric AS held WHERE false;
    """,
    """
shop:
  table: holds
  id: order_id
  quantity: quantity
  active: 'true'
  released: delete
""",
    'holds',
    "expires_at = now() + interval '1 min'",
    '',
    deletes=True,
)

CREDITS = Shape(
    "deleted, free only, fractions, a time to live",
    """
    CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (account integer PRIMARY KEY, credit numeric(12,3) NOT NULL DEFAULT 100);
    CREATE TABLE bank.holds (id uuid NOT NULL, account integer, amount numeric(12,3) NOT NULL,
        created_at timestamptz NOT NULL, kind text NOT NULL DEFAULT 'hold', note text);
    CREATE INDEX ON bank.holds (id);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO bank.holds VALUES (lpad(id::text, 32, '0')::uuid, key, units + 0.125,
            now() - interval '15 min' + s * interval '1 s');
        UPDATE bank.accounts SET credit = credit - units - 0.125 WHERE account = key $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$
        INSERT INTO bank.accounts VALUES (key) $$;
    CREATE VIEW holds_seen AS SELECT ltrim(replace(id::text, '-', ''), '0') AS id, kind = 'hold' AS active
        FROM bank.holds;
    CREATE VIEW counters_seen AS SELECT account AS key, credit AS free, NULL::numeric AS held
        FROM bank.accounts;
    """,
    """
shop:
  table: bank.holds
  expires_at: created_at
  after: 15m
  quantity: amount
  active: kind = 'hold'
  released: delete
  stock:
    table: bank.accounts
    key: {account: account}
    free: credit
""",
    'bank.holds',
    'created_at = now()',
    "kind = 'paid'",
    'bank.accounts WHERE account = {}',
    free=True,
    deletes=True,
)

EPOCH = Shape(
    "times as numbers, a row is a unit, free and held",
    """
    CREATE TABLE stocks (sku varchar(10) PRIMARY KEY, free bigint NOT NULL DEFAULT 100,
        held bigint NOT NULL DEFAULT 0);
    CREATE TABLE holds (id smallint NOT NULL, sku varchar(10), until bigint, gone boolean, note text);
    CREATE INDEX ON holds (id);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO holds VALUES (id, key, floor((extract(epoch FROM now()) + s) * 1000));
        UPDATE stocks SET held = held + 1, free = free - 1 WHERE sku = key::text $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$
        INSERT INTO stocks VALUES (key::text) $$;
    CREATE VIEW holds_seen AS SELECT id, gone IS NULL AS active FROM holds;
    CREATE VIEW counters_seen AS SELECT sku::int AS key, free, held FROM stocks;
    """,
    """
shop:
  table: holds
  expires_at: until
  expires_unit: ms
  active: gone IS NULL
  released: gone = true
  stock:
    table: stocks
    key: {sku: sku}
    free: free
    held: held
""",
    'holds',
    'until = 253402300799999',
    'gone = false',
    "stocks WHERE sku = '{}'",
    free=True,
    held=True,
    units=False,
)

# With `key` and `free` for names of its own, which are no words of this program's.
DEFAULT_LIKE = Shape(
    "one key, free and held, a zone whose clocks change",
    """
    CREATE TABLE "counter" (n integer PRIMARY KEY, free integer NOT NULL DEFAULT 100,
        held integer NOT NULL DEFAULT 0, total integer NOT NULL DEFAULT 100, units integer,
        CHECK (free + held = total));
    CREATE TABLE holds (id bigint NOT NULL, n integer, units integer NOT NULL, active boolean NOT NULL,
        place text, due timestamp, note text);
    CREATE INDEX ON holds (id);
    CREATE FUNCTION hold(id int, key int, units int, s float8) RETURNS void LANGUAGE sql AS $$
        INSERT INTO holds VALUES (id, key, units, true, 'here',
            (now() + s * interval '1 s') AT TIME ZONE 'Europe/Berlin');
        UPDATE "counter" SET held = held + hold.units, free = free - hold.units WHERE n = key $$;
    CREATE FUNCTION counter(key int) RETURNS void LANGUAGE sql AS $$
        INSERT INTO "counter" VALUES (key) $$;
    CREATE VIEW holds_seen AS SELECT id, active FROM holds;
    CREATE VIEW counters_seen AS SELECT n AS key, free, held FROM "counter";
    """,
    """
shop:
  table: holds
  expires_at: due
  time_zone: Europe/Berlin
  quantity: units
  active: active AND n IS NOT NULL AND units > 0 AND place = 'here'
  released: active = false, place = NULL
  stock:
    table: counter
    key: {n: n}
    free: free
    held: held
    total: total
    set: units = n
""",
    'holds',
    "due = now() AT TIME ZONE 'Europe/Berlin' + interval '1 min'",
    'active = false',
    '"counter" WHERE n = {}',
    free=True,
    held=True,
)

SHAPES = [WAREHOUSE, EIGHT, RAFFLE, SPREE, CREDITS, EPOCH, DEFAULT_LIKE]
COUNTED = [shape for shape in SHAPES if shape.counter]
UPDATED = [shape for shape in SHAPES if not shape.deletes]


def name(shape: Shape) -> str:
    return shape.name


def last_row(shape: Shape) -> str:
    """A condition: the row that was made last."""
    return f"ctid = (SELECT ctid FROM {shape.holds} ORDER BY ctid DESC LIMIT 1)"


class Shop:
    """A shape's tables in a database, its file, and its statement prepared on db.conn."""

    def __init__(self, db: Database, shape: Shape, folder: Path, run: Run) -> None:
        self.db, self.shape, self.run = db, shape, run
        self.file = folder / "queues.yaml"
        self.write(shape.file)
        db.conn.execute(shape.tables)  # type: ignore[arg-type]

    def write(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    def counters(self, *keys: int) -> None:
        for key in keys:
            self.db.conn.execute("SELECT counter(%s)", (key,))

    def hold(self, id: int, key: int = 1, units: int = 1, s: float = -1) -> None:
        self.db.conn.execute("SELECT hold(%s, %s, %s, %s)", (id, key, units, s))

    def once(self, **options: object) -> Finished:
        return self.run("--once", "--queues", str(self.file), **options)

    def active(self) -> dict[int, int]:
        """How many active rows there are of each id that has some."""
        rows = "SELECT id::text::int, count(*) FROM holds_seen WHERE active GROUP BY 1"
        return dict(self.db.query(rows))

    def given_back(self, *keys: int) -> None:
        """The counters of these, or of all, are as they were at first."""
        wrong = self.db.query(
            "SELECT * FROM counters_seen WHERE (free <> 100 OR held <> 0)"
            + (f" AND key::text = ANY ('{{{','.join(map(str, keys))}}}')" if keys else "")
        )
        assert not wrong

    def prepare(self) -> None:
        """The careful release."""
        self.counters(99)
        self.hold(99, 99)
        prepare_sent(self.db, "release", r"WITH rs\$seen AS", "--once", *NO_REDIS, "--queues", str(self.file))

    def spelled(self, id: int) -> str:
        return f"{id:032d}" if "uuid" in self.shape.tables else str(id)

    def answer(self, *ids: int | str) -> list[tuple]:
        texts = tuple(id if isinstance(id, str) else self.spelled(id) for id in ids)
        rows = self.db.conn.cursor(row_factory=namedtuple_row).execute(
            f"EXECUTE release ('{id_array(texts)}')"  # type: ignore[arg-type]
        )
        return sorted(rows, key=lambda row: row.n)

    def release(self, *ids: int | str) -> list[str]:
        """What became of each of the asked ids' rows, in the order of the ids."""
        return [outcome(row) for row in self.answer(*ids)]
