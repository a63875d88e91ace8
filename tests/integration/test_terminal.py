"""What the program looks like on a terminal: help, colours, one line a failure, how far it has come."""

from __future__ import annotations

import re
import signal
import subprocess
import unicodedata
from typing import Any

import pytest
from harness import shop
from harness.database import Database
from harness.locks import lock_product, transaction
from harness.poll import holds, wait_until, within
from harness.servers import Redis
from harness.sweeper import Run, run_once
from harness.terminal import COLOUR, KNOWN, on_terminal

NOWHERE = "postgresql://127.0.0.1:1/none"


def whole(*args: str, **options: Any) -> tuple[int, str, list[str]]:
    """Its status, all that it wrote, and the lines that stand there in the end."""
    with on_terminal(*args, **options) as (child, terminal):
        status = child.wait(within(30))
        terminal.ended()
        return status, terminal.text, terminal.lines()


# ---- help and colours -----------------------------------------------------------------------------


def test_help_fits() -> None:
    status, text, lines = whole("--help")
    assert status == 0 and max(map(len, lines)) <= 80
    assert all(unicodedata.category(c) != "Cc" for c in KNOWN.sub("", text))
    assert "\x1b[1mMost used\x1b[0m:" in text and "\x1b[1m--once\x1b[0m" in text


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}], ids=str)
def test_no_colours(env: dict[str, str]) -> None:
    for mode in ("--help", "--status"):
        _, text, _ = whole(mode, dsn=NOWHERE, redis_url="redis://127.0.0.1:1", **env)
        assert text and "\x1b" not in text


def test_no_colours_in_a_pipe() -> None:
    assert "\x1b" not in run_once("--help", env={"TERM": "xterm"}).stdout
    with on_terminal("--once", dsn=NOWHERE, stderr=subprocess.PIPE) as (child, _):
        _, said = child.communicate(timeout=within(20))
        assert b"ERROR" in said and b"\x1b" not in said and b"\r" not in said


def test_verdicts_are_coloured(db: Database, redis_server: Redis) -> None:
    status, text, _ = whole("--check-config", dsn=db.dsn, redis_url=redis_server.url())
    assert status == 0 and "\x1b[32mok  \x1b[0m  settings" in text, text
    db.conn.execute("DROP TABLE inventory_reservations")
    status, text, _ = whole("--check-config", dsn=db.dsn, redis_url=redis_server.url())
    assert status == 1 and "\x1b[31mFAIL\x1b[0m  " in text, text


@pytest.mark.parametrize("mode", ["--once", "--reconcile", "--status", "--healthcheck", "--show-sql", "--init"])
def test_one_line_a_failure(mode: str, redis_server: Redis) -> None:
    """It names what is wrong, and is not said twice."""
    env = {"SWEEPER_HTTP_LISTEN": "127.0.0.1:1"} if mode == "--healthcheck" else {}
    status, text, lines = whole(mode, dsn=NOWHERE, redis_url=redis_server.url(), **env)
    assert status == 1, text
    assert len([line for line in lines if "ERROR" in line]) == 1, lines
    assert "\x1b[31mERROR\x1b[0m" in text
    assert not [line for line in lines if "WARN" in line], lines


# ---- how far it has come --------------------------------------------------------------------------


def shares(bars: list[str]) -> list[int]:
    return [int(re.search(r"(\d+)%", bar)[1]) for bar in bars]


def wait_for_bars(terminal: Any, n: int, what: str) -> None:
    wait_until(lambda: len(terminal.bars()) >= n, within(10), what)


def check_gone(text: str, lines: list[str]) -> None:
    """Nothing of the line is left, and all else stands on lines of its own."""
    assert not [line for line in lines if "%" in line], lines
    assert KNOWN.sub("", text).isprintable()


def test_once_with_a_backlog(db: Database, redis_server: Redis) -> None:
    """It knows how much there is, and is drawn while a lock keeps it waiting."""
    products = shop.add_products(db, 2, 100_000)
    shop.bulk_reserve(db, 40_000, products)  # so that it is drawn between the count and the end
    with transaction(db, lock_product(products[0])):
        with on_terminal("--once", dsn=db.dsn, redis_url=redis_server.url()) as (child, terminal):
            wait_for_bars(terminal, 6, "it goes on")
            wait_until(lambda: "locked by others" in terminal.text, within(10), "it says what it waits for")
            assert shares(terminal.bars()) == sorted(shares(terminal.bars()))
            child.send_signal(signal.SIGINT)
            assert child.wait(within(20)) == 1
            terminal.ended()
            check_gone(terminal.text, terminal.lines())
    assert any(re.search(r"[\d,]+ of 40,000", bar) for bar in terminal.bars()), terminal.bars()
    assert max(map(len, terminal.bars())) < 80
    assert "stopped by a signal" in terminal.text


