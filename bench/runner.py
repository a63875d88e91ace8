"""Runs measurements. A measurement has variants: settings, or ways to do the same.

Everything takes turns, the whole suite once for each repetition: what disturbs the machine for a
while then disturbs all of them. Reported are medians, with the least and the greatest.
"""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plots
import report
from bed import Bed

Figures = dict[str, float]
# Medians by variant, then by figure.
Medians = dict[str, Figures]
# Runs once; the second argument asks for a short run.
Variant = Callable[[Bed, bool], Figures]

REPEAT = 3


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
    variants: dict[str, Variant]
    targets: list[Target] = field(default_factory=list)
    # The figures that the table shows; none: all. The rest is in the file.
    shown: tuple[str, ...] = ()


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


def measure(bed: Bed, chosen: list[Measurement], quick: bool, repeat: int) -> list[Outcome]:
    outcomes = [Outcome(one, {variant: [] for variant in one.variants}) for one in chosen]
    for turn in range(1, repeat + 1):
        for outcome in outcomes:
            for variant, run_once in outcome.measurement.variants.items():
                begin = time.monotonic()
                try:
                    outcome.runs[variant].append(run_once(bed, quick))
                except AssertionError as error:
                    name = outcome.measurement.name
                    raise AssertionError(f"{name}: {variant}, run {turn}: {error}") from error
                took = f"{time.monotonic() - begin:.0f} s"
                report.say(f"  {turn}/{repeat} {outcome.measurement.name}: {variant} ({took})")
    return outcomes


def run(
    chosen: list[Measurement], quick: bool, repeat: int | None, output: Path, pictures: Path | None
) -> int:
    # SIGTERM as SIGINT: an exception, on whose way out the servers are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    try:
        with Bed() as bed:
            description = report.describe(bed, quick)
            outcomes = measure(bed, chosen, quick, repeat or (1 if quick else REPEAT))
    except KeyboardInterrupt:
        report.say("Stopped.")
        return 130
    except AssertionError as error:
        report.say(f"FAILED: {error}")
        return 1
    for outcome in outcomes:
        one = outcome.measurement
        report.show(one.title, one.shown, outcome.summary(), outcome.targets())
    content = {
        **description,
        "measurements": {
            outcome.measurement.name: {
                "title": outcome.measurement.title,
                "variants": outcome.summary(),
                "targets": outcome.targets(),
            }
            for outcome in outcomes
        },
    }
    report.write(content, output)
    if pictures is not None and not quick:
        plots.draw(content, pictures)
    missed = sum(not judged["met"] for outcome in outcomes for judged in outcome.targets())
    report.say(f"Targets missed: {missed}" if missed else "All targets met.")
    report.say(f"Took {(time.monotonic() - begin) / 60:.0f} minutes.")
    return 0
