"""The command line and the environment, from outside; the parser's own cases are unit tests."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from harness import shop
from harness.database import Database
from harness.servers import Redis
from harness.sweeper import ROOT, Run, binary, environment, run_once

USAGE = {
    "unknown flag": (["--frobnicate"], {}, "--frobnicate"),
    "abbreviated flag": (["--batch", "5"], {}, "--batch"),
    "stray word": (["once"], {}, "once"),
    "missing value": (["--workers"], {}, "--workers"),
    "two modes": (["--once", "--status"], {}, "--status"),
    "modifier without its mode": (["--dry-run"], {}, "--dry-run"),
    "too many workers": (["--workers", "17"], {}, "--workers"),
    "a batch of none": (["--batch-size", "0"], {}, "--batch-size"),
    "a time without a unit": (["--lease", "10"], {}, "--lease"),
    "a time out of range": (["--lease", "1ms"], {}, "--lease"),
    "feed slower than its look-ahead": (["--lookahead", "5s", "--feed-interval", "6s"], {}, "feed"),
    "braces in the prefix": (["--key-prefix", "a{b}"], {}, "--key-prefix"),
    "a wrong level": (["--log-level", "LOUD"], {}, "--log-level"),
    "a variable": ([], {"SWEEPER_BATCH_SIZE": "many"}, "SWEEPER_BATCH_SIZE"),
    "a short token": ([], {"SWEEPER_ADMIN_TOKEN": "short"}, "SWEEPER_ADMIN_TOKEN"),
    "an ORM's URL": (["--database-url", "postgresql://h/d?schema=public"], {}, "schema"),
    "another database": (["--redis-url", "mysql://h/d"], {}, "--redis-url"),
    "no such file": ([], {"DATABASE_URL_FILE": "/nonexistent/url"}, "DATABASE_URL_FILE"),
}


@pytest.mark.parametrize("case", USAGE)
def test_what_is_wrong_is_said_in_one_line(case: str) -> None:
    args, env, named = USAGE[case]
    done = run_once(*args, env=env)
    assert done.status == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("reservation-sweeper: ") and named in line


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    for args, env in (
        (["--redis-url", "redis://:hush-hush@host:99999/0"], {}),
        (["--database-url", "postgresql://u:hush-hush@h/d?pgbouncer=true"], {}),
        ([], {"DATABASE_URL_FILE": "postgresql://u:hush-hush@h/d"}),
        ([], {"SWEEPER_ADMIN_TOKEN": "hush-hush"}),
    ):
        done = run_once(*args, env=env)
        assert done.status == 2 and "hush-hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str) -> None:
    done = run_once(flag, env={"SWEEPER_WORKERS": "not read"})
    assert done.status == 0 and done.stderr == ""
    (line,) = done.stdout.splitlines()
    version = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), flags=re.M)
    assert version is not None
    libraries = r"hiredis [\d.]+, libpq [\d.]+, libevent \S+"
    assert re.fullmatch(rf"reservation-sweeper {re.escape(version[1])} \((revision \S+, )?{libraries}\)", line)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag: str) -> None:
    done = run_once(flag, env={"SWEEPER_WORKERS": "not read"})
    assert done.status == 0 and done.stderr == ""
    for word in ("--once", "--check-config", "--workers", "SWEEPER_WORKERS", "DATABASE_URL_FILE"):
        assert word in done.stdout


def test_the_manual_agrees_with_help() -> None:
    """The same modes, modifiers and settings, with the same defaults."""
    text = run_once("--help").stdout
    page = (ROOT / "docs" / "reservation-sweeper.1").read_text(encoding="utf-8")
    flags = set(re.findall(r"^  (?:-\w, )?--([\w-]+)", text, re.M))
    assert flags == set(re.findall(r"^\.It (?:Fl \w , )?Fl -([\w-]+)", page, re.M))
    settings = re.findall(
        r"^  --([\w-]+) [A-Z]+ +(\w+)(?:.|\n(?!  -))*?;\s+default:\s+(.*)$", text, re.M
    )
    shown = re.findall(
        r"^\.It Fl -([\w-]+) Ar \S+ , Ev (\w+)\n(?:[^.].*\n)*?The default is(?:\n\.Ql)? (.*)$",
        page,
        re.M,
    )
    assert [pair[:2] for pair in settings] == [pair[:2] for pair in shown]
    for (flag, _, default), (_, _, of_page) in zip(settings, shown, strict=True):
        assert default.split(" ")[0].rstrip(".") == of_page.split(" ")[0].rstrip("."), flag
    assert len(settings) > 15


def test_a_flag_wins_over_its_variable(db: Database, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    env = {"SWEEPER_SERVICE_NAME": "from-env", "DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"}
    done = run("--once", "--service-name", "from-flag", "--database-url", db.dsn, env=env, dsn=None)
    assert done.status == 0
    assert {r["service"] for r in done.records} == {"from-flag"}


def test_an_api_shares_its_environment(db: Database, run: Run) -> None:
    """DB_* and REDIS_* where the URLs are not set; they win over PG*."""
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    env = {
        "DB_HOST": "127.0.0.1",
        "DB_PORT": str(db.server.port),
        "DB_NAME": db.name,
        "DB_USER": db.server.user,
        "DB_PASSWORD": db.server.password,
        "PGPORT": "1",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": "1",
        "LOG_LEVEL": "WARN",
    }
    done = run("--once", dsn=None, redis_url=None, env=env)
    assert done.status == 0 and shop.statuses(db) == {"released": 1}
    (record,) = done.records
    assert record["level"] == "WARN" and record["redis"] == "127.0.0.1:1/0"


def test_libpqs_own_variables(db: Database, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    env = {
        "PGHOST": str(db.server.socket_dir),
        "PGPORT": str(db.server.port),
        "PGDATABASE": db.name,
        "PGUSER": db.server.user,
        "PGPASSWORD": db.server.password,
    }
    assert run("--once", dsn=None, env=env).status == 0
    assert shop.statuses(db) == {"released": 1}


def test_secrets_in_files(db: Database, tmp_path: Path, run: Run) -> None:
    shop.reserve(db, {shop.add_product(db): 1}, ttl_s=-1)
    file = tmp_path / "url"
    file.write_text(db.dsn + "\n", encoding="utf-8")
    assert run("--once", dsn=None, env={"DATABASE_URL_FILE": str(file)}).status == 0
    assert shop.statuses(db) == {"released": 1}


@pytest.mark.parametrize("mode", ["--help", "--version", "--status", "--check-config"])
def test_nobody_can_read_what_is_printed(
    mode: str, db: Database, redis_server: Redis
) -> None:
    """A full disk behind standard output is a failure, and is said."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [binary(), mode],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(db.dsn, redis_server.url(), {}),
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr.splitlines()[-1]


def test_a_reader_that_has_seen_enough() -> None:
    """Nothing is said when it closes its pipe, as head does."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [binary(), "--help"], stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=30, check=False
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")
