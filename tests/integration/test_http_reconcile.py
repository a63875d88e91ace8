"""POST /reconcile while another process reconciles."""

from __future__ import annotations

import json
import signal

import redis as redis_py
from harness import shop
from harness.database import Database
from harness.poll import wait_until
from harness.servers import Redis
from harness.sweeper import Start, Sweeper

TOKEN = "correct-horse-battery-staple"
ROLE = "{reservations}:reconciler"


def post(daemon: Sweeper) -> tuple[int, dict]:
    status, body = daemon.http("/reconcile?dryRun=true", "POST", token=TOKEN, timeout=15)
    return status, json.loads(body)


def test_another_process_reconciles(
    db: Database, redis: redis_py.Redis, redis_server: Redis, sweeper: Start
) -> None:
    """409 with its host and pid while it runs, 202 when it is gone, in order or not."""
    daemon = sweeper("--lookahead", "off", http=True, env={"SWEEPER_ADMIN_TOKEN": TOKEN})
    daemon.wait_for_record("Redis connected")
    shop.reserve(db, {shop.add_product(db): 1}, 50)

    def other() -> Sweeper:
        """It has to give the feed two intervals, and so takes its time."""
        run = Sweeper(
            "--reconcile", "--feed-interval", "15s", dsn=db.dsn, redis_url=redis_server.url()
        )
        wait_until(lambda: redis.exists(ROLE), what="the role is held")
        return run

    run = other()
    try:
        status, body = post(daemon)
        assert status == 409
        assert "another reconciliation" in body["error"] and f":{run.pid}:" in body["error"]
        assert not daemon.find("Reconciliation completed")
        assert run.stop(signal.SIGINT) == 1
        assert post(daemon)[0] == 202
        daemon.wait_for_record("Reconciliation completed", 30)
        wait_until(lambda: not redis.exists(ROLE), what="the role is given up")
        run = other()
    finally:
        run.kill()
    assert post(daemon)[0] == 202  # a dead one's lease ends
