"""What may still change in a schema in use, and what Profile needs and keeps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.aep_platform.client import LIST
from tests.local.aep_platform.world import PATHS, UNION, World

FIELDS = "/definitions/customFields/properties/_acme/properties/pendo/properties"
PROFILE = "https://ns.adobe.com/xdm/context/profile"

ALLOWED: dict[str, dict[str, Any]] = {
    "new field": {"op": "add", "path": f"{FIELDS}/fresh", "value": {"type": "string"}},
    "new value": {"op": "add", "path": f"{FIELDS}/language/enum/-", "value": "fr"},
    "wider": {"op": "replace", "path": f"{FIELDS}/guideName/maxLength", "value": 30},
    "new required": {"op": "add", "path": "/definitions/customFields/required", "value": ["_acme"]},
    "title of a field": {"op": "add", "path": f"{FIELDS}/rating/title", "value": "Rating"},
    "title": {"op": "replace", "path": "/title", "value": "Other"},
}
BREAKING: dict[str, dict[str, Any]] = {
    "removed": {"op": "remove", "path": f"{FIELDS}/rating"},
    "redefined": {"op": "replace", "path": f"{FIELDS}/rating", "value": {"type": "string"}},
    "other format": {"op": "remove", "path": f"{FIELDS}/seenAt/format"},
    "narrower": {"op": "replace", "path": f"{FIELDS}/guideName/maxLength", "value": 10},
    "newly narrow": {"op": "add", "path": f"{FIELDS}/visitorId/maxLength", "value": 10},
    "fewer values": {"op": "remove", "path": f"{FIELDS}/language/enum/0"},
    "newly few values": {"op": "add", "path": f"{FIELDS}/visitorId/enum", "value": ["a"]},
    "removed in an array": {
        "op": "remove",
        "path": f"{FIELDS}/answers/items/properties/pollId",
    },
}


@pytest.mark.parametrize("operation", ALLOWED.values(), ids=ALLOWED)
async def test_what_adds_is_allowed_in_use(empty: World, operation: dict[str, Any]) -> None:
    """Once a dataset uses the schema, additions and display names still go."""
    await empty.make("fieldgroup", "schema", "dataset")

    assert (await empty.patch("fieldgroup", operation)).status == 200


@pytest.mark.parametrize("operation", BREAKING.values(), ids=BREAKING)
async def test_what_breaks_is_refused_in_use(empty: World, operation: dict[str, Any]) -> None:
    """Once a dataset uses the schema, nothing can be removed, redefined or narrowed."""
    await empty.make("fieldgroup", "schema")
    assert (await empty.patch("fieldgroup", operation)).status == 200
    assert (await empty.client.call("DELETE", empty.path("schema"))).status == 204
    assert (await empty.client.call("DELETE", empty.path("fieldgroup"))).status == 204

    await empty.make("fieldgroup", "schema", "dataset")
    answered = await empty.patch("fieldgroup", operation)
    assert answered.status == 400
    assert "in use" in answered.body["detail"]


async def test_a_field_group_of_a_schema_in_use_cannot_be_taken_out(empty: World) -> None:
    """A schema with a dataset keeps its field groups."""
    await empty.make("fieldgroup", "schema", "dataset")
    body = empty.body("schema")
    del body["allOf"][2]
    answered = await empty.client.call("PUT", empty.path("schema"), body)

    assert answered.status == 400
    assert "surveyResponse" in answered.body["detail"]


async def test_profile_is_enabled_for_good(empty: World) -> None:
    """A schema with an `identityMap` can be part of the union, and never leaves it."""
    await empty.make("fieldgroup", "schema")
    assert (await empty.patch("schema", UNION)).status == 200

    left = await empty.patch("schema", {"op": "remove", "path": "/meta:immutableTags"})
    assert left.status == 400
    replaced = await empty.client.call("PUT", empty.path("schema"), empty.body("schema"))
    assert replaced.body["meta:immutableTags"] == ["union"]
    deleted = await empty.client.call("DELETE", empty.path("schema"))
    assert deleted.status == 400
    tagged = await empty.client.get(f"{PATHS['schema']}?property=meta:immutableTags==union", LIST)
    assert len(tagged["results"]) == 1


async def test_profile_needs_an_identity(empty: World) -> None:
    """Without `identityMap` and primary descriptor no Profile; with a descriptor there is."""
    await empty.make("namespace")
    await empty.make("fieldgroup", **{"meta:intendedToExtend": [PROFILE]})
    await empty.make("schema", allOf=[{"$ref": PROFILE}, {"$ref": empty.ids["fieldgroup"]}])
    refused = await empty.patch("schema", UNION)
    assert refused.status == 400
    assert refused.body["type"].endswith("XDM-1528-400")

    await empty.make("descriptor")
    assert (await empty.patch("schema", UNION)).status == 200
