"""The mapping table: complete, without duplicates, and with the types of the event."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from pendo_aep.aep.mapping import FIELDS, Field, MappingOptions, StoredProperties
from pendo_aep.event import EVENT_TYPES, Event
from pendo_aep.settings import AnonymousVisitors
from tests.cases import Case, cases


def paths(of: object, at: str = "") -> Iterator[tuple[str, object]]:
    """Yields the path of each leaf of a typed dictionary, with its type."""
    if get_origin(of) is NotRequired:
        [of] = get_args(of)
    if get_origin(of) is list:
        yield from paths(get_args(of)[0], at + "[]")
    elif isinstance(of, type) and is_typeddict(of):
        for key, inner in get_type_hints(of, include_extras=True).items():
            yield from paths(inner, f"{at}.{key}" if at else key)
    else:
        yield at, of


EVENT_PATHS = dict(paths(Event))


@pytest.mark.parametrize("path", EVENT_PATHS)
def test_every_field_is_mapped(path: str) -> None:
    """Every field of the normalised event has a row, for every type of event.

    But for its type, which follows from Pendo's name of the event.
    """
    assert path == "type" or any(field.source == path and not field.only for field in FIELDS)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.xdm)
def test_row(field: Field) -> None:
    """Every row maps an existing field, with its type and a title."""
    if field.source.startswith("properties."):  # what is below is Pendo's, whatever it is
        kind: object = str
    else:
        assert field.source in EVENT_PATHS
        kind = EVENT_PATHS[field.source]
    if field.type == "integer":
        assert kind is int
    elif field.type == "number":
        assert kind == int | float
    elif field.type == "json":
        assert get_origin(kind) is dict
    elif field.source == "nps.category":
        assert set(get_args(kind)) == {"promoter", "passive", "detractor"}
    else:
        assert kind is str
    assert field.title.strip() == field.title != ""
    assert field.source.count("[]") == field.xdm.count("[]") <= 1
    assert field.added not in Event.__annotations__
    assert re.fullmatch(r"[\w{}]+(\[\])?(\.[\w{}]+(\[\])?)*", field.xdm)


ARRAYS = [field for field in FIELDS if "[]" in field.xdm]


@pytest.mark.parametrize("field", ARRAYS, ids=lambda field: field.xdm)
def test_row_of_an_array(field: Field) -> None:
    """Objects in arrays keep their keys, so that a mapping set copies them; text is added."""
    if field.xdm.endswith("[]"):
        assert field.added
        assert field.type in {"question", "answer"}
    else:
        assert field.source.partition("[]")[2] == field.xdm.partition("[]")[2]
        assert (field.added, field.only) == ("", ())


def test_json_is_added() -> None:
    """Adobe: Data Prep has no function that writes JSON, so `raw` adds the text."""
    assert all(field.added for field in FIELDS if field.type == "json")


def test_no_path_is_mapped_twice() -> None:
    """No two rows write to the same path, or to one within the other, nor add the same key."""
    added = [field.added for field in FIELDS if field.added]
    assert len(set(added)) == len(added)
    places = [field.xdm for field in FIELDS]
    assert [place for place, times in Counter(places).items() if times > 1] == []
    assert [(a, b) for a in places for b in places if b.startswith((a + ".", a + "["))] == []


def test_required_fields_are_always_mapped() -> None:
    """Adobe: ExperienceEvent requires `_id` and `timestamp`, which come from required fields."""
    rows = {field.xdm: field for field in FIELDS}
    assert (rows["_id"].source, rows["timestamp"].source) == ("id", "occurredAt")
    assert {rows["_id"].only, rows["timestamp"].only} == {()}
    always = {key for key in Event.__required_keys__ if key in EVENT_PATHS}
    assert {"id", "occurredAt", "pendoEvent", "schemaVersion"} <= always


def test_an_nps_rating_is_a_number() -> None:
    """A rating is a number, so that it can be averaged."""
    assert [field.type for field in FIELDS if field.source == "nps.rating"] == ["number"]


@pytest.mark.parametrize("field", [field for field in FIELDS if field.only], ids=lambda f: f.xdm)
def test_rows_for_some_types_name_existing_types(field: Field) -> None:
    """A row that applies to some types of event names existing types."""
    assert set(field.only) <= set(EVENT_TYPES.values())


@pytest.mark.parametrize("case", cases("visitor_ids"))
def test_identities(case: Case) -> None:
    """An address goes to the e-mail namespace as well, an anonymous id to its own or to none."""
    own = {"id": case["id"], "primary": True, "authenticatedState": "ambiguous"}
    address = {"id": case["email"], "primary": False, "authenticatedState": "ambiguous"}
    namespaces: dict[AnonymousVisitors, str | None] = {
        "separate": "PendoAnonymous",
        "same": "Crm",
        "none": None,
    }
    for anonymous, namespace in namespaces.items():
        home = namespace if case["anonymous"] else "Crm"
        expected = {home: [own]} if home else None
        plain = MappingOptions("Crm", anonymous)
        assert plain.identity_map(case["id"]) == expected
        if case["email"]:
            expected = {"Crm": [own], "Email": [address]}
        assert replace(plain, email_namespace="Email").identity_map(case["id"]) == expected


@pytest.mark.parametrize("case", cases("stored_properties"))
def test_stored_properties(case: Case) -> None:
    """What has a field of its own with the same value is left out, and nothing else."""
    event: Any = {"id": "a", "type": "x", "occurredAt": "t"} | case["event"]
    before = deepcopy(event)
    stored = StoredProperties(MappingOptions(properties="rest")).of(event)
    assert stored == case["rest"]
    assert list(map(type, (stored or {}).values())) == list(map(type, case["rest"].values()))
    assert StoredProperties(MappingOptions(properties="all")).of(event) == event["properties"]
    assert StoredProperties(MappingOptions(properties="none")).of(event) is None
    assert event == before


def test_what_is_kept_is_not_copied() -> None:
    """Only objects that lose something are copied, and only they themselves."""
    properties: Any = {"a": {"b": 1}, "guideProperties": {"id": "g", "steps": [{"c": 1}]}}
    event: Any = {"guide": {"id": "g"}, "properties": properties}
    stored = StoredProperties().of(event)
    assert stored["a"] is properties["a"]
    assert stored["guideProperties"]["steps"] is properties["guideProperties"]["steps"]
    event = {"properties": properties}
    assert StoredProperties().of(event) is properties
