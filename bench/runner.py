"""Runs measurements. A measurement has variants: settings, or ways to do the same.

Everything takes turns, the whole suite once for each repetition: what disturbs the machine for a
while then disturbs all of them. Reported are medians, with the least and the greatest.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
    failures: list[str] = field(default_factory=list)

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
            if runs
        }

    def targets(self) -> list[dict[str, Any]]:
        medians: Medians = {
            variant: {figure: value["median"] for figure, value in figures.items()}
            for variant, figures in self.summary().items()
        }
        judged = []
        for target in self.measurement.targets if len(medians) == len(self.runs) else []:
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
                what = f"{turn}/{repeat} {outcome.measurement.name}: {variant}"
                try:
                    outcome.runs[variant].append(run_once(bed, quick))
                    report.say(f"  {what} ({time.monotonic() - begin:.0f} s)")
                except AssertionError as error:
                    outcome.failures.append(what)
                    report.say(f"  {what} FAILED: {error}")
    return outcomes


def run(
    chosen: list[Measurement], options: argparse.Namespace, compared: dict[str, str]
) -> int:
    """Runs, prints and writes; compared: versions of what the sweeper is compared with."""
    # SIGTERM as SIGINT: an exception, on whose way out the servers are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    try:
        with Bed() as bed:
            description = report.describe(bed, options.quick, compared)
            repeat = options.repeat or (1 if options.quick else REPEAT)
            outcomes = measure(bed, chosen, options.quick, repeat)
    except KeyboardInterrupt:
        report.say("Stopped.")
        return 130
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
    report.write(content, options.output)
    missed = sum(not judged["met"] for outcome in outcomes for judged in outcome.targets())
    report.say(f"Targets missed: {missed}" if missed else "All targets met.")
    report.say(f"Took {(time.monotonic() - begin) / 60:.0f} minutes.")
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    for failure in failures:
        report.say(f"FAILED: {failure}")
    if options.plots is not None and not options.quick and not failures:
        plots.draw(content, options.plots)
    return 1 if failures else 0
