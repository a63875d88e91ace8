"""Runs measurements. A measurement has variants: settings, or ways to do the same.

What has an aim is repeated, in turns, the whole suite once for each repetition: what disturbs the
machine for a while then disturbs all of them. Reported are medians, with the least and the greatest.
The rest is measured once, at the end. With a former program, what is compared is measured for both,
one right after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plots
import report
from bed import Bed, TooLate
from tables import former_of

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
    # Variants that are repeated; and those that a former program is measured for too, with
    # settings that it knows, which are repeated as well.
    repeated: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    # The figures that the table shows; none: all. The rest is in the file.
    shown: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert {*self.repeated, *self.compared} <= self.variants.keys(), self.name


@dataclass
class Run:
    """A variant, what it gave each time, and whether it is repeated. former: which program is to do
    it, if not ours."""

    variant: Variant
    repeated: bool
    former: Path | None = None
    figures: list[Figures] = field(default_factory=list)

    def once(self, bed: Bed, quick: bool) -> None:
        with program(self.former):
            try:
                self.figures.append(self.variant(bed, quick))
            except TooLate:
                self.figures.append(self.variant(bed, quick))


@contextlib.contextmanager
def program(former: Path | None) -> Iterator[None]:
    """Whatever is started meanwhile is the former program, if there is one."""
    ours = os.environ.get("RS_BINARY")
    if former is not None:
        os.environ["RS_BINARY"] = str(former)
    try:
        yield
    finally:
        if ours is not None:
            os.environ["RS_BINARY"] = ours
        else:
            os.environ.pop("RS_BINARY", None)


class Outcome:
    """What has come of a measurement so far."""

    def __init__(self, measurement: Measurement, former: Path | None) -> None:
        self.measurement = measurement
        self.runs: dict[str, Run] = {}
        self.failures: list[str] = []
        for name, variant in measurement.variants.items():
            compared = name in measurement.compared
            self.runs[name] = Run(variant, compared or name in measurement.repeated)
            if compared and former is not None:
                self.runs[former_of(name)] = Run(variant, True, former)

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            name: {
                figure: {
                    "median": statistics.median(values),
                    "min": min(values),
                    "max": max(values),
                    "runs": values,
                }
                for figure in run.figures[0]
                if (values := [one[figure] for one in run.figures if figure in one])
            }
            for name, run in self.runs.items()
            if run.figures
        }

    def targets(self) -> list[dict[str, Any]]:
        """Those of which everything was measured."""
        medians: Medians = {
            variant: {figure: value["median"] for figure, value in figures.items()}
            for variant, figures in self.summary().items()
        }
        formerly = {name: medians.get(former_of(name), medians[name]) for name in medians}
        judged = []
        for target in self.measurement.targets:
            with contextlib.suppress(KeyError):
                value = target.value(medians)
                one = {
                    "target": target.what,
                    "limit": target.limit,
                    "value": value,
                    "met": value <= target.limit,
                }
                if formerly != medians:
                    one["former"] = target.value(formerly)
                judged.append(one)
        return judged

    def measure(self, bed: Bed, quick: bool, repeated: bool) -> None:
        """Once each: what is repeated, or what is not."""
        for name, run in self.runs.items():
            if run.repeated != repeated:
                continue
            begin = time.monotonic()
            what = f"{self.measurement.name}: {name}"
            try:
                run.once(bed, quick)
                report.say(f"  {what} ({time.monotonic() - begin:.0f} s)")
            # Whatever it is: the others are worth having.
            except Exception as error:  # noqa: BLE001
                self.failures.append(what)
                report.say(f"  {what} FAILED: {type(error).__name__}: {error}")


def content_of(description: dict[str, Any], outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        **description,
        "measurements": {
            outcome.measurement.name: {
                "title": outcome.measurement.title,
                "variants": outcome.summary(),
                "targets": outcome.targets(),
            }
            for outcome in outcomes
            if any(run.figures for run in outcome.runs.values())
        },
    }


def run(
    chosen: list[Measurement], options: argparse.Namespace, compared: dict[str, str]
) -> int:
    """Runs, prints and writes; compared: versions of what the sweeper is compared with. What was
    measured so far is written all along: a run that is stopped is not lost."""
    # SIGTERM as SIGINT: an exception, on whose way out the servers are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begin = time.monotonic()
    repeat = options.repeat or (1 if options.quick else REPEAT)
    outcomes = [Outcome(one, options.former) for one in chosen]
    try:
        with Bed() as bed:
            description = report.describe(bed, options.quick, compared, options.former)
            for turn in [*range(1, repeat + 1), *([] if options.aims else [0])]:
                report.say(f"Turn {turn} of {repeat}" if turn else "What is measured once")
                for outcome in outcomes:
                    outcome.measure(bed, options.quick, turn > 0)
                    report.write(content_of(description, outcomes), options.output)
    except KeyboardInterrupt:
        report.say("Stopped.")
        return 130
    for outcome in outcomes:
        one = outcome.measurement
        report.show(one.title, one.shown, outcome.summary(), outcome.targets())
    missed = sum(not judged["met"] for outcome in outcomes for judged in outcome.targets())
    report.say(f"Targets missed: {missed}" if missed else "All targets met.")
    report.say(f"Written to {options.output}")
    report.say(f"Took {(time.monotonic() - begin) / 60:.0f} minutes.")
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    for failure in failures:
        report.say(f"FAILED: {failure}")
    if options.plots is not None and not options.quick and not failures:
        plots.draw(content_of(description, outcomes), options.plots)
    return 1 if failures else 0
