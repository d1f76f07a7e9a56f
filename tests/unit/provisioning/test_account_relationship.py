"""The relationship with a schema of accounts: made, kept, changed, refused and taken back."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local.aep_platform import Answering, Call
from local.aep_platform.state import PlatformState, Resource
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import Conflict
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import Harness, actions, as_sent, changes

KIND: Final = Kind.ACCOUNT_RELATIONSHIP
ACCOUNTS: Final = "https://ns.adobe.com/acme/schemas/accounts"
BUSINESS_ACCOUNT: Final = "https://ns.adobe.com/xdm/context/account"
PROPERTY: Final = "/_acme/pendo/accountId"
IDENTITY: Final = "xdm:descriptorIdentity"
REFERENCE: Final = "xdm:descriptorReferenceIdentity"
ONE_TO_ONE: Final = "xdm:descriptorOneToOne"
CHOICES: Final = Choices(profile=True, account_schema=ACCOUNTS)


def add_accounts(
    state: PlatformState, schema_id: str = ACCOUNTS, class_: str = BUSINESS_ACCOUNT
) -> Resource:
    """Adds a schema of accounts, with a key of its own and in Profile, as people make them."""
    state.namespaces["CrmAccount"] = {
        "id": 4711,
        "code": "CrmAccount",
        "name": "CRM Account",
        "idType": "Non_people",
        "status": "ACTIVE",
        "custom": True,
    }
    body = {
        "title": schema_id.rpartition("/")[2],
        "type": "object",
        "allOf": [{"$ref": class_}],
        "meta:extends": [class_, *state.standard[class_].body["meta:extends"]],
        "meta:immutableTags": ["union"],
    }
    schema = Resource(id=schema_id, kind="schemas", body=body, tenant="acme")
    state.schemas[schema_id] = schema
    add_descriptor(
        state,
        {
            "@type": IDENTITY,
            "xdm:sourceSchema": schema_id,
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": "/accountKey/sourceKey",
            "xdm:namespace": "CrmAccount",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        },
    )
    return schema


def add_descriptor(state: PlatformState, body: dict[str, Any]) -> dict[str, Any]:
    """Adds a descriptor, which a test may change."""
    one = {**body, "@id": f"theirs-{len(state.descriptors)}", "created": 0}
    state.descriptors[one["@id"]] = one
    return one


def relationship(harness: Harness) -> list[dict[str, Any]]:
    """Returns the descriptors on the account id of our schema, without what AEP adds."""
    types = (REFERENCE, ONE_TO_ONE)
    return [as_sent(x) for x in harness.state.descriptors.values() if x["@type"] in types]


def events_schema(harness: Harness) -> str:
    """Returns the id of our schema."""
    (found,) = (one.id for one in harness.state.schemas.values() if one.title == "Pendo Events")
    return found


async def test_it_is_made_of_two_descriptors(harness: Harness) -> None:
    """On the account id: the namespace of the other's primary identity, then the relationship."""
    add_accounts(harness.state)

    assert (await harness.plan(CHOICES))[-1].kind is KIND
    steps = await harness.apply(CHOICES)

    assert (Action.CREATE, KIND) in actions(steps)
    source = {
        "xdm:sourceSchema": events_schema(harness),
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": PROPERTY,
    }
    assert relationship(harness) == [
        {"@type": REFERENCE, **source, "xdm:identityNamespace": "CrmAccount"},
        {
            "@type": ONE_TO_ONE,
            **source,
            "xdm:destinationSchema": ACCOUNTS,
            "xdm:destinationVersion": 1,
            "xdm:destinationProperty": "/accountKey/sourceKey",
        },
    ]
    again = await harness.apply(CHOICES)
    assert {step.action for step in again} == {Action.KEEP}


async def test_without_the_choice_there_is_none(harness: Harness) -> None:
    """And one that exists is neither shown in a plan nor touched."""
    add_accounts(harness.state)
    await harness.apply(CHOICES)
    before = relationship(harness)

    steps = await harness.apply(Choices(profile=True))

    assert KIND not in {step.kind for step in steps}
    assert relationship(harness) == before


async def test_the_schema_may_be_given_by_its_other_id(harness: Harness) -> None:
    """AEP shows both."""
    add_accounts(harness.state)

    await harness.apply(Choices(profile=True, account_schema="_acme.schemas.accounts"))

    assert relationship(harness)[1]["xdm:destinationSchema"] == ACCOUNTS


