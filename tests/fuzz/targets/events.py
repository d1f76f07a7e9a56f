"""What holds of a message in every format that AEP takes; `body` and `push` both come to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson

from local.samples import without_empty_values
from pendo_aep.aep.format import Format, Raw, Xdm, trim
from pendo_aep.aep.mapping import FIELDS
from pendo_aep.dead_letters import Reason, Stage, dead_letter_attributes
from pendo_aep.event import Event
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.deliver import Delivery
from pendo_aep.pubsub import Topic
from pendo_aep.pubsub.client import Message

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
# Google: Pub/Sub quotas, the attributes of a message, and each one's value.
MAX_ATTRIBUTES: Final = 100
MAX_VALUE_BYTES: Final = 1024
_FORMATS: Final[tuple[Format, ...]] = (
    Raw(),
    Xdm(
        schema_id="https://ns.adobe.com/acme/schemas/1",
        dataset_id="d",
        ims_org_id="o@AdobeOrg",
        tenant_id="acme",
        identity_namespace="PendoVisitor",
        flow_id="flow",
    ),
)
_ADDED: Final = frozenset(field.added for field in FIELDS)


def check_sending(data: bytes, event: Event) -> None:
    """Each format makes one object of the message, with the event in it; trimmed as well.

    Raises:
        NotAnEvent: it cannot be written, which is right of an event that is not ours.
        AssertionError: what would be sent is not this event, or more than one message.
    """
    for format_ in _FORMATS:
        sent = Delivery(format_, DeadLetterPublisher(_no_topic, "deliver")).encode(data, {})
        _assert_holds(sent, event, format_, made_anew=_ADDED)
        trimmed = trim(event, format_, limit=1)
        _assert_holds(trimmed, event, format_, made_anew=_ADDED | {"properties"})


def _assert_holds(sent: bytes, event: Event, format_: Format, *, made_anew: frozenset[str]) -> None:
    # Strictly one object: what breaks out of it would be another message of AEP's batch.
    message = orjson.loads(sent)
    if isinstance(format_, Raw):
        # Of JSON that is not compact, which `receive` does not write, an empty value may be left.
        kept = without_empty_values(message)
        assert all(
            key in made_anew or kept[key] == value
            for key, value in without_empty_values(event).items()
        ), "raw, and not as it came"
    else:
        entity = message["body"]["xdmEntity"]
        assert (entity["_id"], entity["timestamp"]) == (event["id"], event["occurredAt"])


def check_letter(
    data: bytes, attributes: dict[str, str], *, reason: Reason, detail: str, stage: Stage
) -> None:
    """What is set aside can be published as it came, and says why."""
    letter = dead_letter_attributes(
        attributes, reason=reason, detail=detail, stage=stage, failed_at=NOW
    )
    message = Message(data=data, attributes=letter)
    assert message.data == data
    assert message.attributes["reason"] == reason
    assert len(message.attributes) <= MAX_ATTRIBUTES
    assert detail.startswith(message.attributes["detail"])
    assert len(message.attributes["detail"].encode()) <= MAX_VALUE_BYTES


def _no_topic() -> Topic:
    raise AssertionError("to encode a message, nothing is published")
