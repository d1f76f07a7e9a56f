"""Field groups and schemas: what comes back, what may change, what Profile needs."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.local.aep_platform.client import FULL, LIST, LOOKUP, REGISTRY, PlatformClient
from tests.local.aep_platform.world import PATHS, World


async def test_a_resource_comes_back_decorated(empty: World) -> None:
    """The server adds ids and metadata, and a type to every field; what was sent stays."""
    await empty.make("fieldgroup")
    found = await empty.client.get(empty.path("fieldgroup"), LOOKUP)

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


async def test_a_resource_is_found_by_either_id(empty: World) -> None:
    """A path takes the `$id`, encoded, or the `meta:altId`."""
    await empty.make("fieldgroup")
    by_id = await empty.client.get(empty.path("fieldgroup"), LOOKUP)

    assert await empty.client.get(f"{PATHS['fieldgroup']}/{by_id['meta:altId']}", LOOKUP) == by_id


async def test_a_full_lookup_follows_references(empty: World) -> None:
    """`xed-full` shows the fields of class and field groups, `xed` the references."""
    await empty.make("fieldgroup", "schema")
    full = await empty.client.get(empty.path("schema"), FULL)
    plain = await empty.client.get(empty.path("schema"), LOOKUP)

    names = {"_id", "timestamp", "eventType", "identityMap", "surveyResponse", "_acme"}
    assert names <= set(full["properties"])
    assert set(full["required"]) == {"_id", "timestamp"}
    assert "properties" not in plain
    assert plain["allOf"][1]["$ref"] == empty.ids["fieldgroup"]
    assert "https://ns.adobe.com/xdm/context/identitymap" in plain["meta:extends"]


async def test_a_lookup_without_texts_has_the_title_of_the_resource_only(empty: World) -> None:
    """`notext` leaves out the titles of fields."""
    await empty.make("fieldgroup")
    accept = {"Accept": "application/vnd.adobe.xed-full-notext+json; version=1"}
    found = await empty.client.get(empty.path("fieldgroup"), accept)

    assert found["title"] == "Pendo fields"
    pendo = found["properties"]["_acme"]["properties"]["pendo"]["properties"]
    assert pendo["visitorId"] == {"type": "string", "meta:xdmType": "string"}


async def test_stats_tell_the_tenant(empty: World) -> None:
    """The tenant id comes without its underscore, and what exists is counted."""
    await empty.make("fieldgroup", "schema")
    found = await empty.client.get(f"{REGISTRY}/stats")

    assert found["tenantId"] == "acme"
    assert (found["counts"]["schemas"], found["counts"]["mixins"]) == (1, 1)


async def test_global_has_adobes_own(client: PlatformClient) -> None:
    """The groups and classes that a Pendo event uses are in the `global` container."""
    groups = await client.get(f"{REGISTRY}/global/fieldgroups", LIST)
    one = quote("https://ns.adobe.com/xdm/mixins/experienceevent-survey-response-details", "")
    survey = await client.get(f"{REGISTRY}/global/fieldgroups/{one}", FULL)

    assert len(groups["results"]) == 5
    assert "surveyQuestions" in survey["properties"]["surveyResponse"]["properties"]
    event = quote("https://ns.adobe.com/xdm/context/experienceevent", "")
    found = await client.get(f"{REGISTRY}/global/classes/{event}", LOOKUP)
    assert found["required"] == ["_id", "timestamp"]


async def test_lists_are_filtered(empty: World) -> None:
    """By title, by a key of `meta`, by being there; several filters all hold."""
    for title in ("A", "B=1", "C"):
        await empty.make("fieldgroup", title=title)
    extends = "meta:intendedToExtend==https://ns.adobe.com/xdm/context/experienceevent"

    async def titles(*filters: str) -> list[str]:
        query = "&".join(f"property={quote(one, '')}" for one in filters)
        found = await empty.client.get(f"{PATHS['fieldgroup']}?{query}", LIST)
        return [one["title"] for one in found["results"]]

    assert await titles("title==B=1") == ["B=1"]
    assert await titles("title!=B=1") == ["A", "C"]
    assert await titles("title>A", extends) == ["B=1", "C"]
    assert await titles("title>A", "title<=B=1") == ["B=1"]
    assert await titles("meta:immutableTags") == []
    assert await titles("title") == ["A", "B=1", "C"]


@pytest.mark.parametrize(("order", "pages"), [("title", [2, 2, 1]), ("version", [5])])
async def test_lists_have_pages(empty: World, order: str, pages: list[int]) -> None:
    """With an order a list comes in pages, `start` being the last `next`; ties stay together."""
    for title in "CEADB":
        await empty.make("fieldgroup", title=title)
    accept = {"Accept": "application/vnd.adobe.xed-id+json"}
    path: str | None = f"{PATHS['fieldgroup']}?orderby={order}&limit=2"
    found: list[list[str]] = []
    while path:
        body = await empty.client.get(path, accept)
        found.append([one["title"] for one in body["results"]])
        following = body["_page"]["next"]
        assert body["_page"]["count"] == len(found[-1])
        path = following and f"{PATHS['fieldgroup']}?orderby={order}&limit=2&start={following}"

    assert [len(page) for page in found] == pages
    assert sorted(title for page in found for title in page) == list("ABCDE")


async def test_a_short_list_has_four_keys(empty: World) -> None:
    """`xed-id` shows the ids, the version and the title."""
    await empty.make("fieldgroup")
    accept = {"Accept": "application/vnd.adobe.xed-id+json"}
    (found,) = (await empty.client.get(PATHS["fieldgroup"], accept))["results"]

    assert set(found) == {"$id", "meta:altId", "version", "title"}


async def test_a_field_group_is_added_by_two_operations(empty: World) -> None:
    """A patch of `meta:extends` and `allOf` adds a field group and bumps the minor version."""
    await empty.make("fieldgroup", "schema")
    group = "https://ns.adobe.com/xdm/context/experienceevent-application"
    answered = await empty.patch(
        "schema",
        {"op": "add", "path": "/meta:extends/-", "value": group},
        {"op": "add", "path": "/allOf/-", "value": {"$ref": group}},
    )

    assert (answered.status, answered.body["version"]) == (200, "1.1")
    assert "application" in (await empty.client.get(empty.path("schema"), FULL))["properties"]


async def test_a_schema_is_replaced(empty: World) -> None:
    """PUT takes a whole body and keeps the id; before there is a dataset fields may go."""
    await empty.make("fieldgroup", "schema")
    body = empty.body("schema")
    body["allOf"] = body["allOf"][:2]
    answered = await empty.client.call("PUT", empty.path("schema"), body)

    assert (answered.status, answered.body["$id"]) == (200, empty.ids["schema"])
    assert (
        "surveyResponse" not in (await empty.client.get(empty.path("schema"), FULL))["properties"]
    )


async def test_delete_leaves_nothing(empty: World) -> None:
    """What nothing uses can be deleted, a schema with its descriptors, and is not found then."""
    await empty.make("namespace", "fieldgroup", "schema", "descriptor")
    for kind in ("schema", "fieldgroup"):
        assert (await empty.client.call("DELETE", empty.path(kind))).status == 204
        assert (await empty.client.call("GET", empty.path(kind), headers=LOOKUP)).status == 404

    state = empty.client.platform.state
    assert not state.schemas
    assert not state.field_groups
    assert not state.descriptors
