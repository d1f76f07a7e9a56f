"""What `deliver` must be told to send to a dataflow that has been set up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pendo_aep.provisioning import flow_service
from pendo_aep.provisioning.client import Client
from pendo_aep.provisioning.errors import PlatformError
from pendo_aep.provisioning.part import Existing, Json, Kind, Part
from pendo_aep.provisioning.plan import find_made
from pendo_aep.provisioning.specs import spec_of_flow
from pendo_aep.provisioning.wanted import Tenant


async def find_environment(
    client: Client, tenant: Tenant, parts: tuple[Part, ...]
) -> dict[str, str]:
    """The settings by their names, never a secret.

    Raises:
        PlatformError: something is missing; it is named.
    """
    known: dict[Kind, Existing] = {}
    for part in parts:
        # The flow says whether there must be a base connection and a mapping set.
        if part.kind in (Kind.NAMESPACE, Kind.SCHEMA, Kind.DATASET, Kind.FLOW):
            existing = await find_made(part)
            if existing is not None:
                known[part.kind] = existing
            else:
                raise PlatformError(
                    f"the set-up is not complete: there is no {part.kind} {part.name!r} in the "
                    f"sandbox {client.sandbox}: run `aep apply`, or give the --name that it has"
                )
    return await environment_of(client, tenant, known)


async def environment_of(
    client: Client, tenant: Tenant, known: dict[Kind, Existing]
) -> dict[str, str]:
    """The same, of parts that are known.

    Raises:
        PlatformError: the dataflow is not of this command's making, is disabled, or has no inlet.
    """
    flow_id = known[Kind.FLOW].id
    # As it is now: its inlet may have come meanwhile.
    flow = Existing(flow_id, await flow_service.read(client, "flows", flow_id))
    if flow.body.get("state") not in (None, "enabled"):
        raise PlatformError(
            f"the dataflow {flow.id} is {flow.body['state']}: run `aep apply`, which enables it"
        )
    spec = spec_of_flow(str(flow.body.get("flowSpec", {}).get("id")))
    if spec is None:
        raise PlatformError(f"the dataflow {flow.id} is not for streamed events: see --name")
    found = {
        "AEP_ENDPOINT": await _inlet(client, flow, has_base=spec.has_base),
        "AEP_FLOW_ID": flow.id,
        "AEP_FORMAT": spec.format,
        "AEP_SANDBOX": client.sandbox,
        "AEP_IDENTITY_NAMESPACE": tenant.identity_namespace,
    }
    if spec.format == "xdm":
        found["AEP_SCHEMA_ID"] = known[Kind.SCHEMA].id
        found["AEP_DATASET_ID"] = known[Kind.DATASET].id
        found["AEP_IMS_ORG_ID"] = client.ims_org_id
        found["AEP_TENANT_ID"] = tenant.id
    return found


def envelope_settings(client: Client, known: Mapping[Kind, Existing]) -> dict[str, str]:
    """What `deliver` must be told besides, to send raw events in an envelope."""
    return {"AEP_DATASET_ID": known[Kind.DATASET].id, "AEP_IMS_ORG_ID": client.ims_org_id}


async def needs_token(client: Client, environment: dict[str, str]) -> bool:
    """Whether the inlet wants a token, so that `deliver` needs the credentials."""
    flow = await flow_service.read(client, "flows", environment["AEP_FLOW_ID"])
    base = await _base_of(client, Existing(environment["AEP_FLOW_ID"], flow))
    return bool(_params(base).get("authenticationRequired"))


async def _inlet(client: Client, flow: Existing, *, has_base: bool) -> str:
    """The streaming endpoint. Adobe: of the base connection, where there is one."""
    url = flow.body.get("options", {}).get("inletUrl")
    if has_base:
        url = _params(await _base_of(client, flow)).get("inletUrl")
    if not url:
        raise PlatformError(
            f"AEP shows no inlet of the dataflow {flow.id} yet: try `aep show` in some minutes"
        )
    return str(url)


async def _base_of(client: Client, flow: Existing) -> Json:
    for source_id in flow.body.get("sourceConnectionIds", []):
        source = await flow_service.read(client, "sourceConnections", source_id)
        if base_id := source.get("baseConnectionId"):
            return await flow_service.read(client, "connections", base_id)
    return {}


def _params(base: Json) -> dict[str, Any]:
    params: dict[str, Any] = base.get("auth", {}).get("params", {})
    return params


def as_text(environment: Mapping[str, str]) -> str:
    """`NAME=value` lines, ready for an env file: no value has a space or a quote."""
    return "".join(f"{name}={value}\n" for name, value in environment.items())
