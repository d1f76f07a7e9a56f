"""Texts and labels of the fields: what is set, what differs, what others have added, refusals."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local.aep_platform import Answering, Call, Permission, assumed
from pendo_aep.aep.mapping import FIELDS
from pendo_aep.event import EVENT_TYPES
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.field_texts import field_texts
from pendo_aep.provisioning.plan import Action
from pendo_aep.provisioning.resource import Kind
from tests.unit.provisioning.harness import (
    Harness,
    as_sent,
    changes,
    only,
    own_fields,
    shape,
)

FRIENDLY_NAME: Final = "xdm:alternateDisplayInfo"
LABEL: Final = "xdm:descriptorLabel"
VISITOR: Final = "/_acme/pendo/visitorId"
PATH: Final = "/data/foundation/schemaregistry/tenant/descriptors"


def descriptors(harness: Harness, type_: str) -> dict[str, Any]:
    """Returns the descriptors of a type, which a test may change, by the path of their field."""
    found = [one for one in harness.state.descriptors.values() if one["@type"] == type_]
    return {one["xdm:sourceProperty"]: one for one in found}


def add_label(harness: Harness, source: str, *labels: str) -> None:
    """Labels the visitor id, as people do in AEP."""
    harness.state.descriptors["theirs"] = {
        "@id": "theirs",
        "@type": LABEL,
        "xdm:sourceSchema": source,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": VISITOR,
        "xdm:labels": [*labels],
        "created": 0,
    }


def visitor_labels(harness: Harness) -> list[list[str]]:
    """Returns the labels of the visitor id, of each descriptor."""
    return [
        one["xdm:labels"]
        for one in harness.state.descriptors.values()
        if (one["@type"], one["xdm:sourceProperty"]) == (LABEL, VISITOR)
    ]


def refusals(harness: Harness) -> dict[Kind, tuple[str, ...]]:
    """Returns the details of what the last run reported as refused."""
    return {x.kind: x.details for x in harness.reported if x.action is Action.REFUSED}


def test_every_own_field_has_a_description() -> None:
    """And the file names no field that is not in the mapping table."""
    paths = {field.xdm for field in FIELDS}
    own = {path for path in paths if path.startswith("{tenant}.")}

    assert {path for path, text in field_texts().items() if text.description} >= own
    assert set(field_texts()) <= paths
    assert {path for path, text in field_texts().items() if text.label} <= own


def test_every_event_of_pendos_is_a_suggested_value() -> None:
    """By Pendo's name, and in `eventType` with `pendo.` before it."""
    texts = field_texts()

    assert set(texts["{tenant}.pendo.event"].suggested) == set(EVENT_TYPES)
    assert set(texts["eventType"].suggested) == {f"pendo.{name}" for name in EVENT_TYPES}


async def test_fields_are_described(harness: Harness) -> None:
    """Descriptions and suggested values in the field group; never `enum`, which would refuse."""
    await harness.set_up()

    fields = own_fields(harness.state)
    platform = fields["app"]["properties"]["platform"]
    assert platform == {
        "title": "App platform",
        "type": "string",
        "description": field_texts()["{tenant}.pendo.app.platform"].description,
        "meta:enum": {"web": "Web", "ios": "iOS", "android": "Android"},
    }
    assert "'enum'" not in str(fields)


async def test_adobes_fields_get_friendly_names(harness: Harness) -> None:
    """On our schema only, with the title of the mapping table, in title case."""
    await harness.set_up()

    found = descriptors(harness, FRIENDLY_NAME)
    assert as_sent(found["/environment/browserDetails/userAgent"]) == {
        "@type": FRIENDLY_NAME,
        "xdm:sourceSchema": only(harness.state.schemas).id,
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": "/environment/browserDetails/userAgent",
        "xdm:title": {"en_us": "User Agent"},
        "xdm:description": {
            "en_us": field_texts()["environment.browserDetails.userAgent"].description
        },
    }
    assert found["/eventType"]["meta:enum"]["pendo.npsSubmitted"] == "Pendo: NPS survey submitted"
    assert "/surveyResponse/surveyAnswers" in found
    assert not any(path.startswith("/_acme") for path in found)


