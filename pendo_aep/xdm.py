"""The normalised event as AEP takes it: as it is (`raw`), or as an XDM ExperienceEvent (`xdm`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import orjson

from pendo_aep.event import Event, NotAnEvent
from pendo_aep.mapping import FIELDS, Field

Json: TypeAlias = dict[str, Any]

# Adobe: "Streaming ingestion", the content type of a schema reference in a message.
_SCHEMA_CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"


class Format(Protocol):
    """How one event is written into a batch."""

    def encode(self, data: bytes, event: Event) -> bytes:
        """One JSON object, made from the data of a message and the event that was read from it.

        Raises:
            NotAnEvent: the event cannot be written.
        """
        ...


class Raw:
    """The normalised event as it lies on the topic; the dataflow maps it."""

    def encode(self, data: bytes, event: Event) -> bytes:  # noqa: ARG002 (the Protocol's)
        """The very bytes of the message: nothing is serialised twice."""
        return data


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the mapping table, ready to be walked."""

    source: tuple[str, ...]
    source_leaf: str | None  # of each element, where the source is an array
    xdm: tuple[str, ...]
    xdm_leaf: str | None
    field: Field

    @classmethod
    def of(cls, field: Field, names: dict[str, str]) -> _Row:
        source, _, source_leaf = field.source.partition("[].")
        xdm, _, xdm_leaf = field.xdm.format(**names).partition("[]")
        return cls(
            tuple(source.split(".")),
            source_leaf or None,
            tuple(xdm.split(".")),
            xdm_leaf.removeprefix(".") or None,
            field,
        )

    def read(self, event: Event) -> Any:
        """What the event has for this row; None when it has nothing."""
        value: Any = event
        for key in self.source:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or self.source_leaf is None:
            return value
        elements = value if isinstance(value, list) else []
        return [e.get(self.source_leaf) if isinstance(e, dict) else None for e in elements]

    def write(self, entity: Json, value: Any) -> None:
        """Puts it where the row says; elements of one array meet in the same objects."""
        *way, last = self.xdm
        for key in way:
            entity = entity.setdefault(key, {})
        if self.source_leaf is None:
            entity[last] = _as_type(self.field, value)
        elif self.xdm_leaf is None:
            # Questions and answers are arrays side by side: a gap must not shift them.
            entity[last] = ["" if element is None else element for element in value]
        else:
            for place, element in zip(
                entity.setdefault(last, [{} for _ in value]), value, strict=True
            ):
                if element is not None:
                    place[self.xdm_leaf] = element


def _as_type(field: Field, value: object) -> object:
    if field.type == "json":
        return orjson.dumps(value).decode()
    if field.type == "identity":
        # Pendo knows no login state, and the visitor id is the only identity there is.
        return [{"id": value, "primary": True, "authenticatedState": "ambiguous"}]
    return value


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
        flow_id: str | None = None,
    ) -> None:
        """Takes what AEP calls these; `tenant_id` with or without its leading underscore."""
        names = {"tenant": "_" + tenant_id.removeprefix("_"), "namespace": identity_namespace}
        self._rows = [_Row.of(field, names) for field in FIELDS]
        schema = {"id": schema_id, "contentType": _SCHEMA_CONTENT_TYPE}
        header: Json = {
            "schemaRef": schema,
            "imsOrgId": ims_org_id,
            "datasetId": dataset_id,
            "source": {"name": "pendo-to-aep"},
        }
        if flow_id:
            header["flowId"] = flow_id
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
            if row.field.only and not event["type"].startswith(row.field.only):
                continue
            value = row.read(event)
            if value is not None:
                row.write(entity, value)
        return entity

    def encode(self, data: bytes, event: Event) -> bytes:  # noqa: ARG002 (the Protocol's)
        """One message: header, schema reference and entity."""
        try:
            return self._before + orjson.dumps(self.entity(event)) + b"}}"
        except orjson.JSONEncodeError:
            raise NotAnEvent("nested too deep, over 254 levels") from None
