"""Raw or XDM, AEP stores the same: Data Prep maps what `raw` sends to what `xdm` sends.

With every setting that the mapping depends on.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.aep_platform import IMS_ORG_ID, TENANT, PlatformState, Resource
from local.aep_platform.mapping import Mapping, apply_mappings, compile_mapping
from local.aep_platform.schema_resources import resolve, standard_resources
from local.aep_platform.validation import problems_of
from local.functions import PROJECT
from local.samples import Sample, load_samples
from pendo_aep.aep.format import Raw, Xdm
from pendo_aep.aep.mapping import ANONYMOUS_PREFIX, EMAIL_PATTERN, MappingOptions
from pendo_aep.chosen_fields import parse_chosen_fields
from pendo_aep.event import EVENT_TYPES, Event, encode, read_event
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.schema import field_group_body, schema_body
from tests.cases import JSON_VALUES, TEXTS, Case, cases, randomly

SAMPLES = [sample for sample in load_samples() if sample.event is not None]
NOW = "2026-01-31T09:30:00.000Z"
RECEIVED = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)
GROUP_ID = "https://ns.adobe.com/acme/mixins/1"
DEFAULTS: Final = MappingOptions()
# Each type, fits and misfits in the samples, nested, names that Data Prep reserves, and properties
# that have a field of their own.
CHOSEN: Final = parse_chosen_fields(
    """
    properties.eventProperties.plan:string
    properties.eventProperties.trial:boolean
    properties.eventProperties.durationSeconds:number
    properties.eventProperties.filters.weeks:string
    properties.eventProperties.size:integer
    properties.eventProperties.at-2nd:date-time
    properties.eventProperties.equalsIgnoreCase:string
    properties.sampleGroup:integer
    properties.guideProperties.createdAt:date-time
    properties.guideId:string
    properties.nps.rating:integer
    properties.browserName:number
    properties.a.b.c.d.or:number
    """
)
# Each value of each setting, and the rarer ones together.
OPTIONS: Final = {
    "the defaults": DEFAULTS,
    "another namespace": MappingOptions(identity_namespace="Crm"),
    "anonymous visitors as others": MappingOptions(anonymous_visitors="same"),
    "no anonymous visitors": MappingOptions(anonymous_visitors="none"),
    "addresses": MappingOptions(email_namespace="Email"),
    "addresses, anonymous visitors as others": MappingOptions(
        anonymous_visitors="same", email_namespace="Email"
    ),
    "addresses, no anonymous visitors": MappingOptions(
        anonymous_visitors="none", email_namespace="Email"
    ),
    "all properties": MappingOptions(properties="all"),
    "no properties": MappingOptions(properties="none"),
    "fields": MappingOptions(chosen=CHOSEN),
    "fields, all properties": MappingOptions(properties="all", chosen=CHOSEN),
    "fields, no properties": MappingOptions(properties="none", chosen=CHOSEN),
}
EVERY_OPTION: Final = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


def raw(event: Event, options: MappingOptions = DEFAULTS) -> Any:
    """Returns what `raw` sends of an event."""
    return orjson.loads(Raw(options).encode(encode(event), event))


def xdm(event: Event, options: MappingOptions = DEFAULTS) -> Any:
    """Returns the entity that `xdm` sends of an event."""
    formatted = Xdm(
        schema_id="s",
        dataset_id="d",
        ims_org_id=IMS_ORG_ID,
        tenant_id=TENANT,
        flow_id="f",
        options=options,
    )
    return orjson.loads(orjson.dumps(formatted.entity(event)))


def resolved(tenant_id: str, options: MappingOptions = DEFAULTS) -> dict[str, Any]:
    """Returns the schema of events as the registry of a tenant resolves it."""
    group = field_group_body("Fields", tenant_id, options)
    return resolve(
        PlatformState(
            sandbox="prod",
            tenant=tenant_id,
            ims_org_id=IMS_ORG_ID,
            standard=standard_resources(),
            field_groups={
                GROUP_ID: Resource(id=GROUP_ID, kind="mixins", body=group, tenant=tenant_id)
            },
        ),
        schema_body("Events", GROUP_ID),
    )


def compiled(tenant_id: str, options: MappingOptions = DEFAULTS) -> list[Mapping]:
    """Returns the mapping set of a tenant, ready to map."""
    schema = resolved(tenant_id, options)
    return [
        compile_mapping(one["sourceType"], one["source"], one["destination"], schema)
        for one in mappings(tenant_id, options)
    ]


RESOLVED = resolved(TENANT, MappingOptions(chosen=CHOSEN))
COMPILED: Final = {options: compiled(TENANT, options) for options in OPTIONS.values()}
MAPPINGS = COMPILED[DEFAULTS]


@EVERY_OPTION
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_sample(sample: Sample, options: MappingOptions) -> None:
    """The row is valid, with `_id`, `timestamp`, `eventType`, and `identityMap` for a visitor."""
    event = read_event(orjson.dumps(sample.event))
    row, errors = apply_mappings(COMPILED[options], raw(event, options))
    assert (row, errors) == (xdm(event, options), [])
    assert row["_id"] == event["id"]
    assert row["timestamp"] == event["occurredAt"]
    assert row["eventType"] == "pendo." + event["pendoEvent"]
    is_hidden = options.anonymous_visitors == "none" and sample.name.endswith("_anonymous")
    assert ("identityMap" in row) is ("visitorId" in event and not is_hidden)
    assert list(problems_of(row, RESOLVED)) == []


@pytest.mark.parametrize("case", cases("typed_values"))
def test_every_typed_value(case: Case) -> None:
    """A value has the same field in both formats, also in a dataflow without its mapping."""
    chosen = parse_chosen_fields(f"properties.eventProperties.it-s.size:{case['type']}")
    options = MappingOptions(chosen=chosen)
    properties = {"eventProperties": {"it-s": {"size": case["value"]}}}
    event = event_of({"event": "trackEventReceived", "properties": properties})
    row, errors = apply_mappings(compiled(TENANT, options), raw(event, options))
    assert (row, errors) == (xdm(event, options), [])
    assert list(problems_of(row, resolved(TENANT, options))) == []
    value = value_at(row, ["_acme", "pendo", "track", "properties", "it-s", "size"])
    assert value == (case.get("field") or None)
    without, errors = apply_mappings(MAPPINGS, raw(event, options))
    row["_acme"]["pendo"].pop("track", None)
    assert (without, errors) == (row, [])


@EVERY_OPTION
@pytest.mark.parametrize("case", cases("visitor_ids"))
def test_every_kind_of_visitor(case: Case, options: MappingOptions) -> None:
    """Addresses and anonymous ids are told apart alike, in Python and in Data Prep."""
    event = event_of({"event": "x", "visitorId": case["id"]})
    row, errors = apply_mappings(COMPILED[options], raw(event, options))
    assert (row, errors) == (xdm(event, options), [])
    assert list(problems_of(row, RESOLVED)) == []


def test_answers_in_words() -> None:
    """What a catalogue of polls has added is mapped too, whether all answers have it or one."""
    words = {"question": "How often?", "text": "Daily", "type": "PickList"}
    answers = [{"pollId": "p", "value": "c-1", **words}, {"pollId": "q", "value": "3"}]
    fields: dict[str, Any] = {"id": "a", "type": "poll.submitted", "pendoEvent": "pollSubmitted"}
    fields |= {"occurredAt": NOW, "answers": answers}
    event = read_event(orjson.dumps(fields))
    row, errors = apply_mappings(MAPPINGS, raw(event))
    assert (row, errors) == (xdm(event), [])
    assert row["_acme"]["pendo"]["answers"] == answers
    assert list(problems_of(row, RESOLVED)) == []


def test_the_sample_for_uploads() -> None:
    """It fills every destination: AEP's mapping step offers every source that the mappings need."""
    sample = orjson.loads((PROJECT / "docs" / "aep-sample.json").read_bytes())
    row, errors = apply_mappings(MAPPINGS, sample)
    assert errors == []
    destinations = [line["destination"].split(".") for line in mappings(TENANT)]
    assert [path for path in destinations if value_at(row, path) is None] == []


