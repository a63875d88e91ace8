"""docs/OPERATIONS.md explains every message that the program can log, and no other."""

from __future__ import annotations

import re
from functools import cache

from documents import name, rows, section, sources, text_of

TITLE = "Every message of the log"

# Functions that write a record: the places of its level and of its message among the arguments. A
# function that is handed a message stands here too, and its own call below.
CALLS = {"log_event": (0, 1), "build": (1, 2), "server_watch_down": (None, 1), "note_failure": (None, 1)}

# What stands in a call in place of a literal: a parameter, a field ...
FORWARDED = {
    "message",
    "w->message",
    "w->words.often",
    "w->words.back",
    "summaries[kind].message",
}
# ... and where their words stand.
WORDS = [
    r"\.(?:back|often) = (?P<literals>.*?),\n",
    r"\} summaries\[KINDS\] = \{(?P<literals>.*?)\n\};",
    r"const char message\[\] = (?P<literals>.*?);",
]

LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def without_comments(text: str) -> str:
    return re.sub(r'("(?:[^"\\]|\\.)*")|/\*.*?\*/', lambda m: m[1] or "", text, flags=re.S)


def arguments(text: str, begin: int) -> list[str]:
    """The arguments of the call whose bracket opens before begin."""
    found, depth, start = [], 0, begin
    piece = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)\'|[(){}\[\],]')
    for match in piece.finditer(text, begin):
        if match[0] in "({[":
            depth += 1
        elif match[0] in ")}]":
            if depth == 0:
                return [*found, text[start : match.start()]]
            depth -= 1
        elif match[0] == "," and depth == 0:
            found.append(text[start : match.start()])
            start = match.end()
    raise AssertionError(f"a call without an end: {text[begin : begin + 60]}")


def literals(expression: str, text: str) -> set[str]:
    """The texts that an expression may be: literals side by side are one, and macros are put in."""
    for macro, value in re.findall(r'^#define (\w+) ("[^"]*")$', text, flags=re.M):
        expression = re.sub(rf"\b{macro}\b", value.replace("\\", r"\\"), expression)
    joined = re.sub(r'"\s*"', "", expression)
    return {match.replace('\\"', '"') for match in LITERAL.findall(joined)}


@cache
def logged() -> dict[str, set[str]]:
    """Every message in the source, with the levels that its calls name (none: decided elsewhere)."""
    found: dict[str, set[str]] = {}
    texts = {name(path): without_comments(path.read_text(encoding="utf-8")) for path in sources("src", ".c")}
    everything = "\n".join(texts.values())
    for file, text in texts.items():
        for call, (level_at, message_at) in CALLS.items():
            for match in re.finditer(rf"(?<!\w){call}\(", text):
                before = text[: match.start()].rpartition("\n")[2]
                if re.search(r"(?:void|char|int) \*?$", before):
                    continue  # its definition
                args = arguments(text, match.end())
                expression = args[message_at].strip()
                levels = set(re.findall(r"LOG_([A-Z]+)", args[level_at])) if level_at is not None else set()
                messages = literals(expression, text)
                assert messages or expression in FORWARDED, f"{file}: whose words are in {expression}?"
                if len(messages) > 1 and len(levels) > 1:
                    levels = set()  # which goes with which is not read here
                for message in messages:
                    found.setdefault(message, set()).update(levels)
    for pattern in WORDS:
        matches = list(re.finditer(pattern, everything, flags=re.S))
        assert matches, pattern
        for message in set().union(*(literals(match["literals"], "") for match in matches)):
            found.setdefault(message, set())
    return found


def explained() -> dict[str, tuple[str, str]]:
    """The rows of the table: message, its levels, what it means and what is to be done."""
    table = {}
    for row in rows(section(text_of("docs/OPERATIONS.md"), TITLE)):
        assert len(row) == 4, row
        message = row[0].removeprefix("`").removesuffix("`")
        assert message not in table, f"twice: {message}"
        table[message] = (row[1], row[2] + row[3])
    return table


def test_every_message_is_explained() -> None:
    missing = sorted(set(logged()) - set(explained()))
    assert not missing, missing


def test_every_message_that_is_explained_can_be_logged() -> None:
    left = sorted(set(explained()) - set(logged()))
    assert not left, left


def test_levels() -> None:
    messages = logged()
    for message, (levels, _) in explained().items():
        named = set(re.findall(r"[A-Z]+", levels))
        assert named and named <= {"DEBUG", "INFO", "WARN", "ERROR"}, (message, levels)
        assert messages[message] <= named, (message, levels, messages[message])


def test_messages_are_in_order() -> None:
    names = [message.casefold() for message in explained()]
    assert names == sorted(names)


def test_the_manual_page_names_messages() -> None:
    diagnostics = text_of("docs/reservation-sweeper.1").partition(".Sh DIAGNOSTICS")[2].partition(".Sh ")[0]
    named = re.findall(r'^\.(?:It|Qq) "?([A-Z][^"\n]*?)"?(?: [.,;])?$', diagnostics, flags=re.M)
    assert len(named) >= 10
    messages = logged()
    for message in named:
        assert any(known == message or known.startswith(f"{message}:") for known in messages), message


def test_literals_are_read() -> None:
    text = '#define P "X_"\nf(LOG_WARN, a ? "one " /* , */ P "two" : "three, four", LOG_END);'
    args = arguments(without_comments(text), text.index("(") + 1)
    assert len(args) == 3
    assert literals(args[1], text) == {"one X_two", "three, four"}


if __name__ == "__main__":  # the messages, for whoever writes a row
    for message, levels in sorted(logged().items(), key=lambda item: item[0].casefold()):
        print(f"{message} | {' '.join(sorted(levels))}")
