"""What the benchmarks found, as a table for people and as JSON for programs."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Reach

RESULTS = Path(__file__).with_name("results.json")


def show(figures: Sequence[Figure], reaches: Mapping[str, Reach], console: Console) -> None:
    """Prints every figure; those with a reach first, in its order."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("figure", max_width=60)
    for column in ("median", "rounds", "reach"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    found = {figure.name: figure for figure in figures}
    for reach in reaches.values():
        if figure := found.pop(reach.name, None):
            table.add_row(
                reach.title,
                number(figure.value),
                spread(figure),
                bound(reach),
                verdict(reach, figure),
            )
    for figure in found.values():
        table.add_row(figure.name, number(figure.value), spread(figure), "", "")
    console.print(table)


def as_json(
    figures: Sequence[Figure], reaches: Mapping[str, Reach], *, today: datetime.date
) -> dict[str, Any]:
    """The figures with what they were measured on; nothing that names the machine or its owner."""
    return {
        "date": today.isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "figures": [_row(figure, reaches.get(figure.name)) for figure in figures],
    }


def _row(figure: Figure, reach: Reach | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": figure.name,
        "median": figure.value,
        "spread": figure.spread,
        "rounds": figure.rounds,
    }
    if reach is not None and reach.reach is not None:
        row |= {
            "reach": reach.reach,
            "direction": "at least" if reach.at_least else "at most",
            "met": reach.is_met(figure.value),
        }
    return row


def save(results: Mapping[str, Any], path: Path = RESULTS) -> None:
    """Writes `results.json`."""
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def verdict(reach: Reach, figure: Figure) -> str:
    """Whether the reach is met, in words; none where there is no reach."""
    return {True: "met", False: "not met", None: ""}[reach.is_met(figure.value)]


def bound(reach: Reach) -> str:
    """The reach, in words."""
    if reach.reach is None:
        return ""
    return f"{number(reach.reach)} or {'more' if reach.at_least else 'less'}"


def spread(figure: Figure) -> str:
    """The least and the most of the rounds."""
    least, most = figure.spread
    return f"{number(least)} .. {number(most)}" if len(figure.rounds) > 1 else ""


def number(value: float) -> str:
    """Three digits are all that a benchmark on a shared machine can tell."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
