"""How long AEP wants to be left alone, as its header says it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pendo_aep.retry_after import retry_after_seconds
from tests.cases import Case, cases, randomly

# The moment of RFC 9110's example date, without its seconds.
NOW = datetime(1994, 11, 6, 8, 49, tzinfo=UTC)
_PARTS = [
    "Sun,",
    "06",
    "Nov",
    "1994",
    "08:49:37",
    "GMT",
    "+0900",
    "-",
    ":",
    ",",
    "99999999999",
    "0",
]


@pytest.mark.parametrize("case", cases("retry_after"))
def test_header(case: Case) -> None:
    """Seconds and HTTP dates are understood, within ten minutes; anything else asks for nothing."""
    assert retry_after_seconds(case["header"], NOW) == case["seconds"]


@randomly
@given(st.text(max_size=60) | st.lists(st.sampled_from(_PARTS), max_size=9).map(" ".join))
@example("9" * 5000)
@example("Sun, 06 Nov 0001 00:00:00 +2359")
@example("Sun, 31 Dec 9999 23:59:59 -2359")
def test_any_header(header: str) -> None:
    """Whatever the header says, the pause is between none and ten minutes."""
    assert 0 <= retry_after_seconds(header, NOW) <= 600
