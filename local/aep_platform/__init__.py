"""A stand-in of the APIs that set Adobe Experience Platform up for streaming data.

The gateway, sandbox management, the Schema Registry, identity namespaces, Catalog, Flow Service,
Data Prep, Data Access and Query Service, as far as `pendo-aep` uses them, on 127.0.0.1, in one
process with the `AepServer` that issues the tokens and has the inlets:

    async with AepServer() as aep, PlatformServer(aep) as platform:
        ...  # AEP_PLATFORM_URL=platform.url, AEP_IMS_URL=aep.url, client aep.client_id
        platform.state.flows, platform.state.datasets[...].rows, platform.state.changing_calls

It refuses what Adobe's documentation says is refused. What Adobe does not say is a named constant
in `assumed`. A flow that is made here works: its inlet is open on the `AepServer`, which answers
207. What it accepted is mapped by the flow's mapping set, checked against the schema and stored in
the dataset, and in a data lake if there is one, `ingest_after_seconds` later. Batches, failed
records and flow runs come of what really happened:

    clock = ManualClock(time.time())
    async with PlatformServer(aep, clock=clock, ingest_after_seconds=300) as platform:
        ...  # send events
        clock.now += 300
        platform.ingest_due()

To inject a fault: `platform.fail(Drop.AFTER, after=3)` drops the connection once the fourth
changing call has taken effect. `Answering(503)` and `Delay(0.2)` are other faults; `matching=`
selects the calls, `times=` limits how many fail, `platform.heal()` ends all faults. Remove a
permission with `platform.permissions.discard(Permission.MANAGE_SCHEMAS)`. A wrong client, an
unknown sandbox and revoked tokens (`aep.revoke_tokens()`) need no fault, nor does a flow that is
not ready yet: `PlatformServer(aep, ready_after_seconds=300, clock=...)`, where a test moves the
clock.

On the way to the data lake: `platform.record_faults.lost = {"e-1"}.__contains__`, `duplicated`,
`late`, `diagnostics_off`, `replayed_batches`. `platform.state.page_size = 3` makes pages small, and
`platform.compact()` consolidates batches.
"""

from local.aep_platform.call import Call, Permission
from local.aep_platform.faults import Answering, Delay, Drop, RecordFaults
from local.aep_platform.lake import Lake, Observer, RecordFailed, RecordStored
from local.aep_platform.server import IMS_ORG_ID, TENANT, PlatformServer
from local.aep_platform.state import (
    Batch,
    Dataset,
    Failure,
    Flow,
    FlowError,
    FlowRun,
    LostMessage,
    MappingSet,
    PlatformState,
    Resource,
)
from local.http_server import CallRecord

__all__ = [
    "IMS_ORG_ID",
    "TENANT",
    "Answering",
    "Batch",
    "Call",
    "CallRecord",
    "Dataset",
    "Delay",
    "Drop",
    "Failure",
    "Flow",
    "FlowError",
    "FlowRun",
    "Lake",
    "LostMessage",
    "MappingSet",
    "Observer",
    "Permission",
    "PlatformServer",
    "PlatformState",
    "RecordFailed",
    "RecordFaults",
    "RecordStored",
    "Resource",
]
