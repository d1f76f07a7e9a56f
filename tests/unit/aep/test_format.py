"""Formats: the raw event unchanged, or an XDM message in its envelope; and trimming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pytest

from local.samples import Sample, load_samples
from pendo_aep.aep.format import PROFILE_LIMIT_BYTES, Format, Raw, Xdm, event_format, trim
from pendo_aep.aep.mapping import FIELDS, MappingOptions
from pendo_aep.chosen_fields import parse_chosen_fields
from pendo_aep.event import Event, InvalidEvent, read_event
from pendo_aep.settings import DeliverSettings, KeptProperties, load
from tests.cases import Case, cases, table

SAMPLES = [sample for sample in load_samples() if sample.event is not None]
BARE = {"id": "a", "type": "poll.submitted", "occurredAt": "t"}
SCHEMA = {
    "id": "https://ns.adobe.com/acme/schemas/1",
    "contentType": "application/vnd.adobe.xed-full+json;version=1",
}


def xdm(tenant_id: str = "_acme", options: MappingOptions | None = None) -> Xdm:
    """Returns the format for the tenant `acme`."""
    return Xdm(
        schema_id=SCHEMA["id"],
        dataset_id="d",
        ims_org_id="o@AdobeOrg",
        tenant_id=tenant_id,
        flow_id="flow",
        options=options or MappingOptions(),
    )


NOTHING = MappingOptions(properties="none")
FORMATS = pytest.mark.parametrize("encode", [Raw(), xdm()], ids=["raw", "xdm"])


@pytest.fixture
def event() -> Event:
    """An event with every field."""
    [whole] = [row["event"] for row in table("normalised") if row["case"] == "every field"]
    return read_event(json.dumps(whole).encode())


def paths(value: object, at: str = "") -> Iterator[str]:
    """Yields the path of each leaf of an entity, with `[]` for the elements of an array."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for element in value:
            yield from paths(element, at + "[]")
    else:
        yield at


def test_raw_is_the_message() -> None:
    """AEP gets the bytes of the message where a mapping set can map all of it."""
    data = b' {"id" : "a", "type":"visitor.created", "occurredAt":"t"} '
    assert Raw().encode(data, read_event(data)) == data


@pytest.mark.parametrize("end", [b"", b" ", b"\n\t "])
def test_raw_adds_what_a_mapping_set_cannot_make(end: bytes, event: Event) -> None:
    """What a mapping set could not make is appended to the bytes of the message, as in XDM."""
    data = json.dumps(event).encode()
    sent = Raw().encode(data + end, event)
    entity = xdm().entity(event)
    assert sent.startswith(data[:-1])
    assert json.loads(sent) == {
        **event,
        "propertiesJson": entity["_acme"]["pendo"]["properties"],
        "surveyQuestions": entity["surveyResponse"]["surveyQuestions"],
        "surveyAnswers": entity["surveyResponse"]["surveyAnswers"],
    }


def test_every_field_is_mapped(event: Event) -> None:
    """An event with every field fills all their paths in XDM, and no other."""
    event["track"] = {"name": "Account Upgraded", "source": "web"}
    event["browser"] = {"name": "Chrome", "version": "91.0.4472"}
    event["answers"][0] |= {"question": "How easy?", "text": "Easy", "type": "PickList"}
    expected = set()
    for field in FIELDS:
        if field.source.startswith("properties.") or (
            field.only and event["type"] not in field.only
        ):
            continue
        place = field.xdm.format(tenant="_acme")
        if field.type == "identity":
            expected |= {
                f"{place}.PendoVisitor[].{key}" for key in ("id", "primary", "authenticatedState")
            }
        else:
            expected.add(place)
    assert set(paths(xdm().entity(event))) == expected


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_sample(sample: Sample) -> None:
    """The entity of each sample event is the one in the file beside it."""
    entity = xdm().entity(read_event(orjson.dumps(sample.event)))
    assert orjson.loads(orjson.dumps(entity)) == sample.xdm


