"""A figure of a comparison: what it came to in each round, and how far it should come."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

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
    def spread(self) -> tuple[float, float]:
        """The least and the most of the rounds."""
        return min(self.rounds), max(self.rounds)

    @classmethod
    def ratio(cls, name: str, ours: Sequence[float], theirs: Sequence[float]) -> Figure:
        """What was measured side by side, round by round."""
        return cls(name, tuple(a / b for a, b in zip(ours, theirs, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a figure should come.

    Attributes:
        name: the figure's.
        comparison: that measures it.
        title: what it is, for people.
        reach: the most it should be, or the least if `at_least`; None where it is only shown.
        at_least: more is better.
        guard: what CI does not let it pass, with room for a noisy machine; None for what says more
            of the machine than of the code, as latencies do.
    """

    name: str
    comparison: str
    title: str
    reach: float | None = None
    at_least: bool = False
    guard: float | None = None

    def is_met(self, value: float) -> bool | None:
        """Whether it came so far; None where there is no saying."""
        return None if self.reach is None else self._holds(value, self.reach)

    def is_guarded(self, value: float) -> bool:
        """Whether it is within what CI lets pass."""
        return self.guard is None or self._holds(value, self.guard)

    def _holds(self, value: float, bound: float) -> bool:
        return value >= bound if self.at_least else value <= bound


def reaches(rows: Sequence[Mapping[str, Any]] | None = None) -> dict[str, Reach]:
    """Every reach, by its figure's name, in the order of the tables; those of `reach.json`."""
    if rows is None:
        rows = orjson.loads(_REACHES.read_bytes())
    return {row["name"]: Reach(**row) for row in rows}


def past_guard(figures: Iterable[Figure], guarded: Iterable[Reach]) -> list[str]:
    """What is wrong with each figure that is past its guard, or was not measured at all."""
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
