"""A standby of a Postgres, for as long as a test needs it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .servers import Postgres


@contextmanager
def standby_of(pg: Postgres) -> Iterator[Postgres]:
    """A standby that follows the server, of its own port and folder."""
    folder = Path(tempfile.mkdtemp(prefix="rs-standby-"))
    standby = Postgres(folder, fsync=False, hot_standby="on")
    standby.password = pg.password
    subprocess.run(
        [pg.bin / "pg_basebackup", "-D", folder / "data", "-R", "--checkpoint=fast"]
        + ["-X", "stream", "-d", pg.dsn("postgres")],
        check=True,
        cwd=folder,
        **standby._as_account(),  # type: ignore[call-overload]
    )
    try:
        standby.start()
        yield standby
    finally:
        standby.close()
        shutil.rmtree(folder, ignore_errors=True)
