"""Runs measurements and reports them.

A measurement has variants (settings, or ways to do the same), which take turns: what disturbs the
machine for a while then disturbs all of them. Reported are medians over the repetitions, with the
least and the greatest.
"""

from __future__ import annotations

import json
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
from bed import Bed
from harness.sweeper import binary

Figures = dict[str, float]
# Medians by variant, then by figure.
Medians = dict[str, Figures]


@dataclass
class Target:
    """A limit on a figure, or on a relation between the figures of one measurement."""

    what: str
    value: Callable[[Medians], float]
    limit: float


@dataclass
class Measurement:
    name: str
    title: str
    # By variant: what runs it once and returns its figures.
    variants: dict[str, Callable[[Bed, bool], Figures]]
    targets: list[Target]
    repeat: int = 3
    # A note on what the figures mean.
    notes: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    measurement: Measurement
    runs: dict[str, list[Figures]]

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            variant: {
                figure: {
                    "median": statistics.median(values),
                    "min": min(values),
                    "max": max(values),
                    "runs": values,
                }
                for figure in runs[0]
                if (values := [one[figure] for one in runs])
            }
            for variant, runs in self.runs.items()
        }

    def targets(self) -> list[dict[str, Any]]:
        medians: Medians = {
            variant: {figure: value["median"] for figure, value in figures.items()}
            for variant, figures in self.summary().items()
        }
        judged = []
        for target in self.measurement.targets:
            value = target.value(medians)
            judged.append(
                {
                    "target": target.what,
                    "limit": target.limit,
                    "value": value,
                    "met": value <= target.limit,
                }
            )
        return judged


def say(text: str = "") -> None:
    print(text, flush=True)


def measure(bed: Bed, measurement: Measurement, quick: bool, repeat: int) -> Outcome:
    outcome = Outcome(measurement, {variant: [] for variant in measurement.variants})
    for turn in range(repeat):
        for variant, run_once in measurement.variants.items():
            begin = time.monotonic()
            outcome.runs[variant].append(run_once(bed, quick))
            took = time.monotonic() - begin
            say(f"  {measurement.name}: {variant}, run {turn + 1} of {repeat} ({took:.0f} s)")
    return outcome


def figure_text(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"


def show(outcome: Outcome) -> None:
    measurement = outcome.measurement
    say(f"\n{measurement.title}")
    for variant, figures in outcome.summary().items():
        say(f"  {variant}")
        for figure, value in figures.items():
            spread = f"{figure_text(value['min'])} to {figure_text(value['max'])}"
            say(f"    {figure:44}{figure_text(value['median']):>12}   {spread}")
    for judged in outcome.targets():
        word = "met   " if judged["met"] else "MISSED"
        value, limit = figure_text(judged["value"]), figure_text(judged["limit"])
        say(f"  {word} {judged['target']}: {value} (at most {limit})")
    for note in measurement.notes:
        say(f"  {note}")


def report(outcomes: list[Outcome], description: dict[str, Any], output: Path) -> None:
    content = {
        **description,
        "measurements": {
            one.measurement.name: {
                "title": one.measurement.title,
                "variants": one.summary(),
                "targets": one.targets(),
            }
            for one in outcomes
        },
    }
    output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    say(f"\nWritten to {output}")


def run(chosen: list[Measurement], quick: bool, repeat: int | None, output: Path | None) -> int:
    # SIGTERM as SIGINT: an exception, on whose way out the servers are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes: list[Outcome] = []
    try:
        with Bed() as bed:
            description = machine.describe(bed, quick)
            for name, value in description.items():
                if isinstance(value, dict):
                    value = ", ".join(f"{key} {one}" for key, one in value.items())
                say(f"{name:12}{value}")
            say()
            for measurement in chosen:
                outcomes.append(
                    measure(bed, measurement, quick, repeat or (1 if quick else measurement.repeat))
                )
    except KeyboardInterrupt:
        say("Stopped.")
        return 130
    except AssertionError as error:
        say(f"FAILED: {error}")
        return 1
    for outcome in outcomes:
        show(outcome)
    report(outcomes, description, output or Path(binary()).parent / "bench.json")
    missed = sum(not judged["met"] for outcome in outcomes for judged in outcome.targets())
    say(f"Targets missed: {missed}" if missed else "All targets met.")
    return 0
