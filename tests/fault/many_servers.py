"""Many servers, killed at random: many_servers.py [--minutes N] [--seed N]

Four sweepers that serve four queues of two databases, each on a Postgres of its own, over a Cluster of
three masters with a replica each, and a busy API for each queue. Every kind of fault once, in any
order, alone or with another one, and so on until the time is over. After each the invariants are
checked: stock adds up, every reservation is released once, none early, and all are on time again
within seconds. In the end nothing is left to do, every sweeper uses Redis, and ends in order.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg  # noqa: E402
import redis as redis_py  # noqa: E402
from api import Api  # noqa: E402
from bed import Bed  # noqa: E402
from harness.clusters import Cluster  # noqa: E402
from harness.database import Database  # noqa: E402
from harness.poll import until_ready, wait_until  # noqa: E402
from harness.servers import Postgres, Redis  # noqa: E402
from harness.sweeper import Sweeper  # noqa: E402
from harness.web import readyz  # noqa: E402
from trade import AUDIT, AUDIT_TRIGGER, Trade, patiently  # noqa: E402

SCHEMA = Path(__file__).parents[2] / "sql" / "schema.sql"
# By the database that each is in. The hash tags lie on slots of all three masters.
QUEUES = (("seats", "stalls"), ("rooms", "boxes"))
N_SWEEPERS = 4
RATE = 25  # what each queue's API does in a second
BURST, BURST_S = 600, 2.0  # ... and what falls due of each about every fault, for so long
FEED_S = 1.0
ON_TIME_S = 10.0  # after the fault; 5 s are promised, the machine is busy
SETTINGS = (
    *("--lease", "1s", "--feed-interval", f"{FEED_S:.0f}s"),
    *("--lookahead", "5s", "--scan-interval", "2s"),
)
QUEUE = """
{name}:
  table: {name}.inventory_reservations
  quantity: quantity
  active: status = 'active'
  released: status = 'released', updated_at = now()
  stock:
    table: {name}.inventory
    key: {{product_id: product_id}}
    free: available_stock
    held: reserved_stock
    total: total_stock
"""


@dataclass
class InSchema(Database):
    """Whatever connects finds its own schema's tables by their names alone."""

    schema: str = "public"

    def connect(self, **options: object) -> psycopg.Connection:
        conn = super().connect(**options)
        conn.execute(f"SET search_path TO {self.schema}")
        return conn


class Beside(Trade):
    """A shop in a schema of its own, named as its queue, beside others in the same database."""

    def __init__(self, queue: str, another: Database | None) -> None:
        self.queue = queue
        self.another = another

    def create(self, pg: Postgres) -> Database:
        name = self.another.name if self.another else pg.create_database(schema=False)
        with pg.connect(name) as conn:
            conn.execute(f"CREATE SCHEMA {self.queue}")
        db = InSchema(pg, name, pg.connect(name), self.queue)
        db.reconnect()
        db.conn.execute(SCHEMA.read_text(encoding="utf-8") + AUDIT + AUDIT_TRIGGER)
        db.conn.execute(f"ALTER FUNCTION audit() SET search_path TO {self.queue}")
        return db


