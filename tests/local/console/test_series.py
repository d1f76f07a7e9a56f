"""The figures of the plots: what happened in which second, and percentiles."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.console import views
from local.console.series import KEPT_SECONDS, Series, percentile
from tests.cases import randomly


def test_each_second_has_its_own_figures() -> None:
    """Received, accepted, the mean size of the batches, and the latencies, by the second."""
    series = Series()
    for at in (10.0, 10.9, 11.2):
        series.received(at)
    series.accepted(11.5)
    series.batch(11.6, 30)
    series.batch(11.7, 10)
    for seconds in (0.1, 0.2, 0.3, 0.4):
        series.latency(12.0, seconds)

    ten, eleven, twelve = map(views.second_row, series.since(0))
    assert (ten["at"], ten["received"], ten["accepted"], ten["batch"]) == (10, 2, 0, None)
    assert (eleven["received"], eleven["accepted"], eleven["batch"]) == (1, 1, 20)
    assert (twelve["received"], twelve["p50"], twelve["p95"]) == (0, 300, 400)


def test_only_what_has_changed_is_told_again() -> None:
    """Also a second long past, in which a webhook came that is answered only now."""
    series = Series()
    series.received(10.0)
    series.received(100.0)
    told = series.version

    assert series.since(told) == []
    series.received(10.5)
    assert [(second.at, second.received) for second in series.since(told)] == [(10, 2)]


@randomly
@given(st.lists(st.integers(min_value=0, max_value=3 * KEPT_SECONDS), max_size=60))
def test_the_last_ten_minutes_are_kept(seconds: list[int]) -> None:
    """Whatever the order in which they are told: all of those, and nothing older."""
    series = Series()
    for second in seconds:
        series.received(second)

    kept = {second.at: second.received for second in series.since(0)}
    oldest = max(seconds, default=0) - KEPT_SECONDS
    assert all(at > oldest for at in kept)
    in_order = sorted(seconds) == seconds
    if in_order:
        assert kept == {at: n for at, n in Counter(seconds).items() if at > oldest}


@randomly
@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values(values: list[float], share: float) -> None:
    """At least that share of the values is no greater than it, and it is one of them."""
    found = percentile(values, share)

    assert found in values
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 51.0), (0.95, 96.0), (0.99, 100.0), (1.0, 100.0)]
)
def test_percentiles_of_a_hundred(share: float, expected: float) -> None:
    """Of 1 to 100, in whatever order they came."""
    values = [float(number) for number in (*range(50, 101), *range(1, 50))]

    assert percentile(values, share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    """A second without an event has no point in the plot."""
    assert percentile([], 0.5) is None
