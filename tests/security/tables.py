"""Tables of attacks: `tests/security/data/NAME.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

_DATA = Path(__file__).with_name("data")


def cases(name: str) -> list[ParameterSet]:
    """The rows of a table as parameters, each called by its `case`."""
    rows = json.loads((_DATA / f"{name}.json").read_text("utf-8"))
    return [pytest.param(row, id=row["case"]) for row in rows]
