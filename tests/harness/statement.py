"""The release statement as the sweeper really sends it, for tests of the statement alone."""

from __future__ import annotations

import re
from typing import Any

from psycopg.rows import namedtuple_row

from . import shop
from .database import Database
from .sweeper import run_once

# A record of the server's log goes on in lines that begin with a tab.
SENT = re.compile(r"execute <unnamed>: (\s*WITH seen .*?)\n\d{4}-", re.DOTALL)


def prepare_release(db: Database) -> None:
    """Makes db.conn's prepared statement `release`, of an array of ids in text form."""
    db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
    seen = db.server.log_file.stat().st_size
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    done = run_once("--once", dsn=db.dsn, redis_url="redis://127.0.0.1:1")
    assert done.status == 0, done.stderr
    db.conn.execute(f"ALTER DATABASE {db.name} RESET log_statement")
    with open(db.server.log_file, encoding="utf-8", errors="replace") as log:
        log.seek(seen)
        found = SENT.search(log.read())
    assert found, "the release is in the server's log"
    db.conn.execute(f"PREPARE release AS {found[1]}")


def release(db: Database, *ids: str) -> list[str]:
    """What became of each of the asked ids' rows, in the order of the ids."""
    array = "{" + ",".join(f'"{id}"' for id in ids) + "}"
    answer = db.conn.cursor(row_factory=namedtuple_row).execute(f"EXECUTE release ('{array}')")
    return [outcome(row) for row in sorted(answer, key=lambda row: row.n)]


def outcome(row: Any) -> str:
    if row.units is not None:
        return "released"
    if not row.found:
        return "missing"
    if row.active_rows == 0:
        return "settled"
    return "locked" if row.due else "not due"
