"""The settings that `deliver` needs to send to the dataflow that was created."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.desired import Tenant
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.flow_service import spec_of_flow
from pendo_aep.provisioning.plan import find_existing
from pendo_aep.provisioning.resource import Json, Kind, Observed, Resolved, Resource


async def find_deliver_settings(
    client: Client, tenant: Tenant, resources: tuple[Resource, ...]
) -> dict[str, str]:
    """Looks for the resources, and returns the settings by their names, never a secret.

    Raises:
        PlatformError: a resource is missing; it is named.
    """
    resolved: dict[Kind, Observed] = {}
    for resource in resources:
        # The flow says whether there must be a base connection and a mapping set.
        if resource.kind in (Kind.NAMESPACE, Kind.SCHEMA, Kind.DATASET, Kind.FLOW):
            observed = await find_existing(resource)
            if observed is None:
                raise PlatformError(
                    f"the set-up is not complete: there is no {resource.kind} {resource.name!r} "
                    f"in the sandbox {client.sandbox}: run `aep apply`, or give its --name"
                )
            resolved[resource.kind] = observed
    return await deliver_settings(client, tenant, resolved)


async def deliver_settings(client: Client, tenant: Tenant, resolved: Resolved) -> dict[str, str]:
    """Returns the settings for resources that have been found.

    Raises:
        PlatformError: this command has not created the dataflow, it is disabled, or has no inlet.
    """
    flow_id = resolved[Kind.FLOW].id
    # Read again: its inlet may have come meanwhile.
    flow = await flow_service.read(client, Kind.FLOW, flow_id)
    if flow.get("state") not in (None, "enabled"):
        raise PlatformError(
            f"the dataflow {flow_id} is {flow['state']}: run `aep apply`, which enables it"
        )
    spec = spec_of_flow(str(flow.get("flowSpec", {}).get("id")))
    if spec is None:
        raise PlatformError(f"the dataflow {flow_id} is not for streamed events: see --name")
    # Adobe: the base connection has the streaming endpoint, if there is one.
    url = flow.get("options", {}).get("inletUrl")
    if spec.has_base:
        url = _params(await _base_connection(client, flow)).get("inletUrl")
    if not url:
        raise PlatformError(
            f"AEP shows no inlet of the dataflow {flow_id} yet: try `aep show` in some minutes"
        )
    settings = {
        "AEP_ENDPOINT": str(url),
        "AEP_FLOW_ID": flow_id,
        "AEP_FORMAT": spec.format,
        "AEP_SANDBOX": client.sandbox,
        "AEP_IDENTITY_NAMESPACE": tenant.options.identity_namespace,
        "AEP_ANONYMOUS_VISITORS": tenant.options.anonymous_visitors,
        "AEP_PROPERTIES": tenant.options.properties,
    }
    if tenant.options.email_namespace:
        settings["AEP_EMAIL_NAMESPACE"] = tenant.options.email_namespace
    if tenant.options.chosen:
        settings["AEP_FIELDS"] = ",".join(map(str, tenant.options.chosen))
    if spec.format == "xdm":
        settings["AEP_SCHEMA_ID"] = resolved[Kind.SCHEMA].id
        settings["AEP_DATASET_ID"] = resolved[Kind.DATASET].id
        settings["AEP_IMS_ORG_ID"] = client.ims_org_id
        settings["AEP_TENANT_ID"] = tenant.id
    return settings


def envelope_settings(client: Client, resolved: Resolved) -> dict[str, str]:
    """Returns the settings that `deliver` also needs to send raw events in an envelope."""
    return {"AEP_DATASET_ID": resolved[Kind.DATASET].id, "AEP_IMS_ORG_ID": client.ims_org_id}


async def needs_token(client: Client, settings: Mapping[str, str]) -> bool:
    """Returns whether the inlet wants a token, so that `deliver` needs the credentials."""
    flow = await flow_service.read(client, Kind.FLOW, settings["AEP_FLOW_ID"])
    return bool(_params(await _base_connection(client, flow)).get("authenticationRequired"))


async def _base_connection(client: Client, flow: Json) -> Json:
    for source_id in flow.get("sourceConnectionIds", []):
        source = await flow_service.read(client, Kind.SOURCE, source_id)
        if base_id := source.get("baseConnectionId"):
            return await flow_service.read(client, Kind.CONNECTION, base_id)
    return {}


def _params(base_connection: Json) -> dict[str, Any]:
    params: dict[str, Any] = base_connection.get("auth", {}).get("params", {})
    return params


def as_env_file(settings: Mapping[str, str]) -> str:
    """Returns `NAME=value` lines for an env file: no value has a space or a quote."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())
