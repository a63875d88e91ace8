"""The package's life on a fresh machine, in order: built, installed, set up, upgraded, removed, purged."""

from __future__ import annotations

import re

from conftest import Debian
from harness.poll import wait_until
from machine import Machine

NAME = "reservation-sweeper"
SETTINGS = f"/etc/default/{NAME}"
QUEUES = f"/etc/{NAME}/queues.yaml"
EXAMPLES = f"/usr/share/doc/{NAME}/examples"
PASSWORD = "a long one"
APT = ("apt-get", "-q", "-y", "--no-install-recommends")


def state(machine: Machine) -> dict[str, str]:
    shown = machine("systemctl", "show", NAME, "--property=ActiveState,MainPID,UnitFileState,LoadState,User")
    return dict(line.split("=", 1) for line in shown.splitlines())


def psql(machine: Machine, sql: str) -> str:
    return machine("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "shop", "-c", sql)


def journal(machine: Machine) -> str:
    return machine("journalctl", "-q", "-o", "cat", "-u", NAME)


def release(machine: Machine) -> None:
    """Spree deletes what has expired, and writes an event for others."""
    order = int(psql(machine, "SELECT 1 + count(*) FROM spree_outbox"))
    psql(
        machine,
        "INSERT INTO spree_stock_reservations (line_item_id, order_id, quantity, expires_at) "
        f"VALUES (7, {order}, 2, (now() + interval '1 second') AT TIME ZONE 'UTC')",
    )
    told = f"SELECT payload->>'quantity' FROM spree_outbox WHERE payload->>'order_id' = '{order}'"
    try:
        wait_until(lambda: psql(machine, told) == "2\n", 30, "released", step=0.1)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.attempt('systemctl', 'status', NAME).stdout}") from None
    assert psql(machine, "SELECT count(*) FROM spree_stock_reservations") == "0\n"


def test_lintian_is_content(debian: Debian) -> None:
    debian.builder.chroot(*APT, "install", "lintian")
    [package] = debian.builder.path("/src/build").glob("*.deb")
    inside = f"/src/build/{package.name}"
    said = debian.builder.chroot("lintian", "--allow-root", "--fail-on=error,warning", "--tag-display-limit=0", inside)
    assert said == "", said


def test_it_is_installed_and_not_started(debian: Debian) -> None:
    machine = debian.machine
    said = machine(*APT, "install", debian.package)
    assert "Setting up libhiredis" in said and "Setting up libevent" in said, said
    assert "is not started: it needs settings" in said and f"systemctl enable --now {NAME}" in said, said
    now = state(machine)
    assert (now["ActiveState"], now["UnitFileState"]) == ("inactive", "disabled"), now
    assert machine("stat", "-c", "%a %U:%G", SETTINGS) == f"640 root:{NAME}\n"
    assert machine("id", "-un", NAME) == f"{NAME}\n"
    version = machine("dpkg-query", "-W", "-f", "${Version}", NAME)
    assert machine(NAME, "--version").startswith(f"{NAME} {version}")
    for path in (
        f"/usr/share/man/man1/{NAME}.1.gz",
        f"/usr/share/bash-completion/completions/{NAME}",
        f"/usr/share/zsh/vendor-completions/_{NAME}",
        f"{EXAMPLES}/shops/spree/queues.yaml",
        f"/usr/share/doc/{NAME}/copyright",
        f"/usr/share/doc/{NAME}/OPERATIONS.md.gz",
    ):
        assert machine.path(path).is_file(), path


def test_without_settings_it_says_what_is_missing(debian: Debian) -> None:
    done = debian.machine.attempt("systemctl", "start", NAME)
    assert done.returncode == 1 and "systemctl status" in done.stdout, done.stdout
    assert state(debian.machine)["ActiveState"] == "failed"
    shown = debian.machine.attempt("systemctl", "status", "--full", NAME).stdout
    assert f"No settings: write DATABASE_URL=... into {SETTINGS}" in shown, shown


