"""The tables in this folder's README."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.figures import Figure, Reach
from benchmarks.growth import BODY_BYTES, CONCURRENCY, at_a_time, of_size
from benchmarks.layers import OF_DELIVER, OF_RECEIVE
from benchmarks.processes import NOOP_RECEIVE, RECEIVE
from benchmarks.report import bound, number, spread, verdict

README = Path(__file__).with_name("README.md")


def fill(
    figures: Sequence[Figure],
    reaches: Mapping[str, Reach],
    results: Mapping[str, Any],
    path: Path = README,
) -> None:
    """Writes the tables into a document.

    Raises:
        NoMarks: it has no place for one of them; nothing is written.
    """
    found = {figure.name: figure for figure in figures}
    tables.fill(
        path,
        {
            "figures": _figures(found, reaches, results),
            "concurrency": _growth(found, CONCURRENCY, at_a_time, "webhooks"),
            "size": _growth(found, BODY_BYTES, of_size, "a body"),
            "layers of receive": _layers(found, OF_RECEIVE),
            "layers of deliver": _layers(found, OF_DELIVER),
        },
    )


def _figures(
    found: Mapping[str, Figure], reaches: Mapping[str, Reach], results: Mapping[str, Any]
) -> str:
    rows = [
        [
            reach.title,
            number(found[reach.name].value),
            spread(found[reach.name]),
            bound(reach),
            verdict(reach, found[reach.name]).replace("not met", "**not met**"),
        ]
        for reach in reaches.values()
        if reach.name in found
    ]
    machine = f"{results['cores']} cores, {results['system']}, Python {results['python']}"
    head = f"{results['date']}, {machine}:\n\n"
    return head + tables.table(["", "median", "rounds", "reach", ""], rows)


def _growth(
    found: Mapping[str, Figure], steps: Sequence[int], name: Callable[[int], str], title: str
) -> str:
    rows = []
    for step in steps:
        row = [name(step)]
        for what in ("us", "p50 ms", "p99 ms"):
            for source in (RECEIVE, NOOP_RECEIVE):
                figure = found.get(f"{source.name}, {name(step)}, {what}")
                row.append(number(figure.value) if figure else "")
        rows.append(row)
    heads = [f"{what}{of}" for what in ("CPU us", "p50 ms", "p99 ms") for of in ("", ", no-op")]
    return tables.table([title, *heads], rows)


def _layers(found: Mapping[str, Figure], names: Iterable[str]) -> str:
    """Each with what it adds to the one before it."""
    rows, before = [], 0.0
    for name in names:
        if figure := found.get(name):
            rows.append([name, number(figure.value), f"{figure.value - before:+.2f}"])
            before = figure.value
    return tables.table(["each does one thing more", "CPU / empty", "adds"], rows)
