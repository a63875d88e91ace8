"""Every time and size that the documents claim of the code is the code's own.

CLAIMS has a phrase for each, the number in brackets, and where the code has it: a constant (NAME, or
file.c:NAME where several files have one of that name), a setting's default (its variable), or a pattern
that finds it in a file (file.c~pattern). A number that is in no claim and in no exception fails: a
document that says something new about the code says it here too.
"""

from __future__ import annotations

import re

import pytest
from documents import files, name, text_of

CLAIMS: dict[str, list[tuple[str, str]]] = {
    "README.md": [
        ("try to connect for [5 s]; the daemon", "once.c:CONNECT_US"),
        ("have locked again for [10 s]", "DRAIN_LOCKED_US"),
        ("overdue for longer than [30 s]", "HEALTH_OVERDUE_MAX_US"),
        ("known for [30 s] whether anything is", "OVERDUE_KNOWN_US"),
        ("an hour by default and [168h] at most", "PAUSE_TIME_MAX_US"),
    ],
    "docs/ARCHITECTURE.md": [
        ("why something comes back after [250 ms]", "UNTRIED_MS"),
        ("two fifths of the lease, [5 s] at most", "STATEMENT_TIMEOUT_MAX_US"),
        ("A script handles at most [1,000 ids]", "DUE_QUEUE_SCRIPT_MAX"),
        ("a quarter of its lateness, [20 ms] at least", "LOCKED_MIN_US"),
        ("20 ms at least, [5 s] at most; after", "LOCKED_MAX_US"),
        ("5 s at most; after [250 ms] where one of several", "UNTRIED_MS"),
        ("put back after [1 s], 2 s, 4 s", "REFUSED_MIN_US"),
        ("2 s, 4 s … [5 min] at most, with a record", "REFUSED_MAX_US"),
        ("time to try it again in this batch | put back after [250 ms]", "UNTRIED_MS"),
        ("next trial or later, [1 ms] apart", "breaker.c:GAP_US"),
        ("no reservation | put back after [1 s]", "SETTLEMENT_FAULT_MS"),
        ("passed by for [250 ms] is tried alone", "PASSED_BY_US"),
        ("`SWEEPER_LOCK_TIMEOUT` ([20 ms])", "SWEEPER_LOCK_TIMEOUT"),
        ("the poll waits, for [1.5 s] at most", "FEED_GIVE_WAY_US"),
        ("the previous one less [60 s] up to now", "LATE_COMMIT_US"),
        ("is made every [500 ms]: due ids", "FEED_DIRECT_US"),
        ("every second while Redis refuses (every [5 s] after", "PROBE_MAX_US"),
        ("and every [30 s] while it is in use", "STILL_US"),
        ("(`FLUSHALL`): every [500 ms] the daemon", "data_loss.c:INTERVAL_US"),
        ("the same passes, repeated for [10 s]", "DRAIN_LOCKED_US"),
        ("It has [128 connections]", "CONNECTIONS_MAX"),
        ("128 connections, [5 s] for a request", "REQUEST_US"),
        ("with a question every [5 s]", "SIZES_US"),
        ("looks by itself, every [15 s] at least", "overdue_judge.h:OVERDUE_IDLE_US"),
        ("able to see for [30 s] is null", "OVERDUE_KNOWN_US"),
        ("once a lock has lasted [25 s]", "locked.c:ASK_US"),
        ("of at most [100 reservations]", "ASKED_MOST"),
        ("reservations every [2 s]", "locked.c:PAUSE_US"),
        ("waited for the next claim, up to [5 ms]", "HOLD_US"),
    ],
    "docs/FAILURES.md": [
        ("next Sentinel is asked after [300 ms]", "REDIS_ASK_US"),
        ("when the role ends, after [5 s]", "BACKLOG_TTL_US"),
        ("and ends it after [10 s], with a WARN", "CUT_OFF_US"),
        ("unnoticed; none are used for [60 s], then", "pg_prepare.c:PAUSE_US"),
        ("their usual, after [ten minutes] in any case", "pg_prepare.c:ANEW_US"),
        ("released from Postgres, later by up to [500 ms]", "FEED_DIRECT_US"),
        ("Reconnect after [50 ms] to 500 ms", "REDIS_BACKOFF_MIN_US"),
        ("Reconnect after 50 ms to [500 ms]", "REDIS_BACKOFF_MAX_US"),
        ("overdue by more than [1 s], then as before", "FEED_UNANSWERED_US"),
        ("its mark is missed within [500 ms]", "data_loss.c:INTERVAL_US"),
        ("when its reason changes, every [five minutes], and when it is over", "outage.c:AGAIN_US"),
        ("ERROR after 30 s and every [five minutes], at once", "outage.c:AGAIN_US"),
        ("logged once in [five minutes] |", "outage.c:AGAIN_US"),
        ("however many connections meet it: WARN, ERROR after [30 s]", "outage.c:ERROR_US"),
        ("without an answer for [1 s] closes", "REDIS_COMMAND_US"),
        ("within the feed's interval, [15 s] at most", "SWEEPER_FEED_INTERVAL"),
        ("tried again each second; WARN, ERROR after [30 s]", "outage.c:ERROR_US"),
        ("Reconnect at once, then after [50 ms] to 1 s", "pg_link.c:BACKOFF_MIN_US"),
        ("at once, then after 50 ms to [1 s]", "pg_link.c:BACKOFF_MAX_US"),
        ("its part of the [5 s] of an attempt", "pg_link.c:CONNECT_US"),
        ("of an attempt, [1 s] at least", "HOST_LEAST_US"),
        ("come to wait. WARN, ERROR after [30 s], 503", "outage.c:ERROR_US"),
        ("poll notices, after [30 s], and", "pages.c:DEADLINE_US"),
        ("says so [10 s] later", "FEED_OUT_OF_REACH_US"),
        ("comes back in [20 ms] to 5 s", "LOCKED_MIN_US"),
        ("comes back in 20 ms to [5 s]", "LOCKED_MAX_US"),
        ("as overdue; after [30 s] one WARN", "LOCKED_SAID_US"),
        ("column or right is missing | WARN, ERROR after [30 s]", "outage.c:ERROR_US"),
        ("an id is longer than [255 bytes]", "ID_MAX_LEN"),
        ("when their lease ends ([10 s])", "SWEEPER_LEASE"),
        ("is wrong, or set | nothing; a WARN above [1 s]", "clock_watch.c:APART_US"),
        ("next poll; a WARN above [1 s]", "clock_watch.c:APART_US"),
        ("the loop goes on; [128 KiB] a stream", "QUEUE_MAX"),
        ("the process waits for [1 s]", "LAST_WORDS_US"),
        ("never end theirs | [128 connections], 5 s", "CONNECTIONS_MAX"),
        ("128 connections, [5 s] each", "REQUEST_US"),
        ("its role ends after [6 s]", "ROLE_TTL_MS"),
    ],
    "docs/INTEGRATION.md": [
        ("Every [15 s] the sweeper's feed", "SWEEPER_FEED_INTERVAL"),
        ("what expires within [60 s]", "SWEEPER_LOOKAHEAD"),
        ("`retryAt`; at most [10,000 records], 11,000", "DUE_QUEUE_FAILED_MAX"),
        ("longer than `at_most`); at most [100,000 records]", "DUE_QUEUE_KEPT_MAX"),
        ("at a connect and every [30 s]", "STILL_US"),
    ],
    "docs/OPERATIONS.md": [
        ("the lock of releases` | WARN, ERROR | for [10 s], of `blockerUser`", "CUT_OFF_US"),
        ("does not answer within [300 ms] is passed", "REDIS_ASK_US"),
        ("straight from Postgres, up to [half a second] later, at some", "FEED_DIRECT_US"),
        ("| later by up to [half a second], since", "FEED_DIRECT_US"),
        ("to within [half a second] | nothing", "clock_watch.c:TOGETHER_US"),
        ("again to within [half a second].", "clock_watch.c:TOGETHER_US"),
        ("| for [five minutes] something has ended", "outage.c:AGAIN_US"),
        ("A request has [5 s] to arrive", "REQUEST_US"),
        ("[8 KiB] for its headers", "HEADERS_MAX"),
        ("and [4 KiB] for its body", "BODY_MAX"),
        ("Beyond [128 connections] the oldest", "CONNECTIONS_MAX"),
        ("growing pauses, [5 minutes] at most", "REFUSED_MAX_US"),
        ("rows were locked for [10 s]; the next run", "DRAIN_LOCKED_US"),
        ("tries again every [1 s] or more often", "pg_link.c:BACKOFF_MAX_US"),
        ("`/readyz` is 503 after [30 s]. 1.", "HEALTH_OVERDUE_MAX_US"),
        ("its session; ERROR when it has lasted for [30 s]", "outage.c:ERROR_US"),
        ("overdue for more than [30 s], though", "HEALTH_OVERDUE_MAX_US"),
        ("`SWEEPER_LEASE` and at most [5 s]", "STATEMENT_TIMEOUT_MAX_US"),
        ("is released within [5 s] of its end", "LOCKED_MAX_US"),
        ("when it has been locked for [30 s]", "LOCKED_SAID_US"),
        ("`statement timeout` or [30 s] without an answer", "pages.c:DEADLINE_US"),
        ("keeps up to [128 KiB] of records", "QUEUE_MAX"),
        ("comes back after [20 ms], then", "LOCKED_MIN_US"),
        ("less often, after [5 s] at most", "LOCKED_MAX_US"),
        ("as an `ERROR` after [30 s], then", "outage.c:ERROR_US"),
        ("then every [5 minutes] with `awaySeconds`, at once", "outage.c:AGAIN_US"),
        ("reads its log: beyond [128 KiB] a stream", "QUEUE_MAX"),
        ("ERROR when it has lasted for [30 s]", "outage.c:ERROR_US"),
        ("due and locked for [30 s]", "LOCKED_SAID_US"),
        ("role once it ends, after [5 s] |", "BACKLOG_TTL_US"),
        ("id is longer than [255 bytes]: it is not mirrored", "ID_MAX_LEN"),
        ("else WARN, every [5 minutes] at most", "secrets.c:SAID_AGAIN_US"),
        ("`skippedCount` (locked for [10 s])", "DRAIN_LOCKED_US"),
        ("could not connect for [5 s]", "once.c:CONNECT_US"),
        ("ERROR after [30 s], then every 5 minutes with `awaySeconds`, and", "outage.c:ERROR_US"),
        ("then every [5 minutes] with `awaySeconds`, and", "outage.c:AGAIN_US"),
        ("tried again after [1 s], 2 s, 4 s", "REFUSED_MIN_US"),
        ("2 s, 4 s …, at most [5 min]", "REFUSED_MAX_US"),
        ("twice a second. WARN at first, ERROR after [30 s]", "outage.c:ERROR_US"),
        ("ERROR after 30 s, then every [5 minutes] |", "outage.c:AGAIN_US"),
        ("`SWEEPER_SCAN_INTERVAL` ([5 min])", "SWEEPER_SCAN_INTERVAL"),
    ],
    "docs/RECONCILIATION.md": [
        ("in pages by key, of [25,000 rows]", "rows.c:PAGE_SIZE"),
        ("begun [two seconds] after the run", "expired.c:GRACE_US"),
        ("still locked [ten seconds] later", "DRAIN_LOCKED_US"),
        ("the first [10,000 rows] of each", "VERIFY_ROWS_MAX"),
        ("that ends [6 s] after its holder died", "ROLE_TTL_MS"),
        ("wait in memory for their second look: [32 MB]", "BYTES_MOST"),
    ],
    "docs/design/backlog.md": [
        ("and more than [10,000 are] due", "BACKLOG_MIN"),
        ("is above 1; [5,000 at] most", "SLICE_MOST"),
        ("first page has [5,000 rows]", "PAGES_SIZE"),
        ("twice as large, up to [20,000,] since", "PAGES_SIZE_MAX"),
        ("It ends after [5 s]; its holder", "BACKLOG_TTL_US"),
        ("others look every [500 ms], each", "BACKLOG_REST_US"),
        ("fewer than [1,000 in] all", "BACKLOG_WORTH"),
        ("there is none for [10 s]: what", "BACKLOG_AGAIN_US"),
    ],
    "docs/design/refusals.md": [
        ("one by one, for at most [50 ms] in a batch", "SINGLES_US"),
        ("`failed` holds [10,000 records] at most", "DUE_QUEUE_FAILED_MAX"),
        ("when the back-off is over ([1 s], 2 s …", "REFUSED_MIN_US"),
        ("(1 s, 2 s … [5 min])", "REFUSED_MAX_US"),
        ("after [10 refusals] in a row", "CERTAIN_IN_A_ROW"),
        ("names the counter, or [30 where] it may", "UNCERTAIN_IN_A_ROW"),
        ("as their times come, [1 ms] apart", "breaker.c:GAP_US"),
        ("They come back [1 ms] apart", "breaker.c:GAP_US"),
        ("it makes at least [24 attempts]", r"conflicts.c~\.few = (\d+), \.fruitless_us = 250"),
        ("by then comes back after [250 ms]", "UNTRIED_MS"),
    ],
    "docs/design/release-statement.md": [
        ("releases of up to [100 reservations] and", "NAMED_IDS_MAX"),
        ("its session is ended after [10 s] by", "CUT_OFF_US"),
        ("there are none for [60 s], twice as long", "pg_prepare.c:PAUSE_US"),
        ("with each relapse, [60 min] at most", "PAUSE_MAX_US"),
        ("after [10 min], and when requests", "pg_prepare.c:ANEW_US"),
        ("no oftener than once in [60 s]", "SLOW_GAP_US"),
        ("reading of the catalog, within [60 s]", "statements.c:ANEW_US"),
        ("that has been passed by for [250 ms], alone", "PASSED_BY_US"),
        ("the worker is careful for [250 ms], then", "BULK_REST_MIN_US"),
        ("and so on up to [4 s]", "BULK_REST_MAX_US"),
        ("looked at again [20 ms] later", "LOCKED_MIN_US"),
    ],
}

