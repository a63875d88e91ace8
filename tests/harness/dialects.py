"""A Redis that behaves as a service is documented to: a proxy that changes what a client asks.

docs/REDIS.md says which service does what, and names the documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from .proxy import CLIENT, Connection, Proxy
from .scripts import NUMBERS, SCRIPTS, text_of

Words = list[bytes]
Rule = Callable[[Words], Words]

# What one service or another refuses, and nothing that a release needs.
REFUSED = frozenset(
    b"ACL CLIENT CLUSTER COMMAND CONFIG DEBUG FUNCTION HELLO INFO KEYS LATENCY MEMORY MONITOR OBJECT ROLE "
    b"SCRIPT SELECT SLOWLOG WAIT".split()
)
# As ElastiCache Serverless does.
KEYLESS = "ERR Lua scripts without any input keys are not supported."
WORDS_MAX = 3999


def nothing(words: Words) -> Words:
    return words


def refusal(text: str) -> Words:
    return [b"EVAL", f"return redis.error_reply('{text}')".encode(), b"0"]


def managed(words: Words) -> Words:
    """Commands are unknown; scripts without keys are refused, and requests with very many words."""
    name = words[0].upper()
    if name in REFUSED:
        return [b"UNKNOWN", *words]
    if name in (b"EVAL", b"EVALSHA") and words[2] == b"0":
        return refusal(KEYLESS)
    if len(words) > WORDS_MAX:
        return refusal(f"ERR {len(words)} words in a request")
    return words


def by_sha() -> dict[bytes, bytes]:
    texts = [text_of(script).encode() for script in SCRIPTS]
    return {hashlib.sha1(text).hexdigest().encode(): text for text in texts}


def numbers() -> Rule:
    """Within scripts, scores are numbers (Dragonfly)."""
    texts = by_sha()

    def rule(words: Words) -> Words:
        name = words[0].upper()
        if name == b"EVALSHA":
            return [b"EVAL", NUMBERS.encode() + texts[words[1]], *words[2:]]
        if name == b"EVAL":
            return [name, NUMBERS.encode() + words[1], *words[2:]]
        return words

    return rule


DIALECTS: dict[str, Callable[[], Rule]] = {
    "itself": lambda: nothing,
    "managed": lambda: managed,
    "numbers": numbers,
}


def _take(data: bytes) -> tuple[Words, int] | None:
    """The first request, and how long it is; None when it is not all there."""
    head, found, _ = data.partition(b"\r\n")
    if not found:
        return None
    at, words = len(head) + 2, []
    assert head[:1] == b"*", head
    for _ in range(int(head[1:])):
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at + 1 : end])
        at = end + 2 + size + 2
        if at > len(data):
            return None
        words.append(data[end + 2 : end + 2 + size])
    return words, at


def _request(words: Words) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Dialect(Proxy):
    """In front of a Redis."""

    def __init__(self, target_port: int, name: str) -> None:
        self.rule = DIALECTS[name]()
        self.partial: dict[Connection, bytes] = {}
        super().__init__(target_port)

    def judge(self, connection: Connection, sender: str, data: bytes) -> bytes:
        if sender != CLIENT:
            return data
        data = self.partial.get(connection, b"") + data
        passing = b""
        while taken := _take(data):
            words, size = taken
            data = data[size:]
            passing += _request(self.rule(words))
        self.partial[connection] = data
        return passing
