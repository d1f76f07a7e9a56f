"""Values of the fields of `AEP_FIELDS`: converted exactly, or left out and counted."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from typing import Any

import pytest

from pendo_aep.aep.mapping import MappingOptions, StoredProperties
from pendo_aep.aep.typed_values import Misfits, TypedProperties, convert
from pendo_aep.chosen_fields import parse_chosen_fields
from tests.cases import Case, cases


@pytest.mark.parametrize("case", cases("typed_values"))
def test_value(case: Case) -> None:
    """A value is in its field, or it does not fit and stays in the text, or it is empty."""
    field = case.get("field")
    found = convert(case["value"], case["type"])
    assert (found, type(found)) == (field, type(field))

    chosen = parse_chosen_fields(f"properties.a.b:{case['type']}")
    typed = TypedProperties(chosen)
    event: Any = {"properties": {"a": {"b": case["value"]}, "c": 1}}
    before = deepcopy(event)
    properties = event["properties"]
    assert typed.misfits(properties) == (["properties.a.b"] if case.get("misfit") else [])
    assert typed.only(properties) == ({} if field is None else {"a": {"b": case["value"]}})
    stays = field is None or "stays" in case
    assert StoredProperties(MappingOptions(chosen=chosen)).of(event) == (
        properties if stays else {"c": 1}
    )
    for kept in ("all", "none"):
        options = MappingOptions(properties=kept, chosen=chosen)
        assert StoredProperties(options).of(event) == (properties if kept == "all" else None)
    assert event == before


@pytest.mark.parametrize("properties", [None, [], "x", {}, {"a": 1}, {"a": [{"b": 1}]}])
def test_properties_of_another_shape(properties: object) -> None:
    """What is not at the path is absent, and no misfit."""
    typed = TypedProperties(parse_chosen_fields("properties.a.b:string"))
    assert typed.misfits(properties) == []
    assert typed.only(properties) == {}


def test_a_property_that_has_a_field_already() -> None:
    """It may be chosen as well, and what is below or beside it."""
    chosen = parse_chosen_fields(
        "properties.guideId:string properties.nps.rating:integer properties.nps.x:string "
        "properties.language.y:string"
    )
    event: Any = {
        "guide": {"id": "g", "language": "en"},
        "nps": {"rating": 7.5},
        "properties": {"guideId": "g", "nps": {"rating": 7.5, "x": "z"}, "language": "en"},
    }
    assert StoredProperties(MappingOptions(chosen=chosen)).of(event) == {}
    assert TypedProperties(chosen).misfits(event["properties"]) == ["properties.nps.rating"]


def test_misfits_are_logged(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first at once, then one line a minute for each field, with the number since the last."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    misfits = Misfits()

    def lines() -> list[tuple[str, int]]:
        found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
        assert all(set(one) == {"severity", "message", "field", "values"} for one in found)
        assert {(one["severity"], one["message"]) for one in found} <= {
            ("WARNING", "value does not fit its field")
        }
        return [(one["field"], one["values"]) for one in found]

    misfits.count(["a"])
    assert lines() == [("a", 1)]
    now = 59.9
    misfits.count(["a", "b"])
    misfits.count(["a"])
    assert lines() == [("b", 1)]
    now = 60.0
    misfits.count(["a", "b"])
    assert lines() == [("a", 3)]