class ManyServers:
    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        self.file = folder / "queues.yaml"
        self.cluster = Cluster()
        self.pgs = [Postgres(fsync=False, max_connections=100) for _ in QUEUES]
        self.beds: list[Bed] = []
        self.sweepers: list[Sweeper] = []
        self.apis: list[Api] = []
        self.history: list[str] = []
        self.done: Counter[str] = Counter()
        self.slowest = (0.0, "")

    def start(self, seed: int) -> None:
        self.cluster.start()
        text = ""
        for pg, queues, key in zip(self.pgs, QUEUES, ("", "  database: OTHER\n"), strict=True):
            pg.start()
            another = None
            for name in queues:
                self.beds.append(Bed(pg, self.cluster, Beside(name, another)))  # type: ignore[arg-type]
                another = self.beds[-1].db
                text += QUEUE.format(name=name) + key
        self.file.write_text(text, encoding="utf-8")
        owners = {self.owner(bed).port for bed in self.beds}
        assert len(owners) == self.cluster.n_masters, "a master without a queue"
        self.sweepers = [self._sweeper() for _ in range(N_SWEEPERS)]
        self.apis = [Api(bed, seed + i, RATE, patience_s=1.0) for i, bed in enumerate(self.beds)]
        for one in self.apis:
            one.start()
        for bed in self.beds:
            bed.wait_for_releases(0, 5)

    def owner(self, bed: Bed, asked: Redis | None = None) -> Redis:
        return self.cluster.owner(bed.trade.key("pending"), asked)

    def _sweeper(self) -> Sweeper:
        first, other = self.beds[0].db, self.beds[-1].db
        one = Sweeper(
            *(*SETTINGS, "--queues", str(self.file)),
            dsn=first.dsn,
            redis_url=self.cluster.url(self.dice.choice(self.cluster.nodes)),
            env={"OTHER_DATABASE_URL": other.dsn},
            http=True,
        )
        one.wait_for_record("Started")  # from here on SIGTERM is an orderly stop
        return one

    def _hold(self) -> None:
        time.sleep(self.dice.choice((0.0, 0.05, 0.3, 1.5)) * self.dice.random())

    # ---- the faults -------------------------------------------------------------------------------

    @contextmanager
    def sweepers_killed(self) -> Iterator[None]:
        for one in self.dice.sample(self.sweepers, self.dice.randint(1, N_SWEEPERS)):
            one.kill()
        yield

    def _masters(self) -> list[Redis]:
        return [self.owner(bed) for bed in self.beds]

    @contextmanager
    def master_killed(self) -> Iterator[None]:
        """It is back, as a rule, before anybody has missed it, and has lost all that it had."""
        master = self.dice.choice(self._masters())
        master.kill9()
        yield
        master.start()

    @contextmanager
    def master_replaced(self) -> Iterator[None]:
        """Its replica is the master by the time that it is back."""
        bed = self.dice.choice(self.beds)
        master = self.owner(bed)
        others = [node for node in self.cluster.nodes if node is not master]
        master.kill9()
        wait_until(lambda: self.owner(bed, others[0]) is not master, 30, "a failover", step=0.05)
        yield
        master.start()

    @contextmanager
    def shard_killed(self) -> Iterator[None]:
        """With its replica: the Cluster is down, all of it."""
        master = self.dice.choice(self._masters())
        nodes = [master, *self.cluster.replicas_of(master)]
        for node in nodes:
            node.kill9()
        yield
        for node in nodes:
            node.start()

    @contextmanager
    def postgres_killed(self) -> Iterator[None]:
        pg = self.dice.choice(self.pgs)
        pg.kill9()
        yield
        pg.start()

    REDIS = (master_killed, master_replaced, shard_killed)
    FAULTS = (sweepers_killed, *REDIS, postgres_killed)

    def _with(self, first: Callable[[ManyServers], object]) -> list[Callable[[ManyServers], object]]:
        """Now and then another one too, but one of Redis at a time: each of them looks for a master."""
        others = [
            one
            for one in self.FAULTS
            if one is not first and not (first in self.REDIS and one in self.REDIS)
        ]
        return [first, *([self.dice.choice(others)] if self.dice.random() < 0.4 else [])]

    def burst(self) -> None:
        """So much falls due from now on that every sweeper has claims in hand when something is killed."""
        for bed in self.beds:
            patiently(lambda b=bed: b.stream(BURST, BURST / BURST_S, delay_s=FEED_S))
        time.sleep(FEED_S + BURST_S * self.dice.uniform(0.2, 0.6))

    def hurt(self, first: Callable[[ManyServers], object]) -> None:
        chosen = self._with(first)
        self.history.append(" + ".join(kind.__name__ for kind in chosen))
        self.burst()
        with ExitStack() as stack:
            for kind in chosen:
                stack.enter_context(kind(self))  # type: ignore[arg-type]
            self._hold()

    # ---- what must hold ---------------------------------------------------------------------------

    def _replace_the_dead(self) -> None:
        for slot, one in enumerate(self.sweepers):
            if not one.running:
                assert one.expected_status is None, one.tail()
                one.check_reports()
                self.sweepers[slot] = self._sweeper()

    def on_time(self) -> bool:
        return all(bed.trade.late(bed.db) == 0 for bed in self.beds)

    def check(self) -> None:
        began = time.monotonic()
        for bed in self.beds:
            bed.reconnect()
        self._replace_the_dead()
        wait_until(self.on_time, ON_TIME_S, "on time again", step=0.03)
        self.slowest = max(self.slowest, (time.monotonic() - began, self.history[-1]))
        for bed in self.beds:
            bed.check_always()
        wait_until(self.cluster.whole, 30, "the Cluster is whole", step=0.1)

    def forget(self) -> None:
        """What is over, so that checks stay quick."""
        for bed in self.beds:
            self.done[bed.trade.queue] += patiently(lambda b=bed: b.trade.forget(b.db))

    def run(self, seconds: float) -> None:
        """Each kind of fault once, whatever the time."""
        end = time.monotonic() + seconds
        while not self.history or time.monotonic() < end:
            for kind in self.dice.sample(self.FAULTS, len(self.FAULTS)):
                self.hurt(kind)
                self.check()
            self.forget()
        self.end()

    def uses_redis(self, one: Sweeper) -> bool:
        return not readyz(one)[1].get("degraded", True)

    @staticmethod
    def active(bed: Bed) -> int:
        return int(str(bed.db.value("SELECT count(*) FROM inventory_reservations WHERE status = 'active'")))

    def end(self) -> None:
        for one in self.apis:
            one.halt.set()
        for one in self.apis:
            one.join()
        for one in self.sweepers:
            until_ready(one)
            wait_until(lambda o=one: self.uses_redis(o), 20, "Redis is used")
        for bed in self.beds:
            bed.redis.close()
            bed.redis = self.cluster.client(socket_timeout=10)
            wait_until(lambda b=bed: self.active(b) == 0, 20, "all that was reserved is over")
            bed.check_settled(20)
        self.forget()
        for bed in self.beds:
            assert self.done[bed.trade.queue] > 0, f"nothing was released of {bed.trade.queue}"
        for one in self.sweepers:
            assert one.stop() == 0, one.tail()
            one.check_reports()

    def report(self) -> None:
        for kind, n in sorted(Counter(" + ".join(self.history).split(" + ")).items()):
            print(f"  {n:4} {kind}")
        print(f"released: {dict(self.done)}")
        print(f"API: {dict(sum((one.done for one in self.apis), Counter()))}")
        print(f"slowest to be on time again: {self.slowest[0]:.1f} s after {self.slowest[1]}")

    def close(self) -> None:
        for one in self.apis:
            one.halt.set()
        for one in self.sweepers:
            if one.running:
                one.kill()
        for one in self.apis:
            one.join()
        for server in (*self.pgs, self.cluster):
            server.close()


def many_servers(seed: int, seconds: float) -> None:
    """Raises what was broken."""
    with tempfile.TemporaryDirectory() as folder:
        many = ManyServers(seed, Path(folder))
        try:
            many.start(seed)
            many.run(seconds)
        except BaseException:
            print("the last faults:", *many.history[-5:], sep="\n  ")
            for one in many.sweepers:
                print(one.tail())
            raise
        finally:
            many.report()
            many.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="many servers, killed at random")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    logging.getLogger("redis").setLevel(logging.CRITICAL)  # its client logs each node that is away
    print(f"many servers: {args.minutes:g} minutes, seed {args.seed}", flush=True)
    try:
        many_servers(args.seed, 60 * args.minutes)
    except (AssertionError, psycopg.Error, redis_py.RedisError, OSError) as problem:
        print(f"BROKEN (seed {args.seed}): {problem!r}")
        return 1
    print(f"every invariant held (seed {args.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
