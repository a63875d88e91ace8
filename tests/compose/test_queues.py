"""A queues file in the stack, as deploy/README.md says: its override, its commands, its warning."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.poll import wait_until
from stack import ROOT, SERVICES, Stack, docker

PROGRAM = "/usr/local/bin/reservation-sweeper"


def block(language: str) -> str:
    """The page's block of code of this language that is about the queues file."""
    page = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    page = page.partition("\n### With a queues file\n")[2].partition("\n## ")[0]
    return re.search(rf"^```{language}\n(.*?)^```", page, flags=re.M | re.S)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page calls ./shop."""
    folder = tmp_path_factory.mktemp("shop")
    (line,) = re.findall(r"^mkdir shop && cp (.*) shop/$", block("sh"), flags=re.M)
    for file in line.split():
        shutil.copy(ROOT / file, folder)
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def shop(stack: Stack, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, since its Postgres is new; the image is that of the first."""
    shop = Stack(tmp_path_factory.mktemp("queues"))
    shop.project = f"{stack.project}-queues"
    override = folder.parent / "docker-compose.override.yml"
    override.write_text(block("yaml").replace("./shop", str(folder)), encoding="utf-8")
    shop.files.append(override)
    try:
        shop.compose("up", "-d")
        for service in SERVICES:
            shop.wait_healthy(service)
        yield shop
    except BaseException:
        print(shop.tell(SERVICES))
        raise
    finally:
        shop.down()


def test_the_file_is_good(shop: Stack) -> None:
    done = docker("exec", shop.container("sweeper")["Id"], PROGRAM, "--check-config")
    assert "ok    statements: all are accepted (EXPLAIN)" in done.stdout
    assert "FAIL" not in done.stdout


def reserve(shop: Stack) -> int:
    """An order with a hold that ends in a second."""
    with shop.database() as db:
        db.execute("INSERT INTO inventory_stocks VALUES (1, 1, 5, 0) ON CONFLICT DO NOTHING")
        db.execute("UPDATE inventory_stocks SET quantity_reserved = quantity_reserved + 2")
        (order,) = db.execute("INSERT INTO orders DEFAULT VALUES RETURNING id").fetchone()
        db.execute(
            "INSERT INTO inventory_reservations VALUES"
            " (%s, 1, 1, 2, 'RESERVED', now() AT TIME ZONE 'UTC' + interval '1 s')",
            (order,),
        )
    return order


def wait_for(shop: Stack, order: int, status: str) -> None:
    """Its stock is back, and `also` has run: in one transaction."""
    reserved = "SELECT sum(quantity_reserved) FROM inventory_stocks"
    asked = f"SELECT status, ({reserved}) FROM orders WHERE id = %s"
    with shop.database() as db:
        wait_until(
            lambda: db.execute(asked, (order,)).fetchone() == (status, 0), 30, f"the order is {status}"
        )


def test_its_holds_are_released(shop: Stack) -> None:
    wait_for(shop, reserve(shop), "EXPIRED")


def hang_up(shop: Stack) -> None:
    """The page's command, for this stack."""
    (line,) = re.findall(r"^sudo (kill -HUP .*)$", block("sh"), flags=re.M)
    inner = '"$(docker compose ps -q sweeper)"'
    assert inner in line
    command = line.replace(inner, shop.container("sweeper")["Id"])
    subprocess.run(["bash", "-c", command], check=True)


def test_a_file_that_is_replaced_is_read_anew(shop: Stack, folder: Path) -> None:
    text = (folder / "queues.yaml").read_text(encoding="utf-8")
    fresh = folder / "queues.yaml.new"
    fresh.write_text(text.replace("status = 'EXPIRED'", "status = 'CANCELLED'"), encoding="utf-8")
    fresh.rename(folder / "queues.yaml")  # as editors do
    hang_up(shop)
    wait_until(lambda: '"message":"Reloaded"' in shop.logs("sweeper"), 30, "it is reloaded")
    (told,) = [json.loads(n) for n in shop.logs("sweeper").splitlines() if '"Reloaded"' in n]
    assert told["changed"] == 1
    wait_for(shop, reserve(shop), "CANCELLED")


def test_it_is_restarted_after_the_signal(shop: Stack) -> None:
    """An engine takes a `docker kill` of any signal for a stop that is meant; the page's is none."""
    pid = shop.container("sweeper")["State"]["Pid"]
    subprocess.run(["kill", "-KILL", str(pid)], check=True)
    wait_until(lambda: shop.container("sweeper")["RestartCount"] == 1, 30, "it is restarted")
    shop.wait_healthy("sweeper")
