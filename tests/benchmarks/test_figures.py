"""Figures, how far they should come, and what CI lets pass."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import _DERIVED, COMPARISONS
from benchmarks.figures import Figure, Reach, past_guard, reaches

LESS = Reach(name="less", comparison="a", title="less", reach=2.0, guard=3.0)
MORE = Reach(name="more", comparison="a", title="more", reach=0.9, guard=0.8, at_least=True)


def test_a_ratio_is_of_each_round() -> None:
    """What was measured side by side is divided round by round; the median is the value."""
    figure = Figure.ratio("a / b", [2.0, 9.0, 3.0], [1.0, 1.0, 1.0])

    assert figure.value == 3.0
    assert figure.spread == (2.0, 9.0)


def test_a_ratio_needs_both_of_every_round() -> None:
    """Rounds that do not match are an error, not a shorter figure."""
    with pytest.raises(ValueError, match="zip"):
        Figure.ratio("a / b", [2.0, 9.0], [1.0])


@pytest.mark.parametrize(
    ("reach", "value", "met"),
    [(LESS, 2.0, True), (LESS, 2.01, False), (MORE, 0.9, True), (MORE, 0.89, False)],
)
def test_a_reach_is_met_at_its_bound(reach: Reach, value: float, met: bool) -> None:
    """A reach is the most a figure may be, or the least."""
    assert reach.is_met(value) is met


def test_past_a_guard() -> None:
    """Each figure past its guard is named with its value and its bound; one not measured, too."""
    wrong = past_guard([Figure("less", (3.5,)), Figure("more", (0.8,))], [LESS, MORE])
    assert wrong == ["less is 3.5; it must be at most 3"]

    wrong = past_guard([Figure("more", (0.5,))], [LESS, MORE])
    assert wrong == ["less was not measured", "more is 0.5; it must be at least 0.8"]


@pytest.mark.parametrize("reach", reaches().values(), ids=list(reaches()))
def test_a_guard_leaves_room(reach: Reach) -> None:
    """Each row is of a comparison that exists; a guard is never stricter than the reach."""
    assert reach.comparison in {*COMPARISONS, *_DERIVED}
    if reach.guard is not None and reach.reach is not None:
        assert reach.is_guarded(reach.reach) or reach.guard > reach.reach
        assert reach.is_met(reach.guard) is not True or reach.guard == reach.reach
