"""What cases are made of: tables in `tests/data`, and values at random.

A table is a JSON list; each row is an object, with its name under `case`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

Case: TypeAlias = dict[str, Any]

_DATA = Path(__file__).with_name("data")


def table(name: str) -> list[Case]:
    """The rows of `tests/data/NAME.json`."""
    rows: list[Case] = json.loads((_DATA / f"{name}.json").read_text("utf-8"))
    return rows


def cases(name: str) -> list[ParameterSet]:
    """The rows of a table as parameters, each called by its `case`."""
    return [pytest.param(row, id=row["case"]) for row in table(name)]


# No deadline: a busy machine is not a wrong result.
randomly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)

# Few letters, so that odd ones come often: a digit, a separator, NUL, two and four bytes of UTF-8.
TEXTS = st.text("a0-:. \x00é\U0001f600", max_size=8)
_INTEGERS = st.integers(-(2**63), 2**64 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
