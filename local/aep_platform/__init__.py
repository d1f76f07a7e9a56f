"""A stand-in of the APIs that set Adobe Experience Platform up for streaming data.

The gateway, sandbox management, the Schema Registry, identity namespaces, Catalog, Flow Service and
Data Prep, as far as `pendo-aep aep` uses them, on 127.0.0.1, in one process with the `AepServer`
that issues the tokens and has the inlets:

    async with AepServer() as aep, PlatformServer(aep) as platform:
        ...  # AEP_PLATFORM_URL=platform.url, AEP_IMS_URL=aep.url, client aep.client_id
        platform.state.flows, platform.state.datasets[...].rows, platform.state.changing_calls

It refuses what Adobe's documentation says is refused. What Adobe does not say is a named constant
in `assumed`. A flow that is made here works: its inlet is open on the `AepServer`, and what is sent
to it is mapped by the flow's mapping set, checked against the schema and stored in the dataset.

To inject a fault: `platform.fail(Drop.AFTER, after=3)` drops the connection once the fourth
changing call has taken effect. `Answering(503)` and `Delay(0.2)` are other faults; `matching=`
selects the calls, `times=` limits how many fail, `platform.heal()` ends all faults. Remove a
permission with `platform.permissions.discard(Permission.MANAGE_SCHEMAS)`. A wrong client, an
unknown sandbox and revoked tokens (`aep.revoke_tokens()`) need no fault, nor does a flow that is
not ready yet: `PlatformServer(aep, ready_after_seconds=300, clock=...)`, where a test moves the
clock.
"""

from local.aep_platform.call import Call, Permission
from local.aep_platform.faults import Answering, Delay, Drop
from local.aep_platform.server import IMS_ORG_ID, TENANT, PlatformServer
from local.aep_platform.state import (
    Dataset,
    Flow,
    FlowError,
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
    "Call",
    "CallRecord",
    "Dataset",
    "Delay",
    "Drop",
    "Flow",
    "FlowError",
    "LostMessage",
    "MappingSet",
    "Permission",
    "PlatformServer",
    "PlatformState",
    "Resource",
]
