"""A small shop's customers: they reserve, and later buy, cancel, ask for more time, or walk away.

Every second customer comes through an API that mirrors to Redis what it does, the others through
one that has never heard of Redis.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import redis as redis_py

from harness import shop

PENDING = "{reservations}:pending"
CUSTOMERS = 4
RATE_PER_S = 300
QUIET_RATE_PER_S = 20  # while somebody looks at the page
SHOPPING_S = 12.0
HOLD_S = (2.0, 4.0)
DECIDES_AT = (0.2, 0.6)  # of the hold
MORE_TIME_S = (2.0, 3.0)
KEPT_S = 900.0
# The longest life of a reservation that is left to expire.
TAIL_S = HOLD_S[1] * DECIDES_AT[1] + MORE_TIME_S[1]

# What a customer means to do, and how many of a hundred do.
INTENTIONS = {"commit": 20, "cancel": 10, "extend": 10, "keep": 5, "leave": 55}


@dataclass
class Reservation:
    id: str
    mirrored: bool
    # What the shop knows of its end: committed, cancelled, kept, or expired.
    fate: str = "expired"
    extended: bool = False


class Customer(threading.Thread):
    """One of the API's connections, at work for a time and until its customers have decided."""

    def __init__(
        self, number: int, db: psycopg.Connection, redis: redis_py.Redis, products: list[str],
        shopping_s: float = SHOPPING_S, rate_per_s: float = RATE_PER_S,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self.number = number
        self.db = db
        self.redis = redis
        self.products = products
        self.shopping_s = shopping_s
        self.period_s = CUSTOMERS / rate_per_s
        self.random = random.Random(number)
        self.reservations: list[Reservation] = []
        self.tally: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self._plans: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # told by the main thread
            self.error = error

    def _plan(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._plans, (at, len(self.reservations), what))

    def _work(self) -> None:
        arrival = time.monotonic() + self.period_s * self.number / CUSTOMERS
        end = arrival + self.shopping_s
        while arrival < end:
            self._decisions_until(arrival)
            if self.stopping.is_set():
                return
            self._reserve()
            # On a slow machine fewer come: those who are there decide first.
            arrival = max(arrival + self.period_s, time.monotonic())
        self._decisions_until(float("inf"))

    def _decisions_until(self, moment: float) -> None:
        while not self.stopping.is_set():
            at = min(self._plans[0][0] if self._plans else float("inf"), moment)
            if at == float("inf"):
                return
            self.stopping.wait(max(at - time.monotonic(), 0.0))
            if at == moment or self.stopping.is_set():
                return
            heapq.heappop(self._plans)[2]()

    def _reserve(self) -> None:
        cart = sorted(self.random.sample(self.products, self.random.choice((1, 1, 1, 2, 3))))
        hold_s = self.random.uniform(*HOLD_S)
        items = [(product, self.random.randint(1, 3)) for product in cart]
        mirrored = (len(self.reservations) + self.number) % 2 == 0
        one = Reservation(shop.reserve(self.db, items, hold_s), mirrored)
        self.reservations.append(one)
        self.tally["reserved"] += 1
        self._mirror(one)
        (intention,) = self.random.choices(list(INTENTIONS), list(INTENTIONS.values()))
        if intention != "leave":
            decides_s = hold_s * self.random.uniform(*DECIDES_AT)
            self._plan(time.monotonic() + decides_s, lambda: getattr(self, "_" + intention)(one))

    def _mirror(self, one: Reservation) -> None:
        """What an API that knows Redis does after its transaction has committed."""
        if not one.mirrored:
            return
        row = self.db.execute(
            "SELECT ceil(extract(epoch FROM max(expires_at)) * 1000)::bigint"
            " FROM inventory_reservations WHERE id = %s",
            (one.id,),
        ).fetchone()
        assert row is not None
        self.redis.zadd(PENDING, {one.id: row[0]})

    def _end(self, one: Reservation, fate: str, done: bool) -> None:
        if not done:  # too late: it expires, as its customer is told
            return
        one.fate = fate
        self.tally[fate] += 1
        if one.mirrored:
            self.redis.zrem(PENDING, one.id)

    def _commit(self, one: Reservation) -> None:
        self._end(one, "committed", shop.commit(self.db, one.id))

    def _cancel(self, one: Reservation) -> None:
        self._end(one, "cancelled", shop.cancel(self.db, one.id))

    def _extend(self, one: Reservation) -> None:
        if shop.extend(self.db, one.id, self.random.uniform(*MORE_TIME_S)):
            one.extended = True
            self.tally["extended"] += 1
            self._mirror(one)

    def _keep(self, one: Reservation) -> None:
        if shop.extend(self.db, one.id, KEPT_S):
            one.fate = "kept"
            one.extended = True
            self.tally["extended"] += 1
            self._mirror(one)