def test_it_is_as_wide_as_the_terminal(db: Database, redis_server: Redis) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-10)
    with transaction(db, lock_product(product)):
        with on_terminal("--once", dsn=db.dsn, redis_url=redis_server.url(), columns=120) as (child, terminal):
            wait_for_bars(terminal, 2, "a wide one")
            wait_until(lambda: any(60 < len(bar) < 120 for bar in terminal.bars()), 10, "most of it")
            for columns in (40, 8, 200):
                terminal.resize(columns)
                before = len(terminal.bars())
                wait_for_bars(terminal, before + 3, f"{columns} columns")
                assert all(len(bar) < max(columns, 2) for bar in terminal.bars()[before + 2 :])
            assert child.poll() is None
            child.send_signal(signal.SIGTERM)
            child.wait(within(20))
            terminal.ended()
            check_gone(terminal.text, terminal.lines())


def test_reconcile_goes_on(db: Database, redis: Any, redis_server: Redis) -> None:
    """Its phases are weighed: the second look waits, and the share of the whole grows."""
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=50)
    args = ("--reconcile", "--feed-interval", "1s")
    status, text, lines = whole(*args, dsn=db.dsn, redis_url=redis_server.url())
    assert status == 0, text
    check_gone(text, lines)
    bars = re.findall(r"\r\x1b\[J([^\r\n]+)\r(?!\n)", text)
    assert len(bars) >= 6 and any("looking again [" in bar for bar in bars)
    assert shares(bars) == sorted(shares(bars)) and len(set(shares(bars))) > 1
    assert any(re.search(r"\d s left", bar) for bar in bars)
    assert any("missing in Redis" in line for line in lines)
    assert "Reconciliation progress" not in text


def test_rehearse_goes_on(db: Database, redis_server: Redis) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-10)
    db.conn.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(1.2); RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE UPDATE ON inventory_reservations FOR EACH ROW EXECUTE FUNCTION slow()"
    )
    status, text, lines = whole("--rehearse", "1", dsn=db.dsn, redis_url=redis_server.url())
    assert status == 0, text
    check_gone(text, lines)
    assert text.count("rehearsing [") >= 2 and any("1 rehearsed, 1 released" in line for line in lines)


def test_nobody_waits_for_a_terminal_that_stands_still(db: Database, redis_server: Redis) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-10)
    with on_terminal("--once", dsn=db.dsn, redis_url=redis_server.url()) as (child, terminal):
        with transaction(db, lock_product(product)):
            # Nothing is logged from now on, for which it would wait.
            wait_until(lambda: any("locked by others" in bar for bar in terminal.bars()), within(10), "it is drawn")
            terminal.stand_still(True)
            holds(lambda: child.poll() is None, within(0.6), "it would be drawn again, and is still tried")
        wait_until(lambda: shop.count_status(db, "released") == 1, within(10), "it is released")
        terminal.stand_still(False)
        assert child.wait(within(20)) == 0


@pytest.mark.parametrize("where", ["a pipe", "dumb", "among records of JSON"])
def test_nothing_of_it_elsewhere(db: Database, redis_server: Redis, run: Run, where: str) -> None:
    product = shop.add_product(db)
    shop.reserve(db, {product: 1}, ttl_s=-10)
    with transaction(db, lock_product(product)):
        options: dict[str, Any] = {"stderr": subprocess.PIPE} if where == "a pipe" else {"TERM": "dumb"}
        if where == "among records of JSON":
            options = {"SWEEPER_LOG_FORMAT": "json"}
        with on_terminal("--once", dsn=db.dsn, redis_url=redis_server.url(), **options) as (child, terminal):
            _, said = child.communicate(timeout=within(30))
            terminal.ended()
            said = (said or b"").decode() + COLOUR.sub("", terminal.text)
    assert child.returncode == 0 and "Cleanup job completed" in said
    assert "%" not in said and "\x1b" not in said
