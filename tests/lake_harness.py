"""The schema of Pendo's events as AEP has it, for tables in PostgreSQL."""

from __future__ import annotations

from typing import Any

from local.aep import AepServer
from local.aep_platform import PlatformServer
from local.aep_platform.schema_resources import resolve
from local.dataflow import make_dataflow


async def pendo_schema(fields: str = "") -> dict[str, Any]:
    """Returns the schema that `aep apply` makes with these `AEP_FIELDS`, references followed."""
    async with AepServer() as aep, PlatformServer(aep) as platform:
        dataflow = await make_dataflow(aep, platform, fields=fields)
        state = platform.state
        schema_id = state.datasets[dataflow.dataset_id].schema_id
        return resolve(state, state.schemas[schema_id].body)