def test_with_settings_it_releases_another_shops_reservation(debian: Debian) -> None:
    machine = debian.machine
    machine("cp", f"{EXAMPLES}/shops/spree/schema.sql", "/tmp/schema.sql")
    as_postgres = ("runuser", "-u", "postgres", "--")
    machine(*as_postgres, "createdb", "shop")
    machine(*as_postgres, "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "shop", "-f", "/tmp/schema.sql")
    psql(machine, f"CREATE ROLE sweeper LOGIN PASSWORD '{PASSWORD}'")
    psql(machine, "GRANT SELECT, UPDATE, DELETE ON spree_stock_reservations TO sweeper")
    psql(machine, "GRANT INSERT, SELECT ON spree_outbox TO sweeper")
    machine("cp", f"{EXAMPLES}/shops/spree/queues.yaml", QUEUES)
    text = machine.path(SETTINGS).read_text(encoding="utf-8")
    url = f"postgresql://sweeper:{PASSWORD.replace(' ', '%20')}@127.0.0.1:5432/shop"
    for name, value in (("DATABASE_URL", url), ("REDIS_URL", None), ("SWEEPER_QUEUES_FILE", None)):
        text = re.sub(rf"^#({name}=)(.*)", lambda line, value=value: line[1] + (value or line[2]), text, flags=re.M)
    machine.path(SETTINGS).write_text(text, encoding="utf-8")
    machine("systemctl", "enable", "--now", NAME)
    release(machine)
    assert '"Redis connected"' in journal(machine), journal(machine)
    assert PASSWORD not in journal(machine)


def test_it_runs_as_its_own_user_and_sandboxed(debian: Debian) -> None:
    machine = debian.machine
    process = state(machine)["MainPID"]
    assert machine("ps", "-o", "user:32=,comm=", "-p", process).split() == [NAME, NAME[:15]]
    status = machine("cat", f"/proc/{process}/status")
    assert re.search(r"^NoNewPrivs:\t1$", status, flags=re.M) and re.search(r"^Seccomp:\t2$", status, flags=re.M)
    assert re.search(r"^CapBnd:\t0+$", status, flags=re.M), status
    machine("systemd-analyze", "security", "--no-pager", "--threshold=15", NAME)


def test_a_reload_reads_the_queues_anew(debian: Debian) -> None:
    machine = debian.machine
    before = state(machine)["MainPID"]
    machine("sed", "-i", "s/^stock_reservations:/renamed:/", QUEUES)
    machine("systemctl", "reload", NAME)
    wait_until(lambda: '"queue":"renamed"' in journal(machine), 30, "the queue's new name is logged", step=0.1)
    release(machine)
    assert state(machine)["MainPID"] == before


def test_an_upgrade_restarts_it_and_keeps_what_was_changed(debian: Debian) -> None:
    machine = debian.machine
    before, settings = state(machine)["MainPID"], machine.path(SETTINGS).read_text()
    machine(*APT, "install", debian.update)
    assert machine("dpkg-query", "-W", "-f", "${Version}", NAME) == "999"
    now = state(machine)
    assert now["ActiveState"] == "active" and now["MainPID"] != before, now
    assert machine.path(SETTINGS).read_text() == settings
    assert machine("stat", "-c", "%a %U:%G", SETTINGS) == f"640 root:{NAME}\n"
    release(machine)


def test_an_upgrade_starts_nothing_that_was_stopped(debian: Debian) -> None:
    machine = debian.machine
    machine("systemctl", "stop", NAME)
    machine(*APT, "install", "--reinstall", debian.update)
    assert state(machine)["ActiveState"] == "inactive"
    machine("systemctl", "start", NAME)


def test_a_unit_of_make_install_is_named(debian: Debian) -> None:
    machine, former = debian.machine, f"/usr/local/lib/systemd/system/{NAME}.service"
    assert former not in machine(*APT, "install", "--reinstall", debian.update)
    machine("install", "-D", f"/usr/lib/systemd/system/{NAME}.service", former)
    assert f"{former} hides the unit of this package" in machine(*APT, "install", "--reinstall", debian.update)
    machine("sh", "-ec", f"rm {former}; systemctl daemon-reload; systemctl restart {NAME}")
    release(machine)


def test_removed_it_stops_and_its_settings_stay(debian: Debian) -> None:
    machine = debian.machine
    process, settings = state(machine)["MainPID"], machine.path(SETTINGS).read_text()
    machine(*APT, "remove", NAME)
    assert machine.attempt("kill", "-0", process).returncode != 0
    assert state(machine)["ActiveState"] == "inactive"
    assert not machine.path(f"/usr/bin/{NAME}").exists()
    assert machine.path(SETTINGS).read_text() == settings and machine.path(QUEUES).is_file()


def test_installed_again_it_goes_on(debian: Debian) -> None:
    machine = debian.machine
    machine(*APT, "install", debian.package)
    machine("systemctl", "enable", "--now", NAME)
    release(machine)


def test_purged_it_leaves_nothing(debian: Debian) -> None:
    machine = debian.machine
    machine(*APT, "purge", NAME)
    # The user stays, as Debian's users do: files of others may be owned by it.
    left = machine("find", "/etc", "/usr", "/var/lib", "-xdev", "-name", f"*{NAME}*", "!", "-path", "/var/lib/apt/*")
    assert left == "", left
    assert state(machine)["LoadState"] == "not-found"
    assert "failed" not in machine.attempt("systemctl", "is-failed", NAME).stdout
