"""The stack of docker-compose.yml under a project name of its own, on free ports of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psycopg
import redis as redis_py

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.poll import wait_until  # noqa: E402
from harness.process import free_port  # noqa: E402

ROOT = Path(__file__).parents[2]
SERVICES = ("postgres", "redis", "sweeper")
IMAGE = "reservation-sweeper:test"
TOKEN = "a-token-of-the-tests"
HEALTHY_S = 120.0
NODE_STANDIN = "reservation-sweeper-node:test"
PROMETHEUS_STANDIN = "reservation-sweeper-prometheus:test"
PORTS = ("POSTGRES", "REDIS", "SWEEPER", "API", "PROMETHEUS", "GRAFANA")
# Debian's list of trusted certificates, with those that this machine has added.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

# What a URL, a shell, or a compose file could take for something else. Without ${...}, which
# docker-compose 1.29 expands in .env even in single quotes.
PASSWORD = r"""p@ss:w/rd?#%41 $HOME "q" \ `t` &+=;|<>*ü"""

# The Dockerfiles and the compose file must do without BuildKit.
ENVIRONMENT = {**os.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}


def run(command: list[str | Path], check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert not check or done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done


def docker(*words: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run(["docker", *words], check)


def compose_command() -> list[str]:
    """COMPOSE if it is set, else docker-compose, else `docker compose`."""
    if "COMPOSE" in os.environ:
        return os.environ["COMPOSE"].split()
    return ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


def inspect(name: str) -> dict:
    return json.loads(docker("inspect", name).stdout)[0]


def node_image(folder: Path) -> str:
    """NODE_IMAGE, or the public image where it is there, or one made of Debian's packages."""
    if "NODE_IMAGE" in os.environ:
        return os.environ["NODE_IMAGE"]
    if docker("image", "inspect", "node:22-slim", check=False).returncode == 0:
        return "node:22-slim"
    shutil.copy(ROOT / "tests" / "compose" / "node" / "Dockerfile", folder)
    shutil.copy(CERTIFICATES, folder)
    docker("build", "-t", NODE_STANDIN, folder)
    return NODE_STANDIN


def prometheus_image() -> str:
    """As above. Debian's is an older one, with the same settings."""
    if "PROMETHEUS_IMAGE" in os.environ:
        return os.environ["PROMETHEUS_IMAGE"]
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    (public,) = re.findall(r"^#PROMETHEUS_IMAGE=(.+)$", text, re.M)
    if docker("image", "inspect", public, check=False).returncode == 0:
        return public
    docker("build", "-t", PROMETHEUS_STANDIN, ROOT / "tests" / "compose" / "standins" / "prometheus")
    return PROMETHEUS_STANDIN


class Stack:
    def __init__(self, folder: Path, **settings: str) -> None:
        self.project = f"rs-test-{os.getpid()}"
        self.ports = {name: free_port() for name in PORTS}
        self.env_file = folder / "env"
        self.files = [ROOT / "docker-compose.yml"]
        self.password = PASSWORD
        lines = {
            "POSTGRES_PASSWORD": f"'{PASSWORD}'",
            "SWEEPER_ADMIN_TOKEN": TOKEN,
            "SWEEPER_IMAGE": IMAGE,
            "API_IMAGE": "reservation-sweeper-example-api:test",
            **{f"{name}_PORT": str(port) for name, port in self.ports.items()},
            **settings,
        }
        self.env_file.touch()
        self.set(**lines)

    def set(self, **settings: str) -> None:
        """Of a name that is there twice, the last value counts."""
        with open(self.env_file, "a", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def compose(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        files = [word for path in self.files for word in ("-f", str(path))]
        options = ["-p", self.project, "--env-file", str(self.env_file), *files]
        return run([*compose_command(), *options, *words], check)

    def container(self, service: str) -> dict:
        """What docker inspect says, also of a container that has stopped."""
        labels = f"label=com.docker.compose.project={self.project}"
        service_label = f"label=com.docker.compose.service={service}"
        words = ("ps", "-aq", "--filter", labels, "--filter", service_label)
        (found,) = docker(*words).stdout.split()
        return inspect(found)

    def wait_healthy(self, service: str) -> None:
        def health() -> bool:
            state = self.container(service)["State"]
            assert state["Running"], self.logs(service)
            return state["Health"]["Status"] == "healthy"

        wait_until(health, HEALTHY_S, f"{service} is healthy", step=0.25)

    def logs(self, service: str) -> str:
        done = docker("logs", self.container(service)["Id"])
        return done.stdout + done.stderr

    def database(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.ports["POSTGRES"],
            dbname="shop",
            user="shop",
            password=self.password,
            autocommit=True,
        )

    def secret(self, name: str) -> str:
        postgres = self.container("postgres")["Id"]
        return docker("exec", postgres, "cat", f"/run/secrets/{name}").stdout

    def get(self, path: str, service: str = "SWEEPER") -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.ports[service]}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()

    def sweep(self, token: str) -> int:
        """The status of POST /sweep."""
        url = f"http://127.0.0.1:{self.ports['SWEEPER']}/sweep"
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(url, b"", headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def redis(self) -> redis_py.Redis:
        return redis_py.Redis(port=self.ports["REDIS"], decode_responses=True)

    def down(self) -> None:
        profiles = ("--profile", "demo", "--profile", "monitoring")
        words = (*profiles, "down", "-v", "--remove-orphans")
        # An engine at work with something else may refuse the first time; nothing may stay.
        if self.compose(*words, check=False).returncode != 0:
            self.compose(*words)

    def tell(self, services: Iterable[str]) -> str:
        """The containers' last words, for a report."""
        said = []
        for service in services:
            with contextlib.suppress(ValueError):  # it has no container
                said.append(f"---- {service}\n{self.logs(service)[-4000:]}")
        return "\n".join(said)
