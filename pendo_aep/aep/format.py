"""Formats events for AEP: as they are (`raw`), or as XDM ExperienceEvents (`xdm`)."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final, Protocol, TypeAlias

import orjson

from pendo_aep.aep.mapping import (
    CHOSEN,
    DEFAULT_OPTIONS,
    MappingOptions,
    StoredProperties,
    has_empty,
    own_object,
    rows_of,
    without_empty,
)
from pendo_aep.aep.typed_values import TypedProperties
from pendo_aep.event import TOO_DEEP, Event, InvalidEvent
from pendo_aep.event import encode as encode_event
from pendo_aep.settings import DeliverSettings

Json: TypeAlias = dict[str, Any]

# Adobe: "Streaming ingestion", the content type of a schema reference in a message.
SCHEMA_CONTENT_TYPE: Final = "application/vnd.adobe.xed-full+json;version=1"
# Adobe: Profile guardrails, "maximum ExperienceEvent size: 10 KB". A larger event reaches the data
# lake, and Profile drops it silently.
PROFILE_LIMIT_BYTES: Final = 10_240
# The property that names those that were left out.
TRIMMED: Final = "_trimmed"


class Format(Protocol):
    """How one event is written into a batch."""

    @property
    def typed(self) -> TypedProperties | None:
        """The properties that are typed fields of their own; None if there are none."""
        ...

    def encode(self, data: bytes, event: Event) -> bytes:
        """Returns one JSON object, from the data of a message and the event parsed from it.

        Raises:
            InvalidEvent: the event cannot be written.
        """
        ...

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """Returns about how many bytes of an encoded event AEP stores and counts for its limits."""
        ...

    def stored_properties(self, event: Event) -> Any:
        """Returns what AEP stores of an event's properties."""
        ...


class Raw:
    """The normalised event as on the topic, without empty values; the dataflow maps it."""

    def __init__(self, options: MappingOptions = DEFAULT_OPTIONS) -> None:
        """Takes what the mapping depends on."""
        rows = rows_of(options)
        self._added = tuple(row for row in rows if row.field.added and not row.field.chosen)
        self._chosen = tuple((row, row.field.added.split(".")) for row in rows if row.field.chosen)
        self.typed = options.typed
        self.stored_properties = StoredProperties(options).of

    def encode(self, data: bytes, event: Event) -> bytes:
        """Returns the bytes of the message, with the keys added that a mapping set cannot compute.

        The message is serialised again only if it holds an empty value.
        """
        try:
            added = {
                row.field.added: value
                for row in self._added
                if (value := row.value(event)) is not None
            }
            if self._chosen and (chosen := self._chosen_values(event)):
                added[CHOSEN] = chosen
            if has_empty(event):
                return orjson.dumps(without_empty(event) | added)
            return data.rstrip()[:-1] + b"," + orjson.dumps(added)[1:] if added else data
        except (orjson.JSONEncodeError, RecursionError):
            raise InvalidEvent(TOO_DEEP) from None

    def _chosen_values(self, event: Event) -> Json:
        """Returns the values of the chosen fields, in the shape that they have in XDM."""
        values: Json = {}
        for row, (_, *way, last) in self._chosen:
            if (value := row.value(event)) is not None:
                inner = values
                for name in way:
                    inner = inner.setdefault(name, {})
                inner[last] = value
        return values

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """Counts all but `properties`, which AEP stores as the added text."""
        return len(message) - len(orjson.dumps(without_empty(event.get("properties")) or {}))


