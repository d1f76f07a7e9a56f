"""Descriptors: made, listed, replaced, deleted; one of a type for each field."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from local.aep_platform import Permission
from tests.local.aep_platform.client import REGISTRY, PlatformClient

PATH = f"{REGISTRY}/tenant/descriptors"


def friendly_name(client: PlatformClient, title: str) -> dict[str, Any]:
    """Returns the body of a friendly name of `eventType`."""
    return {
        "@type": "xdm:alternateDisplayInfo",
        "xdm:sourceSchema": client.ids["schema"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/eventType",
        "xdm:title": {"en_us": title},
        "meta:enum": {"a": "A"},
    }


def label(client: PlatformClient) -> dict[str, Any]:
    """Returns the body of a label on a field of the field group."""
    return {
        "@type": "xdm:descriptorLabel",
        "xdm:sourceSchema": client.ids["fieldgroup"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/_acme/pendo/answers[*]/value",
        "xdm:labels": ["core/I2", "custom/Ours"],
    }


async def listed(client: PlatformClient, form: str = "", *filters: str) -> Any:
    """Returns a list of descriptors in one of Adobe's forms."""
    query = "&".join(f"property={quote(one, '')}" for one in filters)
    accept = {"Accept": f"application/vnd.adobe.xdm{form}+json"}
    return await client.get(f"{PATH}?{query}", accept)


async def test_a_descriptor_lives_and_dies(pendo: PlatformClient) -> None:
    """The answer to POST has all of it, that to PUT its id; after DELETE it is not found."""
    made = await pendo.call("POST", PATH, friendly_name(pendo, "One"))
    assert made.status == 201
    path = f"{PATH}/{made.body['@id']}"
    assert await pendo.get(path) == made.body

    changed = await pendo.call("PUT", path, friendly_name(pendo, "Two"))
    assert (changed.status, changed.body) == (201, {"@id": made.body["@id"]})
    assert (await pendo.get(path))["xdm:title"] == {"en_us": "Two"}
    assert (await pendo.get(path))["created"] == made.body["created"]

    assert (await pendo.call("DELETE", path)).status == 204
    assert (await pendo.call("GET", path)).status == 404


async def test_descriptors_are_listed_by_type(pendo: PlatformClient) -> None:
    """As objects, ids or paths; a type without any is not in it; filters must all hold."""
    one = (await pendo.call("POST", PATH, friendly_name(pendo, "One"))).body
    other = (await pendo.call("POST", PATH, label(pendo))).body

    names, labels = "xdm:alternateDisplayInfo", "xdm:descriptorLabel"
    assert await listed(pendo) == {names: [one], labels: [other]}
    assert await listed(pendo, "-id") == {names: [one["@id"]], labels: [other["@id"]]}
    of_type = f"@type=={labels}"
    link = f"/tenant/descriptors/{other['@id']}"
    assert await listed(pendo, "-link", of_type) == {labels: [link]}
    of_schema = f"xdm:sourceSchema=={pendo.ids['schema']}"
    assert await listed(pendo, "", of_type, of_schema) == {}


async def test_a_field_has_one_of_a_type(pendo: PlatformClient) -> None:
    """Assumed; a PUT of the same is none more."""
    made = await pendo.call("POST", PATH, friendly_name(pendo, "One"))
    assert (await pendo.call("POST", PATH, friendly_name(pendo, "Two"))).status == 400
    path = f"{PATH}/{made.body['@id']}"
    assert (await pendo.call("PUT", path, friendly_name(pendo, "Two"))).status == 201


async def test_a_sandbox_has_4000(pendo: PlatformClient) -> None:
    """Adobe: no more."""
    made = await pendo.call("POST", PATH, friendly_name(pendo, "One"))
    state = pendo.platform.state
    state.descriptors |= {str(number): made.body for number in range(3999)}

    assert (await pendo.call("POST", PATH, label(pendo))).status == 400


async def test_labels_need_their_permission(pendo: PlatformClient) -> None:
    """To make, to replace and to delete one; assumed."""
    made = await pendo.call("POST", PATH, label(pendo))
    pendo.platform.permissions.discard(Permission.MANAGE_LABELS)
    path = f"{PATH}/{made.body['@id']}"

    for method, where in (("POST", PATH), ("PUT", path)):
        assert (await pendo.call(method, where, label(pendo))).status == 403
    assert (await pendo.call("DELETE", path)).status == 403
    assert (await pendo.get(path)) == made.body
