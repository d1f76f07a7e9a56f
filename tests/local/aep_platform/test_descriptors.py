"""Identity descriptors: one primary a schema, and their own ways of being listed."""

from __future__ import annotations

import pytest

from tests.local.aep_platform.client import DESCRIPTORS
from tests.local.aep_platform.events import EVENT
from tests.local.aep_platform.world import PATHS, UNION, World

MADE = ("namespace", "fieldgroup", "schema", "descriptor")
OTHER = {"xdm:sourceProperty": "/_acme/pendo/guideName"}


async def test_a_descriptor_comes_back_with_its_id(empty: World) -> None:
    """POST answers 201 with the descriptor, its id of 40 hex digits and its container."""
    await empty.make(*MADE[:-1])
    answered = await empty.post("descriptor")

    assert answered.status == 201
    assert len(bytes.fromhex(answered.body["@id"])) == 20
    assert answered.body["meta:containerId"] == "tenant"
    path = f"{PATHS['descriptor']}/{answered.body['@id']}"
    assert await empty.client.get(path) == answered.body


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({}, "primary"), ({"xdm:isPrimary": False}, "already"), (OTHER, "primary")],
    ids=["the same", "the same field", "another primary"],
)
async def test_a_second_descriptor_is_refused(
    empty: World, changes: dict[str, object], reason: str
) -> None:
    """A schema has one primary identity, and a field one descriptor."""
    await empty.make(*MADE)
    answered = await empty.post("descriptor", **changes)

    assert answered.status == 400
    assert reason in answered.body["detail"]


async def test_a_descriptor_may_name_the_number_of_its_namespace(empty: World) -> None:
    """`xdm:id` takes the number that the namespace has."""
    await empty.make(*MADE[:-1])
    number = int(empty.ids["namespace"])

    assert (
        await empty.post("descriptor", **{"xdm:property": "xdm:id", "xdm:namespace": number})
    ).status == 201


async def test_descriptors_are_listed_by_type(empty: World) -> None:
    """The plain list is an object by type, without the types that nothing has."""
    await empty.make(*MADE)
    descriptor_id = empty.ids["descriptor"]
    path = PATHS["descriptor"]

    found = await empty.client.get(path, DESCRIPTORS)
    ids = await empty.client.get(path, {"Accept": "application/vnd.adobe.xdm-id+json"})
    links = await empty.client.get(path, {"Accept": "application/vnd.adobe.xdm-link+json"})
    none = await empty.client.get(f"{path}?property=xdm:sourceSchema==x", DESCRIPTORS)

    assert found["xdm:descriptorIdentity"][0]["@id"] == descriptor_id
    assert ids == {"xdm:descriptorIdentity": [descriptor_id]}
    assert links == {"xdm:descriptorIdentity": [f"/tenant/descriptors/{descriptor_id}"]}
    assert none == {}


async def test_descriptors_have_pages_in_version_2(empty: World) -> None:
    """`xdm-v2` lists plainly, page by page."""
    await empty.make(*MADE)
    await empty.make("descriptor", **OTHER, **{"xdm:isPrimary": False})
    accept = {"Accept": "application/vnd.adobe.xdm-v2-id+json"}
    first = await empty.client.get(f"{PATHS['descriptor']}?limit=1", accept)
    second = await empty.client.get(
        f"{PATHS['descriptor']}?limit=1&start={first['_page']['next']}", accept
    )

    assert second["_page"]["next"] is None
    found = first["results"] + second["results"]
    assert set(found) == set(empty.client.platform.state.descriptors)


async def test_a_descriptor_is_replaced_and_deleted(empty: World) -> None:
    """PUT keeps the id and tells it alone; DELETE is empty, and then it is not found."""
    await empty.make(*MADE)
    path = empty.path("descriptor")
    put = await empty.client.call("PUT", path, empty.body("descriptor", **OTHER))
    assert (put.status, put.body) == (200, {"@id": empty.ids["descriptor"]})
    assert (await empty.client.get(path))["xdm:sourceProperty"] == OTHER["xdm:sourceProperty"]

    deleted = await empty.client.call("DELETE", path)
    assert (deleted.status, deleted.body) == (204, None)
    assert (await empty.client.call("GET", path)).status == 404


async def test_the_primary_identity_stays_once_profile_has_data(pendo: World) -> None:
    """It can change until the schema is in the union and data has come, then no more."""
    await pendo.make("descriptor")
    assert (await pendo.patch("schema", UNION)).status == 200
    path = pendo.path("descriptor")
    changed = pendo.body("descriptor", **OTHER)
    assert (await pendo.client.call("PUT", path, changed)).status == 200

    header = {"x-adobe-flow-id": pendo.ids["flow"]}
    await pendo.client.send(await pendo.inlet(), [EVENT], header)

    assert (await pendo.client.call("PUT", path, pendo.body("descriptor"))).status == 400
    assert (await pendo.client.call("DELETE", path)).status == 400
