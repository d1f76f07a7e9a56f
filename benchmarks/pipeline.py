"""The whole pipeline beside the quickstart's: what `receive` and `deliver` cost an event together.

Nothing is measured here: Pub/Sub between the two costs neither of them anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.figures import Figure


def derive(figures: Iterable[Figure]) -> list[Figure]:
    """The ratio, from the figures of the two functions; none if either was not measured."""
    rounds = {figure.name: figure.rounds for figure in figures}
    halves = ("receive, us", "deliver, us", "quickstart receive, us", "quickstart deliver, us")
    if not rounds.keys() >= set(halves):
        return []
    each = zip(*(rounds[half] for half in halves), strict=True)
    return [
        Figure(
            "pipeline / quickstart",
            tuple(
                (receive + deliver) / (their_receive + their_deliver)
                for receive, deliver, their_receive, their_deliver in each
            ),
        )
    ]
