"""How late a release commits, and what that costs: many due a second, and one a second."""

from __future__ import annotations

from collections.abc import Callable

from bed import Bed, settle_down, sleep_until_server, verify
from harness import shop
from measure import percentile
from runner import Figures, Measurement, Medians, Target

PRODUCTS = 1000
# From the reading of the clock to the first expiry: time to prepare it all and to start.
LEAD_S = 8.0
MARGIN_S = 0.5


def one_run(
    bed: Bed, rate_per_s: int, seconds: int, mirrored: bool, settings: list[str]
) -> Figures:
    """Reservations made in advance come due evenly; the machine does nothing else meanwhile."""
    n = rate_per_s * seconds
    with bed.database() as db:
        products = shop.add_products(db, PRODUCTS)
        (first_s,) = db.query(
            "SELECT ceil(extract(epoch FROM clock_timestamp()) + %s)::float8", (LEAD_S,)
        )[0]
        spread = f"to_timestamp({first_s:.0f}) + i * interval '{1 / rate_per_s:f} s'"
        shop.bulk_reserve(db, n, products, expires=spread)
        settle_down(db.conn)
        if mirrored:
            bed.mirror(db)
            settings = [*settings, "--lookahead", "off"]
        with bed.sweeper(db, *settings) as sweeper:
            sleep_until_server(db.conn, first_s - MARGIN_S)
            postgres_s, sweeper_s = bed.postgres_cpu_s(), sweeper.cpu_seconds()
            sleep_until_server(db.conn, first_s + seconds + MARGIN_S)
            postgres_s = bed.postgres_cpu_s() - postgres_s
            sweeper_s = sweeper.cpu_seconds() - sweeper_s
            late_ms = verify(db, bed.redis, n)
        transactions = db.value(
            "SELECT count(DISTINCT xmin::text) FROM inventory_reservations"
            " WHERE status = 'released'"
        )
    return {
        "lateness p50, ms": percentile(late_ms, 0.5),
        "lateness p99, ms": percentile(late_ms, 0.99),
        "lateness max, ms": late_ms[-1],
        "Postgres, cores": postgres_s / (seconds + 2 * MARGIN_S),
        "sweeper, cores": sweeper_s / (seconds + 2 * MARGIN_S),
        "reservations in a transaction": n / int(str(transactions)),
    }


def variant(
    rate_per_s: int, seconds: int, quick_s: int, mirrored: bool, *settings: str
) -> Callable[[Bed, bool], Figures]:
    def run(bed: Bed, quick: bool) -> Figures:
        return one_run(bed, rate_per_s, quick_s if quick else seconds, mirrored, list(settings))

    return run


def limit(name: str, percent: str, ms: float) -> Target:
    return Target(f"{name}: {percent}, ms", lambda m: m[name][f"lateness {percent}, ms"], ms)


def cpu_ratio(paced: str, unpaced: str) -> Target:
    def value(m: Medians) -> float:
        return m[paced]["Postgres, cores"] / m[unpaced]["Postgres, cores"]

    return Target(f"Postgres CPU, {paced} against {unpaced}", value, 0.5)


API_NOW, API_PACED = "API mirrors, --pace 0ms", "API mirrors, default pace"
FEED_NOW, FEED_PACED = "feed alone, --pace 0ms", "feed alone, default pace"

BUSY = Measurement(
    name="busy",
    title="1,000 reservations a second fall due for 20 s",
    variants={
        API_NOW: variant(1000, 20, 5, True, "--pace", "0ms"),
        API_PACED: variant(1000, 20, 5, True),
        FEED_NOW: variant(1000, 20, 5, False, "--pace", "0ms"),
        FEED_PACED: variant(1000, 20, 5, False),
    },
    targets=[
        *(limit(name, "p50", 1.5) for name in (API_NOW, FEED_NOW)),
        *(limit(name, "p99", 5.0) for name in (API_NOW, FEED_NOW)),
        *(limit(name, "p50", 4.0) for name in (API_PACED, FEED_PACED)),
        *(limit(name, "p99", 10.0) for name in (API_PACED, FEED_PACED)),
        cpu_ratio(API_PACED, API_NOW),
        cpu_ratio(FEED_PACED, FEED_NOW),
    ],
)

SPARSE = Measurement(
    name="sparse",
    title="One reservation a second falls due for 30 s",
    variants={
        API_PACED: variant(1, 30, 10, True),
        FEED_PACED: variant(1, 30, 10, False),
    },
    targets=[limit(name, "p50", 2.0) for name in (API_PACED, FEED_PACED)],
)
