#!/usr/bin/python3
"""The documents' figures from what was measured: summary.py DOCUMENT bench.json...

Replaces what stands between two marks in the document: one table of HEADLINES, or all tables and the
aims. What was not measured is left out. Of a measurement that is in several files the last is taken.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tables import figure_text, former_of

MARKS = re.compile(
    r"(<!-- bench: (short|all); [^\n]*-->\n).*(<!-- bench: end -->)", re.DOTALL
)
LATE = {"p50, ms": "p50", "p99, ms": "p99", "p99.9, ms": "p99.9", "max, ms": "max"}
CPU = {"Postgres, CPU s": "Postgres", "Redis, CPU s": "Redis"}
DRAIN = {"a second": "a second", **CPU, "releasing program, CPU s": "program"}
# By measurement: what its table is called, and its figures with the names they get there.
TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "drain-uniform-schema": (
        "100,000 stale, `sql/schema.sql`; CPU in seconds",
        DRAIN,
    ),
    "drain-uniform-unique": ("100,000 stale, the same, the id is unique", DRAIN),
    "drain-uniform-api": ("100,000 stale, an API's own indexes", DRAIN),
    "drain-shops": ("12,000 stale in each queue of examples/shops", DRAIN),
    "queues": ("50,000 stale in each queue, all in one daemon", DRAIN),
    "lateness": (
        "fall due evenly; ms late, by Postgres's commit timestamps",
        {**LATE, "Postgres, cores": "Postgres, cores"},
    ),
    "burst": ("20,000 fall due at once; ms late", LATE),
    "checkouts": (
        "checkouts: ms a transaction",
        {"p50, ms": "p50", "p99, ms": "p99", "max, ms": "max"}
        | {"transactions a second": "a second", "releases a second": "releases a second"},
    ),
    "scale": (
        "20,000 overdue beside",
        {"a release, us": "a release, us", "by the statement, us": "by one statement, us"}
        | {"a claim in Redis, us": "a claim, us", "Redis bytes an entry": "Redis, bytes an entry"}
        | {"its peak, MB": "peak, MB", "from start to first release, ms": "start, ms"},
    ),
    "ceiling": (
        "Redis alone",
        {"claim and settlement, µs an id": "an id, us", "ids a second of one core": "ids a second"}
        | {"a claim's script, µs": "a claim, us", "a settlement's script, µs": "a settlement, us"},
    ),
    "idle": (
        "nothing is due",
        {"sweeper, % of a core": "% of a core", "Redis scripts a minute": "Redis scripts a minute"}
        | {"Postgres statements a minute": "statements a minute", "resident, MB": "MB"},
    ),
    "peers-drain": (
        "20,000 stale, by what a shop could use",
        {"a second": "a second", **CPU, "releasing program, CPU s": "program"},
    ),
    "peers-lateness": ("1,000 due a second, by the same; ms late", LATE),
}


# The one table of the README: what is said, then where its figure stands and how it is written.
Headline = tuple[str, str, str, str, str]
EVERY_SECOND = "one SQL statement every second"
HEADLINES: list[Headline] = [
    ("1,000 fall due a second: late by, median", "lateness", "1,000 a second, default pace", "p50, ms", "ms"),
    ("… 99 %", "lateness", "1,000 a second, default pace", "p99, ms", "ms"),
    ("… 99 % by one SQL statement every second", "peers-lateness", EVERY_SECOND, "p99, ms", "ms"),
    ("… 99 % by BullMQ, 50 jobs at once", "peers-lateness", "BullMQ, 50 at once", "p99, ms", "ms"),
    ("a backlog of 100,000: released", "drain-uniform-schema", "sweeper", "a second", "a second"),
    ("… with `--workers 2`", "drain-uniform-schema", "sweeper, --workers 2", "a second", "a second"),
    ("… by one SQL statement", "drain-uniform-schema", "one SQL statement", "a second", "a second"),
    ("a checkout's transaction, 99 %, alone", "checkouts", "alone", "p99, ms", "ms"),
    ("… beside 1,000 releases a second", "checkouts", "beside 1,000 releases a second", "p99, ms", "ms"),
    ("… beside a drain", "checkouts", "beside a drain", "p99, ms", "ms"),
    ("a release beside 10 million pending", "scale", "10,000,000 pending", "a release, us", "µs"),
    ("nothing is due: processor, of one core", "idle", "sweeper", "sweeper, % of a core", "%"),
    ("… memory", "idle", "sweeper", "resident, MB", "MB"),
]


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(title: str, names: dict[str, str], variants: dict[str, Any]) -> list[str]:
    lines = [row([title, *names.values()]), row(["---", *["--:"] * len(names)])]
    for variant, figures in variants.items():
        cells = [
            figure_text(figures[name]["median"]) if name in figures else "" for name in names
        ]
        lines.append(row([variant, *cells]))
    return [*lines, ""]


def repetitions(contents: list[dict[str, Any]]) -> str:
    counts = {
        len(figure["runs"])
        for content in contents
        for one in content["measurements"].values()
        for figures in one["variants"].values()
        for figure in figures.values()
    }
    if counts == {1}:
        return "Single runs"
    return f"Medians of {max(counts)} runs where there is an aim{'; the rest once' if 1 in counts else ''}"


def machine(contents: list[dict[str, Any]]) -> str:
    content = contents[0]
    sweeper = content["sweeper"].split("(")[-1].rstrip(")")
    return (
        f"On {content['date'][:10]}: {content['machine']}; {content['system'].split(',')[0]}; Postgres"
        f" {content['postgres']['version']}, Redis {content['redis']['version']}, {sweeper}. A durable commit"
        f" cost {content['commit'].split(' (')[0]}. {repetitions(contents)}."
    )


def aims(contents: list[dict[str, Any]]) -> list[str]:
    found = [
        (f"{name}: {aim['target']}", aim)
        for content in contents
        for name, one in content["measurements"].items()
        for aim in one["targets"]
    ]
    compared = any("former" in aim for _, aim in found)
    names = ["aim", *(["before"] if compared else []), "measured", "at most"]
    lines = [row([*names, ""]), row(["---", *["--:"] * (len(names) - 1), "---"])]
    for name, aim in found:
        values = [aim.get("former")] if compared else []
        values += [aim["value"], aim["limit"]]
        cells = ["" if value is None else figure_text(value) for value in values]
        lines.append(row([name, *cells, "" if aim["met"] else "missed"]))
    return [*lines, ""]


def headlines(measured: dict[str, Any]) -> list[str]:
    """With a column for the former program where it was measured."""
    lines = []
    for text, measurement, variant, figure, unit in HEADLINES:
        variants = measured.get(measurement, {"variants": {}})["variants"]
        if variant in variants:
            both = [variants.get(one, {}).get(figure) for one in (former_of(variant), variant)]
            lines.append([text, *(f"{figure_text(f['median'])} {unit}" if f else "" for f in both)])
    heads = [["measured", "before", "now"], ["---", "--:", "--:"]]
    if not any(before for _, before, _ in lines):
        heads = [["measured", ""], ["---", "--:"]]
        lines = [[text, now] for text, _, now in lines]
    return [*map(row, heads + lines), ""]


def summary(contents: list[dict[str, Any]], which: str) -> str:
    measured = {name: one for content in contents for name, one in content["measurements"].items()}
    lines = [machine(contents), ""]
    if which == "short":
        return "\n".join(lines + headlines(measured))
    for name, (title, names) in TABLES.items():
        if name in measured:
            lines += table(title, names, measured[name]["variants"])
    return "\n".join(lines + aims(contents))


def main(words: list[str]) -> int:
    if len(words) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    document = Path(words[0])
    contents = [json.loads(Path(file).read_text(encoding="utf-8")) for file in words[1:]]
    if any(content["runs"] != "full" for content in contents):
        print("a quick run is no measurement to show", file=sys.stderr)
        return 1
    after, found = MARKS.subn(
        lambda match: f"{match[1]}\n{summary(contents, match[2])}\n{match[3]}",
        document.read_text(encoding="utf-8"),
    )
    if found != 1:
        print(f"{document}: the two marks are not there", file=sys.stderr)
        return 1
    document.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
