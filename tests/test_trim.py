"""Events that Profile would drop for their size."""

from __future__ import annotations

from typing import cast

import orjson
import pytest

from pendo_aep.event import Event, NotAnEvent, read_event
from pendo_aep.trim import PROFILE_LIMIT_BYTES, trim
from pendo_aep.xdm import Format, Raw, Xdm

FORMATS: list[Format] = [
    Raw(),
    Xdm(
        schema_id="s",
        dataset_id="d",
        ims_org_id="o",
        tenant_id="acme",
        identity_namespace="P",
        flow_id="f",
    ),
]


def event(**properties: object) -> Event:
    """An event with these properties, of which some are large."""
    common = {"id": "1", "type": "track.received", "occurredAt": "2026-01-31T09:30:00.000Z"}
    return cast("Event", common | {"visitorId": "v", "properties": properties})


def properties_of(message: bytes) -> dict[str, object]:
    """The properties in a message of either format."""
    sent = orjson.loads(message)
    if "properties" in sent:
        return cast("dict[str, object]", sent["properties"])
    text = sent["body"]["xdmEntity"]["_acme"]["pendo"]["properties"]
    return cast("dict[str, object]", orjson.loads(text))


@pytest.mark.parametrize("encode", FORMATS, ids=["raw", "xdm"])
def test_only_as_many_as_need_be_are_left_out(encode: Format) -> None:
    """The largest go first, what fits stays, and the message says which are missing."""
    full = event(small=1, large="x" * 20_000, middle="y" * 5_000, quotes='"' * 9_000)
    message = trim(full, encode)

    trimmed: Event = {**full, "properties": properties_of(message)}
    assert encode.stored_bytes(message, trimmed) <= PROFILE_LIMIT_BYTES
    assert properties_of(message) == {
        "small": 1,
        "middle": "y" * 5_000,
        "_trimmed": ["large", "quotes"],
    }


@pytest.mark.parametrize("encode", FORMATS, ids=["raw", "xdm"])
def test_what_is_no_property_stays(encode: Format) -> None:
    """An event that is too large elsewhere loses its properties, and is sent all the same."""
    full = event(a="x" * 100)
    full["visitorId"] = "v" * 20_000
    message = trim(full, encode)

    assert properties_of(message) == {"_trimmed": ["a"]}
    assert b"v" * 20_000 in message


@pytest.mark.parametrize("encode", FORMATS, ids=["raw", "xdm"])
def test_many_properties_are_not_left_out_one_by_one(encode: Format) -> None:
    """An event with hundreds of properties is written a few times, not once for each of them."""
    written: list[int] = []

    class Counted:
        def encode(self, data: bytes, event: Event) -> bytes:
            written.append(len(data))
            return encode.encode(data, event)

        def stored_bytes(self, message: bytes, event: Event) -> int:
            return encode.stored_bytes(message, event)

    full = event(**{f"text{number}": "x" * 1000 for number in range(500)})
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


def test_the_event_itself_is_not_changed() -> None:
    """Trimming makes another event; the one on the topic is what a dead letter would keep."""
    full = event(large="x" * 20_000)
    trim(full, Raw())
    assert full["properties"] == {"large": "x" * 20_000}


@pytest.mark.parametrize("encode", FORMATS, ids=["raw", "xdm"])
def test_what_is_too_deep_to_be_written_again(encode: Format) -> None:
    """An event of somebody else's, deeper than JSON can be written, is said to be none."""
    foreign = b'{"id":"1","type":"x","occurredAt":"t","deep":' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(NotAnEvent):
        trim(read_event(foreign), encode)


@pytest.mark.parametrize("properties", [["p"], None, "p", 7], ids=str)
@pytest.mark.parametrize("encode", FORMATS, ids=["raw", "xdm"])
def test_properties_that_are_no_object(encode: Format, properties: object) -> None:
    """An event of somebody else's without properties to leave out is sent as it is."""
    foreign = cast("Event", {**event(), "properties": properties})
    assert trim(foreign, encode, limit=1) == encode.encode(orjson.dumps(foreign), foreign)
