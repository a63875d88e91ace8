"""Who may read and change what over HTTP, what is said of those who may not, and that no core holds a
password."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from harness.database import Database
from harness.poll import until_ready
from harness.process import free_port
from harness.sweeper import Start, binary
from harness.web import TOKEN

READ_TOKEN = "read-only-battery-staple"
BOTH = {"SWEEPER_ADMIN_TOKEN": TOKEN, "SWEEPER_READ_TOKEN": READ_TOKEN}
REFUSED = "Requests over HTTP had no valid token"
OPEN = "Without SWEEPER_READ_TOKEN whoever reaches"
WRITES_CORES = "an ordinary process"


def test_a_token_to_read(sweeper: Start) -> None:
    """/status and /metrics want one of the two; probes and the page never do."""
    daemon = sweeper(http=True, env=BOTH)
    until_ready(daemon)
    for path in ("/status", "/metrics"):
        given = [daemon.http(path, token=token)[0] for token in (None, READ_TOKEN[:-1], READ_TOKEN, TOKEN)]
        assert given == [401, 401, 200, 200], path
    for path in ("/", "/page.css", "/page.js", "/healthz", "/readyz"):
        assert daemon.http(path)[0] == 200, path
    assert daemon.http("/sweep", "POST", token=READ_TOKEN)[0] == 401
    assert daemon.http("/sweep", "POST", token=TOKEN)[0] == 200


def test_only_the_token_to_read(sweeper: Start) -> None:
    """It changes nothing: there is no other."""
    daemon = sweeper(http=True, env={"SWEEPER_READ_TOKEN": READ_TOKEN})
    until_ready(daemon)
    assert daemon.http("/status", token=READ_TOKEN)[0] == 200
    assert daemon.http("/status")[0] == 401
    assert daemon.http("/sweep", "POST", token=READ_TOKEN)[0] == 403


def test_the_token_to_read_is_rotated(sweeper: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(READ_TOKEN + "\n", encoding="utf-8")
    daemon = sweeper(http=True, env={"SWEEPER_READ_TOKEN_FILE": str(file)})
    until_ready(daemon)
    assert daemon.http("/status", token=READ_TOKEN)[0] == 200
    file.with_suffix(".new").write_text("another-" + READ_TOKEN, encoding="utf-8")
    file.with_suffix(".new").rename(file)
    assert daemon.http("/status", token=READ_TOKEN)[0] == 401
    assert daemon.http("/status", token="another-" + READ_TOKEN)[0] == 200
    assert READ_TOKEN not in str(daemon.records)


def test_requests_without_a_token_are_logged_once(sweeper: Start) -> None:
    """The first at once; those of the next minute when it is over, which test_http.c looks at."""
    daemon = sweeper(http=True, env=BOTH)
    until_ready(daemon)
    for _ in range(20):
        assert daemon.http("/status")[0] == 401
        assert daemon.http("/sweep", "POST", token="guess-" * 5)[0] == 401
    assert daemon.stop() == 0
    [record] = daemon.find(REFUSED)
    assert (record["level"], record["count"], record["path"]) == ("WARN", 1, "/status")
    assert record["address"] == "127.0.0.1"
    assert "guess" not in str(daemon.records) and READ_TOKEN not in str(daemon.records)


@pytest.mark.parametrize(
    ("host", "tokens", "said"),
    [
        ("0.0.0.0", {}, 1),
        ("", {"SWEEPER_ADMIN_TOKEN": TOKEN}, 1),
        ("0.0.0.0", BOTH, 0),
        ("127.0.0.1", {}, 0),
        ("localhost", {}, 0),
    ],
)
def test_an_address_that_others_reach(sweeper: Start, host: str, tokens: dict[str, str], said: int) -> None:
    daemon = sweeper(env={"SWEEPER_HTTP_LISTEN": f"{host}:{free_port()}", **tokens})
    daemon.wait_for_record("Postgres connected")
    assert daemon.stop() == 0
    records = daemon.find(OPEN)
    assert [record["level"] for record in records] == ["WARN"] * said


@pytest.fixture
def program(tmp_path: Path) -> Iterator[str]:
    """Where everybody may execute it."""
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    yield shutil.copy(binary(), tmp_path / "program")


@pytest.mark.parametrize("died_of", [signal.SIGABRT, signal.SIGQUIT, signal.SIGSEGV])
def test_no_core_is_written(db: Database, program: str, tmp_path: Path, died_of: signal.Signals) -> None:
    """As a user that is not root: the kernel gives the files of a process that has no cores to root."""
    user = "nobody" if os.geteuid() == 0 else None
    cores = tmp_path / "cores"
    cores.mkdir(mode=0o777)
    cores.chmod(0o777)
    limits = ["prlimit", "--core=unlimited"]
    owners, dumped = {}, {}
    for name, command in ((WRITES_CORES, ["sleep", "60"]), ("ours", [program, "--http-listen", ""])):
        env = {"PATH": os.environ["PATH"], "DATABASE_URL": db.dsn, "REDIS_URL": "redis://127.0.0.1:1"}
        env["ASAN_OPTIONS"] = "handle_segv=0"  # AddressSanitizer would end the process in its own way
        child = subprocess.Popen(
            [*limits, *command], env=env, user=user, cwd=cores, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=partial(signal.signal, died_of, signal.SIG_DFL),  # which a shell's & ignores
        )  # fmt: skip
        try:
            if name == "ours":
                assert child.stdout and b"Started" in child.stdout.readline()
            owners[name] = os.stat(f"/proc/{child.pid}/environ").st_uid
            child.send_signal(died_of)
            _, status = os.waitpid(child.pid, 0)
            child.returncode = -os.WTERMSIG(status)
            assert os.WTERMSIG(status) == died_of
            dumped[name] = os.WCOREDUMP(status)
        finally:
            child.kill()
            child.communicate()
    assert owners["ours"] == 0 and owners[WRITES_CORES] != 0
    assert not dumped["ours"], "a core was written"
    assert len(list(cores.iterdir())) <= dumped[WRITES_CORES]
