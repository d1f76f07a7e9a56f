"""Where the events go in AEP: the dataflow, its dataset, and the dataset's table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client, Operation, unexpected_answer
from pendo_aep.provisioning.dataset import has_error_diagnostics
from pendo_aep.provisioning.desired import Choices
from pendo_aep.provisioning.errors import Permission, PlatformError, RequestRejected
from pendo_aep.provisioning.resource import Json, Kind, Observed
from pendo_aep.settings import LakeSettings

# Adobe: "Query Service and Data Distiller FAQ", how to find the table of a dataset.
_TABLE_TAG: Final = "adobe/pqs/table"
# What AEP answers for an id that it does not have; one that is no id at all may be a bad request.
_UNKNOWN: Final = (400, 404)


@dataclass(frozen=True, slots=True)
class Target:
    """The way of the events in AEP.

    Attributes:
        flow_id: the dataflow.
        dataset_id: the dataset that it writes to.
        table: the dataset's table in Query Service; empty as long as it has none.
        has_diagnostics: whether AEP keeps the reasons of failures; None if the credential may not
            see that.
    """

    flow_id: str
    dataset_id: str
    table: str
    has_diagnostics: bool | None = None


async def find_target(client: Client, settings: LakeSettings) -> Target:
    """Returns the dataflow and the dataset of the settings, or those that `aep apply` made.

    Raises:
        PlatformError: one of them does not exist, or there are several.
    """
    flow_id = settings.aep_flow_id or await _find_flow(client, Choices().name)
    dataset_id = settings.aep_dataset_id
    if not dataset_id:
        dataset_id = await _dataset_of(client, flow_id)
    elif settings.aep_flow_id:  # an unknown one would look like one without events
        with _if_permitted():
            await _read_flow(client, flow_id)
    dataset: Json = {}
    with _if_permitted():
        dataset = await read_dataset(client, dataset_id)
    return Target(
        flow_id,
        dataset_id,
        table=table_of(dataset),
        has_diagnostics=has_error_diagnostics(Observed(dataset_id, dataset)) if dataset else None,
    )


@contextmanager
def _if_permitted() -> Iterator[None]:
    """Goes on without what the credential may not see: whoever needs it says so then."""
    try:
        yield
    except RequestRejected as rejected:
        if not rejected.is_permission:
            raise


def table_of(dataset: Json) -> str:
    """Returns the table of a dataset in Query Service; empty as long as it has none."""
    tables = (dataset.get("tags") or {}).get(_TABLE_TAG) or [""]
    return str(tables[0])


async def read_dataset(client: Client, dataset_id: str) -> Json:
    """Returns a dataset as Catalog shows it. Adobe: under its id.

    Raises:
        PlatformError: it does not exist, or cannot be read.
    """
    path = f"/data/foundation/catalog/dataSets/{quote(dataset_id, safe='')}"
    operation = Operation(f"read the dataset {dataset_id}", "GET", path, Permission.VIEW_DATASETS)
    try:
        answer = await client.read(operation)
    except RequestRejected as rejected:
        if rejected.status not in _UNKNOWN:
            raise
        raise PlatformError(
            f"there is no dataset {dataset_id} in the sandbox {client.sandbox}: check "
            "AEP_DATASET_ID and AEP_SANDBOX; in AEP, the page of the dataset shows its id"
        ) from None
    found: Json | None = answer.get(dataset_id) if isinstance(answer, dict) else None
    if found is None:
        raise unexpected_answer(operation.action, "the answer does not have it")
    return found


async def _find_flow(client: Client, name: str) -> str:
    found = await flow_service.find(client, Kind.FLOW, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise PlatformError(
            f"the sandbox {client.sandbox} has {len(found)} dataflows {name!r}: set AEP_FLOW_ID to "
            f"one of: {', '.join(sorted(found))}"
        )
    raise PlatformError(
        f"the sandbox {client.sandbox} has no dataflow {name!r}: set AEP_FLOW_ID as for deliver "
        "(`aep show --name NAME` prints it), or create one: `aep apply`"
    )


async def _read_flow(client: Client, flow_id: str) -> Json:
    try:
        return await flow_service.read(client, Kind.FLOW, flow_id)
    except RequestRejected as rejected:
        if rejected.status not in _UNKNOWN:
            raise
        raise PlatformError(
            f"there is no dataflow {flow_id} in the sandbox {client.sandbox}: check AEP_FLOW_ID "
            "and AEP_SANDBOX; `aep show` prints both"
        ) from None


async def _dataset_of(client: Client, flow_id: str) -> str:
    flow = await _read_flow(client, flow_id)
    for target_id in flow.get("targetConnectionIds") or []:
        target = await flow_service.read(client, Kind.TARGET, str(target_id))
        params: Any = target.get("params") or {}
        if dataset_id := params.get("dataSetId") or params.get("datasetId"):
            return str(dataset_id)
    raise PlatformError(
        f"the dataflow {flow_id} does not say which dataset it writes to: set AEP_DATASET_ID"
    )