def test_entity(event: Event) -> None:
    """The entity of an NPS answer."""
    entity = xdm().entity(event)
    assert entity["_id"] == event["id"]
    assert ":" not in entity["_id"]
    assert entity["timestamp"] == "2023-11-14T22:13:20.000Z"
    assert entity["eventType"] == "pendo.npsSubmitted"
    assert entity["identityMap"] == {
        "PendoVisitor": [{"id": "v-1", "primary": True, "authenticatedState": "ambiguous"}]
    }
    assert entity["surveyResponse"] == {
        "surveyID": "g-1",
        "surveyQuestions": ["rating", "reason", "p-1"],
        "surveyAnswers": ["0", "slow", "3"],
    }
    assert entity["application"] == {"id": "-323232", "name": "Shop"}
    assert entity["environment"] == {
        "browserDetails": {"userAgent": "Mozilla/5.0", "acceptLanguage": "en-US"}
    }
    pendo = entity["_acme"]["pendo"]
    assert json.loads(pendo.pop("properties")) == {
        "guideProperties": {"createdAt": 1600000000000},
        "poll": {"pollId": "p-1", "value": 3},
    }
    same = ("receivedAt", "visitorId", "accountId", "app", "subscription", "guide", "nps")
    assert pendo == {key: event[key] for key in same} | {  # type: ignore[literal-required]  # keys of a tuple
        "event": "npsSubmitted",
        "answers": [{"pollId": "p-1", "value": "3", "number": 3}],
        "schemaVersion": 1,
    }


@pytest.mark.parametrize("rating", [0, 10, 7.5])
def test_the_rating_is_a_number(rating: float, event: Event) -> None:
    """A rating is a number, also the worst."""
    event["nps"] = {"rating": rating}
    entity = json.loads(xdm().encode(b"", event))["body"]["xdmEntity"]
    assert entity["_acme"]["pendo"]["nps"] == {"rating": rating}


def test_absent_fields_stay_absent() -> None:
    """An event with only the required fields has no empty object."""
    event = read_event(b'{"id":"a","type":"visitor.created","occurredAt":"t"}')
    assert xdm().entity(event) == {"_id": "a", "timestamp": "t"}


@pytest.mark.parametrize("name", ["npsSubmitted", "pageLoaded", "pendo.x", "x y\n"])
def test_the_event_type(name: str, event: Event) -> None:
    """It is `pendo.` and Pendo's name, whether the event is known or not."""
    event["pendoEvent"] = name
    assert xdm().entity(event)["eventType"] == "pendo." + name


@pytest.mark.parametrize(
    ("kind", "is_survey"),
    [
        ("nps.submitted", True),
        ("poll.submitted", True),
        ("nps.displayed", False),
        ("poll.displayed", False),
        ("guide.displayed", False),
        ("poll.submitted.x", False),
        ("pendo.poll.submitted", False),
    ],
)
def test_only_answered_surveys_are_responses(kind: str, is_survey: bool, event: Event) -> None:
    """The guide is the survey of answered polls and NPS only, and only these have answers."""
    event["type"] = kind
    assert ("surveyResponse" in xdm().entity(event)) is is_survey
    raw = orjson.loads(Raw().encode(orjson.dumps(event), event))
    assert ("surveyQuestions" in raw) is ("surveyAnswers" in raw) is is_survey


@pytest.mark.parametrize("kept", ["all", "none"])
def test_other_properties(kept: KeptProperties, event: Event) -> None:
    """All properties are stored, or none; `raw` sends them as before, beside the text."""
    options = MappingOptions(properties=kept)
    pendo = xdm(options=options).entity(event)["_acme"]["pendo"]
    raw = orjson.loads(Raw(options).encode(orjson.dumps(event), event))
    assert raw["properties"] == event["properties"]
    assert pendo.get("properties") == raw.get("propertiesJson")
    assert ("properties" in pendo) is (kept == "all")
    if kept == "all":
        assert json.loads(pendo["properties"]) == event["properties"]


SETTINGS = {
    "GOOGLE_CLOUD_PROJECT": "p",
    "AEP_ENDPOINT": "https://dcs.adobedc.net/collection/x",
    "AEP_FLOW_ID": "flow",
    "AEP_SCHEMA_ID": "s",
    "AEP_DATASET_ID": "d",
    "AEP_IMS_ORG_ID": "o@AdobeOrg",
    "AEP_TENANT_ID": "acme",
}


