"""tests/integration/long.txt names tests that there are."""

from __future__ import annotations

from pathlib import Path

INTEGRATION = Path(__file__).parents[1] / "integration"


def test_they_are_there() -> None:
    lines = (INTEGRATION / "long.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert listed == sorted(set(listed))
    for line in listed:
        file, name = line.split("::")
        assert f"\ndef {name}(" in (INTEGRATION / file).read_text(), line
