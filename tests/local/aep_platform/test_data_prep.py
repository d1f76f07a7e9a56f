"""Data Prep's language: expressions, conversions, and what of XDM is valid, as tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from local.aep_platform.data_prep.conversion import convert
from local.aep_platform.data_prep.dates import iso
from local.aep_platform.data_prep.errors import EvaluationFailed, ExpressionWrong
from local.aep_platform.data_prep.evaluator import evaluate
from local.aep_platform.data_prep.mapping import apply_mappings, compile_mapping
from local.aep_platform.data_prep.parser import MAX_CHARACTERS, parse
from local.aep_platform.xdm import problems_of

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def rows(name: str) -> list[ParameterSet]:
    """The rows of a table next to this file."""
    found = orjson.loads(Path(__file__).with_name(f"{name}.json").read_bytes())
    return [pytest.param(row, id=row["case"]) for row in found]


@pytest.mark.parametrize("case", rows("expressions"))
def test_expression(case: dict[str, Any]) -> None:
    """An expression has the value of the table for that record, or fails with its reason."""
    if "fails" in case:
        with pytest.raises(EvaluationFailed, match=case["fails"]):
            evaluate(case["expression"], case["source"])
    elif "date" in case:
        assert iso(evaluate(case["expression"], case["source"])) == case["date"]
    else:
        assert evaluate(case["expression"], case["source"]) == case["result"]


@pytest.mark.parametrize("case", rows("wrong_expressions"))
def test_wrong_expression(case: dict[str, Any]) -> None:
    """What is no expression is refused before any data comes, and the reason is said."""
    with pytest.raises(ExpressionWrong) as refused:
        parse(case["expression"])

    assert case["says"] in str(refused.value)


def test_an_expression_has_an_end() -> None:
    """Adobe's limit of 4096 characters holds to the letter."""
    parse('"' + "a" * (MAX_CHARACTERS - 2) + '"')
    with pytest.raises(ExpressionWrong, match="longer than 4096"):
        parse('"' + "a" * (MAX_CHARACTERS - 1) + '"')


@pytest.mark.parametrize("case", rows("conversions"))
def test_conversion(case: dict[str, Any]) -> None:
    """A value takes the type of its field, and what cannot fails without showing the value."""
    if "fails" in case:
        with pytest.raises(EvaluationFailed, match=case["fails"]):
            convert(case["value"], case["field"])
    else:
        found = convert(case["value"], case["field"])
        assert found == case["result"]
        assert type(found) is type(case["result"])


@pytest.mark.parametrize("case", rows("invalid_xdm"))
def test_invalid_xdm(case: dict[str, Any]) -> None:
    """All that is wrong with a value is said, each with its place."""
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
    """The row that mappings of attributes make of a record, and the failures' destinations."""
    mappings = [compile_mapping("ATTRIBUTE", *pair, SCHEMA) for pair in pairs]
    row, errors = apply_mappings(mappings, record)
    return row, [error.mapping.destination for error in errors]


def test_elements_keep_their_places() -> None:
    """Two mappings under `[*]` fill the same elements; what is missing in one is left out there."""
    record = {"answers": [{"pollId": "p", "value": "v"}, {"pollId": "q"}, {"value": 3}]}
    row, failed = mapped(
        record,
        ("answers[*].pollId", "answers[*].pollId"),
        ("answers[*].value", "answers[*].value"),
        ("answers[*].pollId", "texts[*]"),
    )

    assert row == {
        "answers": [{"pollId": "p", "value": "v"}, {"pollId": "q"}, {"value": "3"}],
        "texts": ["p", "q", None],
    }
    assert not failed


def test_one_element_can_be_written() -> None:
    """A number in a destination writes that element."""
    row, failed = mapped({"a": "x"}, ("a", "answers[1].value"), ("a", "texts[0]"))

    assert row == {"answers": [{}, {"value": "x"}], "texts": ["x"]}
    assert not failed


def test_an_array_is_copied_whole() -> None:
    """From array to array the children of the same name are copied."""
    row, failed = mapped({"a": [{"pollId": "p", "other": 1}]}, ("a", "answers"))

    assert (row, failed) == ({"answers": [{"pollId": "p"}]}, [])


@pytest.mark.parametrize("record", [{"a": "x"}, {"a": [{"b": {}}]}], ids=["no array", "an object"])
def test_what_does_not_fit_fails_alone(record: object) -> None:
    """A mapping that fails leaves its field out, and the others go on."""
    row, failed = mapped(record, ("a[*].b", "texts[*]"), ("a", "texts"), ("c", "answers"))

    assert row == {}
    assert failed
