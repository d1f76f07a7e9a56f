"""Mapping sets: read back in both notations, versioned, previewed."""

from __future__ import annotations

from tests.local.aep_platform.client import EVENT, PATHS, ROW, PlatformClient


async def test_mapping_is_read_back_in_both_notations(pendo: PlatformClient) -> None:
    """Source and destination have both of their names, and the type is rewritten."""
    found = await pendo.get(pendo.path("mappingset"))
    sent = pendo.body("mappingset")["mappings"]

    for mapping, original in zip(found["mappings"], sent, strict=True):
        assert mapping["source"] == mapping["sourceAttribute"] == original["source"]
        assert mapping["destination"] == mapping["destinationXdmPath"] == original["destination"]
    assert found["mappings"][0]["sourceType"] == "text/x.schema-path"
    assert {mapping["sourceType"] for mapping in found["mappings"]}.isdisjoint(
        {"ATTRIBUTE", "EXPRESSION", "STATIC"}
    )
    assert found["outputSchema"]["schemaRef"]["id"] == pendo.ids["schema"]


async def test_what_was_read_can_be_put(pendo: PlatformClient) -> None:
    """A set that was read can be sent again as it is, and maps as before."""
    found = await pendo.get(pendo.path("mappingset"))

    assert (await pendo.call("PUT", pendo.path("mappingset"), found)).status == 200
    await pendo.patch(
        "flow",
        {"op": "replace", "path": "/transformations/0/params/mappingVersion", "value": 1},
        headers={"If-Match": pendo.etags["flow"]},
    )
    await pendo.send_to_flow(EVENT)
    assert pendo.rows == [ROW]


async def test_flow_keeps_its_version_until_it_is_patched(pendo: PlatformClient) -> None:
    """PUT adds a version; the flow keeps its own."""
    body = pendo.body("mappingset")
    body["mappings"][3] = {"sourceType": "STATIC", "source": "new", "destination": "producedBy"}
    put = await pendo.call("PUT", pendo.path("mappingset"), body)
    assert (put.status, put.body["version"]) == (200, 1)

    await pendo.send_to_flow(EVENT)
    step = {
        "name": "Mapping",
        "params": {"mappingId": pendo.ids["mappingset"], "mappingVersion": 1},
    }
    patched = await pendo.patch(
        "flow",
        {"op": "replace", "path": "/transformations/0", "value": step},
        headers={"If-Match": pendo.etags["flow"]},
    )
    await pendo.send_to_flow(EVENT)

    assert patched.status == 200
    assert [row["producedBy"] for row in pendo.rows] == ["pendo", "new"]
    old = await pendo.get(f"{pendo.path('mappingset')}?version=0")
    assert (old["version"], old["mappings"][3]["source"]) == (0, "pendo")


async def test_mapping_sets_have_pages(pendo: PlatformClient) -> None:
    """`limit`, `start` and `name` select; names are not shown."""
    ids: list[str] = []
    for number in range(4):
        await pendo.make("mappingset", name=f"n{number}")
        ids.append(pendo.ids["mappingset"])
        pendo.platform.state.mapping_sets[pendo.ids["mappingset"]].created = 10 + number
    path = PATHS["mappingset"]
    page = await pendo.get(f"{path}?limit=2&start=1")
    named = await pendo.get(f"{path}?limit=10&start=0&name=n2")

    assert [one["id"] for one in page["data"]] == ids[1:3]
    assert not any("name" in one for one in page["data"])
    assert page["_page"] == {"count": 2, "limit": 2}
    assert [one["id"] for one in named["data"]] == ids[2:3]


async def test_preview(pendo: PlatformClient) -> None:
    """A preview shows the entity of each record, and what failed."""
    body = {
        "data": [EVENT, EVENT | {"nps": {"rating": "x"}}],
        "mappingSet": pendo.body("mappingset"),
    }
    answered = await pendo.call("POST", f"{PATHS['mappingset']}/preview", body)

    assert answered.body[0] == {"data": ROW, "errors": None}
    (error,) = answered.body[1]["errors"]
    assert error["destination"] == "_acme.pendo.rating"


async def test_unused_set_is_deleted(empty: PlatformClient) -> None:
    """It is not found afterwards."""
    await empty.make("namespace", "fieldgroup", "schema", "mappingset")

    assert (await empty.call("DELETE", empty.path("mappingset"))).status == 204
    assert (await empty.call("GET", empty.path("mappingset"))).status == 404