def value_at(row: Any, path: list[str]) -> Any:
    """Returns the value at a path; None if there is none."""
    for key in path:
        row = row.get(key, {})
    return row or None


def test_scores_and_answers() -> None:
    """An NPS rating is a number, also 0; survey answers have only the answers with a poll id."""
    zero = {"event": "npsSubmitted", "properties": {"nps": {"rating": "0"}}}
    row, _ = apply_mappings(MAPPINGS, raw(event_of(zero)))
    assert row["_acme"]["pendo"]["nps"] == {"rating": 0, "category": "detractor"}
    assert row["surveyResponse"] == {"surveyQuestions": ["rating"], "surveyAnswers": ["0"]}
    gap = {"polls": [{"value": "a"}, {"pollId": "q", "value": ["x", 2]}]}
    row, _ = apply_mappings(MAPPINGS, raw(event_of({"event": "pollSubmitted", "properties": gap})))
    assert row["surveyResponse"] == {"surveyQuestions": ["q", "q"], "surveyAnswers": ["x", "2"]}
    assert row["_acme"]["pendo"]["answers"] == [
        {"value": "a"},
        {"pollId": "q", "value": "x"},
        {"pollId": "q", "value": "2", "number": 2},
    ]


@pytest.mark.parametrize("case", cases("empty_values"))
def test_empty_values(case: Case) -> None:
    """Both formats leave out the same, and the row is valid: AEP accepts no empty value."""
    event = read_event(
        orjson.dumps(
            {
                "id": "a",
                "type": case.get("type", "poll.submitted"),
                "pendoEvent": "x",
                "occurredAt": NOW,
            }
            | case["event"]
        )
    )
    row, errors = apply_mappings(MAPPINGS, raw(event))
    assert (row, errors) == (xdm(event), [])
    assert list(problems_of(row, RESOLVED)) == []


