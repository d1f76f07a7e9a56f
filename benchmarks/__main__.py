"""Runs comparisons side by side, and prints each figure with how far it should come."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop
from rich.console import Console

from benchmarks import (
    deliver,
    drain,
    growth,
    layers,
    markdown,
    memory,
    pipeline,
    publishing,
    receive,
    report,
    sending,
    start,
    steps,
)
from benchmarks.figures import Figure, past_guard, reaches


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group of figures, and how many requests, messages or starts a round of it has."""

    measure: Callable[[int, int], Awaitable[list[Figure]]]
    amount: int
    short_amount: int


COMPARISONS = {
    "receive": Comparison(receive.measure, 6_000, 2_000),
    "deliver": Comparison(deliver.measure, 6_000, 2_000),
    "drain": Comparison(drain.measure, 40_000, 10_000),
    "sending": Comparison(sending.measure, 300, 100),
    "publishing": Comparison(publishing.measure, 20_000, 6_400),
    "start": Comparison(start.measure, 3, 1),
    "memory": Comparison(memory.measure, 100_000, 20_000),
    "steps": Comparison(steps.measure, 20_000, 5_000),
    "growth": Comparison(growth.measure, 4_000, 1_000),
    "layers": Comparison(layers.measure, 4_000, 1_000),
}
# What is derived from others needs those.
_DERIVED = {"pipeline": ("receive", "deliver")}
_SHORT_ROUNDS = 3


async def _measure(
    names: Sequence[str], rounds: int, console: Console, *, is_short: bool
) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        console.print(f"[dim]{name} ...")
        comparison = COMPARISONS[name]
        amount = comparison.short_amount if is_short else comparison.amount
        figures += await comparison.measure(rounds, amount)
    return [*figures, *pipeline.derive(figures)]


def main() -> int:
    """Runs them, and answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        choices=[*COMPARISONS, []],
        help=f"of {', '.join(COMPARISONS)}; all if none is given, and then the results are saved",
    )
    parser.add_argument("--rounds", type=int, help="measured rounds (7; quick 3)")
    parser.add_argument("--quick", action="store_true", help="short rounds; saves nothing")
    parser.add_argument(
        "--guard",
        action="store_true",
        help="quick, and only what has a guard; fails if a figure is past it",
    )
    options = parser.parse_args()
    is_short = options.quick or options.guard
    rounds = options.rounds or (_SHORT_ROUNDS if is_short else 7)
    known = reaches()
    names = options.names or [*COMPARISONS]
    if options.guard:
        names = [name for name in names if name in _guarded()]
    console = Console(stderr=True)
    figures = uvloop.run(_measure(names, rounds, console, is_short=is_short))
    report.show(figures, known, Console())
    if options.guard:
        chosen = {*names, *(new for new, of in _DERIVED.items() if {*of} <= {*names})}
        guarded = [reach for reach in known.values() if reach.comparison in chosen]
        for wrong in past_guard(figures, guarded):
            console.print(f"[red]{wrong}")
        return 1 if past_guard(figures, guarded) else 0
    if not options.names and not is_short:
        _save(figures)
    return 0


def _guarded() -> set[str]:
    """The comparisons that measure a figure with a guard."""
    found = {reach.comparison for reach in reaches().values() if reach.guard is not None}
    return found | {name for derived in found for name in _DERIVED.get(derived, ())}


def _save(figures: Sequence[Figure]) -> None:
    from benchmarks import cost_page, plot  # matplotlib takes a second to import

    known = reaches()
    results = report.as_json(figures, known, today=datetime.datetime.now(datetime.UTC).date())
    report.save(results)
    markdown.fill(figures, known, results)
    plot.draw({figure.name: figure.value for figure in figures})
    cost_page.write()


if __name__ == "__main__":
    sys.exit(main())
