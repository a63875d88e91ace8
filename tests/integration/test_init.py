"""--init: a draft of a queues file, which is refused until its blanks are filled, and then read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness.checking import fingerprint, prepare
from harness.database import Database
from harness.servers import Postgres
from harness.sweeper import ROOT, Finished, Run, run_once

SHOPS = ROOT / "examples" / "shops"
BLANK = re.compile(r"^( +)([a-z_]+):$")
FOUND = ("arena", "bazaar", "cinema", "concert", "credits", "prisma", "raffle", "spree", "warehouse")


def blanks(draft: str) -> list[str]:
    """The keys without a value: those below which a comment, or another key of the level, comes."""
    lines = [*draft.splitlines(), ""]
    found = []
    for line, after in zip(lines, lines[1:], strict=False):
        key = BLANK.match(line)
        if key and not (after.startswith(key[1] + "  ") and not after.strip().startswith("#")):
            found.append(key[2])
    return found


def filled(draft: str, values: dict[str, str]) -> str:
    """The draft with values in place of its blanks; "" takes what stands below as a comment, "-" leaves
    the key out."""
    lines, wanted = draft.splitlines(), blanks(draft)
    assert sorted(wanted) == sorted(values), draft
    out, i = [], 0
    while i < len(lines):
        key = BLANK.match(lines[i])
        if not key or key[2] not in values or lines[i + 1 : i + 2] == [key[1] + "  table:"]:
            out.append(lines[i])
            i += 1
            continue
        value = values[key[2]]
        i += 1
        if value == "-":
            continue
        if value:
            out.append(f"{key[1]}{key[2]}: {value}")
            continue
        begins = f"{key[1]}# {key[2]}:"
        assert lines[i].startswith(begins), (key[2], lines[i])
        out.append(key[1] + lines[i].removeprefix(key[1] + "# "))
        i += 1
        while i < len(lines) and lines[i].startswith(key[1] + "#   "):
            out.append(key[1] + lines[i].removeprefix(key[1] + "# "))
            i += 1
    return "\n".join(out) + "\n"


def init(db: Database, *args: str, **options: object) -> Finished:
    """Changes nothing, and needs no Redis."""
    before = fingerprint(db)
    done = run_once("--init", *args, dsn=db.dsn, redis_url="redis://127.0.0.1:1", **options)
    assert fingerprint(db) == before
    return done


def draft(db: Database) -> str:
    done = init(db)
    assert done.status == 0 and done.stderr == "", done.stderr
    return done.stdout


def refusal(text: str, tmp_path: Path) -> str:
    """What the program's own reader says of a file; "" when it takes it."""
    file = tmp_path / "queues.yaml"
    file.write_text(text, encoding="utf-8")
    done = run_once("--healthcheck", "--queues", str(file))
    assert done.status in (1, 2)
    return done.stderr if done.status == 2 else ""


@pytest.fixture
def shop(empty_db: Database, request: pytest.FixtureRequest) -> Database:
    prepare_file(empty_db, SHOPS / request.param / "schema.sql")
    return empty_db


