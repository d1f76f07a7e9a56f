"""Flow Service: lists and their pages, etags, the order of deleting."""

from __future__ import annotations

import pytest

from tests.local.aep_platform.client import FLOWS, PATHS, PlatformClient


@pytest.mark.parametrize("name", ["connections", "sourceConnections", "targetConnections", "flows"])
async def test_lists_have_pages(pendo: PlatformClient, name: str) -> None:
    """`_links.next` leads to the rest, each once; the last page has no link."""
    kind = {"connections": "base", "sourceConnections": "source", "targetConnections": "target"}
    for number in range(5):
        await pendo.make(kind.get(name, "flow"), name=f"n{number}", description="d")
    path: str | None = f"/{name}?limit=2&property=description==d"
    pages: list[list[str]] = []
    while path:
        body = await pendo.get(f"{FLOWS}{path}")
        pages.append([item["name"] for item in body["items"]])
        path = body.get("_links", {}).get("next", {}).get("href")

    assert pages == [["n0", "n1"], ["n2", "n3"], ["n4"]]


async def test_lists_have_a_default_page(pendo: PlatformClient) -> None:
    """Without a limit a list ends after a page. A name may be used twice."""
    for _ in range(22):
        await pendo.make("source")
    body = await pendo.get(PATHS["source"])

    assert len(body["items"]) == 20
    assert "continuationToken" in body["_links"]["next"]["href"]


async def test_lookup_is_a_list_of_one(pendo: PlatformClient) -> None:
    """A flow shows its connections, its etag as its version, and its streaming endpoint."""
    (item,) = (await pendo.get(pendo.path("flow")))["items"]

    assert item["etag"] == item["version"] == pendo.etags["flow"]
    assert item["state"] == "enabled"
    assert item["sandboxName"] == "prod"
    assert item["options"]["inletUrl"].startswith(f"{pendo.aep.url}/collection/")
    sources = item["inheritedAttributes"]["sourceConnections"]
    assert [source["id"] for source in sources] == item["sourceConnectionIds"]


async def test_patch_changes_the_etag(pendo: PlatformClient) -> None:
    """The etag that was read allows one patch; the next needs the new one."""
    rename = {"op": "replace", "path": "/name", "value": "n"}
    old = {"If-Match": pendo.etags["flow"]}
    first = await pendo.patch("flow", rename, headers=old)
    stale = await pendo.patch("flow", rename, headers=old)
    fresh = await pendo.patch("flow", rename, headers={"If-Match": first.body["etag"]})

    assert (first.status, stale.status, fresh.status) == (200, 412, 200)
    assert set(first.body) == {"id", "etag"}
    assert len({pendo.etags["flow"], first.body["etag"], fresh.body["etag"]}) == 3
    (item,) = (await pendo.get(pendo.path("flow")))["items"]
    assert (item["name"], item["etag"]) == ("n", fresh.body["etag"])


async def test_base_connection_of_another_data_type_fits_no_flow(empty: PlatformClient) -> None:
    """A flow with a mapping needs a raw base connection, one without an XDM one."""
    await empty.make("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset")
    await empty.make("base", "http_source")
    answered = await empty.post("xdm_flow")

    assert answered.status == 400
    assert "data type" in answered.body["detail"]


async def test_order_of_deleting(empty: PlatformClient) -> None:
    """A flow goes before its connections, these before their base, and nothing is left."""
    kinds = ("namespace", "fieldgroup", "schema", "dataset", "target", "mappingset", "base")
    await empty.make(*kinds, "http_source", "http_flow")
    order = ("http_flow", "mappingset", "target", "http_source", "base")
    for kind in order[1:]:
        assert (await empty.call("DELETE", empty.path(kind))).status == 400
    for kind in order:
        answered = await empty.call("DELETE", empty.path(kind))
        assert (answered.status, answered.body) == (204, None)

    state = empty.platform.state
    assert not {*state.flows, *state.source_connections, *state.target_connections}
    assert not {*state.connections, *state.mapping_sets}