@pytest.mark.parametrize(
    "chosen", [{"AEP_FORMAT": "xdm"}, {}, {"AEP_RAW_MODE": "enveloped"}], ids=str
)
def test_the_settings_choose(chosen: dict[str, str], event: Event) -> None:
    """Every format keeps the properties, and XDM has the identities, that the settings say."""
    event["visitorId"] = "Mira@Example.com"
    options = {"AEP_PROPERTIES": "none", "AEP_EMAIL_NAMESPACE": "Email"}
    sent: list[bytes] = []
    for more in ({}, options):
        settings = load(DeliverSettings, SETTINGS | chosen | more)
        sent.append(event_format(settings).encode(orjson.dumps(event), event))
    assert [b"createdAt\\" in message for message in sent] == [True, False]
    is_xdm = chosen.get("AEP_FORMAT") == "xdm"
    assert [b'"Email":[{"id":"mira@example.com","primary":false' in m for m in sent] == [
        False,
        is_xdm,
    ]


@pytest.mark.parametrize("case", cases("empty_values"))
def test_no_empty_value_is_sent(case: Case) -> None:
    """Neither format has an empty value at any depth, except in the text of the properties."""
    bare = BARE | {"type": case.get("type", BARE["type"])}
    event = read_event(orjson.dumps(bare | case["event"]))
    data = json.dumps(event, indent=2).encode()  # as others than `receive` may write it
    raw, entity = orjson.loads(Raw().encode(data, event)), xdm().entity(event)
    assert raw == bare | case["raw"]
    assert entity == {"_id": "a", "timestamp": "t"} | case["xdm"]
    for sent in (raw, entity):
        assert list(empty_values(sent)) == []


def empty_values(value: Any) -> Iterator[Any]:
    """Yields every empty value in a JSON value."""
    if value in (None, "", [], {}):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from empty_values(inner)


@pytest.mark.parametrize(("length", "is_identity"), [(1024, True), (1025, False)])
def test_an_identity_that_aep_would_skip(length: int, is_identity: bool, event: Event) -> None:
    """A visitor ID over 1,024 characters is a field, but no identity."""
    event["visitorId"] = "ä" * length
    entity = xdm().entity(event)
    assert ("identityMap" in entity) is is_identity
    assert entity["_acme"]["pendo"]["visitorId"] == "ä" * length
    assert entity["_acme"]["pendo"]["accountId"] == event["accountId"]


@pytest.mark.parametrize("tenant_id", ["acme", "_acme", "accenture_partner"])
def test_the_tenant(tenant_id: str, event: Event) -> None:
    """The tenant's object starts with one underscore, however the tenant is given."""
    assert "_" + tenant_id.removeprefix("_") in xdm(tenant_id).entity(event)


def test_the_event_is_left_alone(event: Event) -> None:
    """Building an entity changes neither the event nor later entities."""
    before = json.dumps(event)
    build = xdm()
    first = build.entity(event)
    assert build.entity(event) == first
    assert json.dumps(event) == before


def test_the_envelope(event: Event) -> None:
    """The envelope is Adobe's: a header, and the schema beside the entity."""
    header: dict[str, Any] = {
        "schemaRef": SCHEMA,
        "imsOrgId": "o@AdobeOrg",
        "datasetId": "d",
        "flowId": "flow",
        "source": {"name": "pendo-to-aep"},
    }
    build = xdm()
    assert json.loads(build.encode(b"", event)) == {
        "header": header,
        "body": {"xdmMeta": {"schemaRef": SCHEMA}, "xdmEntity": build.entity(event)},
    }


def test_the_same_event_is_the_same_message(event: Event) -> None:
    """An event gives the same bytes each time."""
    assert xdm().encode(b"", event) == xdm().encode(b"other", json.loads(json.dumps(event)))


@FORMATS
def test_nested_too_deep(encode: Format) -> None:
    """An event that is nested too deep to be written is invalid."""
    deep = b"[" * 500 + b"]" * 500
    data = b'{"id":"a","type":"x","occurredAt":"t","properties":' + deep + b"}"
    with pytest.raises(InvalidEvent):
        encode.encode(data, read_event(data))


