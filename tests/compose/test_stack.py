"""docker-compose.yml, the image and the example, as an operator meets them."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
from pathlib import Path

import pytest
from harness import shop
from harness.poll import wait_until
from stack import IMAGE, PASSWORD, ROOT, SERVICES, TOKEN, Stack, docker, inspect, run

PENDING = "{reservations}:pending"
ABOVE_BASE_MAX_B = 60_000_000
DOCKERS_PATIENCE_S = 10.0


def ready(stack: Stack) -> dict:
    return json.loads(stack.get("/readyz")[1])


def test_every_variable_is_in_the_example() -> None:
    root = Path(__file__).parents[2]
    text = (root / "docker-compose.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text)) | set(re.findall(r"^ +(SWEEPER_\w+):$", text, re.M))
    example = (root / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.M))
    assert set(shown) == used
    for name, default in set(re.findall(r"\$\{(\w+):-([^}]*)\}", text)):
        assert shown[name] == default, name


def test_the_sweeper_is_ready_with_any_password(stack: Stack) -> None:
    assert stack.get("/healthz")[0] == 200
    assert stack.get("/readyz")[0] == 200
    assert "reservation_sweeper_" in stack.get("/metrics")[1]


def test_the_settings_are_good(stack: Stack) -> None:
    sweeper = stack.container("sweeper")["Id"]
    done = docker("exec", sweeper, "/usr/local/bin/reservation-sweeper", "--check-config")
    assert "FAIL" not in done.stdout + done.stderr
    notes = [line for line in done.stdout.splitlines() if line.startswith("note")]
    # Of the address: it is published on loopback alone, which the sweeper cannot know. None of schema or Redis.
    assert [note for note in notes if "SWEEPER_READ_TOKEN" not in note] == []


def test_settings_of_the_env_file_reach_it(stack: Stack) -> None:
    assert stack.sweep(TOKEN) == 200
    pid = stack.container("sweeper")["State"]["Pid"]
    assert "SWEEPER_WORKERS" not in Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")


def test_it_can_be_put_beside_an_existing_stack(stack: Stack) -> None:
    password = urllib.parse.quote(PASSWORD, safe="")
    servers = (
        f"-eDATABASE_URL=postgresql://shop:{password}@postgres/shop",
        "-eREDIS_URL=redis://redis:6379/0",
    )
    network = ("--network", f"{stack.project}_default")
    done = docker("run", "--rm", "--read-only", *network, *servers, IMAGE, "--once", "--dry-run")
    assert '"message":"Cleanup job completed"' in done.stdout


def test_it_logs_json_and_no_password(stack: Stack) -> None:
    logs = stack.logs("sweeper")
    assert all(line.startswith('{"timestamp":') for line in logs.splitlines())
    assert "p@ss" not in logs


def assert_limited(stack: Stack, service: str) -> None:
    host = stack.container(service)["HostConfig"]
    assert host["Memory"] > 0, service
    assert host["PidsLimit"] > 0, service
    assert host["ReadonlyRootfs"], service
    assert host["CapDrop"] == ["ALL"], service
    assert host["SecurityOpt"] == ["no-new-privileges:true"], service


def test_all_is_on_loopback_limited_and_restarted(stack: Stack) -> None:
    for service in SERVICES:
        host = stack.container(service)["HostConfig"]
        addresses = [b["HostIp"] for bindings in host["PortBindings"].values() for b in bindings]
        assert addresses == ["127.0.0.1"], service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        assert_limited(stack, service)


def test_the_sweeper_has_no_rights(stack: Stack) -> None:
    container = stack.container("sweeper")
    assert not container["HostConfig"]["CapAdd"]
    assert container["Config"]["User"] == "10001:10001"
    status = Path(f"/proc/{container['State']['Pid']}/status").read_text(encoding="ascii")
    assert re.search(r"^Uid:(\s+10001){4}$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)


def test_redis_keeps_what_it_has(stack: Stack) -> None:
    with stack.redis() as redis:
        assert redis.config_get("appendonly")["appendonly"] == "yes"
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


@pytest.mark.parametrize("mirrored", [True, False], ids=["mirrored", "fed"])
def test_a_reservation_is_released(stack: Stack, mirrored: bool) -> None:
    with stack.database() as db, stack.redis() as redis:
        product = shop.add_product(db, stock=10)
        id = shop.reserve(db, {product: 3}, ttl_s=2)
        if mirrored:
            (due_ms,) = db.execute(
                "SELECT ceil(extract(epoch FROM expires_at) * 1000)::bigint"
                " FROM inventory_reservations WHERE id = %s",
                (id,),
            ).fetchone()
            redis.zadd(PENDING, {id: due_ms})
        assert shop.stock(db, product) == (10, 7, 3)
        # A hold that is shorter than the feed's interval and not mirrored waits for the feed.
        limit_s = 5 if mirrored else 30
        wait_until(lambda: shop.stock(db, product) == (10, 10, 0), limit_s, "the stock is back")
        early = db.execute(
            "SELECT count(*) FROM inventory_reservations"
            " WHERE id = %s AND (status <> 'released' OR updated_at < expires_at)",
            (id,),
        ).fetchone()
        assert early == (0,)
        wait_until(lambda: redis.zscore(PENDING, id) is None, what="forgotten by Redis")


def test_the_image_is_small_and_needs_no_shell(stack: Stack) -> None:
    image = inspect(IMAGE)
    base = inspect("debian:trixie-slim")
    assert image["RootFS"]["Layers"][0] == base["RootFS"]["Layers"][0]
    above_b = image["Size"] - base["Size"]
    print(f"image: {above_b / 1e6:.1f} MB above its base")
    assert above_b < ABOVE_BASE_MAX_B

    config = image["Config"]
    assert config["Entrypoint"] == ["/usr/local/bin/reservation-sweeper"]
    assert not config["Cmd"]
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["StopSignal"] == "SIGTERM"


def test_the_image_says_what_it_is(tmp_path: Path) -> None:
    """That of `make image`, with what the program in it says of itself, and what it is made of."""
    named = f"{IMAGE}-labels"
    words = ["make", "-C", ROOT, f"IMAGE={named}", "REVISION=0123456789ab", "SOURCE=https://example.com/sweeper"]
    run([*words, f"BUILD={tmp_path}", "image", "image-sbom"])
    try:
        labels = inspect(named)["Config"]["Labels"]
        start = ("run", "--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", named)
        said = docker(*start, "--version").stdout
        assert labels["org.opencontainers.image.title"] == "reservation-sweeper"
        assert labels["org.opencontainers.image.licenses"] == "MIT"
        assert labels["org.opencontainers.image.revision"] == "0123456789ab"
        assert labels["org.opencontainers.image.source"] == "https://example.com/sweeper"
        version = labels["org.opencontainers.image.version"]
        assert said.startswith(f"reservation-sweeper {version} (revision 0123456789ab, ")
        run([*words, f"RELEASE_IMAGE={named}", "release-check"])
        made = json.loads((tmp_path / "image.spdx.json").read_text())
        names = {package["name"] for package in made["packages"]}
        assert {"reservation-sweeper", "libpq5", "libhiredis1.1.0", "libc6", "ca-certificates"} <= names
    finally:
        docker("image", "rm", named)


def test_a_wrong_label_is_not_built() -> None:
    done = docker("build", "--force-rm", "--build-arg", "VERSION=0.0.1", ROOT, check=False)
    assert done.returncode != 0
    assert "make print-version" in done.stdout + done.stderr


def test_a_wrong_setting_is_told() -> None:
    start = ("run", "--rm", "--read-only", "--network", "none", "--cap-drop", "ALL", IMAGE)
    done = docker(*start, "--batch-size=0", check=False)
    assert done.returncode == 2
    assert "--batch-size" in done.stderr


def test_data_survives_new_containers(stack: Stack) -> None:
    with stack.database() as db, stack.redis() as redis:
        product = shop.add_product(db, stock=5)
        redis.set("mark", "kept")
    stack.compose("up", "-d", "--force-recreate")
    for service in SERVICES:
        stack.wait_healthy(service)
    with stack.database() as db, stack.redis() as redis:
        assert shop.stock(db, product) == (5, 5, 0)
        assert redis.get("mark") == "kept"


def test_the_sweeper_meets_servers_that_restart(stack: Stack) -> None:
    for service in ("postgres", "redis"):
        stack.compose("restart", service)
        stack.wait_healthy(service)
    with stack.database() as db:
        product = shop.add_product(db, stock=10)
        shop.reserve(db, {product: 1}, ttl_s=1)
        wait_until(lambda: shop.stock(db, product) == (10, 10, 0), 30, "released after a restart")
    wait_until(lambda: not ready(stack)["degraded"], 30, "it works with Redis again")
    assert stack.container("sweeper")["RestartCount"] == 0


def test_the_demo_shows_releases(demo: Stack) -> None:
    told = r"cart \w{8} RELEASED by the sweeper, (\d+) ms after its time: \d+ back on the shelf"
    found = wait_until(
        lambda: re.findall(told, demo.logs("shopper")), 60, "a cart's release is told", step=0.5
    )
    assert int(found[0]) < 1000
    assert "STILL HELD" not in demo.logs("shopper")
    assert "failed" not in demo.logs("shopper")
    assert "not mirrored" not in demo.logs("api")
    for service in ("api", "shopper"):
        assert_limited(demo, service)


# Connects to each HOST:PORT of its arguments, and prints which of them took it.
CONNECT = """
const net = require('net');
for (const address of process.argv.slice(1)) {
    const [host, port] = address.split(':');
    const socket = net.connect({ host, port, timeout: 2000 });
    socket.on('connect', () => { console.log(address); socket.destroy(); });
    socket.on('timeout', () => socket.destroy());
    socket.on('error', () => {});
}
"""


def reached(stack: Stack, service: str, addresses: list[str]) -> set[str]:
    container = stack.container(service)["Id"]
    return set(docker("exec", container, "node", "-e", CONNECT, *addresses).stdout.split())


def test_the_shopper_reaches_the_api_alone(demo: Stack) -> None:
    servers = {"postgres": 5432, "redis": 6379, "sweeper": 9464}
    addresses = [f"{name}:{port}" for name, port in servers.items()]
    for name, port in servers.items():
        networks = demo.container(name)["NetworkSettings"]["Networks"]
        addresses += [f"{network['IPAddress']}:{port}" for network in networks.values()]
    assert reached(demo, "api", addresses) >= {"postgres:5432", "redis:6379"}
    assert reached(demo, "shopper", ["api:3000", *addresses]) == {"api:3000"}


def test_all_stops_in_order(demo: Stack) -> None:
    with demo.database() as db:
        product = shop.add_product(db, stock=100_000)
        shop.bulk_reserve(db, 20_000, [product])  # at work when it is told to stop
    start = time.monotonic()
    demo.compose("stop", "sweeper")
    assert time.monotonic() - start < DOCKERS_PATIENCE_S
    assert demo.container("sweeper")["State"]["ExitCode"] == 0
    with demo.database() as db:
        torn = db.execute(
            "SELECT reserved_stock - (SELECT count(*) FROM inventory_reservations AS r"
            " WHERE r.product_id = i.product_id AND status = 'active')"
            " FROM inventory AS i WHERE product_id = %s",
            (product,),
        ).fetchone()
        assert torn == (0,)
    demo.compose("--profile", "demo", "stop")
    for service in (*SERVICES, "api", "shopper"):
        assert demo.container(service)["State"]["ExitCode"] == 0, demo.logs(service)