# What is measured, reckoned, an example, or another's.
OTHERS: dict[str, list[str]] = {
    "README.md": [
        r"^\| `(?:SWEEPER|DATABASE|REDIS)_.*$",  # rows of docs/CONFIGURATION.md
        r"instead of half a minute",
    ],
    "docs/ARCHITECTURE.md": [
        r"at least 1 ms from now",
        r"after 1 s, 2 s, 4 s …",
        r"waited for, 2 ms at most by default",
    ],
    "docs/FAILURES.md": [
        r"`WatchdogSec=2min`",
        r"within 5 s \| `integration/test_check_config",
        r"10,000 connections that are cut",
        r"40 reservations a second",
    ],
    "docs/INTEGRATION.md": [],
    "docs/OPERATIONS.md": [
        r"above 0\.1 s",
        r"up to 15 s, though",
        r"late by more than 10 s",
        r"\*\*Means\.\*\* For (?:more than )?(?:two|five|ten) minutes",  # deploy/prometheus/alerts.yml
        r"after 1 s, 2 s, 4 s …",
    ],
    "docs/RECONCILIATION.md": [r"The 31 s are", r"16 MB at most", r"for 50 s at most"],
    "docs/design/backlog.md": [],
    "docs/design/refusals.md": [r"\(1 s, 2 s …"],
    "docs/design/release-statement.md": [
        r"[\d.]+ ms with 500 reservations",
        r"at a time: 2 ms",
        r"lock timeout \(2 ms\)",
        r"250 ms, then 500 ms",
        r"took 14 ms of 500 reservations",
        r"0\.35 ms more",
        r"5,000 reservations took Postgres",
        r"103 ms of CPU",
        r"2\.3 ms in place of",
        r"\(5 to 10 s\)",
        r"15 to 50 ms",
    ],
}

