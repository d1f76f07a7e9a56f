"""Mapping sets: read back in both notations, versioned, validated, tried out."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.aep_platform.client import CONVERSION
from tests.local.aep_platform.events import EVENT, ROW
from tests.local.aep_platform.world import PATHS, World

BOTH = [
    ("source", "sourceAttribute"),
    ("destination", "destinationXdmPath"),
]


async def test_a_mapping_is_read_back_in_both_notations(pendo: World) -> None:
    """Source and destination come under both of their names, and the type is rewritten."""
    found = await pendo.client.get(pendo.path("mappingset"))
    sent = pendo.body("mappingset")["mappings"]

    for mapping, original in zip(found["mappings"], sent, strict=True):
        for new, old in BOTH:
            assert mapping[new] == mapping[old] == original[new]
    assert found["mappings"][0]["sourceType"] == "text/x.schema-path"
    assert {mapping["sourceType"] for mapping in found["mappings"]}.isdisjoint(
        {"ATTRIBUTE", "EXPRESSION", "STATIC"}
    )
    assert found["outputSchema"]["schemaRef"]["id"] == pendo.ids["schema"]
    one = found["mappings"][3]
    assert await pendo.client.get(f"{pendo.path('mappingset')}/mappings/{one['id']}") == one
    listed = await pendo.client.get(f"{pendo.path('mappingset')}/mappings")
    assert listed == {"data": found["mappings"]}


TUTORIAL = [
    {"sourceAttribute": "id", "destinationXdmPath": "_id", "identity": False, "version": 0},
    {
        "sourceType": "EXPRESSION",
        "sourceExpression": 'concat(id, "x")',
        "destinationXdmPath": "eventType",
    },
]


@pytest.mark.parametrize("schema", ["xdmSchema", "outputSchema"])
async def test_the_notation_of_the_tutorials_is_taken(pendo: World, schema: str) -> None:
    """Adobe's older notation, whole or mixed with the newer one, means the same."""
    named: dict[str, Any] = {
        "xdmSchema": {"xdmSchema": pendo.ids["schema"], "xdmVersion": "1.0", "version": 0},
        "outputSchema": {"outputSchema": pendo.body("mappingset")["outputSchema"]},
    }[schema]
    answered = await pendo.client.call("POST", PATHS["mappingset"], {"mappings": TUTORIAL, **named})
    assert answered.status == 200

    found = await pendo.client.get(f"{PATHS['mappingset']}/{answered.body['id']}")
    assert [one["source"] for one in found["mappings"]] == ["id", 'concat(id, "x")']
    assert [one["destination"] for one in found["mappings"]] == ["_id", "eventType"]


async def test_what_was_read_back_can_be_put(pendo: World) -> None:
    """A set that was read can be sent again as it is."""
    found = await pendo.client.get(pendo.path("mappingset"))

    assert (await pendo.client.call("PUT", pendo.path("mappingset"), found)).status == 200
    header = {"x-adobe-flow-id": pendo.ids["flow"]}
    await pendo.patch(
        "flow",
        {"op": "replace", "path": "/transformations/0/params/mappingVersion", "value": 1},
        headers={"If-Match": pendo.etags["flow:etag"]},
    )
    await pendo.client.send(await pendo.inlet(), [EVENT], header)
    assert pendo.client.platform.state.datasets[pendo.ids["dataset"]].rows == [ROW]


