"""`make demo`: a private Postgres and Redis, a small shop, the sweeper, and an account of it all.

With KEEP=1 the shop then goes on, quietly, so that the sweeper's page can be looked at, until Ctrl-C.

Exit status: 0 when everything that expired was released, on time and never early; 1 otherwise.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]  # harness; measure

import psycopg  # noqa: E402
import redis as redis_py  # noqa: E402

from account import LATE_P99_MS, Account, draw_up  # noqa: E402
from harness import shop  # noqa: E402
from harness.servers import Postgres, Redis  # noqa: E402
from harness.sweeper import Sweeper, binary  # noqa: E402
from measure import COMMITS, commit_cost_ms  # noqa: E402
from screen import Progress, say  # noqa: E402
from traffic import (  # noqa: E402
    CUSTOMERS,
    HOLD_S,
    QUIET_RATE_PER_S,
    RATE_PER_S,
    SHOPPING_S,
    TAIL_S,
    Customer,
)

PRODUCTS = 200
STOCK = 10_000
# Holds of a few seconds need a feed that looks more often than every 15 s, its default.
SETTINGS = ("--feed-interval", "1s", "--lookahead", "10s")
LAST_RELEASES_S = 10.0
LOOK_EVERY_S = 0.25
KEEP = os.environ.get("KEEP", "") not in ("", "0")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asks us to end."""

    def __init__(self, signo: int) -> None:
        super().__init__(signal.Signals(signo).name)
        self.signo = signo


def on_signal(signo: int, _frame: FrameType | None) -> None:
    ignore_signals()  # from here on we clean up, which a second Ctrl-C must not cut short
    raise Interrupted(signo)


def ignore_signals() -> None:
    for signo in SIGNALS:
        signal.signal(signo, signal.SIG_IGN)


def make_folder() -> Path:
    """A folder beside the binary, or wherever temporary files go if that cannot be written."""
    beside = Path(binary()).parent
    parent = beside if os.access(beside, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=parent))
    folder.chmod(0o711)  # as root, Postgres runs as another user, who has to come through here
    return folder


def remove_folder(folder: Path) -> None:
    """A server that was interrupted at its start may still be writing its last file."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


class Demo:
    """The servers, the shop and the sweeper, each taken down by the stack in turn."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack = stack
        self.folder = make_folder()
        stack.callback(remove_folder, self.folder)
        self.pg = Postgres(self.folder / "postgres", log_min_messages="error")
        stack.callback(self.pg.close)
        self.redis = Redis(self.folder / "redis")
        stack.callback(self.redis.close)
        self.customers: list[Customer] = []
        self.expired_left = 0

    def start_servers(self) -> None:
        self.pg.start()
        self.redis.start()
        name = self.pg.create_database()
        self.dsn = self.pg.dsn(name)
        self.db = self.pg.connect(name)
        self.stack.callback(self.db.close)
        account = f", as the user {self.pg.account.pw_name}" if self.pg.account else ""
        with self.redis.client(decode_responses=True) as client:
            version = client.info("server")["redis_version"]
        postgres = self.db.info.parameter_status("server_version") or ""
        say(f"  Postgres {postgres.split()[0]:<8} 127.0.0.1:{self.pg.port}{account}, fsync on")
        say(f"  Redis {version:<11} 127.0.0.1:{self.redis.port}")

    def start_sweeper(self) -> None:
        self.token = secrets.token_hex(16)
        self.sweeper = Sweeper(
            *SETTINGS, dsn=self.dsn, redis_url=self.redis.url(), http=True,
            env={"SWEEPER_ADMIN_TOKEN": self.token},
        )  # fmt: skip
        self.stack.callback(self._stop_sweeper)
        version = self.sweeper.wait_for_record("Started").get("version", "")
        self.sweeper.wait_for_record("Redis connected")
        say(f"  reservation-sweeper {version}, {' '.join(SETTINGS)}, otherwise as it comes")

    def _stop_sweeper(self) -> None:
        if self.sweeper.running:
            self.sweeper.stop()

    def open_shop(self) -> None:
        self.products = shop.add_products(self.db, PRODUCTS, STOCK)
        self.stack.callback(self._close_shop)
        self._let_in(SHOPPING_S, RATE_PER_S)

    def _let_in(self, shopping_s: float, rate_per_s: float) -> None:
        self.customers = []
        for number in range(CUSTOMERS):
            db = psycopg.connect(self.dsn, autocommit=True)
            self.stack.callback(db.close)
            redis = self.redis.client()
            self.stack.callback(redis.close)
            self.customers.append(
                Customer(number, db, redis, self.products, shopping_s, rate_per_s)
            )
        for customer in self.customers:
            customer.start()

    def _close_shop(self) -> None:
        for customer in self.customers:
            customer.stopping.set()
        for customer in self.customers:
            if customer.ident is not None:
                customer.join(5)

    def tally(self, name: str) -> int:
        return sum(customer.tally[name] for customer in self.customers)

    def look(self) -> dict[str, str]:
        """The live figures; Postgres says what was released and how late the oldest one is."""
        row = self.db.execute(
            "SELECT count(DISTINCT id) FILTER (WHERE status = 'released'),"
            " count(DISTINCT id) FILTER (WHERE status = 'active'),"
            " count(DISTINCT id) FILTER (WHERE status = 'active' AND expires_at < now() + '1 min'),"
            " coalesce(extract(epoch FROM now() - min(expires_at)"
            "   FILTER (WHERE status = 'active' AND expires_at <= now())), 0) * 1000"
            " FROM inventory_reservations"
        ).fetchone()
        assert row is not None
        released, held, self.expired_left, overdue_ms = row
        return {
            "reserved": f"{self.tally('reserved'):5,}",
            "released": f"{max(released - self.tally('cancelled'), 0):5,}",
            "committed": f"{self.tally('committed'):3,}",
            "held": f"{held:5,}",
            "oldest overdue": f"{overdue_ms:3.0f} ms",
            "cancelled": f"{self.tally('cancelled'):3,}",
            "extended": f"{self.tally('extended'):3,}",
        }

    def watch(self) -> None:
        """Until the shop has closed and all that expires has been released, or has had its time."""
        progress = Progress()
        start = time.monotonic()
        closed_at = 0.0
        while True:
            figures = self.look()
            now = time.monotonic()
            progress.update((now - start) / (SHOPPING_S + TAIL_S), now - start, figures)
            self._check()
            if not closed_at and not any(c.is_alive() for c in self.customers):
                closed_at = now
            elif closed_at and (
                self.expired_left == 0 or now > closed_at + TAIL_S + LAST_RELEASES_S
            ):
                break
            time.sleep(LOOK_EVERY_S)
        progress.end()

    def _check(self) -> None:
        for customer in self.customers:
            if customer.error is not None:
                raise customer.error
        if not self.sweeper.running:
            raise AssertionError(f"the sweeper ended: {self.sweeper.tail()}")

    def close_account(self) -> Account:
        status = 0 if KEEP else self.sweeper.stop()
        account = draw_up(self.db, [r for c in self.customers for r in c.reservations])
        if status != 0:
            account.problems.append(f"the sweeper ended with status {status}")
        return account

    def stay(self) -> None:
        """A quiet shop, until a signal."""
        with contextlib.suppress(Interrupted):
            say(f"\n  The page: http://127.0.0.1:{self.sweeper.http_port}/  (token {self.token})")
            say(f"  The shop goes on with {QUIET_RATE_PER_S} reservations a second. Ctrl-C ends it.")
            self._let_in(float("inf"), QUIET_RATE_PER_S)
            while True:
                self._check()
                time.sleep(LOOK_EVERY_S)


