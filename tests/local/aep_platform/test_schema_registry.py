"""Field groups and schemas: how they are shown, what may change, what Profile needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.local.aep_platform.client import FULL, LIST, LOOKUP, PATHS, PlatformClient

SHORT = {"Accept": "application/vnd.adobe.xed-id+json"}
UNION = {"op": "add", "path": "/meta:immutableTags", "value": ["union"]}
PROFILE = "https://ns.adobe.com/xdm/context/profile"


async def test_resource_is_shown_with_metadata(empty: PlatformClient) -> None:
    """The server adds ids and metadata, and a type to every field; what was sent stays."""
    await empty.make("fieldgroup")
    found = await empty.get(empty.path("fieldgroup"), LOOKUP)

    assert found["$id"].startswith("https://ns.adobe.com/acme/mixins/")
    assert found["meta:altId"] == "_acme.mixins." + found["$id"].rpartition("/")[2]
    assert found["version"] == "1.0"
    assert found["meta:containerId"] == "tenant"
    assert found["meta:tenantNamespace"] == "_acme"
    assert found["allOf"][0]["meta:xdmType"] == "object"
    pendo = found["definitions"]["customFields"]["properties"]["_acme"]["properties"]["pendo"]
    assert pendo["properties"]["rating"] == {"type": "number", "meta:xdmType": "number"}
    assert pendo["properties"]["seenAt"]["meta:xdmType"] == "date-time"
    assert pendo["properties"]["tags"]["meta:xdmType"] == "map"
    # A path takes the `$id`, encoded, or the `meta:altId`.
    assert await empty.get(f"{PATHS['fieldgroup']}/{found['meta:altId']}", LOOKUP) == found


async def test_full_lookup_follows_references(empty: PlatformClient) -> None:
    """`xed-full` shows the fields of class and field groups, `xed` the references."""
    await empty.make("fieldgroup", "schema")
    full = await empty.get(empty.path("schema"), FULL)
    plain = await empty.get(empty.path("schema"), LOOKUP)

    names = {"_id", "timestamp", "eventType", "identityMap", "surveyResponse", "_acme"}
    assert names <= set(full["properties"])
    assert set(full["required"]) == {"_id", "timestamp"}
    assert "properties" not in plain
    assert plain["allOf"][1]["$ref"] == empty.ids["fieldgroup"]
    assert "https://ns.adobe.com/xdm/context/identitymap" in plain["meta:extends"]


async def test_lists_are_filtered(empty: PlatformClient) -> None:
    """By title, by an element of a list; several filters must all hold."""
    for title in ("A", "B=1", "C"):
        await empty.make("fieldgroup", title=title)
    extends = "meta:intendedToExtend==https://ns.adobe.com/xdm/context/experienceevent"

    async def titles(*filters: str) -> list[str]:
        query = "&".join(f"property={quote(one, '')}" for one in filters)
        found = await empty.get(f"{PATHS['fieldgroup']}?{query}", LIST)
        return [one["title"] for one in found["results"]]

    assert await titles("title==B=1") == ["B=1"]
    assert await titles("title==b=1") == []
    assert await titles(extends) == ["A", "B=1", "C"]
    assert await titles("title==A", extends) == ["A"]
    assert await titles("title==A", "meta:immutableTags==union") == []


@pytest.mark.parametrize(("order", "pages"), [("title", [2, 2, 1]), ("version", [5])])
async def test_lists_have_pages(empty: PlatformClient, order: str, pages: list[int]) -> None:
    """With an order a list has pages, `start` being the last `next`; ties stay together."""
    for title in "CEADB":
        await empty.make("fieldgroup", title=title)
    path: str | None = f"{PATHS['fieldgroup']}?orderby={order}&limit=2"
    found: list[list[str]] = []
    while path:
        body = await empty.get(path, SHORT)
        assert set(body["results"][0]) == {"$id", "meta:altId", "version", "title"}
        found.append([one["title"] for one in body["results"]])
        following = body["_page"]["next"]
        assert body["_page"]["count"] == len(found[-1])
        path = following and f"{PATHS['fieldgroup']}?orderby={order}&limit=2&start={following}"

    assert [len(page) for page in found] == pages
    assert sorted(title for page in found for title in page) == list("ABCDE")


FIELDS = "/definitions/customFields/properties/_acme/properties/pendo/properties"
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
async def test_additions_are_allowed_in_use(
    empty: PlatformClient, operation: dict[str, Any]
) -> None:
    """Once a dataset uses the schema, additions and display names may change."""
    await empty.make("fieldgroup", "schema", "dataset")

    assert (await empty.patch("fieldgroup", operation)).status == 200


@pytest.mark.parametrize("operation", BREAKING.values(), ids=BREAKING)
async def test_breaking_changes_are_refused_in_use(
    empty: PlatformClient, operation: dict[str, Any]
) -> None:
    """Once a dataset uses the schema, nothing can be removed, redefined or narrowed."""
    await empty.make("fieldgroup", "schema")
    assert (await empty.patch("fieldgroup", operation)).status == 200
    assert (await empty.call("DELETE", empty.path("schema"))).status == 204
    assert (await empty.call("DELETE", empty.path("fieldgroup"))).status == 204

    await empty.make("fieldgroup", "schema", "dataset")
    answered = await empty.patch("fieldgroup", operation)
    assert answered.status == 400
    assert "in use" in answered.body["detail"]


async def test_profile_is_permanent(empty: PlatformClient) -> None:
    """A schema with an `identityMap` can be part of the union, and never leaves it."""
    await empty.make("fieldgroup", "schema")
    assert (await empty.patch("schema", UNION)).status == 200

    left = await empty.patch("schema", {"op": "remove", "path": "/meta:immutableTags"})
    assert left.status == 400
    deleted = await empty.call("DELETE", empty.path("schema"))
    assert deleted.status == 400
    tagged = await empty.get(f"{PATHS['schema']}?property=meta:immutableTags==union", LIST)
    assert len(tagged["results"]) == 1


async def test_profile_needs_an_identity(empty: PlatformClient) -> None:
    """Without `identityMap` a schema cannot be part of the union."""
    await empty.make("fieldgroup", **{"meta:intendedToExtend": [PROFILE]})
    await empty.make("schema", allOf=[{"$ref": PROFILE}, {"$ref": empty.ids["fieldgroup"]}])
    refused = await empty.patch("schema", UNION)

    assert refused.status == 400
    assert refused.body["type"].endswith("XDM-1528-400")