@pytest.mark.parametrize(
    "odd",
    [
        {"app": "text", "guide": 1, "nps": [], "answers": "x", "properties": None},
        {"answers": [1, None, "x", {"value": "a"}], "visitorId": None},
        {"app": {"id": {"deep": 1}}, "answers": {}},
    ],
)
def test_an_event_of_other_types(odd: dict[str, Any]) -> None:
    """An event with fields of other types is built as far as possible; AEP validates the rest."""
    data = json.dumps({"id": "a", "type": "poll.x", "occurredAt": "t"} | odd).encode()
    message = json.loads(xdm().encode(data, read_event(data)))
    assert message["body"]["xdmEntity"]["_id"] == "a"
    assert json.loads(Raw().encode(data, read_event(data)))["id"] == "a"


# Fields that the customer has chosen.

CHOSEN = MappingOptions(
    chosen=parse_chosen_fields(
        "properties.eventProperties.toTier:string properties.eventProperties.a.b:number "
        "properties.sampleGroup:integer"
    )
)
TYPED: dict[str, dict[str, Any]] = {
    "track": {"properties": {"toTier": "gold", "a": {"b": 2}}},
    "custom": {"sampleGroup": 6},
}


@pytest.mark.parametrize("options", [MappingOptions(), CHOSEN])
def test_chosen_fields(options: MappingOptions) -> None:
    """`raw` adds one key with their values, `xdm` has them beside the other fields."""
    event = event_with(eventProperties={"toTier": "gold", "a": {"b": "2"}}, sampleGroup=6)
    event["track"] = {"name": "Account Upgraded"}
    for data in (orjson.dumps(event), orjson.dumps({**event, "accountId": ""})):  # with empty ones
        raw = orjson.loads(Raw(options).encode(data, orjson.loads(data)))
        pendo = xdm(options=options).entity(orjson.loads(data))["_acme"]["pendo"]
        assert raw["properties"] == event["properties"]
        if options is CHOSEN:
            assert raw["fields"] == TYPED
            assert pendo["track"] == TYPED["track"] | {"name": "Account Upgraded"}
            assert pendo["custom"] == TYPED["custom"]
            assert "propertiesJson" not in raw
            assert "properties" not in pendo
        else:
            assert "fields" not in raw
            assert json.loads(pendo["properties"]) == event["properties"]


@pytest.mark.parametrize("properties", [{}, {"sampleGroup": "x"}, {"eventProperties": [1]}])
def test_no_chosen_field_has_a_value(properties: dict[str, object]) -> None:
    """Without a value that fits there is no empty object."""
    event = event_with(**properties)
    assert b'"fields"' not in Raw(CHOSEN).encode(orjson.dumps(event), event)
    assert {"track", "custom"}.isdisjoint(xdm(options=CHOSEN).entity(event)["_acme"]["pendo"])


# Trimming of events that Profile would drop for their size.


def event_with(**properties: object) -> Event:
    """Returns an event with these properties."""
    common = {"id": "1", "type": "track.received", "occurredAt": "2026-01-31T09:30:00.000Z"}
    return cast("Event", common | {"visitorId": "v", "properties": properties})


def properties_of(message: bytes) -> dict[str, object]:
    """Returns the properties in a message of either format."""
    sent = orjson.loads(message)
    if "properties" in sent:
        return cast("dict[str, object]", sent["properties"])
    text = sent["body"]["xdmEntity"]["_acme"]["pendo"]["properties"]
    return cast("dict[str, object]", orjson.loads(text))


@FORMATS
def test_only_the_largest_properties_are_trimmed(encode: Format) -> None:
    """The largest properties are removed first, the rest stays, and the message names them."""
    full = event_with(small=1, large="x" * 20_000, middle="y" * 5_000, quotes='"' * 9_000)
    message = trim(full, encode)

    trimmed: Event = {**full, "properties": properties_of(message)}
    assert encode.stored_bytes(message, trimmed) <= PROFILE_LIMIT_BYTES
    assert properties_of(message) == {
        "small": 1,
        "middle": "y" * 5_000,
        "_trimmed": ["large", "quotes"],
    }