async def test_texts_that_differ_are_one_line(harness: Harness) -> None:
    """`apply` sets them; suggested values, languages and descriptors of others stay."""
    await harness.set_up()
    fields = own_fields(harness.state)
    fields["visitorId"]["description"] = "Old"
    fields["event"]["meta:enum"] = {"ours": "Our own event", "npsSubmitted": "Old"}
    event_type = descriptors(harness, FRIENDLY_NAME)["/eventType"]
    event_type["xdm:title"] = {"en_us": "Old", "fr_fr": "Type"}
    event_type["meta:enum"] = {"ours": "Our own event"}
    event_type["meta:excludeMetaEnum"] = {"media.ping": "Media ping"}
    theirs = {**event_type, "@id": "theirs", "xdm:sourceProperty": "/producedBy"}
    harness.state.descriptors["theirs"] = dict(theirs)

    planned = await harness.plan()
    steps = await harness.apply()

    assert changes(planned) == changes(steps)
    assert changes(steps) == {
        Kind.FIELD_GROUP: ("descriptions and suggested values of 2 fields",),
        Kind.FRIENDLY_NAMES: ("friendly names of 1 field",),
    }
    texts = field_texts()
    fields = own_fields(harness.state)
    assert fields["visitorId"]["description"] == texts["{tenant}.pendo.visitorId"].description
    expected = {"ours": "Our own event", **texts["{tenant}.pendo.event"].suggested}
    assert fields["event"]["meta:enum"] == expected
    event_type = descriptors(harness, FRIENDLY_NAME)["/eventType"]
    assert event_type["xdm:title"] == {"en_us": "Event Type", "fr_fr": "Type"}
    assert event_type["meta:enum"] == {"ours": "Our own event", **texts["eventType"].suggested}
    assert event_type["meta:excludeMetaEnum"] == {"media.ping": "Media ping"}
    assert harness.state.descriptors["theirs"] == theirs
    calls = len(harness.state.changing_calls)
    assert {step.action for step in await harness.apply()} == {Action.KEEP}
    assert len(harness.state.changing_calls) == calls


async def test_an_older_set_up_gets_texts_and_labels(harness: Harness) -> None:
    """One that was created before there were any becomes what is created today."""
    await harness.set_up()
    created = shape(harness.state)
    harness.state.descriptors.clear()
    del own_fields(harness.state)["accountId"]["description"]

    steps = await harness.apply()

    done = {step.kind: step.action for step in steps if step.action is not Action.KEEP}
    assert done == {
        Kind.FIELD_GROUP: Action.CHANGE,
        Kind.FRIENDLY_NAMES: Action.CREATE,
        Kind.LABELS: Action.CREATE,
    }
    assert shape(harness.state) == created


async def test_personal_data_is_labelled(harness: Harness) -> None:
    """Our own leaves only, on the field group: other schemas of the tenant's are not touched."""
    await harness.set_up()

    group = only(harness.state.field_groups).id
    found = descriptors(harness, LABEL)
    assert {one["xdm:sourceSchema"] for one in found.values()} == {group}
    assert {path: one["xdm:labels"] for path, one in found.items()} == {
        VISITOR: ["core/I1"],
        "/_acme/pendo/accountId": ["core/I2"],
        "/_acme/pendo/nps/reason": ["core/I2"],
        "/_acme/pendo/answers[*]/value": ["core/I2"],
        "/_acme/pendo/answers[*]/text": ["core/I2"],
        "/_acme/pendo/properties": ["core/I2"],
    }


async def test_labels_of_others_stay(harness: Harness) -> None:
    """Ours is added to them."""
    await harness.set_up(Choices(labels="none"))
    add_label(harness, only(harness.state.field_groups).id, "core/C2", "custom/Secret")

    await harness.apply()

    assert visitor_labels(harness) == [["core/C2", "custom/Secret", "core/I1"]]
    assert {step.action for step in await harness.apply()} == {Action.KEEP}


async def test_a_label_on_the_schema_is_enough(harness: Harness) -> None:
    """Whoever has labelled the field there needs no second descriptor."""
    await harness.set_up(Choices(labels="none"))
    add_label(harness, only(harness.state.schemas).id, "core/I1")

    await harness.apply()

    assert visitor_labels(harness) == [["core/I1"]]


