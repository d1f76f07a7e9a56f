"""What exists on the platform, in plain dataclasses: the APIs change it, tests read it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from local.http_server import CallRecord

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["classes", "mixins", "schemas"]


def now_ms() -> int:
    """Returns the time as Adobe's APIs write it: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_etag() -> str:
    """Returns a new etag as Flow Service writes it: with its quotes."""
    return f'"{uuid4().hex}"'


@dataclass(slots=True, kw_only=True)
class Resource:
    """A resource of the Schema Registry; `body` is as sent, without what the server adds."""

    id: str
    kind: Kind
    body: Json
    tenant: str | None
    minor: int = 0
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)

    @property
    def title(self) -> str:
        """The title, which no other resource of the tenant has."""
        return str(self.body.get("title", ""))

    @property
    def alt_id(self) -> str:
        """`meta:altId`."""
        tail = self.id.removeprefix("https://ns.adobe.com/").replace("/", ".")
        return f"_{tail}"


@dataclass(slots=True, kw_only=True)
class Dataset:
    """A dataset and the XDM entities that it holds."""

    id: str
    body: Json
    revision: int = 0
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)
    rows: list[Json] = field(default_factory=list)
    batch_id: str | None = None

    @property
    def version(self) -> str:
        """Catalog's version, which is also its `E-Tag`."""
        return f"1.0.{self.revision}"

    @property
    def schema_id(self) -> str:
        """The `$id` of its schema."""
        return str(self.body["schemaRef"]["id"])


@dataclass(slots=True, kw_only=True)
class Connection:
    """A base, source or target connection of Flow Service."""

    id: str
    body: Json
    etag: str = field(default_factory=new_etag)
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)
    inlet: str | None = None


@dataclass(frozen=True, slots=True)
class FlowError:
    """A field that could not be mapped, or a whole row that was dropped as invalid."""

    reason: str
    dropped: bool
    message: object


@dataclass(slots=True, kw_only=True)
class Flow:
    """A dataflow, and the errors in it."""

    id: str
    body: Json
    etag: str = field(default_factory=new_etag)
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)
    enabled: bool = True
    inlet: str | None = None
    ready_at: float = 0.0
    errors: list[FlowError] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class MappingSet:
    """A mapping set with all its versions, numbered by their place."""

    id: str
    versions: list[Json]
    created: int = field(default_factory=now_ms)
    updated: int = field(default_factory=now_ms)


@dataclass(frozen=True, slots=True)
class LostMessage:
    """A message that an inlet accepted and no flow took."""

    reason: str
    message: object


@dataclass(slots=True, kw_only=True)
class PlatformState:
    """Everything in one sandbox, by id.

    Attributes:
        sandbox: its name.
        tenant: the tenant id, without the leading underscore.
        ims_org_id: the organisation.
        standard: Adobe's own resources, which nobody can change.
        descriptors: as the registry shows them.
        namespaces: identity namespaces by their code.
        calls: every call to any sandbox, in the order of ending.
        lost: what reached an inlet and belongs to no flow that takes it.
    """

    sandbox: str
    tenant: str
    ims_org_id: str
    calls: list[CallRecord] = field(default_factory=list)
    standard: Mapping[str, Resource] = field(default_factory=dict)
    field_groups: dict[str, Resource] = field(default_factory=dict)
    schemas: dict[str, Resource] = field(default_factory=dict)
    descriptors: dict[str, Json] = field(default_factory=dict)
    namespaces: dict[str, Json] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    source_connections: dict[str, Connection] = field(default_factory=dict)
    target_connections: dict[str, Connection] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    mapping_sets: dict[str, MappingSet] = field(default_factory=dict)
    lost: list[LostMessage] = field(default_factory=list)

    @property
    def changing_calls(self) -> list[CallRecord]:
        """The calls that changed something."""
        return [record for record in self.calls if record.changed]