@FORMATS
def test_only_properties_are_trimmed(encode: Format) -> None:
    """An event that is too large elsewhere is sent without its properties."""
    full = event_with(a="x" * 100)
    full["visitorId"] = "v" * 20_000
    message = trim(full, encode)

    assert properties_of(message) == {"_trimmed": ["a"]}
    assert b"v" * 20_000 in message


@FORMATS
def test_what_is_not_stored_is_not_trimmed(encode: Format) -> None:
    """A property that stands in a field of its own takes no room, so leaving it out saves none."""
    full = event_with(guideId="g" * 9_000, large="x" * 9_000)
    full["guide"] = {"id": "g" * 9_000}
    message = trim(full, encode)
    kept = properties_of(message)
    kept.pop("guideId", None)  # which `raw` sends, and AEP does not store
    assert kept == {"_trimmed": ["large"]}


@pytest.mark.parametrize("encode", [Raw(CHOSEN), xdm(options=CHOSEN)], ids=["raw", "xdm"])
def test_chosen_fields_are_not_trimmed(encode: Format) -> None:
    """A typed field keeps its value if the property around it is left out."""
    full = event_with(eventProperties={"toTier": "gold", "large": "x" * 20_000}, sampleGroup=6)
    sent = orjson.loads(trim(full, encode))
    fields = sent.get("fields") or sent["body"]["xdmEntity"]["_acme"]["pendo"]
    assert fields["track"] == {"properties": {"toTier": "gold"}}
    assert fields["custom"] == {"sampleGroup": 6}
    assert b"xxx" not in orjson.dumps(sent)


@pytest.mark.parametrize("encode", [Raw(NOTHING), xdm(options=NOTHING)], ids=["raw", "xdm"])
def test_without_properties_nothing_is_trimmed(encode: Format) -> None:
    """If no properties are stored, no event becomes smaller without them."""
    full = event_with(large="x" * 20_000)
    assert trim(full, encode) == encode.encode(orjson.dumps(full), full)


@FORMATS
def test_trimming_many_properties_takes_few_steps(encode: Format) -> None:
    """An event with hundreds of properties is encoded a few times, not once for each."""
    written: list[int] = []

    class Counted:
        typed = None

        def encode(self, data: bytes, event: Event) -> bytes:
            written.append(len(data))
            return encode.encode(data, event)

        def stored_bytes(self, message: bytes, event: Event) -> int:
            return encode.stored_bytes(message, event)

        def stored_properties(self, event: Event) -> Any:
            return encode.stored_properties(event)

    full = event_with(**{f"text{number}": "x" * 1000 for number in range(500)})
    message = trim(full, Counted())

    kept = properties_of(message)
    trimmed = kept.pop("_trimmed")
    assert isinstance(trimmed, list)
    assert len(kept) + len(trimmed) == 500
    one_more = {**kept, trimmed[-1]: "x" * 1000, "_trimmed": trimmed[:-1]}
    larger: Event = {**full, "properties": one_more}
    too_large = encode.encode(orjson.dumps(larger), larger)
    assert encode.stored_bytes(too_large, larger) > PROFILE_LIMIT_BYTES
    assert len(written) <= 11


def test_trimming_does_not_change_the_event() -> None:
    """Trimming copies the event, so that a dead letter keeps the original."""
    full = event_with(large="x" * 20_000)
    trim(full, Raw())
    assert full["properties"] == {"large": "x" * 20_000}


@FORMATS
def test_trimming_a_deeply_nested_event(encode: Format) -> None:
    """A foreign event that is nested too deep to be written is invalid."""
    foreign = b'{"id":"1","type":"x","occurredAt":"t","deep":' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(InvalidEvent):
        trim(read_event(foreign), encode)


@pytest.mark.parametrize("properties", [["p"], None, "p", 7], ids=str)
@FORMATS
def test_properties_of_another_type_are_not_trimmed(encode: Format, properties: object) -> None:
    """A foreign event whose properties are no object is sent unchanged."""
    foreign = cast("Event", {**event_with(), "properties": properties})
    assert trim(foreign, encode, limit=1) == encode.encode(orjson.dumps(foreign), foreign)