async def test_without_labels_none_is_set_or_removed(harness: Harness) -> None:
    """`--labels none` leaves them to the person."""
    without = Choices(labels="none")
    steps = await harness.apply(without)
    assert Kind.LABELS not in {step.kind for step in steps}
    assert descriptors(harness, LABEL) == {}
    add_label(harness, only(harness.state.field_groups).id, "core/C2")

    assert {step.action for step in await harness.apply(without)} == {Action.KEEP}

    assert visitor_labels(harness) == [["core/C2"]]


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refusal_is_only_reported(harness: Harness, status: int, method: str) -> None:
    """Events can be stored without: the rest is created, and the next step is named."""
    harness.platform.fail(
        Answering(status, {"title": "Not licensed"}),
        matching=lambda call: call.method == method and call.path.startswith(PATH),
        times=None,
    )

    await harness.apply()

    refused = refusals(harness)
    assert refused.keys() == {Kind.FRIENDLY_NAMES, Kind.LABELS}
    assert f"AEP: {status} Not licensed" in refused[Kind.LABELS][0]
    assert "--labels none" in refused[Kind.LABELS][1]
    assert await harness.show()
    harness.platform.heal()
    await harness.apply()
    assert {step.action for step in await harness.apply()} == {Action.KEEP}


async def test_a_missing_permission_is_named(harness: Harness) -> None:
    """Friendly names need another one than labels."""
    harness.platform.permissions.discard(Permission.MANAGE_LABELS)

    await harness.apply()

    assert "Manage Usage Labels" in refusals(harness)[Kind.LABELS][0]
    assert len(descriptors(harness, FRIENDLY_NAME)) == 12


async def test_one_refused_label_does_not_stop_the_others(harness: Harness) -> None:
    """Such as one whose path AEP does not understand."""

    def is_of_an_element(call: Call) -> bool:
        return call.method == "POST" and b"answers[*]" in call.body

    harness.platform.fail(Answering(400, {"title": "No"}), matching=is_of_an_element, times=None)

    await harness.apply()

    (reason, _) = refusals(harness)[Kind.LABELS]
    assert "set the data usage labels of /_acme/pendo/answers[*]/value: " in reason
    assert len(descriptors(harness, LABEL)) == 4


async def test_what_aep_does_not_keep_is_only_reported(harness: Harness) -> None:
    """A PUT that changes nothing is not tried for ever."""
    await harness.set_up()
    descriptors(harness, FRIENDLY_NAME)["/eventType"]["xdm:title"] = {"en_us": "Old"}
    harness.platform.fail(
        Answering(201, {"@id": "x"}), matching=lambda call: call.method == "PUT", times=None
    )

    await harness.apply()

    assert "does not keep" in refusals(harness)[Kind.FRIENDLY_NAMES][0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ONE_DESCRIPTOR_FOR_A_FIELD", False),
        ("DESCRIPTOR_PUT_STATUS", 200),
        ("DESCRIPTORS_GO_WITH_THEIR_SOURCE", True),
    ],
)
async def test_nothing_depends_on_an_assumption(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    """Where Adobe's documents do not say what AEP does, either way works."""
    monkeypatch.setattr(assumed, name, value)
    await harness.apply()
    created = shape(harness.state)
    descriptors(harness, FRIENDLY_NAME)["/eventType"]["xdm:title"] = {"en_us": "Old"}

    await harness.apply()

    assert shape(harness.state) == created
    await harness.destroy()
    assert harness.is_complete
    assert harness.state.descriptors == {}


async def test_descriptors_stay_with_their_schema(harness: Harness) -> None:
    """`destroy` deletes them only if it deletes the schema, too."""
    await harness.set_up(Choices(profile=True))
    made = dict(harness.state.descriptors)

    steps = await harness.destroy()

    kept = {step.kind: step.details for step in steps if step.action is Action.LEAVE}
    assert kept[Kind.LABELS] == kept[Kind.FRIENDLY_NAMES] == ("their schema stays",)
    assert harness.state.descriptors == made
