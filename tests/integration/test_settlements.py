"""Settlements that wait for the next claim, and what becomes of them when Redis does not hold still."""

from __future__ import annotations

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until, within
from harness.queue import is_empty, mirror, script_calls, until_probed
from harness.sweeper import ALONE, Start

N = 500


def reserve_one_after_the_other(db: Database, redis: redis_py.Redis, apart_ms: int) -> None:
    """N that are due so far apart, from two seconds on, and known to Redis."""
    due = f"now() + interval '2 s' + i * interval '{apart_ms} ms'"
    mirror(db, redis, *shop.bulk_reserve(db, N, [shop.add_product(db)], due))


def reads(redis: redis_py.Redis) -> int:
    return redis.info("stats")["total_reads_processed"]


def test_a_settlement_and_the_next_claim_are_one_read(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """As long as the next one is due within a few milliseconds; the last settlement does not wait."""
    sweeper(*ALONE, "--pace", "5ms")
    until_probed(redis)
    reserve_one_after_the_other(db, redis, 4)
    redis.config_resetstat()
    before = reads(redis)
    wait_until(lambda: shop.count_status(db, "released") == N, 30, f"{N} releases", 0.5)
    wait_until(lambda: is_empty(redis), 5, "the last settlement")
    # Others read too: this test, the probe, each look at an empty queue.
    assert reads(redis) - before < 0.65 * script_calls(redis)
    assert min(shop.lateness(db)) >= 0


def test_redis_stops_and_cuts_amid_settlements(
    db: Database, redis: redis_py.Redis, sweeper: Start
) -> None:
    """Each is released once and in time, whatever became of its settlement: the lease covers that."""
    db.conn.execute("CREATE TABLE flips (id uuid PRIMARY KEY)")
    db.conn.execute(
        """
        CREATE FUNCTION note_flip() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN INSERT INTO flips VALUES (NEW.id); RETURN NEW; END$$;
        CREATE TRIGGER note_flip AFTER UPDATE ON inventory_reservations FOR EACH ROW
            WHEN (NEW.status = 'released') EXECUTE FUNCTION note_flip()
        """
    )
    daemon = sweeper("--lease", "1s", "--lookahead", "off", "--max-sleep", "100ms")
    until_probed(redis)
    reserve_one_after_the_other(db, redis, 6)

    def disturb() -> bool:
        redis.execute_command("CLIENT", "PAUSE", "50", "ALL")
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return shop.count_status(db, "released") == N

    wait_until(disturb, 60, f"{N} releases", 0.15)
    wait_until(lambda: is_empty(redis), within(10), "nothing left in Redis")
    assert db.value("SELECT count(*) FROM flips") == N
    assert min(shop.lateness(db)) >= 0
    assert daemon.stop() == 0
