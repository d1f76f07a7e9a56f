"""Checks a message that an inlet has accepted: maps it if it is raw, and validates the row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.aep.messages import raw_record
from local.aep_platform import assumed, failures
from local.aep_platform.mapping import Mapping, MappingError, apply_mappings
from local.aep_platform.mapping_sets import compiled
from local.aep_platform.schema_resources import resolve
from local.aep_platform.state import Dataset, Failure, Flow, Json, PlatformState
from local.aep_platform.validation import problems_of_event


def is_xdm(message: object) -> bool:
    """Returns whether a message has a header and a body, as every XDM message does."""
    return (
        isinstance(message, dict) and isinstance(message.get("header"), dict) and "body" in message
    )


def named_flow(flow_id: str | None, message: Any) -> str | None:
    """Returns the flow that a request names, else the one in the header of its message."""
    return flow_id or (message["header"].get("flowId") if is_xdm(message) else None)


def flow_of(state: PlatformState, inlet: str, flow_id: str | None) -> Flow | None:
    """Returns the flow of that id, if it takes data from this inlet."""
    flow = state.flows.get(flow_id or "")
    if flow is None:
        return None
    source = state.source_connections.get(flow.body["sourceConnectionIds"][0])
    base_id = source.body.get("baseConnectionId", "") if source else ""
    base = state.connections.get(base_id)
    return flow if inlet in (flow.inlet, base.inlet if base else None) else None


def reason_to_lose(flow: Flow | None, now: float) -> str | None:
    """Returns why no flow takes what comes now; None if one does."""
    if flow is None:
        return assumed.UNKNOWN_FLOW
    if not flow.enabled:
        return assumed.DISABLED_FLOW
    return assumed.TOO_EARLY if now < flow.ready_at else None


def maps(flow: Flow | None) -> bool:
    """Returns whether a flow maps what it gets."""
    return flow is not None and bool(flow.body.get("transformations"))


def dataset_id_of(state: PlatformState, flow: Flow | None, message: Any) -> str:
    """Returns where a message goes: its flow's dataset, or the one in the header of XDM."""
    if flow is not None and maps(flow):
        target = state.target_connections.get(flow.body["targetConnectionIds"][0])
        return str(target.body["params"]["dataSetId"]) if target is not None else ""
    return str(message["header"]["datasetId"])


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check made of a message.

    Attributes:
        row: the XDM entity.
        failures: why it cannot be stored; empty if it can.
        warnings: mappings that failed, whose fields the row lacks.
    """

    row: Json
    failures: tuple[Failure, ...] = ()
    warnings: list[MappingError] = field(default_factory=list)


class Checker:
    """Checks messages of one flow for one dataset; made anew for each batch.

    Resolving a schema and parsing a mapping set takes longer than checking many messages.
    """

    def __init__(
        self, state: PlatformState, flow: Flow | None, dataset: Dataset, now: datetime
    ) -> None:
        """Takes what the messages go through, and the time after which no event can be."""
        self.schema = resolve(state, state.schemas[dataset.schema_id].body)
        self._state = state
        self._dataset = dataset
        self._now = now
        self._required = frozenset(self.schema.get("required", ()))
        self._mappings: list[Mapping] | None = None
        if flow is not None and maps(flow):
            params = flow.body["transformations"][0]["params"]
            mapping_set = state.mapping_sets[params["mappingId"]]
            version = mapping_set.versions[int(params["mappingVersion"])]
            self._mappings = list(compiled(state, version))

    def check(self, message: Any) -> Checked:
        """Returns the row that a message becomes, or why it becomes none."""
        if self._mappings is not None:
            return self._check_raw(self._mappings, raw_record(message))
        header, row = message["header"], message["body"]["xdmEntity"]
        if header["imsOrgId"] != self._state.ims_org_id:
            return _misdirected(row, "the organisation is another")
        if header["schemaRef"]["id"] != self._dataset.schema_id:
            return _misdirected(row, "the schema is not the dataset's")
        return Checked(row, self._problems(row))

    def _check_raw(self, mappings: list[Mapping], record: object) -> Checked:
        row, errors = apply_mappings(mappings, record)
        # Adobe, "Data Prep overview": a field whose mapping fails is left out. Without a required
        # one there is no record, and what is wrong with it is the mapping.
        fatal = [error for error in errors if error.mapping.path[0] in self._required]
        if fatal:
            found = tuple(failures.of_mapping(error, record) for error in fatal)
            return Checked(row, found, errors)
        return Checked(row, self._problems(row), errors)

    def _problems(self, row: Json) -> tuple[Failure, ...]:
        problems = problems_of_event(row, self.schema, self._now)
        return tuple(failures.of_problem(problem) for problem in problems)


def _misdirected(row: Json, reason: str) -> Checked:
    return Checked(row, (Failure("ingestion", assumed.MISDIRECTED_CODE, reason),))