def prepare_file(db: Database, file: Path) -> None:
    db.conn.execute(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("shop", FOUND, indirect=True)
def test_a_draft_is_refused_while_it_has_blanks(shop: Database, tmp_path: Path) -> None:
    text = draft(shop)
    assert {"active", "released"} <= set(blanks(text))
    sentence = refusal(text, tmp_path)
    assert "queues.yaml:" in sentence and len(sentence.splitlines()) == 1
    line = int(re.search(r"queues\.yaml:(\d+): ", sentence)[1])  # type: ignore[index]
    assert BLANK.match(text.splitlines()[line - 1]), sentence


def test_our_own_tables_give_the_queue_that_is_built_in(db: Database, run: Run, tmp_path: Path) -> None:
    text = filled(draft(db), {"active": "", "released": ""})
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines == [
        "reservations:",
        "  table: inventory_reservations",
        "  id: id",
        "  expires_at: expires_at",
        "  quantity: quantity",
        "  active: |",
        "    status = 'active'",
        "  released: |",
        "    status = 'released', updated_at = now()",
        "  stock:",
        "    table: inventory",
        "    key: {product_id: product_id}",
        "    free: available_stock",
        "    held: reserved_stock",
        "    total: total_stock",
        "    set: |",
        "      updated_at = now()",
    ]
    file = tmp_path / "queues.yaml"
    file.write_text(text, encoding="utf-8")
    done = run("--once", "--dry-run", "--queues", str(file))
    assert done.status == 0, done.stderr


# What somebody who knows the shop fills in, and what then stands in the file.
SHAPES = {
    "arena": (
        {"expires_unit": "ms", "quantity": "1", "active": "released = false", "released": "released = true"},
        ['table: "box.\\"Seat.Hold\\""', 'id: "Hold Id"', "key: {group: group}", "free: freeSeats"],
    ),
    "bazaar": (
        {"active": "", "released": "state = 'lapsed'", "free": ""},
        ["id: id", "quantity: units", "key: {sku: sku}", "free: stock"],
    ),
    "cinema": ({"active": "", "released": "status = 'EXPIRED'"}, ["id: id", "quantity: 1"]),
    "concert": ({"active": "", "released": "status = 'expired'", "stock": "-"}, ["quantity: quantity"]),
    "credits": (
        {"quantity": "", "active": "voided_at IS NULL", "released": "voided_at = now()"},
        ["quantity: amount", "key: {tenant: tenant, account: account}", "total: credits"],
    ),
    "prisma": (
        {"time_zone": "", "active": "", "released": "status = 'EXPIRED'", "total": ""},
        ["expires_at: expiresAt", "time_zone: UTC", "status = 'ACTIVE'", "key: {variantId: variantId}"],
    ),
    "spree": (
        {"time_zone": "", "active": "", "released": ""},
        ["id: id", "quantity: quantity", "true", "released: delete"],
    ),
    "warehouse": (
        {"time_zone": "UTC", "active": "", "released": "reservation_status = 'RELEASED'"},
        ["id: order_id", "quantity: reserved_quantity", "held: quantity_reserved"],
    ),
}


@pytest.mark.parametrize("shop", SHAPES, indirect=True)
def test_a_draft_that_is_filled_in_is_read(
    shop: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    values, stands = SHAPES[request.node.callspec.params["shop"]]
    text = filled(draft(shop), values)
    assert refusal(text, tmp_path) == ""
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in stands if line not in lines] == []


@pytest.mark.parametrize("shop", ["tours"], indirect=True)
def test_nothing_that_looks_like_a_hold_is_said_so(shop: Database) -> None:
    done = init(shop)
    assert done.status == 1 and done.stdout == ""
    assert done.record("No table looks like one of holds")["level"] == "ERROR"


@pytest.mark.parametrize("shop", ["concert"], indirect=True)
def test_what_it_cannot_know_is_named(shop: Database) -> None:
    text = draft(shop)
    assert "trigger on this table: restock." in text and "twice" in text


HOLDS = """
    CREATE TABLE holds (id uuid PRIMARY KEY, expires_at {time} NOT NULL, status {status});
    INSERT INTO holds SELECT gen_random_uuid(), {expiry}, {value} FROM generate_series(1, 100) n;
"""


def test_values_are_those_of_a_sample_or_of_the_statistics(empty_db: Database) -> None:
    prepare(empty_db, HOLDS.format(time="timestamptz", status="text", expiry="now()", value="'v' || n % 3"))
    assert "status can be 'v0', 'v1', 'v2'." in draft(empty_db)
    empty_db.conn.execute("ANALYZE holds")
    empty_db.conn.execute("DELETE FROM holds")
    assert "status can be 'v0', 'v1', 'v2'." in draft(empty_db)


def test_a_status_of_many_values_is_none(empty_db: Database) -> None:
    prepare(empty_db, HOLDS.format(time="timestamptz", status="text", expiry="now()", value="'v' || n"))
    assert "There is no status." in " ".join(draft(empty_db).replace("#", " ").split())


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (1000, "ms")])
def test_the_unit_of_a_number_is_that_of_its_values(empty_db: Database, factor: int, unit: str) -> None:
    expiry = f"extract(epoch FROM now())::bigint * {factor}"
    prepare(empty_db, HOLDS.format(time="bigint", status="text", expiry=expiry, value="'held'"))
    assert f"\n  expires_unit: {unit}\n" in draft(empty_db)


