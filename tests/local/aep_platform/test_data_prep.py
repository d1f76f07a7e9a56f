"""The tables of `data_prep.json`: expressions, conversions, invalid XDM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from local.aep_platform.expressions import (
    MAX_CHARACTERS,
    EvaluationFailed,
    InvalidExpression,
    evaluate,
    parse,
)
from local.aep_platform.mapping import apply_mappings, compile_mapping, convert
from local.aep_platform.validation import problems_of
from tests.cases import rows

TABLES = orjson.loads(Path(__file__).with_name("data_prep.json").read_bytes())


@pytest.mark.parametrize("case", rows(TABLES["expressions"]))
def test_expression(case: dict[str, Any]) -> None:
    """An expression has the value of the table for that record, or fails with its reason."""
    if "fails" in case:
        with pytest.raises(EvaluationFailed, match=case["fails"]):
            evaluate(parse(case["expression"]), case["source"])
    else:
        assert evaluate(parse(case["expression"]), case["source"]) == case["result"]


@pytest.mark.parametrize("case", rows(TABLES["invalid_expressions"]))
def test_invalid_expression(case: dict[str, Any]) -> None:
    """What is no expression is refused before any data comes, with the reason."""
    with pytest.raises(InvalidExpression) as refused:
        parse(case["expression"])

    assert case["says"] in str(refused.value)


def test_longest_expression() -> None:
    """Adobe's limit is 4096 characters."""
    parse('"' + "a" * (MAX_CHARACTERS - 2) + '"')
    with pytest.raises(InvalidExpression, match="longer than 4096"):
        parse('"' + "a" * (MAX_CHARACTERS - 1) + '"')


@pytest.mark.parametrize("case", rows(TABLES["conversions"]))
def test_conversion(case: dict[str, Any]) -> None:
    """A value takes the type of its field, and what cannot fails without showing the value."""
    if "fails" in case:
        with pytest.raises(EvaluationFailed, match=case["fails"]):
            convert(case["value"], case["field"])
    else:
        found = convert(case["value"], case["field"])
        assert found == case["result"]
        assert type(found) is type(case["result"])


@pytest.mark.parametrize("case", rows(TABLES["invalid_xdm"]))
def test_invalid_xdm(case: dict[str, Any]) -> None:
    """Every problem of a value is named with its place."""
    assert list(problems_of(case["value"], case["field"])) == case["problems"]


TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answers": {
            "type": "array",
            "items": {"type": "object", "properties": {"pollId": TEXT, "value": TEXT}},
        },
        "texts": {"type": "array", "items": TEXT},
    },
}


def mapped(record: object, *pairs: tuple[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the row that mappings of attributes make, and the destinations that failed."""
    mappings = [compile_mapping("ATTRIBUTE", *pair, SCHEMA) for pair in pairs]
    row, errors = apply_mappings(mappings, record)
    return row, [error.mapping.destination for error in errors]


def test_array_is_copied_whole() -> None:
    """From array to array the children of the same name are copied."""
    row, failed = mapped({"a": [{"pollId": "p", "other": 1}]}, ("a", "answers"))

    assert (row, failed) == ({"answers": [{"pollId": "p"}]}, [])


def test_mapping_that_fails_omits_its_field() -> None:
    """The others are applied."""
    row, failed = mapped({"a": "x", "b": ["y"]}, ("a", "answers"), ("b", "texts"))

    assert (row, failed) == ({"texts": ["y"]}, ["answers"])
