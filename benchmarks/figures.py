"""Figures: the result of each round, how far it should come, and both as a table and as JSON."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.tables import number

RESULTS = Path(__file__).with_name("results.json")
_REACHES = Path(__file__).with_name("reach.json")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; its value is the median of the rounds, which one bad round does not move."""

    name: str
    rounds: tuple[float, ...]

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> str:
        """The least and the most of the rounds, for people; empty if there is only one."""
        least, most = number(min(self.rounds)), number(max(self.rounds))
        return f"{least} .. {most}" if len(self.rounds) > 1 else ""

    @classmethod
    def ratio(cls, name: str, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
        """Returns the ratio of two measurements that were made side by side, round by round."""
        return cls(name, tuple(a / b for a, b in zip(ours, theirs, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a figure should come.

    Attributes:
        name: the figure's.
        comparison: that measures it.
        title: what it is, for people.
        reach: the most it should be, or the least if `at_least`; None if it is only shown.
        at_least: more is better.
        guard: what CI does not let it pass, with room for a noisy machine; None for what says more
            about the machine than about the code, as latencies do.
    """

    name: str
    comparison: str
    title: str
    reach: float | None = None
    at_least: bool = False
    guard: float | None = None

    def is_met(self, value: float) -> bool | None:
        """Returns whether a value comes that far; None if there is no reach."""
        return None if self.reach is None else self._holds(value, self.reach)

    def is_guarded(self, value: float) -> bool:
        """Returns whether a value is within what CI lets pass."""
        return self.guard is None or self._holds(value, self.guard)

    def row(self, figure: Figure) -> list[str]:
        """Returns the cells of a table: title, median, rounds, reach, and whether it is met."""
        bound = ""
        if self.reach is not None:
            bound = f"{number(self.reach)} or {'more' if self.at_least else 'less'}"
        verdict = {True: "met", False: "not met", None: ""}[self.is_met(figure.value)]
        return [self.title, number(figure.value), figure.spread, bound, verdict]

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


def reaches() -> dict[str, Reach]:
    """Returns the reaches of `reach.json` by the names of their figures, in the tables' order."""
    return {row["name"]: Reach(**row) for row in orjson.loads(_REACHES.read_bytes())}


def past_guard(figures: Iterable[Figure], guarded: Iterable[Reach]) -> list[str]:
    """Returns an error for each figure that is past its guard, or was not measured at all."""
    found = {figure.name: figure for figure in figures}
    wrong = []
    for reach in guarded:
        if reach.guard is None:
            continue
        if (figure := found.get(reach.name)) is None:
            wrong.append(f"{reach.name} was not measured")
        elif not reach.is_guarded(figure.value):
            bound = "at least" if reach.at_least else "at most"
            wrong.append(f"{reach.name} is {figure.value:.3g}; it must be {bound} {reach.guard:g}")
    return wrong


def show(figures: Sequence[Figure], known: Mapping[str, Reach], console: Console) -> None:
    """Prints every figure; those with a reach first, in its order."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("figure", max_width=60)
    for column in ("median", "rounds", "reach"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    found = {figure.name: figure for figure in figures}
    for reach in known.values():
        if figure := found.pop(reach.name, None):
            table.add_row(*reach.row(figure))
    for figure in found.values():
        table.add_row(figure.name, number(figure.value), figure.spread, "", "")
    console.print(table)


def as_json(
    figures: Sequence[Figure], known: Mapping[str, Reach], *, today: datetime.date
) -> dict[str, Any]:
    """Returns the figures and the system, without anything that names the machine or its owner."""
    return {
        "date": today.isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "figures": [_json_row(figure, known.get(figure.name)) for figure in figures],
    }


def _json_row(figure: Figure, reach: Reach | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": figure.name,
        "median": figure.value,
        "spread": (min(figure.rounds), max(figure.rounds)),
        "rounds": figure.rounds,
    }
    if reach is not None and reach.reach is not None:
        row |= {
            "reach": reach.reach,
            "direction": "at least" if reach.at_least else "at most",
            "met": reach.is_met(figure.value),
        }
    return row
