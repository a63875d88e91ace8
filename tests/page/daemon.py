"""A daemon with private servers, for a test of another language: does what each line of its input says,
a JSON array with a name from COMMANDS and what that takes, and answers with a line. Ends with its input."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import shop  # noqa: E402
from harness.database import Database  # noqa: E402
from harness.locks import lock_product, transaction  # noqa: E402
from harness.poll import until_ready  # noqa: E402
from harness.servers import Postgres, Redis  # noqa: E402
from harness.sweeper import Sweeper  # noqa: E402
from harness.web import TOKEN, WITH_TOKEN  # noqa: E402


class Shop:
    def __init__(self, stack: ExitStack) -> None:
        postgres, redis = Postgres(fsync=False), Redis()
        for server in (postgres, redis):
            server.start()
            stack.callback(server.close)
        self.db = Database.create(postgres)
        stack.callback(self.db.drop)
        self.locks = stack.enter_context(ExitStack())
        self.daemon = Sweeper(
            "--feed-interval", "1s", "--lookahead", "5s", "--scan-interval", "2s",
            dsn=self.db.dsn, redis_url=redis.url(), http=True, env=WITH_TOKEN,
        )  # fmt: skip
        stack.callback(self.stop)
        until_ready(self.daemon)

    def reserve(self, product: str, n: int, ttl_s: float) -> list[str]:
        if not self.db.query("SELECT FROM inventory WHERE product_id::text = %s", (product,)):
            shop.add_product(self.db, product)
        return [shop.reserve(self.db, {product: 1}, ttl_s) for _ in range(n)]

    def drift(self, product: str, by: int) -> None:
        """Its counter says that fewer are held than are."""
        self.db.conn.execute(
            "UPDATE inventory SET reserved_stock = reserved_stock - %s, available_stock = available_stock + %s"
            " WHERE product_id::text = %s",
            (by, by, product),
        )

    def lock(self, product: str) -> None:
        self.locks.enter_context(transaction(self.db, lock_product(product)))

    def unlock(self) -> None:
        self.locks.close()

    def stop(self) -> int:
        return self.daemon.stop()


COMMANDS = ("reserve", "drift", "lock", "unlock", "stop")

with ExitStack() as stack:
    served = Shop(stack)
    url = f"http://127.0.0.1:{served.daemon.http_port}/"
    print(json.dumps({"url": url, "token": TOKEN}), flush=True)
    for line in sys.stdin:
        name, *given = json.loads(line)
        assert name in COMMANDS, name
        print(json.dumps(getattr(served, name)(*given)), flush=True)
