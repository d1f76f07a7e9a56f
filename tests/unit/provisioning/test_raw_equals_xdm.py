"""Raw or XDM, AEP stores the same: Data Prep maps what `raw` sends to what `xdm` sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
from pendo_aep.event import EVENT_TYPES, Event, encode, read_event
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from pendo_aep.provisioning.mapping_set import mappings
from pendo_aep.provisioning.schema import field_group_body, schema_body
from tests.cases import JSON_VALUES, TEXTS, Case, cases, randomly

NAMESPACE = "PendoVisitor"
SAMPLES = [sample for sample in load_samples() if sample.event is not None]
NOW = "2026-01-31T09:30:00.000Z"
RECEIVED = datetime(2026, 1, 31, 8, 30, 0, 250_000, tzinfo=UTC)
GROUP_ID = "https://ns.adobe.com/acme/mixins/1"
XDM = Xdm(
    schema_id="s",
    dataset_id="d",
    ims_org_id=IMS_ORG_ID,
    tenant_id=TENANT,
    identity_namespace=NAMESPACE,
    flow_id="f",
)


def raw(event: Event) -> Any:
    """Returns what `raw` sends of an event."""
    return orjson.loads(Raw().encode(encode(event), event))


def xdm(event: Event) -> Any:
    """Returns the entity that `xdm` sends of an event."""
    return orjson.loads(orjson.dumps(XDM.entity(event)))


def resolved(tenant_id: str) -> dict[str, Any]:
    """Returns the schema of events as the registry of a tenant resolves it."""
    group = field_group_body("Fields", tenant_id)
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


def compiled(tenant_id: str) -> list[Mapping]:
    """Returns the mapping set of a tenant, ready to map."""
    return [
        compile_mapping(one["sourceType"], one["source"], one["destination"], resolved(tenant_id))
        for one in mappings(tenant_id, NAMESPACE)
    ]


RESOLVED = resolved(TENANT)
MAPPINGS = compiled(TENANT)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_sample(sample: Sample) -> None:
    """The row is valid, with `_id`, `timestamp`, `eventType`, and `identityMap` for a visitor."""
    event = read_event(orjson.dumps(sample.event))
    row, errors = apply_mappings(MAPPINGS, raw(event))
    assert (row, errors) == (xdm(event), [])
    assert row["_id"] == event["id"]
    assert row["timestamp"] == event["occurredAt"]
    assert row["eventType"] == event["type"]
    assert ("identityMap" in row) is ("visitorId" in event)
    assert list(problems_of(row, RESOLVED)) == []


def test_answers_in_words() -> None:
    """What a catalogue of polls has added is mapped too, whether all answers have it or one."""
    words = {"question": "How often?", "text": "Daily", "type": "PickList"}
    answers = [{"pollId": "p", "value": "c-1", **words}, {"pollId": "q", "value": "3"}]
    fields = {"id": "a", "type": "poll.submitted", "occurredAt": NOW, "answers": answers}
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
    destinations = [line["destination"].split(".") for line in mappings(TENANT, NAMESPACE)]
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
    assert row["_acme"]["pendo"]["nps"] == {"rating": 0}
    gap = {"polls": [{"value": "a"}, {"pollId": "q", "value": ["x"]}]}
    row, _ = apply_mappings(MAPPINGS, raw(event_of({"event": "x", "properties": gap})))
    assert row["surveyResponse"] == {"surveyQuestions": ["q"], "surveyAnswers": ['["x"]']}
    assert row["_acme"]["pendo"]["answers"] == [{"value": "a"}, {"pollId": "q", "value": '["x"]'}]


@pytest.mark.parametrize("case", cases("empty_values"))
def test_empty_values(case: Case) -> None:
    """Both formats leave out the same, and the row is valid: AEP accepts no empty value."""
    event = read_event(
        orjson.dumps({"id": "a", "type": "poll.submitted", "occurredAt": NOW} | case["event"])
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


TEXT_OR_NUMBER = TEXTS | st.integers(-(2**53), 2**53)
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        "guideId": TEXT_OR_NUMBER,
        "guideStepId": TEXTS,
        "guideProperties": st.fixed_dictionaries({}, optional={"name": TEXTS}),
        "language": TEXTS,
        "nps": st.fixed_dictionaries({"rating": JSON_VALUES}, optional={"reason": TEXTS}),
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
    },
)


@randomly
@given(
    webhook=st.fixed_dictionaries(
        {"event": st.sampled_from(sorted(EVENT_TYPES)) | TEXTS},
        optional={
            "timestamp": st.integers(0, 2**41),
            "uniqueId": TEXTS,
            "visitorId": TEXT_OR_NUMBER,
            "accountId": TEXTS,
            "userAgent": TEXTS,
            "app": st.fixed_dictionaries({"id": TEXT_OR_NUMBER}, optional={"name": TEXTS}),
            "properties": PROPERTIES,
        },
    ).filter(lambda webhook: webhook["event"])
)
@example({"event": "poll.", "properties": {"guideId": "g"}})
@example({"event": "pollSubmitted", "properties": {"polls": [{"value": ""}]}})
def test_any_webhook(webhook: dict[str, Any]) -> None:
    """Whatever Pendo sends, both formats give the same row."""
    event = event_of(webhook)
    assert apply_mappings(MAPPINGS, raw(event)) == (xdm(event), [])
