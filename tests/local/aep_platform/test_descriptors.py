"""Descriptors: one of a type for each field, and those with which one schema refers to another."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.aep_platform.client import REGISTRY, Answered, PlatformClient

PATH = f"{REGISTRY}/tenant/descriptors"
PROFILE = {"op": "add", "path": "/meta:immutableTags", "value": ["union"]}


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


@pytest.fixture
async def related(pendo: PlatformClient) -> PlatformClient:
    """A schema of events in Profile, and one of accounts that is not yet."""
    assert (await pendo.patch("schema", PROFILE)).status == 200
    pendo.ids["events"] = pendo.ids["schema"]
    class_ = "https://ns.adobe.com/xdm/context/account"
    await pendo.make("schema", title="Accounts", allOf=[{"$ref": class_}])
    return pendo


async def post(client: PlatformClient, kind: str, source: str, path: str, **keys: Any) -> Answered:
    """Posts a descriptor of a kind on a field of a schema."""
    body = {
        "@type": f"xdm:descriptor{kind}",
        "xdm:sourceSchema": client.ids[source],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": path,
        **{f"xdm:{key}": value for key, value in keys.items()},
    }
    return await client.call("POST", PATH, body)


async def identity(client: PlatformClient, path: str = "/accountKey/sourceKey") -> Answered:
    """Makes a field of the accounts their primary identity."""
    keys = {"namespace": "Email", "property": "xdm:code", "isPrimary": True}
    return await post(client, "Identity", "schema", path, **keys)


async def reference(client: PlatformClient, namespace: str) -> Answered:
    """Says that the field refers to identities of a namespace."""
    keys = {"identityNamespace": namespace}
    return await post(client, "ReferenceIdentity", "events", "/_acme/pendo/visitorId", **keys)


async def relate(client: PlatformClient, key: str = "/accountKey/sourceKey") -> Answered:
    """Relates the events to the accounts."""
    keys = {
        "destinationSchema": client.ids["schema"],
        "destinationVersion": 1,
        "destinationProperty": key,
    }
    return await post(client, "OneToOne", "events", "/_acme/pendo/visitorId", **keys)


async def test_a_relationship_needs_all_that_comes_before(related: PlatformClient) -> None:
    """An identity, both schemas in Profile, and a reference to the namespace of the identity."""
    assert (await related.patch("schema", PROFILE)).status == 400  # no identity
    assert (await identity(related)).status == 201
    assert (await reference(related, "Email")).status == 201
    assert (await relate(related)).status == 400  # not in Profile
    assert (await related.patch("schema", PROFILE)).status == 200
    assert (await relate(related, "/accountID")).status == 400  # not the identity

    assert (await relate(related)).status == 201


async def test_the_reference_names_the_namespace_of_the_identity(related: PlatformClient) -> None:
    """Another one is none."""
    await identity(related)
    await related.patch("schema", PROFILE)
    assert (await relate(related)).status == 400
    await reference(related, "Phone")

    assert (await relate(related)).status == 400


async def test_a_schema_has_one_primary_identity(related: PlatformClient) -> None:
    """Adobe: "Schemas may contain only one primary identity"."""
    assert (await identity(related)).status == 201

    assert (await identity(related, "/accountID")).status == 400
