"""What the sweeper costs when nothing is due."""

from __future__ import annotations

import re
import time

from bed import Bed, redis_calls, verify
from data import Data
from measure import cpu_s, peak_kb, spent
from runner import Figures, Measurement, Target

SECONDS, SECONDS_QUICK = 30, 10
WARM_UP_S = 2.0
STATEMENT = re.compile(rb"LOG:  (execute|statement)")
# Not due within the look-ahead, so that there is nothing to do but to look.
DATA = Data(1000, "now() + interval '1 hour'", products=100)


def statements_in_log(bed: Bed, offset: int) -> int:
    with open(bed.pg.log_file, "rb") as log:
        log.seek(offset)
        return len(STATEMENT.findall(log.read()))


def idle(bed: Bed, quick: bool) -> Figures:
    seconds = SECONDS_QUICK if quick else SECONDS
    with bed.fresh(DATA) as db, bed.redis.client() as client:
        db.conn.execute(f"ALTER DATABASE {db.name} SET log_statement = 'all'")
        with bed.sweeper(db) as sweeper:
            time.sleep(WARM_UP_S)
            offset = bed.pg.log_file.stat().st_size
            commands, scripts = redis_calls(client), redis_calls(client, "eval", "evalsha")
            used_s = {**bed.cpu_s(), "sweeper, CPU s": cpu_s(sweeper.pid)}
            time.sleep(seconds)
            used_s = spent(used_s, {**bed.cpu_s(), "sweeper, CPU s": cpu_s(sweeper.pid)})
            commands = redis_calls(client) - commands
            scripts = redis_calls(client, "eval", "evalsha") - scripts
            statements = statements_in_log(bed, offset)
            result = {
                f"{name.split(',')[0]}, % of a core": 100 * value / seconds
                for name, value in used_s.items()
            } | {
                "Redis scripts a minute": scripts * 60 / seconds,
                "their commands and others": commands * 60 / seconds,
                "Postgres statements a minute": statements * 60 / seconds,
                "resident, MB": sweeper.rss_kb() / 1024,
                "its peak, MB": peak_kb(sweeper.pid) / 1024,
            }
            verify(db, bed.redis, 0)
    return result


IDLE = Measurement(
    name="idle",
    title="Nothing is due for 30 s, default settings (--quick: 10 s)",
    variants={"sweeper": idle},
    compared=("sweeper",),
    targets=[
        Target("sweeper, % of a core", lambda m: m["sweeper"]["sweeper, % of a core"], 0.07),
        Target("its peak, MB", lambda m: m["sweeper"]["its peak, MB"], 12.0),
    ],
)
