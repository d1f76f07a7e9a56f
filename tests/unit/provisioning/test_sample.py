"""The sample for those who make the source by hand."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from local.aep_platform.expressions import (
    FunctionCall,
    Literal,
    Node,
    Reference,
    exists,
    parse,
    parse_path,
)
from local.aep_platform.expressions import Path as SourcePath
from pendo_aep.event import Event
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.sample import sample

UPLOADED = Path(__file__).parents[3] / "docs" / "aep-sample.json"


def sources(line: dict[str, str]) -> list[SourcePath]:
    """Every path of the source data that a mapping reads."""
    if line["sourceType"] == "ATTRIBUTE":
        return [parse_path(line["source"])]
    return references(parse(line["source"]))


def references(node: Node) -> list[SourcePath]:
    """Every path in an expression."""
    match node:
        case Reference(path):
            return [path]
        case FunctionCall(_, inner):
            return [path for one in inner for path in references(one)]
    assert isinstance(node, Literal)
    return []


@pytest.mark.parametrize("line", mappings("acme", "P"), ids=lambda line: line["destination"])
def test_every_source_is_in_it(line: dict[str, str]) -> None:
    """AEP's mapping step offers every source field that the mappings want."""
    uploaded = orjson.loads(UPLOADED.read_bytes())
    assert sources(line)
    for path in sources(line):
        assert exists(uploaded, path), path


def test_it_has_every_key_of_an_event() -> None:
    """Nothing of a normalised event is unknown to AEP."""
    assert set(Event.__annotations__) <= set(orjson.loads(UPLOADED.read_bytes()))


def test_the_first_event_goes_first() -> None:
    """A field that several events have is the first one's, with what `raw` adds to it."""
    first: Event = orjson.loads('{"id":"a","type":"x","occurredAt":"t","properties":{"a":1}}')
    second: Event = orjson.loads('{"id":"b","type":"y","properties":{"b":2},"userAgent":"u"}')
    assert sample([first, second]) == {
        "id": "a",
        "type": "x",
        "occurredAt": "t",
        "properties": {"a": 1},
        "userAgent": "u",
        "propertiesJson": '{"a":1}',
    }
