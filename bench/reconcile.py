"""--reconcile of a million active reservations, beside the least that anybody could do: one COPY of
the rows, and a pipelined ZADD or ZRANGE of as many entries."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterable

from bed import CLEAN, PENDING, Bed
from data import Data
from harness.database import Database
from harness.sweeper import Sweeper
from measure import peak_kb
from runner import Figures, Measurement, Target

N, N_QUICK = 1_000_000, 100_000
CHUNK = 1000
PLAIN, RECONCILE = "COPY, ZADD, ZRANGE", "--reconcile, look-ahead off"
ROWS = "SELECT id, expires_at FROM inventory_reservations WHERE status = 'active'"


def reservations(quick: bool) -> Data:
    return Data(N_QUICK if quick else N, "now() + interval '1 day' + i * interval '1 ms'")


def copy_s(bed: Bed, db: Database) -> float:
    begin = time.perf_counter()
    subprocess.run(
        [bed.pg.bin / "psql", "-X", "-d", db.dsn, "-c", f"COPY ({ROWS}) TO STDOUT"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=CLEAN,
    )
    return time.perf_counter() - begin


def command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def pipeline_s(bed: Bed, commands: Iterable[bytes], answers: int, mark: bytes) -> float:
    """Sends all commands without waiting; ends when the mark was read so many times."""
    blocks = list(commands)
    with socket.create_connection(("127.0.0.1", bed.redis.port)) as conn:
        begin = time.perf_counter()
        sender = threading.Thread(target=lambda: [conn.sendall(block) for block in blocks])
        sender.start()
        while answers > 0:
            answers -= conn.recv(1 << 20).count(mark)
        took = time.perf_counter() - begin
        sender.join()
    return took


def entries(db: Database) -> list[list[bytes]]:
    """Words for ZADD, CHUNK entries each."""
    rows = db.query(
        "SELECT ceil(extract(epoch FROM expires_at) * 1000)::bigint::text, id::text"
        " FROM inventory_reservations WHERE status = 'active'"
    )
    words = [word.encode() for row in rows for word in row]
    return [words[at : at + 2 * CHUNK] for at in range(0, len(words), 2 * CHUNK)]


def plain(bed: Bed, quick: bool) -> Figures:
    with bed.copy(reservations(quick)) as db:
        chunks = entries(db)
        zadds = [command(b"ZADD", b"plain", *chunk) for chunk in chunks]
        zranges = [
            command(b"ZRANGE", b"plain", b"%d" % at, b"%d" % (at + CHUNK - 1), b"WITHSCORES")
            for at in range(0, reservations(quick).n, CHUNK)
        ]
        return {
            "COPY, s": copy_s(bed, db),
            "ZADD, s": pipeline_s(bed, zadds, len(zadds), b":"),
            "ZRANGE, s": pipeline_s(bed, zranges, 2 * reservations(quick).n, b"$"),
        }


def reconcile(bed: Bed, db: Database, missing: int) -> Figures:
    begin = time.perf_counter()
    run = Sweeper("--reconcile", "--lookahead", "off", dsn=db.dsn, redis_url=bed.redis.url())
    peak = 0
    while run.running:
        peak = max(peak, peak_kb(run.pid))
        time.sleep(0.01)
    status = run.wait()
    record = run.wait_for_record("Reconciliation completed", 1)
    assert (status, record["mirrorMissing"]) == (0, missing), run.tail()
    return {"s": time.perf_counter() - begin, "MB": peak / 1024}


def both(bed: Bed, quick: bool) -> Figures:
    n = reservations(quick).n
    with bed.copy(reservations(quick)) as db, bed.redis.client() as client:
        mirrored = reconcile(bed, db, n)
        assert client.zcard(PENDING) == n
        verified = reconcile(bed, db, 0)
    return {
        "mirrored, s": mirrored["s"],
        "verified, s": verified["s"],
        "its peak, MB": max(mirrored["MB"], verified["MB"]),
    }


RECONCILIATION = Measurement(
    name="reconcile",
    title="A million active reservations, Redis empty, then right (--quick: 100,000)",
    variants={PLAIN: plain, RECONCILE: both},
    targets=[
        Target(
            "mirrored, times COPY and ZADD",
            lambda m: m[RECONCILE]["mirrored, s"] / (m[PLAIN]["COPY, s"] + m[PLAIN]["ZADD, s"]),
            3.0,
        ),
        Target(
            "verified, times COPY and ZRANGE",
            lambda m: m[RECONCILE]["verified, s"] / (m[PLAIN]["COPY, s"] + m[PLAIN]["ZRANGE, s"]),
            3.0,
        ),
        Target("its peak, MB", lambda m: m[RECONCILE]["its peak, MB"], 64.0),
    ],
)
