"""Shows the results: the tables in this folder's README, and the picture in the project's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.breakdown import OF_DELIVER, OF_RECEIVE
from benchmarks.comparisons import BODY_BYTES, CONCURRENCY, at_a_time, of_size
from benchmarks.figures import Figure, Reach
from benchmarks.functions import (
    DELIVER,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    QUICKSTART_DELIVER,
    QUICKSTART_RECEIVE,
    RECEIVE,
)
from benchmarks.tables import fill, number, table
from local.functions import PROJECT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

README = Path(__file__).with_name("README.md")
PLOT = PROJECT / "docs" / "images" / "benchmark.svg"
# The colours of Okabe and Ito, which everybody can tell apart, on paper too.
_COLOURS = {"empty function": "#999999", "pendo-to-aep": "#0072B2", "quickstart": "#E69F00"}
_ROWS = {
    "receive": (NOOP_RECEIVE, RECEIVE, QUICKSTART_RECEIVE),
    "deliver, by push": (NOOP_DELIVER, DELIVER, QUICKSTART_DELIVER),
}
_BAR = 0.26


def write_tables(
    figures: Sequence[Figure],
    reaches: Mapping[str, Reach],
    results: Mapping[str, Any],
    path: Path = README,
) -> None:
    """Writes the tables into a document.

    Raises:
        MarkersMissing: The document has no place for one of them; nothing is written.
    """
    found = {figure.name: figure for figure in figures}
    fill(
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
    rows = [reach.row(found[reach.name]) for reach in reaches.values() if reach.name in found]
    for row in rows:
        row[-1] = row[-1].replace("not met", "**not met**")
    machine = f"{results['cores']} cores, {results['system']}, Python {results['python']}"
    head = f"{results['date']}, {machine}:\n\n"
    return head + table(["", "median", "rounds", "reach", ""], rows)


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
    return table([title, *heads], rows)


def _layers(found: Mapping[str, Figure], names: Iterable[str]) -> str:
    """Returns a table of the functions, each with what it adds to the one before it."""
    rows, before = [], 0.0
    for name in names:
        if figure := found.get(name):
            rows.append([name, number(figure.value), f"{figure.value - before:+.2f}"])
            before = figure.value
    return table(["each does one thing more", "CPU / empty", "adds"], rows)


def draw_plot(figures: Sequence[Figure], path: Path = PLOT) -> None:
    """Draws as SVG what one event costs here, in a quickstart, and on an empty function."""
    from matplotlib import rc_context  # takes a second to import
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Picture

    value = {figure.name: figure.value for figure in figures}
    # The same figures must make the same file.
    with rc_context({"svg.hashsalt": "pendo-to-aep", "font.size": 10, "svg.fonttype": "none"}):
        picture = Picture(figsize=(9, 3.2))
        FigureCanvasSVG(picture)  # the layout measures text as SVG has it
        bars, lines = picture.subplots(1, 2, width_ratios=(3, 2))
        _draw_events(bars, value)
        _draw_growth(lines, value)
        for axes in (bars, lines):
            axes.spines[["top", "right"]].set_visible(False)
        picture.tight_layout()
        picture.savefig(path, metadata={"Date": None})


def _draw_events(axes: Axes, value: Mapping[str, float]) -> None:
    for nth, (label, colour) in enumerate(_COLOURS.items()):
        costs = [value[f"{sources[nth].name}, us"] for sources in _ROWS.values()]
        places = [row + (nth - 1) * _BAR for row in range(len(_ROWS))]
        drawn = axes.barh(places, costs, _BAR * 0.92, color=colour, label=label)
        axes.bar_label(drawn, fmt="{:,.0f}", padding=3)
    axes.set_yticks(range(len(_ROWS)), list(_ROWS))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("CPU of an event, microseconds")
    axes.legend(frameon=False, loc="upper right")


def _draw_growth(axes: Axes, value: Mapping[str, float]) -> None:
    for source, label in ((NOOP_RECEIVE, "empty function"), (RECEIVE, "pendo-to-aep")):
        costs = [value[f"{source.name}, {at_a_time(number)}, us"] for number in CONCURRENCY]
        axes.plot(CONCURRENCY, costs, color=_COLOURS[label], marker="o")
    axes.set_xscale("log")
    axes.set_xticks(CONCURRENCY, [f"{number:,}" for number in CONCURRENCY])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("webhooks at a time")
    axes.set_ylabel("CPU of a webhook, µs")
