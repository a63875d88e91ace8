"""Both servers away for half a minute and more: said as errors then."""

from __future__ import annotations

from bed import Bed
from harness.poll import wait_until
from harness.sweeper import Record

AWAY = {"postgres": "Postgres is out of reach", "redis": "Redis is out of reach"}


def test_what_lasts_is_an_error(bed: Bed) -> None:
    daemon = bed.start("--workers", "3")
    daemon.wait_for_record("Postgres connected")
    daemon.wait_for_record("Redis connected")
    bed.redis_server.kill9()
    bed.pg.stop()
    for message in AWAY.values():
        assert daemon.wait_for_record(message)["level"] == "WARN"

    def errors() -> list[Record]:
        return [r for r in daemon.records if r["level"] == "ERROR"]

    wait_until(lambda: len(errors()) >= 2, 45, "both are errors")
    assert all(30 <= r["awaySeconds"] < 35 for r in errors())
    for server, message in AWAY.items():
        records = daemon.find(message)
        assert [r["level"] for r in records[-2:]] == ["WARN", "ERROR"] and records[-1][server]
        assert len({(r["level"], r["error"]) for r in records}) == len(records) <= 4, records
    bed.pg.start()
    bed.redis_server.start()
    for server in AWAY:
        back = daemon.wait_for_record(f"{server.title()} is back", 20)
        assert back["awaySeconds"] >= 30 and back[server]
