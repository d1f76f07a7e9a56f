"""Runs comparisons side by side, and prints each figure with how far it should come."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson
import uvloop
from rich.console import Console

from benchmarks import breakdown, clients, comparisons, cost, readme, reconcile
from benchmarks.figures import RESULTS, Figure, as_json, past_guard, reaches, show


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group of figures, and how many requests, messages or starts a round of it has."""

    measure: Callable[[int, int], Awaitable[list[Figure]]]
    amount: int
    short_amount: int


COMPARISONS = {
    "receive": Comparison(comparisons.measure_receive, 6_000, 2_000),
    "deliver": Comparison(comparisons.measure_deliver, 6_000, 2_000),
    "drain": Comparison(comparisons.measure_drain, 40_000, 10_000),
    "sending": Comparison(clients.measure_sending, 300, 100),
    "publishing": Comparison(clients.measure_publishing, 20_000, 6_400),
    "start": Comparison(comparisons.measure_start, 3, 1),
    "memory": Comparison(comparisons.measure_memory, 100_000, 20_000),
    "steps": Comparison(breakdown.measure_steps, 20_000, 5_000),
    "growth": Comparison(comparisons.measure_growth, 4_000, 1_000),
    "reconcile": Comparison(reconcile.measure_reconcile, 1_000_000, 100_000),
    "layers": Comparison(breakdown.measure_layers, 4_000, 1_000),
}
# Comparisons that are computed from others.
DERIVED = {"pipeline": ("receive", "deliver")}
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
    return [*figures, *comparisons.derive_pipeline(figures)]


def main() -> int:
    """Runs the comparisons and returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        choices=[*COMPARISONS, []],
        help=f"of {', '.join(COMPARISONS)}; default: all, and the results are saved",
    )
    parser.add_argument("--rounds", type=int, help="measured rounds (7; quick 3)")
    parser.add_argument("--quick", action="store_true", help="short rounds; saves nothing")
    parser.add_argument(
        "--guard",
        action="store_true",
        help="quick, and only figures with a guard; fails if a figure is past it",
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
    show(figures, known, Console())
    if options.guard:
        chosen = {*names, *(new for new, of in DERIVED.items() if {*of} <= {*names})}
        guarded = [reach for reach in known.values() if reach.comparison in chosen]
        for wrong in past_guard(figures, guarded):
            console.print(f"[red]{wrong}")
        return 1 if past_guard(figures, guarded) else 0
    if not options.names and not is_short:
        _save(figures)
    return 0


def _guarded() -> set[str]:
    """Returns the comparisons that measure a figure with a guard."""
    found = {reach.comparison for reach in reaches().values() if reach.guard is not None}
    return found | {name for derived in found for name in DERIVED.get(derived, ())}


def _save(figures: Sequence[Figure]) -> None:
    known = reaches()
    results = as_json(figures, known, today=datetime.datetime.now(datetime.UTC).date())
    lasting = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    RESULTS.write_bytes(orjson.dumps(results, option=lasting))
    readme.write_tables(figures, known, results)
    readme.draw_plot(figures)
    cost.write_page()


if __name__ == "__main__":
    sys.exit(main())