UNITS = {
    "us": 1, "µs": 1, "ms": 1000, "s": 10**6, "second": 10**6, "seconds": 10**6, "min": 6 * 10**7,
    "minute": 6 * 10**7, "minutes": 6 * 10**7, "m": 6 * 10**7, "hours": 36 * 10**8, "h": 36 * 10**8,
    "kB": 1000, "KiB": 1024, "MB": 1 << 20,
}  # fmt: skip
COUNTED = ["rows", "ids", "records", "connections", "bytes", "reservations", "attempts", "products"]
WORDS = {"half a": 0.5, "two": 2, "five": 5, "ten": 10, "twenty": 20, "thirty": 30}
NUMBER = re.compile(
    rf"(?<![\w.,:])\d[\d,.]* ?(?:{'|'.join([*UNITS, *COUNTED])})\b"
    rf"|\b(?:{'|'.join(WORDS)}) (?:second|minute)s?\b"
)


def value_of(text: str) -> int:
    """A number with its unit: microseconds, bytes, or a count."""
    match = re.fullmatch(rf"([\d,.]+|{'|'.join(WORDS)}) ?(\S+)", text)
    assert match, text
    number = WORDS.get(match[1]) or float(match[1].replace(",", ""))
    return round(number * UNITS.get(match[2], 1))


