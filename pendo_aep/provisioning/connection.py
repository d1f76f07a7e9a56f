"""Connects to AEP from a terminal: the session, the token, the sandbox and the tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from pendo_aep.aep.auth import Credentials, TokenSource
from pendo_aep.aep.mapping import MappingOptions
from pendo_aep.http import http_connection
from pendo_aep.provisioning import schema_registry
from pendo_aep.provisioning.client import Client, Operation, RetryPolicy
from pendo_aep.provisioning.desired import Tenant
from pendo_aep.provisioning.errors import Permission, PlatformError, RequestRejected
from pendo_aep.settings import PlatformSettings

_LIST_SANDBOXES: Final = Operation(
    "list sandboxes", "GET", "/data/foundation/sandbox-management/", Permission.VIEW_SANDBOXES
)


@dataclass(frozen=True, slots=True)
class Platform:
    """AEP, for one organisation and one sandbox that the token may use."""

    client: Client
    tenant: Tenant
    session: aiohttp.ClientSession
    tokens: TokenSource


@asynccontextmanager
async def connect(settings: PlatformSettings, retry_policy: RetryPolicy) -> AsyncIterator[Platform]:
    """Connects to AEP with these settings, and checks the sandbox and the tenant.

    Raises:
        PlatformError: AEP does not answer, or has no such sandbox, or another tenant.
    """
    async with _open(settings, retry_policy) as (client, session, tokens):
        tenant_id = await _tenant_id(client, settings.aep_tenant_id.removeprefix("_"))
        yield Platform(client, Tenant(tenant_id, MappingOptions.of(settings)), session, tokens)


@asynccontextmanager
async def open_client(
    settings: PlatformSettings, retry_policy: RetryPolicy
) -> AsyncIterator[Client]:
    """Does the same for what needs no tenant, so that the credential need not see schemas.

    Raises:
        PlatformError: AEP does not answer, or has no such sandbox.
    """
    async with _open(settings, retry_policy) as (client, _, _):
        yield client


@asynccontextmanager
async def _open(
    settings: PlatformSettings, retry_policy: RetryPolicy
) -> AsyncIterator[tuple[Client, aiohttp.ClientSession, TokenSource]]:
    credentials = Credentials(
        settings.aep_ims_url,
        settings.aep_client_id,
        settings.aep_client_secret,
        settings.aep_scopes,
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        tokens = TokenSource(http_connection("IMS", lambda: session), credentials)
        client = Client(
            session,
            tokens,
            url=settings.aep_platform_url,
            api_key=settings.aep_client_id,
            ims_org_id=settings.aep_ims_org_id,
            sandbox=settings.aep_sandbox,
            retry_policy=retry_policy,
        )
        await _check_sandbox(client)
        yield client, session, tokens


async def _check_sandbox(client: Client) -> None:
    """Checks that the token may use the sandbox.

    Adobe does not document how a call to a wrong sandbox is answered, so they are listed first.

    Raises:
        PlatformError: it is not listed.
        Unreachable: AEP does not answer.
    """
    try:
        answer = await client.read(_LIST_SANDBOXES)
    except RequestRejected as rejected:
        if rejected.is_permission:
            return  # it may not list sandboxes; the next call shows whether it may use this one
        raise
    if answer.get("_links", {}).get("next"):
        return  # there are more than one page shows
    names = [
        str(sandbox["name"])
        for sandbox in answer.get("sandboxes", [])
        if sandbox.get("state", "active") == "active"
    ]
    if client.sandbox not in names:
        raise PlatformError(
            f"the sandbox {client.sandbox} does not exist, or the credential may not use it: set "
            f"AEP_SANDBOX to one of: {', '.join(sorted(names)) or '(it has none)'}; or in AEP, "
            "Permissions > Roles, add the sandbox to the role of the API credential"
        )


async def _tenant_id(client: Client, expected: str) -> str:
    tenant_id = await schema_registry.tenant_id(client)
    if expected not in ("", tenant_id):
        raise PlatformError(
            f"AEP_TENANT_ID is {expected}, but the tenant of {client.ims_org_id} is {tenant_id}: "
            "is AEP_IMS_ORG_ID that of another organisation? If not, remove AEP_TENANT_ID"
        )
    return tenant_id
