"""Test cases: tables in JSON files, and random values for Hypothesis.

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

_TESTS = Path(__file__).parent


def table(name: str) -> list[Case]:
    """Returns the rows of `tests/data/NAME.json`; of `FOLDER/NAME`, of `tests/FOLDER/data`."""
    folder, _, name = name.rpartition("/")
    path = _TESTS / folder / "data" / f"{name}.json"
    rows: list[Case] = json.loads(path.read_text("utf-8"))
    return rows


def rows(cases: list[Case]) -> list[ParameterSet]:
    """Returns rows as parameters, each with its `case` as its ID."""
    return [pytest.param(row, id=row["case"]) for row in cases]


def cases(name: str) -> list[ParameterSet]:
    """Returns the rows of a table as parameters."""
    return rows(table(name))


def expand(parts: list[Any], *, latin1: bool = False) -> bytes:
    """Returns the bytes of `[[text, times], ...]`, which a table has for what is very long.

    In Latin-1, each character is the byte of its number.
    """
    encoding = "latin-1" if latin1 else "utf-8"
    return b"".join(text.encode(encoding) * times for text, times in parts)


# No deadline: a busy machine is no failure.
randomly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80)

# Few characters, so that unusual ones are frequent: a digit, a separator, NUL, and characters of
# two and four bytes in UTF-8.
TEXTS = st.text("a0-:. \x00é\U0001f600", max_size=8)
_INTEGERS = st.integers(-(2**63), 2**64 - 1)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=8,
)