def sources() -> dict[str, str]:
    folders = ("src/", "include/", "lua/", "sql/")
    return {
        name(path): re.sub(r"\s*\\\n\s*", " ", path.read_text(encoding="utf-8"))
        for path in files()
        if name(path).startswith(folders)
    }


SOURCES = sources()


def definitions(constant: str, file: str | None) -> set[tuple[str, str]]:
    """Where a constant is defined, and as what."""
    found = set()
    for path, text in SOURCES.items():
        if file is None or path.rpartition("/")[2] == file:
            for value in re.findall(rf"^#define {constant} (.*?)(?:\s*/\*.*)?$", text, flags=re.M):
                found.add((path, value))
    return found


def evaluate(expression: str, path: str) -> int:
    expression = re.sub(r"INT64_C\((\d+)\)", r"\1", expression)
    expression = re.sub(r"\((?:size_t|int64_t|int)\)", "", expression)

    def inner(match: re.Match[str]) -> str:
        own = definitions(match[0], path.rpartition("/")[2]) or definitions(match[0], None)
        assert own, f"{match[0]} in {path}"
        return str(evaluate(sorted(own)[0][1], path))

    expression = re.sub(r"[A-Z][A-Z0-9_]+", inner, expression)
    assert re.fullmatch(r"[\d\s()*+/<-]+", expression), expression
    return int(eval(expression))  # noqa: S307: digits and operators, as just seen


