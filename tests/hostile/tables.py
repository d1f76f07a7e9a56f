"""Tables of hostile input: what is too long to be written out is a list of texts and how often."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cases import Case

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

_DATA = Path(__file__).with_name("data")


def cases(name: str) -> list[ParameterSet]:
    """The rows of `tests/hostile/data/NAME.json`, each called by its `case`."""
    rows: list[Case] = json.loads((_DATA / f"{name}.json").read_text("utf-8"))
    return [pytest.param(row, id=row["case"]) for row in rows]


def written_out(parts: list[Any], *, latin1: bool = False) -> bytes:
    """The bytes of `[[text, times], ...]`; in Latin-1, each character is the byte of its number."""
    encoding = "latin-1" if latin1 else "utf-8"
    return b"".join(text.encode(encoding) * times for text, times in parts)
