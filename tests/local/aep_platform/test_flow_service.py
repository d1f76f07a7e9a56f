"""Flow Service: lists and their pages, etags, the order in which things go."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.local.aep_platform.client import FLOWS
from tests.local.aep_platform.world import PATHS, World


@pytest.mark.parametrize("name", ["connections", "sourceConnections", "targetConnections", "flows"])
async def test_lists_have_pages(pendo: World, name: str) -> None:
    """`_links.next` leads on until all have come, once each; the last page has no link."""
    kind = {"connections": "base", "sourceConnections": "source", "targetConnections": "target"}
    for number in range(5):
        await pendo.make(kind.get(name, "flow"), name=f"n{number}")
    path: str | None = f"/{name}?limit=2&orderby=name&property=name~n%5Cd"
    found: list[str] = []
    sizes: list[int] = []
    while path:
        body = await pendo.client.get(f"{FLOWS}{path}")
        found += [item["name"] for item in body["items"]]
        sizes.append(len(body["items"]))
        path = body.get("_links", {}).get("next", {}).get("href")

    assert found == [f"n{number}" for number in range(5)]
    assert sizes == [2, 2, 1]


async def test_lists_have_a_default_page(pendo: World) -> None:
    """Without a limit a list ends after a page, and counts all of them when asked to."""
    for number in range(22):
        await pendo.make("source", name=f"{number}")
    body = await pendo.client.get(f"{PATHS['source']}?count=true")

    assert len(body["items"]) == 20
    assert body["count"] == 23
    assert "continuationToken" in body["_links"]["next"]["href"]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("name==Pendo flow", 1),
        ("name==pendo flow", 0),
        ("state==enabled", 2),
        ("flowSpec.id==e77fde5a-22a8-11ed-861d-0242ac120002", 2),
        ("inheritedAttributes.properties.isSourceFlow==true", 2),
        ("sourceConnectionIds=={source}", 2),
    ],
)
async def test_flows_are_filtered(pendo: World, query: str, number: int) -> None:
    """By a key or a dotted path; of a list one element is enough."""
    await pendo.make("flow", name="Other")
    wanted = quote(pendo.filled(query), "")

    assert len((await pendo.client.get(f"{PATHS['flow']}?property={wanted}"))["items"]) == number


async def test_names_are_not_unique(pendo: World) -> None:
    """A second flow of the same name is another flow, with an inlet of its own."""
    first = await pendo.inlet()
    await pendo.make("flow")

    assert await pendo.inlet() != first


async def test_one_is_shown_as_a_list_of_one(pendo: World) -> None:
    """A flow has its parts, its etag as its version, and its streaming endpoint."""
    (item,) = (await pendo.client.get(pendo.path("flow")))["items"]

    assert item["etag"] == item["version"] == pendo.etags["flow:etag"]
    assert item["state"] == "enabled"
    assert item["sandboxName"] == "prod"
    assert item["options"]["inletUrl"].startswith(f"{pendo.client.aep.url}/collection/")
    parts = item["inheritedAttributes"]["sourceConnections"]
    assert [part["id"] for part in parts] == item["sourceConnectionIds"] == [pendo.ids["source"]]


async def test_a_patch_changes_the_etag(pendo: World) -> None:
    """The etag that was read lets one patch through; the next needs the new one."""
    rename = {"op": "replace", "path": "/name", "value": "n"}
    old = {"If-Match": pendo.etags["flow:etag"]}
    first = await pendo.patch("flow", rename, headers=old)
    stale = await pendo.patch("flow", rename, headers=old)
    fresh = await pendo.patch("flow", rename, headers={"If-Match": first.body["etag"]})

    assert (first.status, stale.status, fresh.status) == (200, 412, 200)
    assert set(first.body) == {"id", "etag"}
    assert len({pendo.etags["flow:etag"], first.body["etag"], fresh.body["etag"]}) == 3
    (item,) = (await pendo.client.get(pendo.path("flow")))["items"]
    assert (item["name"], item["etag"]) == ("n", fresh.body["etag"])


async def test_a_flow_goes_before_its_connections_and_these_before_their_base(
    empty: World,
) -> None:
    """In that order everything can be deleted, and nothing is left."""
    kinds = ("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset", "base")
    await empty.make(*kinds, "http_source", "http_flow")
    order = ("http_flow", "mappingset", "target", "http_source", "base")
    for kind in order[1:]:
        assert (await empty.client.call("DELETE", empty.path(kind))).status == 400
    for kind in order:
        answered = await empty.client.call("DELETE", empty.path(kind))
        assert (answered.status, answered.body) == (204, None)

    state = empty.client.platform.state
    assert not {*state.flows, *state.source_connections, *state.target_connections}
    assert not {*state.connections, *state.mapping_sets}
