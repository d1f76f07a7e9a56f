"""What exists on the platform, in plain dataclasses: the APIs change it, tests read it."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from local.aep_platform import assumed
from local.http_server import CallRecord

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["classes", "mixins", "schemas"]
Stage: TypeAlias = Literal["mapping", "validation", "identity", "ingestion"]
"""Where an accepted record failed: the values that metrics of a batch tell apart."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def now_ms() -> int:
    """Returns the time as Adobe's APIs write it: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_etag() -> str:
    """Returns a new etag as Flow Service writes it: with its quotes."""
    return f'"{uuid4().hex}"'


def new_batch_id(created_ms: int) -> str:
    """Returns a new id of a batch: a ULID, as in every sample of Adobe's."""
    number = created_ms << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


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

    @property
    def version(self) -> str:
        """Catalog's version, which is also its `E-Tag`."""
        return f"1.0.{self.revision}"

    @property
    def table(self) -> str:
        """The name of its table in Query Service."""
        return str(self.body["tags"][assumed.TABLE_TAG][0])

    @property
    def has_diagnostics(self) -> bool:
        """Whether batches that are made now keep the reasons of their failures."""
        return self.body.get("enableErrorDiagnostics") is True

    @property
    def schema_id(self) -> str:
        """The `$id` of its schema."""
        return str(self.body["schemaRef"]["id"])


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record failed: AEP's code and its own words, which may show a value of the record."""

    stage: Stage
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """A record of a failed batch.

    Attributes:
        id: of the event; empty if the message has none.
        header: of the message, or what stands for it where a raw message has none.
        body: of the message: `xdmEntity` and more, or the raw record.
        failures: at least one.
    """

    id: str
    header: Json
    body: Any
    failures: tuple[Failure, ...]


@dataclass(slots=True, kw_only=True)
class Batch:
    """What was written to the data lake at once, or what could not be.

    Attributes:
        id: a ULID.
        dataset_id: of its dataset.
        flow_id: of the dataflow; None for data without one.
        status: `success`, `failed`, `retrying`, or `inactive` where another one replaces it.
        created: in milliseconds since the epoch.
        updated: in milliseconds since the epoch.
        stored: how many records it wrote.
        failed: the records that it did not write.
        has_diagnostics: whether it keeps the reasons.
        successor: the id of the batch that replaces it.
        predecessors: the ids of the batches that it replaces.
    """

    id: str
    dataset_id: str
    flow_id: str | None
    status: Literal["success", "failed", "retrying", "inactive"]
    created: int
    updated: int
    stored: int = 0
    failed: list[FailedRecord] = field(default_factory=list)
    has_diagnostics: bool = False
    successor: str | None = None
    predecessors: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class FlowRun:
    """What a dataflow did within an hour.

    Attributes:
        id: a UUID.
        flow_id: of the dataflow.
        start: the beginning of the hour, in milliseconds since the epoch.
        updated: in milliseconds since the epoch.
        received: how many records came.
        stored: how many were written.
        failed: how many were not.
        warnings: how many fields could not be mapped in records that were written.
        failures: how many records failed for each reason.
        batches: the ids of the batches that it made.
    """

    id: str
    flow_id: str
    start: int
    updated: int
    received: int = 0
    stored: int = 0
    failed: int = 0
    warnings: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    batches: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Connection:
    """A base, source or target connection of Flow Service, or the flow that joins them."""

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
class Flow(Connection):
    """A dataflow, and the errors in it."""

    enabled: bool = True
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
        batches: by their id, the oldest first.
        runs: of dataflows, the oldest first.
        page_size: no list of batches, runs or files shows more on a page; None for no such limit.
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
    batches: dict[str, Batch] = field(default_factory=dict)
    runs: list[FlowRun] = field(default_factory=list)
    page_size: int | None = None
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
