"""The mapping table: complete, without duplicates, and with the types of the event."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from pendo_aep.aep.mapping import FIELDS, Field
from pendo_aep.event import EVENT_TYPES, Event


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
    """Every field of the normalised event has a row, for every type of event."""
    assert any(field.source == path and not field.only for field in FIELDS)


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
    assert {"id", "occurredAt", "type", "schemaVersion"} <= always


def test_an_nps_rating_is_a_number() -> None:
    """A rating is a number, so that it can be averaged."""
    assert [field.type for field in FIELDS if field.source == "nps.rating"] == ["number"]


@pytest.mark.parametrize("field", [field for field in FIELDS if field.only], ids=lambda f: f.xdm)
def test_rows_for_some_types_name_existing_types(field: Field) -> None:
    """A row that applies to some types of event names existing types."""
    for beginning in field.only:
        assert any(name.startswith(beginning) for name in EVENT_TYPES.values())
