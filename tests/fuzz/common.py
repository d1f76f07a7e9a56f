"""What the targets share: seeds, checks of what is sent, and a reader of JSON to compare with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from local.samples import LARGE_BYTES, grown, without_empty_values
from pendo_aep.aep.format import Format, Raw, Xdm, trim
from pendo_aep.aep.mapping import FIELDS
from pendo_aep.dead_letters import Reason, Stage, dead_letter_attributes
from pendo_aep.event import Event
from pendo_aep.pipeline.dead_letter_publisher import DeadLetterPublisher
from pendo_aep.pipeline.deliver import Delivery
from pendo_aep.pubsub import Topic
from pendo_aep.pubsub.client import Message

PROJECT: Final = Path(__file__).resolve().parents[2]
NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
# Brackets in total, so that no reader finds a text too deep.
_MAX_BRACKETS: Final = 200
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
        flow_id="flow",
    ),
)
_ADDED: Final = frozenset(field.added for field in FIELDS)


def read_plainly(data: bytes) -> Any:
    """Returns the value of JSON that all readers read alike; shares no code with `pendo_aep`.

    Raises:
        ValueError: It is not JSON, or it is deep, or readers differ in a number or an escape of it.
    """
    text = data.decode()
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise ValueError("perhaps too deep")
    if "\\ud" in text.lower():
        raise ValueError("perhaps a lone surrogate")
    return json.loads(
        text, parse_int=_integer, parse_float=_finite, parse_constant=_refuse_constant
    )


def _integer(text: str) -> int | float:
    """Returns a number over 64 bits as a float, as everywhere in the project."""
    number = int(text)
    return number if -(2**63) <= number < 2**64 else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("beyond every float")
    return number


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def rows(name: str) -> list[dict[str, Any]]:
    """Returns the rows of a test table, some of which only Python's own reader accepts."""
    path = PROJECT / "tests" / "data" / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def samples(suffix: str) -> list[bytes]:
    """Returns the sample files with a suffix: `.json` are webhooks, `.event.json` their events."""
    found = sorted((PROJECT / "sample_events").glob(f"*{suffix}"))
    return [path.read_bytes() for path in found if "".join(path.suffixes) == suffix]


def large(suffix: str) -> Iterator[bytes]:
    """Yields a sample with more in its `properties`, of 5, 50 and 500 kB."""
    sample = json.loads((PROJECT / "sample_events" / f"guide_displayed{suffix}").read_bytes())
    for size in LARGE_BYTES:
        yield grown(sample, size)


def check_sending(data: bytes, event: Event) -> None:
    """Checks that each format makes one object with the event in it, also when trimmed.

    Raises:
        InvalidEvent: It cannot be written, which is right for an event that is not ours.
        AssertionError: What would be sent is not this event, or more than one message.
    """
    for format_ in _FORMATS:
        sent = Delivery(format_, DeadLetterPublisher(_no_topic, "deliver")).encode(data, {})
        _assert_holds(sent, event, format_, made_anew=_ADDED)
        trimmed = trim(event, format_, limit=1)
        _assert_holds(trimmed, event, format_, made_anew=_ADDED | {"properties"})


def _assert_holds(sent: bytes, event: Event, format_: Format, *, made_anew: frozenset[str]) -> None:
    # Exactly one object: anything outside it would be another message of AEP's batch.
    message = orjson.loads(sent)
    if isinstance(format_, Raw):
        # JSON that is not compact, which `receive` does not write, may keep an empty value.
        kept = without_empty_values(message)
        assert all(
            key in made_anew or kept[key] == value
            for key, value in without_empty_values(event).items()
        ), "raw, and not as it came"
    else:
        entity = message["body"]["xdmEntity"]
        assert (entity["_id"], entity["timestamp"]) == (event["id"], event["occurredAt"])


def check_dead_letter(
    data: bytes, attributes: dict[str, str], *, reason: Reason, detail: str, stage: Stage
) -> None:
    """Checks that a dead letter can be published as it came, with its reason."""
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
    raise AssertionError("encoding a message publishes nothing")