def of_the_code(source: str) -> int:
    """What the code says."""
    if source.startswith("SWEEPER_"):
        table = text_of("src/config/config_table.c")
        preset = re.search(rf'\.variable = "{source}",.*?\.preset = "([^"]*)"', table, flags=re.S)
        assert preset, source
        return value_of(preset[1])
    if "~" in source:
        file, _, pattern = source.partition("~")
        texts = [text for path, text in SOURCES.items() if path.rpartition("/")[2] == file]
        found = {match for text in texts for match in re.findall(pattern, text)}
        assert len(found) == 1, f"{source}: {found}"
        return int(found.pop())
    file, _, constant = source.rpartition(":")
    found = definitions(constant, file or None)
    assert found, f"{source} is not defined"
    values = {evaluate(value, path) for path, value in found}
    assert len(values) == 1, f"{source} is defined as {values}: name the file"
    value = values.pop()
    return value * 1000 if constant.endswith("_MS") else value


def prose(page: str) -> str:
    """The page without blocks of code and measured tables, each run of white space one space."""
    text = re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.M | re.S)
    text = re.sub(r"<!-- bench: .*?bench: end -->", "", text, flags=re.S)
    text = re.split(r"\n## (?:What the statement costs|How large a slice is)\n", text)[0]
    for pattern in OTHERS[page]:
        if pattern.startswith("^"):
            text = re.sub(pattern, "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("page", "phrase", "source"),
    [(page, phrase, source) for page, claims in CLAIMS.items() for phrase, source in claims],
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else None,
)
def test_claim(page: str, phrase: str, source: str) -> None:
    said = re.search(r"\[(.*?)\]", phrase)
    assert said, phrase
    assert phrase.replace("[", "").replace("]", "") in prose(page), f"{page} does not say: {phrase}"
    value = of_the_code(source)
    assert value_of(said[1]) == value, f"{page} says {said[1]}, {source} is {value}"


@pytest.mark.parametrize("page", CLAIMS)
def test_every_number_is_claimed(page: str) -> None:
    text = prose(page)
    covered: set[int] = set()
    for phrase, _ in CLAIMS[page]:
        begin, _, rest = phrase.partition("[")
        inside = rest.partition("]")[0]
        plain = phrase.replace("[", "").replace("]", "")
        for match in re.finditer(re.escape(plain), text):
            at = match.start() + len(begin)
            covered |= set(range(at, at + len(inside)))
    for pattern in OTHERS[page]:
        matches = list(re.finditer(pattern, text))
        assert matches or pattern.startswith("^"), f"{page} does not say: {pattern}"
        for match in matches:
            covered |= set(range(match.start(), match.end()))
    for match in NUMBER.finditer(text):
        assert match.start() in covered, f"{page}: {text[max(0, match.start() - 40) : match.end() + 20]}"


def test_code_is_read() -> None:
    assert value_of("1.5 s") == 1_500_000 and value_of("128 KiB") == 131072 and value_of("1,000 ids") == 1000
    assert value_of("half a second") == 500_000 and value_of("five minutes") == 300_000_000
    assert evaluate("(2 * SECOND_US + 50 * MS_US)", "x.c") == 2_050_000
    assert evaluate("((size_t)32 << 20)", "x.c") == 32 << 20