def show(account: Account, commit_ms: float) -> None:
    total = account.fates.total() + account.not_released
    say(f"\n  What became of {total:,} reservations")
    for fate, words in (
        ("expired", "released by the sweeper, their time being over"),
        ("committed", "committed: bought"),
        ("cancelled", "cancelled by their customers"),
        ("kept", "kept: extended by 15 minutes, still held"),
    ):
        say(f"    {account.fates[fate]:6,}  {words}")
    say(f"    ({account.extended:,} were extended on the way)")
    say("\n  Lateness, from expires_at to the commit that gave the stock back, by Postgres's clock")
    say(f"    {'':26}{'count':>7}{'p50':>11}{'p99':>11}{'max':>11}")
    for name, lateness in account.lateness.items():
        figures = "".join(f"{lateness.percentile(p):8.1f} ms" for p in (0.5, 0.99, 1.0))
        say(f"    {name:26}{len(lateness.sorted_ms):7,}{figures}")
    say(
        "    Postgres stamps a commit just before the disk has it: one durable commit costs\n"
        f"    {commit_ms:.1f} ms here (median of {COMMITS}). A job that runs every minute would be"
        " 30 s late on average."
    )
    say(
        f"\n  released early: {account.early}   lost: {account.not_released}"
        f"   touched although bought, cancelled or kept: {account.wrong}"
    )
    say(f"  stock adds up: {'no' if account.stock_error else 'yes'}")


def run() -> int:
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        say("reservation-sweeper: a demonstration that takes about 20 seconds\n")
        demo = Demo(stack)
        demo.start_servers()
        commit_ms = commit_cost_ms(demo.db)
        demo.start_sweeper()
        say(
            f"\n  A shop of {PRODUCTS} products opens for {SHOPPING_S:.0f} s: about {RATE_PER_S}"
            f" reservations a second, held for {HOLD_S[0]:.0f} to {HOLD_S[1]:.0f} s.\n"
            "  Some are bought, cancelled or extended; the rest is left to expire. Half come\n"
            "  through an API that tells Redis, half through one that knows nothing of Redis and\n"
            "  leaves that to the sweeper's feed.\n"
        )
        demo.open_shop()
        demo.watch()
        account = demo.close_account()
        show(account, commit_ms)
        if KEEP:
            demo.stay()
        ignore_signals()
    for problem in account.problems:
        say(f"\n  FAILED: {problem}")
    if account.problems:
        return 1
    say(
        f"\n  Nothing late (p99 above {LATE_P99_MS:.0f} ms would be), lost or released early."
        f" {time.monotonic() - began:.0f} s, all cleaned up."
    )
    if not KEEP:
        say(
            "  A sweeper has a page, too: http://127.0.0.1:9464/ where nothing else is set. To see\n"
            "  it with this shop: make demo KEEP=1"
        )
    return 0


def main() -> int:
    for signo in SIGNALS:
        signal.signal(signo, on_signal)
    try:
        return run()
    except Interrupted as interrupted:
        say(f"\n  {interrupted}: stopped, all cleaned up.")
        return 128 + interrupted.signo
    except (AssertionError, OSError, RuntimeError, psycopg.Error, redis_py.RedisError) as error:
        say(f"\n  FAILED: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
