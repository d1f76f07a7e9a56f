"""The normalised event as AEP takes it: as it is (`raw`), or as an XDM ExperienceEvent (`xdm`)."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final, Protocol, TypeAlias

import orjson

from pendo_aep.aep.mapping import FIELDS, Row, has_empty, own_object, without_empty
from pendo_aep.event import TOO_DEEP, Event, InvalidEvent
from pendo_aep.settings import DeliverSettings

Json: TypeAlias = dict[str, Any]

# Adobe: "Streaming ingestion", the content type of a schema reference in a message.
SCHEMA_CONTENT_TYPE: Final = "application/vnd.adobe.xed-full+json;version=1"


class Format(Protocol):
    """How one event is written into a batch."""

    def encode(self, data: bytes, event: Event) -> bytes:
        """One JSON object, made from the data of a message and the event that was read from it.

        Raises:
            InvalidEvent: the event cannot be written.
        """
        ...

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """How much of an encoded event AEP stores, about: what its limits are of."""
        ...


class Raw:
    """The normalised event as it lies on the topic, without empty values; the dataflow maps it."""

    _added = tuple(Row.of(field) for field in FIELDS if field.added)

    def encode(self, data: bytes, event: Event) -> bytes:
        """The bytes of the message, and behind them what a mapping set could not make of them.

        The rest is serialised again only where it holds an empty value.
        """
        try:
            added = {
                row.field.added: value
                for row in self._added
                if (value := row.value(event)) is not None
            }
            if has_empty(event):
                return orjson.dumps(without_empty(event) | added)
            return data.rstrip()[:-1] + b"," + orjson.dumps(added)[1:] if added else data
        except (orjson.JSONEncodeError, RecursionError):
            raise InvalidEvent(TOO_DEEP) from None

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """All but `properties`, which are stored as the text that was added."""
        return len(message) - len(orjson.dumps(without_empty(event.get("properties")) or {}))


class EnvelopedRaw(Raw):
    """The same in the envelope that Adobe shows for raw data ("Send partial row updates").

    Adobe's OpenAPI of the batch endpoint wants a header in each message. It is the same for every
    event: written once.
    """

    def __init__(self, *, flow_id: str, ims_org_id: str, dataset_id: str) -> None:
        """Takes what AEP calls these."""
        header = {
            "flowId": flow_id,
            "imsOrgId": ims_org_id,
            "datasetId": dataset_id,
            "operations": {"data": "create"},
        }
        self._before = orjson.dumps({"header": header})[:-1] + b',"body":'

    def encode(self, data: bytes, event: Event) -> bytes:
        """The header, and the raw event as the body."""
        return self._before + super().encode(data, event) + b"}"

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """What is stored of the body."""
        return super().stored_bytes(message, event) - len(self._before) - 1


class Xdm:
    """XDM ExperienceEvents in the envelope of the streaming endpoint."""

    def __init__(
        self,
        *,
        schema_id: str,
        dataset_id: str,
        ims_org_id: str,
        tenant_id: str,
        identity_namespace: str,
        flow_id: str,
    ) -> None:
        """Takes what AEP calls these; `tenant_id` with or without its leading underscore."""
        tenant = own_object(tenant_id)
        self._rows = [Row.of(field, tenant, identity_namespace) for field in FIELDS]
        schema = {"id": schema_id, "contentType": SCHEMA_CONTENT_TYPE}
        header: Json = {
            "schemaRef": schema,
            "imsOrgId": ims_org_id,
            "datasetId": dataset_id,
            "flowId": flow_id,
            "source": {"name": "pendo-to-aep"},
        }
        # The envelope is the same for every event: written once, around each entity.
        empty = orjson.dumps({"header": header, "body": {"xdmMeta": {"schemaRef": schema}}})
        self._before = empty.removesuffix(b"}}") + b',"xdmEntity":'

    def entity(self, event: Event) -> Json:
        """The XDM entity of an event, by the mapping table.

        `_id` is the id of the event alone, so that sending it twice does no harm (Adobe: Profile
        drops an event whose `_id` it has).
        """
        entity: Json = {}
        for row in self._rows:
            value = row.value(event)
            if value is not None:
                row.write(entity, value)
        return entity

    def encode(self, data: bytes, event: Event) -> bytes:  # noqa: ARG002 (the Protocol's)
        """One message: header, schema reference and entity."""
        try:
            return self._before + orjson.dumps(self.entity(event)) + b"}}"
        except (orjson.JSONEncodeError, RecursionError):
            raise InvalidEvent(TOO_DEEP) from None

    def stored_bytes(self, message: bytes, event: Event) -> int:  # noqa: ARG002 (the Protocol's)
        """All of it; the envelope is small."""
        return len(message)


# Making an event fit Profile: its largest properties are left out, and named.
#
# Adobe: Profile guardrails, "maximum ExperienceEvent size: 10 KB"; what is larger reaches the data
# lake, and is dropped by Profile without a word.


PROFILE_LIMIT_BYTES: Final = 10_240
# A property of this name says which are missing.
TRIMMED: Final = "_trimmed"


def trim(event: Event, encode: Format, limit: int = PROFILE_LIMIT_BYTES) -> bytes:
    """The event as AEP takes it, without as many of its largest properties as make it fit.

    What stands elsewhere is never touched: an event that is too large without any property stays
    too large, and is sent all the same.

    Raises:
        InvalidEvent: the event is nested too deep to be written again.
    """
    properties = event.get("properties")
    if not isinstance(properties, dict):  # something else wrote it: AEP judges
        return _encode(event, encode)
    largest_first = sorted(properties, key=lambda name: len(orjson.dumps(properties[name])))[::-1]

    def without(count: int) -> tuple[bytes, Event]:
        trimmed = largest_first[:count]
        kept = dict(properties)
        for name in trimmed:
            del kept[name]
        smaller: Event = {**event, "properties": {**kept, TRIMMED: trimmed}}
        return _encode(smaller, encode), smaller

    # Each try writes the whole event: of hundreds of properties, not one try each.
    count = bisect_left(
        range(len(largest_first)), True, key=lambda c: encode.stored_bytes(*without(c)) <= limit
    )
    return without(count)[0]


def _encode(event: Event, encode: Format) -> bytes:
    try:
        data = orjson.dumps(event)
    except orjson.JSONEncodeError:
        raise InvalidEvent(TOO_DEEP) from None
    return encode.encode(data, event)


def event_format(settings: DeliverSettings) -> Format:
    """Returns how the settings want an event to be written."""
    if settings.aep_format == "raw":
        if settings.aep_raw_mode == "enveloped":
            return EnvelopedRaw(
                flow_id=settings.aep_flow_id,
                ims_org_id=settings.aep_ims_org_id,
                dataset_id=settings.aep_dataset_id,
            )
        return Raw()
    return Xdm(
        schema_id=settings.aep_schema_id,
        dataset_id=settings.aep_dataset_id,
        ims_org_id=settings.aep_ims_org_id,
        tenant_id=settings.aep_tenant_id,
        identity_namespace=settings.aep_identity_namespace,
        flow_id=settings.aep_flow_id,
    )
