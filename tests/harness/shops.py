"""The shops of examples/shops: a database with one of them, filled, and what must become of it.

What a test knows of a shop is in tests/integration/shops/NAME.sql, in sections:
fill     makes its rows from the table `wanted`, which says for each hold of what kind it is
release  what a release of everything that is due does, written for this shop by hand
left     how many reservations are due within a minute and not released
wrong    rows if the shop's books are wrong, at any moment
early    rows of what was released before it was due
new      columns whose value is made at the release, so that only its having been made is compared
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .checking import dsn_of, role_of
from .database import Database
from .servers import Postgres

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "shops"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())

# Expiries of NULL are `endless`; a shop that does not know those leaves them out. `ended` were bought
# or given back before; `later` are due tomorrow.
WANTED = """
    CREATE TEMP TABLE wanted AS
    SELECT 'due' AS kind, i, now() - i * interval '1 s' AS due FROM generate_series(1, %s) AS i
    UNION ALL
    SELECT 'soon', i, now() + interval '2 s' + i * interval '0.1 s' FROM generate_series(1, %s) AS i
    UNION ALL
    SELECT 'later', i, now() + interval '1 day' FROM generate_series(1, 5) AS i
    UNION ALL
    SELECT 'endless', i, NULL FROM generate_series(1, 8) AS i
    UNION ALL
    SELECT 'ended', i, now() - i * interval '1 hour' FROM generate_series(1, 5) AS i
"""
TABLES = """
    SELECT format('%I.%I', schemaname, tablename), tablename FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname NOT LIKE 'pg\\_temp%'
     ORDER BY 1
"""
FILLED_WITH = "2020-"  # what fill gives to the columns that a release sets

Books = dict[str, list[str]]


class Shop:
    """One example in a database of its own, and a role that has the rights of its README."""

    def __init__(self, name: str, db: Database) -> None:
        self.name = name
        self.db = db
        self.folder = EXAMPLES / name
        self.file = self.folder / "queues.yaml"
        text = (ROOT / "tests" / "integration" / "shops" / f"{name}.sql").read_text(encoding="utf-8")
        parts = re.split(r"^--@ (\w+)\n", text, flags=re.M)
        self.parts = dict(zip(parts[1::2], parts[2::2], strict=True))
        self.new = {tuple(one.split(".")) for one in self.parts["new"].split()}
        db.conn.execute((self.folder / "schema.sql").read_text(encoding="utf-8"))  # type: ignore[arg-type]

    @property
    def readme(self) -> str:
        return (self.folder / "README.md").read_text(encoding="utf-8")

    def grant(self) -> None:
        """The rights that its README names, and no others."""
        rights = re.findall(r"^```sql\n(.*?)^```", self.readme, flags=re.M | re.S)
        assert len(rights) == 1, f"{self.name}: one block of rights"
        role = role_of(self.db)
        self.db.conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pw'")  # type: ignore[arg-type]
        self.db.conn.execute(rights[0].replace("TO sweeper;", f"TO {role};"))

    def env(self) -> dict[str, str]:
        """Where its queues file and its database are."""
        named = re.search(r"^  database: (\w+)$", self.file.read_text(encoding="utf-8"), flags=re.M)
        variable = f"{named[1]}_DATABASE_URL" if named else "DATABASE_URL"
        return {"SWEEPER_QUEUES_FILE": str(self.file), variable: dsn_of(self.db)}

    def fill(self, due: int, soon: int = 5) -> None:
        """Of each of the shop's queues so many are due, and will be within three seconds."""
        self.db.conn.execute(WANTED, (due, soon))
        self.db.conn.execute(self.parts["fill"])  # type: ignore[arg-type]
        self.db.conn.execute("DROP TABLE wanted; ANALYZE")

    def left(self) -> int:
        return int(self.db.value(self.parts["left"]))  # type: ignore[call-overload]

    def check(self) -> None:
        """What holds at any moment."""
        wrong = self.db.query(self.parts["wrong"])
        assert not wrong, f"{self.name}: {wrong[:5]} ({len(wrong)})"
        early = self.db.query(self.parts["early"])
        assert not early, f"{self.name}: released early: {early[:5]} ({len(early)})"

    def books(self) -> Books:
        """Every row of every table."""
        return {
            qualified: sorted(self._row(table, row) for (row,) in self._rows(qualified))
            for qualified, table in self.db.query(TABLES)
        }

    def _rows(self, table: str) -> list[tuple]:
        return self.db.query(f"SELECT to_jsonb(t) FROM {table} AS t")

    def _row(self, table: str, row: dict[str, object]) -> str:
        for column, value in row.items():
            made = value is not None and not str(value).startswith(FILLED_WITH)
            if (table, column) in self.new and made:
                row[column] = "new"
        return str(sorted(row.items()))

    def released(self) -> Books:
        """What the books must be when everything that is due by now or soon has been released."""
        with self.db.conn.transaction(force_rollback=True):
            self.db.conn.execute(self.parts["release"])  # type: ignore[arg-type]
            return self.books()


@contextmanager
def opened(name: str, server: Postgres) -> Iterator[Shop]:
    db = Database.create(server, schema=False)
    try:
        shop = Shop(name, db)
        shop.grant()
        yield shop
    finally:
        db.drop()
        with server.connect("postgres") as conn:
            conn.execute(f"DROP ROLE IF EXISTS {role_of(db)}")  # type: ignore[arg-type]


def differences(seen: Books, wanted: Books) -> dict[str, list[str]]:
    """Rows that are there and should not be (+), or are not there and should be (-)."""
    found = {}
    for table in sorted(seen.keys() | wanted.keys()):
        have, want = seen.get(table, []), wanted.get(table, [])
        if have != want:
            odd = [f"+ {row}" for row in have if row not in set(want)]
            odd += [f"- {row}" for row in want if row not in set(have)]
            found[table] = [f"{len(have)} rows, {len(want)} wanted", *odd[:6]]
    return found