@pytest.mark.parametrize("character", ["x", "ä", "\n", "\U0001f600"])
@pytest.mark.parametrize(("length", "is_identity"), [(1024, True), (1025, False)])
def test_an_identity_that_aep_would_skip(character: str, length: int, is_identity: bool) -> None:
    """A visitor id that is too long is a field, but not an identity, in both formats."""
    event = event_of({"event": "x", "visitorId": "v" + character * (length - 2) + "v"})
    row, errors = apply_mappings(MAPPINGS, raw(event))
    assert (row, errors) == (xdm(event), [])
    assert ("identityMap" in row) is is_identity
    assert row["_acme"]["pendo"]["visitorId"] == event["visitorId"]


def test_a_tenant_with_an_underscore() -> None:
    """The mapping set fills the object of a tenant such as `accenture_partner`."""
    row, errors = apply_mappings(compiled("accenture_partner"), raw(event_of({"event": "x"})))
    assert errors == []
    assert row["_accenture_partner"]["pendo"]["event"] == "x"
    assert list(problems_of(row, resolved("accenture_partner"))) == []


def event_of(webhook: dict[str, Any]) -> Event:
    """Returns the normalised event of a webhook."""
    body = VerifiedBody(orjson.dumps(webhook))
    return normalise(parse(body), body, RECEIVED)


VISITOR_IDS: Final = st.from_regex(EMAIL_PATTERN) | TEXTS.map(ANONYMOUS_PREFIX.__add__)
TEXT_OR_NUMBER = TEXTS | st.integers(-(2**53), 2**53)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "guideId": TEXT_OR_NUMBER,
        "guideStepId": TEXTS,
        "guideProperties": st.fixed_dictionaries({}, optional={"id": TEXTS, "name": TEXTS}),
        "language": TEXTS,
        "nps": st.fixed_dictionaries(
            {"rating": JSON_VALUES | st.integers(-1, 11)}, optional={"reason": TEXTS}
        ),
        "polls": st.lists(
            st.fixed_dictionaries({}, optional={"pollId": TEXT_OR_NUMBER, "value": JSON_VALUES}),
            max_size=3,
        ),
        "pollValue": JSON_VALUES,
        "name": JSON_VALUES,
        "source": TEXT_OR_NUMBER,
        "browserName": TEXTS,
        "browserVersion": JSON_VALUES,
        "other": JSON_VALUES,
        "sampleGroup": JSON_VALUES | st.integers(-(2**63), 2**63),
        "eventProperties": st.fixed_dictionaries(
            {},
            optional={
                "plan": JSON_VALUES,
                "trial": JSON_VALUES | st.sampled_from(["true", "false"]),
                "durationSeconds": JSON_VALUES | st.floats(allow_nan=False, allow_infinity=False),
                "size": JSON_VALUES | st.integers(-(2**63), 2**63).map(str),
                "at-2nd": JSON_VALUES
                | st.integers(0, 2**60)
                | st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
                "equalsIgnoreCase": TEXTS,
            },
        ),
        "a": st.just({"b": {"c": {"d": {"or": 1}}}}) | JSON_VALUES,
    },
)


@randomly
@given(
    webhook=st.fixed_dictionaries(
        {"event": st.sampled_from(sorted(EVENT_TYPES)) | TEXTS},
        optional={
            "timestamp": st.integers(0, 2**41),
            "uniqueId": TEXTS,
            "visitorId": TEXT_OR_NUMBER | VISITOR_IDS,
            "accountId": TEXTS,
            "userAgent": TEXTS,
            "app": st.fixed_dictionaries({"id": TEXT_OR_NUMBER}, optional={"name": TEXTS}),
            "properties": PROPERTIES,
        },
    ).filter(lambda webhook: webhook["event"]),
    options=st.sampled_from([*OPTIONS.values()]),
)
@example({"event": "poll.", "properties": {"guideId": "g"}}, DEFAULTS)
@example({"event": "pollSubmitted", "properties": {"polls": [{"value": ""}]}}, DEFAULTS)
def test_any_webhook(webhook: dict[str, Any], options: MappingOptions) -> None:
    """Whatever Pendo sends, and whatever is set, both formats give the same row."""
    event = event_of(webhook)
    assert apply_mappings(COMPILED[options], raw(event, options)) == (xdm(event, options), [])