async def test_a_namespace_by_number_is_looked_up(harness: Harness) -> None:
    """A reference identity needs its code."""
    add_accounts(harness.state)
    for one in harness.state.descriptors.values():
        one |= {"xdm:namespace": "4711", "xdm:property": "xdm:id"}

    await harness.apply(CHOICES)

    assert relationship(harness)[0]["xdm:identityNamespace"] == "CrmAccount"


async def test_another_schema_replaces_the_first(harness: Harness) -> None:
    """In the same descriptors."""
    add_accounts(harness.state)
    await harness.apply(CHOICES)
    other = f"{ACCOUNTS}2"
    add_accounts(harness.state, other)

    steps = await harness.apply(Choices(profile=True, account_schema=other))

    assert changes(steps)[KIND] == (f"{PROPERTY} refers to {other}",)
    assert [x.get("xdm:destinationSchema") for x in relationship(harness)] == [None, other]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("no schema", "does not exist in the sandbox prod: give its"),
        ("no Profile", "is not enabled for Profile, which a relationship needs: enable it"),
        ("no primary identity", "has no primary identity, which a relationship refers to: mark"),
        ("no namespace", "namespace 4712, which does not exist: give it one"),
        ("people", "xdm/context/profile, so it holds people: give"),
        ("events", "xdm/context/experienceevent, so it holds events: give"),
        ("other events", "so it holds events: give the schema of records"),
    ],
)
async def test_what_it_cannot_refer_to_is_said(harness: Harness, fault: str, says: str) -> None:
    """Before anything is created."""
    state = harness.state
    classes = {
        "people": "https://ns.adobe.com/xdm/context/profile",
        "events": "https://ns.adobe.com/xdm/context/experienceevent",
    }
    schema = add_accounts(state, class_=classes.get(fault, BUSINESS_ACCOUNT))
    if fault == "no schema":
        state.schemas.clear()
    if fault == "no Profile":
        del schema.body["meta:immutableTags"]
    if fault == "no primary identity":
        next(iter(state.descriptors.values()))["xdm:isPrimary"] = False
    if fault == "no namespace":
        for one in state.descriptors.values():
            one |= {"xdm:namespace": "4712", "xdm:property": "xdm:id"}
    if fault == "other events":
        schema.body["meta:extends"] = ["https://ns.adobe.com/xdm/data/time-series"]

    with pytest.raises(Conflict, match=says) as error:
        await harness.apply(CHOICES)

    assert f"--account-schema {ACCOUNTS}" in str(error.value)
    assert state.changing_calls == []


async def test_a_relationship_of_another_type_is_left_alone(harness: Harness) -> None:
    """Somebody has made it in the B2B Edition."""
    add_accounts(harness.state)
    await harness.apply(Choices(profile=True))
    theirs = {
        "@type": "xdm:descriptorRelationship",
        "xdm:sourceSchema": events_schema(harness),
        "xdm:sourceProperty": PROPERTY,
        "xdm:destinationSchema": ACCOUNTS,
    }
    add_descriptor(harness.state, theirs)

    with pytest.raises(Conflict, match="does not make"):
        await harness.apply(CHOICES)

    assert relationship(harness) == []


async def test_a_refusal_stops_nothing(harness: Harness) -> None:
    """All else is made; the next run makes what is missing."""
    add_accounts(harness.state)

    def is_relationship(call: Call) -> bool:
        return call.method == "POST" and ONE_TO_ONE.encode() in call.body

    harness.platform.fail(Answering(400), matching=is_relationship)

    steps = await harness.apply(CHOICES)

    assert (Action.REFUSED, KIND) in actions(steps)
    assert len(harness.state.flows) == 1
    assert (Action.CHANGE, KIND) in actions(await harness.apply(CHOICES))
    assert [one["@type"] for one in relationship(harness)] == [REFERENCE, ONE_TO_ONE]


async def test_destroy_takes_it_back(harness: Harness) -> None:
    """Although its schema, being in Profile, stays; the accounts are not touched."""
    add_accounts(harness.state)
    await harness.apply(CHOICES)

    steps = await harness.destroy()

    assert (Action.DELETE, KIND) in actions(steps)
    assert (Action.LEAVE, Kind.SCHEMA) in actions(steps)
    assert relationship(harness) == []
    assert ACCOUNTS in harness.state.schemas
    assert [x["@type"] for x in harness.state.descriptors.values() if x["@id"][:6] == "theirs"] == [
        IDENTITY
    ]
