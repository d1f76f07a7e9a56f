"""Ingests a message that an inlet has accepted: maps, validates and stores it, or notes why not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.aep.messages import raw_record
from local.aep_platform import assumed
from local.aep_platform.catalog import store
from local.aep_platform.mapping import apply_mappings
from local.aep_platform.mapping_sets import compiled
from local.aep_platform.schema_resources import resolve
from local.aep_platform.state import Dataset, Flow, FlowError, Json, LostMessage, PlatformState
from local.aep_platform.validation import problems_of_event


def receive(
    clock: Callable[[], float],
    state: PlatformState,
    inlet: str,
    flow_id: str | None,
    message: object,
) -> None:
    """Takes one message that an inlet accepted; never refuses it, the sender has its answer.

    Args:
        clock: that a flow's readiness is measured by.
        state: of the inlet's sandbox.
        inlet: where it came in.
        flow_id: of the request; None where it had none.
        message: as it was parsed.
    """
    header: Any = message.get("header") if isinstance(message, dict) else None
    is_xdm = isinstance(header, dict) and isinstance(message, dict) and "body" in message
    named = flow_id or (header.get("flowId") if is_xdm else None)
    flow = _flow_of(state, inlet, named)
    if named is not None and (reason := _reason_to_lose(flow, clock())) is not None:
        state.lost.append(LostMessage(reason, message))
    elif flow is not None and flow.body.get("transformations"):
        _ingest_raw(state, flow, message)
    elif is_xdm:
        _ingest_xdm(state, flow, message)
    else:
        state.lost.append(LostMessage(assumed.UNKNOWN_FLOW, message))


def _flow_of(state: PlatformState, inlet: str, flow_id: str | None) -> Flow | None:
    """Returns the flow of that id, if it takes data from this inlet."""
    flow = state.flows.get(flow_id or "")
    if flow is None:
        return None
    source = state.source_connections.get(flow.body["sourceConnectionIds"][0])
    base_id = source.body.get("baseConnectionId", "") if source else ""
    base = state.connections.get(base_id)
    return flow if inlet in (flow.inlet, base.inlet if base else None) else None


def _reason_to_lose(flow: Flow | None, now: float) -> str | None:
    if flow is None:
        return assumed.UNKNOWN_FLOW
    if not flow.enabled:
        return assumed.DISABLED_FLOW
    return assumed.TOO_EARLY if now < flow.ready_at else None


def _ingest_raw(state: PlatformState, flow: Flow, message: object) -> None:
    params = flow.body["transformations"][0]["params"]
    mapping_set = state.mapping_sets[params["mappingId"]]
    target = state.target_connections[flow.body["targetConnectionIds"][0]]
    dataset = state.datasets.get(target.body["params"]["dataSetId"])
    mappings = compiled(state, mapping_set.versions[params["mappingVersion"]])
    row, errors = apply_mappings(mappings, raw_record(message))
    for error in errors:
        reason = f"{error.mapping.destination}: {error.reason}"
        flow.errors.append(FlowError(reason, dropped=False, message=message))
    _store_valid(state, flow, dataset, row, message)


def _ingest_xdm(state: PlatformState, flow: Flow | None, message: Any) -> None:
    header = message["header"]
    dataset = state.datasets.get(header["datasetId"])
    row = message["body"]["xdmEntity"]
    if header["imsOrgId"] != state.ims_org_id:
        _drop(state, flow, "the organisation is another", message)
    elif dataset is not None and header["schemaRef"]["id"] != dataset.schema_id:
        _drop(state, flow, "the schema is not the dataset's", message)
    else:
        _store_valid(state, flow, dataset, row, message)


def _store_valid(
    state: PlatformState, flow: Flow | None, dataset: Dataset | None, row: Json, message: object
) -> None:
    if dataset is None:
        _drop(state, flow, "there is no such dataset", message)
    elif problems := problems_of_event(row, resolve(state, state.schemas[dataset.schema_id].body)):
        _drop(state, flow, "; ".join(problems), message)
    else:
        store(state, dataset, row)


def _drop(state: PlatformState, flow: Flow | None, reason: str, message: object) -> None:
    if flow is None:
        state.lost.append(LostMessage(reason, message))
    else:
        flow.errors.append(FlowError(reason, dropped=True, message=message))
