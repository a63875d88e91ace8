"""A bed that can be hurt at random: two sweepers, a busy API, servers and networks that fail."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from api import Api
from bed import Bed, answers, complaints
from clocks import Clock
from harness.poll import wait_until
from harness.proxy import BOTH, CLIENT, SERVER, Proxy
from harness.queue import batch
from harness.servers import Postgres, Redis
from harness.sweeper import Sweeper
from schema_faults import SchemaFaults
from trade import Trade

SETTINGS = (
    *("--lease", "1s", "--feed-interval", "1s"),
    *("--lookahead", "5s", "--scan-interval", "2s"),
)
SWEEPERS = "application_name LIKE 'reservation-sweeper%'"


class RandomFaults(SchemaFaults):
    def __init__(self, seed: int, trade: Trade, only: Sequence[str] = ()) -> None:
        """only: the names of the faults that are wanted; none: all that fit the shop."""
        self.only = only
        self.dice = random.Random(seed)
        self.pg = Postgres(fsync=False, max_connections=30, superuser_reserved_connections=1, timezone="UTC")
        self.pg.start()
        self.redis_server = Redis()
        # Not Postgres's: whether something is late is judged by it.
        self.clocks = {"sweepers": Clock("sweepers"), "redis": Clock("redis")}
        self.redis_server.env = self.clocks["redis"].env()
        self.redis_server.start()
        self.bed = Bed(self.pg, self.redis_server, trade)
        self.prepare()
        self.pg_proxy = Proxy(self.pg.port)
        self.redis_proxy = Proxy(self.redis_server.port)
        self.sweepers = [self._sweeper(), self._sweeper()]
        self.api = Api(self.bed, seed)
        self.history: list[str] = []
        self.complaints: Counter[str] = Counter()

    def _sweeper(self) -> Sweeper:
        one = Sweeper(
            *SETTINGS,
            *self.bed.trade.options,
            "--workers",
            self.dice.choice("112"),
            dsn=self.pg_proxy.through(self.sweepers_dsn),
            redis_url=self.redis_proxy.through(self.redis_server.url()),
            env=self.clocks["sweepers"].env(),
        )
        one.wait_for_record("Started")  # from here on SIGTERM is an orderly stop
        return one

    def _hold(self, longest: float = 1.2) -> None:
        time.sleep(self.dice.choice((0.0, 0.02, 0.2, longest)) * self.dice.random())

    # ---- Redis ------------------------------------------------------------------------------------

    @contextmanager
    def redis_killed(self) -> Iterator[None]:
        self.redis_server.kill9()
        yield
        self.redis_server.start()

    @contextmanager
    def redis_snapshot(self) -> Iterator[None]:
        self.bed.redis.save()
        self._hold()
        self.redis_server.kill9()
        yield
        self.redis_server.start()
        (self.redis_server.dir / "dump.rdb").unlink()

    @contextmanager
    def redis_paused(self) -> Iterator[None]:
        self.redis_server.pause()
        yield
        self.redis_server.resume()

    @contextmanager
    def redis_flushed(self) -> Iterator[None]:
        self.bed.redis.flushall()
        yield

    @contextmanager
    def redis_scripts_flushed(self) -> Iterator[None]:
        self.bed.redis.script_flush()
        yield

    @contextmanager
    def redis_read_only(self) -> Iterator[None]:
        self.bed.redis.replicaof("127.0.0.1", "1")
        yield
        self.bed.redis.replicaof("NO", "ONE")

    @contextmanager
    def redis_out_of_memory(self) -> Iterator[None]:
        self.bed.redis.config_set("maxmemory", "1mb")
        yield
        self.bed.redis.config_set("maxmemory", "0")

    @contextmanager
    def redis_clients_killed(self) -> Iterator[None]:
        self.bed.redis.client_kill_filter(_type="normal", skipme=True)
        yield

    @contextmanager
    def leases_written_to(self) -> Iterator[None]:
        """By a stranger: what is no batch, and batches that nobody has made, of ids that there are."""
        ids = self.bed.trade.some_ids(self.bed.db, 50)
        now_ms = time.time() * 1000
        for _ in range(self.dice.randint(1, 5)):
            forged = batch(*self.dice.sample(ids, min(len(ids), self.dice.randint(1, 20))))
            cut = forged[: self.dice.randrange(len(forged))]
            noise = self.dice.randbytes(self.dice.choice((0, 1, 40, 5000)))
            member = self.dice.choice((forged, cut, noise, forged + noise))
            self.bed.redis.zadd(self.bed.trade.key("leases"), {member: now_ms + self.dice.uniform(-2000, 1500)})
        yield

    # ---- Postgres ---------------------------------------------------------------------------------

    @contextmanager
    def postgres_killed(self) -> Iterator[None]:
        self.pg.kill9()
        yield
        self.pg.start()

    @contextmanager
    def postgres_backend_killed(self) -> Iterator[None]:
        pids = self.bed.db.query(f"SELECT pid FROM pg_stat_activity WHERE {SWEEPERS}")
        if pids:
            try:
                os.kill(self.dice.choice(pids)[0], signal.SIGKILL)
                wait_until(lambda: not answers(self.bed.db), 10, "all backends are gone")
            except ProcessLookupError:
                pass  # a dead sweeper's, which has ended by itself
        yield

    @contextmanager
    def postgres_terminated(self) -> Iterator[None]:
        for _ in range(self.dice.randint(1, 5)):
            self.bed.db.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SWEEPERS}")
            self._hold(0.1)
        yield

    @contextmanager
    def postgres_paused(self) -> Iterator[None]:
        self.pg.pause()
        yield
        self.pg.resume()

    @contextmanager
    def postgres_read_only(self) -> Iterator[None]:
        name = self.bed.db.name
        self.bed.db.conn.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        self.bed.db.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SWEEPERS}")
        yield
        self.bed.db.conn.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    @contextmanager
    def rows_locked(self) -> Iterator[None]:
        products = self.dice.sample(self.bed.products, self.dice.randint(1, 20))
        with self.bed.db.connect() as conn, conn.transaction():
            self.bed.trade.lock(conn, products)
            yield

    @contextmanager
    def parents_locked(self) -> Iterator[None]:
        with self.bed.db.connect() as conn, conn.transaction():
            self.bed.trade.lock_parents(conn, self.dice)
            yield

    @contextmanager
    def counter_drifted(self) -> Iterator[None]:
        with self.bed.trade.drifted(self.bed.db, self.dice.choice(self.bed.products)):
            yield

    # ---- the network ------------------------------------------------------------------------------

    def _proxy(self) -> Proxy:
        return self.dice.choice((self.pg_proxy, self.redis_proxy))

    def _senders(self) -> tuple[str, ...]:
        return self.dice.choice(((CLIENT,), (SERVER,), BOTH))

    @contextmanager
    def network_cut(self) -> Iterator[None]:
        self._proxy().cut()
        yield

    @contextmanager
    def network_refused(self) -> Iterator[None]:
        proxy = self._proxy()
        proxy.refuse()
        yield
        proxy.heal()

    @contextmanager
    def network_delayed(self) -> Iterator[None]:
        proxy = self._proxy()
        proxy.delay(self.dice.uniform(0.001, 0.2), *self._senders())
        yield
        proxy.heal()

    @contextmanager
    def network_black_hole(self) -> Iterator[None]:
        proxy = self._proxy()
        proxy.black_hole(*self._senders())
        yield
        proxy.heal()

    @contextmanager
    def network_half_closed(self) -> Iterator[None]:
        proxy = self._proxy()
        proxy.half_close(*self._senders())
        yield
        proxy.cut()

    @contextmanager
    def cut_in_the_middle(self) -> Iterator[None]:
        proxy, when = self.dice.choice(
            ((self.pg_proxy, b"WITH rs$seen"), (self.redis_proxy, b"EVALSHA"))
        )
        sender = self.dice.choice(BOTH)
        trap = proxy.cut_after(
            self.dice.randrange(700 if sender == SERVER else 5000),
            sender,
            when,
            self.dice.choice(("cut", "cut", "half")),
        )
        trap.sprung.wait(0.5)
        yield
        proxy.heal()
        proxy.cut()

    # ---- clocks -----------------------------------------------------------------------------------

    @contextmanager
    def clock_set(self) -> Iterator[None]:
        clock = self.clocks[self.dice.choice(sorted(self.clocks))]
        clock.set(self.dice.choice((5, -5, 600, -600)))
        yield
        clock.set(0)

    # ---- the sweepers -----------------------------------------------------------------------------

    @contextmanager
    def sweeper_killed(self) -> Iterator[None]:
        for slot in self.dice.sample((0, 1), self.dice.randint(1, 2)):
            self.sweepers[slot].kill()
        yield

    @contextmanager
    def sweeper_stopped(self) -> Iterator[None]:
        slot = self.dice.randrange(2)
        os.kill(self.sweepers[slot].pid, signal.SIGSTOP)
        self._hold(2.5)
        yield
        os.kill(self.sweepers[slot].pid, signal.SIGCONT)

    @contextmanager
    def sweeper_restarted(self) -> Iterator[None]:
        slot = self.dice.randrange(2)
        self.end(self.sweepers[slot])
        yield

    FAULTS: tuple[tuple[Callable[[RandomFaults], object], int], ...] = (
        (redis_killed, 3),
        (redis_snapshot, 2),
        (redis_paused, 2),
        (redis_flushed, 2),
        (redis_scripts_flushed, 1),
        (redis_read_only, 2),
        (redis_out_of_memory, 2),
        (redis_clients_killed, 2),
        (leases_written_to, 3),
        (postgres_killed, 1),
        (postgres_backend_killed, 1),
        (postgres_terminated, 4),
        (postgres_paused, 2),
        (postgres_read_only, 1),
        (rows_locked, 4),
        (parents_locked, 4),
        (counter_drifted, 3),
        (network_cut, 5),
        (network_refused, 3),
        (network_delayed, 3),
        (network_black_hole, 3),
        (network_half_closed, 2),
        (cut_in_the_middle, 10),
        (clock_set, 4),
        (sweeper_killed, 8),
        (sweeper_stopped, 4),
        (sweeper_restarted, 2),
        *SchemaFaults.SCHEMA_FAULTS,
    )
    # A second fault needs its server for itself, so that both can be fixed in any order.
    SECOND = (sweeper_killed, sweeper_stopped, network_cut, cut_in_the_middle)
    NO_SECOND = (*SECOND, sweeper_restarted)

    def hurt(self) -> None:
        faults = [
            one
            for one in self.FAULTS
            if one[0].__name__ not in self.bed.trade.unfit
            and (not self.only or one[0].__name__ in self.only)
        ]
        kinds = [kind for kind, _ in faults]
        weights = [weight for _, weight in faults]
        first = self.dice.choices(kinds, weights)[0]
        chosen = [first]
        if self.dice.random() < 0.2 and first not in self.NO_SECOND and not self.only:
            chosen.append(self.dice.choice(self.SECOND))
        self.history.append(" + ".join(kind.__name__ for kind in chosen))
        self.point_at_the_far()
        self.afflicted = []
        with ExitStack() as stack:
            for kind in chosen:
                stack.enter_context(kind(self))  # type: ignore[arg-type]
            self._hold()
            if len(chosen) == 1 and first in self.OTHERS_GO_ON:
                self.others_go_on()

    def others_go_on(self) -> None:
        """While the fault lasts."""
        raise NotImplementedError

    def end(self, one: Sweeper) -> None:
        if one.running:
            status = one.stop()
            assert status == 0, f"an orderly stop ended with {status}: {one.tail()}"
        one.check_reports()
        self.complaints.update(text.partition(":")[0] for text in complaints(one.records))

    def close(self) -> None:
        self.api.halt.set()
        for one in self.sweepers:
            if one.running:
                os.kill(one.pid, signal.SIGCONT)
                one.kill()
        self.pg_proxy.close()
        self.redis_proxy.close()
        for server in (self.pg, self.redis_server):
            if server.running:
                server.resume()
            server.close()
