"""A queues file from outside: exit status 2, and one line with the file, the line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.sweeper import run_once

GOOD = "seats:\n  table: tickets\n  active: state = 'reserved'\n  released: state = 'free'\n"

WRONG = {
    "not YAML": ("seats: {table: x\n", 2, "YAML"),
    "a tab": ("seats:\n\ttable: x\n", 2, "tab"),
    "an unknown key": (GOOD + "  expiresat: until\n", 5, '"expires_at"'),
    "a key twice": (GOOD + "  table: other\n", 5, "line 2"),
    "a queue twice": (GOOD + GOOD, 5, "line 1"),
    "no queue": ("# nothing here\n", 2, "no queue"),
    "a name too long": ("s" * 41 + ":\n  table: x\n", 1, "40"),
    "an anchor": (GOOD.replace("tickets", "&t tickets"), 2, "anchor"),
    "a tag": (GOOD.replace("state = 'reserved'", "!done"), 3, "| block"),
    "SQL cut off": (GOOD.replace("state = 'reserved'", "flags #> '{a}' = '1'"), 3, "| block"),
    "SQL with a comment": (GOOD.replace("'reserved'", "'reserved' -- or not"), 3, "| block"),
    "SQL that is a mapping": (GOOD.replace("state = 'reserved'", '{"a": 1}'), 3, "| block"),
    "folded SQL": (GOOD.replace("state = 'reserved'", ">\n    a -- b\n    and c"), 3, "| block"),
    "an empty value": (GOOD.replace(" tickets", ""), 2, "no value"),
    "a second document": (GOOD + "---\n" + GOOD, 5, "document"),
    "a missing key": ("seats:\n  table: tickets\n", 1, '"active"'),
    "a setting out of range": (GOOD + "  workers: 17\n", 5, "16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(case: str, tmp_path: Path) -> None:
    text, line, named = WRONG[case]
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")
    for done in (
        run_once("--check-config", "--queues", str(file)),
        run_once(env={"SWEEPER_QUEUES_FILE": str(file)}),
    ):
        assert done.status == 2 and done.stdout == ""
        (sentence,) = done.stderr.splitlines()
        assert f"shop.yaml:{line}: " in sentence and named in sentence


NO_TEXT = {
    "too long": (b"x" * 10_000_000, "1 MiB"),
    "not UTF-8": (b"q:\n  table: \xff\n", "shop.yaml:2: this is not UTF-8"),
    "a NUL byte": (b"q:\n  table: a\0b\n", "shop.yaml:2: it holds a NUL byte"),
    "deep": (b"[" * 1_000_000, "shop.yaml:1: "),
    "many keys": (b"a:\n" * 300_000, "shop.yaml:"),
    "empty": (b"", "shop.yaml:1: there is no queue"),
}


@pytest.mark.parametrize("case", NO_TEXT)
def test_what_is_no_text_of_queues(case: str, tmp_path: Path) -> None:
    content, named = NO_TEXT[case]
    file = tmp_path / "shop.yaml"
    file.write_bytes(content)
    done = run_once("--once", "--queues", str(file))
    assert done.status == 2 and named in done.stderr and len(done.stderr.splitlines()) == 1


def test_an_unknown_queue_is_refused_with_those_that_there_are() -> None:
    done = run_once("--once", "--queue", "orders", env={"SWEEPER_QUEUES": GOOD})
    assert done.status == 2
    assert '"orders"' in done.stderr and "seats" in done.stderr
