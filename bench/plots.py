#!/usr/bin/python3
"""Draws what bench.json holds, with gnuplot: plots.py bench.json... FOLDER"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent / "plots"
RATES = (200, 1000, 5000, 10000)
Variants = dict[str, dict[str, dict[str, Any]]]
# A title, then points: x, y and what else the plot's script takes.
Block = tuple[str, list[tuple[float, ...]]]


def gnuplot(script: str, blocks: list[Block], output: Path, **settings: object) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".dat") as data:
        texts = (
            "\n".join([f'"{title}"', *(" ".join(map(str, point)) for point in points)])
            for title, points in blocks
        )
        data.write("\n\n\n".join(texts))
        data.flush()
        settings = {"width": 760, "data": data.name, "output": output, "folder": SCRIPTS} | settings
        words = "; ".join(
            f"{name}={value}" if isinstance(value, int) else f"{name}='{value}'"
            for name, value in settings.items()
        )
        subprocess.run(["gnuplot", "-e", words, SCRIPTS / script], check=True)
    print(f"Drawn: {output}")


def nines(title: str, figures: dict[str, dict[str, Any]]) -> Block:
    """The percentiles that were measured, by how rare what lies above them is."""
    points = [
        (-math.log10(1 - float(name[1:].removesuffix(", ms")) / 100), value["median"])
        for name, value in figures.items()
        if name.startswith("p") and name.endswith(", ms")
    ]
    return title, points


def spread(x: float, figure: dict[str, Any]) -> tuple[float, ...]:
    return x, figure["median"], figure["min"], figure["max"]


def lateness(variants: Variants, folder: Path) -> None:
    paces = ("--pace 0ms", "default pace")
    blocks = [
        nines(f"{rate:,} a second", variants[f"{rate:,} a second, {pace}"])
        for pace in paces
        for rate in RATES
    ]
    gnuplot(
        "nines.gp", blocks, folder / "lateness.svg",
        width=1000, firsts="0 4", lasts="3 7", titles='"--pace 0ms" "default pace"',
    )  # fmt: skip


def peers(variants: Variants, folder: Path) -> None:
    blocks = [nines(name, figures) for name, figures in variants.items()]
    gnuplot(
        "nines.gp", blocks, folder / "peers.svg",
        firsts="0", lasts=str(len(blocks) - 1), titles='"1,000 due a second"',
    )  # fmt: skip


def workers(variants: Variants, folder: Path) -> None:
    lines: dict[str, list[tuple[float, ...]]] = {}
    for name, figures in variants.items():
        _, n, _, size = name.split()
        lines.setdefault(n, []).append(spread(float(size), figures["a second"]))
    blocks = [(f"{n} worker{'s' if n != '1' else ''}", line) for n, line in lines.items()]
    gnuplot("workers.gp", blocks, folder / "workers.svg")


def scale(variants: Variants, folder: Path) -> None:
    shown = {
        "a release, us": "a release, first to last",
        "Postgres a release, us": "Postgres, CPU",
        "Redis a release, us": "Redis, CPU",
        "sweeper a release, us": "sweeper, CPU",
        "by the statement, us": "one SQL statement",
    }
    blocks = [
        (
            title,
            [
                spread(float(name.split()[0].replace(",", "")), figures[figure])
                for name, figures in variants.items()
            ],
        )
        for figure, title in shown.items()
    ]
    gnuplot("scale.gp", blocks, folder / "scale.svg")


DRAWN = {"lateness": lateness, "workers": workers, "scale": scale, "peers-lateness": peers}


def draw(content: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, measurement in content["measurements"].items():
        if name in DRAWN:
            DRAWN[name](measurement["variants"], folder)


def main(words: list[str]) -> int:
    if len(words) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    for file in words[:-1]:
        draw(json.loads(Path(file).read_text(encoding="utf-8")), Path(words[-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