def test_values_that_may_not_be_read_are_said_so(empty_db: Database) -> None:
    prepare(empty_db, HOLDS.format(time="timestamptz", status="text", expiry="now()", value="'held'"))
    name = f"init_{empty_db.name}"
    empty_db.conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'pw'")
    try:
        dsn = f"postgresql://{name}:pw@127.0.0.1:{empty_db.server.port}/{empty_db.name}"
        done = run_once("--init", dsn=dsn, redis_url="redis://127.0.0.1:1")
    finally:
        empty_db.conn.execute(f"DROP ROLE {name}")
    assert done.status == 0, done.stderr
    assert "could not be read: permission denied for table holds." in done.stdout


HOSTILE = (
    "a.b", '"', 'say "no"', "it's", "#", "a #b", "a: b", "- x", "{a}", "&a", "*a", "!a", "|", "\\", " a ",
    "größe", "a\u2028b", "a\u0085b", "\ufeffx", "true", "Select", "%s", "$1", "rs", "é" * 31,
)  # fmt: skip


def ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.slow
def test_names_are_written_so_that_the_reader_gives_them_back(empty_db: Database, tmp_path: Path) -> None:
    for name in HOSTILE:
        column = ident(name)
        schema = ident("s" + name)
        empty_db.conn.execute(
            f"CREATE SCHEMA {schema};"
            f"CREATE TABLE {schema}.{ident(name)} (id uuid PRIMARY KEY, {column} integer UNIQUE,"
            f" free integer)"
        )
    for name in HOSTILE:
        schema = ident("s" + name)
        empty_db.conn.execute(
            f"DROP SCHEMA IF EXISTS h CASCADE; CREATE SCHEMA h;"
            f"CREATE TABLE h.{ident('hold' + name)} ({ident('i' + name)} uuid PRIMARY KEY,"
            f" {ident('expires ' + name)} timestamptz NOT NULL, quantity integer, a boolean,"
            f" {ident('k' + name)} integer REFERENCES {schema}.{ident(name)} ({ident(name)}))"
        )
        text = filled(draft(empty_db), {"active": "a", "released": "a = false"})
        (tmp_path / "queues.yaml").write_text(text, encoding="utf-8")
        done = run_once(
            "--once", "--dry-run", "--queues", str(tmp_path / "queues.yaml"), dsn=empty_db.dsn,
            redis_url="redis://127.0.0.1:1",
        )  # fmt: skip
        assert done.status == 0, (text, done.stderr)


def test_names_that_no_file_can_hold_are_left_out(empty_db: Database, tmp_path: Path) -> None:
    empty_db.conn.execute(
        'CREATE TABLE "holds\n  active: true" (id uuid PRIMARY KEY, expires_at timestamptz);'
        'CREATE TABLE holds (id uuid PRIMARY KEY, expires_at timestamptz, "expires\n until" timestamptz,'
        " status text);"
        "INSERT INTO holds VALUES (gen_random_uuid(), now(), now(), E'held\\n  active: true')"
    )
    text = draft(empty_db)
    assert text.count("table: ") == 1 and "\n  table: holds\n" in text
    assert "\n  expires_at: expires_at\n" in text and "active: true" not in re.sub("#.*", "", text)


def test_a_database_without_an_encoding_is_looked_at_too(pg_server: Postgres) -> None:
    db = Database.create(pg_server, schema=False, encoding="SQL_ASCII")
    try:
        prepare(db, HOLDS.format(time="timestamptz", status="text", expiry="now()", value="E'a\\xe9'"))
        done = run_once("--init", dsn=db.dsn, redis_url="redis://127.0.0.1:1")
        assert done.status == 0 and "\n  table: holds\n" in done.stdout, done.stderr
    finally:
        db.drop()


def test_a_draft_that_is_set_does_not_keep_it_from_another(empty_db: Database) -> None:
    prepare_file(empty_db, SHOPS / "cinema" / "schema.sql")
    assert init(empty_db, env={"SWEEPER_QUEUES": draft(empty_db)}).status == 0


def test_a_postgres_out_of_reach_is_an_error() -> None:
    done = run_once("--init", dsn="postgresql://127.0.0.1:1/x", redis_url="redis://127.0.0.1:1")
    assert done.status == 1 and done.record("Postgres is out of reach")
