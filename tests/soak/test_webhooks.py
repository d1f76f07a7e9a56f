"""The webhooks of the soak, and the fingerprints of what must become of them."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import pytest

from local.pipeline import XDM_SETTINGS
from local.samples import LARGE_BYTES, load_samples
from pendo_aep.aep.format import Format, Raw, Xdm
from pendo_aep.event import encode, read_event
from pendo_aep.pendo.normalise import normalise
from pendo_aep.pendo.signature import VerifiedBody
from pendo_aep.pendo.webhook import parse
from pendo_aep.settings import ReceiveSettings
from tests.soak.webhooks import Webhook, aep_fingerprint, dead_letter_fingerprint, make_webhook

FORMS: dict[str, Format] = {
    "raw": Raw(),
    "xdm": Xdm(
        schema_id=XDM_SETTINGS["AEP_SCHEMA_ID"],
        dataset_id=XDM_SETTINGS["AEP_DATASET_ID"],
        ims_org_id=XDM_SETTINGS["AEP_IMS_ORG_ID"],
        tenant_id=XDM_SETTINGS["AEP_TENANT_ID"],
        flow_id="flow",
    ),
}
REDACTED = ReceiveSettings.model_fields["redact"].default
# Every sample as it is, with the first that AEP rejects; then some of 5, of 50 and of 500 kB.
NUMBERS = (*range(102), *range(151, 1500, 50), *range(501, 5000, 500), *range(1, 30_000, 5000))
# In the order in which they are sent.
SAMPLES = [sample.name for sample in load_samples() if sample.event is not None]
ANSWERS = ("poll_submitted_free_text", "nps_submitted_comment")
raw = partial(make_webhook, 1, form="raw")


def body_of(webhook: Webhook) -> bytes:
    """Returns the body of the request."""
    return webhook.request.partition(b"\r\n\r\n")[2]


def event_of(webhook: Webhook) -> bytes:
    """Returns the event that `receive` makes of a webhook."""
    body = VerifiedBody(body_of(webhook))
    return encode(normalise(parse(body, REDACTED), body, datetime.now(UTC)))


def message_of(event: bytes, form: str) -> dict[str, Any]:
    """Returns the message that `deliver` makes of an event."""
    message: dict[str, Any] = orjson.loads(FORMS[form].encode(event, read_event(event)))
    return message


def test_webhooks_of_a_run() -> None:
    """Seed and number make a webhook; some are rejected by AEP, some unreadable, some large."""
    assert raw(5) == raw(5)
    ids = {make_webhook(seed, number, "raw").event_id for seed in (1, 2) for number in range(500)}
    assert len(ids) == 1000
    webhooks = [raw(number) for number in range(5000)]
    causes = Counter(webhook.cause for webhook in webhooks)
    assert causes == {"": 4970, "rejected": 25, "not_json": 5}
    sizes = Counter(
        min(LARGE_BYTES, key=lambda of: abs(of - size))
        for size in (len(body_of(webhook)) for webhook in webhooks)
        if size > 4000
    )
    assert sizes == {5_000: 90, 50_000: 9, 500_000: 1}


@pytest.mark.parametrize("form", FORMS)
def test_a_webhook_becomes_what_is_expected(form: str) -> None:
    """What the functions make of a webhook, of any sample and size, is what the soak expects."""
    for number in NUMBERS:
        webhook = make_webhook(1, number, form)
        event = event_of(webhook)
        found = (
            dead_letter_fingerprint(event)
            if webhook.cause
            else aep_fingerprint(message_of(event, form))
        )
        assert found == webhook.fingerprint, number


def paths(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """Returns the paths of everything in a JSON value."""
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(inner for key, of in items for inner in paths(of, *path, key))]


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    """Returns a copy of a JSON value without what is at the path."""
    copy = orjson.loads(orjson.dumps(value))
    *way, last = path
    inner = copy
    for key in way:
        inner = inner[key]
    del inner[last]
    return copy


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", [*map(SAMPLES.index, ANSWERS), 51], ids=[*ANSWERS, "5 kB"])
def test_anything_missing_is_noticed(form: str, number: int) -> None:
    """Leaving anything out of an event in AEP, at any depth, changes its fingerprint."""
    webhook = make_webhook(1, number, form)
    message = message_of(event_of(webhook), form)
    whole = ("body", "xdmEntity") if form == "xdm" else ()
    found = [path for path in paths(message) if path[:2] == whole or form == "raw"]
    parts = [path for path in found if len(path) > len(whole)]
    assert len(parts) > 20
    for path in parts:
        assert aep_fingerprint(without(message, path)) != webhook.fingerprint, path


def test_a_value_of_another_event_is_noticed() -> None:
    """Two events of one sample share no id, time, visitor, account, comment or properties."""
    number = SAMPLES.index("poll_submitted_free_text")
    one, another = raw(number), raw(number + len(SAMPLES))
    message, others = (message_of(event_of(webhook), "raw") for webhook in (one, another))
    own = {key for key in message if message[key] != others[key]} - {"receivedAt"}
    assert own == {
        "id", "occurredAt", "visitorId", "accountId", "properties", "propertiesJson",
        "answers", "surveyAnswers",
    }  # fmt: skip
    for key in own - {"id"}:
        assert aep_fingerprint({**message, key: others[key]}) != one.fingerprint, key


def test_a_dead_letter_is_compared_to_the_byte() -> None:
    """A dead letter holds the event of its id, or the exact unreadable body."""
    refused, unreadable = raw(100), raw(999)
    assert (refused.cause, unreadable.cause) == ("rejected", "not_json")
    event = orjson.loads(event_of(refused))
    assert dead_letter_fingerprint(orjson.dumps(event)) == refused.fingerprint
    for changed in ({"visitorId": "x"}, {"receivedAt": "2020-01-01T00:00:00.000Z"}):
        assert dead_letter_fingerprint(orjson.dumps({**event, **changed})) != refused.fingerprint
    assert dead_letter_fingerprint(b"") != refused.fingerprint
    assert dead_letter_fingerprint(body_of(unreadable)) == unreadable.fingerprint
    assert unreadable.event_id == hashlib.sha256(body_of(unreadable)).hexdigest()
    assert dead_letter_fingerprint(body_of(unreadable)[:-1]) != unreadable.fingerprint
