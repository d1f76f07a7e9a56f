"""The README's picture: what one event costs here, in a quickstart, and on an empty function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
# The same figures make the same file.
mpl.rcParams.update({"svg.hashsalt": "pendo-to-aep", "font.size": 10, "svg.fonttype": "none"})

import matplotlib.pyplot as plt  # noqa: E402 (after it is told where to draw)
from matplotlib.axes import Axes  # noqa: E402

from benchmarks.growth import CONCURRENCY, at_a_time  # noqa: E402
from benchmarks.processes import (  # noqa: E402
    DELIVER,
    NOOP_DELIVER,
    NOOP_RECEIVE,
    QUICKSTART_DELIVER,
    QUICKSTART_RECEIVE,
    RECEIVE,
)
from local.functions import PROJECT  # noqa: E402

PLOT: Path = PROJECT / "docs" / "images" / "benchmark.svg"
# Okabe and Ito's colours: told apart by everybody, on paper too.
_COLOURS = {"empty function": "#999999", "pendo-to-aep": "#0072B2", "quickstart": "#E69F00"}
_ROWS = {
    "receive": (NOOP_RECEIVE, RECEIVE, QUICKSTART_RECEIVE),
    "deliver, by push": (NOOP_DELIVER, DELIVER, QUICKSTART_DELIVER),
}
_BAR = 0.26


def draw(value: Mapping[str, float], path: Path = PLOT) -> None:
    """Draws the figures, by name in microseconds, as SVG."""
    figure, (bars, lines) = plt.subplots(1, 2, figsize=(9, 3.2), width_ratios=(3, 2))
    _draw_events(bars, value)
    _draw_growth(lines, value)
    for axes in (bars, lines):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


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
