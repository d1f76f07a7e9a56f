"""Makes the dataflow of the local pipeline with the code of `pendo-aep aep apply`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from local.aep import AepServer
from local.aep_platform import PlatformServer
from pendo_aep.provisioning.apply import apply_plan
from pendo_aep.provisioning.client import RetryPolicy
from pendo_aep.provisioning.connection import connect
from pendo_aep.provisioning.deliver_settings import deliver_settings
from pendo_aep.provisioning.desired import Choices, desired_resources, with_available_groups
from pendo_aep.provisioning.plan import make_plan
from pendo_aep.provisioning.resource import Kind
from pendo_aep.settings import PlatformSettings, load

MessageFormat = Literal["raw", "xdm"]


@dataclass(frozen=True, slots=True)
class Dataflow:
    """What was made in AEP.

    Attributes:
        settings: with which `deliver` sends to it; no secret.
        dataset_id: of the dataset that stores the events.
    """

    settings: Mapping[str, str]
    dataset_id: str

    @property
    def endpoint(self) -> str:
        """The streaming endpoint, as AEP shows it."""
        return self.settings["AEP_ENDPOINT"]

    @property
    def flow_id(self) -> str:
        """The id of the dataflow."""
        return self.settings["AEP_FLOW_ID"]


def platform_env(aep: AepServer, platform: PlatformServer) -> dict[str, str]:
    """Returns the settings with which `pendo-aep` finds AEP."""
    return {
        "AEP_PLATFORM_URL": platform.url,
        "AEP_IMS_URL": aep.url,
        "AEP_CLIENT_ID": aep.client_id,
        "AEP_CLIENT_SECRET": aep.client_secret,
        "AEP_IMS_ORG_ID": platform.ims_org_id,
        "AEP_TENANT_ID": platform.tenant,
        "AEP_SANDBOX": platform.state.sandbox,
    }


async def make_dataflow(
    aep: AepServer,
    platform: PlatformServer,
    message_format: MessageFormat = "raw",
    *,
    fields: str = "",
) -> Dataflow:
    """Makes the schema, the dataset and the dataflow.

    Args:
        aep: the stand-in with the inlets, running.
        platform: the stand-in of AEP's other APIs, running, with nothing in it.
        message_format: what `deliver` will send.
        fields: `AEP_FIELDS`.

    Raises:
        PlatformError: the stand-in refuses what AEP takes, or the other way round.
    """
    # Adobe's Pendo source takes raw events alone.
    source: Literal["pendo", "http"] = "pendo" if message_format == "raw" else "http"
    choices = Choices(source=source, format=message_format)
    settings = load(PlatformSettings, platform_env(aep, platform) | {"AEP_FIELDS": fields})
    async with connect(settings, RetryPolicy()) as connected:
        client = connected.client
        tenant = await with_available_groups(client, connected.tenant, choices)
        plan = await make_plan(desired_resources(client, tenant, choices))
        resolved = await apply_plan(plan, lambda _step: None)
        found = await deliver_settings(client, tenant, resolved)
    return Dataflow(found, resolved[Kind.DATASET].id)
