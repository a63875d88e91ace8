"""A stack for which nothing is set: its secrets are made up, each for one user, and they stay."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from stack import SERVICES, Stack, docker

NAMES = {"postgres-password", "sweeper-pgpass", "sweeper-admin-token", "api-password", "grafana-password"}
USERS = {"sweeper": "10001", "api": "10002", "grafana": "472", "postgres": "0"}


@pytest.fixture(scope="module")
def bare(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With the image of the first stack."""
    bare = Stack(tmp_path_factory.mktemp("bare"), POSTGRES_PASSWORD="", SWEEPER_ADMIN_TOKEN="")
    bare.project = f"{stack.project}-bare"
    try:
        start(bare)
        yield bare
    except BaseException:
        print(bare.tell(("secrets", *SERVICES)))
        raise
    finally:
        bare.down()


def start(bare: Stack, *options: str) -> None:
    bare.compose("up", "-d", *options)
    for service in SERVICES:
        bare.wait_healthy(service)
    bare.password = bare.secret("postgres-password")


def in_postgres(bare: Stack, *command: str, user: str = "0", check: bool = True) -> str:
    container = bare.container("postgres")["Id"]
    return docker("exec", "-u", user, container, *command, check=check).stdout


def secrets(bare: Stack) -> dict[str, str]:
    return {name: bare.secret(name) for name in NAMES}


def test_passwords_are_made_up(bare: Stack) -> None:
    made = secrets(bare)
    passwords = {made[name] for name in NAMES - {"sweeper-pgpass", "api-password"}}
    assert len(passwords) == 3
    assert all(re.fullmatch(r"[0-9a-f]{48}", password) for password in passwords)
    with bare.database() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
    assert bare.get("/readyz")[0] == 200
    assert bare.sweep(made["sweeper-admin-token"]) == 200
    assert bare.sweep("not-the-token-of-it") == 401


def test_each_is_for_one_user(bare: Stack) -> None:
    lines = in_postgres(bare, "sh", "-c", "stat -c '%n %a %u' /run/secrets/*").splitlines()
    found = {name.removeprefix("/run/secrets/"): rest for name, *rest in map(str.split, lines)}
    assert found == {name: ["400", USERS[name.partition("-")[0]]] for name in NAMES}
    token = ("cat", "/run/secrets/sweeper-admin-token")
    assert in_postgres(bare, *token, user=USERS["sweeper"])
    assert not in_postgres(bare, *token, user=USERS["api"], check=False)
    assert not in_postgres(bare, *token, user="postgres", check=False)
    for mount in bare.container("sweeper")["Mounts"]:
        assert not mount["RW"], mount


def test_none_is_told(bare: Stack) -> None:
    told = bare.compose("config").stdout + bare.tell(("secrets", *SERVICES))
    told += json.dumps([bare.container(service) for service in ("secrets", *SERVICES)])
    for name, secret in secrets(bare).items():
        assert secret and secret not in told, name


def test_what_env_gives_is_told_of_the_one_shot_alone(stack: Stack) -> None:
    part = "p@ss"
    for service in SERVICES:
        assert part not in json.dumps(stack.container(service)), service
    assert part in json.dumps(stack.container("secrets"))
    assert stack.container("secrets")["State"]["ExitCode"] == 0
    assert part in stack.secret("postgres-password")


def test_they_stay(bare: Stack) -> None:
    before = secrets(bare)
    start(bare, "--force-recreate")
    assert secrets(bare) == before


def test_a_postgres_with_a_password_of_its_own_goes_on(bare: Stack) -> None:
    """As one that was started with a file that had no secrets."""
    password = bare.password
    bare.compose("down")
    docker("volume", "rm", f"{bare.project}_secrets")
    assert bare.compose("up", "-d", check=False).returncode != 0
    assert "set POSTGRES_PASSWORD in .env" in bare.logs("secrets")
    bare.set(POSTGRES_PASSWORD=password)
    start(bare)
    assert bare.password == password
    with bare.database() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)