async def test_a_flow_keeps_its_version_until_it_is_patched(pendo: World) -> None:
    """PUT makes a new version beside the old one; the flow goes on with its own."""
    body = pendo.body("mappingset")
    body["mappings"][3] = {"sourceType": "STATIC", "source": "new", "destination": "producedBy"}
    put = await pendo.client.call("PUT", pendo.path("mappingset"), body)
    assert (put.status, put.body["version"]) == (200, 1)
    inlet, header = await pendo.inlet(), {"x-adobe-flow-id": pendo.ids["flow"]}
    rows = pendo.client.platform.state.datasets[pendo.ids["dataset"]].rows

    await pendo.client.send(inlet, [EVENT], header)
    step = {
        "name": "Mapping",
        "params": {"mappingId": pendo.ids["mappingset"], "mappingVersion": 1},
    }
    patched = await pendo.patch(
        "flow",
        {"op": "replace", "path": "/transformations/0", "value": step},
        headers={"If-Match": pendo.etags["flow:etag"]},
    )
    await pendo.client.send(inlet, [EVENT], header)

    assert patched.status == 200
    assert [row["producedBy"] for row in rows] == ["pendo", "new"]
    old = await pendo.client.get(f"{pendo.path('mappingset')}?version=0")
    assert (old["version"], old["mappings"][3]["source"]) == (0, "pendo")


async def test_mapping_sets_have_pages(pendo: World) -> None:
    """`limit` and `start` say which; the name and the order are taken, too. Names are not shown."""
    ids: list[str] = []
    for number in range(4):
        await pendo.make("mappingset", name=f"n{number}")
        ids.append(pendo.ids["mappingset"])
        pendo.client.platform.state.mapping_sets[pendo.ids["mappingset"]].created = 10 + number
    path = PATHS["mappingset"]
    page = await pendo.client.get(f"{path}?limit=2&start=1&orderBy=%2BcreatedDate")
    last = await pendo.client.get(f"{path}?limit=2&start=4&orderBy=-createdDate")
    named = await pendo.client.get(f"{path}?limit=10&start=0&name=n2")

    assert [one["id"] for one in page["data"]] == ids[1:3]
    assert not any("name" in one for one in page["data"])
    assert page["_page"] == {"count": 2, "limit": 2}
    assert [one["id"] for one in last["data"]] == ids[:1]
    assert [one["id"] for one in named["data"]] == ids[2:3]


async def test_a_set_is_validated_without_being_made(pendo: World) -> None:
    """Validation answers 200 either way, with the mappings that cannot be."""
    path, body = f"{PATHS['mappingset']}/validate", pendo.body("mappingset")
    right = await pendo.client.call("POST", path, body)
    body["mappings"].append({"source": "x", "destination": "_acme.none"})
    wrong = await pendo.client.call("POST", path, body)

    assert right.body == {"validationResponse": [{"status": "SUCCESS", "errors": None}]}
    (response,) = wrong.body["validationResponse"]
    assert response["status"] == "FAILED"
    (error,) = response["errors"]
    assert set(error) == {"destination", "source", "exception", "sourceType"}
    assert error["destination"] == "_acme.none"
    assert len(pendo.client.platform.state.mapping_sets) == 1


async def test_a_set_is_tried_out(pendo: World) -> None:
    """A preview shows the entity of each record, and what failed."""
    body = {
        "data": [EVENT, EVENT | {"nps": {"rating": "x"}}],
        "mappingSet": pendo.body("mappingset"),
    }
    answered = await pendo.client.call("POST", f"{PATHS['mappingset']}/preview", body)

    assert answered.body[0] == {"data": ROW, "errors": None}
    (error,) = answered.body[1]["errors"]
    assert error["destination"] == "_acme.pendo.rating"


@pytest.mark.parametrize(("expression", "is_valid"), [("concat(a, b)", True), ("concat(", False)])
async def test_an_expression_is_validated(empty: World, expression: str, is_valid: bool) -> None:
    """One expression can be asked about by itself."""
    path = f"{CONVERSION}/languages/el/validate"
    answered = await empty.client.call("POST", path, {"expression": expression})

    assert answered.body["valid"] is is_valid


async def test_a_set_in_no_use_is_deleted(empty: World) -> None:
    """DELETE takes a set away for good."""
    await empty.make("namespace", "fieldgroup", "schema", "mappingset")

    assert (await empty.client.call("DELETE", empty.path("mappingset"))).status == 204
    assert (await empty.client.call("GET", empty.path("mappingset"))).status == 404
