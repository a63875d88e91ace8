"""Random faults against two sweepers and a busy API:
torture.py [--faults N] [--seed N] [--only NAME,...] [--shop NAME]

After each fault the invariants are checked: stock adds up, every reservation is in one state,
released once, none early, and everything on time again within seconds; now and then also that Redis
forgets what Postgres has settled. Exit status 1 when one is broken; the seed repeats the
same faults (though not the same instants).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg  # noqa: E402
import redis as redis_py  # noqa: E402
from harness.poll import wait_until  # noqa: E402
from other_trades import Spree, Warehouse  # noqa: E402
from paying_trade import Extending, Paying  # noqa: E402
from random_faults import RandomFaults  # noqa: E402
from trade import Trade, patiently  # noqa: E402

TRADES = {
    "default": Trade,
    "warehouse": Warehouse,
    "spree": Spree,
    "paying": Paying,
    "extending": Extending,
}
ON_TIME_S = 10.0  # after the fault; 5 s are promised, the machine is busy
PRUNE_EVERY = 50


class Torture(RandomFaults):
    def __init__(self, seed: int, trade: Trade, only: Sequence[str] = ()) -> None:
        super().__init__(seed, trade, only)
        self.slowest = (0.0, "")
        self.released = 0

    def _replace_the_dead(self) -> None:
        for slot, one in enumerate(self.sweepers):
            if not one.running:
                assert one.expected_status is None or one.process.poll() == 0, one.tail()
                self.end(one)
                self.sweepers[slot] = self._sweeper()

    def others_go_on(self) -> None:
        wait_until(
            lambda: self.bed.trade.late(self.bed.db, self.afflicted) == 0, ON_TIME_S, "the others are on time", step=0.03
        )

    def check(self) -> None:
        began = time.monotonic()
        self.bed.reconnect()
        self._replace_the_dead()
        wait_until(lambda: self.bed.trade.late(self.bed.db) == 0, ON_TIME_S, "on time again", step=0.03)
        took = time.monotonic() - began
        if took > self.slowest[0]:
            self.slowest = (took, self.history[-1])
        self.bed.check_always()

    def prune(self) -> None:
        """Also that Redis is tidied; then forgets what is over, so that checks stay quick."""
        self.bed.until_tidied()
        self.bed.check_always()
        self.released += patiently(lambda: self.bed.trade.forget(self.bed.db))

    def run(self, faults: int) -> None:
        self.api.start()
        wait_until(lambda: self.api.done.total() > 20, 10, "the API is busy")
        began = time.monotonic()
        for number in range(1, faults + 1):
            self.hurt()
            self.check()
            if number % PRUNE_EVERY == 0 or number == faults:
                self.prune()
                took = time.monotonic() - began
                print(f"{number} faults in {took:.0f} s, {self.released} releases", flush=True)
        self.api.halt.set()
        self.api.join()
        self.bed.check_settled(20)

    def report(self) -> None:
        for kind, n in sorted(Counter(" + ".join(self.history).split(" + ")).items()):
            print(f"  {n:4} {kind}")
        print(f"API: {dict(self.api.done)}")
        print(f"slowest to be on time again: {self.slowest[0]:.1f} s after {self.slowest[1]}")
        for text, n in self.complaints.most_common(12):
            print(f"  {n:4} x {text}")


def main() -> int:
    parser = argparse.ArgumentParser(description="random faults, invariants checked after each")
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--only", metavar="NAME,...", default="", help="these faults alone")
    parser.add_argument("--shop", choices=sorted(TRADES), default="default", help="whose tables")
    args = parser.parse_args()
    print(f"torture: {args.faults} faults, seed {args.seed}, shop {args.shop}", flush=True)
    torture = Torture(args.seed, TRADES[args.shop](), [name for name in args.only.split(",") if name])
    try:
        torture.run(args.faults)
        for one in torture.sweepers:
            torture.end(one)
    except (AssertionError, psycopg.Error, redis_py.RedisError, OSError) as problem:
        print(f"BROKEN after fault {len(torture.history)} (seed {args.seed}): {problem!r}")
        print("the last faults:", *torture.history[-5:], sep="\n  ")
        for one in torture.sweepers:
            print(one.tail())
        return 1
    finally:
        torture.report()
        torture.close()
    print(f"every invariant held through {args.faults} faults (seed {args.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
