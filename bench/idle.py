"""What the sweeper costs when nothing is due."""

from __future__ import annotations

import re
import time

from bed import Bed, redis_calls, settle_down, verify
from harness import shop
from harness.sweeper import Sweeper
from runner import Figures, Measurement, Target

SECONDS, SECONDS_QUICK = 30, 15
FEED_INTERVAL_S = 15  # the default
WARM_UP_S = 2.0
SCRIPTS = ("eval", "evalsha")
STATEMENT = re.compile(rb"LOG:  (execute|statement)")


def statements_in_log(bed: Bed, offset: int) -> int:
    with open(bed.pg.log_file, "rb") as log:
        log.seek(offset)
        return len(STATEMENT.findall(log.read()))


def watch(bed: Bed, sweeper: Sweeper, seconds: int) -> Figures:
    time.sleep(WARM_UP_S)
    with bed.redis.client() as client:
        offset = bed.pg.log_file.stat().st_size
        commands, scripts = redis_calls(client), redis_calls(client, *SCRIPTS)
        sweeper_s = sweeper.cpu_seconds()
        postgres_s = bed.postgres_cpu_s()
        time.sleep(seconds)
        commands = redis_calls(client) - commands
        scripts = redis_calls(client, *SCRIPTS) - scripts
        sweeper_s = sweeper.cpu_seconds() - sweeper_s
        postgres_s = bed.postgres_cpu_s() - postgres_s
    statements = statements_in_log(bed, offset)
    return {
        "sweeper, % of a core": 100 * sweeper_s / seconds,
        "Postgres, % of a core": 100 * postgres_s / seconds,
        "Redis scripts a second": scripts / seconds,
        "Redis commands a second, those in scripts too": commands / seconds,
        "Postgres statements a feed interval": statements * FEED_INTERVAL_S / seconds,
        "resident memory, MB": sweeper.rss_kb() / 1024,
    }


def idle(bed: Bed, quick: bool) -> Figures:
    with bed.database() as db:
        # Not due within the look-ahead, so that there is nothing to do but to look.
        shop.bulk_reserve(db, 1000, shop.add_products(db, 100), "now() + interval '1 hour'")
        settle_down(db.conn)
        db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
        with bed.sweeper(db) as sweeper:
            result = watch(bed, sweeper, SECONDS_QUICK if quick else SECONDS)
            verify(db, bed.redis, 0)
    return result


IDLE = Measurement(
    name="idle",
    title="Nothing is due (default settings)",
    variants={"idle": idle},
    targets=[Target("CPU, % of a core", lambda m: m["idle"]["sweeper, % of a core"], 1.0)],
    repeat=1,
)
