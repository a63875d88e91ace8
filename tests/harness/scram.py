"""A password's secret as Postgres stores it: RFC 5803, `SCRAM-SHA-256$iterations:salt$stored:server`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os


def secret(password: str) -> str:
    """One with a single iteration: nobody guesses at a test's password, and each client has to do all
    of them at each connection; Postgres's own 4,096 are 3 ms of a processor."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256$1:{text[0]}${text[1]}:{text[2]}"
