"""A shop's API for the torture: busy, and not always careful with Redis."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import psycopg
import redis as redis_py
from bed import Bed
from harness import shop
from harness.database import Database
from redis.exceptions import RedisClusterException


class Api(threading.Thread):
    """Reserves, commits, cancels and extends; sometimes forgets to tell Redis."""

    def __init__(self, bed: Bed, seed: int, rate: float = 80, patience_s: float = 0.0) -> None:
        """rate: what it does in a second, about. patience_s: for how long it leaves a Redis alone that
        has failed; a Cluster's client takes its time to look for the nodes."""
        super().__init__(daemon=True)
        self.bed = bed
        self.rate = rate
        self.patience_s = patience_s
        self.deaf_until = 0.0
        self.dice = random.Random(seed)
        self.halt = threading.Event()
        self.db: Database | None = None
        self.redis = bed.redis_server.client(socket_timeout=0.1, socket_connect_timeout=0.1)
        self.recent: list[str] = []
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        while not self.halt.wait(self.dice.expovariate(self.rate)):
            try:
                if self.db is None:
                    conn = self.bed.db.connect(
                        connect_timeout=1, options="-c statement_timeout=1000"
                    )
                    self.db = Database(self.bed.pg, self.bed.db.name, conn)
                self._act(self.db)
            except (psycopg.Error, shop.OutOfStock):
                if self.db is not None:
                    self.db.conn.close()
                self.db = None

    def _act(self, db: Database) -> None:
        trade = self.bed.trade
        what = self.dice.choices(("reserve", "commit", "cancel", "extend"), (70, 10, 10, 10))[0]
        if what == "reserve" or not self.recent:
            cart = self.dice.sample(self.bed.products, self.dice.choice((1, 1, 1, 3)))
            id = trade.reserve(db, cart, self.dice.uniform(0.1, 2.0))
            self.recent = [*self.recent[-30:], id]
        else:
            id = self.dice.choice(self.recent)
            if what == "commit":
                trade.commit(db, id)
            elif what == "cancel":
                trade.cancel(db, id)
            else:
                trade.extend(db, id, self.dice.uniform(0.1, 2.0))
        self.done[what] += 1
        if self.dice.random() < 0.7 and time.monotonic() >= self.deaf_until:
            self._tell_redis(db, id)

    def _tell_redis(self, db: Database, id: str) -> None:
        try:
            entries = self.bed.trade.due_ms(db, [id])
            if entries:
                self.redis.zadd(self.bed.trade.key("pending"), entries)
            else:
                self.redis.zrem(self.bed.trade.key("pending"), id)
        # redis-py looks for the first of the masters even while a node knows of none.
        except (redis_py.RedisError, RedisClusterException, IndexError):
            self.deaf_until = time.monotonic() + self.patience_s
