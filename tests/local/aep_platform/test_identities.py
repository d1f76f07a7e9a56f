"""Identity namespaces: an array without pages, kept for ever."""

from __future__ import annotations

from tests.local.aep_platform.client import NAMESPACES
from tests.local.aep_platform.world import World


async def test_namespaces_are_an_array(empty: World) -> None:
    """The list has Adobe's own and the organisation's, told apart by `custom`."""
    await empty.make("namespace")
    found = await empty.client.get(NAMESPACES)

    assert {one["code"] for one in found if one["custom"]} == {"PendoVisitor"}
    assert {"Email", "ECID"} <= {one["code"] for one in found if not one["custom"]}


async def test_a_namespace_can_change_its_name_and_no_more(empty: World) -> None:
    """PUT changes name and description; the type may come in other capitals."""
    await empty.make("namespace")
    body = empty.body("namespace", name="New", description="n", idType="CROSS_DEVICE")
    answered = await empty.client.call("PUT", empty.path("namespace"), body)

    assert answered.status == 200
    found = await empty.client.get(empty.path("namespace"))
    assert (found["name"], found["code"], found["idType"]) == (
        "New",
        "PendoVisitor",
        "Cross_device",
    )