class EnvelopedRaw(Raw):
    """`Raw` in the envelope that Adobe shows for raw data ("Send partial row updates").

    Adobe's OpenAPI of the batch endpoint requires a header in each message. It is the same for
    every event, and written once.
    """

    def __init__(
        self,
        *,
        flow_id: str,
        ims_org_id: str,
        dataset_id: str,
        options: MappingOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Takes what AEP calls these, and what the mapping depends on."""
        super().__init__(options)
        header = {
            "flowId": flow_id,
            "imsOrgId": ims_org_id,
            "datasetId": dataset_id,
            "operations": {"data": "create"},
        }
        self._before = orjson.dumps({"header": header})[:-1] + b',"body":'

    def encode(self, data: bytes, event: Event) -> bytes:
        """Returns the header, with the raw event as the body."""
        return self._before + super().encode(data, event) + b"}"

    def stored_bytes(self, message: bytes, event: Event) -> int:
        """Counts what is stored of the body."""
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
        flow_id: str,
        options: MappingOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Takes what AEP calls these, and what the mapping depends on.

        `tenant_id` has a leading underscore or none.
        """
        self._rows = rows_of(options, own_object(tenant_id))
        self.typed = options.typed
        self.stored_properties = StoredProperties(options).of
        schema = {"id": schema_id, "contentType": SCHEMA_CONTENT_TYPE}
        header: Json = {
            "schemaRef": schema,
            "imsOrgId": ims_org_id,
            "datasetId": dataset_id,
            "flowId": flow_id,
            "source": {"name": "pendo-to-aep"},
        }
        # The envelope is the same for every event, and written once.
        empty = orjson.dumps({"header": header, "body": {"xdmMeta": {"schemaRef": schema}}})
        self._before = empty.removesuffix(b"}}") + b',"xdmEntity":'

    def entity(self, event: Event) -> Json:
        """Returns the XDM entity of an event, by the mapping table.

        `_id` is the event's id alone, so that sending it twice does no harm (Adobe: Profile drops
        an event whose `_id` it has).
        """
        entity: Json = {}
        for row in self._rows:
            value = row.value(event)
            if value is not None:
                row.write(entity, value)
        return entity

    def encode(self, data: bytes, event: Event) -> bytes:  # noqa: ARG002 (the Protocol's)
        """Returns one message: header, schema reference and entity."""
        try:
            return self._before + orjson.dumps(self.entity(event)) + b"}}"
        except (orjson.JSONEncodeError, RecursionError):
            raise InvalidEvent(TOO_DEEP) from None

    def stored_bytes(self, message: bytes, event: Event) -> int:  # noqa: ARG002 (the Protocol's)
        """Counts all of it; the envelope is small."""
        return len(message)


def trim(event: Event, into: Format, limit: int = PROFILE_LIMIT_BYTES) -> bytes:
    """Returns the event for AEP, without as many of its largest properties as make it fit.

    Nothing else is left out: an event that is too large without any property stays too large, and
    is sent all the same. Properties that AEP does not store take no room, and stay; so do values
    that are typed fields.

    Raises:
        InvalidEvent: the event is nested too deep to be written as JSON.
    """
    properties = event.get("properties")
    if not isinstance(properties, dict):  # not written by `receive`: leave it to AEP
        return _encode(event, into)
    stored = into.stored_properties(event) or {}
    if not stored:
        return _encode(event, into)
    typed = into.typed.only(properties) if into.typed else {}
    largest_first = sorted(stored, key=lambda name: len(orjson.dumps(stored[name])))[::-1]

    def without(count: int) -> tuple[bytes, Event]:
        trimmed = largest_first[:count]
        kept = dict(properties)
        for name in trimmed:
            if name in typed:
                kept[name] = typed[name]
            else:
                del kept[name]
        smaller: Event = {**event, "properties": {**kept, TRIMMED: trimmed}}
        return _encode(smaller, into), smaller

    # Each attempt writes the whole event, so search: there may be hundreds of properties.
    count = bisect_left(
        range(len(largest_first)), True, key=lambda c: into.stored_bytes(*without(c)) <= limit
    )
    return without(count)[0]


def _encode(event: Event, into: Format) -> bytes:
    return into.encode(encode_event(event), event)


def event_format(settings: DeliverSettings) -> Format:
    """Returns the format that the settings choose."""
    options = MappingOptions.of(settings)
    if settings.aep_format == "raw":
        if settings.aep_raw_mode == "enveloped":
            return EnvelopedRaw(
                flow_id=settings.aep_flow_id,
                ims_org_id=settings.aep_ims_org_id,
                dataset_id=settings.aep_dataset_id,
                options=options,
            )
        return Raw(options)
    return Xdm(
        schema_id=settings.aep_schema_id,
        dataset_id=settings.aep_dataset_id,
        ims_org_id=settings.aep_ims_org_id,
        tenant_id=settings.aep_tenant_id,
        flow_id=settings.aep_flow_id,
        options=options,
    )
