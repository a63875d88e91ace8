"""The release statements as the sweeper really sends them, for tests of the statements alone."""

from __future__ import annotations

import re
from typing import Any

from psycopg.rows import namedtuple_row

from . import shop
from .database import Database
from .sweeper import Run, run_once

# A record of the server's log goes on in lines that begin with a tab; the parameters follow.
SENT = r"execute (?:<unnamed>|sweeper_\w+): (\s*{} .*?)\n\d{{4}}-[^\n]*?[Pp]arameters: ([^\n]*)"


def prepare_sent(db: Database, name: str, first: str, *options: str) -> dict[str, str]:
    """Runs the sweeper, and prepares on db.conn, as `name`, the statement it sent that begins so (a
    pattern). Returns the parameters that were sent with it."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
    seen = db.server.log_file.stat().st_size
    done = run_once(*options, dsn=db.dsn)
    assert done.status == 0, done.stderr
    db.conn.execute(f"ALTER DATABASE {db.name} RESET log_statement")
    with open(db.server.log_file, encoding="utf-8", errors="replace") as log:
        log.seek(seen)
        found = re.search(SENT.format(first), log.read(), re.DOTALL)
    assert found, "it is in the server's log"
    db.conn.execute(f"PREPARE {name} AS {found[1]}")
    return dict(re.findall(r"(\$\d) = '([^']*)'", found[2]))


def prepare_release(db: Database) -> None:
    """The careful release, of an array of ids in text form."""
    shop.bulk_reserve(db, 1, [shop.add_product(db)])
    prepare_sent(db, "release", r"WITH rs\$seen AS", "--once", "--redis-url", "redis://127.0.0.1:1")


def prepare_explained(db: Database, run: Run, *settings: str, by_places: bool) -> None:
    """The bulk release, or the backlog's by places, as --check-config explains it."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
    seen = db.server.log_file.stat().st_size
    run("--check-config", *settings)
    db.conn.execute(f"ALTER DATABASE {db.name} RESET log_statement")
    with open(db.server.log_file, encoding="utf-8", errors="replace") as log:
        log.seek(seen)
        texts = re.findall(r"EXPLAIN \([^)]*\) (.*?)\n\d{4}-", log.read(), re.DOTALL)
    (text,) = {one for one in texts if "alone AS" in one and ("$4" in one) == by_places}
    db.conn.execute(f"PREPARE {'by_places' if by_places else 'release'} AS {text}")


def places(db: Database, *ids: str) -> list[tuple[str, str]]:
    """The id and place of each active row of these, or of all, as a page of a pass shows them."""
    return [
        (id, place)
        for id, place in db.query(
            "SELECT id::text, ctid::text FROM inventory_reservations WHERE status = 'active'"
        )
        if not ids or id in ids
    ]


def excepted_by_places(
    db: Database, rows: list[tuple[str, str]], counters_ms: int = 2000, others_ms: int = 2000
) -> set[tuple[str, str | None]]:
    """Releases rows that a page has shown. What is said of single ids: the product that has no
    counter, or None, when it was not released."""
    ids = list(dict.fromkeys(id for id, _ in rows))
    answer = db.conn.cursor(row_factory=namedtuple_row).execute(
        f"EXECUTE by_places ('{id_array(tuple(ids))}', '{counters_ms}ms', '{others_ms}ms',"
        f" '{id_array(tuple(place for _, place in rows))}')"
    )
    return {(ids[row.n - 1], row.unheld) for row in answer if row.n > 0}


def release_by_places(
    db: Database, rows: list[tuple[str, str]], counters_ms: int = 2000, others_ms: int = 2000
) -> set[str]:
    """The same: the ids that were released."""
    said = excepted_by_places(db, rows, counters_ms, others_ms)
    return {id for id, _ in rows} - {id for id, unheld in said if unheld is None}


def id_array(ids: tuple[str, ...]) -> str:
    return "{" + ",".join(f'"{id}"' for id in ids) + "}"


def release(db: Database, *ids: str) -> list[str]:
    """What became of each of the asked ids' rows, in the order of the ids."""
    answer = db.conn.cursor(row_factory=namedtuple_row).execute(f"EXECUTE release ('{id_array(ids)}')")
    return [outcome(row) for row in sorted(answer, key=lambda row: row.n)]


def release_in_bulk(db: Database, *ids: str, counters_ms: int, others_ms: int) -> int:
    """How many rows were released; `others_ms`: the most that it waits for another release."""
    db.conn.execute("SET statement_timeout = '10s'")
    answer = db.conn.execute(
        f"EXECUTE release ('{id_array(ids)}', '{counters_ms}ms', '{others_ms}ms')"
    )
    return len(answer.fetchall())


def outcome(row: Any) -> str:
    if row.units is not None:
        return "released"
    if not row.found:
        return "missing"
    if row.active_rows == 0:
        return "settled"
    return "locked" if row.due else "not due"
